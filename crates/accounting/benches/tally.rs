//! The cost of booking a flow: all eight counters, for each of its prefixes and directions.
//!
//! Flows resemble those of a border router: the name of the bench gives the number of distinct source and destination
//! addresses; there are sixteen protocols, of which two carry nearly everything, one port of a service and one
//! ephemeral port, a few thousand AS numbers. Addresses are drawn evenly, which is harder on caches than the skew of
//! real traffic.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may fail")]

use std::hint::black_box;
use std::net::Ipv4Addr;

use accounting::period::Minute;
use accounting::tally::{FlowTime, GroupId, Monitored, Tally, TallySettings};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flow::{Counters, FlowRecord, Prefix, Timestamp};
use testing::Random;

/// Flows in a flush interval.
const FLOWS: usize = 1 << 20;

/// A flow from anywhere into `10.0.0.0/8`, as small as a datagram has it: a million flow records would push the tally
/// out of the caches.
struct Flow {
    source: u32,
    destination: u32,
    source_as: u32,
    source_port: u16,
    destination_port: u16,
    packets: u32,
    bytes: u32,
    destination_as: u16,
    protocol: u8,
}

impl Flow {
    fn random(random: &mut Random, addresses: u64) -> Self {
        let spread = |number: u64| (number as u32).wrapping_mul(0x9e37_79b1);
        let packets = 1 + random.below(50) as u32;
        Self {
            source: spread(random.below(addresses)) | 0x8000_0000,
            destination: 0x0a00_0000 | spread(random.below(addresses)) >> 8,
            source_as: spread(random.below(addresses.min(4000))) >> 14,
            source_port: [443, 80, 53, 22][random.below(4) as usize],
            destination_port: 32_768 + random.below(28_000) as u16,
            packets,
            bytes: packets * (40 + random.below(1460) as u32),
            destination_as: 64_512 + random.below(4) as u16,
            protocol: if random.below(10) == 0 { random.below(16) as u8 } else { 6 + 11 * random.below(2) as u8 },
        }
    }

    #[inline(always)]
    fn record(&self) -> FlowRecord {
        FlowRecord {
            source: Ipv4Addr::from_bits(self.source).into(),
            destination: Ipv4Addr::from_bits(self.destination).into(),
            protocol: self.protocol,
            source_port: self.source_port,
            destination_port: self.destination_port,
            source_as: self.source_as,
            destination_as: self.destination_as.into(),
            forward: Counters { bytes: self.bytes.into(), packets: self.packets.into(), flows: 1 },
            ..FlowRecord::empty(Timestamp::EPOCH)
        }
    }
}

fn flows(addresses: u64) -> Vec<Flow> {
    let mut random = Random::new(1);
    (0..FLOWS).map(|_| Flow::random(&mut random, addresses)).collect()
}

/// Books all flows for one sender in one minute.
fn book_all(tally: &mut Tally, monitored: &Monitored, flows: &[Flow]) {
    for flow in flows {
        black_box(tally.book(monitored, &flow.record(), FlowTime::at(Minute::new(1)), true));
    }
}

fn monitored(prefixes: &[&str]) -> Monitored {
    let prefixes: Vec<(Prefix, GroupId)> =
        prefixes.iter().map(|text| text.parse().unwrap()).zip((0..).map(GroupId)).collect();
    Monitored::new(Ipv4Addr::new(192, 0, 2, 1).into(), &prefixes)
}

fn book(c: &mut Criterion) {
    let mut group = c.benchmark_group("book");
    group.throughput(Throughput::Elements(FLOWS as u64)).sample_size(10);
    let one: &[&str] = &["10.0.0.0/8"];
    let apart: &[&str] = &["10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/10"];
    let nested: &[&str] = &["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9"];
    let unlimited = TallySettings { names_per_table: usize::MAX / 2, names: usize::MAX, ..TallySettings::default() };
    for (prefixes, name) in [(one, "1 prefix"), (apart, "3 prefixes apart"), (nested, "3 prefixes nested")] {
        for addresses in [1_000, 50_000, 1_000_000] {
            for (limits, limited) in [(TallySettings::default(), "limited"), (unlimited, "unlimited")] {
                group.bench_function(format!("{name}/{addresses} addresses/{limited}"), |b| {
                    let flows = flows(addresses);
                    let monitored = monitored(prefixes);
                    // The memory of the previous flush is reused, as in the collector.
                    let mut tally = Tally::new(limits);
                    book_all(&mut tally, &monitored, &flows);
                    b.iter(|| {
                        tally.clear();
                        book_all(&mut tally, &monitored, &flows);
                    });
                });
            }
        }
    }
}

/// The same million flows spread over many senders that monitor one prefix each.
fn senders(c: &mut Criterion) {
    let mut group = c.benchmark_group("senders");
    group.throughput(Throughput::Elements(FLOWS as u64)).sample_size(10);
    let flows = flows(50_000);
    for senders in [1u32, 100, 10_000] {
        let monitored: Vec<Monitored> = (0..senders)
            .map(|id| Monitored::new(Ipv4Addr::from_bits(id).into(), &[("10.0.0.0/8".parse().unwrap(), GroupId(id))]))
            .collect();
        let mut tally = Tally::new(TallySettings::default());
        group.bench_function(format!("{senders}"), |b| {
            b.iter(|| {
                tally.clear();
                // Datagrams of 30 flows come from one sender at a time.
                for (datagram, sender) in flows.chunks(30).zip(monitored.iter().cycle()) {
                    book_all(&mut tally, sender, datagram);
                }
            });
        });
    }
}

fn flush(c: &mut Criterion) {
    let mut group = c.benchmark_group("flush");
    group.sample_size(10);
    let flows = flows(50_000);
    let monitored = monitored(&["10.0.0.0/8"]);
    let mut tally = Tally::new(TallySettings::default());
    book_all(&mut tally, &monitored, &flows);
    group.throughput(Throughput::Elements(tally.names() as u64));
    group.bench_function("names of one prefix", |b| {
        b.iter_batched(
            || (),
            |()| tally.blocks(accounting::block::WriterId(1), flow::FlushNumber { epoch: 1, sequence: 1 }),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, book, senders, flush);
criterion_main!(benches);
