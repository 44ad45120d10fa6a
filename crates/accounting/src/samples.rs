//! Random addresses, prefixes and flows for the property tests of this crate.

use std::net::{IpAddr, Ipv4Addr};

use flow::{Counters, FlowRecord, FlushNumber, Prefix, PrefixError, Sampling, SamplingSource, Timestamp, canonical};
use proptest::prelude::*;

use crate::block::{BlockKey, TableSet, Tables, WriterId};
use crate::direction::Direction;
use crate::field::{Field, Name, Value};
use crate::period::Interval;

/// Few bits vary, so that prefixes nest, are adjacent, and contain the addresses.
pub(crate) fn crowded_address() -> impl Strategy<Value = IpAddr> {
    let bits = prop_oneof![any::<u32>(), (0u32..16).prop_map(|low| low | 0x0a00_0000), Just(0), Just(u32::MAX)];
    (bits, any::<bool>()).prop_map(|(bits, long)| {
        if long { IpAddr::V6((u128::from(bits) << 96 | u128::from(bits & 7)).into()) } else { IpAddr::V4(bits.into()) }
    })
}

pub(crate) fn crowded_prefix() -> impl Strategy<Value = Prefix> {
    (crowded_address(), 0u64..=128).prop_map(|(address, length)| {
        let length = if address.is_ipv4() { length % 33 } else { length };
        match Prefix::new(address, length) {
            Ok(prefix) | Err(PrefixError::HostBits { meant: prefix, .. }) => prefix,
            Err(error) => panic!("{error}"),
        }
    })
}

/// Flows with few values, so that they share counters; some are biflows, some sampled, some count nothing.
pub(crate) fn crowded_flow() -> impl Strategy<Value = FlowRecord> {
    let addresses = (crowded_address(), crowded_address());
    let numbers = (0u8..4, 0u16..6, 0u16..6, 0u32..3, 0u32..3, 0u32..3, 0u32..3);
    (addresses, numbers, counters(), counters(), any::<bool>(), 0u32..4).prop_map(
        |((source, destination), numbers, forward, reverse, biflow, rate)| FlowRecord {
            source,
            destination,
            protocol: numbers.0,
            source_port: numbers.1,
            destination_port: numbers.2,
            source_as: numbers.3,
            destination_as: numbers.4,
            input_interface: numbers.5,
            output_interface: numbers.6,
            forward,
            reverse: if biflow { reverse } else { Counters::ZERO },
            sampling: Sampling::of_packets(rate, SamplingSource::Header),
            ..FlowRecord::empty(Timestamp::EPOCH)
        },
    )
}

/// Often zero, sometimes large, never so large that sums of some hundreds saturate.
pub(crate) fn counters() -> impl Strategy<Value = Counters> {
    let count = prop_oneof![0u64..4, 0u64..2000, 0u64..1 << 50];
    (count.clone(), count, 0u64..3).prop_map(|(bytes, packets, flows)| Counters { bytes, packets, flows })
}

/// An entry to add to [`Tables`].
pub(crate) type Entry = (Direction, Name, Counters);

/// Entries of any direction, field and value.
pub(crate) fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let address = prop_oneof![
        crowded_address(),
        any::<u128>().prop_map(|bits| canonical(IpAddr::V6(bits.into()))),
        Just(IpAddr::V6(u128::MAX.into())),
    ];
    let number = prop_oneof![any::<u32>(), 0u32..20, Just(u32::MAX)];
    let direction = prop::sample::select(&Direction::ALL[..]);
    let entry = (direction, prop::sample::select(&Field::ALL[..]), address, number, counters()).prop_map(
        |(direction, field, address, number, counters)| {
            let value = match field.largest_number() {
                Some(largest) => Value::Number(number.min(largest)),
                None => Value::Address(address),
            };
            (direction, Name { field, value }, counters)
        },
    );
    prop::collection::vec(entry, 1..most)
}

/// Tables with these entries.
pub(crate) fn tables_of(entries: &[Entry]) -> Tables {
    let mut tables = Tables::new();
    for (direction, name, counters) in entries {
        tables.add(*direction, *name, *counters);
    }
    tables
}

/// A key of a block of this interval.
pub(crate) fn key_of(interval: Interval) -> BlockKey {
    BlockKey {
        interval,
        sender: Ipv4Addr::new(192, 0, 2, 1).into(),
        prefix: Prefix::new(Ipv4Addr::new(10, 0, 0, 0).into(), 8).unwrap(),
        writer: WriterId(42),
        origin: FlushNumber { epoch: 3, sequence: 9 }.into(),
        part: 0,
        tables: TableSet::EMPTY,
    }
}
