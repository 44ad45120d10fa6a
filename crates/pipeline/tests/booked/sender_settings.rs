//! What the settings of a sender change in what is counted; those of packets in tunnels are in `tunnels`.

use flow::FlowFate;
use wire::{encode, netflow_v5};

use super::*;

const SERVER: [u8; 4] = [203, 0, 113, 7];
const ROUTER_OUTSIDE: [u8; 4] = [198, 51, 100, 1];
const CLIENT: [u8; 4] = [192, 168, 1, 5];

/// What `datagrams` add to 192.168.0.0/16 with these settings: octets, packets and flows in and out; and the flows of
/// each fate.
fn counted(settings: &str, datagrams: &[Vec<u8>]) -> (Counters, Counters, Vec<(FlowFate, u64)>) {
    let mut collector = Collector::with_settings("192.168.0.0/16", settings);
    for payload in datagrams {
        collector.take(payload);
    }
    let fates = collector.shard.counts().flows.iter().filter(|(_, flows)| *flows > 0).collect();
    let [all_in, all_out] = [Direction::In, Direction::Out].map(|direction| collector.counters(direction, Name::ALL));
    (all_in, all_out, fates)
}

/// Source, destination, octets, packets, and what a test needs.
const BASE: [(u16, u16); 4] = [(8, 4), (12, 4), (1, 4), (2, 4)];

fn elements(further: &[(u16, u16)]) -> Vec<FieldSpecifier> {
    BASE.iter().chain(further).map(|&(id, length)| FieldSpecifier::iana(id, length)).collect()
}

fn record(source: [u8; 4], destination: [u8; 4], octets: u32, packets: u32, further: &[&[u8]]) -> Vec<u8> {
    let counters = [octets.to_be_bytes(), packets.to_be_bytes()].concat();
    [&source[..], &destination, &counters, &further.concat()].concat()
}

fn v9(further: &[(u16, u16)], records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let template = TemplateSpec::data(256, elements(further));
    vec![super::v9(0).template(&template).data(&template, records).finish()]
}

fn ipfix(further: &[(u16, u16)], records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let template = TemplateSpec::data(256, elements(further));
    vec![message(0).template(&template).data(&template, records).finish()]
}

#[test]
fn a_sampling_rate_of_the_sender_replaces_that_of_records_headers_and_options() {
    // samplingInterval 10 in each record.
    let sampled = [record(SERVER, CLIENT, 1000, 2, &[&[0, 0, 0, 10]])];
    for datagrams in [v9(&[(34, 4)], &sampled), ipfix(&[(34, 4)], &sampled)] {
        assert_eq!(counted("", &datagrams).0, counters(10_000, 20, 1));
        assert_eq!(counted("samplingRate=500", &datagrams).0, counters(500_000, 1000, 1));
        assert_eq!(counted("samplingRate=1", &datagrams).0, counters(1000, 2, 1));
    }
    // An exporter that announces nothing, and one whose header has a rate of 100.
    let unsampled = v9(&[], &[record(SERVER, CLIENT, 1000, 2, &[])]);
    assert_eq!(counted("samplingRate=500", &unsampled).0, counters(500_000, 1000, 1));
    let header = netflow_v5::Header { unix_seconds: NOW.into(), sampling: 100.into(), ..Default::default() };
    let record = netflow_v5::Record {
        source: SERVER,
        destination: CLIENT,
        octets: 1000.into(),
        packets: 2.into(),
        ..Default::default()
    };
    let in_header = [encode::netflow_v5(&header, &[record])];
    assert_eq!(counted("", &in_header).0, counters(100_000, 200, 1));
    assert_eq!(counted("samplingRate=500", &in_header).0, counters(500_000, 1000, 1));
}

#[test]
fn flows_observed_at_the_other_side_do_not_count() {
    let twice = [
        record(SERVER, CLIENT, 1000, 2, &[&[0]]),
        record(SERVER, CLIENT, 1000, 2, &[&[1]]),
        // Of no known side.
        record(CLIENT, SERVER, 50, 1, &[&[255]]),
    ];
    for datagrams in [v9(&[(61, 1)], &twice), ipfix(&[(61, 1)], &twice)] {
        let (all_in, all_out, fates) = counted("", &datagrams);
        assert_eq!((all_in, all_out), (counters(2000, 4, 2), counters(50, 1, 1)));
        assert_eq!(fates, [(FlowFate::Matched, 3)]);
        for settings in ["flowDirection=ingress", "flowDirection=egress"] {
            let (all_in, all_out, fates) = counted(settings, &datagrams);
            assert_eq!((all_in, all_out), (counters(1000, 2, 1), counters(50, 1, 1)));
            assert_eq!(fates, [(FlowFate::Matched, 2), (FlowFate::OtherDirection, 1)]);
        }
    }
}

#[test]
fn out_counters_are_of_the_other_direction_where_the_sender_means_that() {
    // The client sends 50 octets in 1 packet, and gets 1000 in 2.
    let out: &[&[u8]] = &[&1000_u32.to_be_bytes(), &2_u32.to_be_bytes()];
    let both_ways = [record(CLIENT, SERVER, 50, 1, out)];
    for datagrams in [v9(&[(23, 4), (24, 4)], &both_ways), ipfix(&[(23, 4), (24, 4)], &both_ways)] {
        let (all_in, all_out, _) = counted("", &datagrams);
        assert_eq!((all_in, all_out), (Counters::ZERO, counters(50, 1, 1)));
        let (all_in, all_out, _) = counted("outCounters=reverse", &datagrams);
        assert_eq!((all_in, all_out), (counters(1000, 2, 1), counters(50, 1, 1)));
    }
    // Counters of the egress only, as a Juniper SRX sends them, are of the flow itself whatever the setting.
    let egress_only = v9(&[(23, 4), (24, 4)], &[record(CLIENT, SERVER, 0, 0, out)]);
    for settings in ["", "outCounters=reverse"] {
        let (all_in, all_out, _) = counted(settings, &egress_only);
        assert_eq!((all_in, all_out), (Counters::ZERO, counters(1000, 2, 1)), "{settings}");
    }
}

#[test]
fn a_network_behind_nat_sees_its_downloads_by_its_inside_addresses() {
    // Up: the source becomes the router's address. Down: the destination was the router's, and becomes the client's.
    let post = |source: [u8; 4], destination: [u8; 4]| [source, destination].concat();
    let translated = [
        record(CLIENT, SERVER, 50, 1, &[&post(ROUTER_OUTSIDE, SERVER)]),
        record(SERVER, ROUTER_OUTSIDE, 1000, 2, &[&post(SERVER, CLIENT)]),
        // Not translated.
        record(SERVER, CLIENT, 7, 1, &[&[0; 8]]),
    ];
    let names: [&[(u16, u16)]; 2] = [&[(225, 4), (226, 4)], &[(40001, 4), (40002, 4)]];
    for datagrams in [v9(names[0], &translated), ipfix(names[0], &translated), v9(names[1], &translated)] {
        let (all_in, all_out, fates) = counted("", &datagrams);
        assert_eq!((all_in, all_out), (counters(7, 1, 1), counters(50, 1, 1)));
        assert_eq!(fates, [(FlowFate::Matched, 2), (FlowFate::Unmatched, 1)]);
        let (all_in, all_out, _) = counted("natAddresses=inside", &datagrams);
        assert_eq!((all_in, all_out), (counters(1007, 3, 2), counters(50, 1, 1)));
    }
}
