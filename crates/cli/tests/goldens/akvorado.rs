//! akvorado: the flows that its tests expect, in the order of the records; some tests look at the first ones only.

use serde_json::Value;

use crate::comparison::Comparison;
use crate::record::Records;

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    for test in golden["tests"].as_array().unwrap() {
        let mut data = records.of_kind("data");
        for flow in test["flows"].as_array().unwrap() {
            comparison.record(data.next(), flow.as_object().unwrap().clone());
        }
    }
}
