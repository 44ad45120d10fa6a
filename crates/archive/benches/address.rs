//! What a question about a single address takes over many hours: most groups of rows do not have it. 10,000 flows a second arrive;
//! `cargo bench -p archive --bench address -- 10 2` writes files of ten hours (16 octets a flow) and asks in two threads, then
//! brings the rows of hosts together and asks again.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may fail, and prints its figures")]

mod generated;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use accounting::period::Minute;
use archive::compact::Compaction;
use archive::scan::{Counted, GroupQuestion, Order};
use archive::{Scan, Writer};
use columns::{Id, Row};
use flow::{Protocol, Timestamp};
use generator::{Load, Popularity, Traffic};

const FLOWS_A_SECOND: u64 = 10_000;

/// Addresses, from one that is nowhere to one that is in every group of rows.
const ADDRESSES: [&str; 5] = ["192.0.2.1", "10.12.34.56", "10.3.4.5", "10.0.64.7", "10.0.1.7"];

fn main() {
    let mut arguments = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    // A few minutes, for a run of all benchmarks.
    let seconds = arguments.next().map_or(300, |hours| hours * 3600);
    let threads = arguments.next().map_or(1, |threads| threads as usize);
    let folder = tempfile::tempdir().unwrap();
    let load = Load {
        protocol: Protocol::NetflowV9,
        exporters: 4,
        first_source: Some([127, 0, 0, 1].into()),
        repeat: None,
        traffic: Traffic { addresses: 1_000_000, popularity: Popularity::Zipf, ..Traffic::default() },
        ..Load::default()
    };
    let mut writer = Writer::new(folder.path().to_owned(), archive::Reserve { percent: 0 });
    generated::rows(load, seconds * FLOWS_A_SECOND, FLOWS_A_SECOND, spread_times, Some(&mut writer));
    drop(writer);
    println!("as they were written, {} octets:", octets(folder.path()));
    ask(folder.path(), threads);
    let begun = generated::processor_time();
    let now = Minute::of(Timestamp::from_seconds(4_000_000_000));
    let reserve = archive::Reserve { percent: 0 };
    let compacted = Compaction { folder: folder.path(), reserve, now }.run(&mut |_| {}).unwrap();
    let seconds = (generated::processor_time() - begun).as_secs_f64();
    println!(
        "after compaction of {} rows in {seconds:.1} s of processor time, {} octets:",
        compacted.rows,
        octets(folder.path())
    );
    ask(folder.path(), threads);
}

/// Flows of real routers begin and end at any time before they are exported: generated ones nearly at the same time.
fn spread_times(row: &mut Row) {
    let number =
        row.number(Id::Bytes) ^ row.number(Id::SrcPort) << 16 ^ u64::from(row.number(Id::Received) as u32) << 32;
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let end = row.number(Id::Received) - (number >> 40) % 15_000;
    row.set(Id::End, end);
    row.set(Id::Start, end - (number >> 20) % 30_000);
}

fn octets(folder: &Path) -> u64 {
    archive::folder::parts(folder).unwrap().iter().map(|part| part.octets).sum()
}

fn ask(folder: &Path, threads: usize) {
    let cancelled = AtomicBool::new(false);
    let scan = Scan { folder, open: None, octets: 256 << 20, threads, cancelled: &cancelled, progress: None };
    for address in ADDRESSES {
        let question = GroupQuestion {
            received: Timestamp::EPOCH..Timestamp::from_seconds(4_000_000_000),
            filter: format!("host {address}").parse().unwrap(),
            keys: vec!["srcip".parse().unwrap(), "dstip".parse().unwrap()],
            distinct: Vec::new(),
            counted: Counted::SCALED,
            order: Order::Bytes,
            most: 10,
        };
        for _ in 0..3 {
            let (begun, processor) = (Instant::now(), generated::processor_time());
            let answer = scan.groups(&question).unwrap();
            println!(
                "host {address}: {} ms, processor {} ms, {} rows match, {} rows in {} groups read, {} groups skipped",
                begun.elapsed().as_millis(),
                (generated::processor_time() - processor).as_millis(),
                answer.read.matched,
                answer.read.rows,
                answer.read.groups,
                answer.read.groups_skipped,
            );
        }
    }
}
