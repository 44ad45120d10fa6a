//! Which headers of a packet in a tunnel are accounted: the outer ones, or those of the innermost packet.

use flow::FlowRecord;
use flow::sender_settings::Tunnels;

use super::{Headers, IpHeader, Layer, LinkType, Next, link, packets};
use crate::cursor::Cursor;
use crate::decoded::Decoded;

/// A sampled packet that is a tunnel's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tunnelled<'a> {
    /// Its first layer.
    pub(crate) link: LinkType,
    /// Its headers.
    pub(crate) octets: &'a [u8],
    /// Where in the octets the packet inside begins, if the exporter states it.
    pub(crate) inner_offset: Option<u32>,
}

/// What is inside.
#[derive(Debug)]
struct Innermost {
    /// The headers of the innermost packet with an IP header.
    headers: Option<Headers>,
    /// Whether it contains a further packet, which is cut off, encrypted, not IP, or too deep.
    hides_another: bool,
}

impl Tunnelled<'_> {
    /// The headers of the innermost packet that could be found, if those count. Notes the tunnel.
    pub(crate) fn accounted(&self, tunnels: Tunnels, report: &mut Decoded) -> Option<Headers> {
        report.tunnelled += 1;
        if tunnels == Tunnels::Outer {
            return None;
        }
        let inside = self.at_stated_offset().filter(|inside| inside.headers.is_some());
        let inside =
            inside.unwrap_or_else(|| Innermost::of(packets(Layer::Link(self.link, Cursor::new(self.octets))).skip(1)));
        report.inner_unknown += u32::from(inside.hides_another);
        inside.headers
    }

    /// Of a tunnel that only the exporter can open.
    fn at_stated_offset(&self) -> Option<Innermost> {
        let offset = usize::try_from(self.inner_offset?).ok()?;
        let octets = Cursor::new(self.octets.get(offset..)?);
        match link::ip_or_frame(octets)? {
            Next::Header(first) | Next::Inside(first) => Some(Innermost::of(packets(first))),
        }
    }
}

impl Innermost {
    fn of(packets: impl Iterator<Item = Headers>) -> Self {
        let mut inside = Self { headers: None, hides_another: true };
        for packet in packets {
            inside.hides_another = packet.ip.is_none() || packet.is_tunnel;
            if packet.ip.is_some() {
                inside.headers = Some(packet);
            }
        }
        inside
    }
}

impl Headers {
    /// Octets of the packet from its IP header on, of `sampled` octets that were on the wire. The header of a packet in a
    /// tunnel is whatever its sender writes, and a fragment has less than it says, so more than was on the wire never counts.
    /// Where it states no length (left to the network card; a jumbogram), what was on the wire counts.
    pub(crate) fn length_within(&self, sampled: u64) -> u64 {
        let stated = self.ip.filter(|ip| !ip.has_no_length()).map(|ip| ip.total_length.into());
        match stated {
            Some(stated) if sampled == 0 => stated,
            Some(stated) => stated.min(sampled),
            None => sampled,
        }
    }

    /// Writes addresses, protocol, ports and length to the flow record of a packet that has these headers inside.
    pub(crate) fn replace_outer(&self, flow: &mut FlowRecord) {
        self.fill(flow);
        flow.forward.bytes = self.length_within(flow.forward.bytes);
    }
}

impl IpHeader {
    /// Whether the packet is longer than its header says: IPv4 with length 0, and IPv6 with a payload length of 0 although
    /// something follows.
    fn has_no_length(&self) -> bool {
        const NO_NEXT_HEADER: u8 = 59;
        self.total_length == 0 || self.source.is_ipv6() && self.total_length == 40 && self.protocol != NO_NEXT_HEADER
    }
}
