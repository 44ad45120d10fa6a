//! Which information elements columns are written as: those from which they are read, the most preferred one first, with
//! these exceptions.

use columns::{Column, Columns, Id, Kind, RowKind, Source};

use crate::field_specifier::{FieldSpecifier, VARIABLE_LENGTH};
use crate::information_element::{DataType, lookup};
use crate::record::ElementId;

/// A field of a record that is written from a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowField {
    pub(super) column: Id,
    pub(super) specifier: FieldSpecifier,
    pub(super) form: Form,
    pub(super) presence: Presence,
    /// Only for rows in which this end has an address of IPv6, or of IPv4.
    pub(super) ip: Option<(Id, bool)>,
    /// Whether a 0 would mean something else than no value.
    pub(super) is_shaping: bool,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An unsigned number of as many octets as the field has; also times and MAC addresses.
    Number,
    Direction,
    MplsLabel,
    Ipv4,
    Ipv6,
    /// A number without the zeros before it, in a field of variable length.
    Octets,
}

/// Which rows need a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// All rows.
    Always,
    /// Flows and sampled packets; events have no counters.
    Counter,
    /// Those of several flows.
    Flows,
    /// Sampled ones.
    Rate,
    /// Rows of this kind, which are recognised by it, and those with a value.
    Mark(RowKind),
    /// Those with a value here or in this column: one without the other is not read.
    Both(Id),
    /// Those with a value.
    WithValue,
}

/// Whether there is an element for a column. There is none for what the collector has looked up (countries, AS paths, where an AS
/// number is from), for the version of the protocol, and for the rate at which flows were sampled. The time of export is that of
/// the message, and events are recognised by their fields.
#[must_use]
pub fn is_written(column: Id) -> bool {
    written(column.column()).next().is_some()
}

/// The fields of columns, in the order of the table.
pub(super) fn of_columns(columns: Columns) -> impl Iterator<Item = RowField> {
    columns.iter().flat_map(|id| written(id.column()))
}

const fn iana(id: u16) -> ElementId {
    ElementId { enterprise: 0, id }
}

/// The elements of a column: one, or one for IPv4 and one for IPv6.
fn elements(column: &Column) -> [Option<ElementId>; 2] {
    let listed = column.sources.iter().filter_map(|source| match source {
        Source::Element(enterprise, id) => Some(ElementId { enterprise: *enterprise, id: *id }),
        _ => None,
    });
    match column.id {
        // collectionTimeMilliseconds.
        Id::Received => [Some(iana(258)), None],
        // originalExporterIPv4Address, originalExporterIPv6Address and originalObservationDomainId: this file is from a
        // mediator (RFC 7119), and a relay's sender can count for each exporter that it names.
        Id::Exporter => [Some(iana(403)), Some(iana(404))],
        Id::Domain => [Some(iana(405)), None],
        // selectorId: samplerId has one octet.
        Id::Sampler => [Some(iana(302)), None],
        Id::SrcMask | Id::DstMask | Id::IcmpType | Id::IcmpCode => {
            let mut listed = listed;
            [listed.next(), listed.next()]
        }
        _ if column.kind == Kind::Address => [DataType::Ipv4Address, DataType::Ipv6Address].map(|data_type| {
            let is_of = |element: &ElementId| lookup(*element).is_some_and(|known| known.data_type == data_type);
            listed.clone().find(is_of)
        }),
        _ => {
            let mut listed = listed;
            [listed.next(), None]
        }
    }
}

/// The fields of a column.
fn written(column: &'static Column) -> impl Iterator<Item = RowField> {
    let [first, second] = elements(column);
    let has_versions = second.is_some();
    let both = [first.map(|element| (element, false)), second.map(|element| (element, true))];
    both.into_iter().flatten().map(move |(element, is_v6)| {
        let form = form(column, is_v6);
        RowField {
            column: column.id,
            specifier: FieldSpecifier { element, length: length(column, form) },
            form,
            presence: presence(column.id),
            ip: end(column.id).filter(|_| has_versions).map(|end| (end, is_v6)),
            is_shaping: matches!(column.id, Id::SrcIp | Id::DstIp | Id::Start | Id::End | Id::Direction),
        }
    })
}

/// The end whose version of IP decides which of the two elements of a column is written.
const fn end(column: Id) -> Option<Id> {
    match column {
        Id::SrcIp | Id::SrcMask | Id::IcmpType | Id::IcmpCode => Some(Id::SrcIp),
        Id::DstIp | Id::DstMask => Some(Id::DstIp),
        _ => None,
    }
}

fn form(column: &Column, is_v6: bool) -> Form {
    match (column.id, column.kind) {
        (_, Kind::Address) if is_v6 => Form::Ipv6,
        (_, Kind::Address) => Form::Ipv4,
        (Id::Direction, _) => Form::Direction,
        (Id::MplsLabel, _) => Form::MplsLabel,
        (Id::App, _) => Form::Octets,
        _ => Form::Number,
    }
}

fn length(column: &Column, form: Form) -> u16 {
    match (form, column.id, column.kind) {
        (Form::Octets, ..) => VARIABLE_LENGTH,
        (Form::Ipv6, ..) => 16,
        (Form::Ipv4, ..) => 4,
        (Form::MplsLabel, ..) => 3,
        // layer2SegmentId, whose first octet is the kind of overlay.
        (_, Id::Vni, _) => 8,
        (_, _, Kind::U8) => 1,
        (_, _, Kind::U16 | Kind::Country) => 2,
        (_, _, Kind::U32 | Kind::Address) => 4,
        (_, _, Kind::Mac) => 6,
        (_, _, Kind::U64 | Kind::Time | Kind::AsPath) => 8,
    }
}

const fn presence(column: Id) -> Presence {
    match column {
        Id::SrcIp | Id::DstIp | Id::SrcPort | Id::DstPort | Id::Proto => Presence::Always,
        Id::Bytes | Id::Packets => Presence::Counter,
        Id::Flows => Presence::Flows,
        Id::Rate => Presence::Rate,
        Id::NatEvent => Presence::Mark(RowKind::Nat),
        Id::PortStart => Presence::Mark(RowKind::PortBlock),
        Id::FwEvent => Presence::Mark(RowKind::Firewall),
        Id::IcmpType => Presence::Both(Id::IcmpCode),
        Id::IcmpCode => Presence::Both(Id::IcmpType),
        _ => Presence::WithValue,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Octets of an element's own type; 0 for those of variable length.
    fn octets(data_type: DataType) -> u16 {
        match data_type {
            DataType::Unsigned8 => 1,
            DataType::Unsigned16 => 2,
            DataType::Unsigned32 | DataType::Ipv4Address => 4,
            DataType::Unsigned64 | DataType::DateTimeMilliseconds => 8,
            DataType::MacAddress => 6,
            DataType::Ipv6Address => 16,
            _ => 0,
        }
    }

    #[test]
    fn every_field_has_a_length_that_its_element_can_have() {
        let mut elements = HashSet::new();
        for field in of_columns(Columns::ALL) {
            let FieldSpecifier { element, length } = field.specifier;
            let known = lookup(element).unwrap();
            assert!(elements.insert(element), "{}", known.name);
            let own = octets(known.data_type);
            let fits = match field.form {
                Form::Octets => known.data_type == DataType::OctetArray,
                Form::MplsLabel => known.data_type == DataType::OctetArray && length == 3,
                // Numbers may have fewer octets (RFC 7011, section 6.2).
                Form::Number if own <= 8 && known.data_type != DataType::DateTimeMilliseconds => length <= own,
                _ => length == own,
            };
            assert!(fits, "{} of {:?} with {length} octets", known.name, known.data_type);
        }
        assert!(of_columns(Columns::ALL).count() <= u128::BITS as usize);
    }

    #[test]
    fn only_what_was_looked_up_and_what_the_message_has_is_not_written() {
        let missing: Vec<_> = Id::ALL.into_iter().filter(|id| !is_written(*id)).collect();
        let expected = [
            Id::Exported,
            Id::Version,
            Id::Kind,
            Id::FlowRate,
            Id::SrcAsFrom,
            Id::DstAsFrom,
            Id::SrcCountry,
            Id::DstCountry,
            Id::DstAsPath,
        ];
        assert_eq!(missing, expected);
    }
}
