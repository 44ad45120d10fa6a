//! NetGauze: a line of JSON for each message, with all its sets and every field of their records.

use serde_json::Value;

use crate::comparison::Comparison;
use crate::record::Records;

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let mut ours = records.0.iter();
    for line in golden.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let message = message.as_object().unwrap().values().next().unwrap();
        for set in message["sets"].as_array().unwrap() {
            for record in set["Data"]["records"].as_array().into_iter().flatten() {
                let stated =
                    header(message).chain([("id".to_owned(), set["Data"]["id"].clone())]).chain(fields(record));
                comparison.record(ours.next(), stated);
            }
        }
    }
    comparison.count("records", 0, ours.count() as u64);
}

/// The header of the message: everything but its sets.
fn header(message: &Value) -> impl Iterator<Item = (String, Value)> {
    message.as_object().unwrap().clone().into_iter().filter(|(name, _)| name != "sets")
}

/// Scope fields, then fields.
fn fields(record: &Value) -> impl Iterator<Item = (String, Value)> {
    let parts = ["scope_fields", "fields"].into_iter();
    let fields = parts.flat_map(|part| record[part].as_array().unwrap());
    fields.flat_map(|field| field.as_object().unwrap().clone())
}
