//! What the fixed formats (NetFlow v1 to v7) share: a record is a struct, and one table has the offset and the information
//! element of each field. How a record becomes a flow is next to its struct.

use std::marker::PhantomData;

use columns::{Row, RowKind};
use flow::FlowRecord;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::cursor::{Cursor, unsigned};
use crate::datagram::Message;
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::information_element::DataType;
use crate::record::{ElementId, Field, FieldName, Fields, Record, RecordKind, Value};
use crate::row_plan::RowPlan;
use crate::value;

/// A field of a fixed record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedField {
    /// Octets from the start of the record.
    pub(crate) offset: usize,
    /// Octets of the field.
    pub(crate) length: usize,
    /// Its meaning.
    pub(crate) meaning: Meaning,
}

/// The meaning of a fixed field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meaning {
    /// An information element of IANA's registry.
    Element(u16),
    /// An unsigned integer that is not an information element.
    Named(&'static str),
    /// An IPv4 address that is not an information element.
    Address(&'static str),
    /// Padding; not shown.
    Unused,
}

/// A record of a fixed format.
pub(crate) trait FixedRecord: FromBytes + Immutable + KnownLayout + Unaligned {
    /// Its fields in wire order, without padding.
    const FIELDS: &'static [FixedField];

    /// The flow, without its sampling rate.
    fn flow(&self, message: &Message) -> FlowRecord;

    /// How records become rows.
    fn row_plan() -> &'static RowPlan;
}

/// The header of a datagram; `None` if the datagram is shorter.
pub(crate) fn header<'a, H: FromBytes + Immutable + KnownLayout + Unaligned>(cursor: &mut Cursor<'a>) -> Option<&'a H> {
    cursor.take(size_of::<H>()).and_then(|octets| H::ref_from_bytes(octets).ok())
}

/// Builds the table of fields from the names of a struct's members.
macro_rules! fields {
    ($record:ident { $($member:ident: $meaning:expr),* $(,)? }) => {
        &[$($crate::fixed_record::FixedField {
            offset: ::core::mem::offset_of!($record, $member),
            length: {
                // The size of a member, without an instance.
                const fn size<T>(_: &impl Fn($record) -> T) -> usize {
                    size_of::<T>()
                }
                size(&|record: $record| record.$member)
            },
            meaning: $meaning,
        }),*]
    };
}
pub(crate) use fields;

/// Visits `count` records, or as many as there are.
pub(crate) fn decode<R: FixedRecord>(
    records: &mut Cursor<'_>,
    count: u16,
    message: &Message,
    sampling: flow::Sampling,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    let (count, size) = (usize::from(count), size_of::<R>());
    let whole = count.min(records.remaining() / size);
    let octets = records.take(whole * size).unwrap_or_default();
    for octets in octets.chunks_exact(size) {
        let Ok(record) = R::ref_from_bytes(octets) else { return };
        let flow = FlowRecord { sampling, ..record.flow(message) };
        let content = FixedFields::<R> { octets, record: PhantomData, message };
        visit(&Record { message, kind: RecordKind::Data, format: None, flow: Some(&flow), content: &content });
    }
    report.data += whole as u32;
    if whole < count {
        report.error(records.offset(), ErrorKind::TruncatedRecords);
    }
}

/// The octets of one record.
struct FixedFields<'r, R> {
    octets: &'r [u8],
    message: &'r Message,
    record: PhantomData<R>,
}

impl<R: FixedRecord> Fields for FixedFields<'_, R> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        show(R::FIELDS, self.octets, visitor);
    }

    fn set_columns(&self, _has_flow: bool, row: &mut Row) -> RowKind {
        R::row_plan().read(self.octets, self.message, row);
        RowKind::Flow
    }
}

/// Visits the fields of a record.
pub(crate) fn show(fields: &[FixedField], octets: &[u8], visitor: &mut dyn FnMut(&Field<'_>)) {
    for field in fields {
        let Some(octets) = octets.get(field.offset..field.offset + field.length) else { continue };
        let (name, value) = match field.meaning {
            Meaning::Element(id) => value::decode(ElementId { enterprise: 0, id }, octets),
            Meaning::Address(name) => (FieldName::Named(name), value::typed(DataType::Ipv4Address, octets)),
            Meaning::Unused => continue,
            Meaning::Named(name) => (FieldName::Named(name), Value::Unsigned(unsigned(octets))),
        };
        visitor(&Field { name, scope: false, value });
    }
}
