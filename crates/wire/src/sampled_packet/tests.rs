//! Packets put together octet by octet, and a property: what `etherparse` reads of generated packets, we read as well.

mod oracle;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{FlowRecord, Timestamp};

use super::*;

const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const SOURCE_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const DESTINATION_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    joined(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &ether_type.to_be_bytes(), payload])
}

/// An IPv4 packet; `fragment` is the field of flags and offset.
fn ipv4_fragment(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let fragment = fragment.to_be_bytes();
    let head = [0x45, 0x10, length[0], length[1], 0, 7, fragment[0], fragment[1], 64, protocol, 0, 0];
    joined(&[&head, &SOURCE.octets(), &DESTINATION.octets(), payload])
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(protocol, 0, payload)
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [0x62, 0xa1, 0x23, 0x45, length[0], length[1], next, 61];
    joined(&[&head, &SOURCE_6.octets(), &DESTINATION_6.octets(), payload])
}

fn udp(destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    joined(&[[40_000, destination, length, 0].map(u16::to_be_bytes).as_flattened(), payload])
}

/// A TCP header with SYN and ACK.
fn tcp() -> Vec<u8> {
    joined(&[&[0x9c, 0x40, 0x01, 0xbb], &[0; 8], &[0x50, 0x12], &[0; 6]])
}

fn parse(octets: &[u8]) -> SampledPacket {
    SampledPacket::parse(LinkType::Ethernet, octets)
}

fn addresses(headers: &Headers) -> Option<(IpAddr, IpAddr)> {
    headers.ip.map(|ip| (ip.source, ip.destination))
}

const V4: Option<(IpAddr, IpAddr)> = Some((IpAddr::V4(SOURCE), IpAddr::V4(DESTINATION)));
const V6: Option<(IpAddr, IpAddr)> = Some((IpAddr::V6(SOURCE_6), IpAddr::V6(DESTINATION_6)));

#[test]
fn an_ethernet_frame_is_read_from_its_addresses_to_its_ports() {
    let packet = parse(&ethernet(0x0800, &ipv4(6, &tcp())));
    assert_eq!(
        packet.outer,
        Headers {
            link: Some(LinkAddresses { source: [2, 0, 0, 0, 0, 1], destination: [2, 0, 0, 0, 0, 2] }),
            ether_type: Some(0x0800),
            ip: Some(IpHeader {
                source: SOURCE.into(),
                destination: DESTINATION.into(),
                protocol: 6,
                total_length: 40,
                traffic_class: 0x10,
                hop_limit: 64,
                flow_label: None,
                identification: Some(7),
                fragment_offset: 0,
            }),
            ports: Some((40_000, 443)),
            tcp_flags: Some(0x12),
            ..Headers::default()
        }
    );
    assert_eq!(packet.inner, None);
}

#[test]
fn a_packet_that_is_cut_keeps_what_was_before_the_cut() {
    let frame = ethernet(0x0800, &ipv4(6, &tcp()));
    for length in 0..frame.len() {
        let headers = parse(&frame[..length]).outer;
        assert_eq!(headers.link.is_some(), length >= 12, "{length}");
        assert_eq!(addresses(&headers), if length >= 34 { V4 } else { None }, "{length}");
        assert_eq!(headers.ports.is_some(), length >= 38, "{length}");
        assert_eq!(headers.tcp_flags.is_some(), length >= 48, "{length}");
    }
}

#[test]
fn tags_are_passed_over_and_the_outer_two_kept() {
    let tagged = |tpid: u16, id: u16, next: u16| [tpid, 0xa000 | id, next].map(u16::to_be_bytes).concat();
    let one = ethernet(0x8100, &[&tagged(0x8100, 100, 0x0800)[2..], &ipv4(17, &udp(53, &[]))].concat());
    let headers = parse(&one).outer;
    assert_eq!((headers.vlan, headers.inner_vlan, headers.ether_type), (Some(100), None, Some(0x0800)));
    assert_eq!((addresses(&headers), headers.ports), (V4, Some((40_000, 53))));

    let three = joined(&[
        &tagged(0x88a8, 7, 0x9100)[2..],
        &tagged(0x9100, 8, 0x8100)[2..],
        &tagged(0x8100, 9, 0x86dd)[2..],
        &ipv6(17, &udp(53, &[])),
    ]);
    let headers = parse(&ethernet(0x88a8, &three)).outer;
    assert_eq!((headers.vlan, headers.inner_vlan, addresses(&headers)), (Some(7), Some(8), V6));
}

#[test]
fn a_stack_of_tags_or_labels_without_end_is_given_up() {
    let tags = [0x00, 0x01, 0x81, 0x00].repeat(300);
    assert_eq!(parse(&ethernet(0x8100, &tags)).outer.ip, None);
    let labels = [0x00, 0x01, 0x00, 0x40].repeat(300);
    assert_eq!(parse(&ethernet(0x8847, &labels)).outer.ip, None);
    let extensions = [0, 0, 0, 0, 0, 0, 0, 0].repeat(300);
    assert_eq!(parse(&ethernet(0x86dd, &ipv6(0, &extensions))).outer.ports, None);
    // PPPoE, Cisco HDLC, PPPoE...: each a header of its own, ten octets long.
    let sessions = [0x11, 0, 0, 0, 0, 0, 0x0f, 0x00, 0x88, 0x64].repeat(6_500);
    assert_eq!(parse(&ethernet(0x8864, &sessions)).outer.ip, None);
    // LLC, tag, LLC...
    let frames = [0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0x00, 0, 1, 0, 60].repeat(5_400);
    assert_eq!(parse(&ethernet(60, &frames)).outer.ip, None);
}

#[test]
fn an_mpls_stack_leads_to_ip_of_either_version() {
    let stack = [0x00, 0x01, 0x90, 0x40, 0x00, 0x02, 0x01, 0x40];
    let headers = parse(&ethernet(0x8847, &joined(&[&stack, &ipv6(6, &tcp())]))).outer;
    assert_eq!((headers.mpls_label, addresses(&headers), headers.ports), (Some(25), V6, Some((40_000, 443))));
    let bare = joined(&[&stack, &ipv4(6, &tcp())]);
    assert_eq!(addresses(&SampledPacket::parse(LinkType::Mpls, &bare).outer), V4);
    // An associated channel of a pseudowire (RFC 5586) is no IP version.
    let channel = joined(&[&stack, &[0x10, 0, 0, 0x21], &ipv4(6, &tcp())]);
    assert_eq!(SampledPacket::parse(LinkType::Mpls, &channel).outer.ip, None);
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    let hop_by_hop = [43, 0, 1, 4, 0, 0, 0, 0];
    let routing = [51, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let authentication = [60, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let options = [17, 0, 1, 4, 0, 0, 0, 0];
    let chain = joined(&[&hop_by_hop, &routing, &authentication, &options, &udp(53, &[])]);
    let packet = ipv6(0, &chain);
    let headers = SampledPacket::parse(LinkType::Ip, &packet).outer;
    assert_eq!((headers.ip.unwrap().protocol, headers.ports), (17, Some((40_000, 53))));
    assert_eq!(headers.ip.unwrap().total_length, 40 + 72);
    // Cut inside the chain: the number of the header that could not be passed.
    let headers = SampledPacket::parse(LinkType::Ip, &packet[..40 + 8 + 10]).outer;
    assert_eq!((headers.ip.unwrap().protocol, headers.ports), (43, None));
}

#[test]
fn only_the_first_fragment_has_ports() {
    let first = SampledPacket::parse(LinkType::Ip, &ipv4_fragment(17, 0x2000, &udp(53, &[]))).outer;
    assert_eq!(first.ports, Some((40_000, 53)));
    let later = SampledPacket::parse(LinkType::Ip, &ipv4_fragment(17, 0x2001, &udp(53, &[]))).outer;
    assert_eq!((later.ports, later.ip.unwrap().protocol, later.ip.unwrap().fragment_offset), (None, 17, 1));
    assert_eq!((later.ip.unwrap().identification, later.ip.unwrap().flow_label), (Some(7), None));

    let first = ipv6(44, &joined(&[&[17, 0, 0, 1, 0, 0, 0, 9], &udp(53, &[])]));
    assert_eq!(SampledPacket::parse(LinkType::Ip, &first).outer.ports, Some((40_000, 53)));
    let later = ipv6(44, &joined(&[&[17, 0, 0, 0x08, 0, 0, 0, 9], &udp(53, &[])]));
    let headers = SampledPacket::parse(LinkType::Ip, &later).outer;
    assert_eq!((headers.ports, headers.ip.unwrap().protocol, headers.ip.unwrap().fragment_offset), (None, 17, 1));
    assert_eq!((headers.ip.unwrap().identification, headers.ip.unwrap().flow_label), (Some(9), Some(0x1_2345)));
}

#[test]
fn padding_of_a_frame_is_not_read_as_ports() {
    let frame = ethernet(0x0800, &joined(&[&ipv4(17, &[]), &[0xff; 26]]));
    let headers = parse(&frame).outer;
    assert_eq!((addresses(&headers), headers.ports), (V4, None));
}

#[test]
fn transport_protocols_with_ports_and_without_are_distinguished() {
    for protocol in [6, 17, 33, 132, 136] {
        let headers = SampledPacket::parse(LinkType::Ip, &ipv4(protocol, &tcp())).outer;
        assert_eq!(headers.ports, Some((40_000, 443)), "{protocol}");
        assert_eq!(headers.tcp_flags.is_some(), protocol == 6);
    }
    for protocol in [2, 50, 51, 89, 112, 255] {
        let headers = SampledPacket::parse(LinkType::Ip, &ipv4(protocol, &tcp())).outer;
        assert_eq!((headers.ip.unwrap().protocol, headers.ports), (protocol, None));
    }
    for (packet, protocol) in [(ipv4(1, &[3, 4, 0, 0]), 1), (ipv6(58, &[3, 4, 0, 0]), 58)] {
        let headers = SampledPacket::parse(LinkType::Ip, &packet).outer;
        assert_eq!((headers.ip.unwrap().protocol, headers.icmp, headers.ports), (protocol, Some((3, 4)), None));
    }
}

#[test]
fn frames_of_other_links_lead_to_ip() {
    let ip = ipv4(6, &tcp());
    let snap = joined(&[&[0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00], &ip]);
    let macs = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    let cases: [(&str, LinkType, Vec<u8>); 17] = [
        ("802.3 with LLC", LinkType::Ethernet, ethernet(48, &snap)),
        ("bare LLC", LinkType::Llc, snap.clone()),
        ("token bus", LinkType::TokenBus, joined(&[&[0x50], &macs, &snap])),
        ("FDDI", LinkType::Fddi, joined(&[&[0x50], &macs, &snap])),
        ("token ring", LinkType::TokenRing, joined(&[&[0x10, 0x40], &macs, &snap])),
        (
            "token ring with a route",
            LinkType::TokenRing,
            joined(&[&[0x10, 0x40, 2, 0, 0, 0, 0, 2, 0x82, 0, 0, 0, 0, 1, 0x06, 0x30, 0, 1, 0, 2], &snap]),
        ),
        ("PPP with framing", LinkType::Ppp, joined(&[&[0xff, 0x03, 0x00, 0x21], &ip])),
        ("PPP without framing", LinkType::Ppp, joined(&[&[0x00, 0x21], &ip])),
        ("PPP with a short protocol", LinkType::Ppp, joined(&[&[0x21], &ip])),
        ("PPP with MPLS", LinkType::Ppp, joined(&[&[0x02, 0x81, 0, 1, 0x91, 0x40], &ip])),
        ("Cisco HDLC", LinkType::Ppp, joined(&[&[0x0f, 0x00, 0x08, 0x00], &ip])),
        ("frame relay", LinkType::FrameRelay, joined(&[&[0x18, 0x41, 0x03, 0xcc], &ip])),
        (
            "frame relay with SNAP",
            LinkType::FrameRelay,
            joined(&[&[0x18, 0x41, 0x03, 0x00, 0x80, 0, 0, 0, 0x08, 0x00], &ip]),
        ),
        ("frame relay of Cisco", LinkType::FrameRelay, joined(&[&[0x18, 0x41, 0x08, 0x00], &ip])),
        (
            "802.11 from an access point",
            LinkType::Wireless,
            joined(&[&[0x08, 0x02, 0, 0], &macs[..6], &[9; 6], &macs[6..], &[0, 0], &snap]),
        ),
        (
            "802.11 with quality of service",
            LinkType::Wireless,
            joined(&[&[0x88, 0x01, 0, 0], &[9; 6], &macs[6..], &macs[..6], &[0, 0, 0, 0], &snap]),
        ),
        ("PPPoE", LinkType::Ethernet, ethernet(0x8864, &joined(&[&[0x11, 0, 0, 1, 0, 42, 0x00, 0x21], &ip]))),
    ];
    for (name, link, frame) in cases {
        let headers = SampledPacket::parse(link, &frame).outer;
        assert_eq!((addresses(&headers), headers.ports), (V4, Some((40_000, 443))), "{name}");
        let has_macs = !matches!(link, LinkType::Llc | LinkType::Ppp | LinkType::FrameRelay);
        let expected = LinkAddresses { source: [2, 0, 0, 0, 0, 1], destination: [2, 0, 0, 0, 0, 2] };
        assert_eq!(headers.link, has_macs.then_some(expected), "{name}");
    }
}

#[test]
fn an_encrypted_wireless_frame_is_not_read_beyond_its_addresses() {
    let frame = joined(&[&[0x08, 0x42, 0, 0], &[1; 18], &[0, 0, 0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0], &ipv4(6, &tcp())]);
    let headers = SampledPacket::parse(LinkType::Wireless, &frame).outer;
    assert!(headers.link.is_some() && headers.ip.is_none());
}

/// The inner packet of the tunnels in the tests below.
fn inside() -> Vec<u8> {
    ipv6(6, &tcp())
}

#[track_caller]
fn assert_tunnel(outer: &[u8], name: &str) {
    let packet = SampledPacket::parse(LinkType::Ip, outer);
    assert_eq!(addresses(&packet.outer), V4, "{name}");
    let inner = packet.inner.unwrap_or_else(|| panic!("{name} was not opened"));
    assert_eq!((addresses(&inner), inner.ports), (V6, Some((40_000, 443))), "{name}");
}

#[test]
fn tunnels_keep_both_the_outer_and_the_inner_packet() {
    let frame = ethernet(0x86dd, &inside());
    assert_tunnel(&ipv4(41, &inside()), "IPv6 in IPv4");
    assert_tunnel(&ipv4(47, &joined(&[&[0, 0, 0x86, 0xdd], &inside()])), "GRE");
    assert_tunnel(
        &ipv4(47, &joined(&[&[0xb0, 0, 0x86, 0xdd], &[0; 12], &inside()])),
        "GRE with checksum, key, sequence number",
    );
    assert_tunnel(&ipv4(47, &joined(&[&[0x20, 0, 0x65, 0x58, 0, 0, 1, 0], &frame])), "NVGRE");
    assert_tunnel(&ipv4(47, &joined(&[&[0, 0, 0x88, 0x47, 0, 1, 0x91, 0x40], &inside()])), "MPLS in GRE");
    assert_tunnel(&ipv4(97, &joined(&[&[0x30, 0], &frame])), "Ethernet in IP");
    assert_tunnel(&ipv4(137, &joined(&[&[0, 1, 0x91, 0x40], &inside()])), "MPLS in IP");
    let vxlan = joined(&[&[0x08, 0, 0, 0, 0, 0, 42, 0], &frame]);
    assert_tunnel(&ipv4(17, &udp(4789, &vxlan)), "VXLAN");
    assert_tunnel(&ipv4(17, &udp(8472, &vxlan)), "VXLAN of Linux");
    let geneve = joined(&[&[0x02, 0, 0x65, 0x58, 0, 0, 42, 0], &[0; 8], &frame]);
    assert_tunnel(&ipv4(17, &udp(6081, &geneve)), "GENEVE with options");
    let gtp = |flags: u8, optional: &[u8]| {
        let packet = joined(&[&[flags, 255, 0, 60, 0, 0, 0, 1], optional, &inside()]);
        ipv4(17, &udp(2152, &packet))
    };
    assert_tunnel(&gtp(0x30, &[]), "GTP-U");
    assert_tunnel(&gtp(0x32, &[0, 1, 0, 0]), "GTP-U with a sequence number");
    assert_tunnel(&gtp(0x34, &[0, 0, 0, 0x85, 1, 0x10, 0, 0]), "GTP-U with an extension header");
    assert_tunnel(&ipv4(17, &udp(6635, &joined(&[&[0, 1, 0x91, 0x40], &inside()]))), "MPLS in UDP");
    assert_tunnel(&ipv4(143, &frame), "Ethernet in IP, as SRv6 has it");
    let ppp = joined(&[&[0xff, 0x03, 0x00, 0x57], &inside()]);
    assert_tunnel(&ipv4(47, &joined(&[&[0x20, 1, 0x88, 0x0b, 0, 64, 0, 7], &ppp])), "PPTP");
    assert_tunnel(&ipv4(47, &joined(&[&[0x30, 0x81, 0x88, 0x0b, 0, 64, 0, 7], &[0; 8], &ppp])), "PPTP with numbers");
    assert_tunnel(&ipv4(17, &udp(1701, &joined(&[&[0, 2, 0, 1, 0, 2], &ppp]))), "L2TP");
    let with_length = joined(&[&[0x40, 2, 0, 80, 0, 1, 0, 2], &ppp[2..]]);
    assert_tunnel(&ipv4(17, &udp(1701, &with_length)), "L2TP with its length, PPP without framing");
    let with_all = joined(&[&[0x4a, 2, 0, 80, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 9, 9], &ppp]);
    assert_tunnel(&ipv4(17, &udp(1701, &with_all)), "L2TP with sequence numbers and padding");
}

#[test]
fn a_tunnel_header_that_is_not_one_stays_closed() {
    let closed = |packet: &[u8]| assert_eq!(SampledPacket::parse(LinkType::Ip, packet).inner, None);
    closed(&ipv4(47, &joined(&[&[0, 1, 0x88, 0x0b], &inside()])));
    closed(&ipv4(17, &udp(4789, &joined(&[&[0; 8], &inside()]))));
    closed(&ipv4(17, &udp(2152, &joined(&[&[0x30, 1, 0, 0, 0, 0, 0, 1], &inside()]))));
    closed(&ipv4(17, &udp(2152, &joined(&[&[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 0], &inside()]))));
    closed(&ipv4(17, &udp(1701, &joined(&[&[0xc8, 2, 0, 20, 0, 1, 0, 0], &[0; 12]]))));
    closed(&ipv4(17, &udp(1701, &joined(&[&[0, 3, 0, 0], &[0; 4], &inside()]))));
    closed(&ipv4(50, &inside()));
}

#[test]
fn tunnels_within_tunnels_are_opened_to_a_limited_depth() {
    let mut packet = inside();
    for depth in 1..200 {
        packet = ipv4(4, &packet);
        let parsed = SampledPacket::parse(LinkType::Ip, &packet);
        assert_eq!(addresses(&parsed.outer), V4);
        assert_eq!(addresses(&parsed.inner.unwrap()), if depth == 1 { V6 } else { V4 });
        let innermost = if depth <= MAXIMUM_TUNNELS { V6 } else { V4 };
        assert_eq!(parsed.innermost.map(|headers| addresses(&headers)), (depth > 1).then_some(innermost));
    }
}

#[test]
fn the_outer_headers_are_accounted() {
    let mut flow = FlowRecord::empty(Timestamp::EPOCH);
    let vxlan = joined(&[&[0x08, 0, 0, 0, 0, 0, 42, 0], &ethernet(0x86dd, &inside())]);
    assert!(Headers::parse(LinkType::Ethernet, &ethernet(0x0800, &ipv4(17, &udp(4789, &vxlan)))).fill(&mut flow));
    let mut expected = FlowRecord::empty(Timestamp::EPOCH);
    expected.source = SOURCE.into();
    expected.destination = DESTINATION.into();
    expected.protocol = 17;
    (expected.source_port, expected.destination_port) = (40_000, 4789);
    assert_eq!(flow, expected);

    assert!(!parse(&ethernet(0x0806, &[0; 28])).outer.fill(&mut flow));
    assert_eq!(flow, expected);
}
