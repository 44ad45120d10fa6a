//! The file formats: byte orders, units of time, several interfaces and sections, and what damage is reported as.

use capture::{Capture, CaptureError, Damage, NO_ADDRESS, Statistics};

use crate::building::*;

const SECOND: u64 = 1_000_000_000;

#[test]
fn pcap_is_read_in_both_byte_orders_and_both_units_of_time() {
    for order in [Order::Big, Order::Little] {
        for (magic, nanoseconds) in [(0xa1b2_c3d4, 123_456_000), (0xa1b2_3c4d, 123_456)] {
            // Bits above the low 16 of the link type say how long the frame check sequence is.
            let mut file = pcap_header(order, magic, RAW | 0x5400_0000);
            file.extend(pcap_record(order, 1_391_317_260, 123_456, &ipv4_udp(b"payload"), 35));
            let (datagrams, statistics) = read_all(file);
            assert_eq!(statistics.datagrams, 1);
            let expected = Datagram {
                nanoseconds: 1_391_317_260 * SECOND + nanoseconds,
                source: "192.0.2.1:4444".parse().unwrap(),
                destination: "192.0.2.2:2055".parse().unwrap(),
                payload: b"payload".to_vec(),
            };
            assert_eq!(datagrams, [expected], "{order:?} {magic:x}");
        }
    }
}

#[test]
fn pcapng_interfaces_have_their_own_link_layer_and_clock() {
    for order in [Order::Big, Order::Little] {
        let offset = order.i64(-3);
        let file = [
            section(order),
            interface(order, 1, &[(2, b"eth0"), (0, b"")]),
            interface(order, 101, &[(9, &[9])]),
            interface(order, 101, &[(9, &[0x80 | 10]), (14, &offset)]),
            interface(order, 147, &[]),
            block(order, 0x0bad_cafe, &[0xff; 100_000]),
            enhanced_packet(order, 0, 1_391_317_260_000_001, &ethernet(0x0800, &ipv4_udp(b"a"))),
            enhanced_packet(order, 1, 1_391_317_260_000_000_002, &ipv4_udp(b"b")),
            enhanced_packet(order, 2, 1_391_317_263 << 10 | 512, &ipv6_udp(b"c")),
            enhanced_packet(order, 3, 0, &ipv4_udp(b"of an unknown link layer")),
        ]
        .concat();
        let (datagrams, statistics) = read_all(file);
        let times: Vec<_> = datagrams.iter().map(|datagram| datagram.nanoseconds).collect();
        let base = 1_391_317_260 * SECOND;
        assert_eq!(times, [base + 1000, base + 2, base + SECOND / 2], "{order:?}");
        let payloads: Vec<_> = datagrams.iter().map(|datagram| datagram.payload.as_slice()).collect();
        assert_eq!(payloads, [b"a", b"b", b"c"]);
        assert_eq!(statistics.unknown_link_layer, 1);
    }
}

#[test]
fn each_pcapng_section_has_its_own_byte_order() {
    let (big, little) = (Order::Big, Order::Little);
    let file = [
        section(big),
        interface(big, 1, &[]),
        enhanced_packet(big, 0, 1, &ethernet(0x0800, &ipv4_udp(b"a"))),
        section(little),
        interface(little, 101, &[]),
        enhanced_packet(little, 0, 2, &ipv4_udp(b"b")),
    ]
    .concat();
    let (datagrams, _) = read_all(file);
    assert_eq!(datagrams.iter().map(|datagram| datagram.nanoseconds).collect::<Vec<_>>(), [1000, 2000]);
}

#[test]
fn simple_and_obsolete_packet_blocks_are_read_too() {
    let order = Order::Big;
    let frame = ipv4_udp(b"abc");
    let simple = [&order.u32(frame.len() as u32)[..], &frame].concat();
    let mut obsolete = [order.u16(0), order.u16(7)].concat();
    for word in [0, 5, frame.len() as u32, frame.len() as u32] {
        obsolete.extend(order.u32(word));
    }
    obsolete.extend(&frame);
    let file =
        [section(order), interface(order, 101, &[]), block(order, 3, &simple), block(order, 2, &obsolete)].concat();
    let (datagrams, _) = read_all(file);
    assert_eq!(datagrams.iter().map(|datagram| datagram.nanoseconds).collect::<Vec<_>>(), [0, 5000]);
}

#[test]
fn a_clock_beyond_all_reason_does_not_break_the_reading() {
    let order = Order::Little;
    for (resolution, offset) in [(127_u8, 0), (255, 0), (0, 0), (6, i64::MAX), (6, i64::MIN), (0, i64::MAX)] {
        let options: &[(u16, &[u8])] = &[(9, &[resolution]), (14, &order.i64(offset))];
        let file =
            [section(order), interface(order, 101, options), enhanced_packet(order, 0, u64::MAX, &ipv4_udp(b"a"))];
        assert_eq!(read_all(file.concat()).0.len(), 1);
    }
}

#[test]
fn a_file_that_ends_in_the_middle_is_read_up_to_there() {
    let frames = [ipv4_udp(b"one"), ipv4_udp(b"two"), ipv4_udp(b"three")];
    let whole = pcap(RAW, &frames);
    let third = whole.len() - 16 - frames[2].len();
    for length in third..whole.len() {
        let (datagrams, _, error) = read(whole[..length].to_vec());
        assert_eq!(datagrams.len(), 2);
        if length == third {
            assert!(error.is_none());
            continue;
        }
        let message = error.unwrap().to_string();
        assert_eq!(
            message,
            format!("damaged at octet {third}, after packet 2: the file ends in the middle of the next one")
        );
    }
}

fn damage(file: Vec<u8>) -> (u64, Damage) {
    match read(file).2 {
        Some(CaptureError::Damaged { offset, damage, .. }) => (offset, damage),
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_is_reported_with_its_place() {
    let order = Order::Little;
    let start = [section(order), interface(order, 101, &[])].concat();
    let start_length = start.len() as u64;
    let with = |more: &[u8]| [&start, more].concat();
    let mut wrong_end = enhanced_packet(order, 0, 0, &ipv4_udp(b"a"));
    let last = wrong_end.len() - 4;
    wrong_end[last] ^= 4;
    let length = wrong_end.len() as u32;
    assert_eq!(damage(with(&wrong_end)), (start_length, Damage::BlockLength(length)));
    assert_eq!(damage(with(&enhanced_packet(order, 9, 0, b""))), (start_length, Damage::Interface(9)));
    assert_eq!(damage(with(&[order.u32(6), order.u32(8)].concat())), (start_length, Damage::BlockLength(8)));
    assert_eq!(damage(with(&[order.u32(6), order.u32(13)].concat())), (start_length, Damage::BlockLength(13)));
    let longer_than_its_block: Vec<u8> = [0, 0, 0, 100, 100].into_iter().flat_map(|word| order.u32(word)).collect();
    assert_eq!(damage(with(&block(order, 6, &longer_than_its_block))), (start_length, Damage::BlockLength(32)));
    let claims: Vec<u8> = [0, 0, 0, u32::MAX, 100].into_iter().flat_map(|word| order.u32(word)).collect();
    assert_eq!(damage(with(&block(order, 6, &claims))), (start_length, Damage::PacketLength(u32::MAX)));
    assert_eq!(damage(with(&block(order, 0x0a0d_0d0a, &[1; 16]))), (start_length, Damage::ByteOrder));

    let mut pcap = pcap(RAW, &[ipv4_udp(b"a")]);
    let start_length = pcap.len() as u64;
    pcap.extend(pcap_record(order, 0, 0, &[], 0));
    let place = pcap.len() - 8;
    pcap[place..place + 4].copy_from_slice(&order.u32(1 << 30));
    assert_eq!(damage(pcap), (start_length, Damage::PacketLength(1 << 30)));
}

#[test]
fn interfaces_without_end_are_refused() {
    let order = Order::Little;
    let mut file = section(order);
    for _ in 0..5000 {
        file.extend(interface(order, 101, &[]));
    }
    assert!(matches!(damage(file).1, Damage::TooManyInterfaces(_)));
}

#[test]
fn what_is_no_capture_is_named() {
    let message = |file: &[u8]| read(file.to_vec()).2.unwrap().to_string();
    assert_eq!(message(b""), "not a pcap, pcapng or IPFIX file: it is empty");
    assert_eq!(message(b"abc"), "not a pcap, pcapng or IPFIX file: it is too short");
    assert_eq!(message(b"hello"), "not a pcap, pcapng or IPFIX file");
    assert_eq!(
        message(&[0x1f, 0x8b, 8, 0]),
        "not a pcap, pcapng or IPFIX file: it is compressed, pass it through gunzip first"
    );
    assert!(message(&pcap(147, &[])).starts_with("link layer type 147 is not supported: use Ethernet (1)"));
    let missing = Capture::open("no/such/file.pcap".as_ref()).err().unwrap();
    assert!(missing.to_string().starts_with("cannot open the file: "), "{missing}");
}

/// An IPFIX message with this many octets after its header.
fn ipfix(seconds: u32, content: usize) -> Vec<u8> {
    let length = u16::try_from(16 + content).unwrap();
    let header = [&[0, 10][..], &length.to_be_bytes(), &seconds.to_be_bytes(), &[0; 8]].concat();
    [header, vec![7; content]].concat()
}

#[test]
fn an_ipfix_file_has_messages_without_addresses_received_when_they_were_exported() {
    let longest = usize::from(u16::MAX) - 16;
    let messages = [ipfix(1_391_317_260, 0), ipfix(1_391_317_261, 3), ipfix(0, longest)];
    let (datagrams, statistics) = read_all(messages.concat());
    assert_eq!(statistics, Statistics { datagrams: 3, ..Statistics::default() });
    assert!(datagrams.iter().zip(messages).all(|(datagram, message)| datagram.payload == message));
    let times = datagrams.iter().map(|datagram| datagram.nanoseconds).collect::<Vec<_>>();
    assert_eq!(times, [1_391_317_260 * SECOND, 1_391_317_261 * SECOND, 0]);
    assert!(datagrams.iter().all(|datagram| datagram.source == NO_ADDRESS && datagram.destination == NO_ADDRESS));
    for (file, has_addresses) in [(ipfix(1, 0), false), (pcap(RAW, &[]), true)] {
        assert_eq!(Capture::from_reader(std::io::Cursor::new(file)).unwrap().has_addresses(), has_addresses);
    }
}

#[test]
fn an_ipfix_file_is_read_up_to_what_is_no_message() {
    let whole = [ipfix(1, 4), ipfix(2, 8)].concat();
    let at = whole.len() as u64;
    for (end, expected) in [
        (&ipfix(3, 4)[..19], "damaged at octet 44, after message 2: the file ends in the middle of the next one"),
        (&[0], "damaged at octet 44, after message 2: the file ends in the middle of the next one"),
        (&[0, 10, 0, 15, 0], "damaged at octet 44, after message 2: a message claims 15 octets, but its header has 16"),
        (
            &[0, 9, 0, 20, 0],
            "damaged at octet 44, after message 2: a message has version 9, and not 10, which is IPFIX",
        ),
    ] {
        let (datagrams, _, error) = read([&whole, end].concat());
        assert_eq!((datagrams.len(), error.unwrap().to_string().as_str()), (2, expected));
        assert_eq!(damage([&whole, end].concat()).0, at);
    }
    // A file that is cut in its first message is one, and damaged.
    assert_eq!(damage(ipfix(1, 4)[..17].to_vec()), (0, Damage::CutOff));
    let no_message = read(vec![0, 10, 0, 15, 0]).2.unwrap().to_string();
    assert!(no_message.starts_with("not a pcap, pcapng or IPFIX file: it begins as"), "{no_message}");
}
