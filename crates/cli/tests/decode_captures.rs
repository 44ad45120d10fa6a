//! `netflow decode --summary` on every third-party capture, by the real binary, against the numbers that other decoders
//! agreed on. Prints a table of what differs.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// All expectation files, sorted.
fn expectations(corpus: &Path) -> Vec<PathBuf> {
    let sources = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut files: Vec<PathBuf> = sources
        .flat_map(|source| fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.to_string_lossy().ends_with(".expected.json"))
        .collect();
    files.sort();
    files
}

fn summary(capture: &Path) -> Result<Value, String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_netflow")).args(["decode", "--summary"]).arg(capture).output().unwrap();
    // None of its datagrams is of an export protocol; the summary is printed all the same.
    let is_foreign = output.status.code() == Some(4) && !output.stdout.is_empty();
    if !output.status.success() && !is_foreign {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// What of a summary is not as expected.
fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |name: &str, expected: &Value, actual: &Value| {
        if expected != actual {
            differences.push(format!("{name}: {actual} instead of {expected}"));
        }
    };
    for pointer in [
        "/datagrams",
        "/exporters",
        "/templates/data_announced",
        "/templates/options_announced",
        "/templates/withdrawals",
        "/missing_template/sets",
        "/missing_template/bytes",
    ] {
        compare(pointer, at(expected, pointer), at(actual, pointer));
    }
    for pointer in ["/records/data", "/records/options", "/sum/octets", "/sum/packets"] {
        // Sets that came before their template are decoded when it comes.
        let kept = expected.pointer(&format!("/if_kept_until_template_comes{pointer}"));
        compare(pointer, kept.unwrap_or_else(|| at(expected, pointer)), at(actual, pointer));
    }
    if expected.get("if_kept_until_template_comes").is_none() {
        let pointer = "/records/data_with_bytes_and_packets";
        compare(pointer, at(expected, pointer), at(actual, pointer));
        // The expectation names the counters of IANA that matter; further ones are ours alone.
        let actual = numbered(actual);
        for (element, sum) in numbered(expected) {
            compare(&format!("/sums_by_field/{element}"), &sum, actual.get(&element).unwrap_or(&Value::Null));
        }
    }
    for (stream, sequence) in at(expected, "/sequence").as_object().unwrap() {
        // What is expected does not distinguish source ports.
        let of_port = format!("{stream} port ");
        let of_ports = actual["sequence"].as_object().unwrap().iter().filter(|(name, _)| name.starts_with(&of_port));
        let datagrams: Vec<u64> = of_ports.filter_map(|(_, sequence)| sequence["datagrams"].as_u64()).collect();
        if !datagrams.is_empty() {
            let sum = Value::from(datagrams.iter().sum::<u64>());
            compare(&format!("{stream}: datagrams"), &sequence["datagrams"], &sum);
            continue;
        }
        for name in ["datagrams", "first", "last", "breaks"] {
            compare(&format!("{stream}: {name}"), &sequence[name], &actual["sequence"][stream][name]);
        }
    }
    let malformed = |value: &Value| Value::from(!at(value, "/malformed").as_array().unwrap().is_empty());
    compare("/malformed", &malformed(expected), &malformed(actual));
    for name in ["flow_samples", "sum_frame_length", "sum_frame_length_x_rate"] {
        let pointer = format!("/sflow/{name}");
        if let Some(samples) = expected.pointer(&pointer).filter(|samples| **samples != 0) {
            compare(&pointer, samples, at(actual, &pointer));
        }
    }
    differences
}

fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// Sums by the number of the element; the names that others gave them differ.
fn numbered(value: &Value) -> BTreeMap<String, Value> {
    let sums = at(value, "/sums_by_field").as_object().unwrap();
    sums.iter().map(|(name, sum)| (name.rsplit_once(' ').unwrap().1.to_owned(), sum.clone())).collect()
}

#[test]
fn every_capture_decodes_to_the_expected_totals() {
    let Some(corpus) = testing::captures() else { return };
    let mut by_version: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in expectations(&corpus) {
        let expected: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let versions: Vec<&str> =
            expected["datagrams"]["by_version"].as_object().unwrap().keys().map(String::as_str).collect();
        let capture = path.with_file_name(expected["capture"].as_str().unwrap());
        let differences = match summary(&capture) {
            Ok(actual) => differences(&expected, &actual),
            Err(error) => vec![error],
        };
        let (equal, all) = by_version.entry(versions.join("+")).or_default();
        *all += 1;
        *equal += u32::from(differences.is_empty());
        if !differences.is_empty() {
            let case = expected["case"].as_str().unwrap();
            wrong.push(format!("{case} ({})\n    {}", versions.join("+"), differences.join("\n    ")));
        }
    }
    println!("version        equal  captures");
    for (versions, (equal, all)) in &by_version {
        println!("{versions:<14} {equal:>5} {all:>9}");
    }
    assert!(wrong.is_empty(), "{} captures differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(by_version.values().map(|(_, all)| all).sum::<u32>() > 100, "only few captures found");
}
