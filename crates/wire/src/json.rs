//! A record as one JSON object (RFC 8259), for `netflow decode` and `netflow tap`.
//!
//! | value | in JSON |
//! | --- | --- |
//! | integers | numbers, all 64 bits exact |
//! | floats | numbers; `"NaN"`, `"Infinity"` and `"-Infinity"`, for which JSON has no number |
//! | addresses, MAC addresses | strings as operators write them |
//! | times | strings of RFC 3339, in UTC, with as many digits as they need |
//! | strings | strings; octets that are not UTF-8 become U+FFFD, control characters are escaped |
//! | octets | strings of hexadecimal digits |
//! | lists | arrays of objects, one for each item |
//!
//! A field that a record has several times is one array, in wire order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Display, Write as _};
use std::ops::Range;

use flow::{Counters, Fate, FlowFate, FlowRecord};

use crate::record::{ElementId, Field, FieldName, Fields, List, Record, RecordKind, Value};

/// Appends the record as one object on one line, without a line feed.
pub fn write_json(record: &Record<'_>, out: &mut String) {
    let message = record.message;
    let mut object = Object::open(out);
    object.text("protocol", message.protocol);
    // A message of a file comes from no address.
    if !message.exporter.address.is_unspecified() {
        object.text("exporter", message.exporter.address);
        object.plain("port", message.exporter.port);
    }
    object.plain("domain", message.domain);
    object.plain("sequence", message.sequence);
    object.text("received", message.received);
    object.text("exported", message.exported);
    if let Some(uptime) = message.uptime {
        object.plain("uptime", uptime);
    }
    object.text("kind", kind_name(record.kind));
    if let Some(format) = record.format {
        object.plain("template", format);
    }
    let fields = Grouped::of(record.content);
    if fields.has(true) {
        fields.write(true, object.value("scope"));
    }
    fields.write(false, object.value("fields"));
    if record.kind == RecordKind::NoIpHeader {
        object.text("notCounted", FlowFate::NoIpHeader.name());
    } else if let Some(flow) = record.flow {
        write_flow(flow, record.icmp(), object.value("flow"));
    }
    object.close();
}

/// Appends the fields of a record as one object: those of its scope, or the others.
pub fn write_fields(record: &Record<'_>, scope: bool, out: &mut String) {
    Grouped::of(record.content).write(scope, out);
}

const fn kind_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Data | RecordKind::NoIpHeader => "data",
        RecordKind::Options => "options",
        RecordKind::Counters => "counters",
        RecordKind::Drop => "drop",
    }
}

/// What accounting sees of the record.
fn write_flow(flow: &FlowRecord, icmp: Option<(u8, u8)>, out: &mut String) {
    let mut object = Object::open(out);
    let (source_port, destination_port) = flow.ports();
    object.text("source", flow.source);
    object.text("destination", flow.destination);
    object.plain("protocol", flow.protocol);
    object.plain("sourcePort", source_port);
    object.plain("destinationPort", destination_port);
    if let Some((kind, code)) = icmp {
        object.plain("icmpType", kind);
        object.plain("icmpCode", code);
    }
    object.plain("sourceAs", flow.source_as);
    object.plain("destinationAs", flow.destination_as);
    object.plain("inputInterface", flow.input_interface);
    object.plain("outputInterface", flow.output_interface);
    object.counters(flow.forward);
    if !flow.reverse.is_zero() {
        let mut reverse = Object::open(object.value("reverse"));
        reverse.counters(flow.reverse);
        reverse.close();
    }
    let mut sampling = Object::open(object.value("sampling"));
    sampling.plain("rate", flow.sampling.rate);
    if flow.sampling.flows > 1 {
        sampling.plain("flows", flow.sampling.flows);
    }
    sampling.text("source", flow.sampling.source.name());
    sampling.close();
    object.close();
}

/// An object while it is written.
struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> Object<'o> {
    fn open(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Where to write the value of this key. Keys need no escaping: they are ours, from the registry, or descriptions,
    /// which are restricted to plain letters.
    fn value(&mut self, key: impl Display) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        append(self.out, format_args!("\"{key}\":"));
        self.out
    }

    /// A value whose text is valid JSON.
    fn plain(&mut self, key: &str, value: impl Display) {
        append(self.value(key), format_args!("{value}"));
    }

    /// A string that needs no escaping.
    fn text(&mut self, key: &str, value: impl Display) {
        append(self.value(key), format_args!("\"{value}\""));
    }

    fn counters(&mut self, counters: Counters) {
        self.plain("bytes", counters.bytes);
        self.plain("packets", counters.packets);
        self.plain("flows", counters.flows);
    }

    fn close(self) {
        self.out.push('}');
    }
}

/// Fields by name, names in the order of their first appearance; scope fields and others apart.
#[derive(Default)]
struct Grouped {
    /// The values as JSON, concatenated.
    json: String,
    names: Vec<Name>,
    by_name: HashMap<(bool, Key), usize>,
}

/// A name and where its values are.
struct Name {
    scope: bool,
    key: Key,
    values: Vec<Range<usize>>,
}

/// What makes two names one key of the object: elements of two enterprises may have the same name.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Text(&'static str),
    Described(Box<str>),
    Number(ElementId),
}

impl Key {
    fn of(name: FieldName<'_>) -> Self {
        match name {
            FieldName::Element(_, text) | FieldName::Named(text) => Self::Text(text),
            FieldName::Described(_, text) => Self::Described(text.into()),
            FieldName::Unknown(element) => Self::Number(element),
        }
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Described(text) => f.write_str(text),
            Self::Number(element) => FieldName::Unknown(*element).fmt(f),
        }
    }
}

impl Grouped {
    fn of(fields: &dyn Fields) -> Self {
        let mut grouped = Self::default();
        fields.visit(&mut |field| grouped.add(field));
        grouped
    }

    fn add(&mut self, field: &Field<'_>) {
        let start = self.json.len();
        write_value(&field.value, &mut self.json);
        let range = start..self.json.len();
        let key = Key::of(field.name);
        match self.by_name.entry((field.scope, key.clone())) {
            Entry::Occupied(place) => {
                if let Some(name) = self.names.get_mut(*place.get()) {
                    name.values.push(range);
                }
            }
            Entry::Vacant(place) => {
                place.insert(self.names.len());
                self.names.push(Name { scope: field.scope, key, values: vec![range] });
            }
        }
    }

    fn has(&self, scope: bool) -> bool {
        self.names.iter().any(|name| name.scope == scope)
    }

    fn write(&self, scope: bool, out: &mut String) {
        let mut object = Object::open(out);
        for Name { key, values, .. } in self.names.iter().filter(|name| name.scope == scope) {
            let out = object.value(key);
            let texts = values.iter().filter_map(|range| self.json.get(range.clone()));
            if values.len() == 1 {
                out.extend(texts);
            } else {
                write_array(texts, out, |text, out| out.push_str(text));
            }
        }
        object.close();
    }
}

fn write_array<T>(items: impl Iterator<Item = T>, out: &mut String, write: impl Fn(T, &mut String)) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

fn write_value(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Unsigned(value) => append(out, format_args!("{value}")),
        Value::Signed(value) => append(out, format_args!("{value}")),
        Value::Float(value) => write_float(*value, out),
        Value::Boolean(value) => append(out, format_args!("{value}")),
        Value::Mac([a, b, c, d, e, f]) => {
            append(out, format_args!("\"{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}\""));
        }
        Value::Ipv4(address) => append(out, format_args!("\"{address}\"")),
        Value::Ipv6(address) => append(out, format_args!("\"{address}\"")),
        Value::Time(time) => append(out, format_args!("\"{time}\"")),
        Value::Text(octets) => write_text(octets, out),
        Value::Octets(octets) => {
            out.push('"');
            octets.iter().for_each(|octet| append(out, format_args!("{octet:02x}")));
            out.push('"');
        }
        Value::List(list) => write_list(*list, out),
    }
}

fn write_float(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    } else {
        append(out, format_args!("{value:?}"));
    }
}

/// All control characters are escaped, those beyond ASCII too: a terminal may act on them.
fn write_text(octets: &[u8], out: &mut String) {
    out.push('"');
    for character in octets.utf8_chunks().flat_map(|chunk| {
        let broken = if chunk.invalid().is_empty() { None } else { Some(char::REPLACEMENT_CHARACTER) };
        chunk.valid().chars().chain(broken)
    }) {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => append(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn write_list(list: &dyn List, out: &mut String) {
    out.push('[');
    let mut first = true;
    list.visit(&mut |item| {
        if !first {
            out.push(',');
        }
        first = false;
        Grouped::of(item).write(false, out);
    });
    out.push(']');
}

/// Writing to a string cannot fail.
fn append(out: &mut String, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests;
