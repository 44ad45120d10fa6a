//! NetFlow version 8, router-based aggregation (Cisco, "NetFlow Export Datagram Format", tables B-7 to B-20): fourteen
//! schemes, each with a fixed record, all of them rows of `SCHEMES`.
//!
//! Schemes 1 to 5 and 9 to 14 are those of routers and count flows; 6 to 8 are those of the Catalyst 6500 and do not.
//! An address that a record does not carry is `0.0.0.0` for accounting, so it counts if a monitored prefix contains that.

use std::sync::LazyLock;

use columns::{Row, RowKind};
use flow::{Protocol, Timestamp};
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cursor::Cursor;
use crate::datagram::{Datagram, Message};
use crate::decoded::Decoded;
use crate::error::ErrorKind;
use crate::exporter_state::ExporterState;
use crate::field_specifier::FieldSpecifier;
use crate::fixed_record::Meaning::{self, Address, Element, Named, Unused};
use crate::fixed_record::{self, FixedField};
use crate::plan::{Layout, Plan};
use crate::record::{ElementId, Field, Fields, Record, RecordKind};
use crate::row_plan::RowPlan;

/// The header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 8.
    pub version: U16,
    /// Records in the datagram.
    pub count: U16,
    /// Milliseconds since the exporter started.
    pub uptime: U32,
    /// Seconds since 1970.
    pub unix_seconds: U32,
    /// Nanoseconds beyond the seconds.
    pub unix_nanoseconds: U32,
    /// Records sent before this datagram.
    pub sequence: U32,
    /// Type of the flow switching engine.
    pub engine_type: u8,
    /// Slot number of the flow switching engine.
    pub engine_id: u8,
    /// Aggregation scheme, 1 to 14.
    pub aggregation: u8,
    /// Version of the scheme: 2.
    pub aggregation_version: u8,
    /// Unused.
    pub reserved: U32,
}
const _: () = assert!(size_of::<Header>() == 28);

/// A field of a scheme: its meaning and its length in octets.
type SchemeField = (Meaning, usize);

const FLOWS: SchemeField = (Element(3), 4);
const PACKETS: SchemeField = (Element(2), 4);
const OCTETS: SchemeField = (Element(1), 4);
const FIRST: SchemeField = (Element(22), 4);
const LAST: SchemeField = (Element(21), 4);
const SOURCE: SchemeField = (Element(8), 4);
const DESTINATION: SchemeField = (Element(12), 4);
const SOURCE_PREFIX: SchemeField = (Element(44), 4);
const DESTINATION_PREFIX: SchemeField = (Element(45), 4);
const SOURCE_LENGTH: SchemeField = (Element(9), 1);
const DESTINATION_LENGTH: SchemeField = (Element(13), 1);
const SOURCE_PORT: SchemeField = (Element(7), 2);
const DESTINATION_PORT: SchemeField = (Element(11), 2);
const SOURCE_AS: SchemeField = (Element(16), 2);
const DESTINATION_AS: SchemeField = (Element(17), 2);
const INPUT: SchemeField = (Element(10), 2);
const OUTPUT: SchemeField = (Element(14), 2);
const PROTOCOL: SchemeField = (Element(4), 1);
const TYPE_OF_SERVICE: SchemeField = (Element(5), 1);
const MARKED_TYPE_OF_SERVICE: SchemeField = (Named("marked_tos"), 1);
const EXTRA_PACKETS: SchemeField = (Named("extra_pkts"), 4);
const BYPASSED_ROUTER: SchemeField = (Address("router_sc"), 4);
const PAD_1: SchemeField = (Unused, 1);
const PAD_2: SchemeField = (Unused, 2);
const PAD_3: SchemeField = (Unused, 3);

/// Counters and times of the schemes of routers, and of the Catalyst 6500.
const ROUTER: &[SchemeField] = &[FLOWS, PACKETS, OCTETS, FIRST, LAST];
const CATALYST: &[SchemeField] = &[PACKETS, OCTETS, FIRST, LAST];

/// The layout of an aggregation scheme: the three lists in this order.
struct Scheme {
    before: &'static [SchemeField],
    counters: &'static [SchemeField],
    after: &'static [SchemeField],
}

/// A scheme whose records begin with the counters of a router.
const fn router(after: &'static [SchemeField]) -> Scheme {
    Scheme { before: &[], counters: ROUTER, after }
}

/// A scheme whose records begin with the keys by which the Catalyst 6500 aggregates.
const fn catalyst(before: &'static [SchemeField], after: &'static [SchemeField]) -> Scheme {
    Scheme { before, counters: CATALYST, after }
}

/// The aggregation schemes, from 1 on.
const SCHEMES: [Scheme; 14] = [
    // 1: AS
    router(&[SOURCE_AS, DESTINATION_AS, INPUT, OUTPUT]),
    // 2: protocol and port
    router(&[PROTOCOL, PAD_3, SOURCE_PORT, DESTINATION_PORT]),
    // 3: source prefix
    router(&[SOURCE_PREFIX, SOURCE_LENGTH, PAD_1, SOURCE_AS, INPUT, PAD_2]),
    // 4: destination prefix
    router(&[DESTINATION_PREFIX, DESTINATION_LENGTH, PAD_1, DESTINATION_AS, OUTPUT, PAD_2]),
    // 5: prefix
    router(&[
        SOURCE_PREFIX,
        DESTINATION_PREFIX,
        DESTINATION_LENGTH,
        SOURCE_LENGTH,
        PAD_2,
        SOURCE_AS,
        DESTINATION_AS,
        INPUT,
        OUTPUT,
    ]),
    // 6: destination only
    catalyst(&[DESTINATION], &[OUTPUT, TYPE_OF_SERVICE, MARKED_TYPE_OF_SERVICE, EXTRA_PACKETS, BYPASSED_ROUTER]),
    // 7: source and destination
    catalyst(
        &[DESTINATION, SOURCE],
        &[OUTPUT, INPUT, TYPE_OF_SERVICE, MARKED_TYPE_OF_SERVICE, PAD_2, EXTRA_PACKETS, BYPASSED_ROUTER],
    ),
    // 8: full flow
    catalyst(
        &[DESTINATION, SOURCE, DESTINATION_PORT, SOURCE_PORT],
        &[OUTPUT, INPUT, TYPE_OF_SERVICE, PROTOCOL, MARKED_TYPE_OF_SERVICE, PAD_1, EXTRA_PACKETS, BYPASSED_ROUTER],
    ),
    // 9: AS and ToS
    router(&[SOURCE_AS, DESTINATION_AS, INPUT, OUTPUT, TYPE_OF_SERVICE, PAD_3]),
    // 10: protocol, port and ToS
    router(&[PROTOCOL, TYPE_OF_SERVICE, PAD_2, SOURCE_PORT, DESTINATION_PORT, INPUT, OUTPUT]),
    // 11: source prefix and ToS
    router(&[SOURCE_PREFIX, SOURCE_LENGTH, TYPE_OF_SERVICE, SOURCE_AS, INPUT, PAD_2]),
    // 12: destination prefix and ToS
    router(&[DESTINATION_PREFIX, DESTINATION_LENGTH, TYPE_OF_SERVICE, DESTINATION_AS, OUTPUT, PAD_2]),
    // 13: prefix and ToS
    router(&[
        SOURCE_PREFIX,
        DESTINATION_PREFIX,
        DESTINATION_LENGTH,
        SOURCE_LENGTH,
        TYPE_OF_SERVICE,
        PAD_1,
        SOURCE_AS,
        DESTINATION_AS,
        INPUT,
        OUTPUT,
    ]),
    // 14: prefix, port and ToS
    router(&[
        SOURCE_PREFIX,
        DESTINATION_PREFIX,
        DESTINATION_LENGTH,
        SOURCE_LENGTH,
        TYPE_OF_SERVICE,
        PROTOCOL,
        SOURCE_PORT,
        DESTINATION_PORT,
        INPUT,
        OUTPUT,
    ]),
];

/// A scheme that is ready to read records.
struct Compiled {
    fields: Vec<FixedField>,
    plan: Plan,
    row_plan: RowPlan,
}

impl Compiled {
    fn new(scheme: &Scheme) -> Option<Self> {
        let members = || [scheme.before, scheme.counters, scheme.after].into_iter().flatten().copied();
        let specifiers: Vec<_> = members().map(specifier).collect();
        let mut offset = 0;
        let mut fields = Vec::new();
        for (meaning, length) in members() {
            fields.push(FixedField { offset, length, meaning });
            offset += length;
        }
        let row_plan = RowPlan::of_fixed(&fields);
        Some(Self { fields, plan: Plan::compile(&specifiers, 0)?, row_plan })
    }
}

/// A field of a scheme as the field of a template. One that is not an information element is never booked.
fn specifier((meaning, length): SchemeField) -> FieldSpecifier {
    const NO_ELEMENT: ElementId = ElementId { enterprise: u32::MAX, id: 0 };
    let element = match meaning {
        Element(id) => ElementId { enterprise: 0, id },
        Named(_) | Address(_) | Unused => NO_ELEMENT,
    };
    FieldSpecifier { element, length: length as u16 }
}

static COMPILED: LazyLock<[Option<Compiled>; SCHEMES.len()]> = LazyLock::new(|| SCHEMES.each_ref().map(Compiled::new));

fn scheme(number: u8) -> Option<&'static Compiled> {
    let index = usize::from(number).checked_sub(1)?;
    COMPILED.get(index)?.as_ref()
}

/// The length in octets of a scheme's records; `None` if there is no such scheme.
#[must_use]
pub fn record_length(aggregation: u8) -> Option<usize> {
    scheme(aggregation).map(|scheme| scheme.plan.minimum_length())
}

/// Encodes a record of a scheme: `value` gives the value of each information element; all other fields are zero. Empty if
/// there is no such scheme.
#[must_use]
pub fn record(aggregation: u8, value: impl Fn(u16) -> u64) -> Vec<u8> {
    let mut octets = Vec::new();
    for field in scheme(aggregation).into_iter().flat_map(|scheme| &scheme.fields) {
        let number = if let Element(id) = field.meaning { value(id) } else { 0 };
        octets.extend(number.to_be_bytes().iter().skip(size_of::<u64>() - field.length));
    }
    octets
}

pub(crate) fn decode(
    state: &mut ExporterState,
    datagram: &Datagram<'_>,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    report.protocol = Some(Protocol::NetflowV8);
    let mut cursor = Cursor::new(datagram.payload);
    let Some(header) = fixed_record::header::<Header>(&mut cursor) else {
        report.error(0, ErrorKind::TruncatedHeader);
        return;
    };
    let message = Message {
        protocol: Protocol::NetflowV8,
        exporter: datagram.exporter,
        received: datagram.received,
        exported: Timestamp::new(u64::from(header.unix_seconds.get()), header.unix_nanoseconds.get()),
        domain: u32::from(header.engine_type) << 8 | u32::from(header.engine_id),
        sequence: header.sequence.get(),
        uptime: Some(header.uptime.get()),
    };
    match scheme(header.aggregation) {
        Some(scheme) => records(scheme, header, &mut cursor, &message, visit, report),
        None => report.error(size_of::<Header>() - 6, ErrorKind::UnknownFormat),
    }
    state.note_arrival(&message, Some(u32::from(header.count.get())), report);
}

/// The octets of one record, and the scheme that describes them.
struct SchemeFields<'r> {
    scheme: &'static Compiled,
    octets: &'r [u8],
    message: &'r Message,
}

impl Fields for SchemeFields<'_> {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        fixed_record::show(&self.scheme.fields, self.octets, visitor);
    }

    fn set_columns(&self, _has_flow: bool, row: &mut Row) -> RowKind {
        self.scheme.row_plan.read(self.octets, self.message, row);
        RowKind::Flow
    }
}

fn records(
    scheme: &'static Compiled,
    header: &Header,
    cursor: &mut Cursor<'_>,
    message: &Message,
    visit: &mut impl FnMut(&Record<'_>),
    report: &mut Decoded,
) {
    let mut room = Layout::EMPTY;
    for _ in 0..header.count.get() {
        let offset = cursor.offset();
        let Some(mut record) = cursor.section(scheme.plan.minimum_length()) else {
            report.error(offset, ErrorKind::TruncatedRecords);
            return;
        };
        let content = SchemeFields { scheme, octets: record.rest(), message };
        let Some(reading) = scheme.plan.read(&mut record, &mut room) else { return };
        let mut flow = scheme.plan.flow(&reading, message.exported);
        if let Some(flow) = &mut flow {
            (flow.input_interface, flow.output_interface) = scheme.plan.interfaces(&reading);
            (flow.is_source_by_default, flow.is_destination_by_default) = scheme.plan.by_default(&reading, flow);
        }
        let format = Some(u32::from(header.aggregation));
        visit(&Record { message, kind: RecordKind::Data, format, flow: flow.as_ref(), content: &content });
        report.data += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_the_length_that_cisco_documents() {
        let lengths: Vec<_> = (1..=14).map(|number| record_length(number).unwrap()).collect();
        assert_eq!(lengths, [28, 28, 32, 32, 40, 32, 40, 44, 32, 32, 32, 32, 40, 40]);
        assert_eq!((record_length(0), record_length(15)), (None, None));
    }
}
