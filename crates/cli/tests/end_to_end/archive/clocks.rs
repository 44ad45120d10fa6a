//! The clock of the machine steps while flows arrive: each flow that is counted is archived once, in the hour that the clock
//! showed, and none is deleted because the clock was years ahead for a while.

use super::faults::Faulty;
use super::files;

const HOUR: i64 = 3600;
const YEARS: i64 = 10 * 365 * 24 * HOUR;

/// The collector has looked at what is not to be kept, and the files have at least what they had.
fn nothing_is_deleted(faulty: &Faulty, files: &super::Sums) {
    faulty.collector.wait_until("old flows are deleted, if there are any", || {
        let status = faulty.collector.rest("GET", "/status", "");
        // It has not looked, or has deleted all.
        status["gauges"]["archive_files"]["value"].as_f64() > Some(0.0)
            || files::sums(faulty.collector.path()).is_empty()
    });
    let now = files::sums(faulty.collector.path());
    let has_all = files.iter().all(|(exporter, sums)| now.get(exporter).is_some_and(|now| now >= sums));
    assert!(has_all, "{now:?} of {files:?}: {}", faulty.collector.log());
}

#[test]
fn a_start_with_a_clock_that_is_years_ahead_deletes_nothing() {
    let mut faulty = Faulty::start();
    faulty.send();
    let mut faulty = faulty.restart_unasked();
    let files = files::sums(faulty.collector.path());
    assert!(!files.is_empty());
    for step in [YEARS, YEARS, 0] {
        faulty.refusal.step_clock_of_all(step);
        faulty = faulty.restart_unasked();
        nothing_is_deleted(&faulty, &files);
    }
    let started = faulty.collector.startup_log() + &faulty.collector.log();
    assert!(!started.contains("the clock is ahead"), "{started}");
    faulty.end();
}

#[test]
fn flows_are_archived_once_although_the_clock_of_the_machine_steps() {
    let mut faulty = Faulty::start();
    for step in [HOUR, -HOUR, 30 * HOUR, -48 * HOUR, YEARS, 0] {
        faulty.send();
        faulty.refusal.step_clock_of_all(step);
        faulty.send();
        faulty = faulty.restart_unasked();
        let files = files::sums(faulty.collector.path());
        nothing_is_deleted(&faulty, &files);
    }
    faulty.send();
    faulty.end();
}
