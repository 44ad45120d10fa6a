//! An operator pauses the archive, lets it continue, and lets it read again: whatever happens in between, it has each flow that
//! is counted once.

use serde_json::Value;

use super::{SETTINGS, files, is_archived, register};
use crate::collector::Collector;
use crate::crashes::{EXPORTERS, FLOWS_A_DATAGRAM, counted, send_some};

const DATAGRAMS: u64 = 20;

fn reader(collector: &Collector, name: &str) -> Value {
    let readers = collector.rest("GET", "/readers", "");
    let found = readers.as_array().into_iter().flatten().find(|reader| reader["name"] == name);
    found.unwrap_or_else(|| panic!("{readers:#}")).clone()
}

/// Sends datagrams of both exporters, numbered from `first` on, and waits until they are counted.
fn send(collector: &Collector, first: u64) {
    for exporter in EXPORTERS {
        send_some(exporter, collector.receiving, first, DATAGRAMS);
    }
    let flows = (first - 1 + DATAGRAMS) * FLOWS_A_DATAGRAM;
    collector.wait_until("counted", || EXPORTERS.iter().all(|exporter| counted(collector, exporter)[1] == flows));
}

/// Runs `netflow readers`.
fn order(collector: &Collector, arguments: &[&str]) -> String {
    let (printed, errors, code) = collector.command(&[&["readers"], arguments].concat());
    assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    printed
}

/// Waits until a paused archive has completed what it had taken.
fn rests(collector: &Collector) {
    collector.wait_until("paused", || collector.log().contains("the reader of the log is paused"));
}

#[test]
fn a_paused_archive_waits_over_a_crash_and_is_complete_once_it_is_resumed() {
    let collector = Collector::start_with(&SETTINGS);
    register(&collector);
    send(&collector, 1);
    order(&collector, &["pause", "archive"]);
    rests(&collector);
    let before = files::sums(collector.path());
    send(&collector, 1 + DATAGRAMS);
    collector.wait_until("waiting", || reader(&collector, "archive")["unreadFlushes"] != 0);
    let paused = reader(&collector, "archive");
    // Not even a stop asks for what is paused.
    let collector = Collector::start_in_with(collector.kill(), &SETTINGS);
    let collector = Collector::start_in_with(collector.terminate().0, &SETTINGS);
    assert_eq!(files::sums(collector.path()), before);
    let still = reader(&collector, "archive");
    assert!(paused["paused"].is_string() && still["paused"] == paused["paused"], "{still:#}");
    assert!(still["unreadFlushes"].as_u64() > Some(0), "{still:#}");
    let (found, ..) = collector.command(&["doctor", "--json"]);
    assert!(
        found.contains(r#""finding":"reader_paused""#) && found.contains("netflow readers resume archive"),
        "{found}"
    );
    let metrics = collector.shell("curl -sS http://127.0.0.1:8080/metrics");
    assert!(metrics.contains("netflow_reader_paused{reader=\"archive\"} 1.0\n"), "{metrics}");
    let listed = order(&collector, &[]);
    assert!(listed.contains("paused since 20"), "{listed}");
    order(&collector, &["resume", "archive"]);
    assert!(reader(&collector, "archive")["paused"].is_null());
    let log = collector.log();
    assert!(log.contains("a reader of the log is resumed") && log.contains("key=\"admin\""), "{log}");
    send(&collector, 1 + 2 * DATAGRAMS);
    is_archived(collector);
}

#[test]
fn an_archive_that_reads_again_has_no_flow_twice() {
    // The stream to Kafka reaches nobody, so that the log has everything.
    let settings = [SETTINGS[0], ("NETFLOW__KAFKA__BROKERS", "127.0.0.1:1")];
    let collector = Collector::start_with(&settings);
    register(&collector);
    send(&collector, 1);
    let taken = || collector.rest("GET", "/status", "")["gauges"]["archive_newest_timestamp_seconds"].is_object();
    collector.wait_until("taken", taken);
    // Its files are complete then.
    order(&collector, &["pause", "archive"]);
    rests(&collector);
    assert!(!files::sums(collector.path()).is_empty());
    let again = order(&collector, &["reset", "archive", "--to", "oldest"]);
    assert!(again.starts_with("archive reads again ") && !again.contains(" 0 flushes"), "{again}");
    let unread = reader(&collector, "archive")["unreadFlushes"].as_u64();
    assert!(unread > Some(0), "{unread:?}");
    // The order and the pause are durable.
    let collector = Collector::start_in_with(collector.kill(), &settings);
    let archive = reader(&collector, "archive");
    assert!(archive["unreadFlushes"].as_u64() >= unread && archive["paused"].is_string(), "{archive:#}");
    order(&collector, &["resume", "archive"]);
    send(&collector, 1 + DATAGRAMS);
    // Also while it reads.
    order(&collector, &["reset", "archive", "--to", "oldest"]);
    is_archived(collector);
}

#[test]
fn what_an_archive_skips_is_noted_as_missing() {
    let collector = Collector::start_with(&SETTINGS);
    register(&collector);
    order(&collector, &["pause", "archive"]);
    rests(&collector);
    send(&collector, 1);
    collector.wait_until("waiting", || reader(&collector, "archive")["unreadFlushes"] != 0);
    let (_, errors, code) = collector.command(&["readers", "reset", "archive", "--to", "newest"]);
    assert!(code == Some(9) && errors.contains("nothing is skipped") && errors.contains("--yes"), "{errors}");
    let skips = order(&collector, &["reset", "archive", "--to", "newest", "--yes"]);
    assert!(skips.starts_with("archive skips "), "{skips}");
    collector.wait_until("skipped", || reader(&collector, "archive")["unreadFlushes"] == 0);
    let archive = reader(&collector, "archive");
    assert!(archive["skippedFlushes"].as_u64() > Some(0) && archive["skipping"] == false, "{archive:#}");
    let missing = std::fs::read_to_string(collector.path().join("data/flows/missing.txt")).unwrap();
    assert!(missing.trim_end().ends_with(" skipped"), "{missing}");
    let (found, ..) = collector.command(&["doctor", "--json"]);
    assert!(found.contains(r#""finding":"archive_incomplete""#), "{found}");
    assert!(files::sums(collector.path()).is_empty());
    collector.terminate();
}
