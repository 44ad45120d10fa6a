//! The database of a running collector is replaced or removed, or its write-ahead log is: the collector reports it, keeps
//! what it receives in its journal, and is not ready until the files are back.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::collector::Collector;
use crate::crashes::{recovered, segments};
use crate::load::{register, this_year};
use crate::thirty_flows;

/// Datagrams that are sent at once.
const DATAGRAMS: u64 = 40;

/// The files that belong to a database, by their names in the data directory.
fn file(collector: &Collector, name: &str) -> PathBuf {
    collector.path().join("data").join(name)
}

fn send(collector: &Collector) {
    let written = collector.counter("journal_written_datagrams");
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..DATAGRAMS {
        from.send_to(&thirty_flows(), collector.receiving).unwrap();
    }
    collector.wait_until("written", || collector.counter("journal_written_datagrams") == written + DATAGRAMS);
}

fn flows(collector: &Collector) -> u64 {
    this_year(collector).map_or(0, |[.., flows]| flows)
}

/// A collector that has stored the first datagrams.
fn counting() -> Collector {
    let collector = Collector::start();
    register(&collector);
    send(&collector);
    collector.wait_until("stored", || flows(&collector) == 30 * DATAGRAMS);
    recovered(&collector);
    collector
}

/// What `/readyz` answers.
fn readiness(collector: &Collector) -> String {
    let url = format!("http://{}/readyz", collector.serving);
    let output = Command::new("curl").args(["-sS", "-w", " %{http_code}", &url]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Sends more, and waits until the problem is reported; everything stays in the journal.
fn notice(collector: &Collector, what: &str) {
    send(collector);
    collector.wait_for_line(&format!("{what} while the collector has it open"));
    collector.wait_until("not ready", || readiness(collector).ends_with(" 503"));
    assert!(!segments(&file(collector, "journal")).is_empty(), "it has released its journal");
}

/// It cannot store its last flush.
fn fail(collector: Collector) -> TempDir {
    collector.signal("TERM");
    let (directory, status, log) = collector.ended();
    assert_eq!(status.code(), Some(5), "{log}");
    assert!(log.contains("the next start counts it from the journal"), "{log}");
    directory
}

#[test]
fn a_database_that_is_replaced_is_noticed_and_nothing_is_lost_when_it_is_back() {
    let collector = counting();
    let (database, aside) = (file(&collector, "netflow.sqlite"), file(&collector, "aside"));
    fs::rename(&database, &aside).unwrap();
    fs::copy(&aside, &database).unwrap();
    notice(&collector, "netflow.sqlite was replaced");
    fs::rename(&aside, &database).unwrap();
    collector.wait_until("ready", || readiness(&collector).ends_with(" 200"));
    collector.wait_until("stored", || flows(&collector) == 60 * DATAGRAMS);
    collector.terminate();
}

#[test]
fn a_removed_write_ahead_log_is_noticed_and_costs_nothing_after_a_restart() {
    let collector = counting();
    fs::remove_file(file(&collector, "netflow.sqlite-wal")).unwrap();
    notice(&collector, "netflow.sqlite-wal was removed");
    let collector = Collector::start_in(fail(collector));
    recovered(&collector);
    assert_eq!(flows(&collector), 60 * DATAGRAMS);
    collector.terminate();
}

#[test]
fn a_removed_database_is_noticed_and_a_backup_and_the_journal_have_everything() {
    let collector = counting();
    let (printed, stderr, code) = collector.command(&["backup", "copy"]);
    assert_eq!(code, Some(0), "{printed}{stderr}");
    fs::remove_file(file(&collector, "netflow.sqlite")).unwrap();
    notice(&collector, "netflow.sqlite was removed");
    let directory = fail(collector);
    let restore = Command::new(env!("CARGO_BIN_EXE_netflow"))
        .args(["restore", "copy"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(restore.status.success(), "{restore:?}");
    let collector = Collector::start_in(directory);
    recovered(&collector);
    assert_eq!(flows(&collector), 60 * DATAGRAMS);
    collector.terminate();
}
