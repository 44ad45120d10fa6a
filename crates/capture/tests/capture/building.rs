//! Builds capture files and packets octet by octet, without the code under test.

use std::io::Cursor;
use std::net::SocketAddr;

use capture::{Capture, CaptureError, Statistics};

pub(crate) const ETHERNET: u32 = 1;
pub(crate) const RAW: u32 = 101;

/// A datagram with everything owned, to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) nanoseconds: u64,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

/// All that can be read of a file, and how it ended.
pub(crate) fn read(file: Vec<u8>) -> (Vec<Datagram>, Statistics, Option<CaptureError>) {
    let mut capture = match Capture::from_reader(Cursor::new(file)) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Statistics::default(), Some(error)),
    };
    let mut datagrams = Vec::new();
    let error = loop {
        match capture.next() {
            Ok(Some(datagram)) => datagrams.push(Datagram {
                nanoseconds: datagram.received.nanoseconds(),
                source: datagram.source,
                destination: datagram.destination,
                payload: datagram.payload.to_vec(),
            }),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(capture.next(), Ok(None)), "the end has to stay the end");
    (datagrams, capture.statistics(), error)
}

/// The datagrams of a file that is in order.
pub(crate) fn read_all(file: Vec<u8>) -> (Vec<Datagram>, Statistics) {
    let (datagrams, statistics, error) = read(file);
    assert!(error.is_none(), "{error:?}");
    (datagrams, statistics)
}

/// Writes integers in one byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Big,
    Little,
}

impl Order {
    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    pub(crate) fn i64(self, value: i64) -> [u8; 8] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }
}

/// A pcap file header.
pub(crate) fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    file.extend([0; 8]);
    file.extend(order.u32(65_535));
    file.extend(order.u32(link));
    file
}

/// A pcap record.
pub(crate) fn pcap_record(order: Order, seconds: u32, fraction: u32, frame: &[u8], original: usize) -> Vec<u8> {
    let mut record = Vec::new();
    for word in [seconds, fraction, frame.len() as u32, original as u32] {
        record.extend(order.u32(word));
    }
    record.extend(frame);
    record
}

/// A pcap file in little endian and microseconds whose frames come one second after the other.
pub(crate) fn pcap(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, link);
    for (second, frame) in frames.iter().enumerate() {
        file.extend(pcap_record(Order::Little, second as u32, 0, frame, frame.len()));
    }
    file
}

/// A pcapng block around a body, padded.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = order.u32(body.len() as u32 + 12);
    [&order.u32(kind)[..], &length, &body, &length].concat()
}

/// A pcapng section header.
pub(crate) fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &order.i64(-1)].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// A pcapng interface with options, each `(code, value)`.
pub(crate) fn interface(order: Order, link: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = [&order.u16(link)[..], &[0, 0], &order.u32(0)].concat();
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(value.len() as u16));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

/// A pcapng Enhanced Packet Block.
pub(crate) fn enhanced_packet(order: Order, interface: u32, ticks: u64, frame: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let length = frame.len() as u32;
    for word in [interface, (ticks >> 32) as u32, ticks as u32, length, length] {
        body.extend(order.u32(word));
    }
    body.extend(frame);
    body.resize(body.len().next_multiple_of(4), 0);
    // A comment and the end of options, which the reader must skip.
    body.extend([&order.u16(1)[..], &order.u16(2), b"hi\0\0", &[0; 4]].concat());
    block(order, 6, &body)
}

/// A UDP datagram without IP header; its checksum is not filled in.
pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for word in [source, destination, payload.len() as u16 + 8, 0] {
        octets.extend(word.to_be_bytes());
    }
    octets.extend(payload);
    octets
}

/// An IPv4 packet or fragment from 192.0.2.1 to 192.0.2.2; the offset is in octets.
pub(crate) fn ipv4(identification: u16, offset: usize, more: bool, protocol: u8, content: &[u8]) -> Vec<u8> {
    let fragment = (offset / 8) as u16 | u16::from(more) << 13;
    let mut packet = vec![0x45, 0];
    packet.extend((content.len() as u16 + 20).to_be_bytes());
    packet.extend(identification.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(content);
    packet
}

/// An IPv6 packet from 2001:db8::1 to 2001:db8::2.
pub(crate) fn ipv6(next_header: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((content.len() as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    for last in [1, 2] {
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(content);
    packet
}

/// An IPv6 fragment header and the piece after it; the offset is in octets.
pub(crate) fn ipv6_fragment(next_header: u8, identification: u32, offset: u16, more: bool, piece: &[u8]) -> Vec<u8> {
    let mut octets = vec![next_header, 0];
    octets.extend((offset | u16::from(more)).to_be_bytes());
    octets.extend(identification.to_be_bytes());
    octets.extend(piece);
    octets
}

/// A whole IPv4 packet with a UDP datagram from port 4444 to 2055.
pub(crate) fn ipv4_udp(payload: &[u8]) -> Vec<u8> {
    ipv4(1, 0, false, 17, &udp(4444, 2055, payload))
}

/// A whole IPv6 packet with a UDP datagram from port 4444 to 2055.
pub(crate) fn ipv6_udp(payload: &[u8]) -> Vec<u8> {
    ipv6(17, &udp(4444, 2055, payload))
}

/// An Ethernet frame, padded to the least length.
pub(crate) fn ethernet(ethertype: u16, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(content);
    frame.resize(frame.len().max(60), 0);
    frame
}
