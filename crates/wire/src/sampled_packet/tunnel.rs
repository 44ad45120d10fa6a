//! From a tunnel header to the inner packet.

use super::link::ether_type;
use super::{Layer, LinkType, Next, protocol};
use crate::cursor::Cursor;

/// UDP destination ports of tunnels (IANA service names, and the port that Linux used for VXLAN before one was assigned).
mod port {
    pub(super) const L2TP: u16 = 1701;
    pub(super) const GTP_U: u16 = 2152;
    pub(super) const VXLAN: u16 = 4789;
    pub(super) const VXLAN_LINUX: u16 = 8472;
    pub(super) const GENEVE: u16 = 6081;
    pub(super) const MPLS: u16 = 6635;
}

/// Whether an IP protocol number is that of a tunnel.
pub(super) const fn is_of_ip(number: u8) -> bool {
    matches!(
        number,
        protocol::IPV4
            | protocol::IPV6
            | protocol::MPLS_IN_IP
            | protocol::GRE
            | protocol::ETHERNET_IN_IP
            | protocol::ETHERNET
    )
}

/// Whether a UDP destination port is that of a tunnel.
pub(super) const fn is_of_udp(destination: u16) -> bool {
    matches!(destination, port::VXLAN | port::VXLAN_LINUX | port::GENEVE | port::GTP_U | port::MPLS | port::L2TP)
}

/// The inner packet after an IP protocol number.
pub(super) fn open_ip(number: u8, mut octets: Cursor<'_>) -> Option<Next<'_>> {
    match number {
        protocol::IPV4 | protocol::IPV6 => Some(Next::Inside(Layer::Link(LinkType::Ip, octets))),
        protocol::MPLS_IN_IP => Some(Next::Inside(Layer::Link(LinkType::Mpls, octets))),
        protocol::GRE => open_gre(octets),
        // A bridged frame in SRv6 (RFC 8986, section 4.9).
        protocol::ETHERNET => Some(Next::Inside(Layer::Link(LinkType::Ethernet, octets))),
        // Version 3 in the highest nibble (RFC 3378).
        protocol::ETHERNET_IN_IP => {
            (octets.u16()? >> 12 == 3).then_some(Next::Inside(Layer::Link(LinkType::Ethernet, octets)))
        }
        _ => None,
    }
}

/// The inner packet after a UDP destination port.
pub(super) fn open_udp(destination: u16, octets: Cursor<'_>) -> Option<Next<'_>> {
    match destination {
        port::VXLAN | port::VXLAN_LINUX => open_vxlan(octets),
        port::GENEVE => open_geneve(octets),
        port::GTP_U => open_gtp_u(octets),
        port::L2TP => open_l2tp(octets),
        port::MPLS => Some(Next::Inside(Layer::Link(LinkType::Mpls, octets))),
        _ => None,
    }
}

/// RFC 2784 and RFC 2890: flags, protocol, then four octets for each of checksum, key and sequence number. PPTP has another
/// version (RFC 2637, section 4.1): a key, and maybe a sequence and an acknowledgement number before PPP.
fn open_gre(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    const PPP: u16 = 0x880b;
    let flags = octets.u16()?;
    let carried = octets.u16()?;
    let numbers = |of: &[u16]| of.iter().filter(|flag| flags & *flag != 0).count() * 4;
    match (flags & 0x7, carried) {
        // The routing flag of RFC 1701 is followed by a list that is not in use.
        (0, _) if flags & 0x4000 == 0 => {
            octets.skip(numbers(&[0x8000, 0x2000, 0x1000]))?;
            inside_ether_type(carried, octets)
        }
        (1, PPP) if flags & 0x2000 != 0 => {
            octets.skip(numbers(&[0x2000, 0x1000, 0x0080]))?;
            Some(Next::Inside(Layer::Link(LinkType::Ppp, octets)))
        }
        _ => None,
    }
}

/// L2TP version 2 (RFC 2661, section 3.1): flags, then the length if there is one, tunnel, session, sequence numbers and padding
/// if there are any, and PPP. Control messages carry no packet.
fn open_l2tp(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = octets.u16()?;
    if flags & CONTROL != 0 || flags & 0xf != 2 {
        return None;
    }
    let has = |flag: u16| usize::from(flags & flag != 0);
    octets.skip(2 * has(LENGTH) + 4 + 4 * has(SEQUENCE))?;
    if has(OFFSET) > 0 {
        let padding = octets.u16()?;
        octets.skip(padding.into())?;
    }
    Some(Next::Inside(Layer::Link(LinkType::Ppp, octets)))
}

/// RFC 7348: flags with the I bit, reserved, network identifier, reserved.
fn open_vxlan(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    let [flags, ..] = octets.array::<8>()?;
    (flags & 0x08 != 0).then_some(Next::Inside(Layer::Link(LinkType::Ethernet, octets)))
}

/// RFC 8926: version and length of the options, flags, protocol, network identifier, options.
fn open_geneve(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    let [version_and_length, _, p0, p1, ..] = octets.array::<8>()?;
    if version_and_length >> 6 != 0 {
        return None;
    }
    octets.skip(usize::from(version_and_length & 0x3f) * 4)?;
    inside_ether_type(u16::from_be_bytes([p0, p1]), octets)
}

/// 3GPP TS 29.281, section 5: version 1, protocol type GTP, message type 255 carries a user packet. Sequence number,
/// N-PDU number and extension header type are there together or not at all.
fn open_gtp_u(mut octets: Cursor<'_>) -> Option<Next<'_>> {
    const USER_PACKET: u8 = 255;
    /// More extension headers than are defined.
    const MAXIMUM_EXTENSIONS: usize = 8;
    let [flags, USER_PACKET, ..] = octets.array::<8>()? else { return None };
    if flags >> 4 != 0b0011 {
        return None;
    }
    if flags & 0x07 != 0 {
        let [_, _, _, mut extension] = octets.array::<4>()?;
        if flags & 0x04 == 0 {
            extension = 0;
        }
        for _ in 0..MAXIMUM_EXTENSIONS {
            if extension == 0 {
                break;
            }
            // Length in units of four octets, the content, and the type of the next one in the last octet.
            let length = usize::from(octets.u8()?) * 4;
            octets.skip(length.checked_sub(2)?)?;
            extension = octets.u8()?;
        }
        if extension != 0 {
            return None;
        }
    }
    Some(Next::Inside(Layer::Link(LinkType::Ip, octets)))
}

fn inside_ether_type(carried: u16, octets: Cursor<'_>) -> Option<Next<'_>> {
    match carried {
        ether_type::TRANSPARENT_ETHERNET => Some(Next::Inside(Layer::Link(LinkType::Ethernet, octets))),
        value if value < ether_type::SMALLEST => None,
        value => Some(Next::Inside(Layer::EtherType(value, octets))),
    }
}
