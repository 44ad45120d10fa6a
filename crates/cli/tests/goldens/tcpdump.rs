//! tcpdump -v: text for people. A line for a sample, then lines of words with a number after each, below the name of
//! the structure that they are from.

use serde_json::{Value, json};

use crate::comparison::Comparison;
use crate::record::Records;

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let mut ours = records.0.iter().filter(|record| record.0["protocol"] == "sflow-v5");
    let mut datagram = Vec::new();
    let mut sample: Vec<(String, Value)> = Vec::new();
    let mut structure = String::new();
    let mut compare = |sample: &mut Vec<_>| {
        if !sample.is_empty() {
            comparison.record(ours.next(), std::mem::take(sample));
        }
    };
    for line in golden.lines() {
        let text = line.trim();
        if let Some((_, header)) = text.split_once("sFlowv5, IPv4 ") {
            compare(&mut sample);
            datagram = words(header, "datagram ");
        } else if text.contains("sample (") {
            compare(&mut sample);
            sample.clone_from(&datagram);
            sample.extend(words(text.split_once(", ").unwrap().1, ""));
        } else if let Some((_, heading)) = text.split_once("enterprise 0") {
            let name = heading.trim_start_matches([',', ' ']).split(" (").next().unwrap();
            structure = format!("{name}/");
        } else if line.starts_with("\t      ") {
            let (way, rest) =
                ["In ", "Out "].iter().find_map(|way| Some((*way, text.strip_prefix(way)?))).unwrap_or(("", text));
            sample.extend(words(rest, &format!("{structure}{way}")));
        }
    }
    compare(&mut sample);
    let left = ours.count() as u64;
    comparison.count("samples", 0, left);
}

/// `name 1, other name 2 (word)` as names and values.
fn words(text: &str, prefix: &str) -> Vec<(String, Value)> {
    let items = text.split(", ").filter_map(|item| {
        let (name, value) = item.split(" (").next()?.rsplit_once(' ')?;
        let value = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
        Some((format!("{prefix}{name}"), value))
    });
    items.collect()
}
