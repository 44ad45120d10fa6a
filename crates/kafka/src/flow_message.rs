//! The protobuf message of a flow: `FlowMessage` as goflow2 publishes it, for the columns that it has. Its readers skip what they
//! do not know: the identity of the flow (fields 1000 to 1003), and all other columns (from 1100).
//!
//! Source: `pb/flow.proto` of goflow2, field numbers in the table of columns. Counters are as sent, not multiplied by the
//! sampling rate, as there.

use std::fmt::Write;
use std::net::IpAddr;

use columns::{COLUMNS, COUNT, Column, Columns, Id, Kind, Row};
use flow::Country;

use crate::identity::Identity;
use crate::varint;

const WRITER: u32 = 1000;
const EPOCH: u32 = 1001;
const FLUSH: u32 = 1002;
const INDEX: u32 = 1003;

/// The field of the first column; that of a column which goflow2 does not have is its place in the table behind it.
const FIRST_COLUMN: u32 = 1100;

/// goflow2's field for the protocol of the datagram.
const TYPE: u32 = 1;

const NANOSECONDS: u64 = 1_000_000;

/// Wire types of protobuf.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const OCTETS: u32 = 2;

/// The number of the field of a column.
#[must_use]
pub const fn field(column: &Column) -> u32 {
    match column.protobuf {
        Some(field) => field,
        None => FIRST_COLUMN + column.id as u32,
    }
}

/// What differs from flow to flow. It is written first: what is alike is then side by side, where it compresses faster.
const VARYING: Columns = Columns::of(&[
    Id::Received,
    Id::Bytes,
    Id::Packets,
    Id::SrcIp,
    Id::DstIp,
    Id::SrcPort,
    Id::DstPort,
    Id::Proto,
    Id::SrcAs,
    Id::DstAs,
    Id::Start,
    Id::End,
    Id::TcpFlags,
]);

/// Appends the message of a flow.
pub fn write(row: &Row, identity: &Identity, out: &mut Vec<u8>) {
    let (varying, alike) = row.columns().split(VARYING);
    number(INDEX, identity.index, out);
    for id in varying.iter().chain(alike.iter()) {
        if let Some(field) = FIELDS.get(id as usize) {
            field.write(row, id, out);
        }
    }
    number(TYPE, protocol(row.number(Id::Version)), out);
    tag(WRITER, FIXED64, out);
    out.extend_from_slice(&identity.writer.0.to_le_bytes());
    number(EPOCH, identity.flush.epoch.into(), out);
    number(FLUSH, identity.flush.sequence, out);
}

/// A number; none for 0.
fn number(field: u32, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        tag(field, VARINT, out);
        varint::unsigned(number, out);
    }
}

fn tag(field: u32, wire_type: u32, out: &mut Vec<u8>) {
    varint::unsigned(u64::from(field << 3 | wire_type), out);
}

/// How a column is written.
#[derive(Clone, Copy)]
struct Field {
    /// The tag, a varint: the second octet is 0 if it has only one.
    tag: [u8; 2],
    form: Form,
}

/// What becomes of the value of a column.
#[derive(Clone, Copy)]
enum Form {
    Number,
    /// From milliseconds.
    Nanoseconds,
    Country,
    Address,
    AsPath,
}

/// By column. The table of columns itself is too large for the caches of a processor.
static FIELDS: [Field; COUNT] = {
    let mut fields = [Field { tag: [0; 2], form: Form::Number }; COUNT];
    let mut columns: &[Column] = &COLUMNS;
    let mut rest: &mut [Field] = &mut fields;
    while let ([column, others @ ..], [place, places @ ..]) = (columns, rest) {
        *place = Field::of(column);
        (columns, rest) = (others, places);
    }
    fields
};

impl Field {
    const fn of(column: &Column) -> Self {
        let (form, wire_type) = match column.kind {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 | Kind::Mac => (Form::Number, VARINT),
            Kind::Time if column.protobuf.is_some() => (Form::Nanoseconds, VARINT),
            Kind::Time => (Form::Number, VARINT),
            Kind::Country => (Form::Country, OCTETS),
            Kind::Address => (Form::Address, OCTETS),
            Kind::AsPath => (Form::AsPath, OCTETS),
        };
        let tag = field(column) << 3 | wire_type;
        assert!(tag < 1 << 14, "two octets");
        let tag = if tag < 0x80 { [tag as u8, 0] } else { [tag as u8 | 0x80, (tag >> 7) as u8] };
        Self { tag, form }
    }

    #[inline]
    fn write(self, row: &Row, id: Id, out: &mut Vec<u8>) {
        match self.form {
            Form::Number => self.number(row.number(id), out),
            Form::Nanoseconds => self.number(row.number(id).saturating_mul(NANOSECONDS), out),
            Form::Country => {
                if let Some(country) = Country::of_number(row.number(id) as u16) {
                    self.octets(country.to_string().as_bytes(), out);
                }
            }
            Form::Address => match row.address(id) {
                IpAddr::V4(address) if address.is_unspecified() => {}
                IpAddr::V4(address) => self.octets(&address.octets(), out),
                IpAddr::V6(address) => self.octets(&address.octets(), out),
            },
            Form::AsPath => {
                if let Some(path) = row.text(id) {
                    self.octets(&as_path(path), out);
                }
            }
        }
    }

    /// A number; none for 0, as proto3 has it.
    #[inline]
    fn number(self, number: u64, out: &mut Vec<u8>) {
        if number != 0 {
            self.tag(out);
            varint::unsigned(number, out);
        }
    }

    #[inline]
    fn octets(self, octets: &[u8], out: &mut Vec<u8>) {
        self.tag(out);
        varint::unsigned(octets.len() as u64, out);
        out.extend_from_slice(octets);
    }

    #[inline]
    fn tag(self, out: &mut Vec<u8>) {
        match self.tag {
            [tag, 0] => out.push(tag),
            tag => out.extend_from_slice(&tag),
        }
    }
}

/// The AS numbers of a path, those of a set one after the other, as goflow2's packed list.
fn as_path(path: &str) -> Vec<u8> {
    let mut numbers = Vec::with_capacity(path.len());
    for word in path.split(|it: char| !it.is_ascii_digit()).filter_map(|word| word.parse().ok()) {
        varint::unsigned(word, &mut numbers);
    }
    numbers
}

/// goflow2's number of a protocol, from the column `version`; 0 for those that it does not have.
const fn protocol(version: u64) -> u64 {
    match version {
        25 => 1,
        5 => 2,
        9 => 3,
        10 => 4,
        _ => 0,
    }
}

/// The message as a `.proto` file, for consumers.
#[must_use]
pub fn proto() -> String {
    let mut text = String::from(HEAD);
    let mut columns: Vec<&Column> = COLUMNS.iter().collect();
    columns.sort_by_key(|column| field(column));
    let own = columns.partition_point(|column| field(column) < WRITER);
    for column in columns.get(..own).unwrap_or_default() {
        line(column, &mut text);
    }
    text.push_str(IDENTITY);
    for column in columns.get(own..).unwrap_or_default() {
        line(column, &mut text);
    }
    text.push_str("}\n");
    text
}

const HEAD: &str = "\
// The message of a flow in Kafka. Written by `netflow` from its table of columns: docs/columns.md has what they mean.
// Fields below 1000 have the numbers and types of goflow2's FlowMessage.
syntax = \"proto3\";

package netflow;

message FlowMessage {
  enum FlowType {
    FLOWUNKNOWN = 0;
    SFLOW_5 = 1;
    NETFLOW_V5 = 2;
    NETFLOW_V9 = 3;
    IPFIX = 4;
  }
  FlowType type = 1;
";

const IDENTITY: &str = "
  // The identity of the flow: the same when it is sent again.
  fixed64 writer = 1000;
  uint32 epoch = 1001;
  uint64 flush = 1002;
  uint64 index = 1003;

";

fn line(column: &Column, text: &mut String) {
    let kind = match column.kind {
        Kind::U8 | Kind::U16 | Kind::U32 => "uint32",
        Kind::U64 | Kind::Time | Kind::Mac => "uint64",
        Kind::Address => "bytes",
        Kind::Country => "string",
        Kind::AsPath => "repeated uint32",
    };
    let unit = match column.kind {
        Kind::Time if column.protobuf.is_some() => "; in nanoseconds",
        Kind::Time => "; in milliseconds",
        _ => "",
    };
    // Writing to a string does not fail.
    _ = writeln!(
        text,
        "  {kind} {} = {}; // {}{unit}",
        column.name,
        field(column),
        column.meaning.trim_end_matches('.')
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flow::{FlushNumber, WriterId};

    use super::*;

    const IDENTITY: Identity =
        Identity { writer: WriterId(0x0102_0304_0506_0708), flush: FlushNumber { epoch: 7, sequence: 300 }, index: 5 };

    /// The identity: the index at the beginning, and the rest at the end.
    const INDEX_OCTETS: [u8; 3] = [0xd8, 0x3e, 5];
    const FLUSH_OCTETS: [u8; 17] = [0xc1, 0x3e, 8, 7, 6, 5, 4, 3, 2, 1, 0xc8, 0x3e, 7, 0xd0, 0x3e, 0xac, 0x02];

    #[test]
    fn a_message_has_goflow2s_fields_and_the_identity() {
        let mut row = Row::new();
        row.set(Id::Bytes, 1500);
        row.set(Id::Version, 9);
        row.set_address(Id::SrcIp, [192, 0, 2, 1].into());
        row.set(Id::Received, 1000);
        let mut out = Vec::new();
        write(&row, &IDENTITY, &mut out);
        let contains = |part: &[u8]| out.windows(part.len()).any(|window| window == part);
        assert!(contains(&[9 << 3, 0xdc, 0x0b]), "bytes, field 9: {out:?}");
        assert!(contains(&[6 << 3 | 2, 4, 192, 0, 2, 1]), "src_addr, field 6: {out:?}");
        assert!(contains(&[1 << 3, 3]), "type, field 1: {out:?}");
        assert!(contains(&[0xf0, 0x06, 0x80, 0x94, 0xeb, 0xdc, 0x03]), "time_received_ns, field 110: {out:?}");
        assert!(out.starts_with(&INDEX_OCTETS) && out.ends_with(&FLUSH_OCTETS), "{out:?}");
    }

    #[test]
    fn the_document_is_up_to_date() {
        let checked_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flow.proto");
        assert!(
            std::fs::read_to_string(checked_in).unwrap() == proto(),
            "docs/flow.proto is out of date: run `make bless`"
        );
    }

    #[test]
    fn no_two_columns_share_a_field() {
        let mut fields: BTreeSet<u32> = [TYPE, WRITER, EPOCH, FLUSH, INDEX].into();
        for column in &COLUMNS {
            assert!(fields.insert(field(column)), "{}", column.name);
        }
    }

    #[test]
    fn a_path_is_a_list_of_numbers() {
        let mut row = Row::new();
        row.set_text(Id::DstAsPath, "64500 300 {5,6}".into());
        let mut out = Vec::new();
        write(&row, &IDENTITY, &mut out);
        let path = out.strip_prefix(&INDEX_OCTETS).unwrap();
        assert!(path.starts_with(&[0xb2, 0x06, 7, 0xf4, 0xf7, 0x03, 0xac, 0x02, 5, 6]), "{out:?}");
    }
}
