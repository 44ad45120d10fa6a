//! The cost of finding all monitored prefixes of an address, by the number of prefixes.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a bench may fail")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use accounting::prefix_table::PrefixTable;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow::{Prefix, PrefixError};

const LOOKUPS: u64 = 1 << 14;

fn mixed(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An address within 10.0.0.0/8 or 2001:db8::/32.
fn address(number: u64, ipv6: bool) -> IpAddr {
    let bits = mixed(number);
    if ipv6 {
        Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits) << 32 | u128::from(bits >> 32)).into()
    } else {
        Ipv4Addr::from_bits(0x0a00_0000 | (bits as u32) >> 8).into()
    }
}

/// Prefixes of the lengths that networks have, some within others.
fn prefixes(count: u64, ipv6: bool) -> Vec<Prefix> {
    let lengths = if ipv6 { [40, 44, 48, 48, 48, 56, 60, 64] } else { [14, 16, 19, 20, 22, 24, 24, 28] };
    let prefix = |number: u64| match Prefix::new(address(number << 32, ipv6), lengths[(mixed(number) % 8) as usize]) {
        Ok(prefix) | Err(PrefixError::HostBits { meant: prefix, .. }) => prefix,
        Err(error) => panic!("{error}"),
    };
    // Each once: there are not many prefixes of the shorter lengths.
    let mut once = BTreeSet::new();
    let mut numbers = 0..;
    while (once.len() as u64) < count {
        once.extend(numbers.next().map(prefix));
    }
    once.into_iter().collect()
}

fn covering(c: &mut Criterion) {
    let mut group = c.benchmark_group("covering");
    group.throughput(Throughput::Elements(LOOKUPS));
    for (family, ipv6) in [("IPv4", false), ("IPv6", true)] {
        let addresses: Vec<IpAddr> = (0..LOOKUPS).map(|number| address(number, ipv6)).collect();
        for count in [1, 10, 100, 1_000, 10_000, 100_000] {
            let table = PrefixTable::new(&prefixes(count, ipv6));
            group.bench_function(format!("{family}/{count}"), |b| {
                b.iter(|| {
                    let mut sum = 0u32;
                    for address in &addresses {
                        table.covering(*address, &mut |index| sum = sum.wrapping_add(index));
                    }
                    black_box(sum)
                });
            });
        }
    }
}

criterion_group!(benches, covering);
criterion_main!(benches);
