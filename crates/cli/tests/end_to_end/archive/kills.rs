//! The process is killed under load: while it counts and archives, while it starts, and while it ends its files at a stop.

use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use testing::Random;

use super::{SETTINGS, files, is_archived, register};
use crate::collector::Collector;
use crate::crashes::{EXPORTERS, Exporter, run_until_killed};

/// After this many kills it is compared what is counted and what is archived.
const COMPARED_AFTER: u64 = 50;

/// How often it is killed under load: ARCHIVE_KILLS in the environment, or few enough for every change to be tested with.
fn kills() -> u64 {
    std::env::var("ARCHIVE_KILLS").map_or(8, |number| number.parse().expect("ARCHIVE_KILLS is a number"))
}

/// Starts, stops as systemd does it, and is killed before the files have ended, or after.
fn stop_and_kill(directory: TempDir, random: &mut Random) -> TempDir {
    let collector = Collector::start_in_with(directory, &SETTINGS);
    std::thread::sleep(Duration::from_millis(random.below(1200)));
    collector.signal("TERM");
    std::thread::sleep(Duration::from_millis(random.below(150)));
    collector.kill()
}

/// A start deletes the files that the process before it has left unfinished.
fn start(directory: TempDir) -> Collector {
    let left = files::unfinished(directory.path());
    let collector = Collector::start_in_with(directory, &SETTINGS);
    collector.wait_until("unfinished files are deleted", || {
        let now = files::unfinished(collector.path());
        left.iter().all(|file| !now.contains(file))
    });
    collector
}

#[test]
fn what_is_counted_is_archived_once_although_the_process_is_killed() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut collector = Collector::start_with(&SETTINGS);
    register(&collector);
    let mut exporters = EXPORTERS.map(|_| Exporter::default());
    let (mut others, mut unfinished) = (0, 0);
    for kill in 1..=kills() {
        let moment = Duration::from_millis(100 + random.below(2500));
        let (mut directory, sent, _) = run_until_killed(collector, &exporters, moment);
        for (exporter, sent) in exporters.iter_mut().zip(sent) {
            exporter.sent += sent.in_all;
        }
        for _ in 0..random.below(3) {
            others += 1;
            directory = if random.once_in(2) {
                stop_and_kill(directory, &mut random)
            } else {
                Collector::start_and_kill(directory, &SETTINGS, Duration::from_millis(random.below(400)))
            };
        }
        unfinished += files::unfinished(directory.path()).len();
        if kill % COMPARED_AFTER == 0 {
            directory = is_archived(start(directory));
        }
        collector = start(directory);
    }
    let directory = is_archived(collector);
    let rows: u64 = files::sums(directory.path()).values().map(|[_, flows]| flows).sum();
    println!(
        "{} kills under load, {others} at a start or a stop, {unfinished} files left unfinished: {rows} rows, each counted flow once",
        kills()
    );
}
