//! docs/cookbook.md: all commands are run as written, with a collector and with nfcapd, to which the same datagrams are sent. What
//! both answer is compared with sums over the flows that nfdump lists, and these with what was sent.
//!
//! NETFLOW_BLESS=1 writes the answers into the document.

mod expected;
mod sent;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::collector::{Collector, PATIENCE};
use expected::{Sums, expected, of_netflow, of_nfdump};
use sent::{Flow, Sent};

/// A block of the document: its language, and its text.
struct Block {
    language: String,
    text: String,
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/cookbook.md")
}

fn blocks(document: &str) -> Vec<Block> {
    let parts = document.split("\n```").skip(1).step_by(2);
    let block = |part: &str| part.split_once('\n').map(|(language, text)| (language.to_owned(), text.to_owned()));
    parts.filter_map(block).map(|(language, text)| Block { language, text }).collect()
}

/// Runs lines as an operator would, in the directory of the collector or in that of nfcapd; returns what they print.
fn shell(sent: &Sent, lines: &str) -> String {
    let is_nfdump = lines.contains("nfdump ");
    let collector = &sent.collector;
    let netflow = format!("netflow() {{ {} \"$@\"; }}\n", env!("CARGO_BIN_EXE_netflow"));
    let hour = "HOUR=nfcapd.$(date -u -d yesterday +%Y%m%d)1400\n";
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{netflow}{hour}{lines}")])
        .current_dir(if is_nfdump { sent.nfcapd.path() } else { collector.path() })
        .env("NETFLOW_URL", format!("http://{}", collector.serving))
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(output.status.success(), "{lines}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The words of the first line, without those that depend on the day.
fn heading(text: &str) -> Vec<&str> {
    let words = text.lines().next().unwrap_or_default().split_whitespace();
    words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit())).collect()
}

/// The first paragraph of an answer.
fn beginning(answer: &str) -> &str {
    answer.trim_end().split("\n\n").next().unwrap_or_default()
}

/// Replaces the answers in the document, in their order.
fn bless(answers: &[String]) {
    let text = fs::read_to_string(document()).unwrap();
    let mut parts = text.split("\n```text\n");
    let mut blessed = parts.next().unwrap().to_owned();
    for (part, answer) in parts.zip(answers) {
        let (_, after) = part.split_once("\n```\n").unwrap();
        blessed.push_str(&format!("\n```text\n{answer}\n```\n{after}"));
    }
    fs::write(document(), blessed).unwrap();
}

#[test]
fn the_ten_questions_of_the_cookbook_are_answered_as_it_shows() {
    let sent = Sent::before_today();
    let blocks = blocks(&fs::read_to_string(document()).unwrap());
    let shown = |index: usize| blocks.get(index + 1).filter(|next| next.language == "text");
    let mut answers = Vec::new();
    // The first block registers routers, which has been done; a generated load would be of today.
    for (index, block) in blocks.iter().enumerate().skip(1).filter(|(_, block)| block.language == "sh") {
        let answer = shell(&sent, &block.text);
        if let Some(shown) = shown(index) {
            answers.push(beginning(&answer).to_owned());
            let is_same = heading(&shown.text) == heading(&answer) || std::env::var_os("NETFLOW_BLESS").is_some();
            assert!(is_same, "{}\n{answer}\ninstead of\n{}", block.text, shown.text);
        }
    }
    if std::env::var_os("NETFLOW_BLESS").is_some() {
        bless(&answers);
    }
    let lines: Vec<&str> =
        blocks.iter().filter(|block| block.language == "sh").flat_map(|block| block.text.lines()).collect();
    let mut compared = BTreeMap::<&str, usize>::new();
    for line in lines {
        let Some(expected) = expected(line, &sent.flows) else { continue };
        assert!(expected.iter().any(|(_, [octets, ..])| *octets > 0), "{line}: nothing is expected");
        if line.starts_with("nfdump ") {
            assert_eq!(
                of_nfdump(line, |line| shell(&sent, line)),
                expected.iter().map(|(_, of)| of[0]).collect::<Vec<_>>(),
                "{line}"
            );
            *compared.entry("nfdump").or_default() += 1;
        } else {
            assert_eq!(of_netflow(line, |line| shell(&sent, line)), expected, "{line}");
            *compared.entry("netflow").or_default() += 1;
        }
    }
    assert_eq!(compared, BTreeMap::from([("netflow", 10), ("nfdump", 7)]));
    bills(&sent);
    files(&sent);
    let lost = "netflow curl GET /exporters | jq -c '[.[].arrivals[] | [.unit, .lost]]'";
    let lost: Value = serde_json::from_str(&shell(&sent, lost)).unwrap();
    let number = |unit: &str| {
        lost.as_array().unwrap().iter().filter(|of| of[0] == unit).map(|of| of[1].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((number("records"), number("datagrams")), (sent::LOST, 0), "{lost}");
}

/// The month of a customer has the bytes of its flows, and its percentile is that of one of its samples.
fn bills(sent: &Sent) {
    for (prefix, own) in [("192.0.2.0/25", 0..=127), ("192.0.2.128/25", 128..=255)] {
        let bill = format!("netflow billing all {prefix} --month \"$(date -u -d yesterday +%Y-%m)\" --json");
        let bill: Value = serde_json::from_str(&shell(sent, &bill)).unwrap();
        let month = bill["month"].as_str().unwrap();
        let mut samples = BTreeMap::<u64, u64>::new();
        for flow in sent.flows.iter().filter(|flow| {
            flow.month == month && flow.own_host(&flow.destination).is_some_and(|host| own.contains(&host))
        }) {
            *samples.entry(flow.minute / 5).or_default() += flow.octets;
        }
        assert_eq!(bill["in"]["bytes"], samples.values().sum::<u64>(), "{bill:#}");
        let percentile = bill["in"]["percentile95BitsPerSecond"].as_u64().unwrap();
        assert!(samples.values().any(|octets| octets * 8 / 300 == percentile), "{percentile}: {samples:?}");
    }
}

/// The files that were written have all flows of yesterday.
fn files(sent: &Sent) {
    let of_yesterday: Vec<&Flow> = sent.flows.iter().filter(|flow| flow.is_of_yesterday).collect();
    let octets = of_yesterday.iter().map(|flow| flow.octets).sum::<u64>();
    let path = sent.collector.path();
    let sums: Sums =
        crate::flows_command::sums_of_parquet(&path.join("yesterday.parquet"), "exporter_v4").into_iter().collect();
    assert_eq!(sums.iter().map(|(_, [octets, ..])| octets).sum::<u64>(), octets);
    let incoming = of_yesterday
        .iter()
        .filter(|flow| flow.own_host(&flow.destination).is_some())
        .map(|flow| flow.octets)
        .sum::<u64>();
    assert_eq!(column(&path.join("protocols.csv"), 1), incoming);
    assert!(column(&path.join("pairs.csv"), 2) <= octets);
    let flows = fs::read_to_string(sent.nfcapd.path().join("flows.csv")).unwrap();
    assert_eq!(flows.lines().filter(|line| line.starts_with("20")).count(), of_yesterday.len());
    let sql = fs::read_to_string(document()).unwrap();
    let (_, sql) = sql.split_once("```sql\n").unwrap();
    let (sql, _) = sql.split_once("\n```").unwrap();
    by_duckdb(path, sql.trim_end_matches(';'), &of_yesterday);
}

/// If NETFLOW_DUCKDB is a Python that has DuckDB.
fn by_duckdb(directory: &Path, sql: &str, flows: &[&Flow]) {
    let Ok(python) = std::env::var("NETFLOW_DUCKDB") else { return };
    let script = format!(
        "import duckdb, json; print(json.dumps([[int(n) for n in row] for row in duckdb.sql(\"\"\"{sql}\"\"\").fetchall()]))"
    );
    let output = Command::new(python).args(["-c", &script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<(u16, u64)> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows.len(), 5);
    for (port, octets) in rows {
        assert_eq!(
            flows.iter().filter(|flow| flow.destination_port == port).map(|flow| flow.octets).sum::<u64>(),
            octets,
            "{port}"
        );
    }
}

/// The sum of a column of a CSV file.
fn column(file: &Path, number: usize) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(number).unwrap().parse::<u64>().unwrap()).sum()
}

/// Waits until a command of a collector prints a number.
fn wait_for(collector: &Collector, arguments: &[&str], pointer: &str, number: u64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (printed, errors, _) = collector.command(arguments);
        let answer: Value = serde_json::from_str(&printed).unwrap_or_default();
        if answer.pointer(pointer) == Some(&number.into()) {
            return;
        }
        assert!(Instant::now() < end, "{arguments:?}: {:?} instead of {number}: {errors}", answer.pointer(pointer));
        std::thread::yield_now();
    }
}
