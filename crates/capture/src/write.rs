//! Datagrams to a capture file: classic pcap in nanoseconds, each frame a raw IP packet with its checksums filled in,
//! so that any tool that reads captures reads it. Does not sync and does not buffer: what it is given does.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::PacketBuilder;
use flow::{Timestamp, canonical};

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const LINKTYPE_RAW: u32 = 101;
const SNAPSHOT_LENGTH: u32 = 262_144;
/// Any value that reaches the next machine will do.
const HOP_LIMIT: u8 = 64;

/// Writes a capture file, each datagram in a single `write_all`.
pub struct Writer<W> {
    output: W,
    record: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Starts a file: writes its header.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn new(mut output: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC_NANOSECONDS.to_le_bytes());
        header.extend([2, 0, 4, 0]);
        header.extend([0; 8]);
        header.extend(SNAPSHOT_LENGTH.to_le_bytes());
        header.extend(LINKTYPE_RAW.to_le_bytes());
        output.write_all(&header)?;
        Ok(Self { output, record: Vec::new() })
    }

    /// Appends a datagram and returns how many octets the file grew by. The destination may be an unspecified address
    /// of either family; it becomes that of the source's family.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`], with nothing written, when the addresses are of different families, the payload
    /// does not fit an IP packet, or the time lies behind the year 2106; else when the output does not take it.
    pub fn write(
        &mut self,
        received: Timestamp,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> io::Result<usize> {
        let seconds = u32::try_from(received.seconds()).map_err(|_| invalid("the time lies behind the year 2106"))?;
        let nanoseconds = (received.nanoseconds() % 1_000_000_000) as u32;
        self.record.clear();
        self.record.extend(seconds.to_le_bytes());
        self.record.extend(nanoseconds.to_le_bytes());
        self.record.extend([0; 8]);
        let start = self.record.len();
        append_packet(&mut self.record, source, destination, payload)?;
        let length = (self.record.len() - start) as u32;
        for place in [8..12, 12..16] {
            if let Some(octets) = self.record.get_mut(place) {
                octets.copy_from_slice(&length.to_le_bytes());
            }
        }
        self.output.write_all(&self.record)?;
        Ok(self.record.len())
    }

    /// Hands everything on that the output has buffered.
    ///
    /// # Errors
    /// When the output cannot.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        &self.output
    }

    /// Ends the writing; the file is complete at any time.
    pub fn into_inner(self) -> W {
        self.output
    }
}

fn append_packet(record: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> io::Result<()> {
    let packet = match (canonical(source.ip()), canonical(destination.ip())) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOP_LIMIT),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOP_LIMIT),
        (IpAddr::V4(from), to) if to.is_unspecified() => {
            PacketBuilder::ipv4(from.octets(), Ipv4Addr::UNSPECIFIED.octets(), HOP_LIMIT)
        }
        (IpAddr::V6(from), to) if to.is_unspecified() => PacketBuilder::ipv6(from.octets(), [0; 16], HOP_LIMIT),
        _ => return Err(invalid("source and destination are addresses of different families")),
    };
    let packet = packet.udp(source.port(), destination.port());
    packet.write(record, payload).map_err(|_| invalid("the payload does not fit an IP packet"))
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
