//! Every command with an output that cannot be written: a pipe that its reader has closed, a full disk. The list of commands
//! is clap's own, by way of the man pages, so a new command cannot be forgotten here.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::collector::{Collector, PATIENCE};
use crate::commands::counted;
use crate::thirty_flows;

/// A call of each command, in this order. RECEIVING is where the collector receives.
const CALLS: &[(&str, &[&str])] = &[
    ("archive check", &[]),
    ("archive compact", &[]),
    ("archive export", &[]),
    ("archive status", &[]),
    ("backup", &[BACKUP]),
    ("billing", &["127.0.0.1", "192.0.2.0/24"]),
    ("check-config", &[]),
    ("completions", &["bash"]),
    // Nothing, of the standard input.
    ("config import", &["-"]),
    ("config show", &[]),
    ("curl", &["GET", "/status"]),
    ("decode", &["capture.pcap"]),
    ("doctor", &["192.0.2.77"]),
    ("flows", &["--folder", "data"]),
    ("generate", &["--flows", "30", "--to", "RECEIVING"]),
    ("import", &["capture.pcap", "--add"]),
    ("live", &[]),
    ("networks add", &["203.0.113.0/24", "name=office"]),
    ("networks list", &[]),
    // Refused, because it is not there.
    ("networks remove", &["198.51.100.0/24"]),
    ("networks show", &["203.0.113.0/24"]),
    ("readers list", &[]),
    ("readers pause", &["archive"]),
    ("readers reset", &["archive", "--to", "oldest"]),
    ("readers resume", &["archive"]),
    ("replay", &["capture.pcap", "--to", "RECEIVING"]),
    // Refused, because the collector is running.
    ("restore", &[BACKUP]),
    ("selfcheck", &[]),
    ("senders add", &["127.0.0.9", "192.0.2.0/24"]),
    // Nothing, of the standard input.
    ("senders import", &["-"]),
    ("senders list", &[]),
    // Refused, because it is not there.
    ("senders remove", &["127.0.0.9", "198.51.100.0/24"]),
    ("senders set", &["127.0.0.9", "samplingRate=announced"]),
    ("senders show", &["127.0.0.1"]),
    ("series", &["127.0.0.1", "192.0.2.0/24"]),
    ("stats", &["127.0.0.1", "192.0.2.0/24", "2026"]),
    ("store check", &[]),
    ("store copy", &["--to", "sqlite:copy.sqlite"]),
    ("store export", &[]),
    ("tap", &["--json", "-c", "1"]),
    ("top", &["127.0.0.1", "192.0.2.0/24"]),
    ("web", &[]),
];
/// Where a backup is made: a directory that must not exist.
const BACKUP: &str = "backup";
/// What else prints, and what prints nothing.
const MORE_CALLS: &[(&str, &[&str])] = &[
    ("--help", &[]),
    ("--version", &[]),
    ("complete-words", &["--", "netflow", "top", ""]),
    ("config", &[]),
    ("help", &["store"]),
    ("package-files", &["files"]),
    ("no-such-command", &[]),
];

/// How a command ended that could write, or not.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    printed: String,
    errors: String,
}

/// A collector, and beside it a capture to read.
struct Scene {
    collector: Collector,
}

impl Scene {
    fn new() -> Self {
        let collector = counted();
        let file = File::create(collector.path().join("capture.pcap")).unwrap();
        let mut capture = capture::write::Writer::new(file).unwrap();
        let (source, destination) = ("127.0.0.1:9".parse().unwrap(), "127.0.0.1:2055".parse().unwrap());
        capture.write(SystemTime::now().into(), source, destination, &thirty_flows()).unwrap();
        capture.flush().unwrap();
        Self { collector }
    }

    /// Runs all calls beside a router that sends, so that `tap` sees flows.
    fn run_all(&self, mut check: impl FnMut(&str, Command)) {
        let (done, receiving) = (AtomicBool::new(false), self.collector.receiving);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                while !done.load(Ordering::Relaxed) {
                    socket.send_to(&thirty_flows(), receiving).unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let done = Done(&done);
            for (name, arguments) in CALLS.iter().chain(MORE_CALLS) {
                check(name, self.command(name, arguments));
            }
            drop(done);
        });
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let receiving = self.collector.receiving.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
        command
            .args(name.split(' '))
            .args(arguments.iter().map(|argument| argument.replace("RECEIVING", &receiving)))
            .current_dir(self.collector.path())
            .env("NETFLOW_URL", format!("http://{}", self.collector.serving))
            // Free, whatever else this machine does.
            .envs([("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0"), ("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")])
            .env("NETFLOW__SFLOW__LISTEN", "")
            .stdin(Stdio::null());
        command
    }
}

/// Ends the sending, also when a check fails.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn run(name: &str, command: &mut Command) -> Ended {
    let _ = command.get_current_dir().map(|directory| fs::remove_dir_all(directory.join(BACKUP)));
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code(), printed: text(output.stdout), errors: text(output.stderr) };
    assert_eq!(output.status.signal(), None, "{name}: {ended:?}");
    assert!(ended.code != Some(101) && !ended.errors.contains("panicked"), "{name}: {ended:?}");
    ended
}

/// The writing end of a pipe without a reader.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn every_command_is_called_here() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    assert!(command.args(["package-files", "."]).current_dir(&directory).status().unwrap().success());
    let pages: BTreeSet<String> = fs::read_dir(directory.path().join("man"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().strip_suffix(".1").map(str::to_owned))
        .collect();
    let has_commands_below = |page: &String| pages.iter().any(|other| other.starts_with(&format!("{page}-")));
    let commands: BTreeSet<String> = pages.iter().filter(|page| !has_commands_below(page)).cloned().collect();
    // `serve` has a test of its own.
    let called = CALLS.iter().map(|(name, _)| *name).chain(["serve"]);
    assert_eq!(commands, called.map(|name| format!("netflow-{}", name.replace(' ', "-"))).collect());
}

#[test]
fn a_closed_pipe_ends_every_command_quietly_with_its_own_exit_code() {
    let scene = Scene::new();
    scene.run_all(|name, mut command| {
        let read = run(name, &mut command);
        let closed = run(name, command.stdout(closed_pipe()));
        assert_eq!((closed.code, &closed.printed), (read.code, &String::new()), "{name}: {read:?}\n{closed:?}");
        assert!(!closed.errors.contains("standard output"), "{name}: {closed:?}");
    });
}

#[test]
fn a_full_disk_is_an_error_of_every_command_that_prints() {
    let scene = Scene::new();
    let mut printing = 0;
    scene.run_all(|name, mut command| {
        let read = run(name, &mut command);
        if read.printed.is_empty() {
            return;
        }
        printing += 1;
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let full = run(name, command.stdout(full));
        assert_eq!(full.code, Some(1), "{name}: {full:?}");
        assert!(full.errors.contains("netflow: cannot write to standard output: No space left"), "{name}: {full:?}");
    });
    // All but live, which wants a terminal, restore, networks remove and senders remove, which are refused, package-files and
    // the wrong command.
    assert_eq!(printing, CALLS.len() + MORE_CALLS.len() - 6);
}

#[test]
fn the_document_of_the_commands_has_the_json_of_each() {
    let document = include_str!("../../../../docs/commands.md");
    let rows = document.lines().skip_while(|line| *line != "## JSON").take_while(|line| *line != "## Exit codes");
    let documented = rows.filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` | ")?.0));
    let called = CALLS.iter().map(|(name, _)| *name).filter(|name| !["completions", "live"].contains(name));
    assert_eq!(documented.collect::<Vec<_>>(), called.collect::<Vec<_>>());
}

#[test]
fn every_command_prints_its_answer_as_json() {
    // The former print JSON without an option, the latter a script and a screen.
    let (always, never) = (["curl", "decode"], ["completions", "live"]);
    // Either there is nothing, or it is refused: an error is text on standard error.
    let may_be_empty = ["archive export", "networks remove", "restore", "senders remove", "store export"];
    let scene = Scene::new();
    scene.run_all(|name, mut command| {
        if never.contains(&name) || !CALLS.iter().any(|(called, _)| *called == name) {
            return;
        }
        let has_option = command.get_args().any(|argument| argument == "--json");
        if !always.contains(&name) && !has_option {
            command.arg("--json");
        }
        let read = run(name, &mut command);
        assert!(!read.errors.contains("unexpected argument"), "{name}: {read:?}");
        let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&read.printed).into_iter().collect();
        let values = values.unwrap_or_else(|error| panic!("{name}: {error}: {read:?}"));
        assert!(!values.is_empty() || may_be_empty.contains(&name), "{name}: {read:?}");
        assert!(values.iter().all(|value| value.is_object() || value.is_array()), "{name}: {read:?}");
    });
}

#[test]
fn no_command_needs_standard_error() {
    let scene = Scene::new();
    scene.run_all(|name, mut command| {
        let read = run(name, &mut command);
        let closed = run(name, command.stderr(closed_pipe()));
        assert_eq!(closed.code, read.code, "{name}: {read:?}\n{closed:?}");
    });
}

#[test]
fn a_collector_continues_when_its_log_cannot_be_written() {
    let scene = Scene::new();
    let mut command = scene.command("serve", &[]);
    command.env("NETFLOW__DATA_DIR", "other").env("NETFLOW__SERVER__STATUSLOG", "1s").stdout(closed_pipe());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut url = None;
    while url.is_none() {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
        url = line.trim_end().split_once("serving ").map(|(_, url)| url.to_owned());
    }
    drop(log);
    let beside = |name: &str, arguments: &[&str]| {
        let mut command = scene.command(name, arguments);
        let command = command.env("NETFLOW__DATA_DIR", "other").env("NETFLOW_URL", url.as_deref().unwrap());
        run(name, command)
    };
    let uptime = || {
        let status: serde_json::Value =
            serde_json::from_str(&beside("curl", &["GET", "/status"]).printed).unwrap_or_default();
        status["uptimeSeconds"].as_u64().unwrap_or(0)
    };
    // Some lines of the status log later.
    let end = Instant::now() + PATIENCE;
    while uptime() < 3 {
        assert!(Instant::now() < end && child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(beside("selfcheck", &[]).code, Some(0));
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
