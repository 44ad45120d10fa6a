//! Time to decode one record of each NetFlow protocol and of IPFIX, template look-up included, in datagrams with as
//! many records as fit into 1400 octets, as exporters send them; and what the memory of connections costs a record.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

mod exported;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exported::TWENTY;
use flow::{Exporter, Timestamp};
use wire::encode::{self, TemplateSpec};
use wire::{
    Datagram, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, ipfix, netflow_v1, netflow_v5, netflow_v7,
    netflow_v8, netflow_v9,
};

fn twenty_fields() -> Vec<FieldSpecifier> {
    TWENTY.iter().map(|&(id, length)| FieldSpecifier::iana(id, length)).collect()
}

/// A record of a template whose fields all hold small numbers.
fn record(template: &TemplateSpec) -> Vec<u8> {
    let fields: Vec<Vec<u8>> = template
        .fields
        .iter()
        .map(|field| (1..=field.fixed_length().unwrap_or(5)).map(|octet| octet as u8).collect())
        .collect();
    template.record(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A name, the preceding datagrams, the datagram to measure, and its number of records.
struct Case {
    name: &'static str,
    before: Vec<Vec<u8>>,
    datagram: Vec<u8>,
    records: usize,
}

fn cases() -> Vec<Case> {
    let fixed = |name, datagram, records| Case { name, before: Vec::new(), datagram, records };
    let v8_header = netflow_v8::Header { aggregation: 14, ..Default::default() };
    let v8_record = netflow_v8::record(14, u64::from);
    let data = TemplateSpec::data(256, twenty_fields());
    let mut with_name = twenty_fields();
    with_name.insert(10, FieldSpecifier::iana(96, VARIABLE_LENGTH));
    let variable = TemplateSpec::data(257, with_name);
    let records = 24;
    let v9 = |template: &TemplateSpec| {
        let packet = || encode::NetflowV9::new(netflow_v9::Header::default());
        let announcement = packet().template(template).finish();
        (announcement, packet().data(template, &vec![record(template); records]).finish())
    };
    let ipfix = |template: &TemplateSpec| {
        let message = || encode::Ipfix::new(ipfix::Header::default());
        let announcement = message().template(template).finish();
        (announcement, message().data(template, &vec![record(template); records]).finish())
    };
    let templated = |name, (announcement, datagram)| Case { name, before: vec![announcement], datagram, records };
    vec![
        fixed("netflow-v1", encode::netflow_v1(&Default::default(), &[netflow_v1::Record::default(); 24]), 24),
        fixed("netflow-v5", encode::netflow_v5(&Default::default(), &[netflow_v5::Record::default(); 28]), 28),
        fixed("netflow-v7", encode::netflow_v7(&Default::default(), &[netflow_v7::Record::default(); 26]), 26),
        fixed("netflow-v8 prefix-port", encode::netflow_v8(&v8_header, &vec![v8_record; 34]), 34),
        templated("netflow-v9 20 fields", v9(&data)),
        templated("ipfix 20 fields", ipfix(&data)),
        templated("ipfix 20 fields and a string", ipfix(&variable)),
    ]
}

fn decode(criterion: &mut Criterion) {
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 2055);
    let mut group = criterion.benchmark_group("record");
    for case in cases() {
        let mut session = Session::new(SessionLimits::default());
        let datagram = |payload| Datagram { exporter, received: Timestamp::from_seconds(1), payload };
        for payload in &case.before {
            session.decode(&datagram(payload), &mut |_| {});
        }
        group.throughput(Throughput::Elements(u64::try_from(case.records).unwrap()));
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| {
                let mut bytes = 0;
                let decoded = session.decode(black_box(&datagram(&case.datagram)), &mut |record| {
                    let flow = record.flow.unwrap();
                    bytes += flow.forward.bytes;
                    black_box(flow);
                });
                assert_eq!(usize::try_from(decoded.data).unwrap(), case.records, "{}", case.name);
                bytes
            });
        });
    }
    group.finish();
}

/// Records of one datagram.
const RECORDS: u32 = 24;

/// A template of addresses, ports and protocol with two counters.
fn counted(id: u16, octets: u16, packets: u16) -> TemplateSpec {
    let fields = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (octets, 8), (packets, 8)];
    TemplateSpec::data(id, fields.into_iter().map(|(id, length)| FieldSpecifier::iana(id, length)).collect::<Vec<_>>())
}

/// IPFIX messages with a record of each connection, with this count of octets and packets.
fn connections(template: &TemplateSpec, number: u32, count: u64) -> Vec<Vec<u8>> {
    let record = |connection: u32| {
        let (ports, count) = ([0, 80, 4, 0], count.to_be_bytes());
        let (source, destination) = (connection.to_be_bytes(), [192, 0, 2, 1]);
        template.record(&[&source, &destination, &ports[..2], &ports[2..], &[6], &count, &count])
    };
    let message = |first: u32| {
        let records: Vec<_> = (first..first + RECORDS).map(record).collect();
        encode::Ipfix::new(ipfix::Header::default()).data(template, &records).finish()
    };
    (0..number / RECORDS).map(|number| message(number * RECORDS)).collect()
}

/// Running totals (elements 85 and 86), of which the difference counts, beside the same records with what is new (1 and 2).
fn remember(criterion: &mut Criterion) {
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 2055);
    let mut group = criterion.benchmark_group("connection");
    group.throughput(Throughput::Elements(RECORDS.into()));
    for (kind, template) in [("new", counted(256, 1, 2)), ("total", counted(257, 85, 86))] {
        for number in [RECORDS, 24_000, 240_000] {
            let mut session = Session::new(SessionLimits::default());
            let datagram = |payload| Datagram { exporter, received: Timestamp::from_seconds(1), payload };
            let announcement = encode::Ipfix::new(ipfix::Header::default()).template(&template).finish();
            session.decode(&datagram(&announcement), &mut |_| {});
            // A total below the last one is that of a new flow, so each record counts.
            let messages: Vec<_> =
                [1000, 2000].iter().flat_map(|&count| connections(&template, number, count)).collect();
            let before = resident();
            for message in &messages {
                session.decode(&datagram(message), &mut |_| {});
            }
            println!("{kind} {number}: {} octets a connection", (resident() - before) / u64::from(number));
            let mut next = messages.iter().cycle();
            group.bench_function(format!("{kind} {number}"), |bencher| {
                bencher.iter(|| {
                    let mut counted = 0;
                    session.decode(black_box(&datagram(next.next().unwrap())), &mut |record| {
                        counted += u32::from(record.flow.is_some());
                    });
                    assert_eq!(counted, RECORDS);
                });
            });
        }
    }
    group.finish();
}

/// Octets of the process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

criterion_group!(benches, decode, remember);
criterion_main!(benches);
