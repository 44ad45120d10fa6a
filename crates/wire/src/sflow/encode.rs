//! Version 5 datagrams of flow samples, for tests and for load: each sample carries the head of an Ethernet frame with
//! IPv4 and UDP inside, as a switch would have copied it.

use std::net::{IpAddr, SocketAddrV4};

/// The header of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct DatagramHeader {
    /// Address of the agent.
    pub agent: IpAddr,
    /// Part of the agent that numbers on its own.
    pub sub_agent: u32,
    /// Number of this datagram.
    pub sequence: u32,
    /// Milliseconds since the agent started.
    pub uptime: u32,
}

/// A sampled packet.
#[derive(Clone, Copy, Debug)]
pub struct FlowSample {
    /// Number of this sample among those of its data source.
    pub sequence: u32,
    /// ifIndex of the interface that is sampled, the data source; below 2^24.
    pub data_source: u32,
    /// One packet of this many was sampled.
    pub sampling_rate: u32,
    /// ifIndex of the interface that the packet came in by; below 2^30.
    pub input: u32,
    /// ifIndex of the interface that the packet went out by; below 2^30.
    pub output: u32,
    /// Source address and port.
    pub source: SocketAddrV4,
    /// Destination address and port.
    pub destination: SocketAddrV4,
    /// Octets of the frame with its checksum of four octets; at least 46, the headers and the checksum.
    pub frame_length: u16,
}

/// Octets that the checksum of a frame has, which no agent copies.
const CHECKSUM_LENGTH: u16 = 4;
/// Octets of an Ethernet header.
const ETHERNET_LENGTH: u16 = 14;
/// Octets of an IPv4 header without options.
const IPV4_LENGTH: u16 = 20;
/// Octets of the Ethernet, IPv4 and UDP headers.
const HEADER_LENGTH: u32 = 42;

/// A datagram of these samples; 13 of them fit a packet of 1500 octets.
#[must_use]
pub fn sflow_v5(header: &DatagramHeader, samples: &[FlowSample]) -> Vec<u8> {
    let mut buffer = Vec::new();
    put(&mut buffer, &[5]);
    match header.agent {
        IpAddr::V4(address) => {
            put(&mut buffer, &[1]);
            buffer.extend(address.octets());
        }
        IpAddr::V6(address) => {
            put(&mut buffer, &[2]);
            buffer.extend(address.octets());
        }
    }
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    put(&mut buffer, &[header.sub_agent, header.sequence, header.uptime, count]);
    for sample in samples {
        put_sample(&mut buffer, sample);
    }
    buffer
}

fn put_sample(buffer: &mut Vec<u8>, sample: &FlowSample) {
    const FILL: u32 = HEADER_LENGTH.wrapping_neg() % 4;
    /// A sampled_header, including the fields before the header.
    const RECORD_LENGTH: u32 = 16 + HEADER_LENGTH + FILL;
    /// A flow_sample: its head, and one record with format and length.
    const SAMPLE_LENGTH: u32 = 32 + 8 + RECORD_LENGTH;
    let pool = sample.sequence.wrapping_mul(sample.sampling_rate);
    put(buffer, &[1, SAMPLE_LENGTH, sample.sequence, sample.data_source & 0x00ff_ffff, sample.sampling_rate, pool, 0]);
    put(buffer, &[sample.input & 0x3fff_ffff, sample.output & 0x3fff_ffff, 1]);
    put(buffer, &[1, RECORD_LENGTH, 1, sample.frame_length.into(), CHECKSUM_LENGTH.into(), HEADER_LENGTH]);

    let ip_length = sample.frame_length.saturating_sub(CHECKSUM_LENGTH + ETHERNET_LENGTH);
    buffer.extend([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00]);
    put_ipv4(buffer, sample, ip_length);
    let udp_length = ip_length.saturating_sub(IPV4_LENGTH);
    buffer
        .extend([sample.source.port(), sample.destination.port(), udp_length, 0].map(u16::to_be_bytes).as_flattened());
    buffer.resize(buffer.len() + FILL as usize, 0);
}

fn put_ipv4(buffer: &mut Vec<u8>, sample: &FlowSample, length: u16) {
    let addresses = [sample.source.ip().octets(), sample.destination.ip().octets()];
    let [[a, b, c, d], [e, f, g, h]] = addresses;
    let word = |high, low| u16::from_be_bytes([high, low]);
    // Version 4 of five words, length, no fragment, 64 hops, UDP, room for the checksum.
    let mut words = [0x4500, length, 0, 0x4000, 0x4011, 0, word(a, b), word(c, d), word(e, f), word(g, h)];
    let sum = words.iter().map(|word| u32::from(*word)).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [.., checksum, _, _, _, _] = &mut words;
    *checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    buffer.extend(words.map(u16::to_be_bytes).as_flattened());
}

fn put(buffer: &mut Vec<u8>, words: &[u32]) {
    buffer.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}
