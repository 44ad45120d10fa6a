//! How a data record is read for accounting: on arrival, a template is compiled into the locations of the few fields that
//! accounting counts ([`crate::booking`]).
//!
//! If all fields have a fixed length, these locations are the same in each record, and reading a record is one load from a
//! known offset for each value: nothing is walked and nothing is copied. A template with variable-length fields is a list
//! of segments that each end with such a field; every record is walked to find the locations. Listing all fields is the
//! job of [`crate::templated_record`]. docs/decisions/0006-decode.md has the measurements behind this design.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::sender_settings::Tunnels;
use flow::{Counters, FlowRecord, Timestamp};

use crate::booking::{self, Slot};
use crate::connections::Reports;
use crate::cursor::{Cursor, unsigned};
use crate::decoded::Decoded;
use crate::field_specifier::{FieldSpecifier, VARIABLE_LENGTH, variable_length_content};
use crate::inner_ends;
use crate::sampled_packet::{Headers, LinkType, Tunnelled};

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    shape: RecordShape,
    /// The slots that the template fills, one bit each; above them [`INNER_ENDS`], [`NAMES_EXPORTER`], how its records report
    /// connections, and the shortest record. An exporter may announce thousands of templates, so these share a word.
    facts: u64,
}

/// The bit of templates whose records may have the ends of a packet in a tunnel beside those of the tunnel.
const INNER_ENDS: u64 = 1 << 63;
/// The bit of templates that name the exporter of each record.
const NAMES_EXPORTER: u64 = 1 << 62;
/// The bits of [`Reports`] other than [`Reports::New`].
const NEW_THEN_WHOLE: u64 = 1 << 61;
const WHOLE: u64 = 1 << 60;
/// From which bit on 16 have the length of the shortest record that the template allows, in octets; 0 if it has no content.
const MINIMUM_LENGTH: u32 = 44;

const _: () = assert!(Slot::COUNT <= MINIMUM_LENGTH as usize);

/// How the booked fields of a record are located.
#[derive(Clone, Debug)]
enum RecordShape {
    /// At the same offsets in each record.
    Fixed(Layout),
    /// Each record is walked.
    Variable {
        segments: Box<[Segment]>,
        /// The booked fields of all segments, in order. Offsets count from the start of their segment.
        booked: Box<[(Slot, FieldLocation)]>,
    },
}

/// Fields of fixed length, and the variable-length field that follows them. It is small because a template may have as
/// many segments as fields.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    length: u16,
    /// Number of booked fields in this segment.
    booked: u8,
    tail: Tail,
}

/// What ends a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tail {
    /// The end of the record.
    #[default]
    End,
    /// A variable-length field that is not booked.
    Skipped,
    /// A variable-length field that fills a slot.
    Booked(Slot),
}

/// Where a field is in a record. Octets.
#[derive(Clone, Copy, Debug, Default)]
struct FieldLocation {
    offset: u16,
    /// 0 if there is no such field.
    length: u16,
}

/// The locations of the fields of one record, by slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout([FieldLocation; Slot::COUNT]);

impl Layout {
    /// No fields.
    pub(crate) const EMPTY: Self = Self([FieldLocation { offset: 0, length: 0 }; Slot::COUNT]);

    #[inline(always)]
    fn location(&self, slot: Slot) -> FieldLocation {
        self.0.get(slot as usize).copied().unwrap_or_default()
    }

    /// Notes the location of a field, relative to `start`. A field whose length does not fit the slot is left out.
    fn set(&mut self, slot: Slot, start: usize, FieldLocation { offset, length }: FieldLocation) {
        let offset = u16::try_from(start + usize::from(offset)).ok().filter(|_| slot.accepts(length));
        if let Some(location) = self.0.get_mut(slot as usize) {
            *location = offset.map_or(FieldLocation::default(), |offset| FieldLocation { offset, length });
        }
    }
}

/// One record and the locations of its fields. Slots that the template does not fill read as 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'p, 'd> {
    layout: &'p Layout,
    /// From the start of the record to the end of the set, so that eight octets can be read at once for most fields.
    octets: &'d [u8],
    length: usize,
}

impl<'d> Reading<'_, 'd> {
    /// The octets of the record.
    #[inline]
    pub(crate) fn record(&self) -> &'d [u8] {
        self.octets.get(..self.length).unwrap_or(self.octets)
    }

    /// The number in a slot. Eight octets are read at once and those of the next fields are shifted out, which avoids a
    /// branch on the length.
    #[inline(always)]
    pub(crate) fn number(&self, slot: Slot) -> u64 {
        let FieldLocation { offset, length } = self.layout.location(slot);
        let start = usize::from(offset);
        if length == 0 {
            return 0;
        }
        match self.octets.get(start..start + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
            // Shifts by 64 - 8 * length: a shift by a negative number wraps to that.
            Some(eight) => u64::from_be_bytes(eight).wrapping_shr((u32::from(length) * 8).wrapping_neg()),
            None => self.last_number(start, length.into()),
        }
    }

    /// A number with fewer than eight octets after its start.
    #[cold]
    #[inline(never)]
    fn last_number(&self, start: usize, length: usize) -> u64 {
        unsigned(self.octets.get(start..start + length).unwrap_or_default())
    }

    /// The address in one of two slots. An IPv4 address that is not 0.0.0.0 wins over IPv6: dual-stack templates fill the
    /// unused family with zeros.
    #[inline(always)]
    fn address(&self, ipv4: Slot, ipv6: Slot) -> IpAddr {
        let address = Ipv4Addr::from_bits(self.number(ipv4) as u32);
        if address.is_unspecified()
            && let FieldLocation { offset, length: 16 } = self.layout.location(ipv6)
            && let Some(octets) = self.octets.get(offset.into()..).and_then(<[u8]>::first_chunk::<16>)
        {
            return Ipv6Addr::from(*octets).into();
        }
        address.into()
    }

    /// The section of a sampled packet, the last one if there are several.
    pub(crate) fn section(&self) -> Option<(LinkType, &'d [u8])> {
        let sections = [(Slot::FrameSection, LinkType::Ethernet), (Slot::PacketSection, LinkType::Ip)];
        let sections = sections.map(|(slot, link)| (self.layout.location(slot), link));
        let (FieldLocation { offset, length }, link) =
            sections.into_iter().filter(|(at, _)| at.length > 0).max_by_key(|(at, _)| at.offset)?;
        Some((link, self.octets.get(offset.into()..)?.get(..length.into())?))
    }
}

impl Plan {
    /// Compiles the fields of a template. `booked` is the first field that is read for accounting: the scope fields of a v9
    /// options template have numbers of their own. `None` if the record would be too long.
    pub(crate) fn compile(fields: &[FieldSpecifier], booked: usize) -> Option<Self> {
        let visible = fields.iter().skip(booked).map(|field| (field.element, field.fixed_length()));
        let choice = booking::choose(visible.clone());
        let chosen =
            |slot: Slot| choice.get(slot as usize).copied().flatten().and_then(|field| fields.get(field + booked));
        let counters = [Slot::ForwardBytes, Slot::ForwardPackets, Slot::ReverseBytes, Slot::ReversePackets];
        let elements = counters.into_iter().filter_map(chosen).map(|field| field.element);
        let has = |slot| chosen(slot).is_some();
        let ends = [[Slot::SourceIpv4, Slot::SourceIpv6], [Slot::DestinationIpv4, Slot::DestinationIpv6]];
        let is_identified = has(Slot::FlowId) || ends.into_iter().all(|end| end.into_iter().any(has));
        let reports = match is_identified {
            true => booking::reports(elements, has(Slot::FirewallEvent)),
            false => Reports::New,
        };
        let mut slots: Vec<(usize, Slot)> =
            Slot::ALL.into_iter().zip(choice).filter_map(|(slot, field)| Some((field? + booked, slot))).collect();
        slots.sort_unstable_by_key(|&(field, _)| field);

        let mut filled = if inner_ends::are_in(visible.map(|(element, _)| element)) { INNER_ENDS } else { 0 };
        let mut minimum_length = 0_u16;
        let (mut segments, mut booked) = (Vec::new(), Vec::new());
        let mut segment = Segment::default();
        let mut slots = slots.into_iter().peekable();
        for (index, &FieldSpecifier { length, .. }) in fields.iter().enumerate() {
            let slot = slots.next_if(|&(field, _)| field == index).map(|(_, slot)| slot);
            filled |= slot.map_or(0, |slot| 1_u64 << slot as u32);
            if length == VARIABLE_LENGTH {
                minimum_length = minimum_length.checked_add(1)?;
                segment.tail = slot.map_or(Tail::Skipped, Tail::Booked);
                segments.push(std::mem::take(&mut segment));
            } else {
                if let Some(slot) = slot {
                    booked.push((slot, FieldLocation { offset: segment.length, length }));
                    segment.booked += 1;
                }
                minimum_length = minimum_length.checked_add(length)?;
                segment.length = segment.length.checked_add(length)?;
            }
        }
        let shape = if segments.is_empty() {
            let mut layout = Layout::EMPTY;
            booked.into_iter().for_each(|(slot, location)| layout.set(slot, 0, location));
            RecordShape::Fixed(layout)
        } else {
            segments.push(segment);
            RecordShape::Variable { segments: segments.into(), booked: booked.into() }
        };
        let names_exporter = fields.iter().any(|field| booking::exporter_place(field.element).is_some());
        if names_exporter {
            filled |= NAMES_EXPORTER;
        }
        filled |= match reports {
            Reports::New => 0,
            Reports::NewThenWhole => NEW_THEN_WHOLE,
            Reports::Whole => WHOLE,
        };
        Some(Self { shape, facts: filled | u64::from(minimum_length) << MINIMUM_LENGTH })
    }

    /// Memory outside of the struct, in octets.
    pub(crate) fn heap_octets(&self) -> usize {
        match &self.shape {
            RecordShape::Fixed(_) => 0,
            RecordShape::Variable { segments, booked } => size_of_val(&**segments) + size_of_val(&**booked),
        }
    }

    /// The shortest record that the template allows, in octets; 0 if its records have no content.
    pub(crate) const fn minimum_length(&self) -> usize {
        (self.facts >> MINIMUM_LENGTH & u16::MAX as u64) as usize
    }

    /// Whether its records may mean more than one thing ([`crate::ambiguity`]).
    pub(crate) const fn is_ambiguous(&self) -> bool {
        const AMBIGUOUS: u64 = INNER_ENDS
            | 1 << Slot::FlowDirection as u32
            | 1 << Slot::PostBytes as u32
            | 1 << Slot::InsideDestinationIpv4 as u32
            | 1 << Slot::InsideDestinationIpv6 as u32;
        self.facts & AMBIGUOUS != 0
    }

    /// Whether records may have the ends of a packet in a tunnel beside those of the tunnel ([`inner_ends`]).
    pub(crate) const fn has_inner_ends(&self) -> bool {
        self.facts & INNER_ENDS != 0
    }

    /// Whether records have a field for the exporter that they are of.
    pub(crate) const fn names_exporter(&self) -> bool {
        self.facts & NAMES_EXPORTER != 0
    }

    /// How its records report connections.
    pub(crate) const fn reports(&self) -> Reports {
        match self.facts & (NEW_THEN_WHOLE | WHOLE) {
            NEW_THEN_WHOLE => Reports::NewThenWhole,
            WHOLE => Reports::Whole,
            _ => Reports::New,
        }
    }

    /// Whether the template fills a slot.
    pub(crate) const fn fills(&self, slot: Slot) -> bool {
        self.facts & (1_u64 << slot as u32) != 0
    }

    /// Whether records carry a section of a packet.
    pub(crate) const fn samples(&self) -> bool {
        self.fills(Slot::FrameSection) || self.fills(Slot::PacketSection)
    }

    /// Whether the only addresses of a record are those in the section of a packet.
    pub(crate) fn is_addressed_by_section(&self) -> bool {
        let addresses = [Slot::SourceIpv4, Slot::DestinationIpv4, Slot::SourceIpv6, Slot::DestinationIpv6];
        self.samples() && !addresses.into_iter().any(|slot| self.fills(slot))
    }

    /// Whether the flows of its records are those of sampled packets, and not of other fields.
    pub(crate) fn is_of_packets(&self) -> bool {
        self.samples() && (self.is_addressed_by_section() || !self.counts())
    }

    /// Whether records carry counters.
    pub(crate) const fn counts(&self) -> bool {
        self.fills(Slot::ForwardBytes)
            || self.fills(Slot::ForwardPackets)
            || self.fills(Slot::ReverseBytes)
            || self.fills(Slot::ReversePackets)
    }

    /// Locates one record and advances past it. `None` if it overruns the set; the cursor is then unspecified. `room` holds
    /// the locations of records that have to be walked.
    #[inline]
    pub(crate) fn read<'p, 'd>(&'p self, cursor: &mut Cursor<'d>, room: &'p mut Layout) -> Option<Reading<'p, 'd>> {
        let (start, octets) = (cursor.offset(), cursor.rest());
        let layout = match &self.shape {
            RecordShape::Fixed(layout) => {
                cursor.skip(self.minimum_length())?;
                layout
            }
            RecordShape::Variable { segments, booked } => {
                walk(segments, booked, cursor, room)?;
                room
            }
        };
        Some(Reading { layout, octets, length: cursor.offset() - start })
    }

    /// The flow of the sampled packet in a record: with the counters of the record, or else one packet of the length in
    /// its IP header. `None` if the section has no IP header. Of a packet in a tunnel, `tunnels` decides which headers count.
    pub(crate) fn sampled_flow(
        &self,
        reading: &Reading<'_, '_>,
        exported: Timestamp,
        tunnels: Tunnels,
        report: &mut Decoded,
    ) -> Option<FlowRecord> {
        let (link, octets) = reading.section()?;
        let mut headers = Headers::parse(link, octets);
        let mut length = headers.ip.map(|ip| u64::from(ip.total_length))?;
        if headers.is_tunnel
            && let Some(inner) = (Tunnelled { link, octets, inner_offset: None }).accounted(tunnels, report)
        {
            length = inner.length_within(length);
            headers = inner;
        }
        let counters = Counters { bytes: length, packets: 1, flows: 1 };
        let one = || FlowRecord { forward: counters, ..FlowRecord::empty(exported) };
        let mut flow = if self.counts() { self.flow(reading, exported)? } else { one() };
        headers.fill(&mut flow).then_some(flow)
    }

    /// The flow that a record reports; `None` for an event without new bytes.
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
        Some(FlowRecord { forward, reverse, ..Self::ends(reading, exported) })
    }

    /// The ends of a flow or an event, without counters and interfaces. A field that is wider than the registry allows keeps
    /// its low bits.
    #[inline(always)]
    pub(crate) fn ends(reading: &Reading<'_, '_>, exported: Timestamp) -> FlowRecord {
        let number = |slot| reading.number(slot);
        FlowRecord {
            source: reading.address(Slot::SourceIpv4, Slot::SourceIpv6),
            destination: reading.address(Slot::DestinationIpv4, Slot::DestinationIpv6),
            protocol: number(Slot::Protocol) as u8,
            source_port: number(Slot::SourcePort) as u16,
            destination_port: number(Slot::DestinationPort) as u16,
            source_as: number(Slot::SourceAs) as u32,
            destination_as: number(Slot::DestinationAs) as u32,
            ..FlowRecord::empty(exported)
        }
    }

    /// Whether the source and the destination are known by a default route only: the record has the lengths of their prefixes,
    /// and these are 0.
    #[inline(always)]
    pub(crate) fn by_default(&self, reading: &Reading<'_, '_>, flow: &FlowRecord) -> (bool, bool) {
        let is_zero = |mask, ipv4, address: IpAddr| {
            // A template for both families has the prefix length of IPv4 here.
            let is_of_address = address.is_ipv4() || !self.fills(ipv4);
            self.fills(mask) && is_of_address && reading.number(mask) == 0
        };
        (
            is_zero(Slot::SourceMask, Slot::SourceIpv4, flow.source),
            is_zero(Slot::DestinationMask, Slot::DestinationIpv4, flow.destination),
        )
    }

    /// The destination after network address translation; 0.0.0.0 if the record has none.
    pub(crate) fn inside_destination(&self, reading: &Reading<'_, '_>) -> IpAddr {
        reading.address(Slot::InsideDestinationIpv4, Slot::InsideDestinationIpv6)
    }

    /// The ifIndexes of the input and output interface. They are apart from [`flow`](Self::flow) because most collectors do
    /// not count by them.
    #[inline(always)]
    pub(crate) fn interfaces(&self, reading: &Reading<'_, '_>) -> (u32, u32) {
        let input = self.interface(reading, Slot::InputInterface, Slot::PhysicalInput);
        (input, self.interface(reading, Slot::OutputInterface, Slot::PhysicalOutput))
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

/// Walks the segments of a record and notes the locations of the booked fields.
fn walk(
    segments: &[Segment],
    mut booked: &[(Slot, FieldLocation)],
    cursor: &mut Cursor<'_>,
    layout: &mut Layout,
) -> Option<()> {
    let record = cursor.offset();
    *layout = Layout::EMPTY;
    for segment in segments {
        let start = cursor.offset() - record;
        cursor.skip(segment.length.into())?;
        for &(slot, location) in booked.split_off(..segment.booked.into()).unwrap_or_default() {
            layout.set(slot, start, location);
        }
        if segment.tail != Tail::End {
            let length = variable_length_content(cursor)?.len();
            if let Tail::Booked(slot) = segment.tail {
                let length = u16::try_from(length).unwrap_or(0);
                layout.set(slot, cursor.offset() - record - usize::from(length), FieldLocation { offset: 0, length });
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
