//! A small store with everything in it that can be wrong, for tests: two writers, three prefixes of two senders, minutes
//! over the end of a year, rolled up, with a late flow and an open hour.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use accounting::block::{AboutAll, Block, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::{Interval, Minute, Period};
use accounting::query::parse_interval;
use accounting::rollup::lift;
use accounting::variance::SamplingVariance;
use flow::{Counters, FlushNumber, Prefix, Sampling, SamplingSource, Timestamp};

use crate::batches::Group;
use crate::roll_up::advance;
use crate::{Selection, Store, WriterState};

pub(crate) const ADA: WriterId = WriterId(0xada);
pub(crate) const BOB: WriterId = WriterId(0xb0b);

/// Minutes with a flush of each writer: the last one has not been rolled up.
pub(crate) const MINUTES: [&str; 7] = [
    "2027-11-30 23:10",
    "2027-12-31 22:30",
    "2027-12-31 22:59",
    "2027-12-31 23:00",
    "2027-12-31 23:59",
    "2028-01-01 00:00",
    "2028-01-01 01:07",
];

pub(crate) fn minute(text: &str) -> Interval {
    parse_interval(Period::Minute, text).unwrap()
}

pub(crate) fn groups() -> [Group; 3] {
    let v4 = Prefix::new(Ipv4Addr::new(172, 16, 0, 0).into(), 16).unwrap();
    let v6 = Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into(), 32).unwrap();
    let [ada, bob] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    [(ada, v4), (ada, v6), (bob, v4)]
}

/// Flows of a minute, some of them sampled: each counts in all fields.
pub(crate) fn tables(seed: u32) -> Tables {
    let mut tables = Tables::new();
    for number in 0..20_u32 {
        let counters =
            Counters { bytes: u64::from(seed * 31 + number * 100 + 1), packets: u64::from(number + 2), flows: 1 };
        let address = |of: u32| Value::Address(IpAddr::from((0xac10_0000 + of * 7 % 50).to_be_bytes()));
        let direction = if number % 3 == 0 { Direction::Out } else { Direction::In };
        for field in Field::ALL {
            let value = match field {
                Field::All => Value::Number(0),
                Field::Protocol => Value::Number(6 + number % 2 * 11),
                Field::SourceAddress => address(number + seed),
                Field::DestinationAddress => address(number * 3),
                Field::SourcePort => Value::Number(1024 + number),
                Field::DestinationPort => Value::Number(443),
                _ => Value::Number(number % 4),
            };
            tables.add(direction, Name { field, value }, counters);
        }
        let variance = SamplingVariance::of(counters, Sampling::of_packets(number % 2 * 100, SamplingSource::Record));
        tables.note(direction, AboutAll { variance, ..AboutAll::NOTHING });
    }
    tables
}

/// Flows of enough AS that their table has blocks of its own.
pub(crate) fn many_names() -> Tables {
    let mut tables = Tables::new();
    for number in 0..20_000 {
        for field in Field::ALL {
            let value = match field {
                Field::SourceAddress | Field::DestinationAddress => Value::Address([10, 0, 0, 1].into()),
                Field::SourceAs => Value::Number(number * 1000),
                _ => Value::Number(0),
            };
            tables.add(Direction::In, Name { field, value }, Counters { bytes: 5, packets: 2, flows: 1 });
        }
    }
    tables
}

/// The blocks of one flush in one minute, for all groups.
pub(crate) fn flush(writer: WriterId, sequence: u64, at: &str) -> Vec<Block> {
    let groups = groups().into_iter().zip(1..);
    groups
        .flat_map(|((sender, prefix), number)| {
            let seed = u32::try_from(sequence).unwrap() * 10 + number;
            tables(seed).blocks(minute(at), sender, prefix, writer, FlushNumber { epoch: 3, sequence }.into())
        })
        .collect()
}

/// Fills a store with all of it, rolled up.
pub(crate) async fn fill(store: &dyn Store) {
    for (sender, prefix) in groups() {
        store.add_prefixes(sender, &[prefix]).await.unwrap();
        store.touch_senders(&[(sender, Timestamp::from_seconds(1_800_000_000))]).await.unwrap();
    }
    store.put_templates(&[(groups()[0].0, vec![1, 2, 3])]).await.unwrap();
    for writer in [ADA, BOB] {
        let state = WriterState::new(writer, 3, Timestamp::from_seconds(1_830_000_000));
        store.put_writer(&state).await.unwrap();
        for (at, sequence) in MINUTES.into_iter().zip(1..) {
            store.put_blocks(&flush(writer, sequence, at)).await.unwrap();
        }
        let state = advance(store, state, minute("2028-01-01 01:09").start).await.unwrap();
        let mut late = flush(writer, 100, "2027-12-31 23:59");
        late.extend(lift(&late, state.watermarks).unwrap());
        store.put_blocks(&late).await.unwrap();
    }
}

/// All blocks of a store, sorted by key.
pub(crate) async fn blocks(store: &dyn Store) -> Vec<Block> {
    let mut found = Vec::new();
    for state in store.writers().await.unwrap() {
        for period in Period::ALL {
            for interval in store.intervals(state.writer, period, Minute::EPOCH, Minute::MAX).await.unwrap() {
                for (sender, prefix) in store.groups(state.writer, interval).await.unwrap() {
                    let selection = Selection { interval, sender, prefix, tables: TableSet::ALL };
                    found.extend(store.read_blocks_of(state.writer, &[selection]).await.unwrap());
                }
            }
        }
    }
    found.sort_unstable_by_key(|block| block.key);
    found
}
