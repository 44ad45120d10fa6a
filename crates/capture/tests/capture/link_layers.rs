//! Every link layer, with both IP versions, and the headers that are skipped in them.

use crate::building::*;

/// Four datagrams from different link layers come out the same, so comparing payload and family is enough.
fn assert_read(link: u32, frames: &[Vec<u8>], name: &str) {
    let (datagrams, statistics) = read_all(pcap(link, frames));
    assert_eq!(datagrams.len(), frames.len(), "{name}: {statistics:?}");
    for datagram in datagrams {
        assert_eq!(datagram.payload, b"payload", "{name}");
        assert_eq!((datagram.source.port(), datagram.destination.port()), (4444, 2055), "{name}");
        let expected = if datagram.source.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" };
        assert_eq!(datagram.source.ip().to_string(), expected, "{name}");
    }
}

fn joined(header: &[u8], content: &[u8]) -> Vec<u8> {
    [header, content].concat()
}

#[test]
fn every_link_layer_is_read() {
    let (v4, v6) = (ipv4_udp(b"payload"), ipv6_udp(b"payload"));
    assert_read(1, &[ethernet(0x0800, &v4), ethernet(0x86dd, &v6)], "Ethernet");
    let tag = |tags: &[u8], content: &[u8]| joined(&[&[2; 12], tags].concat(), content);
    assert_read(
        1,
        &[tag(&[0x81, 0, 0, 5, 0x08, 0], &v4), tag(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd], &v6)],
        "VLAN and QinQ",
    );
    for link in [12, 14, 101] {
        assert_read(link, &[v4.clone(), v6.clone()], "raw IP");
    }
    assert_read(228, std::slice::from_ref(&v4), "raw IPv4");
    assert_read(229, std::slice::from_ref(&v6), "raw IPv6");
    let cooked = |ethertype: &[u8]| [&[0; 14], ethertype].concat();
    assert_read(
        113,
        &[
            joined(&cooked(&[8, 0]), &v4),
            joined(&cooked(&[0x86, 0xdd]), &v6),
            joined(&cooked(&[0x81, 0, 0, 1, 8, 0]), &v4),
        ],
        "Linux cooked",
    );
    let cooked2 = |ethertype: &[u8]| [ethertype, &[0; 18]].concat();
    assert_read(276, &[joined(&cooked2(&[8, 0]), &v4), joined(&cooked2(&[0x86, 0xdd]), &v6)], "Linux cooked 2");
    assert_read(0, &[joined(&[2, 0, 0, 0], &v4), joined(&[30, 0, 0, 0], &v6), joined(&[0, 0, 0, 10], &v6)], "null");
    assert_read(108, &[joined(&[0, 0, 0, 2], &v4), joined(&[0, 0, 0, 24], &v6)], "loopback");
}

#[test]
fn ipv6_extension_headers_are_skipped() {
    let datagram = udp(4444, 2055, b"payload");
    let hop_by_hop =
        joined(&[60, 0, 1, 4, 0, 0, 0, 0], &joined(&[43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]));
    let routing = [17, 0, 0, 0, 0, 0, 0, 0];
    let chain = [&hop_by_hop[..], &routing, &datagram].concat();
    let authentication = [&[17, 4, 0, 0][..], &[0; 20], &datagram].concat();
    let atomic = ipv6_fragment(17, 7, 0, false, &datagram);
    assert_read(101, &[ipv6(0, &chain), ipv6(51, &authentication), ipv6(44, &atomic)], "extension headers");
}

#[test]
fn packets_without_udp_are_counted_and_skipped() {
    let frames = [
        ethernet(0x0806, &[0; 28]),
        ethernet(0x0800, &ipv4(1, 0, false, 6, &[0; 20])),
        ethernet(0x86dd, &ipv6(58, &[0; 8])),
        ethernet(0x0800, &ipv4(1, 8, true, 6, &[0; 8])),
        ethernet(0x0026, &[0x42, 0x42, 3]),
    ];
    let (datagrams, statistics) = read_all(pcap(ETHERNET, &frames));
    assert!(datagrams.is_empty());
    assert_eq!(statistics.not_udp, 5);
}

#[test]
fn a_truncated_packet_is_not_a_damaged_one() {
    let whole = ethernet(0x0800, &ipv4_udp(&[7; 100]));
    for kept in 0..whole.len() {
        let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, ETHERNET);
        file.extend(pcap_record(Order::Little, 0, 0, &whole[..kept], whole.len()));
        file.extend(pcap_record(Order::Little, 0, 0, &whole[..kept], kept));
        let (datagrams, statistics) = read_all(file);
        assert!(datagrams.is_empty());
        assert_eq!((statistics.truncated, statistics.damaged), (1, 1), "{kept}");
    }
}

#[test]
fn contradicting_lengths_are_damage() {
    let mut short_udp = ipv4_udp(b"payload");
    short_udp[25] = 7;
    let mut long_udp = ipv4_udp(b"payload");
    long_udp[25] = 200;
    let mut short_header = ipv4_udp(b"payload");
    short_header[0] = 0x44;
    let mut version = ipv4_udp(b"payload");
    version[0] = 0x75;
    let mut shorter_than_header = ipv4_udp(b"payload");
    shorter_than_header[3] = 19;
    let (datagrams, statistics) =
        read_all(pcap(RAW, &[short_udp, long_udp, short_header, version, shorter_than_header]));
    assert!(datagrams.is_empty());
    assert_eq!(statistics.damaged, 5);
}

#[test]
fn mapped_addresses_become_ipv4() {
    let mut packet = ipv6_udp(b"payload");
    for start in [8, 24] {
        packet[start..start + 16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 7]);
    }
    let (datagrams, _) = read_all(pcap(RAW, &[packet]));
    assert_eq!(datagrams[0].source.to_string(), "198.51.100.7:4444");
    assert_eq!(datagrams[0].destination.to_string(), "198.51.100.7:2055");
}
