//! The headers of a sampled packet: sFlow raw headers, IPFIX `dataLinkFrameSection` (315) and `ipHeaderPacketSection`
//! (313). Packets are usually truncated: what could be read is used.
//!
//! The outermost headers are those of the network and are accounted; those inside tunnels are shown, and accounted instead
//! where the sender has that setting. Opened are GRE (with Ethernet, IP or MPLS inside), PPTP, L2TP, IP in IP, Ethernet in
//! IP, VXLAN, GENEVE and GTP-U, also inside one another, to a limited depth. The frame in an MPLS pseudowire or a provider backbone
//! belongs to the outermost packet: there is no other IP header. Ignored: checksums, IPv4 options, encrypted payloads.
//!
//! The link layer is in `sampled_packet/link.rs`, IP and the layers above in `sampled_packet/network.rs`, tunnels in
//! `sampled_packet/tunnel.rs`, and in `sampled_packet/inside.rs` which packet of a tunnel is accounted.

mod fields;
mod inside;
mod link;
mod network;
mod protocol;
mod tunnel;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use flow::FlowRecord;

use crate::cursor::Cursor;

pub(crate) use self::inside::Tunnelled;

/// The first layer of a sampled packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet, from the destination address on (IEEE 802.3).
    Ethernet,
    /// Token bus (IEEE 802.4).
    TokenBus,
    /// Token ring (IEEE 802.5).
    TokenRing,
    /// FDDI.
    Fddi,
    /// Frame relay (RFC 2427, and Cisco's own encapsulation).
    FrameRelay,
    /// PPP (RFC 1661), with or without HDLC-like framing (RFC 1662), and Cisco's HDLC.
    Ppp,
    /// LLC/SNAP without a link header before it, as in AAL5 (RFC 2684).
    Llc,
    /// IEEE 802.11, from the frame control field on.
    Wireless,
    /// An MPLS label stack (RFC 3032).
    Mpls,
    /// IPv4 or IPv6, by its version field.
    Ip,
}

/// The headers of a sampled packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampledPacket {
    /// The outermost headers.
    pub outer: Headers,
    /// The headers of the packet inside, if the outer ones end in a tunnel that could be opened.
    pub inner: Option<Headers>,
    /// The headers of the packet inside all tunnels that could be opened, if they are more than one.
    pub innermost: Option<Headers>,
}

/// The headers of one packet, from the link layer to the transport layer, as far as present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Addresses of the link layer.
    pub link: Option<LinkAddresses>,
    /// VLAN id of the outermost tag (12 bits).
    pub vlan: Option<u16>,
    /// VLAN id of the second tag.
    pub inner_vlan: Option<u16>,
    /// EtherType after tags and LLC/SNAP; for MPLS that of MPLS.
    pub ether_type: Option<u16>,
    /// Top MPLS label (20 bits).
    pub mpls_label: Option<u32>,
    /// The IP header.
    pub ip: Option<IpHeader>,
    /// Source and destination port of TCP, UDP, UDP-Lite, SCTP or DCCP; `None` for a fragment without transport header.
    pub ports: Option<(u16, u16)>,
    /// The low eight TCP flags.
    pub tcp_flags: Option<u8>,
    /// Type and code of ICMP or ICMPv6.
    pub icmp: Option<(u8, u8)>,
    /// Whether they are of a tunnel that can be opened, unless its content is cut off, encrypted or invalid.
    pub is_tunnel: bool,
}

/// MAC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddresses {
    /// Source of the frame.
    pub source: [u8; 6],
    /// Destination of the frame.
    pub destination: [u8; 6],
}

/// An IPv4 or IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IPv4 protocol field, or IPv6 next header after the extension headers; the number of an extension header if the packet
    /// is truncated within it.
    pub protocol: u8,
    /// Octets including the IP header; 0 if the sender left it to its network card.
    pub total_length: u32,
    /// IPv4 type of service or IPv6 traffic class.
    pub traffic_class: u8,
    /// IPv4 time to live or IPv6 hop limit.
    pub hop_limit: u8,
    /// IPv6 flow label (20 bits).
    pub flow_label: Option<u32>,
    /// The same in all fragments of a packet: IPv4 identification (16 bits), or that of the IPv6 fragment
    /// header (32 bits).
    pub identification: Option<u32>,
    /// Offset of this fragment in units of eight octets; 0 for whole packets and first fragments.
    pub fragment_offset: u16,
}

/// A header that is still to be read, and all octets after it.
#[derive(Clone, Copy, Debug)]
enum Layer<'a> {
    /// A header of this link type.
    Link(LinkType, Cursor<'a>),
    /// A header of this EtherType.
    EtherType(u16, Cursor<'a>),
}

/// What follows a header.
#[derive(Clone, Copy, Debug)]
enum Next<'a> {
    /// A further header of the same packet.
    Header(Layer<'a>),
    /// A packet inside a tunnel.
    Inside(Layer<'a>),
}

/// More headers than any network uses, each tag counted: a packet with more is not read further.
const MAXIMUM_HEADERS: usize = 16;
/// As many tunnels inside one another are opened.
const MAXIMUM_TUNNELS: usize = 8;

/// The headers of a packet and of the packets inside its tunnels, the outermost first.
fn packets(first: Layer<'_>) -> impl Iterator<Item = Headers> {
    let mut next = Some(first);
    let packets = std::iter::from_fn(move || {
        let mut headers = Headers::default();
        next = headers.read(next.take()?);
        Some(headers)
    });
    packets.take(1 + MAXIMUM_TUNNELS)
}

impl SampledPacket {
    /// Reads the headers. Never fails: invalid octets have no headers.
    #[must_use]
    pub fn parse(link: LinkType, octets: &[u8]) -> Self {
        let mut packets = packets(Layer::Link(link, Cursor::new(octets)));
        let outer = packets.next().unwrap_or_default();
        Self { outer, inner: packets.next(), innermost: packets.last() }
    }
}

impl Headers {
    /// Reads only the outer headers.
    #[must_use]
    pub fn parse(link: LinkType, octets: &[u8]) -> Self {
        packets(Layer::Link(link, Cursor::new(octets))).next().unwrap_or_default()
    }

    /// Writes addresses, protocol and ports to a flow record. Returns whether there was an IP header; without one the flow
    /// record is unchanged.
    pub fn fill(&self, flow: &mut FlowRecord) -> bool {
        let Some(ip) = self.ip else { return false };
        flow.source = ip.source;
        flow.destination = ip.destination;
        flow.protocol = ip.protocol;
        (flow.source_port, flow.destination_port) = self.ports.unwrap_or_default();
        true
    }

    /// Reads headers up to the transport header or a tunnel; returns the content of the tunnel.
    fn read<'a>(&mut self, first: Layer<'a>) -> Option<Layer<'a>> {
        let mut layer = first;
        for _ in 0..MAXIMUM_HEADERS {
            let next = match layer {
                Layer::Link(link, octets) => self.read_link(link, octets),
                Layer::EtherType(ether_type, octets) => self.read_ether_type(ether_type, octets),
            };
            match next? {
                Next::Header(header) => layer = header,
                Next::Inside(inside) => return Some(inside),
            }
        }
        None
    }
}
