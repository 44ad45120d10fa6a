//! From the first octet of a frame to its IP header: link headers, tags of switches, LLC/SNAP, PPP, MPLS and the frames in
//! pseudowires and provider backbones.

use super::{Headers, Layer, LinkAddresses, LinkType, MAXIMUM_HEADERS, Next, network};
use crate::cursor::Cursor;

/// EtherTypes that lead to an IP header.
pub(super) mod ether_type {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    pub(in super::super) const CUSTOMER_TAG: u16 = 0x8100;
    pub(in super::super) const SERVICE_TAG: u16 = 0x88a8;
    /// Tags of switches older than IEEE 802.1ad.
    pub(in super::super) const OLD_SERVICE_TAG: u16 = 0x9100;
    pub(in super::super) const OTHER_OLD_SERVICE_TAG: u16 = 0x9200;
    pub(in super::super) const MPLS: u16 = 0x8847;
    pub(in super::super) const MPLS_MULTICAST: u16 = 0x8848;
    pub(in super::super) const PPPOE_SESSION: u16 = 0x8864;
    pub(in super::super) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    /// Port extenders: E-TAG (IEEE 802.1BR) and VN-Tag (Cisco).
    pub(in super::super) const EXTENDER_TAG: u16 = 0x893f;
    pub(in super::super) const VIRTUAL_NETWORK_TAG: u16 = 0x8926;
    /// Cisco MetaData (TrustSec).
    pub(in super::super) const CISCO_METADATA: u16 = 0x8909;
    /// Provider backbone (IEEE 802.1ah).
    pub(in super::super) const SERVICE_INSTANCE_TAG: u16 = 0x88e7;
    /// MACsec (IEEE 802.1AE).
    pub(in super::super) const SECURITY_TAG: u16 = 0x88e5;
    /// Below this the field is the length of an LLC frame (IEEE 802.3, section 3.2.6).
    pub(in super::super) const SMALLEST: u16 = 0x0600;
}

impl Headers {
    pub(super) fn read_link<'a>(&mut self, link: LinkType, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        match link {
            LinkType::Ethernet => {
                self.read_addresses(&mut octets)?;
                Some(Next::Header(Layer::EtherType(octets.u16()?, octets)))
            }
            LinkType::TokenBus | LinkType::Fddi => {
                let _frame_control = octets.u8()?;
                self.read_addresses(&mut octets)?;
                Some(Next::Header(Layer::Link(LinkType::Llc, octets)))
            }
            LinkType::TokenRing => self.read_token_ring(octets),
            LinkType::Wireless => self.read_wireless(octets),
            LinkType::FrameRelay => read_frame_relay(octets),
            LinkType::Ppp => read_ppp(octets),
            LinkType::Llc => read_llc(octets),
            LinkType::Mpls => self.read_mpls(octets),
            LinkType::Ip => self.read_ip(octets),
        }
    }

    pub(super) fn read_ether_type<'a>(&mut self, value: u16, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        if value < ether_type::SMALLEST {
            return Some(Next::Header(Layer::Link(LinkType::Llc, octets)));
        }
        match value {
            ether_type::CUSTOMER_TAG
            | ether_type::SERVICE_TAG
            | ether_type::OLD_SERVICE_TAG
            | ether_type::OTHER_OLD_SERVICE_TAG => return self.read_tag(octets),
            // Priority and port extender ids (IEEE 802.1BR, section 7.5).
            ether_type::EXTENDER_TAG => return read_after(6, octets),
            // Direction, source and destination interface.
            ether_type::VIRTUAL_NETWORK_TAG => return read_after(4, octets),
            // Version, length, and one option with the security group.
            ether_type::CISCO_METADATA => return read_after(6, octets),
            ether_type::SECURITY_TAG => return read_security_tag(octets),
            // Priority and 24 bits of service instance, then the customer's frame (IEEE 802.1Q, section 9.7).
            ether_type::SERVICE_INSTANCE_TAG => {
                octets.skip(4)?;
                return Some(Next::Header(Layer::Link(LinkType::Ethernet, octets)));
            }
            _ => self.ether_type = Some(value),
        }
        match value {
            ether_type::IPV4 => self.read_ipv4(octets),
            ether_type::IPV6 => self.read_ipv6(octets),
            ether_type::MPLS | ether_type::MPLS_MULTICAST => self.read_mpls(octets),
            // Version and type, code, session id, length (RFC 2516, section 4).
            ether_type::PPPOE_SESSION => {
                octets.skip(6)?;
                Some(Next::Header(Layer::Link(LinkType::Ppp, octets)))
            }
            _ => None,
        }
    }

    /// IEEE 802.1Q: priority and 12 bits of VLAN id, then the EtherType of what is tagged.
    fn read_tag<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        let id = octets.u16()? & 0x0fff;
        if self.vlan.is_none() {
            self.vlan = Some(id);
        } else if self.inner_vlan.is_none() {
            self.inner_vlan = Some(id);
        }
        Some(Next::Header(Layer::EtherType(octets.u16()?, octets)))
    }

    /// The addresses of the outermost frame are kept.
    fn read_addresses(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        let destination = octets.array()?;
        let source = octets.array()?;
        self.link.get_or_insert(LinkAddresses { source, destination });
        Some(())
    }

    /// IEEE 802.5: access control, frame control, addresses, and a routing field if the first bit of the source
    /// address is set.
    fn read_token_ring<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        octets.skip(2)?;
        let destination = octets.array()?;
        let [first, rest @ ..] = octets.array::<6>()?;
        let [b, c, d, e, f] = rest;
        self.link = Some(LinkAddresses { source: [first & 0x7f, b, c, d, e, f], destination });
        let is_routed = first & 0x80 != 0;
        if is_routed {
            let [length, _] = octets.array()?;
            octets.skip(usize::from(length & 0x1f).checked_sub(2)?)?;
        }
        Some(Next::Header(Layer::Link(LinkType::Llc, octets)))
    }

    /// IEEE 802.11, section 9.2: data frames that are not encrypted continue with LLC.
    fn read_wireless<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        const DATA: u8 = 2;
        let [kind, flags, _, _] = octets.array()?;
        let (subtype, kind) = (kind >> 4, kind >> 2 & 0x3);
        let [first, second, third] = [octets.array()?, octets.array()?, octets.array()?];
        let _sequence = octets.u16()?;
        let (destination, source) = match flags & 0x3 {
            0 => (first, second),
            // To the distribution system.
            1 => (third, second),
            // From the distribution system.
            2 => (first, third),
            // Between access points: the source is in a fourth address.
            _ => (third, octets.array()?),
        };
        self.link = Some(LinkAddresses { source, destination });
        let is_encrypted = flags & 0x40 != 0;
        let is_empty = subtype & 0x4 != 0;
        if kind != DATA || is_empty || is_encrypted {
            return None;
        }
        let has_quality_of_service = subtype & 0x8 != 0;
        if has_quality_of_service {
            octets.skip(2)?;
            let has_high_throughput_control = flags & 0x80 != 0;
            if has_high_throughput_control {
                octets.skip(4)?;
            }
        }
        Some(Next::Header(Layer::Link(LinkType::Llc, octets)))
    }

    /// The stack marks its end but not its content ([`ip_or_frame`]).
    fn read_mpls<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        for _ in 0..MAXIMUM_HEADERS {
            let entry = octets.u32()?;
            self.mpls_label.get_or_insert(entry >> 12);
            let is_bottom = entry & 0x100 != 0;
            if is_bottom {
                return ip_or_frame(octets);
            }
        }
        None
    }
}

/// What follows an MPLS stack, or begins where an exporter states that a packet does: IP, or a pseudowire's frame of Ethernet,
/// PPP or HDLC, with or without a control word. Only its octets show which: a control word begins with a nibble of 0 (RFC
/// 4385), as hardware addresses do, and others begin with the nibble of an IP version (RFC 4928). So a frame is one if it has
/// an IP header in its place.
pub(super) fn ip_or_frame(octets: Cursor<'_>) -> Option<Next<'_>> {
    const CONTROL_WORD: usize = 4;
    let starts: &[usize] = match octets.rest().first()? >> 4 {
        0 => &[CONTROL_WORD, 0],
        4 if network::is_ipv4(octets.rest()) => &[],
        _ => &[0],
    };
    for start in starts {
        let mut content = octets;
        let frame = content.skip(*start).and_then(|()| frame_of_ip(content));
        if frame.is_some() {
            return frame;
        }
    }
    Some(Next::Header(Layer::Link(LinkType::Ip, octets)))
}

/// A frame that has an IP header in its place, after up to two tags.
fn frame_of_ip(frame: Cursor<'_>) -> Option<Next<'_>> {
    let is_serial = matches!(frame.rest(), [0x00 | 0xff | 0x0f | 0x8f, ..]);
    let serial = if is_serial { read_ppp(frame) } else { None };
    if let Some(Next::Header(Layer::EtherType(value, content))) = serial
        && begins_with_ip(value, content)
    {
        return serial;
    }
    let mut content = frame;
    content.skip(12)?;
    let value = content.u16()?;
    begins_with_ip(value, content).then_some(Next::Header(Layer::Link(LinkType::Ethernet, frame)))
}

/// Whether an IP header follows an EtherType and at most two tags.
fn begins_with_ip(value: u16, mut octets: Cursor<'_>) -> bool {
    let mut value = Some(value);
    for _ in 0..2 {
        match value {
            Some(ether_type::CUSTOMER_TAG | ether_type::SERVICE_TAG) if octets.skip(2).is_some() => {
                value = octets.u16()
            }
            _ => break,
        }
    }
    match value {
        Some(ether_type::IPV4) => network::is_ipv4(octets.rest()),
        Some(ether_type::IPV6) => octets.rest().first().is_some_and(|first| first >> 4 == 6),
        _ => false,
    }
}

/// The EtherType after a tag of this many octets.
fn read_after(length: usize, mut octets: Cursor<'_>) -> Option<Next<'_>> {
    octets.skip(length)?;
    Some(Next::Header(Layer::EtherType(octets.u16()?, octets)))
}

/// IEEE 802.1AE, section 9: control information, short length, packet number, and the channel identifier if there is one.
/// What is encrypted or changed cannot be read.
fn read_security_tag(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    const VERSION_OR_ENCRYPTED_OR_CHANGED: u8 = 0x8c;
    const HAS_CHANNEL: u8 = 0x20;
    let control = octets.u8()?;
    if control & VERSION_OR_ENCRYPTED_OR_CHANGED != 0 {
        return None;
    }
    read_after(if control & HAS_CHANNEL == 0 { 5 } else { 13 }, octets)
}

/// Service access points, control, and for SNAP the organisation and its protocol.
fn read_llc(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    const SNAP: u8 = 0xaa;
    let [SNAP, SNAP, _] = octets.array()? else { return None };
    read_snap(octets)
}

/// Of the organisations, those that number by EtherType: RFC 1042, and the bridge tunnels of IEEE 802.1H.
fn read_snap(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    match octets.array()? {
        [0, 0, 0 | 0xf8] => read_ether_type_field(octets),
        _ => None,
    }
}

/// An EtherType in a position where a length is impossible.
fn read_ether_type_field(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    let value = octets.u16()?;
    (value >= ether_type::SMALLEST).then_some(Next::Header(Layer::EtherType(value, octets)))
}

fn read_ppp(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    match octets.rest() {
        // Unicast and multicast of Cisco's HDLC, which continues with an EtherType.
        [0x0f | 0x8f, 0x00, ..] => {
            octets.skip(2)?;
            return read_ether_type_field(octets);
        }
        // Address and control of RFC 1662, which may be left out.
        [0xff, 0x03, ..] => octets.skip(2)?,
        _ => {}
    }
    // Protocol numbers may be compressed to one octet, which then is odd (RFC 1661, section 6.5).
    let protocol = match octets.u8()? {
        odd if odd & 1 == 1 => u16::from(odd),
        high => u16::from_be_bytes([high, octets.u8()?]),
    };
    let value = match protocol {
        0x0021 => ether_type::IPV4,
        0x0057 => ether_type::IPV6,
        0x0281 => ether_type::MPLS,
        0x0283 => ether_type::MPLS_MULTICAST,
        _ => return None,
    };
    Some(Next::Header(Layer::EtherType(value, octets)))
}

fn read_frame_relay(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    // The address ends with the octet whose lowest bit is set (ITU-T Q.922): the second to fourth one.
    let length = octets.rest().iter().take(4).position(|octet| octet & 1 == 1)?;
    octets.skip(length + 1)?;
    const UNNUMBERED_INFORMATION: u8 = 0x03;
    if octets.rest().first() != Some(&UNNUMBERED_INFORMATION) {
        // Cisco's own encapsulation.
        return read_ether_type_field(octets);
    }
    octets.skip(1)?;
    // A network layer protocol id, optionally after a pad octet (RFC 2427, section 3).
    let value = match octets.u8()? {
        0 => octets.u8()?,
        value => value,
    };
    match value {
        0xcc => Some(Next::Header(Layer::EtherType(ether_type::IPV4, octets))),
        0x8e => Some(Next::Header(Layer::EtherType(ether_type::IPV6, octets))),
        0x80 => read_snap(octets),
        _ => None,
    }
}
