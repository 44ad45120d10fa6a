//! What one way of a flow is booked as, and where the value of each field is in it.
//!
//! A booking has room for the fields that are counted by default. The values of extra fields, which are numbers, are kept in
//! a list of their own, as many for each booking as extra fields are counted: they cost nothing where there are none.

use flow::FlowRecord;

use super::TablesId;
use crate::counter_map::Amount;
use crate::field::{Field, FieldSet};

/// The values by which flows are counted, of the fields that have room here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlowKey<A> {
    pub(super) source: A,
    pub(super) destination: A,
    pub(super) source_as: u32,
    pub(super) destination_as: u32,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
}

/// What one way of a flow is booked as in one direction of a prefix.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Booking<A> {
    pub(super) key: FlowKey<A>,
    /// Where it is added.
    pub(super) tables: TablesId,
    pub(super) amount: Amount,
}

impl<A> Booking<A> {
    #[inline(always)]
    pub(super) fn new(flow: &FlowRecord, source: A, destination: A, tables: TablesId, amount: Amount) -> Self {
        let mut key = FlowKey {
            source,
            destination,
            source_as: flow.source_as,
            destination_as: flow.destination_as,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            protocol: flow.protocol,
        };
        if flow.is_icmp() {
            key.set_ports(flow.ports());
        }
        Self { key, tables, amount }
    }
}

/// Bookings of the same tables, with their extra values ([`CountedFields`]).
#[derive(Clone, Copy)]
pub(super) struct Run<'b, A> {
    pub(super) bookings: &'b [Booking<A>],
    pub(super) extra_values: &'b [u32],
}

/// A value of a flow key.
pub(super) enum KeyValue<A> {
    Number(u32),
    Address(A),
}

impl<A> FlowKey<A> {
    /// Few flows are of ICMP, and the others are not to pay for it.
    #[cold]
    fn set_ports(&mut self, (source, destination): (u16, u16)) {
        (self.source_port, self.destination_port) = (source, destination);
    }
}

impl<A: Copy> FlowKey<A> {
    /// The value of a field; `None` for a field that has no room here.
    #[inline]
    pub(super) fn value(&self, field: Field) -> Option<KeyValue<A>> {
        Some(match field {
            Field::All => KeyValue::Number(0),
            Field::Protocol => KeyValue::Number(self.protocol.into()),
            Field::SourceAddress => KeyValue::Address(self.source),
            Field::SourcePort => KeyValue::Number(self.source_port.into()),
            Field::SourceAs => KeyValue::Number(self.source_as),
            Field::DestinationAddress => KeyValue::Address(self.destination),
            Field::DestinationPort => KeyValue::Number(self.destination_port.into()),
            Field::DestinationAs => KeyValue::Number(self.destination_as),
            Field::InputInterface
            | Field::OutputInterface
            | Field::SourceCountry
            | Field::DestinationCountry
            | Field::FiveMinutes => return None,
        })
    }
}

/// The fields that a tally counts, and where their values are.
#[derive(Clone, Debug)]
pub(super) struct CountedFields {
    set: FieldSet,
    /// Those that have tables, in the order of these: all but [`Field::All`].
    with_tables: Box<[Field]>,
    /// Those of them that have no room in a booking, in the order of their values in the list.
    extra_fields: Box<[Field]>,
}

impl CountedFields {
    pub(super) fn new(set: FieldSet) -> Self {
        let with_tables: Box<[Field]> = set.iter().filter(|field| *field != Field::All).collect();
        let has_room = |field: &&Field| FlowKey::<u32>::default().value(**field).is_some();
        let extra_fields = with_tables.iter().filter(|field| !has_room(field)).copied().collect();
        Self { set, with_tables, extra_fields }
    }

    /// Whether a field is counted.
    #[inline]
    pub(super) fn contains(&self, field: Field) -> bool {
        self.set.contains(field)
    }

    /// The fields that have tables, in the order of these.
    pub(super) fn with_tables(&self) -> &[Field] {
        &self.with_tables
    }

    /// The position of a field's table.
    pub(super) fn table(&self, field: Field) -> Option<usize> {
        self.with_tables.iter().position(|counted| *counted == field)
    }

    /// How many extra values each booking has.
    #[inline]
    pub(super) fn extra_count(&self) -> usize {
        self.extra_fields.len()
    }

    /// The position of a field among the extra values of a booking.
    pub(super) fn extra_position(&self, field: Field) -> Option<usize> {
        self.extra_fields.iter().position(|counted| *counted == field)
    }

    /// Appends the extra values of a flow.
    #[inline(always)]
    pub(super) fn append_extra_values(&self, flow: &FlowRecord, values: &mut Vec<u32>) {
        for field in &self.extra_fields {
            values.push(field.number_of(flow));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extra values are numbers: an address among them would be counted under 0.
    #[test]
    fn every_address_field_has_room_in_a_booking() {
        for field in Field::ALL.into_iter().filter(|field| field.is_address()) {
            assert!(FlowKey::<u32>::default().value(field).is_some(), "{}", field.name());
        }
    }
}
