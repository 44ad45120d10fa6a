//! logstash-codec-netflow: events as JSON, each with the number of the record that it is, and single fields that its
//! tests assert.

use serde_json::Value;

use crate::comparison::Comparison;
use crate::record::Records;

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    if let Some(events) = golden["decoded_events"].as_u64() {
        comparison.count("decoded_events", events, records.0.len() as u64);
    }
    for pair in golden["compare(decoded_index,json_index)"].as_array().unwrap() {
        let (record, event) = (index(&pair[0]), index(&pair[1]));
        let event = &golden["json_events"][event]["event"];
        let fields = event.as_object().unwrap().iter().flat_map(|(name, value)| match value.as_object() {
            Some(fields) => fields.clone().into_iter().collect(),
            None => vec![(name.clone(), value.clone())],
        });
        comparison.record(records.0.get(record), fields);
    }
    for assertion in golden["asserts"].as_array().unwrap() {
        let Some(record) = records.0.get(index(&assertion["decoded_index"])) else { continue };
        let name = assertion["field"].as_str().unwrap();
        let name = name.strip_prefix("[netflow][").and_then(|name| name.strip_suffix(']')).unwrap();
        comparison.field(record, name, &assertion["value"]);
    }
}

fn index(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
