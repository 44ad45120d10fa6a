//! Time to decode one sFlow flow sample.

mod exported;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exported::{SAMPLES, samples};
use flow::sender_settings::Tunnels;
use flow::{Exporter, Timestamp};
use wire::sflow;
use wire::{Datagram, Decoded};

fn decode(criterion: &mut Criterion) {
    let payload = samples();
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 6343);
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(1), payload: &payload };
    let mut group = criterion.benchmark_group("sflow");
    group.throughput(Throughput::Elements(SAMPLES.into()));
    group.bench_function("v5 flow samples", |bencher| {
        bencher.iter(|| {
            let mut report = Decoded::default();
            let mut bytes = 0;
            sflow::decode(
                black_box(&datagram),
                Tunnels::Outer,
                &mut |record| bytes += record.flow.map_or(0, |flow| flow.forward.bytes),
                &mut |number| {
                    black_box(number);
                },
                &mut report,
            );
            assert_eq!(report.data, SAMPLES);
            bytes
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
