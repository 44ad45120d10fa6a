//! How a data record is read for accounting: a template compiled once, on arrival, into the places of the few fields that
//! accounting books ([`crate::booking`]).
//!
//! Where all fields have a fixed length, these places are the same in each record, and reading one is a load at a known
//! place for each value: nothing is walked and nothing is copied. A template with variable-length fields is a chain of
//! segments, each ended by one such field; it is walked to find the places in each record anew. Listing all fields is not
//! done here but in [`crate::template`]. docs/decisions/0006-decode.md tells what it was measured against.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{Counters, FlowRecord, Timestamp};

use crate::booking::{self, Slot};
use crate::cursor::{Cursor, unsigned};
use crate::field_specifier::{FieldSpecifier, VARIABLE_LENGTH, variable_length_content};
use crate::sampled_packet::{Headers, LinkType};

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    course: Course,
    /// The shortest record that the template allows, in octets; 0 when it has no content at all.
    minimum_length: u16,
    /// The slots that are filled, one bit each.
    filled: u32,
}

/// How the places of the booked fields are known.
#[derive(Clone, Debug)]
enum Course {
    /// They are the same in each record.
    Fixed(Layout),
    /// Each record is walked.
    Chain {
        segments: Box<[Segment]>,
        /// What is booked of all segments, in their order. Places count from the start of their segment.
        booked: Box<[(Slot, Place)]>,
    },
}

/// Fields of fixed length, and the variable-length field behind them. A template may have as many of these as it has
/// fields, few of which are booked: hence it is small.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    length: u16,
    /// How many of the booked fields are of this segment.
    booked: u8,
    tail: Tail,
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

/// Where a field stands in a record. Octets.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: u16,
    /// 0 when there is nothing to read.
    length: u16,
}

/// Where the fields of one record stand, by slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout([Place; Slot::COUNT]);

impl Layout {
    /// There are no fields.
    pub(crate) const EMPTY: Self = Self([Place { offset: 0, length: 0 }; Slot::COUNT]);

    #[inline(always)]
    fn place(&self, slot: Slot) -> Place {
        self.0.get(slot as usize).copied().unwrap_or_default()
    }

    /// Notes where a field stands, so many octets behind `start`; one whose length does not fit the slot says nothing.
    fn set(&mut self, slot: Slot, start: usize, Place { offset, length }: Place) {
        let offset = u16::try_from(start + usize::from(offset)).ok().filter(|_| slot.accepts(length));
        if let Some(place) = self.0.get_mut(slot as usize) {
            *place = offset.map_or(Place::default(), |offset| Place { offset, length });
        }
    }
}

/// One record, and where its fields stand. Slots that the template does not fill read as 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'p, 'd> {
    layout: &'p Layout,
    /// From the start of the record as far as the set reaches: so eight octets can be read at once of most fields.
    octets: &'d [u8],
    length: usize,
}

impl<'d> Reading<'_, 'd> {
    /// The octets of the record.
    #[inline]
    pub(crate) fn record(&self) -> &'d [u8] {
        self.octets.get(..self.length).unwrap_or(self.octets)
    }

    /// The number in a slot: eight octets at once are read and what belongs to the next fields is shifted out, which
    /// needs no case for each length.
    #[inline(always)]
    pub(crate) fn number(&self, slot: Slot) -> u64 {
        let Place { offset, length } = self.layout.place(slot);
        let start = usize::from(offset);
        if length == 0 {
            return 0;
        }
        match self.octets.get(start..start + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
            // By 64 less eight times the length: a shift by that and by 64 more is the same.
            Some(eight) => u64::from_be_bytes(eight).wrapping_shr((u32::from(length) * 8).wrapping_neg()),
            None => self.last_number(start, length.into()),
        }
    }

    /// A number with less than eight octets left.
    #[cold]
    #[inline(never)]
    fn last_number(&self, start: usize, length: usize) -> u64 {
        unsigned(self.octets.get(start..start + length).unwrap_or_default())
    }

    /// The address in one of two slots. An IPv4 address that says something wins over IPv6: dual-stack templates fill the
    /// unused family with zeros.
    #[inline(always)]
    fn address(&self, ipv4: Slot, ipv6: Slot) -> IpAddr {
        let address = Ipv4Addr::from_bits(self.number(ipv4) as u32);
        if address.is_unspecified()
            && let Place { offset, length: 16 } = self.layout.place(ipv6)
            && let Some(octets) = self.octets.get(offset.into()..).and_then(<[u8]>::first_chunk::<16>)
        {
            return Ipv6Addr::from(*octets).into();
        }
        address.into()
    }

    /// The head of a sampled packet, the last one if there are several.
    fn section(&self) -> Option<(LinkType, &'d [u8])> {
        let sections = [(Slot::FrameSection, LinkType::Ethernet), (Slot::PacketSection, LinkType::Ip)];
        let sections = sections.map(|(slot, link)| (self.layout.place(slot), link));
        let (Place { offset, length }, link) =
            sections.into_iter().filter(|(place, _)| place.length > 0).max_by_key(|(place, _)| place.offset)?;
        Some((link, self.octets.get(offset.into()..)?.get(..length.into())?))
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
        let (mut segments, mut booked) = (Vec::new(), Vec::new());
        let mut segment = Segment::default();
        let mut slots = slots.into_iter().peekable();
        for (index, &FieldSpecifier { length, .. }) in fields.iter().enumerate() {
            let slot = slots.next_if(|&(place, _)| place == index).map(|(_, slot)| slot);
            filled |= slot.map_or(0, |slot| 1 << slot as u32);
            if length == VARIABLE_LENGTH {
                minimum_length = minimum_length.checked_add(1)?;
                segment.tail = slot.map_or(Tail::Skipped, Tail::Booked);
                segments.push(std::mem::take(&mut segment));
            } else {
                if let Some(slot) = slot {
                    booked.push((slot, Place { offset: segment.length, length }));
                    segment.booked += 1;
                }
                minimum_length = minimum_length.checked_add(length)?;
                segment.length = segment.length.checked_add(length)?;
            }
        }
        let course = if segments.is_empty() {
            let mut layout = Layout::EMPTY;
            booked.into_iter().for_each(|(slot, place)| layout.set(slot, 0, place));
            Course::Fixed(layout)
        } else {
            segments.push(segment);
            Course::Chain { segments: segments.into(), booked: booked.into() }
        };
        Some(Self { course, minimum_length, filled })
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

    /// Finds one record and moves behind it. `None`, and nothing to rely on, when it reaches beyond the set. `room` is for
    /// the places of a record whose fields are not where they were in the one before.
    #[inline]
    pub(crate) fn read<'p, 'd>(&'p self, cursor: &mut Cursor<'d>, room: &'p mut Layout) -> Option<Reading<'p, 'd>> {
        let (start, octets) = (cursor.offset(), cursor.rest());
        let layout = match &self.course {
            Course::Fixed(layout) => {
                cursor.skip(self.minimum_length())?;
                layout
            }
            Course::Chain { segments, booked } => {
                walk(segments, booked, cursor, room)?;
                room
            }
        };
        Some(Reading { layout, octets, length: cursor.offset() - start })
    }

    /// The flow of the packet whose head a record carries, for templates that count nothing; `None` when there is no
    /// IP header to be seen.
    pub(crate) fn sampled_flow(&self, reading: &Reading<'_, '_>, exported: Timestamp) -> Option<FlowRecord> {
        let (link, octets) = reading.section()?;
        let headers = Headers::parse(link, octets);
        let bytes = headers.ip.map(|ip| u64::from(ip.total_length))?;
        let mut flow = FlowRecord {
            input_interface: self.interface(reading, Slot::InputInterface, Slot::PhysicalInput),
            output_interface: self.interface(reading, Slot::OutputInterface, Slot::PhysicalOutput),
            forward: Counters { bytes, packets: 1, flows: 1 },
            ..FlowRecord::empty(exported)
        };
        headers.fill(&mut flow).then_some(flow)
    }

    /// The flow that a record reports; `None` when it carries no counter to book, or is an event without new bytes.
    #[inline(always)]
    pub(crate) fn flow(&self, reading: &Reading<'_, '_>, exported: Timestamp) -> Option<FlowRecord> {
        let number = |slot| reading.number(slot);
        let mut forward =
            Counters { bytes: number(Slot::ForwardBytes), packets: number(Slot::ForwardPackets), flows: 1 };
        if forward.bytes == 0 && forward.packets == 0 {
            forward.bytes = number(Slot::PostBytes);
            forward.packets = number(Slot::PostPackets);
        }
        let mut reverse = Counters::ZERO;
        if self.fills(Slot::ReverseBytes) || self.fills(Slot::ReversePackets) {
            (reverse.bytes, reverse.packets) = (number(Slot::ReverseBytes), number(Slot::ReversePackets));
            reverse.flows = u64::from(!reverse.is_zero());
        }
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
            source: reading.address(Slot::SourceIpv4, Slot::SourceIpv6),
            destination: reading.address(Slot::DestinationIpv4, Slot::DestinationIpv6),
            protocol: number(Slot::Protocol) as u8,
            source_port: number(Slot::SourcePort) as u16,
            destination_port: number(Slot::DestinationPort) as u16,
            source_as: number(Slot::SourceAs) as u32,
            destination_as: number(Slot::DestinationAs) as u32,
            input_interface: self.interface(reading, Slot::InputInterface, Slot::PhysicalInput),
            output_interface: self.interface(reading, Slot::OutputInterface, Slot::PhysicalOutput),
            forward,
            reverse,
            ..FlowRecord::empty(exported)
        })
    }

    /// The ifIndex in a slot, or that of the physical interface where it is 0.
    #[inline(always)]
    fn interface(&self, reading: &Reading<'_, '_>, ip: Slot, physical: Slot) -> u32 {
        match reading.number(ip) as u32 {
            0 if self.fills(physical) => reading.number(physical) as u32,
            index => index,
        }
    }
}

/// Walks the chain of a record and notes where the booked fields stand in it.
fn walk(
    segments: &[Segment],
    mut booked: &[(Slot, Place)],
    cursor: &mut Cursor<'_>,
    layout: &mut Layout,
) -> Option<()> {
    let record = cursor.offset();
    *layout = Layout::EMPTY;
    for segment in segments {
        let start = cursor.offset() - record;
        cursor.skip(segment.length.into())?;
        for &(slot, place) in booked.split_off(..segment.booked.into()).unwrap_or_default() {
            layout.set(slot, start, place);
        }
        if segment.tail != Tail::End {
            let length = variable_length_content(cursor)?.len();
            if let Tail::Booked(slot) = segment.tail {
                let length = u16::try_from(length).unwrap_or(0);
                layout.set(slot, cursor.offset() - record - usize::from(length), Place { offset: 0, length });
            }
        }
    }
    Some(())
}

/// firewallEvent 2 (flow deleted) and 5 (flow update) report bytes since the last report; 1 (created), 3 (denied) and
/// 4 (alert) do not (IANA IPFIX registry, element 233).
const fn is_counting_event(event: u64) -> bool {
    !matches!(event, 1 | 3 | 4)
}
