//! State that another version of the program wrote: older state is taken over whole, newer state is refused untouched.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Map, Value, json};
use testing::Service;

use crate::collector::{Collector, PATIENCE};
use crate::stores;

/// Makes the state file of a data directory from SQL.
fn restore(directory: &Path, sql: &Path) {
    fs::create_dir(directory.join("data")).unwrap();
    let status = Command::new("sqlite3")
        .arg(directory.join("data/netflow.sqlite"))
        .stdout(Stdio::null())
        .stdin(Stdio::from(File::open(sql).unwrap()))
        .status()
        .expect("installed by `make test`");
    assert!(status.success());
}

fn first_version() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let sql = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/state_version_1.sql");
    restore(directory.path(), Path::new(sql));
    directory
}

/// Standard error and exit code.
fn netflow(directory: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .current_dir(directory)
        .args(arguments)
        .env("NETFLOW__NETFLOW__LISTEN", "127.0.0.1:0")
        .env("NETFLOW__SFLOW__LISTEN", "")
        .env("NETFLOW__HTTP__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
}

#[test]
fn state_of_the_first_version_is_converted_whole() {
    let directory = first_version();
    let before = fs::read(directory.path().join("data/netflow.sqlite")).unwrap();
    let (stderr, code) = netflow(directory.path(), &["check-config"]);
    assert!(code == Some(0) && stderr.contains("will be converted to a newer layout at the start"), "{stderr}");
    assert_eq!(fs::read(directory.path().join("data/netflow.sqlite")).unwrap(), before);
    let collector = Collector::start_in(directory);
    let senders = collector.rest("GET", "/senders", "");
    assert!(senders.to_string().contains("127.0.0.1"), "{senders}");
    let names = json!(["all", "srcip:198.51.100.1", "dstip:192.0.2.1"]);
    let answer = collector.rest(
        "POST",
        "/stats/127.0.0.1",
        &json!({ "192.0.2.0/24": { "years": [{ "2026": names }] } }).to_string(),
    );
    let rows = answer["192.0.2.0/24"]["years"][0]["2026"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(rows.len(), 3, "{answer}");
    for row in rows {
        assert_eq!((&row["bytes"], &row["pkts"], &row["flows"]), (&json!(2000), &json!(6), &json!(2)), "{answer}");
    }
    // The writer is the same as before, in a later epoch than its first.
    let (directory, _) = collector.terminate();
    let identity = "SELECT printf('%016x', writer), epoch > 1 FROM identity";
    let output =
        Command::new("sqlite3").arg(directory.path().join("data/netflow.sqlite")).arg(identity).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "4866ee8fbd72a805|1");
}

/// The state of the program of commit ec7cbeb, and what has to be counted of it: the README.md of each folder.
struct Before0_1 {
    fixture: PathBuf,
    /// What has to be counted in 2026: sender, prefix, direction, name, `[bytes, pkts, flows]`.
    expected: Map<String, Value>,
}

impl Before0_1 {
    fn named(name: &str) -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let expected = serde_json::from_slice(&fs::read(fixture.join("expected.json")).unwrap()).unwrap();
        Self { fixture, expected }
    }

    /// A data directory with that state.
    fn directory(&self) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir_all(data.join("journal")).unwrap();
        fs::copy(self.fixture.join("netflow.sqlite"), data.join("netflow.sqlite")).unwrap();
        for segment in fs::read_dir(self.fixture.join("journal")).unwrap() {
            let segment = segment.unwrap();
            fs::copy(segment.path(), data.join("journal").join(segment.file_name())).unwrap();
        }
        directory
    }
}

/// The names of all directions, each once.
fn names_of(directions: &Value) -> BTreeSet<&String> {
    directions.as_object().unwrap().values().flat_map(|names| names.as_object().unwrap().keys()).collect()
}

/// What a collector answers for every name that is expected, in the same shape.
fn counted_in_2026(collector: &Collector, expected: &Map<String, Value>) -> Map<String, Value> {
    let mut counted = Map::new();
    for (sender, prefixes) in expected {
        let question: Map<String, Value> = (prefixes.as_object().unwrap().iter())
            .map(|(prefix, directions)| (prefix.clone(), json!({ "years": [{ "2026": names_of(directions) }] })))
            .collect();
        let answer = collector.rest("POST", &format!("/stats/{sender}"), &Value::Object(question).to_string());
        for (prefix, periods) in answer.as_object().unwrap() {
            for row in periods["years"][0]["2026"].as_array().unwrap_or_else(|| panic!("{answer}")) {
                let (direction, name) = (row["direction"].as_str().unwrap(), row["name"].as_str().unwrap());
                let sender = counted.entry(sender).or_insert_with(|| json!({}));
                sender[prefix][direction][name] = json!([row["bytes"], row["pkts"], row["flows"]]);
            }
        }
    }
    counted
}

/// Asks until everything that is expected is counted, or patience ends: the journal is flushed a moment after the start.
fn all_is_counted(collector: &Collector, expected: &Map<String, Value>) {
    let end = Instant::now() + PATIENCE;
    while counted_in_2026(collector, expected) != *expected && Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(counted_in_2026(collector, expected), *expected, "{}", collector.log());
}

#[test]
fn state_and_journal_from_before_0_1_are_counted_to_the_byte() {
    let before = Before0_1::named("state-before-0.1");
    let collector = Collector::start_in(before.directory());
    all_is_counted(&collector, &before.expected);
    // And again from what it has written itself, beside the old blocks.
    let (directory, _) = collector.terminate();
    let (checked, code) = netflow(directory.path(), &["store", "check"]);
    assert_eq!(code, Some(0), "{checked}");
    all_is_counted(&Collector::start_in(directory), &before.expected);
}

/// Sends the commands of a file to Redis: a command a line, its name, then its arguments in hexadecimal digits.
fn send_commands(server: &str, path: &Path) {
    let mut stream = TcpStream::connect(server).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for line in fs::read_to_string(path).unwrap().lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap().as_bytes().to_vec();
        let decode = |word: &str| {
            (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()).collect()
        };
        let parts: Vec<Vec<u8>> = std::iter::once(name).chain(words.map(decode)).collect();
        let mut command = format!("*{}\r\n", parts.len()).into_bytes();
        for part in &parts {
            command.extend(format!("${}\r\n", part.len()).into_bytes());
            command.extend([part.as_slice(), b"\r\n"].concat());
        }
        stream.write_all(&command).unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.starts_with(':'), "{line}: {answer}");
    }
}

#[test]
fn redis_and_the_spool_and_journal_from_before_0_1_are_counted_to_the_byte() {
    let before = Before0_1::named("redis-before-0.1");
    let service = Service::start("redis", 1, &[]);
    send_commands(&service.hosts[0], &before.fixture.join("redis.txt"));
    let settings = stores::settings("redis", &service.hosts, "netflow");
    let collector = stores::start_in(before.directory(), &settings);
    all_is_counted(&collector, &before.expected);
    let (directory, _) = collector.terminate();
    all_is_counted(&stores::start_in(directory, &settings), &before.expected);
}

#[test]
fn state_of_a_newer_version_is_rejected_unchanged() {
    let directory = first_version();
    let path = directory.path().join("data/netflow.sqlite");
    let status = Command::new("sqlite3").arg(&path).arg("PRAGMA user_version = 99").status().unwrap();
    assert!(status.success());
    let before = fs::read(&path).unwrap();
    for command in [&["serve"][..], &["check-config"], &["store", "check"]] {
        let (stderr, code) = netflow(directory.path(), command);
        assert_eq!(code, Some(5), "{command:?}: {stderr}");
        assert!(stderr.contains("layout version 99"), "{command:?}: {stderr}");
        assert_eq!(fs::read(&path).unwrap(), before, "{command:?}");
    }
}
