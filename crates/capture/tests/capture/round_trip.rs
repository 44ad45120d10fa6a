//! The reader reads what the writer writes, and the checksums in it are right.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use capture::{Writer, frame};
use flow::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::building::*;

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(a, b)| (Ipv4Addr::from(a).into(), Ipv4Addr::from(b).into())),
        any::<(u128, u128)>().prop_map(|(a, b)| (Ipv6Addr::from(a).into(), Ipv6Addr::from(b).into())),
    ]
}

prop_compose! {
    fn datagrams()(
        (source, destination) in addresses(),
        ports in any::<(u16, u16)>(),
        nanoseconds in 0..u64::from(u32::MAX) * 1_000_000_000,
        payload in vec(any::<u8>(), 0..2000),
    ) -> Datagram {
        let (source, destination) = (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1));
        Datagram { nanoseconds, source, destination, payload }
    }
}

/// The sum of RFC 1071; data with a right checksum sums to 0xffff.
fn ones_complement_sum(octets: impl IntoIterator<Item = u8>) -> u32 {
    let octets: Vec<u8> = octets.into_iter().collect();
    let mut sum: u32 =
        octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum
}

fn assert_checksums(packet: &[u8]) {
    let (addresses, datagram) = match packet[0] >> 4 {
        4 => {
            assert_eq!(ones_complement_sum(packet[..20].iter().copied()), 0xffff);
            (&packet[12..20], &packet[20..])
        }
        _ => (&packet[8..40], &packet[40..]),
    };
    let length = datagram.len() as u32;
    let pseudo_header = addresses.iter().copied().chain(length.to_be_bytes()).chain([0, 17]);
    assert_eq!(ones_complement_sum(pseudo_header.chain(datagram.iter().copied())), 0xffff);
    assert_ne!(datagram[6..8], [0, 0], "0 would mean that there is no checksum");
}

proptest! {
    #[test]
    fn written_datagrams_are_read_back(written in vec(datagrams(), 0..8)) {
        let mut writer = Writer::new(Vec::new()).unwrap();
        let mut length = 24;
        for datagram in &written {
            let time = Timestamp::from_nanoseconds(datagram.nanoseconds);
            let grown = writer.write(time, datagram.source, datagram.destination, &datagram.payload).unwrap();
            assert_checksums(&writer.get_ref()[length + 16..]);
            length += grown;
            prop_assert_eq!(writer.get_ref().len(), length);
        }
        let (read, statistics) = read_all(writer.into_inner());
        prop_assert_eq!(statistics.datagrams, written.len() as u64);
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let expected: Vec<_> = written
            .into_iter()
            .map(|it| Datagram { source: canonical(it.source), destination: canonical(it.destination), ..it })
            .collect();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn a_datagram_that_cannot_be_written_leaves_the_file_unchanged() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    let (v4, v6): (SocketAddr, SocketAddr) = ("192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:2".parse().unwrap());
    let after_2106 = Timestamp::from_seconds(1 << 32);
    for (time, source, destination, length) in [
        (Timestamp::EPOCH, v4, v6, 0),
        (Timestamp::EPOCH, v6, v4, 0),
        (Timestamp::EPOCH, v4, v4, 65_508),
        (Timestamp::EPOCH, v6, v6, 65_528),
        (after_2106, v4, v4, 0),
    ] {
        let error = writer.write(time, source, destination, &vec![0; length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(writer.get_ref().len(), 24);
    }
}

#[test]
fn the_largest_payloads_fit() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for (address, length) in [("192.0.2.1:1", 65_507), ("[2001:db8::1]:2", 65_527)] {
        let address: SocketAddr = address.parse().unwrap();
        writer.write(Timestamp::EPOCH, address, address, &vec![1; length]).unwrap();
    }
    let (datagrams, _) = read_all(writer.into_inner());
    assert_eq!(datagrams.iter().map(|datagram| datagram.payload.len()).collect::<Vec<_>>(), [65_507, 65_527]);
}

#[test]
fn an_unspecified_destination_takes_the_family_of_the_source() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for (source, destination) in [("192.0.2.1:1", "[::]:2055"), ("[2001:db8::1]:1", "0.0.0.0:2055")] {
        writer.write(Timestamp::EPOCH, source.parse().unwrap(), destination.parse().unwrap(), b"").unwrap();
    }
    let (datagrams, _) = read_all(writer.into_inner());
    let destinations: Vec<_> = datagrams.iter().map(|datagram| datagram.destination.to_string()).collect();
    assert_eq!(destinations, ["0.0.0.0:2055", "[::]:2055"]);
}

proptest! {
    #[test]
    fn a_record_is_read_back_unless_anything_is_missing_or_changed(
        it in datagrams(),
        cut in any::<proptest::sample::Index>(),
        place in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut record = Vec::new();
        let time = Timestamp::from_nanoseconds(it.nanoseconds);
        let length = frame::append(&mut record, time, it.source, it.destination, &it.payload).unwrap();
        prop_assert_eq!(length, record.len());
        let (read, end) = frame::read(&record).unwrap();
        prop_assert_eq!(end, length);
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        prop_assert_eq!(
            (read.received, read.source, read.destination, read.payload),
            (time, canonical(it.source), canonical(it.destination), &it.payload[..])
        );
        let followed = [&record[..], &record].concat();
        prop_assert_eq!(frame::read(&followed), Some((read, length)));
        prop_assert_eq!(frame::read(&record[..cut.index(length)]), None);
        let mut changed = record.clone();
        changed[place.index(length)] ^= 1 << bit;
        prop_assert_eq!(frame::read(&changed), None);
    }

    /// A sector that was never written reads as zeroes.
    #[test]
    fn a_record_with_a_hole_is_not_read(it in datagrams(), from in any::<proptest::sample::Index>(), to in any::<proptest::sample::Index>()) {
        let mut record = Vec::new();
        let time = Timestamp::from_nanoseconds(it.nanoseconds);
        let length = frame::append(&mut record, time, it.source, it.destination, &it.payload).unwrap();
        let (from, to) = (from.index(length), to.index(length));
        let mut holed = record.clone();
        holed[from.min(to)..from.max(to)].fill(0);
        prop_assert!(holed == record || frame::read(&holed).is_none());
    }
}

#[test]
fn zeroes_are_not_a_record() {
    assert_eq!(frame::read(&[0; 4096]), None);
}
