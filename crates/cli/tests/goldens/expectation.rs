//! The corpus' own expectations: every field of every options record, as the octets on the wire in hexadecimal.

use serde_json::Value;
use wire::ElementId;
use wire::information_element::lookup;

use crate::comparison::Comparison;
use crate::record::Records;
use crate::value::octets_are;

/// Whether the expectation has any options record.
pub(crate) fn has_options(golden: &str) -> bool {
    let golden: Value = serde_json::from_str(golden).unwrap();
    !golden["option_records"].as_array().unwrap().is_empty()
}

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let mut ours = records.of_kind("options");
    for stated in golden["option_records"].as_array().unwrap() {
        let Some(record) = ours.next() else {
            comparison.differs("(record)", "there is no such options record".to_owned());
            continue;
        };
        comparison.equal(1, 0);
        for (name, pointer) in [("domain", "/domain"), ("template", "/template")] {
            let ours = record.get(pointer);
            if ours == stated[name] { comparison.equal(0, 1) } else { comparison.differs(name, ours.to_string()) }
        }
        for (number, octets) in stated["fields"].as_object().unwrap() {
            let octets = octets.as_str().unwrap();
            let (element, ours) = match number.strip_prefix("scope") {
                Some(scope) => scope_field(scope, &record.0["scope"]),
                None => {
                    let element = element(number);
                    let name = lookup(element).map_or("", |element| element.name);
                    (element, record.get(name))
                }
            };
            if octets_are(element, octets, &ours) {
                comparison.equal(0, 1);
            } else {
                comparison.differs(number, format!("{ours} instead of {octets}"));
            }
        }
    }
    let left = ours.count() as u64;
    comparison.count("options records", 0, left);
}

/// `id` or `enterprise/id`.
fn element(number: &str) -> ElementId {
    let (enterprise, id) = number.split_once('/').unwrap_or(("0", number));
    ElementId { enterprise: enterprise.parse().unwrap(), id: id.parse().unwrap() }
}

/// A scope of NetFlow v9 (RFC 3954, section 6.1), whose types are no elements: a number as far as eight octets go.
fn scope_field(scope: &str, ours: &Value) -> (ElementId, Value) {
    let name = match scope {
        "1" => "scopeSystem",
        "2" => "scopeInterface",
        "3" => "scopeLineCard",
        "4" => "scopeCache",
        _ => "scopeTemplate",
    };
    // Any element that is an unsigned number is read alike.
    (ElementId { enterprise: 0, id: 1 }, ours[name].clone())
}
