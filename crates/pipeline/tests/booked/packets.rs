//! Packets as agents sample them, and the datagrams in which they are exported.

use super::*;

/// The sampling rate of the samples.
pub(crate) const RATE: u32 = 100;
/// Octets of every sampled frame.
pub(crate) const FRAME_LENGTH: u32 = 1000;

/// dataLinkFrameSection.
pub(crate) const FRAME_SECTION: u16 = 315;

/// Numbers of header_protocol (sFlow v5).
pub(crate) const ETHERNET: u32 = 1;
pub(crate) const PPP: u32 = 7;
pub(crate) const MPLS: u32 = 13;

/// An IPv4 packet with a TCP header, 40 octets.
pub(crate) fn ip() -> Vec<u8> {
    ip_of(6, &tcp())
}

/// A TCP header to port 443.
pub(crate) fn tcp() -> Vec<u8> {
    [&[0x9c, 0x40, 0x01, 0xbb][..], &[0; 8], &[0x50, 0x10], &[0; 6]].concat()
}

/// An IPv4 packet from the monitored prefix.
pub(crate) fn ip_of(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4([INSIDE, OUTSIDE], protocol, payload)
}

/// An IPv4 packet from one address to another.
pub(crate) fn ipv4(ends: [[u8; 4]; 2], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut header = [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0].to_vec();
    header.extend(ends.concat());
    let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header[..], payload].concat()
}

/// An IPv6 packet from one address of 2001:db8::/32 to another, by their last octets.
pub(crate) fn ipv6(ends: [u8; 2], next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let [source, destination] = ends.map(|last| [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[last]].concat());
    [&[0x60, 0, 0, 0, high, low, next, 64][..], &source, &destination, payload].concat()
}

/// An Ethernet frame: addresses, then these octets from the EtherType on.
pub(crate) fn frame(rest: &[&[u8]]) -> Vec<u8> {
    frame_from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], rest)
}

pub(crate) fn frame_from(addresses: [u8; 12], rest: &[&[u8]]) -> Vec<u8> {
    [&addresses[..], &rest.concat()].concat()
}

/// The frame of an IP packet.
pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    let ether_type = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    frame(&[&ether_type, packet])
}

/// An sFlow v5 datagram with an IPv4 packet of a protocol.
pub(crate) fn sampled(payload: &[u8], protocol: u8) -> Vec<u8> {
    sflow(ETHERNET, &framed(&ip_of(protocol, payload)))
}

/// An sFlow v5 datagram of one sample with the head of a frame.
pub(crate) fn sflow(protocol: u32, header: &[u8]) -> Vec<u8> {
    sample(&[sampled_header(protocol, header)])
}

/// A flow record of sFlow v5: its format and content.
pub(crate) type SampleRecord = (u32, Vec<u8>);

pub(crate) fn sampled_header(protocol: u32, header: &[u8]) -> SampleRecord {
    let length = u32::try_from(header.len()).unwrap();
    let mut content: Vec<u8> = [protocol, FRAME_LENGTH, 0, length].map(u32::to_be_bytes).concat();
    content.extend(header);
    content.resize(content.len().next_multiple_of(4), 0);
    (1, content)
}

/// An sFlow v5 datagram of one flow sample with these records.
pub(crate) fn sample(records: &[SampleRecord]) -> Vec<u8> {
    let mut content = Vec::new();
    for (format, record) in records {
        content.extend([*format, u32::try_from(record.len()).unwrap()].map(u32::to_be_bytes).concat());
        content.extend(record);
    }
    let length = 32 + u32::try_from(content.len()).unwrap();
    let head = [5, 1, 0x0a00_0001, 0, 1, 1000, 1];
    let sample = [1, length, 1, 1, RATE, 1000, 0, 1, 2, u32::try_from(records.len()).unwrap()];
    let words = head.iter().chain(&sample).flat_map(|word| word.to_be_bytes());
    words.chain(content).collect()
}

/// A sampled packet in a record of its own, with counters or without.
pub(crate) fn section(template: &TemplateSpec, header: &[u8]) -> Vec<u8> {
    section_of(FRAME_SECTION, template, header)
}

/// The same in another element.
pub(crate) fn section_of(element: u16, template: &TemplateSpec, header: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap();
    let template = TemplateSpec::data(256, [&[field(element, length)], &template.fields[..]].concat());
    let counters = [7_u32, 3].map(u32::to_be_bytes);
    let fields: Vec<&[u8]> = [header].into_iter().chain(counters.iter().map(<[u8; 4]>::as_slice)).collect();
    let record = template.record(&fields[..template.fields.len()]);
    message(0).template(&template).data(&template, &[record]).finish()
}
