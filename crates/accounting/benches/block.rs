//! The cost of encoding and summing blocks per name, and the number of bytes of a name.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use accounting::block::{Block, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::{Interval, Minute, Period};
use accounting::rollup::roll_up;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow::Counters;

fn mixed(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One minute with this many names in one field, of which neighbouring minutes have half in common.
fn tables(field: Field, names: u64, minute: u64, value: impl Fn(u64) -> Value) -> Tables {
    let mut tables = Tables::new();
    for number in 0..names {
        let random = mixed(number + minute * names / 2);
        let packets = 1 + random % 60;
        let counters = Counters { bytes: packets * (40 + random % 1400), packets, flows: 1 + random % 4 };
        tables.add(Direction::In, Name { field, value: value(random) }, counters);
    }
    tables
}

fn blocks(tables: &Tables, minute: u32) -> Vec<Block> {
    let interval = Interval { period: Period::Minute, start: Minute::new(minute) };
    let sender = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    tables.blocks(
        interval,
        sender,
        "10.0.0.0/8".parse().unwrap(),
        WriterId(1),
        flow::FlushNumber { epoch: 1, sequence: 1 }.into(),
    )
}

fn one_minute(c: &mut Criterion) {
    const NAMES: u64 = 10_000;
    type Kind = (&'static str, Field, fn(u64) -> Value);
    let kinds: [Kind; 3] = [
        ("IPv4", Field::SourceAddress, |random| Value::Address(Ipv4Addr::from_bits(random as u32).into())),
        ("IPv6", Field::SourceAddress, |random| {
            Value::Address(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(random)).into())
        }),
        ("port", Field::SourcePort, |random| Value::Number(random as u32 & 0xffff)),
    ];
    for (name, field, value) in kinds {
        let tables = tables(field, NAMES, 0, value);
        let made = blocks(&tables, 0);
        let bytes: usize = made.iter().map(|block| block.content.len()).sum();
        println!("{name}: {:.2} bytes a name", bytes as f64 / tables.len() as f64);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(tables.len() as u64)).sample_size(30);
        group.bench_function("encode", |b| b.iter(|| blocks(black_box(&tables), 0)));
        group.bench_function("decode and sum", |b| {
            b.iter(|| {
                let mut sum = Tables::new();
                for block in &made {
                    sum.merge(block, TableSet::ALL).unwrap();
                }
                sum
            });
        });
    }
}

fn hour(c: &mut Criterion) {
    const NAMES: u64 = 10_000;
    let made: Vec<Block> = (0..60)
        .flat_map(|minute| {
            let value = |random| Value::Address(Ipv4Addr::from_bits(random as u32).into());
            blocks(&tables(Field::SourceAddress, NAMES, minute, value), minute as u32)
        })
        .collect();
    let interval = Interval { period: Period::Hour, start: Minute::EPOCH };
    let mut group = c.benchmark_group("hour");
    group.throughput(Throughput::Elements(60 * NAMES)).sample_size(10);
    group.bench_function("roll up", |b| b.iter(|| roll_up(interval, &made)));
    group.bench_function("top 10", |b| {
        b.iter(|| {
            let mut sum = Tables::new();
            made.iter().for_each(|block| sum.merge(block, TableSet::ALL).unwrap());
            let mut rows: Vec<_> = sum.rows().collect();
            rows.select_nth_unstable_by_key(10, |(_, name, counters)| (std::cmp::Reverse(counters.bytes), *name));
            rows.truncate(10);
            rows
        });
    });
}

criterion_group!(benches, one_minute, hour);
criterion_main!(benches);
