//! A look-up in a table of 500,000 IPv4 and 200,000 IPv6 ranges, beside maxminddb on the same file, and what loading takes.
//!
//! The networks are made: lengths as in the Internet's routing table, and IPv6 networks where the registries allocate them.
//! `NETFLOW_ORIGIN_FILE` names a file to be used instead.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may fail")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maxminddb::{Reader, path};
use origin::{Contents, Table};
use testing::Random;
use testing::mmdb::{Mmdb, Value};

const IPV4_RANGES: usize = 500_000;
const IPV6_RANGES: usize = 200_000;
const LOOKUPS: usize = 1 << 16;

/// Networks that do not overlap, each with its AS.
type Networks = BTreeMap<u128, (IpAddr, u32)>;

/// IPv4: half of them /24, the others shorter. No neighbours have one AS, so each is a range.
fn ipv4_networks(random: &mut Random) -> Networks {
    let mut networks = Networks::new();
    let mut next = 0x0100_0000u64;
    while networks.len() < IPV4_RANGES && next < 0xe000_0000 {
        let length = *random.pick(&[24, 24, 24, 24, 23, 22, 22, 21, 20, 19]);
        let size = 1u64 << (32 - length);
        next = next.next_multiple_of(size);
        networks.insert(next.into(), (Ipv4Addr::from_bits(next as u32).into(), length));
        // Some of the space belongs to no network.
        next += size * if random.once_in(8) { 2 } else { 1 };
    }
    networks
}

/// IPv6: blocks of the registries (/12 and 2001::/16), in them /32 of networks, some of which have hundreds of /48.
fn ipv6_networks(random: &mut Random) -> Networks {
    const REGISTRIES: [(u128, u32); 7] =
        [(0x2001, 16), (0x2400, 12), (0x2600, 12), (0x2800, 12), (0x2a00, 12), (0x2a10, 12), (0x2c00, 12)];
    let mut networks = Networks::new();
    while networks.len() < IPV6_RANGES {
        let (block, bits) = *random.pick(&REGISTRIES);
        // Registries allocate from the beginning of their blocks.
        let holder = block << 112 | u128::from(random.below(1 << (32 - bits)) >> random.below(6)) << 96;
        let count = if random.once_in(16) { 1 + random.below(400) } else { 1 };
        for _ in 0..count {
            let (network, length) = match count {
                1 => (holder, 32),
                _ => (holder | u128::from(random.below(1 << 16)) << 80, 48),
            };
            networks.entry(network).or_insert((Ipv6Addr::from_bits(network).into(), length));
        }
    }
    networks
}

/// Both families in one file with the layout of GeoLite2-ASN.
fn database() -> Vec<u8> {
    let mut random = Random::new(19);
    let mut file = Mmdb::new("GeoLite2-ASN", true, 28);
    let networks = ipv6_networks(&mut random).into_values().chain(ipv4_networks(&mut random).into_values());
    let mut networks: Vec<_> = networks.collect();
    networks.sort_by_key(|(_, length)| *length);
    for (network, length) in networks {
        let asn = 1 + random.below(80_000) as u32;
        let name = format!("Example Network {asn} Ltd");
        let record =
            [("autonomous_system_number", Value::Number(asn)), ("autonomous_system_organization", Value::Text(&name))];
        file.insert(network, length, &Value::Map(record.into()));
    }
    file.finish()
}

/// Random addresses: of all IPv4 addresses that are given to networks, and of the space that has IPv6 networks.
fn addresses(table: &Table, ipv6: bool) -> Vec<IpAddr> {
    let mut random = Random::new(20);
    let mut draw = || -> IpAddr {
        let low = u128::from(random.below(u64::MAX));
        if !ipv6 {
            return Ipv4Addr::from_bits(random.below(0xdf00_0000) as u32 + 0x0100_0000).into();
        }
        let high = u128::from(0x2001_0000_0000_0000 + random.below(0x0c0f_0000_0000_0000));
        Ipv6Addr::from_bits(high << 64 | low).into()
    };
    let mut drawn = Vec::new();
    while drawn.len() < LOOKUPS {
        let address = draw();
        // Most of the IPv6 space is empty, unlike traffic.
        if table.get(address).is_some() || drawn.len() % 16 == 0 {
            drawn.push(address);
        }
    }
    drawn
}

fn lookup(c: &mut Criterion) {
    let path = std::env::var_os("NETFLOW_ORIGIN_FILE").map(PathBuf::from);
    let octets = path.as_ref().map_or_else(database, |path| std::fs::read(path).unwrap());
    let path = path.unwrap_or_else(|| "made.mmdb".into());
    let table = Table::new(vec![Contents::parse(&path, &octets).unwrap()]).unwrap();
    println!("{:?} ranges, {} names, {} bytes on the heap", table.ranges(), table.names(), table.heap_bytes());
    let reader = Reader::from_source(octets.as_slice()).ok();

    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(LOOKUPS as u64));
    for (family, ipv6) in [("IPv4", false), ("IPv6", true)] {
        let addresses = addresses(&table, ipv6);
        group.bench_function(format!("{family}/table"), |b| {
            b.iter(|| addresses.iter().filter_map(|address| table.get(*address)?.asn()).fold(0u32, u32::wrapping_add));
        });
        // Each address depends on the answer before it: what one look-up takes, without others at the same time.
        group.bench_function(format!("{family}/table, one after the other"), |b| {
            b.iter(|| {
                let next = |index: usize, address: &IpAddr| {
                    index + 1 + table.get(*address).and_then(|origin| origin.asn()).unwrap_or(0) as usize % 2
                };
                let mut index = 0;
                for _ in 0..LOOKUPS {
                    index = next(index, &addresses[index % LOOKUPS]);
                }
                black_box(index)
            });
        });
        let Some(reader) = &reader else { continue };
        group.bench_function(format!("{family}/maxminddb"), |b| {
            b.iter(|| {
                let asn = |address: &IpAddr| {
                    reader.lookup(*address).ok()?.decode_path::<u32>(&path!["autonomous_system_number"]).ok()?
                };
                addresses.iter().filter_map(asn).fold(0u32, u32::wrapping_add)
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("load");
    group.sample_size(10);
    group.bench_function("one file", |b| {
        b.iter(|| Table::new(vec![Contents::parse(Path::new("made.mmdb"), &octets).unwrap()]).unwrap());
    });
}

criterion_group!(benches, lookup);
criterion_main!(benches);
