//! IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers, and the first octets of the transport header.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Headers, IpHeader, MAXIMUM_HEADERS, Next, protocol, tunnel};
use crate::cursor::Cursor;

impl Headers {
    /// IPv4 or IPv6, by the version field.
    pub(super) fn read_ip<'a>(&mut self, octets: Cursor<'a>) -> Option<Next<'a>> {
        match octets.rest().first()? >> 4 {
            4 => self.read_ipv4(octets),
            6 => self.read_ipv6(octets),
            _ => None,
        }
    }

    pub(super) fn read_ipv4<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        let fixed = octets.array::<20>()?;
        let [version_and_length, traffic_class, l0, l1, i0, i1, f0, f1, hop_limit, protocol, _, _, rest @ ..] = fixed;
        let [s0, s1, s2, s3, d0, d1, d2, d3] = rest;
        if version_and_length >> 4 != 4 {
            return None;
        }
        let header_length = usize::from(version_and_length & 0x0f) * 4;
        let options = header_length.checked_sub(fixed.len())?;
        let total_length = u16::from_be_bytes([l0, l1]);
        let fragment_offset = u16::from_be_bytes([f0, f1]) & 0x1fff;
        self.ip = Some(IpHeader {
            source: Ipv4Addr::new(s0, s1, s2, s3).into(),
            destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
            protocol,
            total_length: total_length.into(),
            traffic_class,
            hop_limit,
            flow_label: None,
            identification: Some(u16::from_be_bytes([i0, i1]).into()),
            fragment_offset,
        });
        octets.skip(options)?;
        if fragment_offset != 0 {
            self.is_tunnel = tunnel::is_of_ip(protocol);
            return None;
        }
        // Link padding after the packet is not part of it.
        let payload = usize::from(total_length).checked_sub(header_length);
        self.read_transport(protocol, shortened(octets, payload))
    }

    pub(super) fn read_ipv6<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        let [version, class, f0, f1, l0, l1, next, hop_limit] = octets.array::<8>()?;
        if version >> 4 != 6 {
            return None;
        }
        let source = Ipv6Addr::from(octets.array::<16>()?);
        let destination = Ipv6Addr::from(octets.array::<16>()?);
        let payload_length = u16::from_be_bytes([l0, l1]);
        self.ip = Some(IpHeader {
            source: source.into(),
            destination: destination.into(),
            protocol: next,
            total_length: u32::from(payload_length) + 40,
            traffic_class: version << 4 | class >> 4,
            hop_limit,
            flow_label: Some(u32::from_be_bytes([0, class & 0x0f, f0, f1])),
            identification: None,
            fragment_offset: 0,
        });
        // A payload length of 0 is that of a jumbogram, whose length is in an option (RFC 2675).
        let payload = (payload_length != 0).then_some(usize::from(payload_length));
        self.read_extensions(next, shortened(octets, payload))
    }

    fn read_extensions<'a>(&mut self, first: u8, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        let mut next = first;
        for _ in 0..MAXIMUM_HEADERS {
            if !is_extension(next) {
                return self.read_transport(next, octets);
            }
            let [following, length] = octets.array::<2>()?;
            match next {
                protocol::FRAGMENT => {
                    let offset = octets.u16()? >> 3;
                    let identification = octets.u32()?;
                    if let Some(ip) = &mut self.ip {
                        ip.protocol = following;
                        ip.identification = Some(identification);
                        ip.fragment_offset = offset;
                    }
                    if offset != 0 {
                        self.is_tunnel = tunnel::is_of_ip(following);
                        return None;
                    }
                }
                // In units of four octets, less two units (RFC 4302, section 2.2).
                protocol::AUTHENTICATION => octets.skip((usize::from(length) + 2) * 4 - 2)?,
                _ => octets.skip((usize::from(length) + 1) * 8 - 2)?,
            }
            if let Some(ip) = &mut self.ip {
                ip.protocol = following;
            }
            next = following;
        }
        None
    }

    fn read_transport<'a>(&mut self, number: u8, mut octets: Cursor<'a>) -> Option<Next<'a>> {
        match number {
            protocol::TCP => {
                self.read_ports(&mut octets)?;
                // Sequence and acknowledgement number, data offset.
                octets.skip(9)?;
                self.tcp_flags = Some(octets.u8()?);
                None
            }
            protocol::UDP => {
                let (_, destination) = self.read_ports(&mut octets)?;
                if !tunnel::is_of_udp(destination) {
                    return None;
                }
                self.is_tunnel = true;
                octets.skip(4)?;
                tunnel::open_udp(destination, octets)
            }
            protocol::UDP_LITE | protocol::SCTP | protocol::DCCP => {
                self.read_ports(&mut octets)?;
                None
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let [kind, code] = octets.array()?;
                self.icmp = Some((kind, code));
                None
            }
            _ => {
                self.is_tunnel = tunnel::is_of_ip(number);
                tunnel::open_ip(number, octets)
            }
        }
    }

    fn read_ports(&mut self, octets: &mut Cursor<'_>) -> Option<(u16, u16)> {
        let [s0, s1, d0, d1] = octets.array()?;
        let ports = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        self.ports = Some(ports);
        Some(ports)
    }
}

/// The octets, shortened to a length if there is one and it is less.
fn shortened(mut octets: Cursor<'_>, length: Option<usize>) -> Cursor<'_> {
    length.and_then(|length| octets.section(length)).unwrap_or(octets)
}

/// RFC 7045, section 4; encryption ends the chain.
const fn is_extension(number: u8) -> bool {
    matches!(
        number,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
            | protocol::HOST_IDENTITY
            | protocol::SHIM6
    )
}

/// Whether octets begin with an IPv4 header whose length is possible and whose checksum is right, or left out.
pub(super) fn is_ipv4(octets: &[u8]) -> bool {
    let Some([first @ 0x45..=0x4f, _, l0, l1, _, _, _, _, _, _, c0, c1]) = octets.first_chunk() else { return false };
    let length = usize::from(first & 0x0f) * 4;
    let total_length = usize::from(u16::from_be_bytes([*l0, *l1]));
    let Some(header) = octets.get(..length) else { return false };
    let words = header.chunks_exact(2).map(|word| word.iter().fold(0, |word, octet| word << 8 | u32::from(*octet)));
    let sum: u32 = words.sum();
    (total_length == 0 || total_length >= length) && ([*c0, *c1] == [0, 0] || (sum & 0xffff) + (sum >> 16) == 0xffff)
}
