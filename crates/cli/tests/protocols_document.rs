//! docs/protocols.md names for each protocol and vendor the capture or test that proves support. This test checks that no
//! cell is empty, every test exists, and every capture exists and has a datagram of the protocol.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The sections whose tables need evidence.
const SECTIONS: [&str; 6] =
    ["Fixed formats", "Formats with templates", "sFlow", "Sampled packets", "Vendors", "How it is booked"];

/// Columns that explain, and need no evidence.
const EXPLAINING: [&str; 2] = ["rule", "setting"];

/// Marks a feature that a protocol does not have.
const ABSENT: &str = "—";

/// Marks a missing feature.
const UNSUPPORTED: &str = "**Not supported**";

/// What protocols are called in the document, and in the expectations of the captures.
const PROTOCOLS: [(&str, &str); 10] = [
    ("NetFlow v1", "1"),
    ("NetFlow v5", "5"),
    ("NetFlow v6", "6"),
    ("NetFlow v7", "7"),
    ("NetFlow v8", "8"),
    ("NetFlow v9", "9"),
    ("IPFIX", "10"),
    ("sFlow v2", "sflow2"),
    ("sFlow v4", "sflow4"),
    ("sFlow v5", "sflow5"),
];

/// What records a capture must have for at least one of a cell's captures, by the heading of the column; a cell that
/// begins with "templates" needs none.
const RECORDS: [(&str, &[&str]); 2] =
    [("flows", &["/records/data", "/sflow/flow_samples"]), ("options data", &["/records/options"])];

/// One cell that needs evidence.
struct Cell {
    /// Section, row and column.
    place: String,
    /// The protocol that row or column are about.
    version: Option<&'static str>,
    /// Counts in the expectations of its captures, one of which must not be zero.
    records: &'static [&'static str],
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cells_of(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn version(heading: &str) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(name, _)| heading.starts_with(name)).map(|(_, version)| *version)
}

/// All cells of the sections but those of the first column and row.
fn cells(document: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut section = "";
    let mut headings = Vec::new();
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        if !line.starts_with('|') {
            headings.clear();
        } else if headings.is_empty() {
            headings = cells_of(line);
        } else if SECTIONS.contains(&section) && !line.starts_with("| ---") {
            let row = cells_of(line);
            assert_eq!(row.len(), headings.len(), "{section}: {line}");
            for (heading, text) in
                headings.iter().zip(&row).skip(1).filter(|(heading, _)| !EXPLAINING.contains(heading))
            {
                cells.push(Cell {
                    place: format!("{section}, {}, {heading}", row[0]),
                    version: version(heading).or_else(|| version(row[0])),
                    records: RECORDS.iter().find(|(column, _)| column == heading).map_or(&[], |(_, counts)| counts),
                    text: (*text).to_owned(),
                });
            }
        }
    }
    cells
}

/// The words of a cell that name evidence of a kind, such as `test:`.
fn evidence<'c>(cell: &'c Cell, kind: &str) -> Vec<&'c str> {
    let words = cell.text.split([' ', ';', ',']);
    words.filter_map(|word| word.strip_prefix(kind)).collect()
}

/// The names of all functions with `#[test]` or in `proptest!` in a folder, those of tests that wait included.
fn tests(folder: &Path, names: &mut BTreeSet<String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                let signature = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if let Some(name) = signature.filter(|_| is_test) {
                    names.insert(name.split(['(', '<']).next().unwrap().to_owned());
                    is_test = false;
                }
            }
        }
    }
}

/// What is wrong with the captures of a cell.
fn faults_of_captures(corpus: &Path, cell: &Cell, captures: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut records = captures.is_empty() || cell.records.is_empty() || cell.text.starts_with("templates");
    for case in captures {
        let Ok(expectation) = fs::read(corpus.join(format!("{case}.expected.json"))) else {
            faults.push(format!("there is no capture {case}"));
            continue;
        };
        let expectation: Value = serde_json::from_slice(&expectation).unwrap();
        let versions = expectation["datagrams"]["by_version"].as_object().unwrap();
        if let Some(version) = cell.version.filter(|version| !versions.contains_key(*version)) {
            faults.push(format!("the capture {case} has no datagram of version {version}"));
        }
        let count = |pointer: &&str| expectation.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        records |= cell.records.iter().map(count).sum::<u64>() > 0;
    }
    if !records {
        faults.push("none of the captures has such records".to_owned());
    }
    faults
}

#[test]
fn every_cell_of_the_document_has_a_capture_or_a_test() {
    let document = fs::read_to_string(root().join("docs/protocols.md")).unwrap();
    let cells = cells(&document);
    assert!(cells.len() > 200, "only {} cells", cells.len());
    let mut names = BTreeSet::new();
    for crate_folder in fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()) {
        for folder in ["src", "tests"].map(|folder| crate_folder.join(folder)).iter().filter(|folder| folder.is_dir()) {
            tests(folder, &mut names);
        }
    }
    let corpus = testing::captures();
    let mut faults = Vec::new();
    for cell in &cells {
        let (captures, tests) = (evidence(cell, "capture:"), evidence(cell, "test:"));
        if captures.is_empty() && tests.is_empty() && cell.text != ABSENT && !cell.text.starts_with(UNSUPPORTED) {
            faults.push(format!("{}: neither capture nor test, no dash and no word about it", cell.place));
        }
        let unknown =
            tests.iter().filter(|test| !names.contains(**test)).map(|test| format!("there is no test {test}"));
        let of_captures = corpus.iter().flat_map(|corpus| faults_of_captures(corpus, cell, &captures));
        faults.extend(unknown.chain(of_captures).map(|fault| format!("{}: {fault}", cell.place)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
