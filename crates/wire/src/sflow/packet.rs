//! From the structures of a flow sample to its flow record. Several of them may describe the same packet; the sampled
//! header is the most reliable, because the agent did not interpret it.
//!
//! The structures of tunnels (sflow.org, "sFlow Tunnel Structures"): an agent samples a packet before or after it opens or
//! makes a tunnel. If the tunnel is in the sampled header, extended_decapsulate states where the packet inside begins. If not,
//! extended_L2_tunnel, extended_ipv4_tunnel and extended_ipv6_tunnel describe the outer headers, which the sampled packet
//! does not have: they are shown, and never accounted.

use std::net::IpAddr;

use flow::sender_settings::Tunnels;
use flow::{Counters, FlowRecord, Sampling, SamplingSource, Timestamp};

use super::structure;
use crate::cursor::Cursor;
use crate::decoded::Decoded;
use crate::record::{Field, Fields, RecordKind};
use crate::sampled_packet::{Headers, LinkType, SampledPacket, Tunnelled};

/// A flow record while it is built. If a structure is truncated, what was read of it is used.
pub(super) struct Packet {
    flow: FlowRecord,
    length_from: TakenFrom,
    addresses_from: TakenFrom,
    /// Whether the sampled header is of a tunnel.
    is_tunnel: bool,
    /// Where in the sampled header the packet inside begins, according to the agent.
    inner_offset: Option<u32>,
}

/// The structure that a value was taken from, the least reliable first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TakenFrom {
    None,
    /// sampled_ipv4, sampled_ipv6: without the link header.
    Network,
    /// sampled_ethernet.
    Link,
    /// sampled_header.
    Header,
}

/// Whether a sampled header has the number of stripped octets (in version 5 it does).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stripped {
    Stated,
    Unstated,
}

/// The form of the AS path in an extended_gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    /// Version 2: AS numbers.
    Flat,
    /// Version 4: segments, each a set or a sequence.
    Segments,
    /// Version 5: after the next hop, segments.
    NextHopAndSegments,
}

impl Packet {
    /// A packet with its sampling rate; 0 means 1.
    pub(super) fn new(exported: Timestamp, rate: u32) -> Self {
        let mut flow = FlowRecord::empty(exported);
        flow.forward = Counters { bytes: 0, packets: 1, flows: 1 };
        flow.sampling = Sampling::of_packets(rate.max(1), SamplingSource::Record);
        Self {
            flow,
            length_from: TakenFrom::None,
            addresses_from: TakenFrom::None,
            is_tunnel: false,
            inner_offset: None,
        }
    }

    /// ifIndexes; 0 where there is no single interface.
    pub(super) fn interfaces(&mut self, input: u32, output: u32) {
        (self.flow.input_interface, self.flow.output_interface) = (input, output);
    }

    /// The flow, and which kind of record it makes.
    pub(super) fn into_flow(self) -> (RecordKind, FlowRecord) {
        let is_addressed = self.addresses_from > TakenFrom::None;
        (if is_addressed { RecordKind::Data } else { RecordKind::NoIpHeader }, self.flow)
    }

    /// Whether it is in a tunnel, by its header or by what the agent states.
    pub(super) fn is_in_tunnel(&self) -> bool {
        self.is_tunnel || self.inner_offset.is_some()
    }

    /// Takes what counts from the packet inside, if that is to count. `octets` is the sampled_header once more.
    #[cold]
    pub(super) fn enter_tunnel(
        &mut self,
        mut octets: Cursor<'_>,
        stripped: Stripped,
        tunnels: Tunnels,
        report: &mut Decoded,
    ) -> Option<()> {
        let (link, header) = sampled(&mut octets, stripped)?;
        let tunnelled = Tunnelled { link, octets: header, inner_offset: self.inner_offset };
        if let Some(inner) = tunnelled.accounted(tunnels, report) {
            inner.replace_outer(&mut self.flow);
            self.addresses_from = TakenFrom::Header;
        }
        Some(())
    }

    /// sampled_header.
    pub(super) fn header(&mut self, octets: &mut Cursor<'_>, stripped: Stripped) -> Option<()> {
        let link = link_type(octets.u32()?);
        let frame_length = octets.u32()?;
        self.length(TakenFrom::Header, frame_length);
        if stripped == Stripped::Stated {
            octets.skip(4)?;
        }
        let length = structure::length(octets)?;
        let header = structure::opaque(octets, length)?;
        if self.addresses_from < TakenFrom::Header
            && let Some(link) = link
        {
            let headers = Headers::parse(link, header);
            self.is_tunnel = headers.is_tunnel;
            if headers.fill(&mut self.flow) {
                self.addresses_from = TakenFrom::Header;
            }
        }
        Some(())
    }

    /// extended_decapsulate_egress and extended_decapsulate_ingress.
    pub(super) fn inner_header(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        self.inner_offset = Some(octets.u32()?);
        Some(())
    }

    /// sampled_ethernet.
    pub(super) fn ethernet(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        let length = octets.u32()?;
        self.length(TakenFrom::Link, length);
        Some(())
    }

    /// sampled_ipv4.
    pub(super) fn ipv4(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        self.network::<4>(octets)
    }

    /// sampled_ipv6.
    pub(super) fn ipv6(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        self.network::<16>(octets)
    }

    fn network<const N: usize>(&mut self, octets: &mut Cursor<'_>) -> Option<()>
    where
        IpAddr: From<[u8; N]>,
    {
        let length = octets.u32()?;
        let protocol = octets.u32()?;
        let source = IpAddr::from(octets.array::<N>()?);
        let destination = IpAddr::from(octets.array::<N>()?);
        let [source_port, destination_port, _tcp_flags, _class] =
            [octets.u32()?, octets.u32()?, octets.u32()?, octets.u32()?];
        self.length(TakenFrom::Network, length);
        if self.addresses_from < TakenFrom::Network {
            self.addresses_from = TakenFrom::Network;
            // Protocol and ports are words; values that do not fit are invalid.
            self.flow.source = source;
            self.flow.destination = destination;
            self.flow.protocol = u8::try_from(protocol).unwrap_or_default();
            self.flow.source_port = u16::try_from(source_port).unwrap_or_default();
            self.flow.destination_port = u16::try_from(destination_port).unwrap_or_default();
        }
        Some(())
    }

    /// extended_router.
    pub(super) fn router(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        structure::address(octets)?;
        self.flow.is_source_by_default = octets.u32()? == 0;
        self.flow.is_destination_by_default = octets.u32()? == 0;
        Some(())
    }

    /// extended_gateway: the AS of the source, and the last AS of the path to the destination. If the source AS is 0, or the
    /// path is empty, the address is in the agent's own AS (routes inside an AS have no path: RFC 4271, section 5.1.2).
    pub(super) fn gateway(&mut self, octets: &mut Cursor<'_>, form: Gateway) -> Option<()> {
        if form == Gateway::NextHopAndSegments {
            structure::address(octets)?;
        }
        let own = octets.u32()?;
        let source = octets.u32()?;
        let _source_peer = octets.u32()?;
        self.flow.source_as = if source == 0 { own } else { source };
        self.flow.destination_as = own;
        let count = octets.u32()?;
        if form == Gateway::Flat {
            return self.path(octets, count);
        }
        for _ in 0..count {
            let _set_or_sequence = octets.u32()?;
            let length = octets.u32()?;
            self.path(octets, length)?;
        }
        Some(())
    }

    fn path(&mut self, octets: &mut Cursor<'_>, count: u32) -> Option<()> {
        for _ in 0..count {
            self.flow.destination_as = octets.u32()?;
        }
        Some(())
    }

    fn length(&mut self, taken_from: TakenFrom, octets: u32) {
        if self.length_from < taken_from {
            self.length_from = taken_from;
            self.flow.forward.bytes = octets.into();
        }
    }
}

/// Lists the headers in a sampled_header.
pub(super) fn show_header(
    octets: &mut Cursor<'_>,
    stripped: Stripped,
    visitor: &mut dyn FnMut(&Field<'_>),
) -> Option<()> {
    let (link, header) = sampled(octets, stripped)?;
    SampledPacket::parse(link, header).visit(visitor);
    Some(())
}

/// The content of a sampled_header.
pub(super) fn sampled<'a>(octets: &mut Cursor<'a>, stripped: Stripped) -> Option<(LinkType, &'a [u8])> {
    let link = link_type(octets.u32()?)?;
    let _frame_length = octets.u32()?;
    if stripped == Stripped::Stated {
        octets.skip(4)?;
    }
    let length = structure::length(octets)?;
    Some((link, structure::opaque(octets, length)?))
}

/// header_protocol: `None` for X.25 and SMDS, which are obsolete, and for numbers that are not assigned.
const fn link_type(header_protocol: u32) -> Option<LinkType> {
    match header_protocol {
        // A subframe of an 802.11 A-MSDU is like Ethernet, with a length instead of the EtherType.
        1 | 17 => Some(LinkType::Ethernet),
        2 => Some(LinkType::TokenBus),
        3 => Some(LinkType::TokenRing),
        4 => Some(LinkType::Fddi),
        5 => Some(LinkType::FrameRelay),
        // PPP, and PPP over SONET.
        7 | 14 => Some(LinkType::Ppp),
        9 => Some(LinkType::Llc),
        // IP over AAL5, IPv4, IPv6.
        10..=12 => Some(LinkType::Ip),
        13 => Some(LinkType::Mpls),
        // MAC frames, alone or aggregated.
        15 | 16 => Some(LinkType::Wireless),
        _ => None,
    }
}
