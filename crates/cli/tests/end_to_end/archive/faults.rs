//! The disk of the archive fails, is full or stalls, and its clock steps: counting continues, and when the fault is over
//! everything is archived once.

use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::full_disk::SmallDisk;
use super::{SETTINGS, files, is_archived, register};
use crate::collector::Collector;
use crate::crashes::{EXPORTERS, FLOWS_A_DATAGRAM, send_some};
use crate::disk::Refusal;

/// Datagrams of each exporter that are sent at once.
const DATAGRAMS: u64 = 20;
/// An archive whose clock is ahead by this ends its files whenever nothing is left to read.
pub(super) const AHEAD: i64 = 2 * 3600;
/// More calls than one file takes.
const MOST_CALLS: i64 = 400;

/// One of how many calls at a start and a stop fails: ARCHIVE_EVERY_CALL in the environment, or few enough for every change.
fn every() -> usize {
    std::env::var("ARCHIVE_EVERY_CALL").map_or(2, |number| number.parse().expect("ARCHIVE_EVERY_CALL is a number"))
}

/// How long a disk stalls: ARCHIVE_STALL_SECONDS in the environment, or briefly.
fn stall() -> Duration {
    let seconds = std::env::var("ARCHIVE_STALL_SECONDS");
    Duration::from_secs(seconds.map_or(3, |number| number.parse().expect("ARCHIVE_STALL_SECONDS is a number")))
}

/// Collectors on a disk that fails on demand, one after the other.
pub(super) struct Faulty {
    pub(super) refusal: Refusal,
    /// Where the archive is, unless it is beside everything else.
    pub(super) disk: Option<SmallDisk>,
    pub(super) collector: Collector,
    /// Datagrams of each exporter so far.
    pub(super) sent: u64,
    /// Those that this run has counted.
    of_run: u64,
}

impl Faulty {
    pub(super) fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), None)
    }

    /// Starts with the archive on a disk of its own.
    pub(super) fn start_on(directory: TempDir, disk: Option<SmallDisk>) -> Self {
        let refusal = Refusal::new();
        let collector = Collector::start_in_as(directory, &mut command(&refusal, disk.as_ref()));
        register(&collector);
        Self { refusal, disk, collector, sent: 0, of_run: 0 }
    }

    /// Sends some datagrams, and waits until they are counted.
    pub(super) fn send(&mut self) {
        for exporter in EXPORTERS {
            send_some(exporter, self.collector.receiving, self.sent + 1, DATAGRAMS);
        }
        self.sent += DATAGRAMS;
        self.of_run += DATAGRAMS;
        let flows = self.flows_of_run();
        self.collector.wait_until("counted", || {
            self.collector.rest("GET", "/status", "")["counters"]["flows"]["matched"] == flows
        });
    }

    fn flows_of_run(&self) -> u64 {
        self.of_run * FLOWS_A_DATAGRAM * EXPORTERS.len() as u64
    }

    /// Whether all that this run has counted is in files.
    pub(super) fn has_all(&self) -> bool {
        let reader = &self.collector.rest("GET", "/status", "")["readers"][0];
        reader["unreadSegments"] == 0 && reader["records"].as_u64().unwrap() >= self.flows_of_run()
    }

    /// Stops the collector and starts another one.
    pub(super) fn restart(self) -> Self {
        let Self { refusal, disk, collector, sent, .. } = self;
        let (directory, _) = collector.terminate();
        let collector = Collector::start_in_as(directory, &mut command(&refusal, disk.as_ref()));
        Self { refusal, disk, collector, sent, of_run: 0 }
    }

    /// The same, without a command that asks about ledgers: its clock is not that of the collector.
    pub(super) fn restart_unasked(self) -> Self {
        let Self { refusal, disk, collector, sent, .. } = self;
        collector.signal("TERM");
        let (directory, status, log) = collector.ended();
        assert!(status.success() && !log.contains("a ledger does not balance"), "{status}: {log}");
        let collector = Collector::start_in_as(directory, &mut command(&refusal, disk.as_ref()));
        Self { refusal, disk, collector, sent, of_run: 0 }
    }

    /// The fault is over, and everything is archived.
    pub(super) fn end(self) -> TempDir {
        self.refusal.refuse(b'0');
        is_archived(self.collector)
    }
}

fn command(refusal: &Refusal, disk: Option<&SmallDisk>) -> Command {
    let mut command = refusal.command();
    if let Some(disk) = disk {
        command = disk.command(&command);
    }
    command.envs(SETTINGS);
    command
}

#[test]
fn any_call_for_a_file_of_the_archive_may_fail() {
    let mut faulty = Faulty::start();
    faulty.refusal.step_clock(AHEAD);
    let mut failed = 0;
    for nth in 1.. {
        assert!(nth < MOST_CALLS, "each of {failed} calls failed, and there are more");
        faulty.refusal.refuse_nth(nth);
        faulty.send();
        // The file ends when the hour has passed by the clock of the archive.
        let Faulty { refusal, collector, .. } = &faulty;
        collector.wait_until("archived, or refused", || refusal.refuses() == b'0' || faulty.has_all());
        if refusal.refuses() != b'0' {
            break;
        }
        failed += 1;
        collector.wait_until("archived after all", || faulty.has_all());
    }
    println!("each of {failed} calls has failed once");
    assert!(failed > 10, "{failed}");
    faulty.end();
}

#[test]
fn any_call_may_fail_while_the_collector_starts_and_stops() {
    let mut faulty = Faulty::start();
    faulty.send();
    let mut failed = 0;
    for nth in (1..).step_by(every()) {
        assert!(nth < MOST_CALLS, "{failed} calls failed, and there are more");
        faulty.refusal.refuse_nth(nth);
        faulty = faulty.restart();
        if faulty.refusal.refuses() != b'0' {
            break;
        }
        failed += 1;
        faulty.send();
    }
    println!("{failed} calls at starts and stops have failed");
    assert!(failed > 5, "{failed}");
    faulty.end();
}

#[test]
fn a_full_disk_of_the_archive_costs_nothing() {
    let mut faulty = Faulty::start();
    faulty.refusal.step_clock(AHEAD);
    faulty.send();
    faulty.collector.wait_until("archived", || faulty.has_all());
    faulty.refusal.refuse(b'5');
    faulty.send();
    faulty.collector.wait_for_line("cannot continue");
    // Counting does.
    faulty.send();
    assert!(!faulty.has_all());
    // Neither a stop nor a start makes a difference.
    let mut faulty = faulty.restart();
    faulty.send();
    faulty.refusal.refuse(b'0');
    faulty.collector.wait_until("archived", || faulty.has_all());
    faulty.end();
}

#[test]
fn a_disk_that_stalls_delays_the_archive_and_not_counting() {
    let mut faulty = Faulty::start();
    faulty.refusal.step_clock(AHEAD);
    faulty.send();
    faulty.refusal.refuse(b'6');
    let begun = Instant::now();
    while begun.elapsed() < stall() {
        faulty.send();
    }
    assert!(!faulty.has_all());
    assert_eq!(faulty.collector.counter("kernel_drops"), 0);
    faulty.refusal.refuse(b'0');
    faulty.collector.wait_until("archived", || faulty.has_all());
    faulty.end();
}

#[test]
fn a_clock_that_steps_costs_nothing() {
    let mut faulty = Faulty::start();
    let hour = 3600;
    for step in [hour, -hour, 30 * hour, 0, -365 * 24 * hour, 10 * 365 * 24 * hour, 0] {
        faulty.refusal.step_clock(step);
        let files = files::sums(faulty.collector.path());
        faulty.send();
        faulty.collector.wait_until("nothing is left, or its hour has not passed", || step <= 0 || faulty.has_all());
        let now = files::sums(faulty.collector.path());
        assert!(
            files.iter().all(|(exporter, sums)| now.get(exporter).is_some_and(|now| now >= sums)),
            "{step}: {now:?}"
        );
    }
    let mut faulty = faulty.restart();
    faulty.send();
    faulty.end();
}
