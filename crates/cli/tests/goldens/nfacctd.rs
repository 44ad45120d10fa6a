//! nfacctd: what it wrote after aggregating, without any order. Records with the same key are added up on both sides.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::comparison::Comparison;
use crate::names;
use crate::record::{Record, Records};
use crate::value::Form;

/// What is added up of everything with one key: bytes, packets, and the TCP flags that occurred.
type Sum = (u64, u64, u64);

/// The columns that are no key.
const SUMMED: [&str; 3] = ["bytes", "packets", "tcp_flags"];

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let rows: Vec<Map<String, Value>> = golden.lines().map(|line| flat(serde_json::from_str(line).unwrap())).collect();
    let mut columns: Vec<_> = rows[0].keys().filter(|name| !SUMMED.contains(&name.as_str())).cloned().collect();
    columns.retain(|column| !comparison.is_excluded(column));
    let (mut theirs, mut ours) = (BTreeMap::<String, Sum>::new(), BTreeMap::<String, Sum>::new());
    for row in &rows {
        let key: Vec<_> = columns.iter().map(|column| stated(comparison, column, &row[column])).collect();
        let flags = stated(comparison, "tcp_flags", &row["tcp_flags"]).as_u64().unwrap_or(0);
        add(&mut theirs, &key, (row["bytes"].as_u64().unwrap(), row["packets"].as_u64().unwrap(), flags));
    }
    for record in records.of_kind("data") {
        let number = |name: &str| record.get(name).as_u64().unwrap();
        let key: Vec<_> = columns.iter().map(|column| decoded(comparison, column, record)).collect();
        let flags = decoded(comparison, "tcp_flags", record).as_u64().unwrap_or(0);
        add(&mut ours, &key, (number("octetDeltaCount"), number("packetDeltaCount"), flags));
    }
    comparison.equal(rows.len(), 0);
    // Some of their tests replay further captures: what they have beyond ours is not looked at.
    for (key, sum) in &ours {
        if theirs.get(key) == Some(sum) {
            comparison.equal(0, columns.len() + SUMMED.len());
        } else {
            comparison.differs("(row)", format!("{key}: {sum:?} instead of {:?}", theirs.get(key)));
        }
    }
}

fn add(sums: &mut BTreeMap<String, Sum>, key: &[Value], (bytes, packets, flags): Sum) {
    let sum = sums.entry(json!(key).to_string()).or_default();
    *sum = (sum.0 + bytes, sum.1 + packets, sum.2 | flags);
}

/// A row with its nested columns beside the others.
fn flat(mut row: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(nested)) = row.remove("custom_primitives") {
        row.extend(nested);
    }
    row
}

/// A stated value as we would print it. What a record does not carry is zero, empty or unspecified there.
fn stated(comparison: &mut Comparison, column: &str, value: &Value) -> Value {
    let (name, row) = names::of(comparison.source(), column);
    comparison.used(row);
    let value = match name.form {
        Form::Read(read) => read(value).unwrap_or_else(|| panic!("{column}: {value} is not known")),
        Form::Seconds => json!(value.as_str().unwrap().split('.').next().unwrap().parse::<u64>().unwrap()),
        _ => value.clone(),
    };
    something(value)
}

fn decoded(comparison: &Comparison, column: &str, record: &Record) -> Value {
    let (name, _) = names::of(comparison.source(), column);
    let value = record.get(name.ours);
    // The time of export is in whole seconds there, and what is taken from it is cut: the next second.
    something(if matches!(name.form, Form::Seconds) {
        json!(value.as_u64().unwrap_or(0).div_ceil(1000))
    } else {
        value
    })
}

fn something(value: Value) -> Value {
    let nothing = [json!(0), json!(""), json!("::"), json!("0.0.0.0"), json!("00:00:00:00:00:00"), json!([])];
    if nothing.contains(&value) { Value::Null } else { value }
}
