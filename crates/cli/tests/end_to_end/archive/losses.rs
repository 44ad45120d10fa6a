//! What the log loses for the archive is noted with its time, and answers state it.

use std::fs;

use super::SETTINGS;
use crate::collector::Collector;
use crate::disk::Refusal;
use crate::load::{FLOWS_A_SECOND, Running, register};

#[test]
fn what_a_full_log_costs_the_archive_is_noted_and_stated_in_answers() {
    let refusal = Refusal::new();
    let collector = Collector::start_as(refusal.command().envs(SETTINGS).env("NETFLOW__LOG__MAX_BYTES", "1MiB"));
    register(&collector);
    let status = || collector.rest("GET", "/status", "");
    let losses = || status()["gauges"]["archive_losses"]["value"].as_f64().unwrap();
    assert!(losses() <= 0.0);
    // The disk of the archive is full until the log is, too.
    refusal.refuse(b'5');
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    collector.wait_until("the log is full", || status()["readers"][0]["forcedOutSegments"].as_u64() > Some(0));
    assert!(status()["counters"]["archive_errors"].as_u64() > Some(0), "{:#}", status());
    refusal.refuse(b'0');
    collector.wait_until("it is noted", || losses() > 0.0);
    load.stop();
    let noted = fs::read_to_string(collector.path().join("data/flows/missing.txt")).unwrap();
    assert!(noted.contains(" log_full\n"), "{noted}");
    let answer = collector.rest("GET", "/flows/top?by=proto&last=1h", "");
    let missing = &answer["coverage"]["missing"][0];
    assert_eq!(missing["reason"], "log_full", "{answer:#}");
    assert!(missing["segments"].as_u64() > Some(0), "{answer:#}");
    let (findings, ..) = collector.command(&["doctor", "--json"]);
    assert!(findings.contains("archive_incomplete"), "{findings}");
    collector.terminate();
}
