//! telegraf: a line of InfluxDB's protocol for each record; elements that it does not know by their number, with the
//! octets in hexadecimal.

use serde_json::{Value, json};
use wire::ElementId;
use wire::information_element::lookup;

use crate::comparison::Comparison;
use crate::record::{Record, Records};
use crate::value::octets_are;

pub(crate) fn compare(comparison: &mut Comparison, golden: &str, records: &Records) {
    let mut ours = records.0.iter();
    for line in golden.lines().filter(|line| !line.is_empty()) {
        let record = ours.next();
        let (numbered, named): (Vec<_>, Vec<_>) =
            fields(line).into_iter().partition(|(name, _)| name.starts_with("type_"));
        comparison.record(record, named);
        for (name, value) in record.into_iter().flat_map(|_| &numbered) {
            self::numbered(comparison, record.unwrap(), name, value);
        }
    }
    let left = ours.count() as u64;
    comparison.count("records", 0, left);
}

/// `netflow,tag=text name="text",name=1u time`.
fn fields(line: &str) -> Vec<(String, Value)> {
    let (tags, line) = line.split_once(' ').unwrap();
    let tags = tags.split(',').filter_map(|tag| tag.split_once('='));
    let mut fields: Vec<_> = tags.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let mut rest = line;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(text) => text.split_once('"').unwrap(),
            None => after.split_at(after.find([',', ' ']).unwrap_or(after.len())),
        };
        let number = after.len() < rest.len() && !rest[name.len() + 1..].starts_with('"');
        let value = if number { json!(value.trim_end_matches('u').parse::<u64>().unwrap()) } else { json!(value) };
        fields.push((name.to_owned(), value));
        let Some(next) = after.strip_prefix(',') else { break };
        rest = next;
    }
    fields
}

/// `type_<enterprise>_<id>` or `type_<enterprise>_rev_<id>`; the highest bit of the id may say the reverse, too.
fn numbered(comparison: &mut Comparison, record: &Record, name: &str, value: &Value) {
    if comparison.is_excluded(name) {
        return;
    }
    let parts: Vec<_> = name.split('_').collect();
    let id: u16 = parts.last().unwrap().parse().unwrap();
    // Sometimes the bit that announces an enterprise is left in the id. CERT marks reverse elements by the bit below.
    let id = id & 0x7fff | if parts.contains(&"rev") { 0x4000 } else { 0 };
    let element = ElementId { enterprise: parts[1].parse().unwrap(), id };
    let ours = record.get(lookup(element).map_or("", |element| element.name));
    let digits = value.as_str().unwrap().trim_start_matches("0x");
    if octets_are(element, digits, &ours) {
        comparison.equal(0, 1);
    } else {
        comparison.differs(name, format!("{ours} instead of {value}"));
    }
}
