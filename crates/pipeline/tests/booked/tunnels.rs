//! Packets in tunnels: the outer headers count, and those of the innermost packet with its length where the sender has
//! `tunnels=inner`.

use flow::FlowFate;

use super::packets::*;
use super::*;

/// The ends of the tunnels.
const ENDS: [[u8; 4]; 2] = [[192, 0, 2, 10], [192, 0, 2, 20]];
/// The ends of a tunnel inside another.
const FURTHER_ENDS: [[u8; 4]; 2] = [[172, 16, 0, 1], [172, 16, 0, 2]];
const GRE: u8 = 47;
const UDP: u8 = 17;
/// VXLAN with network identifier 42.
const VXLAN: [u8; 8] = [0x08, 0, 0, 0, 0, 0, 42, 0];
const VXLAN_PORT: u16 = 4789;

fn udp(port: u16, payload: &[&[u8]]) -> Vec<u8> {
    let payload = payload.concat();
    let words = [40_000, port, u16::try_from(8 + payload.len()).unwrap(), 0];
    [&words.map(u16::to_be_bytes).concat()[..], &payload].concat()
}

fn gtp_u(packet: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(packet.len()).unwrap().to_be_bytes();
    udp(2152, &[&[0x30, 255, high, low, 0, 0, 0, 1], packet])
}

fn gre(packet: &[u8]) -> Vec<u8> {
    let ether_type = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&[0, 0][..], &ether_type, packet].concat()
}

fn vxlan(packet: &[u8]) -> Vec<u8> {
    udp(VXLAN_PORT, &[&VXLAN, &framed(packet)])
}

/// Packets with this one inside.
fn tunnelled(inner: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let ip_protocol = if inner[0] >> 4 == 4 { 4 } else { 41 };
    let ether_type = if inner[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let ppp_protocol = if inner[0] >> 4 == 4 { [0x21] } else { [0x57] };
    let outer = |protocol: u8, payload: &[u8]| ipv4(ENDS, protocol, payload);
    vec![
        ("GRE", outer(GRE, &gre(inner))),
        ("GRE with a key", outer(GRE, &[&[0x20, 0], &ether_type[..], &[0, 0, 0, 7], inner].concat())),
        ("NVGRE", outer(GRE, &[&[0x20, 0, 0x65, 0x58, 0, 0, 1, 0], &framed(inner)[..]].concat())),
        ("MPLS in GRE", outer(GRE, &[&[0, 0, 0x88, 0x47, 0, 1, 0x91, 0xff], inner].concat())),
        ("IP in IPv4", outer(ip_protocol, inner)),
        ("IP in IPv6", ipv6([1, 2], ip_protocol, inner)),
        ("IP in IPv6 with segments (SRv6)", {
            let routing = [&[ip_protocol, 2, 4, 0, 0, 0, 0, 0][..], &[7; 16]].concat();
            ipv6([1, 2], 43, &[&routing[..], inner].concat())
        }),
        ("Ethernet in IPv6 (SRv6)", ipv6([1, 2], 143, &framed(inner))),
        ("VXLAN", outer(UDP, &vxlan(inner))),
        ("VXLAN in IPv6", ipv6([1, 2], UDP, &vxlan(inner))),
        ("GENEVE", outer(UDP, &udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], &framed(inner)]))),
        ("GTP-U", outer(UDP, &gtp_u(inner))),
        ("PPTP", {
            let ppp = [&[0xff, 0x03, 0x00], &ppp_protocol[..], inner].concat();
            outer(GRE, &[&[0x30, 1, 0x88, 0x0b, 0, 44, 0, 1, 0, 0, 0, 1], &ppp[..]].concat())
        }),
        ("L2TP", outer(UDP, &udp(1701, &[&[0, 2, 0, 1, 0, 2, 0x00], &ppp_protocol, inner]))),
        ("VXLAN in GRE", outer(GRE, &gre(&ipv4(FURTHER_ENDS, UDP, &vxlan(inner))))),
        ("GTP-U in IP in IP", outer(4, &ipv4(FURTHER_ENDS, UDP, &gtp_u(inner)))),
        ("GRE in VXLAN in GRE", {
            let gre_in_vxlan = vxlan(&ipv4(FURTHER_ENDS, GRE, &gre(inner)));
            outer(GRE, &gre(&ipv4(FURTHER_ENDS, UDP, &gre_in_vxlan)))
        }),
    ]
}

fn inner_of(prefix: &str) -> Collector {
    Collector::with_settings(prefix, "tunnels=inner")
}

/// Flows of packets in tunnels, and those of which the packet inside is unknown.
fn noted(collector: &Collector) -> (u64, u64) {
    let ambiguities = collector.exporters.detailed(ROUTER, true).unwrap().detail.ambiguities;
    (ambiguities.tunnelled, ambiguities.inner_unknown)
}

/// An sFlow v4 datagram of one sample.
fn sflow_v4(header: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap();
    let words = [4, 1, 0x0a00_0001, 1, 1000, 1, 1, 1, 1, RATE, 1000, 0, 1, 2, 1, ETHERNET, FRAME_LENGTH, length];
    let mut datagram: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).chain(header.iter().copied()).collect();
    datagram.resize(datagram.len().next_multiple_of(4), 0);
    datagram.extend([0; 4]);
    datagram
}

#[test]
fn the_innermost_packet_counts_with_its_length_where_the_sender_has_that_setting() {
    let inside_v6 = ipv6([5, 9], 6, &tcp());
    for (prefix, inner, length) in [("198.51.100.0/24", ip(), 40), ("2001:db8::5/128", inside_v6, 60)] {
        for (name, packet) in tunnelled(&inner) {
            for payload in [sflow(ETHERNET, &framed(&packet)), sflow_v4(&framed(&packet))] {
                let mut collector = inner_of(prefix);
                collector.take(&payload);
                assert_eq!(collector.sent(), counters(length * u64::from(RATE), RATE.into(), 1), "{name}");
                for counted in ["proto:6", "srcport:40000", "dstport:443"] {
                    assert_eq!(collector.counters(Direction::Out, counted.parse().unwrap()).flows, 1, "{name}");
                }
                assert_eq!(noted(&collector), (1, 0), "{name}");
            }
        }
    }
}

#[test]
fn packet_sections_count_by_the_innermost_packet_too() {
    let without_counters = TemplateSpec::data(256, []);
    let with_counters = TemplateSpec::data(256, [field(1, 4), field(2, 4)]);
    for (name, packet) in tunnelled(&ip()) {
        // dataLinkFrameSection, layer2packetSectionData, ipHeaderPacketSection.
        for (element, section) in [(FRAME_SECTION, framed(&packet)), (104, framed(&packet)), (313, packet)] {
            for (template, expected) in [(&without_counters, counters(40, 1, 1)), (&with_counters, counters(7, 3, 1))] {
                let mut collector = inner_of("198.51.100.0/24");
                collector.take(&section_of(element, template, &section));
                assert_eq!(collector.sent(), expected, "{name} in {element}");
                assert_eq!(collector.counters(Direction::Out, "dstport:443".parse().unwrap()).flows, 1, "{name}");
            }
        }
    }
}

#[test]
fn without_the_setting_the_outer_packet_counts_with_the_length_of_the_frame() {
    for (name, packet) in tunnelled(&ip()) {
        let outer = if packet[0] >> 4 == 4 { "192.0.2.10/32" } else { "2001:db8::1/128" };
        for settings in ["", "tunnels=outer"] {
            let mut collector = Collector::with_settings(outer, settings);
            collector.take(&sflow(ETHERNET, &framed(&packet)));
            assert_eq!(collector.sent(), counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1), "{name}");
            assert_eq!(noted(&collector), (1, 0), "{name}");
            let mut collector = Collector::with_settings("198.51.100.0/24", settings);
            collector.take(&sflow(ETHERNET, &framed(&packet)));
            assert_eq!(collector.shard.counts().flows[FlowFate::Unmatched], 1, "{name}");
        }
    }
}

#[test]
fn what_is_in_no_tunnel_counts_the_same_with_either_setting() {
    let dns = ip_of(UDP, &udp(53, &[]));
    for packet in [ip(), dns, ip_of(1, &[8, 0, 0, 0]), ip_of(50, &[0; 16])] {
        let [outer, inner] = ["", "tunnels=inner"].map(|settings| {
            let mut collector = Collector::with_settings("198.51.100.0/24", settings);
            collector.take(&sflow(ETHERNET, &framed(&packet)));
            assert_eq!(noted(&collector), (0, 0));
            collector.sent()
        });
        assert_eq!((outer, inner), (counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1), outer));
    }
}

#[test]
fn where_the_packet_inside_is_cut_off_the_innermost_known_headers_count() {
    let cut = |packet: Vec<u8>, missing: usize| framed(&packet[..packet.len() - missing]);
    let (outer, further) = ("192.0.2.10/32", "172.16.0.1/32");
    let vxlan_in_gre = |inner: &[u8]| ipv4(ENDS, GRE, &gre(&ipv4(FURTHER_ENDS, UDP, &vxlan(inner))));
    let later_fragment = {
        let mut packet = ipv4(ENDS, GRE, &gre(&ip()));
        packet[6..8].copy_from_slice(&[0, 100]);
        packet
    };
    let encrypted = [0x20, 1, 0x88, 0x0b, 0, 44, 0, 1, 0x00, 0xfd, 0x90, 0, 1, 2, 3, 4];
    let arp = ipv4(ENDS, UDP, &udp(VXLAN_PORT, &[&VXLAN, &frame(&[&[0x08, 0x06], &[0; 28]])]));
    for (name, header, prefix, octets) in [
        ("within the IP header inside", cut(ipv4(ENDS, GRE, &gre(&ip())), 21), outer, FRAME_LENGTH),
        ("within GRE", cut(ipv4(ENDS, GRE, &gre(&ip())), 41), outer, FRAME_LENGTH),
        ("within the frame inside", cut(ipv4(ENDS, UDP, &vxlan(&ip())), 50), outer, FRAME_LENGTH),
        ("in the third header", cut(vxlan_in_gre(&ip()), 21), further, 20 + 8 + 8 + 14 + 40),
        ("a later fragment of the tunnel", framed(&later_fragment), outer, FRAME_LENGTH),
        ("no IP inside", framed(&arp), outer, FRAME_LENGTH),
        ("encrypted PPTP", framed(&ipv4(ENDS, GRE, &encrypted)), outer, FRAME_LENGTH),
    ] {
        let mut collector = inner_of(prefix);
        collector.take(&sflow(ETHERNET, &header));
        assert_eq!(collector.sent(), counters(u64::from(octets * RATE), RATE.into(), 1), "{name}");
        assert_eq!(noted(&collector), (1, 1), "{name}");
    }
    // The ports may be cut off, too: these are 0.
    let mut collector = inner_of("198.51.100.0/24");
    collector.take(&sflow(ETHERNET, &cut(ipv4(ENDS, GRE, &gre(&ip())), 20)));
    assert_eq!(collector.sent(), counters(40 * u64::from(RATE), RATE.into(), 1));
    assert_eq!(collector.counters(Direction::Out, "dstport:0".parse().unwrap()).flows, 1);
    assert_eq!(noted(&collector), (1, 0));
}

#[test]
fn a_packet_inside_that_states_no_length_or_more_than_was_on_the_wire_counts_with_the_latter() {
    for stated in [0, u16::MAX] {
        let mut inner = ip();
        inner[2..4].copy_from_slice(&stated.to_be_bytes());
        let packet = ipv4(ENDS, GRE, &gre(&inner));
        let mut collector = inner_of("198.51.100.0/24");
        collector.take(&sflow(ETHERNET, &framed(&packet)));
        assert_eq!(collector.sent(), counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1), "{stated}");
        let mut collector = inner_of("198.51.100.0/24");
        collector.take(&section(&TemplateSpec::data(256, []), &framed(&packet)));
        assert_eq!(collector.sent(), counters(20 + 4 + 40, 1, 1), "{stated}");
    }
}

#[test]
fn tunnels_in_tunnels_are_followed_to_eight() {
    let nested = |tunnels: u8| {
        let ends = |depth: u8| [[10, 0, 0, depth], [10, 0, 1, depth]];
        (1..=tunnels).rev().fold(ip(), |packet, depth| ipv4(ends(depth), 4, &packet))
    };
    for (tunnels, counted, unknown) in [(8, "198.51.100.0/24", 0), (9, "10.0.0.9/32", 1), (60, "10.0.0.9/32", 1)] {
        let mut collector = inner_of(counted);
        collector.take(&sflow(ETHERNET, &framed(&nested(tunnels))));
        assert_eq!((collector.sent().flows, noted(&collector)), (1, (1, unknown)), "{tunnels}");
    }
}

#[test]
fn an_agent_may_say_where_the_packet_inside_begins() {
    // A tunnel of a vendor, whose header has eight octets.
    let of_vendor = |content: &[u8]| framed(&ipv4(ENDS, UDP, &udp(9999, &[&[0x55; 8], content])));
    let offset = 14_u32 + 20 + 8 + 8;
    for (name, header) in [
        ("IPv4", of_vendor(&ip())),
        ("a frame", of_vendor(&framed(&ip()))),
        ("a tagged frame", of_vendor(&frame(&[&[0x81, 0, 0, 7, 0x08, 0], &ip()]))),
        ("a further tunnel", of_vendor(&ipv4(FURTHER_ENDS, GRE, &gre(&ip())))),
    ] {
        for decapsulate in [1027, 1028] {
            let records = [sampled_header(ETHERNET, &header), (decapsulate, offset.to_be_bytes().to_vec())];
            let [first, second] = &records;
            for records in [[first.clone(), second.clone()], [second.clone(), first.clone()]] {
                let mut collector = inner_of("198.51.100.0/24");
                collector.take(&sample(&records));
                assert_eq!(collector.sent(), counters(40 * u64::from(RATE), RATE.into(), 1), "{name}");
                assert_eq!(noted(&collector), (1, 0), "{name}");
                let mut collector = Collector::monitoring("192.0.2.10/32");
                collector.take(&sample(&records));
                assert_eq!(collector.sent(), counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1), "{name}");
            }
        }
    }
    // An offset that is wrong, or beyond the sampled header, is no harm.
    for offset in [0, 3, 14, 1000, u32::MAX] {
        let header = framed(&ipv4(ENDS, GRE, &gre(&ip())));
        let records = [sampled_header(ETHERNET, &header), (1028, offset.to_be_bytes().to_vec())];
        let mut collector = inner_of("198.51.100.0/24");
        collector.take(&sample(&records));
        assert_eq!((collector.sent().flows, noted(&collector)), (1, (1, 0)), "{offset}");
    }
}

#[test]
fn outer_headers_that_the_sampled_packet_does_not_have_never_count() {
    // extended_ipv4_tunnel_egress and extended_ipv4_tunnel_ingress: the packet inside was sampled.
    let outer = |format: u32| {
        let words = [500_u32, u32::from(UDP)].map(u32::to_be_bytes).concat();
        let ports = [40_000, u32::from(VXLAN_PORT), 0, 0].map(u32::to_be_bytes).concat();
        (format, [words, ENDS.concat(), ports].concat())
    };
    for settings in ["", "tunnels=inner"] {
        for format in [1023, 1024] {
            let mut collector = Collector::with_settings("198.51.100.0/24", settings);
            collector.take(&sample(&[outer(format), sampled_header(ETHERNET, &framed(&ip()))]));
            assert_eq!(collector.sent(), counters(u64::from(FRAME_LENGTH * RATE), RATE.into(), 1));
            assert_eq!(noted(&collector), (0, 0));
        }
    }
}

/// A record of a tunnel as an exporter sends it that reports both ends; octets and packets are 500 and 5.
fn both_ends(fields: &[(FieldSpecifier, &[u8])]) -> Vec<u8> {
    let counters = [(field(1, 4), [0, 0, 1, 244]), (field(2, 4), [0, 0, 0, 5])];
    let counters = counters.iter().map(|(field, octets)| (*field, octets.as_slice()));
    let (specifiers, octets): (Vec<_>, Vec<_>) = counters.chain(fields.iter().copied()).unzip();
    let template = TemplateSpec::data(256, specifiers);
    let record = template.record(&octets);
    message(0).template(&template).data(&template, &[record]).finish()
}

#[test]
fn a_record_with_the_ends_of_tunnel_and_packet_counts_by_either() {
    let vmware = |id: u16, length: u16| FieldSpecifier { element: ElementId { enterprise: 6876, id }, length };
    let (source, destination) = (&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[0x2a; 16]);
    let (any, https) = (&[0x9c, 0x40][..], &[0x01, 0xbb][..]);
    let nsx = both_ends(&[
        (field(8, 4), &ENDS[0]),
        (field(12, 4), &ENDS[1]),
        (field(4, 1), &[UDP]),
        (field(7, 2), any),
        (field(11, 2), &VXLAN_PORT.to_be_bytes()),
        (vmware(880, 1), &[6]),
        (vmware(881, 4), &INSIDE),
        (vmware(882, 4), &OUTSIDE),
        (vmware(886, 2), any),
        (vmware(887, 2), https),
    ]);
    // Cisco IOS XR, SRv6: elements of the packet inside after those of the tunnel.
    let repeated = both_ends(&[
        (field(8, 4), &ENDS[0]),
        (field(12, 4), &ENDS[1]),
        (field(7, 2), &[0, 0]),
        (field(11, 2), &[0, 0]),
        (field(4, 1), &[4]),
        (field(8, 4), &INSIDE),
        (field(12, 4), &OUTSIDE),
        (field(7, 2), any),
        (field(11, 2), https),
        (field(4, 1), &[6]),
    ]);
    for (name, payload) in [("NSX", nsx), ("repeated elements", repeated)] {
        let mut collector = inner_of("198.51.100.0/24");
        collector.take(&payload);
        assert_eq!(collector.sent(), counters(500, 5, 1), "{name}");
        for counted in ["proto:6", "srcport:40000", "dstport:443"] {
            assert_eq!(collector.counters(Direction::Out, counted.parse().unwrap()).flows, 1, "{name}");
        }
        assert_eq!(noted(&collector), (1, 0), "{name}");
        let mut collector = Collector::monitoring("192.0.2.10/32");
        collector.take(&payload);
        assert_eq!((collector.sent(), noted(&collector)), (counters(500, 5, 1), (1, 0)), "{name}");
        assert_eq!(collector.counters(Direction::Out, "proto:6".parse().unwrap()).flows, 0, "{name}");
    }
    // The versions of IP differ: IPv6 in IPv4, and IPv4 in IPv6 as IOS XR sends it.
    let v6_in_v4 = both_ends(&[
        (field(8, 4), &ENDS[0]),
        (field(12, 4), &ENDS[1]),
        (field(4, 1), &[41]),
        (field(27, 16), source),
        (field(28, 16), destination),
        (field(4, 1), &[6]),
    ]);
    let v4_in_v6 = both_ends(&[
        (field(27, 16), source),
        (field(28, 16), destination),
        (field(4, 1), &[4]),
        (field(4, 1), &[6]),
        (field(8, 4), &INSIDE),
        (field(12, 4), &OUTSIDE),
    ]);
    for (prefix, payload) in [("2001:db8::1/128", v6_in_v4), ("198.51.100.0/24", v4_in_v6)] {
        let mut collector = inner_of(prefix);
        collector.take(&payload);
        assert_eq!((collector.sent(), noted(&collector)), (counters(500, 5, 1), (1, 0)), "{prefix}");
        assert_eq!(collector.counters(Direction::Out, "proto:6".parse().unwrap()).flows, 1, "{prefix}");
    }
}

#[test]
fn a_record_whose_inner_ends_are_empty_is_of_no_tunnel() {
    let vmware = |id: u16, length: u16| FieldSpecifier { element: ElementId { enterprise: 6876, id }, length };
    let payload = both_ends(&[
        (field(8, 4), &INSIDE),
        (field(12, 4), &OUTSIDE),
        (field(4, 1), &[6]),
        (vmware(880, 1), &[0]),
        (vmware(881, 4), &[0; 4]),
        (vmware(882, 4), &[0; 4]),
    ]);
    let mut collector = inner_of("198.51.100.0/24");
    collector.take(&payload);
    assert_eq!((collector.sent(), noted(&collector)), (counters(500, 5, 1), (0, 0)));
}
