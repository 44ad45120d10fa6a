//! Every exit code that `netflow --help` lists, from the real program.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use testing::Service;

use crate::collector::Collector;
use crate::commands::unbalanced;
use crate::stores;

/// Runs the program in a directory; returns its exit code, and what it printed.
fn run(directory: &Path, arguments: &[&str], adapt: impl FnOnce(&mut Command)) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    command.envs([("NETFLOW_AUTH_KEY", "a"), ("NETFLOW_SIGN_KEY", "s"), ("NETFLOW_URL", "http://127.0.0.1:1")]);
    adapt(&mut command);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

/// The codes of the help, each with its meaning.
fn listed() -> BTreeMap<i32, String> {
    let (code, help) = run(Path::new("."), &["--help"], |_| ());
    assert_eq!(code, 0);
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let line = |line: &str| {
        line.trim().split_once(' ').map(|(code, meaning)| (code.parse().unwrap(), meaning.trim().to_owned()))
    };
    codes.lines().map_while(line).collect()
}

/// How a collector ends that another one with the same identity has replaced on its store.
fn superseded() -> i32 {
    let redis = Service::start("redis", 1, &[]);
    let settings = stores::settings("redis", &redis.hosts, "netflow");
    let (directory, _) = stores::start(&settings).terminate();
    let copied = tempfile::tempdir().unwrap();
    let status = Command::new("cp").arg("-r").arg(directory.path().join("data")).arg(copied.path()).status().unwrap();
    assert!(status.success());
    let first = stores::start_in(directory, &settings);
    let second = stores::start_in(copied, &settings);
    let (_, status, _) = first.ended();
    second.terminate();
    status.code().unwrap()
}

#[test]
fn every_listed_exit_code_is_the_one_of_its_failure() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let code = |arguments: &[&str]| run(path, arguments, |_| ());
    let mut codes = BTreeMap::new();
    let mut has = |code: i32, (ended, printed): (i32, String)| {
        assert_eq!(ended, code, "{printed}");
        codes.insert(code, ());
    };

    has(0, code(&["--version"]));
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    has(
        1,
        run(path, &["config"], |command| {
            command.stdout(full);
        }),
    );
    has(2, code(&["no-such-command"]));
    has(
        3,
        run(path, &["check-config"], |command| {
            command.env("NETFLOW__NETFLOW__LISTEN", "nowhere");
        }),
    );
    has(4, code(&["decode", "missing.pcap"]));
    has(5, code(&["store", "check", "--store", "sqlite:missing.sqlite"]));
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = holder.local_addr().unwrap().to_string();
    let listens = |command: &mut Command| {
        command.env("NETFLOW__HTTP__LISTEN", &held).env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0");
        command.env("NETFLOW__SFLOW__LISTEN", "");
    };
    has(6, run(path, &["serve"], listens));
    let hour = path.join("flows/date=2026-11-28/hour=05");
    fs::create_dir_all(&hour).unwrap();
    fs::write(hour.join("0000000000000001-1-1-1.parquet"), "damaged").unwrap();
    has(7, code(&["archive", "check", "--folder", "flows"]));
    has(8, code(&["senders"]));
    has(11, code(&["selfcheck", "--url", &format!("http://{}", unbalanced())]));
    has(12, code(&["doctor"]));
    let collector = Collector::start();
    let beside = |arguments: &[&str]| {
        let (printed, errors, code) = collector.command(arguments);
        (code.unwrap(), printed + &errors)
    };
    has(9, beside(&["senders", "show", "192.0.2.77"]));
    let capture = crate::imports::capture(path, "unregistered.pcap", &[("192.0.2.77", std::time::SystemTime::now())]);
    has(13, code(&["import", capture.to_str().unwrap()]));
    has(10, (superseded(), "a collector that was replaced".to_owned()));

    assert_eq!(codes.keys().collect::<Vec<_>>(), listed().keys().collect::<Vec<_>>());
}
