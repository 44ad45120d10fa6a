//! Version 5: samples, records, and their errors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use flow::{Counters, Exporter, FlowRecord, Protocol, Sampling, SamplingSource, Timestamp};
use proptest::prelude::*;
use wire::sflow::encode;
use wire::{
    DataSource, Datagram, DecodeError, ErrorKind, Numbered, RecordKind, SequenceNumber, Session, SessionLimits,
};

use crate::datagrams::{AGENT, DESTINATION, SOURCE, Xdr, decode, flow_sample, frame, version_5};

fn sampled_header() -> Xdr {
    Xdr::default().words(&[1, 118, 4]).opaque(&frame())
}

/// An extended_gateway whose path is of these segments: set or sequence, AS numbers.
fn gateway(segments: &[(u32, &[u32])]) -> Xdr {
    let mut gateway = Xdr::default().address(Ipv4Addr::new(203, 0, 113, 1).into());
    gateway = gateway.words(&[64_500, 64_501, 64_502, u32::try_from(segments.len()).unwrap()]);
    for (kind, path) in segments {
        gateway = gateway.words(&[*kind, u32::try_from(path.len()).unwrap()]).words(path);
    }
    gateway.words(&[2, 0xfde8_0001, 0xfde8_0002, 100])
}

/// The flow of a datagram with one flow sample of these records.
fn flow(records: &[(u32, Xdr)]) -> FlowRecord {
    let count = u32::try_from(records.len()).unwrap();
    let records = records.iter().fold(Xdr::default(), |all, (format, content)| all.record(*format, content));
    let decoding = decode(&version_5(1, &Xdr::default().record(1, &flow_sample(count, &records))));
    assert_eq!(decoding.report.errors, 0, "{:?}", decoding.report.first_error);
    decoding.records[0].flow.unwrap()
}

#[test]
fn a_flow_sample_becomes_a_flow_record() {
    let mut expected = FlowRecord::empty(Timestamp::from_seconds(1_700_000_000));
    expected.source = IpAddr::V4(*SOURCE.ip());
    expected.destination = IpAddr::V4(*DESTINATION.ip());
    expected.protocol = 17;
    (expected.source_port, expected.destination_port) = (SOURCE.port(), DESTINATION.port());
    (expected.source_as, expected.destination_as) = (64_501, 64_512);
    expected.input_interface = 7;
    expected.forward = Counters { bytes: 118, packets: 1, flows: 1 };
    expected.sampling = Sampling::of_packets(1000, SamplingSource::Record);
    let path = gateway(&[(2, &[64_510, 64_511]), (1, &[64_513, 64_512])]);
    assert_eq!(flow(&[(1, sampled_header()), (1003, path)]), expected);
}

#[test]
fn header_and_sequence_numbers_come_out() {
    let records = Xdr::default().record(1, &sampled_header());
    let counters = Xdr::default().words(&[4, 0x0100_0006, 0]);
    let samples = Xdr::default().record(1, &flow_sample(1, &records)).record(2, &counters);
    let decoding = decode(&version_5(2, &samples));
    let message = decoding.records[0].message;
    assert_eq!((message.protocol, message.domain, message.sequence), (Protocol::SflowV5, 3, 77));
    assert_eq!((message.uptime, message.exported), (Some(60_000), message.received));
    let number = |of, number| SequenceNumber { agent: AGENT, sub_agent: 3, of, number, uptime: 60_000 };
    assert_eq!(
        decoding.numbers,
        [
            number(Numbered::Datagrams, 77),
            number(Numbered::FlowSamples(DataSource { kind: 2, index: 5 }), 9),
            number(Numbered::CounterSamples(DataSource { kind: 1, index: 6 }), 4),
        ]
    );
    assert_eq!((decoding.report.data, decoding.report.options), (1, 1));
    assert_eq!(decoding.report.protocol, Some(Protocol::SflowV5));
}

#[test]
fn a_session_notices_lost_samples() {
    let mut session = Session::new(SessionLimits::default());
    for number in [9_u32, 12, 13] {
        let sample = Xdr::default().words(&[number, 5, 1000, 0, 0, 0, 0, 1]).record(1, &sampled_header());
        let payload = version_5(1, &Xdr::default().record(1, &sample));
        let exporter = Exporter::udp(AGENT, 40_000);
        let datagram = Datagram { exporter, received: Timestamp::from_seconds(1), payload: &payload };
        let mut bytes = 0;
        let report = session.decode(&datagram, &mut |record| bytes += record.flow.unwrap().forward.bytes);
        assert_eq!((report.data, report.errors, bytes), (1, 0, 118));
    }
    let of = Numbered::FlowSamples(DataSource { kind: 0, index: 5 });
    let (key, stream) = session.streams().find(|(key, _)| key.samples == Some(of)).unwrap();
    assert_eq!((key.protocol, key.agent, key.domain), (Protocol::SflowV5, Some(AGENT), 3));
    assert_eq!((stream.first, stream.last, stream.lost), (9, 13, 2));
}

#[test]
fn an_expanded_sample_is_equal_to_a_compact_one() {
    let records = Xdr::default().record(1, &sampled_header());
    let compact = Xdr::default().record(1, &flow_sample(1, &records));
    let expanded = Xdr::default().words(&[9, 2, 5, 1000, 9000, 1, 0, 7, 2, 3, 1]).octets(&records.0);
    let expanded = Xdr::default().record(3, &expanded);
    let (compact, expanded) = (decode(&version_5(1, &compact)), decode(&version_5(1, &expanded)));
    assert_eq!(compact.records[0].fields, expanded.records[0].fields);
    assert_eq!(compact.records[0].flow, expanded.records[0].flow);
    assert_eq!(compact.numbers, expanded.numbers);

    let compact = Xdr::default().record(2, &Xdr::default().words(&[9, 0x0200_0005, 0]));
    let expanded = Xdr::default().record(4, &Xdr::default().words(&[9, 2, 5, 0]));
    let (compact, expanded) = (decode(&version_5(1, &compact)), decode(&version_5(1, &expanded)));
    assert_eq!(compact.records[0].fields, expanded.records[0].fields);
    assert_eq!(compact.numbers, expanded.numbers);
}

#[test]
fn interfaces_of_a_flow_sample_are_booked_when_each_is_a_single_one() {
    let interfaces = |format, sample: Xdr| {
        let sample = Xdr::default().record(format, &sample.record(1, &sampled_header()));
        let flow = decode(&version_5(1, &sample)).records[0].flow.unwrap();
        assert_eq!(flow.forward.bytes, 118);
        (flow.input_interface, flow.output_interface)
    };
    let compact = |input, output| interfaces(1, Xdr::default().words(&[9, 5, 1000, 9000, 1, input, output, 1]));
    assert_eq!(compact(7, 8), (7, 8));
    assert_eq!(compact(0x3fff_ffff, 8), (0, 8), "from the agent itself");
    assert_eq!(compact(7, 0x4000_0000 | 258), (7, 0), "discarded");
    assert_eq!(compact(7, 0x8000_0000), (7, 0), "several");
    let expanded = |input: [u32; 2], output: [u32; 2]| {
        interfaces(3, Xdr::default().words(&[9, 0, 5, 1000, 9000, 1]).words(&input).words(&output).words(&[1]))
    };
    assert_eq!(expanded([0, 0x4ca4_0011], [0, 8]), (0x4ca4_0011, 8));
    assert_eq!(expanded([0, 7], [0, u32::MAX]), (7, 0), "for the agent itself");
    assert_eq!(expanded([0, 7], [1, 258]), (7, 0), "discarded");
    assert_eq!(expanded([0, 7], [2, 3]), (7, 0), "several");
}

#[test]
fn the_sampled_header_is_believed_before_what_the_agent_made_of_it() {
    let ethernet = Xdr::default().words(&[90, 0, 0, 0, 0, 0x0800]);
    let v4 = Xdr::default().words(&[72, 6, 0x0a09_0909, 0x0a08_0808, 1, 2, 0, 0]);
    let v6 = Xdr::default()
        .words(&[60, 17])
        .octets(&Ipv6Addr::LOCALHOST.octets())
        .octets(&Ipv6Addr::UNSPECIFIED.octets())
        .words(&[3, 4, 0, 0]);
    let seen = |records: &[(u32, Xdr)]| {
        let flow = flow(records);
        (flow.source.to_string(), flow.protocol, flow.source_port, flow.forward.bytes)
    };
    let all = [(4, v6.clone()), (3, v4.clone()), (2, ethernet.clone()), (1, sampled_header())];
    let header = ("10.1.2.3".to_owned(), 17, 40_000, 118);
    assert_eq!(seen(&all), header);
    let mut reversed = all.clone();
    reversed.reverse();
    assert_eq!(seen(&reversed), header);
    assert_eq!(seen(&[(3, v4.clone()), (2, ethernet.clone())]), ("10.9.9.9".to_owned(), 6, 1, 90));
    assert_eq!(seen(&[(3, v4)]), ("10.9.9.9".to_owned(), 6, 1, 72));
    assert_eq!(seen(&[(4, v6)]), ("::1".to_owned(), 17, 3, 60));
    assert_eq!(seen(&[(2, ethernet)]), ("0.0.0.0".to_owned(), 0, 0, 90));
    assert_eq!(seen(&[]), ("0.0.0.0".to_owned(), 0, 0, 0));
}

#[test]
fn where_no_as_is_given_it_is_the_agents_own() {
    let seen = flow(&[(1, sampled_header()), (1003, gateway(&[]))]);
    assert_eq!((seen.source_as, seen.destination_as), (64_501, 64_500));
    let local = Xdr::default().words(&[0, 64_500, 0, 0, 1, 2, 1, 64_511, 0, 0]);
    let seen = flow(&[(1, sampled_header()), (1003, local)]);
    assert_eq!((seen.source_as, seen.destination_as), (64_500, 64_511));
}

#[test]
fn a_sampling_rate_of_zero_means_one() {
    let sample = Xdr::default().words(&[9, 5, 0, 0, 0, 0, 0, 1]).record(1, &sampled_header());
    let flow = decode(&version_5(1, &Xdr::default().record(1, &sample))).records[0].flow.unwrap();
    assert_eq!(flow.sampling, Sampling::of_packets(1, SamplingSource::Record));
}

#[test]
fn fields_show_in_the_order_of_the_wire_and_by_the_names_of_the_specification() {
    let records = Xdr::default()
        .record(1003, &gateway(&[(2, &[64_510, 64_511]), (1, &[64_512])]))
        .record(1004, &Xdr::default().words(&[106]).opaque(b"alice").words(&[0]).opaque(b""))
        .record(1, &sampled_header());
    let decoding = decode(&version_5(1, &Xdr::default().record(1, &flow_sample(3, &records))));
    let shown: Vec<String> = decoding.records[0]
        .fields
        .iter()
        .filter(|(name, _)| name != "sampled_header.header")
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    assert_eq!(
        shown,
        [
            "agent_address 192.0.2.9",
            "flow_sample.sequence_number 9",
            "flow_sample.source_id_type 2",
            "flow_sample.source_id_index 5",
            "flow_sample.sampling_rate 1000",
            "flow_sample.sample_pool 9000",
            "flow_sample.drops 1",
            "flow_sample.input_format 0",
            "flow_sample.input_value 7",
            "flow_sample.output_format 2",
            "flow_sample.output_value 3",
            "extended_gateway.nexthop 203.0.113.1",
            "extended_gateway.as 64500",
            "extended_gateway.src_as 64501",
            "extended_gateway.src_peer_as 64502",
            "extended_gateway.dst_as_path [type=2,path=[as=64510 as=64511] type=1,path=[as=64512]]",
            "extended_gateway.communities [community=4259840001 community=4259840002]",
            "extended_gateway.localpref 100",
            "extended_user.src_charset 106",
            "extended_user.src_user \"alice\"",
            "extended_user.dst_charset 0",
            "extended_user.dst_user \"\"",
            "sampled_header.protocol 1",
            "sampled_header.frame_length 118",
            "sampled_header.stripped 4",
            "packet.destination_mac [02, 00, 00, 00, 00, 02]",
            "packet.source_mac [02, 00, 00, 00, 00, 01]",
            "packet.ether_type 2048",
            "packet.source_address 10.1.2.3",
            "packet.destination_address 198.51.100.7",
            "packet.protocol 17",
            "packet.total_length 100",
            "packet.traffic_class 0",
            "packet.hop_limit 64",
            "packet.identification 7",
            "packet.fragment_offset 0",
            "packet.source_port 40000",
            "packet.destination_port 53",
        ]
    );
}

#[test]
fn counters_show_with_their_types() {
    let cpu = [0.5_f32, 1.25, 2.0].map(f32::to_bits);
    let records = Xdr::default()
        .record(2003, &Xdr::default().words(&cpu).words(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]))
        .record(5, &Xdr::default().words(&[42]).hyper(1 << 40).words(&[1, 2, 3, 4]))
        .record(10, &Xdr::default().words(&[1, 4, 3300, 0xffff_ff38, 1]).words(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
        .record(2001, &Xdr::default().words(&[1, 2, 1]).octets(&[2, 0, 0, 0, 0, 9, 0, 0]));
    let sample = Xdr::default().words(&[4, 6, 4]).octets(&records.0);
    let decoding = decode(&version_5(1, &Xdr::default().record(2, &sample)));
    let record = &decoding.records[0];
    assert_eq!((record.kind, record.flow, record.format), (RecordKind::Counters, None, 2));
    assert_eq!(record.field("counters_sample.sequence_number"), "4");
    assert_eq!(record.field("host_cpu.load_five"), "1.25");
    assert_eq!(record.field("host_cpu.contexts"), "14");
    assert_eq!(record.field("vlan_counters.octets"), "1099511627776");
    assert_eq!(record.field("sfp.module_temperature"), "-200");
    assert!(record.field("sfp.lanes").starts_with("[index=1,tx_bias_current=2,"));
    let adapters = record.field("host_adapters.adapters");
    assert_eq!(adapters, "[ifIndex=2,mac_address=[mac=[02, 00, 00, 00, 00, 09]]]");
    // The agent does not know the rows that were added later.
    assert!(!record.fields.iter().any(|(name, _)| name == "host_cpu.cpu_steal"));
}

#[test]
fn a_dropped_packet_is_shown_and_not_accounted() {
    let records = Xdr::default().record(1, &sampled_header()).record(1038, &Xdr::default().opaque(b"nf_drop"));
    let sample = Xdr::default().words(&[8, 0, 1, 3, 5, 6, 256, 2]).octets(&records.0);
    let decoding = decode(&version_5(1, &Xdr::default().record(5, &sample)));
    let record = &decoding.records[0];
    assert_eq!((record.kind, record.flow), (RecordKind::Drop, None));
    assert_eq!(record.field("discarded_packet.reason"), "256");
    assert_eq!(record.field("extended_function.symbol"), "\"nf_drop\"");
    assert_eq!(record.field("packet.source_address"), "10.1.2.3");
    assert_eq!(decoding.numbers[1].of, Numbered::Drops(DataSource { kind: 0, index: 1 }));
}

#[test]
fn what_is_not_known_is_shown_as_octets_and_costs_nothing_else() {
    let records = Xdr::default().record(9 << 12 | 4095, &Xdr::default().words(&[1])).record(1, &sampled_header());
    let samples = Xdr::default()
        .record(8800 << 12 | 7, &Xdr::default().words(&[0xdead_beef]))
        .record(1, &flow_sample(2, &records));
    let decoding = decode(&version_5(2, &samples));
    assert_eq!(decoding.report.errors, 0);
    let unknown = &decoding.records[0];
    assert_eq!((unknown.kind, unknown.format, unknown.flow), (RecordKind::Options, 8800 << 12 | 7, None));
    assert_eq!(unknown.field("8800.7"), "[de, ad, be, ef]");
    let known = &decoding.records[1];
    assert_eq!(known.field("9.4095"), "[00, 00, 00, 01]");
    assert_eq!(known.flow.unwrap().forward.bytes, 118);
}

#[test]
fn a_structure_may_be_longer_or_shorter_than_it_is_known() {
    let longer = Xdr::default().words(&[1, 2, 3, 4, 99]);
    let shorter = Xdr::default().words(&[1, 2]).octets(&[0, 7]);
    for (switch, priority) in [(longer, Some("3")), (shorter, Some("[00, 07]"))] {
        let records = Xdr::default().record(1001, &switch).record(1, &sampled_header());
        let decoding = decode(&version_5(1, &Xdr::default().record(1, &flow_sample(2, &records))));
        let record = &decoding.records[0];
        assert_eq!(decoding.report.errors, 0);
        assert_eq!(Some(record.field("extended_switch.dst_vlan")), priority);
        assert_eq!(record.flow.unwrap().forward.bytes, 118);
    }
}

#[test]
fn a_sample_that_reaches_beyond_the_datagram_costs_itself() {
    let records = Xdr::default().record(1, &sampled_header());
    let good = Xdr::default().record(1, &flow_sample(1, &records));
    let datagram = version_5(2, &good.clone().octets(&good.0[..20]));
    let decoding = decode(&datagram);
    assert_eq!((decoding.records.len(), decoding.report.errors), (1, 1));
    let error = DecodeError { offset: 28 + good.0.len(), kind: ErrorKind::TruncatedSample };
    assert_eq!(decoding.report.first_error, Some(error));

    // A complete one that contains less than its header announces.
    let short = Xdr::default().record(1, &Xdr::default().words(&[9, 5])).octets(&good.0);
    let decoding = decode(&version_5(2, &short));
    assert_eq!((decoding.records.len(), decoding.report.errors), (1, 1));
}

#[test]
fn a_record_that_reaches_beyond_its_sample_costs_itself() {
    let records = Xdr::default().record(1, &sampled_header()).words(&[1001, 400, 1]);
    let samples = Xdr::default().record(1, &flow_sample(2, &records)).record(1, &flow_sample(0, &Xdr::default()));
    let decoding = decode(&version_5(2, &samples));
    assert_eq!(decoding.records.len(), 2);
    assert_eq!(decoding.records[0].flow.unwrap().forward.bytes, 118);
    assert_eq!(
        decoding.report.listed_errors().map(|error| error.kind).collect::<Vec<_>>(),
        [ErrorKind::TruncatedSample]
    );
}

#[test]
fn more_samples_than_there_are_is_an_error_and_more_octets_is_none() {
    let sample = Xdr::default().record(1, &flow_sample(0, &Xdr::default()));
    let decoding = decode(&version_5(u32::MAX, &sample));
    assert_eq!((decoding.records.len(), decoding.report.errors), (1, 1));
    assert_eq!(decoding.report.first_error.unwrap().kind, ErrorKind::TruncatedRecords);
    let decoding = decode(&version_5(1, &sample.words(&[0; 200])));
    assert_eq!((decoding.records.len(), decoding.report.errors), (1, 0));
}

#[test]
fn a_header_that_is_cut_or_of_an_unknown_address_type_is_an_error() {
    let datagram = version_5(0, &Xdr::default());
    for length in 0..datagram.len() {
        let report = decode(&datagram[..length]).report;
        assert_eq!(report.first_error.unwrap().kind, ErrorKind::TruncatedHeader, "{length}");
    }
    let mut unknown = datagram;
    unknown[7] = 3;
    assert_eq!(decode(&unknown).report.first_error, Some(DecodeError { offset: 4, kind: ErrorKind::UnknownFormat }));
}

#[test]
fn regression_an_as_path_of_4294967295_as_ends_with_the_datagram() {
    let path = Xdr::default().address(AGENT).words(&[1, 2, 3, 1, 2, u32::MAX, 64_510, 64_511]);
    let paths = Xdr::default().address(AGENT).words(&[1, 2, 3, u32::MAX, 2, 1, 64_512]);
    let communities = Xdr::default().address(AGENT).words(&[1, 2, 3, 0, u32::MAX, 1, 2, 3]);
    for gateway in [path, paths, communities] {
        let records = Xdr::default().record(1, &sampled_header()).record(1003, &gateway);
        let decoding = decode(&version_5(1, &Xdr::default().record(1, &flow_sample(2, &records))));
        let record = &decoding.records[0];
        assert_eq!(record.flow.unwrap().source_as, 2);
        assert_eq!(record.flow.unwrap().forward.bytes, 118);
        assert_eq!(record.field("extended_gateway.src_as"), "2");
    }
}

#[test]
fn regression_104_octets_reserve_no_16_gigabytes() {
    // Each count and length of a datagram of 104 octets has its maximum in turn.
    let records = Xdr::default().record(1003, &gateway(&[(2, &[64_510])]));
    let mut datagram = version_5(1, &Xdr::default().record(1, &flow_sample(1, &records)));
    datagram.truncate(104);
    assert_eq!(datagram.len(), 104);
    for place in (12..104).step_by(4) {
        let mut changed = datagram.clone();
        changed[place..place + 4].fill(0xff);
        let decoding = decode(&changed);
        assert!(decoding.records.len() <= 1);
    }
}

#[test]
fn the_largest_datagram_costs_little_whatever_its_counts_say() {
    let word = |value: u32| value.to_be_bytes();
    let path =
        Xdr::default().address(AGENT).words(&[1, 2, 3, u32::MAX]).octets(&[word(2), word(0)].concat().repeat(8000));
    let records = Xdr::default().record(1003, &path);
    let datagrams = [
        version_5(u32::MAX, &Xdr::default().octets(&[word(1), word(0)].concat().repeat(8180))),
        version_5(u32::MAX, &Xdr::default().octets(&[word(77), word(0)].concat().repeat(8180))),
        version_5(1, &Xdr::default().record(1, &flow_sample(u32::MAX, &records))),
        version_5(1, &Xdr::default().record(1, &flow_sample(u32::MAX, &Xdr(vec![0; 65_000])))),
    ];
    for datagram in datagrams {
        assert!(datagram.len() <= 65_507);
        let start = std::time::Instant::now();
        decode(&datagram);
        // This takes milliseconds; time proportional to the counts would be hours.
        assert!(start.elapsed() < testing::wait::DEADLINE, "{:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(
        samples in proptest::collection::vec(
            (any::<u32>(), any::<u32>(), 0..1_u32 << 24, 0..1_u32 << 30, any::<[u32; 2]>(), any::<[u16; 2]>(), 46..=u16::MAX),
            0..20,
        ),
        (sub_agent, sequence, uptime) in any::<(u32, u32, u32)>(),
        agent in any::<IpAddr>(),
    ) {
        let header = encode::DatagramHeader { agent, sub_agent, sequence, uptime };
        let samples: Vec<_> = samples
            .into_iter()
            .map(|(sequence, sampling_rate, input, output, addresses, ports, frame_length)| encode::FlowSample {
                sequence,
                sampling_rate,
                data_source: input, input,
                output,
                source: SocketAddrV4::new(addresses[0].into(), ports[0]),
                destination: SocketAddrV4::new(addresses[1].into(), ports[1]),
                frame_length,
            })
            .collect();
        let datagram = encode::sflow_v5(&header, &samples);
        let decoding = decode(&datagram);
        prop_assert_eq!(decoding.report.errors, 0);
        prop_assert_eq!(decoding.records.len(), samples.len());
        let number = decoding.numbers[0];
        prop_assert_eq!((number.agent, number.sub_agent, number.number), (flow::canonical(agent), sub_agent, sequence));
        for (record, sample) in decoding.records.iter().zip(&samples) {
            let flow = record.flow.unwrap();
            prop_assert_eq!((flow.source, flow.source_port), ((*sample.source.ip()).into(), sample.source.port()));
            let destination = ((*sample.destination.ip()).into(), sample.destination.port());
            prop_assert_eq!((flow.destination, flow.destination_port), destination);
            prop_assert_eq!(flow.forward, Counters { bytes: sample.frame_length.into(), packets: 1, flows: 1 });
            prop_assert_eq!(flow.sampling.rate, sample.sampling_rate.max(1));
            prop_assert_eq!(record.field("flow_sample.input_value"), sample.input.to_string());
            prop_assert_eq!(record.field("flow_sample.output_value"), sample.output.to_string());
            prop_assert_eq!(record.field("packet.total_length"), (sample.frame_length - 18).to_string());
        }
    }
}
