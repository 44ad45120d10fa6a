//! Sampled packets: whatever is between the first octet of a frame and its IP header, the addresses of that header count.
//! Where there is none, the sample has a fate of its own, and is no flow of 0.0.0.0.

use flow::FlowFate;

use super::*;

const RATE: u32 = 100;
const FRAME_LENGTH: u32 = 1000;
/// dataLinkFrameSection.
const FRAME_SECTION: u16 = 315;

/// Numbers of header_protocol (sFlow v5).
const ETHERNET: u32 = 1;
const PPP: u32 = 7;
const MPLS: u32 = 13;

/// An IPv4 packet with a TCP header, 40 octets.
fn ip() -> Vec<u8> {
    ip_of(6, &[&[0x9c, 0x40, 0x01, 0xbb][..], &[0; 8], &[0x50, 0x10], &[0; 6]].concat())
}

fn ip_of(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(20 + payload.len()).unwrap();
    let mut header = [0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0].to_vec();
    header.extend([INSIDE, OUTSIDE].concat());
    let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header[..], payload].concat()
}

/// An sFlow v5 datagram with an IPv4 packet of a protocol.
pub(crate) fn sampled(payload: &[u8], protocol: u8) -> Vec<u8> {
    sflow(ETHERNET, &frame(&[&[0x08, 0x00], &ip_of(protocol, payload)]))
}

/// An IPv6 packet between other networks, with an IPv4 packet inside.
fn ip_in_ipv6() -> Vec<u8> {
    [&[0x60, 0, 0, 0, 0, 40, 4, 64][..], &[0x20, 1, 0xd, 0xb8], &[0; 12], &[0x20, 1, 0xd, 0xb8], &[1; 12], &ip()]
        .concat()
}

/// What is tagged: the EtherType of IPv4, and the packet.
fn tagged() -> Vec<u8> {
    [&[0x08, 0x00][..], &ip()].concat()
}

fn frame_from(addresses: [u8; 12], rest: &[&[u8]]) -> Vec<u8> {
    [&addresses[..], &rest.concat()].concat()
}

/// An Ethernet frame: addresses, then these octets from the EtherType on.
fn frame(rest: &[&[u8]]) -> Vec<u8> {
    frame_from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], rest)
}

/// Frames with layers that lead to the packet.
fn frames_with_addresses() -> Vec<(&'static str, u32, Vec<u8>)> {
    let inner = frame(&[&tagged()]);
    let label = [0, 1, 0x91, 0xff];
    let control_word = [0, 0, 0x12, 0x34];
    vec![
        ("E-TAG", ETHERNET, frame(&[&[0x89, 0x3f, 0, 0, 0x10, 1, 0, 0], &tagged()])),
        ("E-TAG, then a VLAN", ETHERNET, frame(&[&[0x89, 0x3f, 0, 0, 0x10, 1, 0, 0, 0x81, 0, 0, 7], &tagged()])),
        ("VN-Tag", ETHERNET, frame(&[&[0x89, 0x26, 0x80, 1, 0, 2], &tagged()])),
        ("VN-Tag, then a VLAN", ETHERNET, frame(&[&[0x89, 0x26, 0x80, 1, 0, 2, 0x81, 0, 0, 7], &tagged()])),
        ("Cisco metadata", ETHERNET, frame(&[&[0x89, 0x09, 1, 1, 0, 1, 0, 42], &tagged()])),
        ("a VLAN, then Cisco metadata", ETHERNET, frame(&[&[0x81, 0, 0, 7, 0x89, 0x09, 1, 1, 0, 1, 0, 42], &tagged()])),
        ("I-TAG", ETHERNET, frame(&[&[0x88, 0xe7, 0, 1, 0, 2], &inner])),
        ("B-TAG, I-TAG, customer VLAN", ETHERNET, {
            let customer = frame(&[&[0x81, 0, 0, 9], &tagged()]);
            frame(&[&[0x88, 0xa8, 0, 10, 0x88, 0xe7, 0, 1, 0, 2], &customer])
        }),
        ("MACsec without encryption", ETHERNET, frame(&[&[0x88, 0xe5, 0x00, 0, 0, 0, 0, 1], &tagged()])),
        ("MACsec with a channel id", ETHERNET, frame(&[&[0x88, 0xe5, 0x23, 0, 0, 0, 0, 1], &[7; 8], &tagged()])),
        ("MPLS", ETHERNET, frame(&[&[0x88, 0x47], &label, &ip()])),
        ("pseudowire", ETHERNET, frame(&[&[0x88, 0x47], &label, &inner])),
        ("pseudowire, control word", ETHERNET, frame(&[&[0x88, 0x47], &label, &control_word, &inner])),
        ("pseudowire, control word, VLAN", ETHERNET, {
            frame(&[&[0x88, 0x47], &label, &control_word, &frame(&[&[0x81, 0, 0, 9], &tagged()])])
        }),
        // The nibbles of IPv4, IPv6 and of a control word.
        (
            "pseudowire to 40:..",
            MPLS,
            [&label[..], &frame_from([0x40, 1, 2, 3, 4, 5, 2, 0, 0, 0, 0, 1], &[&tagged()])].concat(),
        ),
        (
            "pseudowire to 60:..",
            MPLS,
            [&label[..], &frame_from([0x60, 1, 2, 3, 4, 5, 2, 0, 0, 0, 0, 1], &[&tagged()])].concat(),
        ),
        (
            "pseudowire to 00:..",
            MPLS,
            [&label[..], &frame_from([0, 1, 2, 3, 4, 5, 2, 0, 0, 0, 0, 1], &[&tagged()])].concat(),
        ),
        ("pseudowire of PPP", MPLS, [&label[..], &control_word, &[0x00, 0x21], &ip()].concat()),
        ("pseudowire of HDLC", MPLS, [&label[..], &[0x0f, 0, 0x08, 0], &ip()].concat()),
        ("PPP", PPP, [&[0xff, 3, 0, 0x21][..], &ip()].concat()),
        ("PPP, compressed", PPP, [&[0x21][..], &ip()].concat()),
        ("PPPoE", ETHERNET, frame(&[&[0x88, 0x64, 0x11, 0, 0, 1, 0, 42, 0, 0x21], &ip()])),
        ("a VLAN, then PPPoE", ETHERNET, {
            frame(&[&[0x81, 0, 0, 7, 0x88, 0x64, 0x11, 0, 0, 1, 0, 42, 0, 0x21], &ip()])
        }),
    ]
}

/// Frames in which no IP header can be found.
fn frames_without_addresses() -> Vec<(&'static str, u32, Vec<u8>)> {
    vec![
        ("ARP", ETHERNET, frame(&[&[0x08, 0x06], &[0; 28]])),
        ("an unknown EtherType", ETHERNET, frame(&[&[0x99, 0x99], &tagged()])),
        ("encrypted MACsec", ETHERNET, frame(&[&[0x88, 0xe5, 0x0c, 0, 0, 0, 0, 1], &tagged()])),
        ("MACsec that is changed", ETHERNET, frame(&[&[0x88, 0xe5, 0x04, 0, 0, 0, 0, 1], &tagged()])),
        ("PPPoE discovery", ETHERNET, frame(&[&[0x88, 0x63, 0x11, 9, 0, 0, 0, 0]])),
        ("a frame that is cut within E-TAG", ETHERNET, frame(&[&[0x89, 0x3f, 0, 0]])),
        ("a frame that is cut within its IP header", ETHERNET, frame(&[&tagged()[..16]])),
        ("an unknown header_protocol", 99, frame(&[&tagged()])),
        ("an associated channel", MPLS, vec![0, 1, 0x91, 0xff, 0x10, 0, 0, 0x07, 1, 2, 3, 4]),
        ("nothing", ETHERNET, Vec::new()),
    ]
}

/// An sFlow v5 datagram of one sample with the head of a frame.
fn sflow(protocol: u32, header: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap();
    let padded = length.next_multiple_of(4);
    let words = [
        [5, 1, 0x0a00_0001, 0, 1, 1000, 1].as_slice(),
        // A flow sample with one record.
        &[1, 32 + 8 + 16 + padded, 1, 1, RATE, 1000, 0, 1, 2, 1],
        &[1, 16 + padded, protocol, FRAME_LENGTH, 0, length],
    ];
    let mut datagram: Vec<u8> = words.concat().into_iter().flat_map(u32::to_be_bytes).collect();
    datagram.extend(header);
    datagram.resize(datagram.len() + (padded - length) as usize, 0);
    datagram
}

/// A sampled packet in a record of its own, with counters or without.
fn section(template: &TemplateSpec, header: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap();
    let template = TemplateSpec::data(256, [&[field(FRAME_SECTION, length)], &template.fields[..]].concat());
    let counters = [7_u32, 3].map(u32::to_be_bytes);
    let fields: Vec<&[u8]> = [header].into_iter().chain(counters.iter().map(<[u8; 4]>::as_slice)).collect();
    let record = template.record(&fields[..template.fields.len()]);
    message(0).template(&template).data(&template, &[record]).finish()
}

#[test]
fn the_addresses_of_sampled_packets_are_found_behind_every_link_layer() {
    for (name, protocol, header) in frames_with_addresses() {
        let mut collector = Collector::new();
        collector.take(&sflow(protocol, &header));
        assert_eq!(collector.sent(), counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1), "{name}");
        let port = collector.counters(Direction::Out, "dstport:443".parse().unwrap());
        assert_eq!(port.flows, 1, "{name}: the ports of the packet");
    }
}

#[test]
fn frame_sections_of_ipfix_are_read_as_the_headers_of_sflow() {
    let without_counters = TemplateSpec::data(256, []);
    let with_counters = TemplateSpec::data(256, [field(1, 4), field(2, 4)]);
    for (name, _, header) in frames_with_addresses().into_iter().filter(|(_, protocol, _)| *protocol == ETHERNET) {
        let mut collector = Collector::new();
        collector.take(&section(&without_counters, &header));
        assert_eq!(collector.sent(), counters(40, 1, 1), "{name}: the length in the IP header");
        let mut collector = Collector::new();
        collector.take(&section(&with_counters, &header));
        assert_eq!(collector.sent(), counters(7, 3, 1), "{name}: the counters of the record");
    }
}

#[test]
fn a_sampled_packet_without_an_ip_header_is_no_flow_of_any_address() {
    let templates = [TemplateSpec::data(256, []), TemplateSpec::data(256, [field(1, 4), field(2, 4)])];
    for (name, protocol, header) in frames_without_addresses() {
        let mut payloads = vec![sflow(protocol, &header)];
        if protocol == ETHERNET && !header.is_empty() {
            payloads.extend(templates.iter().map(|template| section(template, &header)));
        }
        for payload in payloads {
            let mut collector = Collector::monitoring("0.0.0.0/0");
            collector.take(&payload);
            let flows = collector.shard.counts().flows;
            assert_eq!((flows[FlowFate::NoIpHeader], flows.total()), (1, 1), "{name}");
            let local = collector.counters(Direction::OutLocal, Name::ALL);
            assert_eq!((collector.sent(), local), (Counters::ZERO, Counters::ZERO), "{name}");
        }
    }
}

#[test]
fn the_outer_packet_of_a_tunnel_counts_whatever_the_tunnel_has() {
    let gre = |flags: u8, optional: &[u8], carried: [u8; 2]| {
        let mut packet = ip();
        packet[9] = 47;
        packet.truncate(20);
        frame(&[&[0x08, 0x00], &packet, &[flags, 0], &carried, optional, &ip_in_ipv6()])
    };
    for header in [
        gre(0, &[], [0x86, 0xdd]),
        gre(0x20, &[0, 0, 0, 7], [0x86, 0xdd]),
        gre(0xb0, &[0; 12], [0x86, 0xdd]),
        gre(0x30, &[0; 8], [0x88, 0x0b]),
    ] {
        let mut collector = Collector::new();
        collector.take(&sflow(ETHERNET, &header));
        assert_eq!(collector.sent(), counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1));
        assert_eq!(collector.counters(Direction::Out, "proto:47".parse().unwrap()).flows, 1);
    }
}
