//! IP and UDP headers (RFC 791, 8200, 768). Checksums are not verified: in captures from the sending machine, they are
//! not filled in yet if the network card does that.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice, ip_number};

/// An IP packet, or a fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpPacket<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) content: IpContent<'a>,
}

/// The content of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpContent<'a> {
    /// A whole transport message.
    Whole { protocol: IpNumber, payload: &'a [u8] },
    /// A piece of a transport message.
    Fragment(Fragment<'a>),
}

/// A fragment of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    /// The same in all fragments of a packet.
    pub(crate) identification: u32,
    /// The first header of the whole content: a transport protocol, or in IPv6 perhaps an extension header.
    pub(crate) protocol: IpNumber,
    /// Position of the payload in the whole content, in octets.
    pub(crate) offset: usize,
    /// Whether more fragments follow.
    pub(crate) more: bool,
    pub(crate) payload: &'a [u8],
}

/// Why a packet cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is shorter than its headers claim. The capture may have truncated it.
    CutOff,
    /// Its headers contradict themselves.
    Damaged,
}

impl<'a> IpPacket<'a> {
    /// Reads the headers. Octets after the packet, such as the padding of an Ethernet frame, are ignored.
    pub(crate) fn read(octets: &'a [u8]) -> Result<Self, Unreadable> {
        match octets.first().map(|first| first >> 4) {
            Some(4) => read_ipv4(octets),
            Some(6) => read_ipv6(octets),
            Some(_) => Err(Unreadable::Damaged),
            None => Err(Unreadable::CutOff),
        }
    }
}

fn read_ipv4(octets: &[u8]) -> Result<IpPacket<'_>, Unreadable> {
    let header = match Ipv4HeaderSlice::from_slice(octets) {
        Ok(header) => header,
        Err(etherparse::err::ipv4::HeaderSliceError::Len(_)) => return Err(Unreadable::CutOff),
        Err(_) => return Err(Unreadable::Damaged),
    };
    let whole = match usize::from(header.total_len()) {
        // Not yet split into packets by the network card: it ends with the frame.
        0 => octets,
        length => octets.get(..length).ok_or(Unreadable::CutOff)?,
    };
    let payload = whole.get(header.slice().len()..).ok_or(Unreadable::Damaged)?;
    let protocol = header.protocol();
    let content = if header.is_fragmenting_payload() {
        IpContent::Fragment(Fragment {
            identification: header.identification().into(),
            protocol,
            offset: usize::from(header.fragments_offset().value()) * 8,
            more: header.more_fragments(),
            payload,
        })
    } else {
        IpContent::Whole { protocol, payload }
    };
    let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
    Ok(IpPacket { source, destination, hop_limit: header.ttl(), content })
}

fn read_ipv6(octets: &[u8]) -> Result<IpPacket<'_>, Unreadable> {
    let header = Ipv6HeaderSlice::from_slice(octets).map_err(|_| Unreadable::CutOff)?;
    let rest = octets.get(header.slice().len()..).ok_or(Unreadable::CutOff)?;
    let payload = match usize::from(header.payload_length()) {
        0 => rest,
        length => rest.get(..length).ok_or(Unreadable::CutOff)?,
    };
    let content = skip_extension_headers(header.next_header(), payload)?;
    let canonical = |address| flow::canonical(IpAddr::V6(address));
    let (source, destination) = (canonical(header.source_addr()), canonical(header.destination_addr()));
    Ok(IpPacket { source, destination, hop_limit: header.hop_limit(), content })
}

/// Skips IPv6 extension headers (RFC 8200, section 4) up to another header or a fragment.
pub(crate) fn skip_extension_headers(mut next: IpNumber, mut octets: &[u8]) -> Result<IpContent<'_>, Unreadable> {
    loop {
        // Lengths are in units of 8 octets, not counting the first 8; the authentication header differs (RFC 4302).
        let length = match (next, octets.get(1).copied().map(usize::from)) {
            (ip_number::IPV6_FRAG, _) => {
                let header = Ipv6FragmentHeaderSlice::from_slice(octets).map_err(|_| Unreadable::CutOff)?;
                if header.is_fragmenting_payload() {
                    return Ok(IpContent::Fragment(Fragment {
                        identification: header.identification(),
                        protocol: header.next_header(),
                        offset: usize::from(header.fragment_offset().value()) * 8,
                        more: header.more_fragments(),
                        payload: octets.get(header.slice().len()..).unwrap_or_default(),
                    }));
                }
                8
            }
            (number, Some(length)) if has_length(number) => (length + 1) * 8,
            (ip_number::AUTH, Some(length)) => (length + 2) * 4,
            (number, None) if has_length(number) || number == ip_number::AUTH => return Err(Unreadable::CutOff),
            (protocol, _) => return Ok(IpContent::Whole { protocol, payload: octets }),
        };
        let (header, rest) = octets.split_at_checked(length).ok_or(Unreadable::CutOff)?;
        next = header.first().map_or(ip_number::IPV6_NO_NEXT_HEADER, |&number| IpNumber(number));
        octets = rest;
    }
}

fn has_length(number: IpNumber) -> bool {
    matches!(
        number,
        ip_number::IPV6_HOP_BY_HOP
            | ip_number::IPV6_ROUTE
            | ip_number::IPV6_DEST_OPTIONS
            | ip_number::MOBILITY_HEADER
            | ip_number::HIP
            | ip_number::SHIM6
    )
}

/// Whether content that starts with this header can be UDP.
pub(crate) fn may_lead_to_udp(protocol: IpNumber) -> bool {
    protocol == ip_number::UDP || protocol == ip_number::AUTH || has_length(protocol)
}

/// A UDP datagram without its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Udp<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) payload: &'a [u8],
}

impl<'a> Udp<'a> {
    pub(crate) fn read(octets: &'a [u8]) -> Result<Self, Unreadable> {
        let header = UdpHeaderSlice::from_slice(octets).map_err(|_| Unreadable::CutOff)?;
        let whole = match usize::from(header.length()) {
            // A jumbogram (RFC 2675), or a length that is not filled in yet.
            0 => octets,
            length => octets.get(..length).ok_or(Unreadable::CutOff)?,
        };
        let payload = whole.get(header.slice().len()..).ok_or(Unreadable::Damaged)?;
        Ok(Self { source_port: header.source_port(), destination_port: header.destination_port(), payload })
    }
}
