use std::net::Ipv4Addr;

use etherparse::ip_number;

use super::*;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const DESTINATION: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn fragment(identification: u32, offset: usize, more: bool, payload: &[u8]) -> Fragment<'_> {
    Fragment { identification, protocol: ip_number::UDP, offset, more, payload }
}

fn add(reassembly: &mut Reassembly, seconds: u64, fragment: &Fragment<'_>) -> Progress {
    reassembly.add(Timestamp::from_seconds(seconds), SOURCE, DESTINATION, fragment)
}

/// The octets 0, 1, 2, ... so that a misplaced piece is visible.
fn octets(range: std::ops::Range<u8>) -> Vec<u8> {
    range.collect()
}

#[test]
fn pieces_make_the_whole_in_any_order_and_when_repeated() {
    let pieces = [(0, true, octets(0..16)), (16, true, octets(16..24)), (24, false, octets(24..27))];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut reassembly = Reassembly::default();
        let mut progress = Progress::Waiting;
        for index in order {
            assert_eq!(progress, Progress::Waiting);
            let (offset, more, payload) = &pieces[index];
            progress = add(&mut reassembly, 1, &fragment(7, *offset, *more, payload));
            if progress == Progress::Waiting {
                assert_eq!(add(&mut reassembly, 1, &fragment(7, *offset, *more, payload)), Progress::Waiting);
            }
        }
        assert_eq!(progress, Progress::Whole { protocol: ip_number::UDP, payload: octets(0..27) });
        assert_eq!((reassembly.incomplete(), reassembly.cost), (0, 0));
    }
}

#[test]
fn packets_with_other_identifications_are_kept_apart() {
    let mut reassembly = Reassembly::default();
    assert_eq!(add(&mut reassembly, 1, &fragment(1, 0, true, &octets(0..8))), Progress::Waiting);
    assert_eq!(add(&mut reassembly, 1, &fragment(2, 8, false, &octets(8..9))), Progress::Waiting);
    assert_eq!(reassembly.incomplete(), 2);
}

#[test]
fn overlapping_fragments_refuse_the_packet_and_its_later_fragments() {
    let mut reassembly = Reassembly::default();
    add(&mut reassembly, 1, &fragment(1, 0, true, &octets(0..16)));
    add(&mut reassembly, 1, &fragment(1, 8, true, &octets(8..24)));
    assert_eq!(reassembly.cost, 0);
    add(&mut reassembly, 1, &fragment(1, 0, true, &octets(0..16)));
    assert_eq!(add(&mut reassembly, 1, &fragment(1, 16, false, &octets(16..20))), Progress::Waiting);
    assert_eq!(reassembly.incomplete(), 1);
}

#[test]
fn fragments_that_contradict_the_end_refuse_the_packet() {
    for (offset, more) in [(24, false), (8, false), (16, true), (24, true)] {
        let mut reassembly = Reassembly::default();
        add(&mut reassembly, 1, &fragment(1, 16, false, &octets(0..8)));
        add(&mut reassembly, 1, &fragment(1, offset, more, &octets(8..16)));
        assert_eq!(
            add(&mut reassembly, 1, &fragment(1, 0, true, &octets(0..16))),
            Progress::Waiting,
            "{offset} {more}"
        );
    }
    let mut reassembly = Reassembly::default();
    add(&mut reassembly, 1, &fragment(1, 16, true, &octets(0..8)));
    add(&mut reassembly, 1, &fragment(1, 8, false, &octets(0..8)));
    assert_eq!(reassembly.cost, 0);
}

#[test]
fn impossible_fragments_are_not_kept() {
    let mut reassembly = Reassembly::default();
    for impossible in [fragment(1, 0, true, &[]), fragment(1, 0, true, &[1; 9]), fragment(1, 65_528, false, &[1; 8])] {
        assert_eq!(add(&mut reassembly, 1, &impossible), Progress::Impossible);
    }
    assert_eq!(reassembly.incomplete(), 0);
}

#[test]
fn an_old_incomplete_packet_is_dropped() {
    let mut reassembly = Reassembly::default();
    add(&mut reassembly, 100, &fragment(1, 0, true, &octets(0..8)));
    assert_eq!(add(&mut reassembly, 131, &fragment(1, 8, false, &octets(8..9))), Progress::Waiting);
    assert_eq!((reassembly.dropped, reassembly.partials.len()), (1, 1));
}

#[test]
fn incomplete_packets_are_bounded_in_number_and_octets() {
    let mut reassembly = Reassembly::default();
    for identification in 0..2 * PACKET_LIMIT as u32 {
        add(&mut reassembly, 1, &fragment(identification, 0, true, &[0; 8]));
        assert!(reassembly.partials.len() <= PACKET_LIMIT);
    }
    assert_eq!(reassembly.incomplete(), 2 * PACKET_LIMIT as u64);
    for identification in 0..200 {
        add(&mut reassembly, 2, &fragment(identification, 0, true, &[0; 65_528]));
        assert!(reassembly.cost <= OCTET_LIMIT);
    }
    let mut tiny = Reassembly::default();
    for index in 0..8000 {
        for identification in 0..16 {
            add(&mut tiny, 1, &fragment(identification, 8 * index, true, &[0; 8]));
            assert!(tiny.cost <= OCTET_LIMIT);
        }
    }
}
