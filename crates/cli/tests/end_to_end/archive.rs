//! The archive has each flow that is counted once, whatever becomes of the process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use crate::collector::Collector;
use crate::crashes::{EXPORTERS, Exporter, counted, run_until_killed};

const SETTINGS: [(&str, &str); 4] = [
    ("NETFLOW__SERVER__CORES", "2"),
    ("NETFLOW__ARCHIVE__ENABLED", "true"),
    ("NETFLOW__ARCHIVE__FREE_PERCENT", "0"),
    ("NETFLOW__FLUSH_INTERVAL", "1s"),
];
const KILLS: u64 = 6;
/// The columns that are read.
const READ: [&str; 3] = ["exporter_v4", "bytes", "flows"];

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The value of a column.
fn value<'r>(row: &'r Row, wanted: &str) -> &'r Field {
    let found = row.get_column_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("no column {wanted}")).1
}

/// Octets and flows of each exporter in the archive.
fn archived(directory: &Path) -> BTreeMap<u32, [u64; 2]> {
    let mut sums: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    for path in files(&directory.join("data/flows")) {
        assert_eq!(path.extension().unwrap(), "parquet", "{}", path.display());
        let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let schema = file.metadata().file_metadata().schema();
        let fields = schema.get_fields().iter().filter(|field| READ.contains(&field.name())).cloned().collect();
        let read = Type::group_type_builder(schema.name()).with_fields(fields).build().unwrap();
        for row in file.get_row_iter(Some(read)).unwrap() {
            let row = row.unwrap();
            let Field::UInt(exporter) = value(&row, "exporter_v4") else { panic!("{row:?}") };
            let sum = sums.entry(*exporter).or_default();
            for (sum, column) in sum.iter_mut().zip(["bytes", "flows"]) {
                let Field::ULong(counter) = value(&row, column) else { panic!("{row:?}") };
                *sum += counter;
            }
        }
    }
    sums
}

#[test]
fn what_is_counted_is_archived_once_although_the_process_is_killed() {
    let mut collector = Collector::start_with(&SETTINGS);
    for exporter in EXPORTERS {
        collector.rest(
            "PUT",
            &format!("/senders/{exporter}"),
            r#"{"prefixes":[{"prefix":"192.0.2.0","prefixLen":24}]}"#,
        );
    }
    collector.wait_for_line("senders=2");
    let mut exporters = EXPORTERS.map(|_| Exporter::default());
    for kill in 0..KILLS {
        let moment = Duration::from_millis(300 + 400 * kill);
        let (mut directory, sent, _) = run_until_killed(collector, &exporters, moment);
        for (exporter, sent) in exporters.iter_mut().zip(sent) {
            exporter.sent += sent.in_all;
        }
        if kill % 2 == 0 {
            directory = Collector::start_in_with(directory, &SETTINGS).terminate().0;
        }
        collector = Collector::start_in_with(directory, &SETTINGS);
    }
    let (directory, log) = collector.terminate();
    // A new start has nothing to count: the answers are all that is stored.
    let collector = Collector::start_in_with(directory, &SETTINGS);
    collector.wait_until("the archive has read everything", || {
        collector.rest("GET", "/status", "")["readers"][0]["unreadSegments"] == 0
    });
    let counted = EXPORTERS.map(|exporter| counted(&collector, exporter));
    let (directory, _) = collector.terminate();
    let addresses = EXPORTERS.map(|exporter| exporter.parse::<std::net::Ipv4Addr>().unwrap().to_bits());
    let expected: BTreeMap<u32, [u64; 2]> = addresses.into_iter().zip(counted).collect();
    assert!(expected.values().all(|[_, flows]| *flows > 0), "{expected:?}");
    assert_eq!(archived(directory.path()), expected, "{log}");
}
