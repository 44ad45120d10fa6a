//! Versions 4 (RFC 3176, section 4) and 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{Counters, FlowRecord, Protocol, Sampling, SamplingSource, Timestamp};
use wire::{DataSource, DecodeError, ErrorKind, Numbered, RecordKind};

use crate::datagrams::{AGENT, DESTINATION, SOURCE, Xdr, decode, frame};

/// A datagram with this many samples.
pub(crate) fn datagram(version: u32, samples: u32, content: &Xdr) -> Vec<u8> {
    Xdr::default().words(&[version]).address(AGENT).words(&[77, 60_000, samples]).octets(&content.0).0
}

/// A flow sample up to its packet: source of kind 0 with index 5, one packet of 400, from interface 7 to several.
fn flow_sample() -> Xdr {
    Xdr::default().words(&[1, 9, 5, 400, 9000, 1, 7, 0x8000_0003])
}

/// A flow sample with everything that this version supports, and the AS path in the format of this version.
pub(crate) fn full_flow_sample(version: u32) -> Xdr {
    let sample = flow_sample().words(&[1, 1, 118]).opaque(&frame());
    let sample = sample.words(&[if version == 2 { 4 } else { 5 }]);
    let sample = sample.words(&[1, 100, 0, 200, 5]);
    let sample = sample.words(&[2]).address(Ipv4Addr::new(203, 0, 113, 1).into()).words(&[24, 16]);
    let sample = sample.words(&[3, 64_500, 64_501, 64_502]);
    let sample = if version == 2 {
        sample.words(&[2, 64_510, 64_511])
    } else {
        sample.words(&[2, 2, 1, 64_510, 1, 2, 64_512, 64_511]).words(&[1, 0xfde8_0001, 100])
    };
    let sample = sample.words(&[4]).opaque(b"alice").opaque(b"bob");
    if version == 2 { sample } else { sample.words(&[5, 2]).opaque(b"http://example.net/") }
}

fn expected() -> FlowRecord {
    let mut expected = FlowRecord::empty(Timestamp::from_seconds(1_700_000_000));
    expected.source = IpAddr::V4(*SOURCE.ip());
    expected.destination = IpAddr::V4(*DESTINATION.ip());
    expected.protocol = 17;
    (expected.source_port, expected.destination_port) = (SOURCE.port(), DESTINATION.port());
    (expected.source_as, expected.destination_as) = (64_501, 64_511);
    expected.input_interface = 7;
    expected.forward = Counters { bytes: 118, packets: 1, flows: 1 };
    expected.sampling = Sampling::of_packets(400, SamplingSource::Record);
    expected
}

#[test]
fn flow_samples_of_both_versions_become_flow_records() {
    for (version, protocol) in [(2, Protocol::SflowV2), (4, Protocol::SflowV4)] {
        let samples = full_flow_sample(version).octets(&full_flow_sample(version).0);
        let decoding = decode(&datagram(version, 2, &samples));
        assert_eq!(decoding.report.first_error, None, "version {version}");
        assert_eq!((decoding.report.data, decoding.report.protocol), (2, Some(protocol)));
        assert_eq!(decoding.records.iter().map(|record| record.flow).collect::<Vec<_>>(), [Some(expected()); 2]);
        let message = decoding.records[0].message;
        assert_eq!((message.domain, message.sequence, message.uptime), (0, 77, Some(60_000)));
        let numbers: Vec<_> = decoding.numbers.iter().map(|number| (number.of, number.number)).collect();
        let source = Numbered::FlowSamples(DataSource { kind: 0, index: 5 });
        assert_eq!(numbers, [(Numbered::Datagrams, 77), (source, 9), (source, 9)]);
        assert!(decoding.numbers.iter().all(|number| (number.agent, number.sub_agent) == (AGENT, 0)));
    }
}

#[test]
fn fields_of_version_4_show_by_the_names_of_its_specification() {
    let decoding = decode(&datagram(4, 1, &full_flow_sample(4)));
    let record = &decoding.records[0];
    for (name, value) in [
        ("agent_address", "192.0.2.9"),
        ("flow_sample.sampling_rate", "400"),
        ("flow_sample.input", "7"),
        ("flow_sample.output_format", "2"),
        ("flow_sample.output_value", "3"),
        ("sampled_header.frame_length", "118"),
        ("packet.destination_port", "53"),
        ("extended_switch.dst_vlan", "200"),
        ("extended_router.nexthop", "203.0.113.1"),
        ("extended_router.dst_mask", "16"),
        ("extended_gateway.dst_as_path", "[type=2,path=[as=64510] type=1,path=[as=64512 as=64511]]"),
        ("extended_gateway.communities", "[community=4259840001]"),
        ("extended_user.dst_user", "\"bob\""),
        ("extended_url.url", "\"http://example.net/\""),
    ] {
        assert_eq!(record.field(name), value, "{name}");
    }
    let decoding = decode(&datagram(2, 1, &full_flow_sample(2)));
    assert_eq!(decoding.records[0].field("extended_gateway.dst_as_path"), "[as=64510 as=64511]");
}

#[test]
fn the_output_interface_is_booked_when_it_is_a_single_one() {
    for (output, index) in [(8, 8), (0x8000_0003, 0), (0x8000_0000, 0)] {
        let sample = Xdr::default().words(&[1, 9, 5, 400, 9000, 1, 7, output]).words(&[1, 1, 118]).opaque(&frame());
        let decoding = decode(&datagram(4, 1, &sample.words(&[0])));
        let flow = decoding.records[0].flow.unwrap();
        assert_eq!((flow.input_interface, flow.output_interface), (7, index));
    }
}

#[test]
fn a_packet_may_be_described_without_its_header() {
    let v4 = flow_sample().words(&[2, 72, 6, 0x0a09_0909, 0x0a08_0808, 1, 2, 0, 0, 0]);
    let v6 = flow_sample().words(&[3, 60, 17]).octets(&Ipv6Addr::LOCALHOST.octets());
    let v6 = v6.octets(&Ipv6Addr::UNSPECIFIED.octets()).words(&[3, 4, 0, 0, 0]);
    let decoding = decode(&datagram(4, 2, &v4.octets(&v6.0)));
    let seen: Vec<_> = decoding
        .records
        .iter()
        .map(|record| record.flow.unwrap())
        .map(|flow| (flow.source.to_string(), flow.protocol, flow.source_port, flow.forward.bytes))
        .collect();
    assert_eq!(seen, [("10.9.9.9".to_owned(), 6, 1, 72), ("::1".to_owned(), 17, 3, 60)]);
    assert_eq!(decoding.records[1].field("sampled_ipv6.dst_port"), "4");
}

/// A counter sample of each counters version, with ascending numbers.
pub(crate) fn counter_samples() -> Xdr {
    let words = |count: u32| (1..=count).collect::<Vec<_>>();
    // Words in if_counters, which has two members of 64 bits, and in the structures after it.
    const COMMON: u32 = 22;
    let mut samples = Xdr::default();
    for (version, length) in
        [(1, COMMON), (2, COMMON + 13), (3, COMMON + 18), (4, COMMON), (5, COMMON + 20), (6, COMMON), (7, 7)]
    {
        samples = samples.words(&[2, 4, 0x0100_0006, 30, version]).words(&words(length));
    }
    samples
}

#[test]
fn counters_of_all_media_are_shown() {
    let decoding = decode(&datagram(4, 7, &counter_samples()));
    assert_eq!((decoding.report.first_error, decoding.report.options), (None, 7));
    let last: Vec<_> = decoding.records.iter().map(|record| record.fields.last().unwrap().0.as_str()).collect();
    assert_eq!(
        last,
        [
            "if_counters.ifPromiscuousMode",
            "ethernet_counters.dot3StatsSymbolErrors",
            "tokenring_counters.dot5StatsFreqErrors",
            "if_counters.ifPromiscuousMode",
            "vg_counters.dot12HCOutHighPriorityOctets",
            "if_counters.ifPromiscuousMode",
            "vlan_counters.discards",
        ]
    );
    let record = &decoding.records[0];
    assert_eq!((record.kind, record.flow), (RecordKind::Counters, None));
    assert_eq!(record.field("counters_sample.sampling_interval"), "30");
    assert_eq!(record.field("if_counters.ifSpeed"), ((3_u64 << 32) + 4).to_string());
    assert_eq!(record.field("if_counters.ifPromiscuousMode"), "22");
}

#[test]
fn nothing_is_found_after_an_unknown_structure() {
    let good = full_flow_sample(4);
    let offset = 24 + good.0.len();
    for unknown in [
        Xdr::default().words(&[9, 0, 0]),
        flow_sample().words(&[7]),
        Xdr::default().words(&[2, 4, 6, 30, 8]),
        Xdr::default().words(&[2, 4, 6, 30, 0]),
    ] {
        let decoding = decode(&datagram(4, 3, &good.clone().octets(&unknown.0).octets(&good.0)));
        assert_eq!(decoding.records.len(), 1);
        let error = DecodeError { offset, kind: ErrorKind::UnknownFormat };
        assert_eq!((decoding.report.errors, decoding.report.first_error), (1, Some(error)));
    }
}

#[test]
fn a_packet_that_was_read_counts_whatever_follows_it() {
    // URLs exist since version 3.
    let packet = flow_sample().words(&[1, 1, 118]).opaque(&frame());
    let url = packet.clone().words(&[2, 1, 100, 0, 200, 5, 5, 1]).opaque(b"x");
    let cut = packet.words(&[1, 1, 100]);
    for (samples, kind) in [(url, ErrorKind::UnknownFormat), (cut, ErrorKind::TruncatedSample)] {
        let decoding = decode(&datagram(2, 1, &samples));
        let error = DecodeError { offset: 24, kind };
        assert_eq!((decoding.report.data, decoding.report.first_error), (1, Some(error)));
        let record = &decoding.records[0];
        assert_eq!(record.flow.unwrap().forward, expected().forward);
        assert_eq!(record.flow.unwrap().source, expected().source);
        assert_eq!(record.field("extended_switch.src_vlan"), "100");
    }
}

#[test]
fn a_datagram_that_is_cut_keeps_the_packets_before_the_cut() {
    // Sample type, sample header, packet type, and sampled header.
    let packet = 4 + 28 + 4 + 12 + frame().len().next_multiple_of(4);
    for version in [2, 4] {
        let sample = full_flow_sample(version);
        let datagram = datagram(version, 2, &sample.clone().octets(&sample.0));
        let (first, second) = (24, 24 + sample.0.len());
        // The padding of a header or string may be missing.
        for length in 24..datagram.len() - 1 {
            let decoding = decode(&datagram[..length]);
            let kept = [first, second].iter().filter(|start| length + 2 >= *start + packet).count();
            assert_eq!(decoding.records.len(), kept, "{length}");
            assert_eq!(decoding.report.errors, 1, "{length}");
            assert!(decoding.records.iter().all(|record| record.flow.unwrap().forward == expected().forward));
        }
    }
}

#[test]
fn regression_counts_of_4294967295_end_with_the_datagram() {
    let sample = full_flow_sample(4);
    let whole = datagram(4, 1, &sample);
    for place in (20..whole.len()).step_by(4) {
        let mut changed = whole.clone();
        changed[place..place + 4].fill(0xff);
        assert!(decode(&changed).records.len() <= 1, "{place}");
    }
}
