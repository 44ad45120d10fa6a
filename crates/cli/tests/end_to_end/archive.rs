//! The archive has each flow that is counted once, whatever becomes of the process, of its disk and of its clock.

mod clocks;
mod compacting;
mod faults;
mod files;
mod full_disk;
mod kills;
mod losses;
mod orders;
mod totals;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::collector::{Collector, PATIENCE};
use crate::crashes::{EXPORTERS, counted};

const SETTINGS: [(&str, &str); 1] = [("NETFLOW__SERVER__CORES", "2")];

/// Octets and flows of each exporter, by its address.
type Sums = BTreeMap<u32, [u64; 2]>;

fn register(collector: &Collector) {
    for exporter in EXPORTERS {
        let prefixes = r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#;
        collector.rest("PUT", &format!("/senders/{exporter}"), prefixes);
    }
    collector.wait_for_line("senders=2");
}

/// Starts collectors until one has nothing left to archive: a stop archives what was read by then.
fn settled(mut directory: TempDir) -> Collector {
    let end = Instant::now() + PATIENCE;
    loop {
        let collector = Collector::start_in_with(directory, &SETTINGS);
        let status = collector.rest("GET", "/status", "");
        if status["readers"][0]["unreadSegments"] == 0 {
            return collector;
        }
        assert!(Instant::now() < end, "{status:#}");
        std::thread::sleep(Duration::from_secs(1));
        directory = collector.terminate().0;
    }
}

/// What the files must have if this is counted for the exporters.
fn expected(counted: [[u64; 2]; 2]) -> Sums {
    let addresses = EXPORTERS.map(|exporter| exporter.parse::<Ipv4Addr>().unwrap().to_bits());
    let expected: Sums = addresses.into_iter().zip(counted).collect();
    assert!(expected.values().all(|[_, flows]| *flows > 0), "{expected:?}");
    expected
}

/// Stops a collector. The files have exactly what is counted, and nothing is unfinished.
fn is_archived(collector: Collector) -> TempDir {
    let (directory, log) = collector.terminate();
    let collector = settled(directory);
    let counted = EXPORTERS.map(|exporter| counted(&collector, exporter));
    let (directory, _) = collector.terminate();
    let expected = expected(counted);
    assert_eq!(files::sums(directory.path()), expected, "{log}");
    assert_eq!(files::unfinished(directory.path()), []);
    if let Some(found) = files::sums_by_duckdb(directory.path()) {
        assert_eq!(found, expected, "DuckDB");
    }
    directory
}
