//! A database that is not the one beside which the journal was written. Whatever it is, what the journal holds is counted
//! once, however often the collector starts.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::collector::Collector;
use crate::crashes::segments;
use crate::load::register;
use crate::thirty_flows;

/// Of thirty flows each.
const DATAGRAMS: u64 = 240;
/// Before the process is killed, nothing is flushed.
const NEVER: [(&str, &str); 1] = [("NETFLOW__FLUSH_INTERVAL", "5m")];

/// A directory of a collector that was killed with datagrams in its journal, and a copy of its database that was made some
/// starts earlier.
fn killed() -> TempDir {
    let collector = Collector::start();
    register(&collector);
    let (mut directory, _) = collector.terminate();
    fs::copy(database(&directory), directory.path().join("backup.sqlite")).unwrap();
    for _ in 0..2 {
        (directory, _) = Collector::start_in(directory).terminate();
    }
    let collector = Collector::start_in_with(directory, &NEVER);
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    for sent in 1..=DATAGRAMS {
        from.send_to(&thirty_flows(), collector.receiving).unwrap();
        if sent % 20 == 0 {
            collector.wait_until("written", || collector.counter("journal_written_datagrams") == sent);
        }
    }
    collector.kill()
}

fn database(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("data/netflow.sqlite")
}

/// Removes the database with the files that belong to it.
fn remove_database(directory: &TempDir) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(directory.path().join(format!("data/netflow.sqlite{suffix}")));
    }
}

fn netflow(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_netflow")).current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The flows that are stored after each of four starts.
fn stored_after_starts(mut directory: TempDir) -> [u64; 4] {
    [(); 4].map(|()| {
        (directory, _) =
            Collector::start_in(std::mem::replace(&mut directory, tempfile::tempdir().unwrap())).terminate();
        let lines = netflow(directory.path(), &["store", "export", "--period", "year"]);
        let all = lines.lines().map(|line| line.split(',').collect::<Vec<_>>()).filter(|columns| columns[4] == "all");
        all.map(|columns| columns[7].parse::<u64>().unwrap()).sum()
    })
}

#[test]
fn a_journal_beside_an_older_database_is_counted_once() {
    let directory = killed();
    remove_database(&directory);
    fs::copy(directory.path().join("backup.sqlite"), database(&directory)).unwrap();
    assert_eq!(stored_after_starts(directory), [30 * DATAGRAMS; 4]);
}

#[test]
fn a_journal_beside_a_new_database_is_counted_once() {
    let directory = killed();
    remove_database(&directory);
    netflow(directory.path(), &["store", "copy", "--from", "sqlite:backup.sqlite", "--to", "sqlite"]);
    assert_eq!(stored_after_starts(directory), [30 * DATAGRAMS; 4]);
}

#[test]
fn the_first_database_beside_the_journal_again_counts_what_it_has_not_counted() {
    let directory = killed();
    let first = directory.path().join("first.sqlite");
    netflow(directory.path(), &["store", "check"]);
    // With its write-ahead log: it was killed.
    for suffix in ["", "-wal"] {
        let name = format!("netflow.sqlite{suffix}");
        let _ = fs::copy(directory.path().join("data").join(name), format!("{}{suffix}", first.display()));
    }
    remove_database(&directory);
    fs::copy(directory.path().join("backup.sqlite"), database(&directory)).unwrap();
    let journal = directory.path().join("data/journal");
    let kept = directory.path().join("kept");
    fs::create_dir(&kept).unwrap();
    copy_segments(&journal, &kept);
    let (directory, _) = Collector::start_in(directory).terminate();
    // The other database has counted it and released the segments; an operator has kept them, and goes back.
    assert!(segments(&journal).is_empty());
    remove_database(&directory);
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", first.display());
        if Path::new(&from).exists() {
            fs::copy(from, directory.path().join(format!("data/netflow.sqlite{suffix}"))).unwrap();
        }
    }
    copy_segments(&kept, &journal);
    assert_eq!(stored_after_starts(directory), [30 * DATAGRAMS; 4]);
}

fn copy_segments(from: &Path, to: &Path) {
    for segment in segments(from) {
        fs::copy(&segment, to.join(segment.file_name().unwrap())).unwrap();
    }
}
