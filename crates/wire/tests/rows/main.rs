//! Rows of records: every column of every record of all captures, and of random templates, is what its fields say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod oracle;
mod random;
mod written;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use columns::{Batch, COLUMNS, Id, Kind, Row, Values};
use flow::Exporter;
use wire::{Datagram, Record, Session, SessionLimits};

use crate::oracle::{Cell, Oracle};

/// All captures in a directory and in those below.
fn captures(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            found.push(path);
        }
    }
}

fn cell(row: &Row, id: Id) -> Cell {
    match id.column().kind {
        Kind::Address => Cell::Address(row.address(id)),
        _ => Cell::Number(row.number(id)),
    }
}

/// The columns in which a row is not what the fields of its record say.
fn differences(record: &Record<'_>, row: &Row) -> Vec<String> {
    let oracle = Oracle::of(record);
    let mut different = Vec::new();
    for column in &COLUMNS {
        let expected = match oracle.cell(column) {
            // A mapped IPv4 address is that address in rows.
            Cell::Address(address) => Cell::Address(address.to_canonical()),
            number => number,
        };
        let got = cell(row, column.id);
        if got != expected {
            different.push(format!("{}: got {got:?}, expected {expected:?}: {}", column.name, oracle.describe()));
        }
    }
    different
}

/// What the captures came to.
#[derive(Default)]
struct Outcome {
    rows: u64,
    /// By capture and column, the first difference and how many there are.
    differences: BTreeMap<String, (String, u64)>,
    /// How many rows have a value other than 0, by column.
    values: BTreeMap<&'static str, u64>,
}

impl Outcome {
    fn note(&mut self, name: &str, record: &Record<'_>, row: &Row) {
        self.rows += 1;
        for difference in differences(record, row) {
            let (column, _) = difference.split_once(':').unwrap();
            let key = format!("{name} {column}");
            self.differences.entry(key).or_insert_with(|| (difference, 0)).1 += 1;
        }
        for column in &COLUMNS {
            let is_set = match cell(row, column.id) {
                Cell::Number(number) => number != 0,
                Cell::Address(address) => !address.is_unspecified(),
            };
            *self.values.entry(column.name).or_default() += u64::from(is_set);
        }
    }
}

/// Reads a capture; returns its rows.
fn read(path: &Path, outcome: &mut Outcome) -> Vec<Row> {
    let (mut sessions, mut rows) = (BTreeMap::<IpAddr, Session>::new(), Vec::new());
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let Ok(mut capture) = capture::Capture::open(path) else { return rows };
    // The room is used again, so that values of one record in the next one show.
    let mut row = Row::new();
    while let Ok(Some(udp)) = capture.next() {
        let exporter = Exporter::udp(udp.source.ip(), udp.source.port());
        let session = sessions.entry(exporter.address).or_insert_with(|| Session::new(SessionLimits::default()));
        let datagram = Datagram { exporter, received: udp.received, payload: udp.payload };
        let before = rows.len();
        let decoded = session.decode(&datagram, &mut |record| {
            let is_row = record.row(&mut row);
            assert_eq!(is_row, Oracle::of(record).is_row());
            if is_row {
                outcome.note(&name, record, &row);
                rows.push(row.clone());
            }
        });
        assert_eq!(rows.len() - before, decoded.data as usize, "{name}: one row for each data record");
    }
    rows
}

#[test]
fn every_column_of_every_captured_record_is_what_its_fields_say() {
    let Some(corpus) = testing::captures() else { return };
    let mut paths = Vec::new();
    captures(&corpus, &mut paths);
    paths.sort();
    assert!(paths.len() > 150, "only {} captures", paths.len());
    let mut outcome = Outcome::default();
    for path in &paths {
        let rows = read(path, &mut outcome);
        compare_with_batch(&rows);
    }
    let mut different = String::new();
    for (place, (first, count)) in &outcome.differences {
        let first: String = first.chars().take(1500).collect();
        writeln!(different, "{place}: {count} times: {first}").unwrap();
    }
    assert!(different.is_empty(), "{} of {} rows differ:\n{different}", outcome.differences.len(), outcome.rows);
    println!("{} rows of {} captures; columns with values: {:?}", outcome.rows, paths.len(), outcome.values);
    // What no exporter of the captures has sent is in the tests of random templates.
    let empty: Vec<_> = outcome.values.iter().filter(|(_, rows)| **rows == 0).map(|(name, _)| *name).collect();
    assert!(empty.len() <= 12, "columns without values: {empty:?}");
}

/// The values of a batch are those of its rows.
fn compare_with_batch(rows: &[Row]) {
    let mut batch = Batch::new();
    rows.iter().for_each(|row| batch.push(row));
    assert_eq!(batch.rows(), rows.len());
    for id in Id::ALL {
        let numbers: Vec<u64> = match batch.values(id) {
            Values::U8(values) => values.iter().map(|value| u64::from(*value)).collect(),
            Values::U16(values) => values.iter().map(|value| u64::from(*value)).collect(),
            Values::U32(values) => values.iter().map(|value| u64::from(*value)).collect(),
            Values::U64(values) => values.clone(),
            Values::Addresses(addresses) => {
                let mut v6 = addresses.v6.iter();
                for (index, row) in rows.iter().enumerate() {
                    let is_v6 = addresses.is_v6.get(index).copied().unwrap_or_default();
                    let v4 = IpAddr::from(addresses.v4.get(index).copied().unwrap_or_default().to_be_bytes());
                    let got = if is_v6 { *v6.next().unwrap() } else { oracle::octets(v4) };
                    assert_eq!(got, oracle::octets(row.address(id)), "{id:?}");
                }
                assert!(v6.next().is_none());
                continue;
            }
            // No record has a text.
            Values::Texts(texts) => texts.numbers.iter().map(|number| u64::from(*number)).collect(),
        };
        let expected: Vec<u64> = rows.iter().map(|row| row.number(id)).collect();
        let is_zero = numbers.is_empty() && expected.iter().all(|number| *number == 0);
        assert!(is_zero || numbers == expected, "{id:?}");
    }
}
