//! `netflow archive compact` joins what several runs of a collector have archived of an hour, and changes no answer.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use super::faults::Faulty;
use super::{files, is_archived};
use crate::collector::Collector;

const HOUR: u64 = 3600;
const RUNS: usize = 4;

/// Runs a command in a directory without a collector; returns what it prints.
fn netflow(directory: &Path, line: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(line.split(' '))
        .args(["--folder", "data/flows"])
        .current_dir(directory)
        // However full the disk of the tests is.
        .env("NETFLOW__ARCHIVE__FREE_PERCENT", "0")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Answers of each kind, and all flows.
fn answers(directory: &Path) -> Vec<Vec<String>> {
    let questions = [
        "flows --last 1d -n 100 -o csv --by exporter,dstip --sum bytes",
        "flows --last 1d -n 100 -o csv --by dstip dst host 192.0.2.7",
        "flows --last 1d -n 10 -o csv --every 5m --by exporter",
        "flows --last 1d -n 10000 -o csv --columns received,exporter,dstip,bytes --sent",
        "archive export --columns received,exporter,dstip,bytes -o csv",
    ];
    let answer = |question: &&str| {
        let mut lines: Vec<_> = netflow(directory, question).lines().map(str::to_owned).collect();
        assert!(lines.len() > 1, "{question}: {lines:?}");
        // Flows of the same millisecond are in any order.
        lines.sort();
        lines
    };
    questions.iter().map(answer).collect()
}

#[test]
fn files_of_several_runs_are_joined_and_answers_stay_the_same() {
    let mut faulty = Faulty::start();
    // In the middle of an hour that has passed.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let then = now - now % HOUR - 3 * HOUR + HOUR / 2;
    faulty.refusal.step_clock_of_all(-((now - then) as i64));
    for _ in 0..RUNS {
        faulty.send();
        faulty = faulty.restart_unasked();
    }
    faulty.refusal.step_clock_of_all(0);
    let (directory, _) = faulty.collector.terminate();
    let path = directory.path();
    let before = (answers(path), files::sums(path), files::sums_by_duckdb(path));
    let checked = netflow(path, "archive check");
    assert!(checked.starts_with(&format!("checked {RUNS} files")) && checked.ends_with(": 0 problems\n"), "{checked}");
    let joined = netflow(path, "archive compact");
    assert!(joined.contains(&format!("joined {RUNS} files into 1: ")), "{joined}");
    assert_eq!((answers(path), files::sums(path), files::sums_by_duckdb(path)), before);
    let checked = netflow(path, "archive check");
    assert!(checked.starts_with("checked 1 file ") && checked.ends_with(": 0 problems\n"), "{checked}");
    // Again, it changes nothing.
    let of_file = files::all_with_times(path);
    assert!(netflow(path, "archive compact").starts_with("joined 0 files into 0"));
    assert_eq!(files::all_with_times(path), of_file);
    // A collector does not take the joined flows again.
    is_archived(Collector::start_in(directory));
}
