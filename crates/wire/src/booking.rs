//! Which information elements accounting reads, and which of them it books if a record carries several with nearly the
//! same meaning. Only this table decides; [`crate::plan`] compiles it into each template.
//!
//! Rules
//! - **First of a row wins.** A record is booked from the first element of a row that its template has; elements
//!   further right are ignored. So delta counters (1, 2) win over those after a middlebox (23, 24), over a
//!   firewall's initiator (231, 298), over running totals (85, 86) and over layer-2 octets (352, 353): none is added to
//!   another, none overwrites another.
//! - **The reverse counter is the partner of the forward one**: RFC 5103 reverse elements (PEN 29305) of the same
//!   number, responder (232, 299) for initiator. If the initiator counter is not used, neither is the
//!   responder: its octets would be counted twice.
//! - **Post counters replace empty ones**: exporters that count on egress send 1 and 2 as zero, and the counters in 23 and
//!   24 (Juniper SRX); the record is then booked from 23 and 24.
//! - **The IP interface wins over the physical one**: ingressInterface and egressInterface (10, 14) are what routes and
//!   SNMP counters are about, ingressPhysicalInterface and egressPhysicalInterface (252, 253) the port below (IANA's
//!   registry). All are ifIndexes, of which 0 is none (RFC 2863); a flow with no IP interface, such as a bridged one, is
//!   booked by its port.
//! - **A sampled packet is a flow of one packet** if the record that carries it has no counter: its octets are the total
//!   length in its IP header. In a record with counters the packet is ignored.
//! - **The first of repeated elements wins**: it is the outer header (RFC 7011, section 8: the order is that of
//!   encapsulation). [`crate::inner_ends`] reads the others.
//!
//! [`crate::plan`] decides what a value means once it is read.

use crate::connections::Reports;
use crate::record::ElementId;
use crate::sampled_packet::LinkType;

/// Something that accounting needs from a record. Its number indexes the locations of a record's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    ForwardBytes,
    ReverseBytes,
    ForwardPackets,
    ReversePackets,
    PostBytes,
    PostPackets,
    Flows,
    Protocol,
    SourcePort,
    DestinationPort,
    SourceAs,
    DestinationAs,
    InputInterface,
    OutputInterface,
    PhysicalInput,
    PhysicalOutput,
    FirewallEvent,
    SamplerId,
    SourceIpv4,
    DestinationIpv4,
    SourceIpv6,
    DestinationIpv6,
    FrameSection,
    PacketSection,
    FlowDirection,
    InsideDestinationPort,
    InsideDestinationIpv4,
    InsideDestinationIpv6,
    FlowId,
    FlowStart,
    FlowEndReason,
    SourceMask,
    DestinationMask,
}

impl Slot {
    /// How many slots there are.
    pub(crate) const COUNT: usize = Self::DestinationMask as usize + 1;
    /// All slots, each at its number.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::ForwardBytes,
        Self::ReverseBytes,
        Self::ForwardPackets,
        Self::ReversePackets,
        Self::PostBytes,
        Self::PostPackets,
        Self::Flows,
        Self::Protocol,
        Self::SourcePort,
        Self::DestinationPort,
        Self::SourceAs,
        Self::DestinationAs,
        Self::InputInterface,
        Self::OutputInterface,
        Self::PhysicalInput,
        Self::PhysicalOutput,
        Self::FirewallEvent,
        Self::SamplerId,
        Self::SourceIpv4,
        Self::DestinationIpv4,
        Self::SourceIpv6,
        Self::DestinationIpv6,
        Self::FrameSection,
        Self::PacketSection,
        Self::FlowDirection,
        Self::InsideDestinationPort,
        Self::InsideDestinationIpv4,
        Self::InsideDestinationIpv6,
        Self::FlowId,
        Self::FlowStart,
        Self::FlowEndReason,
        Self::SourceMask,
        Self::DestinationMask,
    ];

    /// Whether a field of this many octets can be read into the slot: an address has one length, an unsigned integer
    /// any from 1 to 8 (RFC 7011, section 6.2: reduced-size encoding).
    pub(crate) const fn accepts(self, length: u16) -> bool {
        match self {
            Self::SourceIpv4 | Self::DestinationIpv4 | Self::InsideDestinationIpv4 => length == 4,
            Self::SourceIpv6 | Self::DestinationIpv6 | Self::InsideDestinationIpv6 => length == 16,
            Self::FrameSection | Self::PacketSection => length > 0,
            _ => 1 <= length && length <= 8,
        }
    }
}

/// The Private Enterprise Number of reverse elements (RFC 5103, section 6.1).
const REVERSE: u32 = 29305;

const fn iana(id: u16) -> ElementId {
    ElementId { enterprise: 0, id }
}

const fn reverse(id: u16) -> ElementId {
    ElementId { enterprise: REVERSE, id }
}

/// A counter and its partner of the other direction: forward, reverse.
type Pair = (ElementId, ElementId);

/// Octets, the best first.
pub(crate) const BYTES: &[Pair] = &[
    (iana(1), reverse(1)),
    (iana(23), reverse(23)),
    (iana(231), iana(232)),
    (iana(85), reverse(85)),
    (iana(352), reverse(352)),
    (iana(353), reverse(353)),
];

/// Packets, the best first.
pub(crate) const PACKETS: &[Pair] =
    &[(iana(2), reverse(2)), (iana(24), reverse(24)), (iana(298), iana(299)), (iana(86), reverse(86))];

/// Everything but pairs of counters: the slot and the elements that fill it, the best first.
pub(crate) const FIELDS: &[(Slot, &[ElementId])] = &[
    // Octets and packets after the middlebox, for records whose counters before it are zero.
    (Slot::PostBytes, &[iana(23)]),
    (Slot::PostPackets, &[iana(24)]),
    // deltaFlowCount: a record that aggregates several flows.
    (Slot::Flows, &[iana(3)]),
    // protocolIdentifier, else the next header of IPv6.
    (Slot::Protocol, &[iana(4), iana(193)]),
    // sourceTransportPort, else udpSourcePort, tcpSourcePort.
    (Slot::SourcePort, &[iana(7), iana(180), iana(182)]),
    (Slot::DestinationPort, &[iana(11), iana(181), iana(183)]),
    (Slot::SourceAs, &[iana(16)]),
    (Slot::DestinationAs, &[iana(17)]),
    // ingressInterface, else ingressPhysicalInterface; egress alike.
    (Slot::InputInterface, &[iana(10), iana(252)]),
    (Slot::OutputInterface, &[iana(14), iana(253)]),
    // The physical interface, for records whose IP interface is 0.
    (Slot::PhysicalInput, &[iana(252)]),
    (Slot::PhysicalOutput, &[iana(253)]),
    // firewallEvent, and the element that ASA used before it had a number.
    (Slot::FirewallEvent, &[iana(233), iana(40005)]),
    // samplerId, selectorId, flagsAndSamplerId.
    (Slot::SamplerId, &[iana(48), iana(302), FLAGS_AND_SAMPLER_ID]),
    // The address, else the prefix that an aggregating exporter sends instead.
    (Slot::SourceIpv4, &[iana(8), iana(44)]),
    (Slot::DestinationIpv4, &[iana(12), iana(45)]),
    (Slot::SourceIpv6, &[iana(27), iana(170)]),
    (Slot::DestinationIpv6, &[iana(28), iana(169)]),
    (Slot::FrameSection, FRAME_SECTIONS),
    (Slot::PacketSection, PACKET_SECTIONS),
    (Slot::FlowDirection, &[iana(61)]),
    // After translation: postNAPTDestinationTransportPort, postNATDestinationIPv4Address, postNATDestinationIPv6Address,
    // and the elements that ASA used before those had numbers.
    (Slot::InsideDestinationPort, &[iana(228), iana(40004)]),
    (Slot::InsideDestinationIpv4, &[iana(226), iana(40002)]),
    (Slot::InsideDestinationIpv6, &[iana(282)]),
    // What distinguishes connections whose sums are reported.
    (Slot::FlowId, &[iana(148)]),
    // flowStartMilliseconds, Microseconds, Nanoseconds, Seconds, SysUpTime, flowStartDeltaMicroseconds.
    (Slot::FlowStart, &[iana(152), iana(154), iana(156), iana(150), iana(22), iana(158)]),
    (Slot::FlowEndReason, &[iana(136)]),
    // The lengths of the prefixes in the routing table: an AS number of a default route is that of a neighbour.
    // Of IPv4, else of IPv6: of templates with both, that of IPv4 flows is read.
    (Slot::SourceMask, &[iana(9), iana(29)]),
    (Slot::DestinationMask, &[iana(13), iana(30)]),
];

/// A sampler and flags in one number. Its layout is not published.
pub(crate) const FLAGS_AND_SAMPLER_ID: ElementId = iana(87);

/// What names the exporter of a record, in the order of precedence: where a mediator received it from, and who exported it
/// (RFC 7119, RFC 5102).
const EXPORTERS: [ElementId; 4] = [iana(403), iana(404), iana(130), iana(131)];

/// The place of an element among those that name an exporter.
pub(crate) fn exporter_place(element: ElementId) -> Option<usize> {
    EXPORTERS.iter().position(|of| *of == element)
}

/// dataLinkFrameSection, and what Cisco's NetFlow-Lite sent before it (layer2packetSectionData).
const FRAME_SECTIONS: &[ElementId] = &[iana(315), iana(104)];

/// ipHeaderPacketSection.
const PACKET_SECTIONS: &[ElementId] = &[iana(313)];

/// The first layer of the packet section that an element holds, if it holds one.
pub(crate) fn section_link(element: ElementId) -> Option<LinkType> {
    let is_one_of = |sections: &[ElementId]| sections.contains(&element);
    let packet = is_one_of(PACKET_SECTIONS).then_some(LinkType::Ip);
    packet.or_else(|| is_one_of(FRAME_SECTIONS).then_some(LinkType::Ethernet))
}

/// For each slot the field of a template that fills it, as a position in the list of fields.
pub(crate) type Choice = [Option<usize>; Slot::COUNT];

/// Chooses the fields of a template that are booked. `fields` gives the element of each field and its length, `None` if
/// that varies.
pub(crate) fn choose(fields: impl Iterator<Item = (ElementId, Option<u16>)> + Clone) -> Choice {
    let mut choice = [None; Slot::COUNT];
    let find = |slot: Slot, wanted: ElementId| {
        let fits = |length: Option<u16>| length.is_none_or(|length| slot.accepts(length));
        fields.clone().position(|(element, length)| element == wanted && fits(length))
    };
    for &(slot, elements) in FIELDS {
        set(&mut choice, slot, elements.iter().find_map(|&element| find(slot, element)));
    }
    for (forward_slot, reverse_slot, pairs) in
        [(Slot::ForwardBytes, Slot::ReverseBytes, BYTES), (Slot::ForwardPackets, Slot::ReversePackets, PACKETS)]
    {
        let pair = pairs.iter().find_map(|&(forward, reverse)| {
            let found = (find(forward_slot, forward), find(reverse_slot, reverse));
            (found != (None, None)).then_some(found)
        });
        let (forward, reverse) = pair.unwrap_or_default();
        set(&mut choice, forward_slot, forward);
        set(&mut choice, reverse_slot, reverse);
    }
    // A field fills one slot: if it is booked anyway, it replaces nothing.
    for (slot, replacement) in [
        (Slot::ForwardBytes, Slot::PostBytes),
        (Slot::ForwardPackets, Slot::PostPackets),
        (Slot::InputInterface, Slot::PhysicalInput),
        (Slot::OutputInterface, Slot::PhysicalOutput),
    ] {
        if choice.get(slot as usize) == choice.get(replacement as usize) {
            set(&mut choice, replacement, None);
        }
    }
    choice
}

/// How records with these counters report connections: `elements` are those chosen for octets and packets, both ways.
pub(crate) fn reports(elements: impl Iterator<Item = ElementId> + Clone, has_firewall_event: bool) -> Reports {
    let are_all = |ids: &[u16]| elements.clone().all(|element| ids.contains(&element.id));
    if elements.clone().next().is_none() {
        Reports::New
    } else if are_all(&[85, 86]) {
        Reports::Whole
    } else if has_firewall_event && are_all(&[231, 232, 298, 299]) {
        Reports::NewThenWhole
    } else {
        Reports::New
    }
}

fn set(choice: &mut Choice, slot: Slot, field: Option<usize>) {
    if let Some(chosen) = choice.get_mut(slot as usize) {
        *chosen = field;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_every_slot_is_its_index() {
        for (index, slot) in Slot::ALL.into_iter().enumerate() {
            assert_eq!(slot as usize, index);
        }
    }

    fn chosen(elements: &[ElementId], slot: Slot) -> Option<usize> {
        choose(elements.iter().map(|&element| (element, Some(4))))[slot as usize]
    }

    #[test]
    fn delta_counters_win_over_post_total_and_initiator_counters() {
        let all = [iana(85), iana(231), iana(23), iana(352), iana(1), reverse(1), iana(232)];
        assert_eq!(chosen(&all, Slot::ForwardBytes), Some(4));
        assert_eq!(chosen(&all, Slot::ReverseBytes), Some(5));
        assert_eq!(chosen(&all, Slot::PostBytes), Some(2));
        assert_eq!(chosen(&all[..4], Slot::ForwardBytes), Some(2));
        assert_eq!(chosen(&all[..2], Slot::ForwardBytes), Some(1));
        assert_eq!(chosen(&all[..1], Slot::ForwardBytes), Some(0));
    }

    #[test]
    fn a_responder_counter_goes_with_its_initiator_only() {
        assert_eq!(chosen(&[iana(231), iana(232)], Slot::ReverseBytes), Some(1));
        assert_eq!(chosen(&[iana(232)], Slot::ReverseBytes), Some(0));
        assert_eq!(chosen(&[iana(1), iana(231), iana(232)], Slot::ReverseBytes), None);
    }

    #[test]
    fn a_field_fills_one_slot_only() {
        let fields = [iana(24), iana(1)];
        assert_eq!(chosen(&fields, Slot::ForwardPackets), Some(0));
        assert_eq!(chosen(&fields, Slot::PostPackets), None);
    }

    #[test]
    fn the_ip_interface_wins_and_the_physical_one_replaces_it_when_it_is_zero() {
        let both = [iana(252), iana(10), iana(14), iana(253)];
        assert_eq!([Slot::InputInterface, Slot::PhysicalInput].map(|slot| chosen(&both, slot)), [Some(1), Some(0)]);
        assert_eq!([Slot::OutputInterface, Slot::PhysicalOutput].map(|slot| chosen(&both, slot)), [Some(2), Some(3)]);
        let physical = [iana(253), iana(252)];
        assert_eq!([Slot::InputInterface, Slot::PhysicalInput].map(|slot| chosen(&physical, slot)), [Some(1), None]);
        assert_eq!([Slot::OutputInterface, Slot::PhysicalOutput].map(|slot| chosen(&physical, slot)), [Some(0), None]);
    }

    #[test]
    fn the_first_of_repeated_elements_wins() {
        assert_eq!(chosen(&[iana(4), iana(4)], Slot::Protocol), Some(0));
    }

    #[test]
    fn a_field_of_an_impossible_length_is_ignored() {
        let fields = [(iana(8), Some(50)), (iana(44), Some(4)), (iana(1), Some(9)), (iana(85), None)];
        let choice = choose(fields.into_iter());
        assert_eq!(choice[Slot::SourceIpv4 as usize], Some(1));
        assert_eq!(choice[Slot::ForwardBytes as usize], Some(3));
    }

    #[test]
    fn packet_sections_are_recognised_by_their_elements() {
        assert_eq!(section_link(iana(315)), Some(LinkType::Ethernet));
        assert_eq!(section_link(iana(104)), Some(LinkType::Ethernet));
        assert_eq!(section_link(iana(313)), Some(LinkType::Ip));
        assert_eq!(section_link(ElementId { enterprise: 9, id: 315 }), None);
    }
}
