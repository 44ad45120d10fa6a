//! Nothing that a file holds makes the reader panic, loop, or count a packet twice or never.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::building::*;

/// Frames of every sort, so that a change of few octets reaches far into the code.
fn frames() -> Vec<Vec<u8>> {
    let datagram = udp(4444, 2055, &[7; 64]);
    vec![
        ethernet(0x0800, &ipv4_udp(b"payload")),
        ethernet(0x86dd, &ipv6_udp(b"payload")),
        ethernet(0x86dd, &ipv6(0, &[&[60, 0, 1, 4, 0, 0, 0, 0][..], &[17, 0, 1, 4, 0, 0, 0, 0], &datagram].concat())),
        ethernet(0x0800, &ipv4(3, 0, true, 17, &datagram[..40])),
        ethernet(0x0800, &ipv4(3, 40, false, 17, &datagram[40..])),
        ethernet(0x86dd, &ipv6(44, &ipv6_fragment(17, 3, 0, true, &datagram[..40]))),
        ethernet(0x86dd, &ipv6(44, &ipv6_fragment(17, 3, 40, false, &datagram[40..]))),
    ]
}

fn files() -> Vec<Vec<u8>> {
    let mut files = vec![pcap(ETHERNET, &frames())];
    for order in [Order::Big, Order::Little] {
        let mut file = [section(order), interface(order, 1, &[(9, &[9]), (0, b"")])].concat();
        for (ticks, frame) in frames().iter().enumerate() {
            file.extend(enhanced_packet(order, 0, ticks as u64, frame));
        }
        files.push(file);
    }
    files
}

fn assert_balanced(file: Vec<u8>) -> Result<(), TestCaseError> {
    let (datagrams, statistics, _) = read(file);
    prop_assert_eq!(datagrams.len() as u64, statistics.datagrams);
    Ok(())
}

proptest! {
    #[test]
    fn random_octets_never_panic(octets in vec(any::<u8>(), 0..2000)) {
        assert_balanced(octets)?;
    }

    #[test]
    fn random_octets_after_a_header_never_panic(
        link in select(vec![0, 1, 12, 101, 113, 276]),
        octets in vec(any::<u8>(), 0..2000),
    ) {
        assert_balanced(pcap(link, std::slice::from_ref(&octets)))?;
        assert_balanced([pcap(link, &[]), octets.clone()].concat())?;
        assert_balanced([section(Order::Big), octets].concat())?;
    }

    #[test]
    fn changed_files_never_panic(
        file in select(files()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut file = file;
        for (place, octet) in changes {
            let place = place.index(file.len());
            file[place] = octet;
        }
        assert_balanced(file.clone())?;
        file.truncate(end.index(file.len()));
        assert_balanced(file)?;
    }
}

#[test]
fn every_packet_is_in_exactly_one_count() {
    for file in files() {
        let (_, statistics) = read_all(file);
        let total = statistics.datagrams
            + statistics.fragments
            + statistics.not_udp
            + statistics.unknown_link_layer
            + statistics.truncated
            + statistics.damaged;
        assert_eq!(total, frames().len() as u64);
        assert_eq!((statistics.datagrams, statistics.fragments), (5, 2));
    }
}
