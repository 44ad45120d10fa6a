//! The protobuf message of a flow: `FlowMessage` as goflow2 publishes it, for the columns that it has. Its readers skip what they
//! do not know: the identity of the flow (fields 1000 to 1003), and all other columns (from 1100).
//!
//! Source: `pb/flow.proto` of goflow2, field numbers in the table of columns. Counters are as sent, not multiplied by the
//! sampling rate, as there.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use columns::{COLUMNS, COUNT, Column, Columns, Id, Kind, Row};
use flow::{Country, FlushNumber, WriterId};

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

/// Numbers that may differ from flow to flow.
const NUMBERS: [Id; 13] = [
    Id::Bytes,
    Id::Packets,
    Id::SrcPort,
    Id::DstPort,
    Id::Proto,
    Id::SrcAs,
    Id::DstAs,
    Id::TcpFlags,
    Id::SrcMask,
    Id::DstMask,
    Id::Tos,
    Id::InIf,
    Id::OutIf,
];
/// The same of addresses, and of times in nanoseconds.
const ADDRESSES: [Id; 3] = [Id::SrcIp, Id::DstIp, Id::NextHop];
const TIMES: [Id; 2] = [Id::Start, Id::End];

/// All of them.
const VARYING: Columns = {
    let mut columns = Columns::of(&NUMBERS);
    columns.add_all(Columns::of(&ADDRESSES));
    columns.add_all(Columns::of(&TIMES));
    columns
};

/// Writes messages. What may differ from flow to flow comes first, and then what is alike, which is copied from the message
/// before: looking whether it is the same takes less time than writing it, and what is side by side compresses faster.
#[derive(Debug, Default)]
pub(crate) struct MessageWriter {
    varying: Varying,
    alike: Alike,
}

impl MessageWriter {
    /// The message of a flow: both parts one after the other.
    pub(crate) fn write(&mut self, row: &Row, identity: &Identity) -> [&[u8]; 2] {
        if !self.alike.is_of(row, identity) {
            self.alike.write(row, identity);
        }
        [self.varying.write(row, identity.index), &self.alike.octets]
    }
}

/// The most octets of a tag and a number: two and ten.
const NUMBER_ROOM: usize = 12;
/// The most octets of a tag, the length of an address and the address.
const ADDRESS_ROOM: usize = 2 + 1 + 16;
const ROOM: usize = (1 + NUMBERS.len() + TIMES.len()) * NUMBER_ROOM + ADDRESSES.len() * ADDRESS_ROOM;

/// What may differ from flow to flow. It has room for everything, so that numbers are written without a branch for their
/// lengths, which no processor foresees.
#[derive(Debug)]
struct Varying {
    octets: [u8; ROOM],
    length: usize,
}

impl Default for Varying {
    fn default() -> Self {
        Self { octets: [0; ROOM], length: 0 }
    }
}

impl Varying {
    fn write(&mut self, row: &Row, index: u64) -> &[u8] {
        self.length = 0;
        self.number(Field { tag: two_octets(INDEX << 3 | VARINT), form: Form::Number }, index);
        for id in ADDRESSES {
            self.address(Field::of_id(id), row.address(id));
        }
        for id in NUMBERS {
            self.number(Field::of_id(id), row.number(id));
        }
        for id in TIMES {
            self.number(Field::of_id(id), row.number(id).saturating_mul(NANOSECONDS));
        }
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// A number; none for 0, as proto3 has it.
    #[inline(always)]
    fn number(&mut self, field: Field, number: u64) {
        let tag_length = field.tag_length();
        let Some(room) = self.octets.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut::<NUMBER_ROOM>())
        else {
            return;
        };
        let [first, second, ..] = room;
        (*first, *second) = (field.tag[0], field.tag[1]);
        let (octets, length) = varint::octets(number);
        if let Some(place) = room.get_mut(tag_length..tag_length + octets.len()) {
            place.copy_from_slice(&octets);
        }
        self.length += if number == 0 { 0 } else { tag_length + length };
    }

    #[inline(always)]
    fn address(&mut self, field: Field, address: IpAddr) {
        let (octets, length) = match address {
            IpAddr::V4(address) if address.is_unspecified() => return,
            IpAddr::V4(address) => ((u128::from(address.to_bits()) << 96).to_be_bytes(), 4),
            IpAddr::V6(address) => (address.octets(), 16),
        };
        let tag_length = field.tag_length();
        let Some(room) = self.octets.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut::<ADDRESS_ROOM>())
        else {
            return;
        };
        let [first, second, ..] = room;
        (*first, *second) = (field.tag[0], field.tag[1]);
        if let Some([place, rest @ ..]) = room.get_mut(tag_length..tag_length + 17) {
            *place = length;
            rest.copy_from_slice(&octets);
        }
        self.length += tag_length + 1 + usize::from(length);
    }
}

/// What is alike in flows one after the other, as it was written last.
#[derive(Debug, Default)]
struct Alike {
    octets: Vec<u8>,
    /// What it was written from.
    columns: Columns,
    numbers: Vec<(Id, u64)>,
    addresses: Vec<(Id, IpAddr)>,
    texts: Vec<(Id, Arc<str>)>,
    flush: Option<(WriterId, FlushNumber)>,
}

impl Alike {
    /// Whether it is that of a flow.
    fn is_of(&self, row: &Row, identity: &Identity) -> bool {
        let (_, alike) = row.columns().split(VARYING);
        alike == self.columns
            && self.numbers.iter().all(|(id, number)| row.number(*id) == *number)
            && self.addresses.iter().all(|(id, address)| row.address(*id) == *address)
            && self.texts.iter().all(|(id, text)| row.text(*id) == Some(text))
            && self.flush == Some((identity.writer, identity.flush))
    }

    fn write(&mut self, row: &Row, identity: &Identity) {
        let (_, columns) = row.columns().split(VARYING);
        self.columns = columns;
        self.flush = Some((identity.writer, identity.flush));
        self.octets.clear();
        self.numbers.clear();
        self.addresses.clear();
        self.texts.clear();
        for id in columns.iter() {
            let field = Field::of_id(id);
            field.write(row, id, &mut self.octets);
            match field.form {
                Form::Number | Form::Nanoseconds | Form::Country => self.numbers.push((id, row.number(id))),
                Form::Address => self.addresses.push((id, row.address(id))),
                Form::AsPath => self.texts.extend(row.text(id).map(|text| (id, Arc::clone(text)))),
            }
        }
        let out = &mut self.octets;
        number(TYPE, protocol(row.number(Id::Version)), out);
        out.extend_from_slice(&two_octets(WRITER << 3 | FIXED64));
        out.extend_from_slice(&identity.writer.0.to_le_bytes());
        number(EPOCH, identity.flush.epoch.into(), out);
        number(FLUSH, identity.flush.sequence, out);
    }
}

/// A number; none for 0.
fn number(field: u32, number: u64, out: &mut Vec<u8>) {
    Field { tag: two_octets(field << 3 | VARINT), form: Form::Number }.number(number, out);
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
        Self { tag: two_octets(field(column) << 3 | wire_type), form }
    }

    #[inline]
    fn of_id(id: Id) -> Self {
        const NONE: Field = Field { tag: [0; 2], form: Form::Number };
        FIELDS.get(id as usize).copied().unwrap_or(NONE)
    }

    /// How many octets the tag has.
    #[inline]
    const fn tag_length(self) -> usize {
        if self.tag[1] == 0 { 1 } else { 2 }
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

/// A tag as a varint; the second octet is 0 if it has only one.
const fn two_octets(tag: u32) -> [u8; 2] {
    assert!(tag < 1 << 14, "two octets");
    if tag < 0x80 { [tag as u8, 0] } else { [tag as u8 | 0x80, (tag >> 7) as u8] }
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

    use super::*;

    const IDENTITY: Identity =
        Identity { writer: WriterId(0x0102_0304_0506_0708), flush: FlushNumber { epoch: 7, sequence: 300 }, index: 5 };

    fn message(row: &Row) -> Vec<u8> {
        MessageWriter::default().write(row, &IDENTITY).concat()
    }

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
        let out = message(&row);
        let contains = |part: &[u8]| out.windows(part.len()).any(|window| window == part);
        assert!(contains(&[9 << 3, 0xdc, 0x0b]), "bytes, field 9: {out:?}");
        assert!(contains(&[6 << 3 | 2, 4, 192, 0, 2, 1]), "src_addr, field 6: {out:?}");
        assert!(contains(&[1 << 3, 3]), "type, field 1: {out:?}");
        assert!(contains(&[0xf0, 0x06, 0x80, 0x94, 0xeb, 0xdc, 0x03]), "time_received_ns, field 110: {out:?}");
        assert!(out.starts_with(&INDEX_OCTETS) && out.ends_with(&FLUSH_OCTETS), "{out:?}");
    }

    #[test]
    fn a_message_is_the_same_whatever_was_written_before() {
        let changes: [fn(&mut Row); 6] = [
            |row| row.set_address(Id::SrcIp, "2001:db8::1".parse().unwrap()),
            |row| row.set(Id::Domain, 7),
            |row| row.set(Id::Domain, 8),
            |row| row.set_address(Id::Exporter, [192, 0, 2, 1].into()),
            |row| row.set_text(Id::DstAsPath, "64500 300".into()),
            |row| row.set_text(Id::DstAsPath, "64501".into()),
        ];
        let mut rows = vec![Row::new()];
        for change in changes {
            rows.extend(rows.last().cloned());
            rows.last_mut().into_iter().for_each(change);
        }
        let next = Identity { flush: FlushNumber { sequence: 301, ..IDENTITY.flush }, ..IDENTITY };
        let mut writer = MessageWriter::default();
        for identity in [IDENTITY, next] {
            for row in rows.iter().chain(rows.iter().rev()) {
                let alone = MessageWriter::default().write(row, &identity).concat();
                assert_eq!(writer.write(row, &identity).concat(), alone, "{row:?}");
            }
        }
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
        let out = message(&row);
        let path = out.strip_prefix(&INDEX_OCTETS).unwrap();
        assert!(path.starts_with(&[0xb2, 0x06, 7, 0xf4, 0xf7, 0x03, 0xac, 0x02, 5, 6]), "{out:?}");
    }
}
