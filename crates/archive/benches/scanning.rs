//! What questions to the archive take: wall time and rows a second. The flows do not repeat;
//! `cargo bench -p archive --bench scanning -- 10000000 2` asks an archive of 10 million in two threads.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may fail, and prints its figures")]

mod generated;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use archive::scan::{Counted, GroupQuestion, Order};
use archive::{Scan, Writer};
use flow::{Protocol, Timestamp};
use generator::{Load, Popularity};

/// As an operator asks them: the filter, the keys, and how many groups.
const QUESTIONS: [(&str, &[&str], usize); 8] = [
    ("", &["srcip"], 10),
    ("dst net 10.0.0.0/16", &["srcip"], 10),
    ("dst net 10.0.1.0/24", &["srcip"], 10),
    ("host 10.0.1.7", &["srcip"], 10),
    ("dst port 443", &["srcip"], 10),
    ("", &["srcip", "dstport"], 10),
    ("", &["received/5m"], usize::MAX),
    ("", &["srcip/24", "proto"], 10),
];

fn main() {
    let mut arguments = std::env::args().filter_map(|argument| argument.parse().ok());
    let flows: u64 = arguments.next().unwrap_or(3_000_000);
    let threads = arguments.next().map_or(1, |threads: u64| threads as usize);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), flows);
    let cancelled = AtomicBool::new(false);
    let scan =
        Scan { folder: folder.path(), open: None, octets: 256 << 20, threads, cancelled: &cancelled, progress: None };
    for (filter, keys, most) in QUESTIONS {
        let question = GroupQuestion {
            received: Timestamp::EPOCH..Timestamp::from_seconds(4_000_000_000),
            filter: filter.parse().unwrap(),
            keys: keys.iter().map(|key| key.parse().unwrap()).collect(),
            distinct: Vec::new(),
            counted: Counted::SCALED,
            order: Order::Bytes,
            most,
        };
        // The first run brings the files into memory.
        let (mut fastest, mut answer) = (Duration::MAX, None);
        for _ in 0..4 {
            let begun = Instant::now();
            answer = Some(scan.groups(&question).unwrap());
            fastest = fastest.min(begun.elapsed());
        }
        let answer = answer.unwrap();
        println!(
            "{:?} by {}: {} ms, {:.1} M rows/s, {} rows match, {} groups, {} passes",
            filter,
            keys.join(","),
            fastest.as_millis(),
            flows as f64 / fastest.as_secs_f64() / 1e6,
            answer.read.matched,
            answer.groups,
            answer.passes
        );
    }
}

/// Writes flows of an hour.
fn write(folder: &Path, flows: u64) {
    let mut load = Load {
        protocol: Protocol::NetflowV9,
        exporters: 4,
        first_source: Some([127, 0, 0, 1].into()),
        repeat: None,
        ..Load::default()
    };
    load.traffic.addresses = 1_000_000;
    load.traffic.popularity = Popularity::Zipf;
    let mut writer = Writer::new(folder.to_owned(), archive::Reserve { percent: 0 });
    generated::rows(load, flows, 500_000, |_| {}, Some(&mut writer));
}
