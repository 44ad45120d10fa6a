//! Generated datagrams decode to the reported totals: overall, for each exporter and each name, without a gap in the
//! sequence numbers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::Ipv4Addr;

use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::prefix_table::PrefixTable;
use flow::{Exporter, FlowRecord, Prefix, Protocol, Timestamp};
use generator::{Generator, Load, NameKey, Names, Popularity, Totals, Traffic};
use proptest::prelude::*;
use wire::{Datagram, Session, SessionLimits};

/// When the datagrams are exported, a second apart.
const START: u64 = 1_800_000_000;

fn prefixes() -> Vec<Prefix> {
    ["10.0.0.0/8", "10.0.0.0/12", "172.16.0.0/25", "2001:db8::/32"].map(|prefix| prefix.parse().unwrap()).into()
}

/// Takes this many data datagrams, and counts their decoded flows.
fn decode(generator: &mut Generator, data_datagrams: u64, most: usize) -> (Totals, Names) {
    let prefixes = prefixes();
    let table = PrefixTable::new(&prefixes);
    let mut totals = Totals { exporters: generator.totals().exporters.clone(), ..Totals::default() };
    let mut names = Names::new();
    let mut sessions = HashMap::new();
    let mut second = START;
    let first = generator.load().first_source;
    while generator.totals().datagrams - generator.totals().templates < data_datagrams {
        second += 1;
        for made in generator.batch(Timestamp::from_seconds(second), most) {
            assert_eq!(made.source, first.map(|first| Ipv4Addr::from_bits(first.to_bits() + made.exporter)));
            let session = sessions.entry(made.exporter).or_insert_with(|| Session::new(SessionLimits::default()));
            let exporter = Exporter::udp(made.source.unwrap().into(), 40_000 + made.port);
            let received = Timestamp::from_seconds(second);
            let datagram = Datagram { exporter, received, payload: made.payload };
            let decoded = session.decode(&datagram, &mut |record| {
                let flow = record.flow.unwrap();
                assert_eq!(flow.exported, received);
                count(flow, made.exporter, &table, &prefixes, &mut totals, &mut names);
            });
            assert_eq!(decoded.first_error, None);
            totals.datagrams += 1;
            totals.templates += u64::from(decoded.data == 0);
        }
    }
    for session in sessions.values() {
        for (key, stream) in session.streams() {
            assert_eq!((stream.breaks, stream.lost, stream.duplicates, stream.late), (0, 0, 0, 0), "{key:?}");
        }
    }
    (totals, names)
}

fn count(
    flow: &FlowRecord,
    exporter: u32,
    table: &PrefixTable,
    prefixes: &[Prefix],
    totals: &mut Totals,
    names: &mut Names,
) {
    let counters = flow.forward.scaled(flow.sampling).unwrap();
    totals.all.add(counters);
    totals.exporters[exporter as usize].add(counters);
    let containing = |address| {
        let mut found = Vec::new();
        table.covering(address, &mut |index| found.push(index));
        found
    };
    let (sources, destinations) = (containing(flow.source), containing(flow.destination));
    let local = !sources.is_empty() && !destinations.is_empty();
    let (out, r#in) = if local { (Direction::OutLocal, Direction::InLocal) } else { (Direction::Out, Direction::In) };
    let outwards = sources.into_iter().map(|index| (index, out));
    for (index, direction) in outwards.chain(destinations.into_iter().map(|index| (index, r#in))) {
        for field in Field::ALL {
            let name = Name { field, value: field.value_of(flow) };
            let key = NameKey { exporter, prefix: prefixes[index as usize], direction, name };
            names.entry(key).or_default().add(counters);
        }
    }
}

fn decodes_to_what_was_sent(load: Load, data_datagrams: u64, most: usize) {
    let mut generator = Generator::new(load).unwrap();
    let (totals, names) = decode(&mut generator, data_datagrams, most);
    assert!(totals.all.flows > 0);
    assert_eq!(totals, *generator.totals());
    assert_eq!(names, generator.names(&prefixes(), &mut |_| true));
}

fn load(protocol: Protocol) -> Load {
    let traffic = Traffic { local_percent: 10, random_percent: 10, ..Traffic::default() };
    Load {
        protocol,
        first_source: Some(Ipv4Addr::LOCALHOST),
        exporters: 3,
        ports: 2,
        template_interval: 5,
        repeat: Some(500),
        traffic,
        ..Load::default()
    }
}

#[test]
fn netflow_v5() {
    decodes_to_what_was_sent(load(Protocol::NetflowV5), 100, 7);
}

#[test]
fn netflow_v9() {
    let mut load = load(Protocol::NetflowV9);
    load.traffic.ipv6_percent = 30;
    decodes_to_what_was_sent(load, 200, 64);
}

#[test]
fn ipfix() {
    let mut load = load(Protocol::Ipfix);
    load.traffic.ipv6_percent = 100;
    decodes_to_what_was_sent(load, 200, 64);
}

#[test]
fn sflow_v5() {
    decodes_to_what_was_sent(load(Protocol::SflowV5), 200, 64);
}

#[test]
fn datagrams_fit_into_a_packet() {
    for protocol in [Protocol::NetflowV5, Protocol::NetflowV9, Protocol::Ipfix, Protocol::SflowV5] {
        for ipv6_percent in if protocol.has_templates() { vec![0, 50, 100] } else { vec![0] } {
            let traffic = Traffic { ipv6_percent, ..Traffic::default() };
            let load = Load { protocol, traffic, repeat: Some(1000), ..Load::default() };
            let mut generator = Generator::new(load).unwrap();
            if protocol == Protocol::NetflowV5 {
                assert_eq!(generator.flows_per_datagram(), 30);
            }
            let longest = generator.batch(Timestamp::EPOCH, 64).map(|made| made.payload.len()).max().unwrap();
            assert!((1000..=1472).contains(&longest), "{protocol} {ipv6_percent}: {longest}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_is_asked_for(
        protocol in prop::sample::select(vec![Protocol::NetflowV5, Protocol::NetflowV9, Protocol::Ipfix, Protocol::SflowV5]),
        seed in any::<u64>(),
        (exporters, ports) in (1..20_u32, 1..4_u16),
        flows_per_datagram in prop::option::of(1..30_u16),
        template_interval in 1..10_u32,
        repeat in prop::option::of(1..2000_u32),
        addresses in 1..5000_u32,
        ipv6_percent in 0..=100_u8,
        zipf in any::<bool>(),
        (data_datagrams, most) in (1..150_u64, 0..100_usize),
    ) {
        let popularity = if zipf { Popularity::Zipf } else { Popularity::Even };
        let ipv6_percent = if protocol.has_templates() { ipv6_percent } else { 0 };
        let traffic = Traffic { addresses, popularity, ipv6_percent, local_percent: 5, ..Traffic::default() };
        let first_source = Some(Ipv4Addr::LOCALHOST);
        let load = Load { protocol, seed, exporters, ports, flows_per_datagram, template_interval, repeat, traffic, first_source };
        decodes_to_what_was_sent(load, data_datagrams, most);
    }
}
