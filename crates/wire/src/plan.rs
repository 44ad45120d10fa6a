//! How a data record is read for accounting: a template compiled once, on arrival, into a short list of reads.
//!
//! A plan names only the fields that accounting books ([`crate::booking`]), at fixed offsets. A template with
//! variable-length fields is a chain of segments, each ended by one such field; a template without has a single
//! segment, whose length is that of the record. Listing all fields is not done here but in [`crate::template`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{Counters, FlowRecord, Timestamp};

use crate::booking::{self, Slot};
use crate::cursor::Cursor;
use crate::sampled_packet::{Headers, LinkType};
use crate::template::{FieldSpecifier, VARIABLE_LENGTH};

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    segments: Box<[Segment]>,
    /// What is read of all segments, in their order.
    numbers: Box<[Number]>,
    addresses: Box<[Address]>,
    /// The shortest record that the template allows, in octets; 0 when it has no content at all.
    minimum_length: u16,
    /// The slots that are filled, one bit each.
    filled: u32,
}

/// Fields of fixed length, and the variable-length field behind them. A template may have as many of these as it has
/// fields, few of which are booked: hence it is small.
#[derive(Clone, Debug, Default)]
struct Segment {
    length: u16,
    /// How many of the plan's numbers are of this segment.
    numbers: u8,
    /// How many of the plan's addresses are.
    addresses: u8,
    section: Option<Box<Section>>,
    tail: Tail,
}

/// What is to be read, while a plan is being compiled.
#[derive(Default)]
struct Reads {
    numbers: Vec<Number>,
    addresses: Vec<Address>,
}

impl Reads {
    /// Notes that a slot is filled by the field that comes next in a segment. `None` when it cannot be.
    fn book(&mut self, segment: &mut Segment, slot: Slot, length: u16) -> Option<()> {
        let offset = segment.length;
        if slot.is_section() {
            segment.section = Some(Box::new(Section { offset: offset.into(), length: length.into(), slot }));
        } else if slot.is_address() {
            self.addresses.push(Address { offset, slot });
            segment.addresses += 1;
        } else {
            self.numbers.push(Number::new(offset, length, slot)?);
            segment.numbers += 1;
        }
        Some(())
    }
}

/// What ends a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tail {
    /// The end of the record.
    #[default]
    End,
    /// A variable-length field that nobody books.
    Skipped,
    /// A variable-length field that fills a slot.
    Booked(Slot),
}

/// An unsigned integer to read.
#[derive(Clone, Copy, Debug)]
struct Number {
    /// Octets from the start of the segment.
    offset: u16,
    /// 1 to 8 octets.
    length: u8,
    /// The bits that eight octets from the offset have too many.
    shift: u8,
    slot: Slot,
}

/// An address to read.
#[derive(Clone, Copy, Debug)]
struct Address {
    /// Octets from the start of the segment.
    offset: u16,
    slot: Slot,
}

/// The head of a sampled packet.
#[derive(Clone, Copy, Debug)]
struct Section {
    /// Octets from the start of the segment, or of the record once it is read.
    offset: usize,
    length: usize,
    slot: Slot,
}

/// The values of one record, as the plan found them. Numbers of slots that the plan does not fill stay 0.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    numbers: [u64; Slot::NUMBERS],
    source: IpAddr,
    destination: IpAddr,
    section: Option<Section>,
}

const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Reading {
    pub(crate) const EMPTY: Self =
        Self { numbers: [0; Slot::NUMBERS], source: NO_ADDRESS, destination: NO_ADDRESS, section: None };

    /// The number in a slot; 0 when nothing filled it.
    pub(crate) fn number(&self, slot: Slot) -> u64 {
        self.numbers.get(slot as usize).copied().unwrap_or_default()
    }

    fn set_number(&mut self, slot: Slot, number: u64) {
        if let Some(place) = self.numbers.get_mut(slot as usize) {
            *place = number;
        }
    }

    /// An IPv4 address that says something wins over IPv6: dual-stack templates fill the unused family with zeros.
    fn set_address(&mut self, slot: Slot, octets: &[u8]) {
        let address = match slot {
            Slot::SourceIpv4 | Slot::SourceIpv6 => &mut self.source,
            _ => &mut self.destination,
        };
        if let Ok(ipv4) = <[u8; 4]>::try_from(octets) {
            if ipv4 != [0; 4] {
                *address = IpAddr::V4(Ipv4Addr::from(ipv4));
            }
        } else if let Ok(ipv6) = <[u8; 16]>::try_from(octets)
            && *address == NO_ADDRESS
        {
            *address = IpAddr::V6(Ipv6Addr::from(ipv6));
        }
    }

    /// Fills a slot from a field whose length is known only now; one that does not fit says nothing. `offset` is where
    /// it stands in the record.
    fn set(&mut self, slot: Slot, octets: &[u8], offset: usize) {
        let fits = u16::try_from(octets.len()).is_ok_and(|length| slot.accepts(length));
        if slot.is_section() {
            self.section = fits.then_some(Section { offset, length: octets.len(), slot });
        } else if slot.is_address() {
            if fits {
                self.set_address(slot, octets);
            }
        } else {
            self.set_number(slot, if fits { unsigned(octets) } else { 0 });
        }
    }
}

/// An unsigned integer of up to eight octets (RFC 7011, section 6.2: any length up to that of the type).
pub(crate) fn unsigned(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet))
}

impl Number {
    /// `None` when the length is not one that a number can have.
    fn new(offset: u16, length: u16, slot: Slot) -> Option<Self> {
        let length = u8::try_from(length).ok().filter(|length| (1..=8).contains(length))?;
        Some(Self { offset, length, shift: 64 - 8 * length, slot })
    }

    /// The value, read from octets that begin with the segment and reach beyond it as far as the set does: eight
    /// octets at once are read and what belongs to the next fields is shifted out, which needs no case for each length.
    fn value(self, octets: &[u8]) -> u64 {
        let start = usize::from(self.offset);
        match octets.get(start..start + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
            Some(eight) => u64::from_be_bytes(eight) >> self.shift,
            None => unsigned(octets.get(start..start + usize::from(self.length)).unwrap_or_default()),
        }
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
        let mut segment = Segment::default();
        let mut reads = Reads::default();
        let mut slots = slots.into_iter().peekable();
        for (index, field) in fields.iter().enumerate() {
            let slot = slots.next_if(|&(place, _)| place == index).map(|(_, slot)| slot);
            filled |= slot.map_or(0, |slot| 1 << slot as u32);
            if field.length == VARIABLE_LENGTH {
                minimum_length = minimum_length.checked_add(1)?;
                segment.tail = slot.map_or(Tail::Skipped, Tail::Booked);
                segments.push(std::mem::take(&mut segment));
            } else {
                if let Some(slot) = slot {
                    reads.book(&mut segment, slot, field.length)?;
                }
                minimum_length = minimum_length.checked_add(field.length)?;
                segment.length = segment.length.checked_add(field.length)?;
            }
        }
        segments.push(segment);
        let Reads { numbers, addresses } = reads;
        Some(Self {
            segments: segments.into(),
            numbers: numbers.into(),
            addresses: addresses.into(),
            minimum_length,
            filled,
        })
    }

    /// The shortest record that the template allows, in octets; 0 when no record has any content.
    pub(crate) const fn minimum_length(&self) -> usize {
        self.minimum_length as usize
    }

    /// Whether the template fills a slot.
    pub(crate) const fn fills(&self, slot: Slot) -> bool {
        self.filled & (1 << slot as u32) != 0
    }

    /// Whether records say themselves how they were sampled.
    pub(crate) const fn tells_sampling(&self) -> bool {
        self.fills(Slot::SamplingInterval)
            || self.fills(Slot::RandomInterval)
            || self.fills(Slot::PacketInterval)
            || self.fills(Slot::SamplingSize)
            || self.fills(Slot::SamplingProbability)
    }

    /// Whether the template carries the head of a packet.
    pub(crate) const fn samples(&self) -> bool {
        self.fills(Slot::FrameSection) || self.fills(Slot::PacketSection)
    }

    /// Whether the template carries anything to count.
    pub(crate) const fn counts(&self) -> bool {
        self.fills(Slot::ForwardBytes)
            || self.fills(Slot::ForwardPackets)
            || self.fills(Slot::ReverseBytes)
            || self.fills(Slot::ReversePackets)
    }

    /// Reads one record and moves behind it. `None`, and nothing to rely on, when it reaches beyond the set. All
    /// records that are read into one `Reading` must be of one plan.
    pub(crate) fn read(&self, cursor: &mut Cursor<'_>, reading: &mut Reading) -> Option<()> {
        let record = cursor.offset();
        reading.source = NO_ADDRESS;
        reading.destination = NO_ADDRESS;
        reading.section = None;
        let (mut numbers, mut addresses) = (&*self.numbers, &*self.addresses);
        for segment in &self.segments {
            let to_end = cursor.rest();
            let start = cursor.offset() - record;
            let octets = cursor.take(usize::from(segment.length))?;
            for number in numbers.split_off(..usize::from(segment.numbers)).unwrap_or_default() {
                reading.set_number(number.slot, number.value(to_end));
            }
            for address in addresses.split_off(..usize::from(segment.addresses)).unwrap_or_default() {
                let start = usize::from(address.offset);
                let octets = octets.get(start..start + address.slot.address_length());
                reading.set_address(address.slot, octets.unwrap_or_default());
            }
            if let Some(section) = &segment.section {
                reading.section = Some(Section { offset: start + section.offset, ..**section });
            }
            match segment.tail {
                Tail::End => {}
                Tail::Skipped => {
                    variable(cursor)?;
                }
                Tail::Booked(slot) => {
                    let octets = variable(cursor)?;
                    let offset = cursor.offset() - record - octets.len();
                    reading.set(slot, octets, offset);
                }
            }
        }
        Some(())
    }

    /// The flow of the packet whose head a record carries, for templates that count nothing; `None` when there is no
    /// IP header to be seen. `record` is the octets that were read last.
    pub(crate) fn sampled_flow(&self, reading: &Reading, record: &[u8], exported: Timestamp) -> Option<FlowRecord> {
        let Section { offset, length, slot } = reading.section?;
        let octets = record.get(offset..offset + length)?;
        let link = if slot == Slot::FrameSection { LinkType::Ethernet } else { LinkType::Ip };
        let headers = Headers::parse(link, octets);
        let bytes = headers.ip.map(|ip| u64::from(ip.total_length))?;
        let mut flow = FlowRecord::empty(exported);
        flow.forward = Counters { bytes, packets: 1, flows: 1 };
        headers.fill(&mut flow).then_some(flow)
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
