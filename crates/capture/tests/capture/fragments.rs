//! IP fragments in capture files; bounds and orders are tested in the module.

use crate::building::*;

fn payload() -> Vec<u8> {
    (0..3000).map(|index| (index % 251) as u8).collect()
}

#[test]
fn ipv4_fragments_become_a_datagram_received_with_the_last_of_them() {
    let datagram = udp(4444, 2055, &payload());
    let frames = [
        ipv4(9, 1480, true, 17, &datagram[1480..2960]),
        ipv4(8, 0, true, 17, &datagram[..1480]),
        ipv4(9, 2960, false, 17, &datagram[2960..]),
        ipv4_udp(b"between"),
        ipv4(9, 0, true, 17, &datagram[..1480]),
    ];
    let (datagrams, statistics) = read_all(pcap(RAW, &frames));
    assert_eq!(datagrams.len(), 2);
    assert_eq!(datagrams[0].payload, b"between");
    assert_eq!(datagrams[1].payload, payload());
    assert_eq!(datagrams[1].nanoseconds, 4_000_000_000);
    assert_eq!(datagrams[1].source.port(), 4444);
    assert_eq!((statistics.datagrams, statistics.fragments, statistics.incomplete), (2, 3, 1));
}

#[test]
fn ipv6_fragments_become_a_datagram_extension_headers_included() {
    let options = [17, 0, 1, 4, 0, 0, 0, 0];
    let content = [&options[..], &udp(4444, 2055, &payload())].concat();
    let (first, second) = content.split_at(1448);
    let frames = [
        ipv6(0, &[&[44, 0, 1, 4, 0, 0, 0, 0][..], &ipv6_fragment(60, 77, 1448, false, second)].concat()),
        ipv6(44, &ipv6_fragment(60, 77, 0, true, first)),
    ];
    let (datagrams, statistics) = read_all(pcap(RAW, &frames));
    assert_eq!(datagrams.len(), 1, "{statistics:?}");
    assert_eq!(datagrams[0].payload, payload());
    assert_eq!(datagrams[0].source.to_string(), "[2001:db8::1]:4444");
}

#[test]
fn overlapping_fragments_never_make_a_datagram() {
    let datagram = udp(4444, 2055, &payload());
    for offset in [0, 8, 1472] {
        let frames = [
            ipv4(9, 0, true, 17, &datagram[..1480]),
            ipv4(9, offset, true, 17, &[0xee; 16]),
            ipv4(9, 1480, false, 17, &datagram[1480..]),
        ];
        let (datagrams, statistics) = read_all(pcap(RAW, &frames));
        assert!(datagrams.is_empty(), "{offset}");
        assert_eq!((statistics.fragments, statistics.incomplete), (3, 1), "{offset}");
    }
}

#[test]
fn reassembled_fragments_without_a_whole_datagram_are_damage() {
    let datagram = udp(4444, 2055, &payload());
    let frames = [ipv4(9, 0, true, 17, &datagram[..1480]), ipv4(9, 1480, false, 17, &datagram[1480..2000])];
    let (datagrams, statistics) = read_all(pcap(RAW, &frames));
    assert!(datagrams.is_empty());
    assert_eq!((statistics.fragments, statistics.damaged, statistics.incomplete), (1, 1, 0));
}
