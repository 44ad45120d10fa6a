//! Time to decode one sFlow flow sample.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow::sender_settings::Tunnels;
use flow::{Exporter, Timestamp};
use wire::sflow::{self, encode};
use wire::{Datagram, Decoded};

/// As many samples as fit into a packet of 1500 octets.
const SAMPLES: u32 = 13;

fn datagram() -> Vec<u8> {
    let header =
        encode::DatagramHeader { agent: Ipv4Addr::new(192, 0, 2, 1).into(), sub_agent: 0, sequence: 1, uptime: 60_000 };
    let samples: Vec<_> = (1..=SAMPLES)
        .map(|sequence| encode::FlowSample {
            sequence,
            sampling_rate: 1000,
            data_source: 1,
            input: 1,
            output: 2,
            source: SocketAddrV4::new(Ipv4Addr::from(0x0a00_0000 + sequence), 40_000),
            destination: SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 53),
            frame_length: 1518,
        })
        .collect();
    encode::sflow_v5(&header, &samples)
}

fn decode(criterion: &mut Criterion) {
    let payload = datagram();
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
