//! What relays send as NetFlow v9 and IPFIX: the exporter that each record names.

use std::net::{IpAddr, Ipv4Addr};

use flow::{Counters, DatagramFate, FlowFate};
use wire::encode::TemplateSpec;
use wire::{FieldSpecifier, encode, netflow_v5};

use crate::{Collector, INSIDE, NOW, ONE, OTHER, OUTSIDE, RELAY, STRANGER, both, counters, octets, record, template};

#[test]
fn records_of_a_relay_are_counted_for_the_exporters_that_they_name() {
    for protocol in [0, 1] {
        let mut collector = Collector::with_relay();
        let template = template(&[(130, 4)]);
        let named = [ONE, OTHER, STRANGER, ONE, Ipv4Addr::UNSPECIFIED.into(), RELAY];
        let records = named.map(|exporter| record(&[&octets(exporter)]));
        let datagram = &both(&template, &records)[protocol];
        assert_eq!(collector.take(RELAY, datagram), DatagramFate::Decoded);
        let sent = [ONE, OTHER, RELAY, STRANGER].map(|sender| collector.sent(sender));
        assert_eq!(sent, [counters(200, 2, 2), counters(100, 1, 1), counters(200, 2, 2), Counters::ZERO]);
        assert_eq!((collector.flows(FlowFate::Matched), collector.flows(FlowFate::UnregisteredAgent)), (5, 1));
        assert_eq!(collector.unknown(), [(STRANGER, Some(RELAY), 1)]);
        // Each datagram and each flow is in the statistics of one exporter.
        let shown = |path| [RELAY, ONE, OTHER].map(|exporter| collector.shown(exporter, path));
        assert_eq!(shown("/counters/flows/matched"), [2, 2, 1]);
        assert_eq!(shown("/counters/flows/unregistered_agent"), [1, 0, 0]);
        assert_eq!(shown("/counters/datagrams/decoded"), [1, 0, 0]);
        assert_eq!(shown(["/protocols/netflow-v9", "/protocols/ipfix"][protocol]), [1, 1, 1]);
        let counts = collector.shard.counts();
        assert_eq!((counts.records, counts.flows.total()), (counts.shown_records, counts.data_records));
    }
}

#[test]
fn a_datagram_that_names_thousands_of_unregistered_exporters_costs_no_memory_for_each() {
    let template = TemplateSpec::data(256, [FieldSpecifier::iana(130, 4), FieldSpecifier::iana(1, 1)]);
    let named = |number: u32| [&number.to_be_bytes()[..], &[1]].concat();
    let (first, strangers) = (0x0a00_0000, 12_000);
    let of_one = [octets(ONE), vec![1]].concat();
    let records: Vec<_> = (first..first + strangers).map(named).chain([named(first), of_one]).collect();
    for datagram in both(&template, &records) {
        let mut collector = Collector::with_relay();
        let allocated = allocation_counter::measure(|| {
            collector.take(RELAY, &datagram);
        });
        assert!(allocated.bytes_max < 256 << 10, "{allocated:?}");
        assert_eq!(collector.flows(FlowFate::UnregisteredAgent), u64::from(strangers) + 1);
        assert_eq!(collector.shown(ONE, "/counters/flows/unmatched"), 1);
        let unknown = collector.unknown();
        assert!((1..=64).contains(&unknown.len()));
        assert!(unknown.iter().all(|(_, relay, datagrams)| (*relay, *datagrams) == (Some(RELAY), 1)));
        // Another datagram shows others.
        let another = IpAddr::V4(Ipv4Addr::from_bits(first + 5000));
        collector.take(RELAY, &both(&template, &[named(first + 5000)])[0]);
        assert!(collector.unknown().contains(&(another, Some(RELAY), 1)));
    }
}

#[test]
fn the_exporter_of_a_record_may_be_an_ipv6_address_or_that_which_a_mediator_received_it_from() {
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    let none = [0; 16];
    for (elements, values, expected) in [
        (vec![(131, 16)], vec![octets(six)], six),
        (vec![(130, 4), (131, 16)], vec![vec![0; 4], octets(six)], six),
        (vec![(131, 16), (130, 4)], vec![none.to_vec(), octets(ONE)], ONE),
        (vec![(130, 4), (403, 4)], vec![octets(OTHER), octets(ONE)], ONE),
        (vec![(404, 16), (130, 4)], vec![octets(six), octets(OTHER)], six),
        // Not an address.
        (vec![(130, 2)], vec![vec![198, 51]], RELAY),
    ] {
        let mut collector = Collector::new(&[(RELAY, "identity=agent"), (ONE, ""), (OTHER, ""), (six, "")]);
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        for datagram in both(&template(&elements), &[record(&values)]) {
            collector.take(RELAY, &datagram);
        }
        assert_eq!(collector.sent(expected).flows, 2, "{elements:?}");
    }
}

#[test]
fn other_protocols_name_nobody() {
    let mut collector = Collector::with_relay();
    let header = netflow_v5::Header { unix_seconds: NOW.into(), ..Default::default() };
    let record = netflow_v5::Record {
        source: INSIDE,
        destination: OUTSIDE,
        octets: 100.into(),
        packets: 1.into(),
        ..Default::default()
    };
    collector.take(RELAY, &encode::netflow_v5(&header, &[record]));
    assert_eq!(collector.sent(RELAY), counters(100, 1, 1));
}
