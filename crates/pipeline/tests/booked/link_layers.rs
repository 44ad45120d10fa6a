//! Sampled packets: whatever is between the first octet of a frame and its IP header, the addresses of that header count.
//! Where there is none, the sample has a fate of its own, and is no flow of 0.0.0.0.

use flow::FlowFate;

use super::packets::*;
use super::*;

/// What is tagged: the EtherType of IPv4, and the packet.
fn tagged() -> Vec<u8> {
    [&[0x08, 0x00][..], &ip()].concat()
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
        frame(&[&[0x08, 0x00], &packet, &[flags, 0], &carried, optional, &ipv6([1, 2], 4, &ip())])
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
