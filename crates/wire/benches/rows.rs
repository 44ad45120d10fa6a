//! Time to make a row of all columns of a record, decoding included, and to append it to a batch; in datagrams of as many
//! records as fit into 1400 octets.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

mod exported;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use columns::{Batch, Row};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exported::{SAMPLES, TWENTY, samples};
use flow::{Exporter, Timestamp};
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, ipfix, netflow_v5, netflow_v9};

/// What a router adds that exports all that it knows.
const TWENTY_MORE: &[(u16, u16)] = &[
    (27, 16),
    (28, 16),
    (62, 16),
    (152, 8),
    (153, 8),
    (56, 6),
    (80, 6),
    (58, 2),
    (59, 2),
    (192, 1),
    (31, 4),
    (32, 2),
    (54, 4),
    (88, 2),
    (89, 1),
    (136, 1),
    (234, 4),
    (235, 4),
    (18, 4),
    (70, 3),
];

fn specifiers(fields: &[&[(u16, u16)]]) -> Vec<FieldSpecifier> {
    fields.iter().copied().flatten().map(|&(id, length)| FieldSpecifier::iana(id, length)).collect()
}

/// A name, the announcement, the datagram to measure, and its number of records.
type Case = (&'static str, Option<Vec<u8>>, Vec<u8>, u32);

fn templated(name: &'static str, fields: Vec<FieldSpecifier>, records: u32, is_v9: bool) -> Case {
    let template = TemplateSpec::data(256, fields);
    let octets: Vec<Vec<u8>> = template
        .fields
        .iter()
        .map(|field| (1..=field.fixed_length().unwrap_or(5)).map(|octet| octet as u8).collect())
        .collect();
    let record = template.record(&octets.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let records_of = vec![record; records as usize];
    if is_v9 {
        let packet = || NetflowV9::new(netflow_v9::Header::default());
        (name, Some(packet().template(&template).finish()), packet().data(&template, &records_of).finish(), records)
    } else {
        let message = || Ipfix::new(ipfix::Header::default());
        (name, Some(message().template(&template).finish()), message().data(&template, &records_of).finish(), records)
    }
}

fn cases() -> Vec<Case> {
    let mut with_name = specifiers(&[TWENTY]);
    with_name.insert(10, FieldSpecifier::iana(96, VARIABLE_LENGTH));
    let v5 = encode::netflow_v5(&Default::default(), &[netflow_v5::Record::default(); 28]);
    vec![
        ("netflow-v5", None, v5, 28),
        templated("netflow-v9 20 fields", specifiers(&[TWENTY]), 24, true),
        templated("ipfix 40 fields", specifiers(&[TWENTY, TWENTY_MORE]), 8, false),
        templated("ipfix 20 fields and a string", with_name, 22, false),
        ("sflow-v5", None, samples(), SAMPLES),
    ]
}

/// What is done with each record.
#[derive(Clone, Copy)]
enum Do {
    Flow,
    Row,
    Batch,
}

fn rows(criterion: &mut Criterion) {
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 2055);
    let mut group = criterion.benchmark_group("row");
    for (name, before, payload, records) in cases() {
        let datagram = |payload| Datagram { exporter, received: Timestamp::from_seconds(1), payload };
        let mut session = Session::new(SessionLimits::default());
        if let Some(before) = &before {
            session.decode(&datagram(before), &mut |_| {});
        }
        group.throughput(Throughput::Elements(records.into()));
        for (what, label) in [(Do::Flow, "flow alone"), (Do::Row, "row"), (Do::Batch, "row in a batch")] {
            let (mut row, mut batch) = (Row::new(), Batch::new());
            group.bench_function(format!("{name}: {label}"), |bencher| {
                bencher.iter(|| {
                    let mut visited = 0;
                    session.decode(black_box(&datagram(&payload)), &mut |record| {
                        visited += 1;
                        match what {
                            Do::Flow => {
                                black_box(record.flow.unwrap());
                            }
                            Do::Row => {
                                record.row(&mut row);
                                black_box(&row);
                            }
                            Do::Batch => {
                                if record.row(batch.room()) {
                                    batch.keep();
                                }
                            }
                        }
                    });
                    assert_eq!(visited, records, "{name}");
                    // A row group of a file.
                    if batch.rows() >= 262_144 {
                        batch.clear();
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
