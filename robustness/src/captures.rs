//! Capture files: third-party files and our own; IPFIX files.

use std::io::Cursor;
use std::net::SocketAddr;

use capture::{Capture, Writer};
use flow::Timestamp;
use wire::encode::Ipfix;
use wire::framing::message_length;
use wire::ipfix::Header;

/// A file for `decode`, `import` or `replay`.
pub fn capture_file(input: &[u8]) {
    let Ok(mut capture) = Capture::from_reader(Cursor::new(input.to_vec())) else { return };
    let (mut datagrams, mut octets) = (0, 0);
    while let Ok(Some(datagram)) = capture.next() {
        datagrams += 1;
        octets += datagram.payload.len();
    }
    assert_eq!(datagrams, capture.statistics().datagrams, "each datagram is counted once");
    assert!(octets <= input.len(), "{octets} octets of payload in {}", input.len());
    if !capture.has_addresses() {
        assert_eq!(datagrams, whole_messages(input), "a file is cut as a connection is");
    }
}

/// How many whole IPFIX messages a stream begins with.
fn whole_messages(mut stream: &[u8]) -> u64 {
    let mut messages = 0;
    while let Ok(Some(length)) = message_length(stream) {
        let Some(after) = stream.get(length..) else { break };
        stream = after;
        messages += 1;
    }
    messages
}

/// Files of a few datagrams, or messages.
pub fn files() -> Vec<Vec<u8>> {
    // A section header, an Ethernet interface, then the packets of the other file.
    const PCAPNG: [&[u8]; 2] = [
        b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
        b"\x01\0\0\0\x14\0\0\0\x65\0\0\0\0\0\0\0\x14\0\0\0",
    ];
    let file = &segments()[0];
    let mut pcapng = PCAPNG.concat();
    let mut rest = &file[24..];
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four octets")) as usize;
        let packet = &rest[16..16 + length];
        let padded = length.next_multiple_of(4);
        let block = u32::try_from(32 + padded).expect("a short packet").to_le_bytes();
        let length_octets = u32::try_from(length).expect("a short packet").to_le_bytes();
        pcapng.extend([&[6, 0, 0, 0][..], &block, &[0; 12], &length_octets, &length_octets, packet].concat());
        pcapng.extend(vec![0; padded - length]);
        pcapng.extend(block);
        rest = &rest[16 + length..];
    }
    let message = Ipfix::new(Header::default()).set(256, &[7; 40]).finish();
    vec![file.clone(), pcapng, message.repeat(3)]
}

/// A segment of the journal, which is a capture file.
pub fn segments() -> Vec<Vec<u8>> {
    let mut octets = Vec::new();
    let mut writer = Writer::new(&mut octets).expect("memory takes it");
    for (source, payload) in [("192.0.2.1:4000", &b"\0\x05\0\0"[..]), ("[2001:db8::1]:4000", &[7; 100])] {
        let source: SocketAddr = source.parse().expect("an address");
        let here = if source.is_ipv4() { "198.51.100.1:2055" } else { "[2001:db8::2]:2055" };
        let here = here.parse().expect("an address");
        writer.write(Timestamp::from_seconds(1_700_000_000), source, here, payload).expect("memory takes it");
    }
    drop(writer);
    vec![octets]
}
