//! How a record of fields is read into the columns that its flow does not have: the first time that a row is asked for,
//! the fields of its template, or of its fixed format, are compiled into reads of columns.
//!
//! If all fields have a fixed length, a read is a load of eight octets from a known offset. A record with variable-length
//! fields is walked first, to find its fields. A column with several places has a read for each of them, the least preferred
//! one first, so that the value that remains is the first that is not 0 (`columns::Source`).
//!
//! Not here: what a flow has ([`crate::booking`]), and what is read from packets ([`crate::row`]).

mod octets;

use columns::{COLUMNS, Column, Columns, ELEMENT_PLACES, Id, Kind, Row, RowKind, Source};
use flow::Timestamp;

use crate::datagram::Message;
use crate::field_specifier::{FieldSpecifier, VARIABLE_LENGTH};
use crate::fixed_record::{FixedField, Meaning};
use crate::icmp;
use crate::information_element::{DataType, lookup, lookup_v9};
use crate::record::ElementId;
use crate::value::{ntp_microseconds, ntp_nanoseconds};
use octets::{EIGHT, Fixed, Octets, Walk, Walked};

/// The compiled reads of a template or of a fixed format.
#[derive(Clone, Debug)]
pub(crate) struct RowPlan {
    /// Numbers that are the values of their columns.
    numbers: Box<[ColumnRead]>,
    /// All others.
    others: Box<[ColumnRead]>,
    /// The columns of both.
    columns: Columns,
    /// Type and code of ICMP, which are read for ICMP alone.
    icmp: Box<[(icmp::Place, Location)]>,
    /// systemInitTimeMilliseconds.
    started: Option<Location>,
    /// For records with fields of variable length.
    walk: Option<Walk>,
    /// What a record without counters is.
    event: RowKind,
}

/// A value of a column.
#[derive(Clone, Copy, Debug)]
struct ColumnRead {
    column: Id,
    form: Form,
    /// Whether the column has a value already, which only a value other than 0 replaces.
    replaces: bool,
    location: Location,
}

/// Where a field is.
#[derive(Clone, Copy, Debug)]
struct Location {
    /// Its position among the fields, and then among those that are read.
    field: u16,
    /// Octets from the start of the record to the eight octets that contain a number, or to an address.
    at: u16,
    /// Bits before the number in those eight octets.
    before: u8,
    /// Bits that are not of the number.
    others: u8,
}

/// How the value of a column is made from a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Number,
    /// A number of six octets.
    Mac,
    /// Label, traffic class and end of stack (RFC 3032).
    MplsLabel,
    /// flowDirection, plus 1.
    Direction,
    Seconds,
    Milliseconds,
    /// RFC 7011, section 6.1.9.
    Microseconds,
    /// RFC 7011, section 6.1.10.
    Nanoseconds,
    /// Milliseconds since the exporter started.
    Uptime,
    /// Microseconds before the export time.
    BeforeExport,
    Ipv4,
    Ipv6,
}

impl Form {
    /// Of an element that is read into a column.
    fn of(element: ElementId, column: &Column) -> Self {
        let known = lookup(element).or_else(|| lookup_v9(element.id));
        match (known.map(|element| element.data_type), column.kind) {
            (Some(DataType::Ipv6Address), _) => Self::Ipv6,
            (_, Kind::Address) => Self::Ipv4,
            (_, Kind::Mac) => Self::Mac,
            (Some(DataType::DateTimeSeconds), _) => Self::Seconds,
            (Some(DataType::DateTimeMilliseconds), _) => Self::Milliseconds,
            (Some(DataType::DateTimeMicroseconds), _) => Self::Microseconds,
            (Some(DataType::DateTimeNanoseconds), _) => Self::Nanoseconds,
            (_, Kind::Time) if matches!(element.id, 21 | 22) => Self::Uptime,
            (_, Kind::Time) => Self::BeforeExport,
            _ => match column.id {
                Id::MplsLabel => Self::MplsLabel,
                Id::Direction => Self::Direction,
                _ => Self::Number,
            },
        }
    }

    /// Whether it is read from as many octets. Numbers have any length from 1 to 8 (RFC 7011, section 6.2: reduced-size
    /// encoding), everything else has one.
    const fn accepts(self, length: u16) -> bool {
        match self {
            Self::Number | Self::Direction | Self::Uptime | Self::BeforeExport => 1 <= length && length <= 8,
            Self::MplsLabel => length == 3,
            Self::Seconds | Self::Ipv4 => length == 4,
            Self::Mac => length == 6,
            Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => length == 8,
            Self::Ipv6 => length == 16,
        }
    }

    /// The value of a column from the number in a field.
    #[inline]
    fn value(self, number: u64, clock: &Clock<'_>) -> u64 {
        let milliseconds = |time: Option<Timestamp>| time.map_or(0, Timestamp::milliseconds);
        match self {
            Self::Number | Self::Mac | Self::Ipv4 | Self::Ipv6 => number,
            Self::MplsLabel => number >> 4,
            Self::Direction if number <= 1 => number + 1,
            Self::Direction => 0,
            Self::Seconds => number * 1000,
            Self::Milliseconds => Timestamp::from_milliseconds(number).milliseconds(),
            Self::Microseconds => milliseconds(ntp_microseconds(number.to_be_bytes())),
            Self::Nanoseconds => milliseconds(ntp_nanoseconds(number.to_be_bytes())),
            Self::Uptime => clock.at_uptime(number as u32),
            Self::BeforeExport => clock.before_export(number),
        }
    }
}

/// What relative times are counted from.
struct Clock<'m> {
    message: &'m Message,
    /// Milliseconds since the exporter started, when it sent the message; `None` if unknown.
    uptime: Option<u32>,
}

impl Clock<'_> {
    /// The time at which the exporter had been running for so long. Both numbers wrap around after 49.7 days.
    fn at_uptime(&self, milliseconds: u32) -> u64 {
        let Some(uptime) = self.uptime else { return 0 };
        let before_export = uptime.wrapping_sub(milliseconds).cast_signed();
        self.message.exported.milliseconds().saturating_add_signed(-i64::from(before_export))
    }

    fn before_export(&self, microseconds: u64) -> u64 {
        let nanoseconds = microseconds.saturating_mul(1000);
        self.message.exported.nanoseconds().saturating_sub(nanoseconds) / 1_000_000
    }
}

/// A field whose place in a record is known, if all fields before it have fixed lengths.
#[derive(Clone, Copy, Debug)]
struct PlacedField {
    element: ElementId,
    offset: u16,
    length: u16,
}

/// systemInitTimeMilliseconds: when the exporter started.
const STARTED: ElementId = ElementId { enterprise: 0, id: 160 };

/// The most fields that a plan can read: one for each element of the table, those of ICMP, and the start of the exporter.
const MOST_FIELDS: usize = ELEMENT_PLACES + icmp::ELEMENTS.len() + 1;

impl RowPlan {
    /// Compiles the fields of a template. `samples` is whether its records have sections of packets, from which columns
    /// have values already.
    pub(crate) fn of_template(fields: &[FieldSpecifier], samples: bool) -> Self {
        let mut offset = 0_u16;
        let placed = fields.iter().map(|field| {
            let placed = PlacedField { element: field.element, offset, length: field.length };
            offset = offset.saturating_add(field.fixed_length().unwrap_or_default());
            placed
        });
        let placed: Vec<_> = placed.collect();
        let mut plan = Self::compile(&placed, offset, samples);
        if fields.iter().any(|field| field.length == VARIABLE_LENGTH) {
            plan.walk = Some(plan.number_fields(fields));
        }
        plan
    }

    /// Compiles the fields of a fixed format.
    pub(crate) fn of_fixed(fields: &[FixedField]) -> Self {
        let end = fields.iter().map(|field| field.offset + field.length).max().unwrap_or_default();
        let placed = fields.iter().filter_map(|field| {
            let Meaning::Element(id) = field.meaning else { return None };
            let element = ElementId { enterprise: 0, id };
            Some(PlacedField { element, offset: field.offset as u16, length: field.length as u16 })
        });
        Self::compile(&placed.collect::<Vec<_>>(), end as u16, false)
    }

    fn compile(fields: &[PlacedField], record_length: u16, samples: bool) -> Self {
        let find = |element: ElementId, form: Form| {
            let fits = |length| length == VARIABLE_LENGTH || form.accepts(length);
            let found = fields.iter().position(|field| field.element == element && fits(field.length))?;
            fields.get(found).map(|field| Location::new(found, field, record_length))
        };
        let (mut numbers, mut others, mut columns) = (Vec::new(), Vec::new(), Columns::NONE);
        for column in COLUMNS.iter().filter(|column| is_read_here(column.id)) {
            let mut replaces = samples;
            for source in column.sources.iter().rev() {
                let &Source::Element(enterprise, id) = source else { continue };
                let element = ElementId { enterprise, id };
                let form = Form::of(element, column);
                if let Some(location) = find(element, form) {
                    let reads = if matches!(form, Form::Number | Form::Mac) { &mut numbers } else { &mut others };
                    reads.push(ColumnRead { column: column.id, form, replaces, location });
                    columns.add(column.id);
                    replaces = true;
                }
            }
        }
        let iana = |id| ElementId { enterprise: 0, id };
        let icmp = icmp::ELEMENTS.iter().filter_map(|&(id, place)| Some((place, find(iana(id), Form::Number)?)));
        let mut icmp: Vec<_> = icmp.collect();
        icmp.sort_by_key(|(_, location)| location.field);
        let has = |id| fields.iter().any(|field| field.element == iana(id));
        let event = if has(361) {
            RowKind::PortBlock
        } else if has(230) {
            RowKind::Nat
        } else if has(233) || has(40005) {
            RowKind::Firewall
        } else {
            RowKind::Event
        };
        let started = find(STARTED, Form::Milliseconds);
        let (numbers, others) = (numbers.into(), others.into());
        Self { numbers, others, columns, icmp: icmp.into(), started, walk: None, event }
    }

    /// Numbers the fields that are read, in the order of the record. Returns how a record is walked to find them.
    fn number_fields(&mut self, fields: &[FieldSpecifier]) -> Walk {
        let reads = self.numbers.iter_mut().chain(&mut self.others).map(|read| &mut read.location);
        let icmp = self.icmp.iter_mut().map(|(_, location)| location);
        let mut locations: Vec<_> = reads.chain(icmp).chain(&mut self.started).collect();
        let mut read: Vec<u16> = locations.iter().map(|location| location.field).collect();
        read.sort_unstable();
        read.dedup();
        for location in &mut locations {
            location.field = read.partition_point(|field| *field < location.field) as u16;
        }
        let walked = read.last().map_or(0, |last| usize::from(*last) + 1);
        Walk { lengths: fields.iter().take(walked).map(|field| field.length).collect(), read: read.into() }
    }

    /// What a record without counters is.
    pub(crate) const fn event(&self) -> RowKind {
        self.event
    }

    /// Memory in octets.
    #[cfg(test)]
    fn octets(&self) -> usize {
        let walk = self.walk.as_ref().map_or(0, |walk| size_of_val(&*walk.lengths) + size_of_val(&*walk.read));
        let reads = size_of_val(&*self.numbers) + size_of_val(&*self.others);
        size_of::<Self>() + reads + size_of_val(&*self.icmp) + walk
    }

    /// Reads a record into a row, which has the columns of its flow already.
    pub(crate) fn read(&self, octets: &[u8], message: &Message, row: &mut Row) {
        match &self.walk {
            Some(walk) => self.read_from(&Walked::new(walk, octets), message, row),
            None if octets.len() >= EIGHT => self.read_from(&Fixed(octets), message, row),
            None => {
                let mut padded = [0; EIGHT];
                padded.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
                self.read_from(&Fixed(&padded), message, row);
            }
        }
    }

    #[inline(always)]
    fn read_from(&self, record: &impl Octets, message: &Message, row: &mut Row) {
        let started = self.started.as_ref().filter(|_| message.uptime.is_none());
        let started = started.and_then(|at| record.number(at, Form::Milliseconds)).filter(|started| *started != 0);
        let since = |started| {
            let started = Timestamp::from_milliseconds(started).milliseconds();
            message.exported.milliseconds().wrapping_sub(started) as u32
        };
        let clock = Clock { message, uptime: message.uptime.or(started.map(since)) };
        row.mark(self.columns);
        for ColumnRead { column, form, replaces, location } in &self.numbers {
            let number = record.number(location, *form).unwrap_or_default();
            if *replaces {
                row.set_some(*column, number);
            } else {
                row.put(*column, number);
            }
        }
        for ColumnRead { column, form, replaces, location } in &self.others {
            if matches!(form, Form::Ipv4 | Form::Ipv6) {
                if let Some(address) = record.address(location, *form).filter(|address| !address.is_unspecified()) {
                    row.set_address(*column, address);
                }
            } else {
                let number = record.number(location, *form).map_or(0, |number| form.value(number, &clock));
                if *replaces {
                    row.set_some(*column, number);
                } else {
                    row.put(*column, number);
                }
            }
        }
        if !self.icmp.is_empty() && matches!(row.number(Id::Proto), 1 | 58) {
            self.read_icmp(record, row);
        }
    }

    fn read_icmp(&self, record: &impl Octets, row: &mut Row) {
        let mut found = icmp::Found::default();
        for (place, location) in &self.icmp {
            if let Some(number) = record.number(location, Form::Number) {
                found.note(*place, number);
            }
        }
        if let Some((kind, code)) = found.type_and_code() {
            row.set_some(Id::IcmpType, kind.into());
            row.set_some(Id::IcmpCode, code.into());
        }
    }
}

/// Whether a column is read by a plan. The others are those of the flow, of the datagram, and of the packet inside a tunnel.
const fn is_read_here(column: Id) -> bool {
    !matches!(
        column,
        Id::Received
            | Id::Exported
            | Id::Exporter
            | Id::Domain
            | Id::Version
            | Id::Kind
            | Id::Bytes
            | Id::Packets
            | Id::Flows
            | Id::RevBytes
            | Id::RevPackets
            | Id::Rate
            | Id::FlowRate
            | Id::SrcIp
            | Id::DstIp
            | Id::SrcPort
            | Id::DstPort
            | Id::Proto
            | Id::SrcAs
            | Id::DstAs
            | Id::InIf
            | Id::OutIf
            | Id::IcmpType
            | Id::IcmpCode
            | Id::InnerSrcIp
            | Id::InnerDstIp
            | Id::InnerSrcPort
            | Id::InnerDstPort
            | Id::InnerProto
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use flow::{Exporter, Protocol};

    use super::*;
    use crate::cursor::unsigned;

    fn message(uptime: Option<u32>) -> Message {
        Message {
            protocol: Protocol::NetflowV9,
            exporter: Exporter::udp(Ipv4Addr::LOCALHOST.into(), 1),
            received: Timestamp::EPOCH,
            exported: Timestamp::from_seconds(1_700_000_000),
            domain: 0,
            sequence: 0,
            uptime,
        }
    }

    fn read(fields: &[(FieldSpecifier, &[u8])], uptime: Option<u32>) -> Row {
        let specifiers: Vec<_> = fields.iter().map(|(specifier, _)| *specifier).collect();
        let octets: Vec<u8> = fields.iter().flat_map(|(_, octets)| octets.iter().copied()).collect();
        let mut row = Row::new();
        RowPlan::of_template(&specifiers, false).read(&octets, &message(uptime), &mut row);
        row
    }

    fn started_at(start: u32, uptime: u32) -> u64 {
        read(&[(FieldSpecifier::iana(22, 4), &start.to_be_bytes())], Some(uptime)).number(Id::Start)
    }

    #[test]
    fn a_flow_that_began_before_the_uptime_wrapped_began_in_the_past() {
        let exported = 1_700_000_000_000;
        assert_eq!(started_at(4000, 5000), exported - 1000);
        assert_eq!(started_at(u32::MAX - 99, 900), exported - 1000);
        // Some exporters write the header before they read the clock of the flow.
        assert_eq!(started_at(5001, 5000), exported + 1);
    }

    #[test]
    fn an_ipfix_uptime_counts_from_the_start_that_the_record_gives() {
        let started = 1_700_000_000_000_u64 - 60_000;
        let uptime = (FieldSpecifier::iana(22, 4), &59_000_u32.to_be_bytes()[..]);
        let both = [uptime, (FieldSpecifier::iana(160, 8), &started.to_be_bytes()[..])];
        assert_eq!(read(&both, None).number(Id::Start), 1_700_000_000_000 - 1000);
        assert_eq!(read(&[uptime], None).number(Id::Start), 0);
    }

    #[test]
    fn numbers_of_any_length_are_read_wherever_they_are() {
        for length in 1..=8_u16 {
            for before in [0_u16, 1, 3, 9] {
                for after in [0_u16, 2, 8] {
                    let value: Vec<u8> = (1..=length as u8).collect();
                    let padding = [0xff; 9];
                    let all = [
                        (FieldSpecifier::iana(210, before), &padding[..before.into()]),
                        (FieldSpecifier::iana(48, length), &value[..]),
                        (FieldSpecifier::iana(210, after), &padding[..after.into()]),
                    ];
                    let some: Vec<_> = all.into_iter().filter(|(specifier, _)| specifier.length > 0).collect();
                    let row = read(&some, None);
                    assert_eq!(
                        row.number(Id::Sampler),
                        unsigned(&value),
                        "{length} octets after {before}, before {after}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_plan_stays_small_whatever_a_template_repeats() {
        let elements = COLUMNS.iter().flat_map(|column| column.sources).filter_map(|source| match source {
            Source::Element(enterprise, id) => Some(ElementId { enterprise: *enterprise, id: *id }),
            _ => None,
        });
        let elements: Vec<_> = elements.collect();
        let all = elements.iter().cycle().take(10_000).map(|&element| FieldSpecifier { element, length: 4 });
        let fields: Vec<_> = all.chain([FieldSpecifier::iana(82, VARIABLE_LENGTH)]).collect();
        let plan = RowPlan::of_template(&fields, true);
        assert!(plan.numbers.len() + plan.others.len() + plan.icmp.len() < MOST_FIELDS);
        let octets = plan.octets();
        assert!(octets <= 4096, "{octets}");
    }
}
