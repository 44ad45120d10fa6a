//! A table of a million routes: how long it takes to read and to compile, what memory it takes, and what a look-up takes.
//! The memory is that of the process, so that the octets of the session are generated as they are read.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use bmp::{Limits, Rib, Session};
use criterion::{Criterion, Throughput, criterion_group};
use flow::Timestamp;
use testing::Random;
use testing::bmp::{Group, Network, Peer, Update, full_table, initiation, open, peer_up, route_monitoring};

const ROUTES: usize = 1_000_000;
const NOW: Timestamp = Timestamp::from_seconds(1_795_960_800);

/// The messages of a router with this table: one for each group of routes, or one for each route as FRR sends them.
fn messages(table: impl Iterator<Item = Group>, is_single: bool) -> impl Iterator<Item = Vec<u8>> {
    let peer = Peer::loc_rib(64500);
    table.flat_map(move |group| {
        let per_message = if is_single { 1 } else { group.networks.len() };
        let update = |networks: &[Network]| Update::new().path(&group.path).preference(100).announce(networks).octets();
        let messages: Vec<_> =
            group.networks.chunks(per_message).map(|networks| route_monitoring(&peer, &update(networks))).collect();
        messages
    })
}

fn begin(rib: &mut Rib) -> Session {
    let mut session = Session::new();
    let begin = [initiation(), peer_up(&Peer::loc_rib(64500), &open(64500, &[]))].concat();
    session.receive(rib, &begin, NOW).unwrap();
    session
}

/// Reads all messages; returns the time without their generation.
fn read(rib: &mut Rib, session: &mut Session, messages: impl Iterator<Item = Vec<u8>>) -> Duration {
    let mut taken = Duration::ZERO;
    let mut octets = Vec::new();
    let mut receive = |octets: &mut Vec<u8>| {
        let since = Instant::now();
        session.receive(rib, octets, NOW).unwrap();
        taken += since.elapsed();
        octets.clear();
    };
    for message in messages {
        octets.extend(message);
        if octets.len() > 1 << 16 {
            receive(&mut octets);
        }
    }
    receive(&mut octets);
    taken
}

fn mib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).expect("a line of the field");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn load() -> Rib {
    let before = mib("VmRSS");
    let mut rib = Rib::new(Limits::default());
    let mut session = begin(&mut rib);
    let taken = read(&mut rib, &mut session, messages(full_table(ROUTES, 1), true));
    println!("{ROUTES} routes in {} messages: {taken:?}, {} different paths", session.counts().messages, rib.paths());
    println!("memory of the routes: {} MiB", mib("VmRSS") - before);
    let since = Instant::now();
    let snapshot = rib.snapshot();
    println!("snapshot of all: {:?}, {} ranges", since.elapsed(), snapshot.ranges());
    println!("memory with a snapshot: {} MiB", mib("VmRSS") - before);
    rib.session_ended(NOW);
    let mut session = begin(&mut rib);
    let taken = read(&mut rib, &mut session, messages(full_table(ROUTES, 1), false));
    println!("the same again in {} messages, after the end of the session: {taken:?}", session.counts().messages);
    let since = Instant::now();
    let next = rib.snapshot();
    println!("snapshot of all, beside the one before it: {:?}, {} ranges", since.elapsed(), next.ranges());
    println!("memory with two snapshots: {} MiB, never more than {} MiB", mib("VmRSS") - before, mib("VmHWM") - before);
    drop(snapshot);
    let changes = full_table(ROUTES, 1).step_by(500).map(|group| Group { path: vec![1, 2, 3], ..group });
    read(&mut rib, &mut session, messages(changes, false));
    let since = Instant::now();
    rib.snapshot();
    println!("snapshot after {} changes at random places: {:?}", ROUTES / 8 / 500 * 8, since.elapsed());
    rib
}

fn look_up(criterion: &mut Criterion) {
    let mut rib = load();
    let snapshot = rib.snapshot();
    let mut random = Random::new(2);
    let networks: Vec<IpAddr> =
        full_table(ROUTES, 1).flat_map(|group| group.networks).map(|(first, _)| first).collect();
    let mut address = |is_ipv4: bool| loop {
        match random.pick(&networks) {
            IpAddr::V4(first) if is_ipv4 => break IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | 77)),
            IpAddr::V6(first) if !is_ipv4 => break IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | 77)),
            _ => {}
        }
    };
    let mut group = criterion.benchmark_group("longest match");
    for (name, distinct, is_ipv4) in [
        ("IPv4, 1,000,000 addresses", 1_000_000, true),
        ("IPv4, 10,000 addresses", 10_000, true),
        ("IPv6, 1,000,000 addresses", 1_000_000, false),
        ("IPv6, 10,000 addresses", 10_000, false),
    ] {
        let addresses: Vec<IpAddr> = (0..distinct).map(|_| address(is_ipv4)).collect();
        group.throughput(Throughput::Elements(addresses.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let origin = |address: &IpAddr| snapshot.longest_match(*address).and_then(bmp::Path::origin);
                black_box(&addresses).iter().filter_map(origin).fold(0_u32, u32::wrapping_add)
            });
        });
    }
}

criterion_group!(benches, look_up);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
