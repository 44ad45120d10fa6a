//! How a data record is read for accounting: a template compiled once, on arrival, into a short list of reads.
//!
//! A plan names only the fields that accounting books ([`crate::booking`]), at fixed offsets. A template with
//! variable-length fields is a chain of segments, each ended by one such field; a template without has a single
//! segment, whose length is that of the record. Listing all fields is not done here but in [`crate::template`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{Counters, FlowRecord, Timestamp};

use crate::booking::{self, Slot};
use crate::cursor::Cursor;
use crate::template::{FieldSpecifier, VARIABLE_LENGTH};

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    segments: Box<[Segment]>,
    /// The shortest record that the template allows, in octets; 0 when it has no content at all.
    minimum_length: u16,
    /// The slots that are filled, one bit each.
    filled: u32,
}

/// Fields of fixed length, and the variable-length field behind them.
#[derive(Clone, Debug)]
struct Segment {
    length: u16,
    reads: Box<[Read]>,
    tail: Tail,
}

/// What ends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// The end of the record.
    End,
    /// A variable-length field that nobody books.
    Skipped,
    /// A variable-length field that fills a slot.
    Booked(Slot),
}

/// One field to read.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// Octets from the start of the segment.
    offset: u16,
    length: u16,
    slot: Slot,
}

/// The values of one record, as the plan found them.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    numbers: [u64; Slot::NUMBERS],
    source: IpAddr,
    destination: IpAddr,
}

const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Reading {
    pub(crate) const EMPTY: Self = Self { numbers: [0; Slot::NUMBERS], source: NO_ADDRESS, destination: NO_ADDRESS };

    /// The number in a slot; 0 when nothing filled it.
    pub(crate) fn number(&self, slot: Slot) -> u64 {
        self.numbers.get(slot as usize).copied().unwrap_or_default()
    }

    fn fill(&mut self, slot: Slot, octets: &[u8]) {
        match slot {
            Slot::SourceIpv4 => fill_ipv4(&mut self.source, octets),
            Slot::DestinationIpv4 => fill_ipv4(&mut self.destination, octets),
            Slot::SourceIpv6 => fill_ipv6(&mut self.source, octets),
            Slot::DestinationIpv6 => fill_ipv6(&mut self.destination, octets),
            number => {
                if let Some(place) = self.numbers.get_mut(number as usize) {
                    *place = unsigned(octets);
                }
            }
        }
    }
}

/// An IPv4 address that says something wins over IPv6: dual-stack templates fill the unused family with zeros.
fn fill_ipv4(address: &mut IpAddr, octets: &[u8]) {
    if let Ok(octets) = <[u8; 4]>::try_from(octets)
        && octets != [0; 4]
    {
        *address = IpAddr::V4(Ipv4Addr::from(octets));
    }
}

fn fill_ipv6(address: &mut IpAddr, octets: &[u8]) {
    if let Ok(octets) = <[u8; 16]>::try_from(octets)
        && *address == NO_ADDRESS
    {
        *address = IpAddr::V6(Ipv6Addr::from(octets));
    }
}

/// An unsigned integer of up to eight octets (RFC 7011, section 6.2: any length up to that of the type).
pub(crate) fn unsigned(octets: &[u8]) -> u64 {
    match *octets {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet)),
    }
}

impl Plan {
    /// Compiles the fields of a template; `booked` says from which field on they are read for accounting, because the
    /// scope of a v9 options record is numbered otherwise. `None` when no record could be of such a length.
    pub(crate) fn compile(fields: &[FieldSpecifier], booked: usize) -> Option<Self> {
        let visible = fields.iter().skip(booked).map(|field| (field.element, field.fixed_length()));
        let choice = booking::choose(visible);
        let mut slots: Vec<(usize, Slot)> =
            Slot::ALL.into_iter().zip(choice).filter_map(|(slot, field)| Some((field? + booked, slot))).collect();
        slots.sort_unstable_by_key(|&(field, _)| field);

        let mut filled = 0;
        let mut minimum_length = 0_u16;
        let mut segments = Vec::new();
        let mut reads = Vec::new();
        let mut length = 0_u16;
        let mut slots = slots.into_iter().peekable();
        for (index, field) in fields.iter().enumerate() {
            let variable = field.length == VARIABLE_LENGTH;
            let mut tail = Tail::Skipped;
            while let Some((_, slot)) = slots.next_if(|&(place, _)| place == index) {
                filled |= 1 << slot as u32;
                if variable {
                    tail = Tail::Booked(slot);
                } else {
                    reads.push(Read { offset: length, length: field.length, slot });
                }
            }
            if variable {
                minimum_length = minimum_length.checked_add(1)?;
                segments.push(Segment { length, reads: std::mem::take(&mut reads).into(), tail });
                length = 0;
            } else {
                minimum_length = minimum_length.checked_add(field.length)?;
                length = length.checked_add(field.length)?;
            }
        }
        segments.push(Segment { length, reads: reads.into(), tail: Tail::End });
        Some(Self { segments: segments.into(), minimum_length, filled })
    }

    /// The shortest record that the template allows, in octets; 0 when no record has any content.
    pub(crate) const fn minimum_length(&self) -> usize {
        self.minimum_length as usize
    }

    /// Whether the template fills a slot.
    pub(crate) const fn fills(&self, slot: Slot) -> bool {
        self.filled & (1 << slot as u32) != 0
    }

    /// Whether the template carries anything to count.
    pub(crate) const fn counts(&self) -> bool {
        self.fills(Slot::ForwardBytes)
            || self.fills(Slot::ForwardPackets)
            || self.fills(Slot::ReverseBytes)
            || self.fills(Slot::ReversePackets)
    }

    /// Reads one record and moves behind it. `None`, and nothing to rely on, when it reaches beyond the set.
    pub(crate) fn read(&self, cursor: &mut Cursor<'_>, reading: &mut Reading) -> Option<()> {
        *reading = Reading::EMPTY;
        for segment in &self.segments {
            let octets = cursor.take(usize::from(segment.length))?;
            for read in &segment.reads {
                let start = usize::from(read.offset);
                if let Some(field) = octets.get(start..start + usize::from(read.length)) {
                    reading.fill(read.slot, field);
                }
            }
            match segment.tail {
                Tail::End => {}
                Tail::Skipped => {
                    variable(cursor)?;
                }
                Tail::Booked(slot) => {
                    let field = variable(cursor)?;
                    if u16::try_from(field.len()).is_ok_and(|length| slot.accepts(length)) {
                        reading.fill(slot, field);
                    }
                }
            }
        }
        Some(())
    }

    /// The flow that a record reports; `None` when it carries no counter to book, or is an event without new bytes.
    pub(crate) fn flow(&self, reading: &Reading, exported: Timestamp) -> Option<FlowRecord> {
        let number = |slot| reading.number(slot);
        let mut forward =
            Counters { bytes: number(Slot::ForwardBytes), packets: number(Slot::ForwardPackets), flows: 1 };
        if forward.bytes == 0 && forward.packets == 0 {
            forward.bytes = number(Slot::PostBytes);
            forward.packets = number(Slot::PostPackets);
        }
        let mut reverse =
            Counters { bytes: number(Slot::ReverseBytes), packets: number(Slot::ReversePackets), flows: 0 };
        reverse.flows = u64::from(!reverse.is_zero());
        if self.fills(Slot::FirewallEvent) {
            let quiet = forward.bytes == 0 && forward.packets == 0 && reverse.is_zero();
            if quiet || !is_counting_event(number(Slot::FirewallEvent)) {
                return None;
            }
        }
        if self.fills(Slot::Flows) && number(Slot::Flows) > 0 {
            forward.flows = number(Slot::Flows);
        }
        // A field that is wider than its type, against the registry, keeps its low bits.
        Some(FlowRecord {
            source: reading.source,
            destination: reading.destination,
            protocol: number(Slot::Protocol) as u8,
            source_port: number(Slot::SourcePort) as u16,
            destination_port: number(Slot::DestinationPort) as u16,
            source_as: number(Slot::SourceAs) as u32,
            destination_as: number(Slot::DestinationAs) as u32,
            forward,
            reverse,
            ..FlowRecord::empty(exported)
        })
    }
}

/// firewallEvent 2 (flow deleted) and 5 (flow update) report bytes since the last report; 1 (created), 3 (denied) and
/// 4 (alert) do not (IANA IPFIX registry, element 233).
const fn is_counting_event(event: u64) -> bool {
    !matches!(event, 1 | 3 | 4)
}

/// The content of a variable-length field (RFC 7011, section 7: one octet of length, or 255 and two).
pub(crate) fn variable<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = match cursor.u8()? {
        255 => usize::from(cursor.u16()?),
        short => usize::from(short),
    };
    cursor.take(length)
}
