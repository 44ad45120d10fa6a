//! A datagram's way through a shard, without sockets and stores: admit, decode, attribute, tally.
//! Fifty thousand distinct addresses, three monitored prefixes of which each flow is in two, eight fields.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may fail")]

use std::collections::HashMap;
use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use accounting::tally::{GroupId, Monitored, TallySettings};
use arc_swap::ArcSwap;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow::{Exporter, Prefix, SenderSettings, Timestamp};
use origin::{Contents, Sources, Table};
use pipeline::{Exporters, Registration, Rules, Shard};
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, PendingBudget, SessionLimits};

/// Distinct monitored addresses, and the same number of others.
const HOSTS: u32 = 50_000;
const DATAGRAMS: u32 = 4096;
const SECOND: u32 = 1_800_000_000;

/// The values that differ between flows. A simple generator, so that each run has the same flows.
struct Flows(u64);

#[derive(Clone, Copy)]
struct Flow {
    source: u32,
    destination: u32,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    octets: u32,
    packets: u32,
}

impl Flows {
    fn next(&mut self) -> Flow {
        let mut random = |below: u32| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) % u64::from(below)) as u32
        };
        let inside = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + random(HOSTS);
        let outside = u32::from(Ipv4Addr::new(172, 16, 0, 0)) + random(HOSTS);
        let (source, destination) = if random(2) == 0 { (inside, outside) } else { (outside, inside) };
        Flow {
            source,
            destination,
            source_port: 1024 + random(30_000) as u16,
            destination_port: [443, 80, 53, 22][random(4) as usize],
            protocol: [6, 17][random(2) as usize],
            octets: 40 + random(1_000_000),
            packets: 1 + random(1000),
        }
    }
}

fn v5(flows: &mut Flows, datagrams: u32) -> Vec<Vec<u8>> {
    let datagram = |sequence: u32| {
        let header = wire::netflow_v5::Header {
            unix_seconds: SECOND.into(),
            sequence: (sequence * 30).into(),
            ..Default::default()
        };
        let records = std::iter::repeat_with(|| flows.next()).take(30).map(|flow| wire::netflow_v5::Record {
            source: flow.source.to_be_bytes(),
            destination: flow.destination.to_be_bytes(),
            octets: flow.octets.into(),
            packets: flow.packets.into(),
            source_port: flow.source_port.into(),
            destination_port: flow.destination_port.into(),
            protocol: flow.protocol,
            source_as: 64_500.into(),
            destination_as: 64_501.into(),
            ..Default::default()
        });
        encode::netflow_v5(&header, &records.collect::<Vec<_>>())
    };
    (0..datagrams).map(datagram).collect()
}

/// Eighteen fields, as routers send them.
fn template() -> TemplateSpec {
    let fields = [
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 4),
        (14, 4),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (6, 1),
        (4, 1),
        (5, 1),
        (16, 4),
        (17, 4),
        (9, 1),
        (13, 1),
    ];
    TemplateSpec::data(256, fields.map(|(id, length)| FieldSpecifier::iana(id, length)))
}

fn record(template: &TemplateSpec, flow: Flow) -> Vec<u8> {
    let zero = [0; 4];
    template.record(&[
        &flow.source.to_be_bytes(),
        &flow.destination.to_be_bytes(),
        &zero,
        &zero,
        &zero,
        &flow.packets.to_be_bytes(),
        &flow.octets.to_be_bytes(),
        &zero,
        &zero,
        &flow.source_port.to_be_bytes(),
        &flow.destination_port.to_be_bytes(),
        &[0x18],
        &[flow.protocol],
        &[0],
        &64_500_u32.to_be_bytes(),
        &64_501_u32.to_be_bytes(),
        &[24],
        &[24],
    ])
}

/// Only the first datagram contains the template.
fn v9(flows: &mut Flows) -> Vec<Vec<u8>> {
    let template = template();
    let datagram = |sequence: u32| {
        let header =
            wire::netflow_v9::Header { unix_seconds: SECOND.into(), sequence: sequence.into(), ..Default::default() };
        let packet = NetflowV9::new(header);
        let packet = if sequence == 0 { packet.template(&template) } else { packet };
        packet.data(&template, &records(&template, flows)).finish()
    };
    (0..DATAGRAMS).map(datagram).collect()
}

fn ipfix(flows: &mut Flows) -> Vec<Vec<u8>> {
    let template = template();
    let datagram = |number: u32| {
        let header =
            wire::ipfix::Header { export_seconds: SECOND.into(), sequence: (number * 24).into(), ..Default::default() };
        let message = Ipfix::new(header);
        let message = if number == 0 { message.template(&template) } else { message };
        message.data(&template, &records(&template, flows)).finish()
    };
    (0..DATAGRAMS).map(datagram).collect()
}

fn records(template: &TemplateSpec, flows: &mut Flows) -> Vec<Vec<u8>> {
    std::iter::repeat_with(|| record(template, flows.next())).take(24).collect()
}

/// Each sender, from 127.0.0.1 on, has its own three prefixes.
fn shard(senders: u32) -> Shard {
    let [shard] = shards(senders);
    shard
}

/// The same, several that share their exporters.
fn shards<const COUNT: usize>(senders: u32) -> [Shard; COUNT] {
    let prefixes: [Prefix; 3] = ["10.0.0.0/8", "10.0.0.0/12", "192.0.2.0/24"].map(|prefix| prefix.parse().unwrap());
    let monitored = (0..senders).map(|number| {
        let groups: Vec<_> = prefixes.into_iter().zip((number * 3..).map(GroupId)).collect();
        let monitored = Monitored::new(address(number), &groups);
        (address(number), Arc::new(Registration { monitored, settings: SenderSettings::default() }))
    });
    let rules = Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings { names: 4_000_000, ..TallySettings::default() },
    };
    let admitted = Arc::new(ArcSwap::from_pointee(HashMap::from_iter(monitored)));
    let exporters = Exporters::new(rules.session, PendingBudget::default());
    [(); COUNT].map(|()| Shard::new(rules, Arc::clone(&admitted), exporters.clone()))
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number).into()
}

fn shard_loop(criterion: &mut Criterion) {
    let mut flows = Flows(1);
    let loads =
        [("v5", 30_u64, v5(&mut flows, DATAGRAMS)), ("v9", 24, v9(&mut flows)), ("ipfix", 24, ipfix(&mut flows))];
    let exporter = Exporter::udp(address(0), 2055);
    let received = Timestamp::from_seconds(u64::from(SECOND));
    let mut group = criterion.benchmark_group("shard");
    for (name, flows, datagrams) in &loads {
        group.throughput(Throughput::Elements(*flows));
        let mut shard = shard(1);
        let mut next = datagrams.iter().cycle();
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let payload = next.next().unwrap();
                shard.take(black_box(&Datagram { exporter, received, payload }));
            });
        });
        println!("{name}: {}", shard.counts());
    }
    group.finish();
}

/// The same flows from few or many senders; each sender has its own datagram, which is repeated.
fn senders(criterion: &mut Criterion) {
    const MOST: u32 = 10_000;
    let datagrams = v5(&mut Flows(1), MOST);
    let received = Timestamp::from_seconds(u64::from(SECOND));
    let mut group = criterion.benchmark_group("senders");
    group.throughput(Throughput::Elements(30));
    for senders in [1, 100, MOST] {
        let mut shard = shard(senders);
        let mut exporters = (0..senders).map(|number| Exporter::udp(address(number), 2055)).cycle();
        let mut next = datagrams.iter().cycle();
        let mut take = || {
            let (exporter, payload) = (exporters.next().unwrap(), next.next().unwrap());
            shard.take(black_box(&Datagram { exporter, received, payload }));
        };
        (0..MOST).for_each(|_| take());
        group.bench_function(senders.to_string(), |bencher| bencher.iter(&mut take));
    }
    group.finish();
}

/// Flows between a million different addresses: without AS numbers, with those of a file of 500,000 ranges, and with the same
/// stated by the exporter. What the second takes longer than the third is for the file; the rest is for counting by AS.
fn origins(criterion: &mut Criterion) {
    let mut random = Flows(1);
    let silent: Vec<_> = v5(&mut random, 4 * DATAGRAMS).into_iter().map(with_many_addresses).collect();
    let stating: Vec<_> = silent.iter().cloned().map(with_as_numbers).collect();
    let ranges: String = (0..RANGES).fold(String::new(), |mut text, number| {
        let first = Ipv4Addr::from_bits(FIRST_RANGE + number * RANGE_STEP);
        let last = Ipv4Addr::from_bits(first.to_bits() + RANGE_LENGTH - 1);
        let _ = writeln!(text, "{first}\t{last}\t{}\tCH\tName", as_of_range(number));
        text
    });
    let contents = Contents::parse("ranges.tsv".as_ref(), ranges.as_bytes()).unwrap();
    let table = Arc::new(Table::new(vec![contents]).unwrap());
    let with_file = Arc::new(ArcSwap::from_pointee(Sources::default().with_files(table)));
    let exporter = Exporter::udp(address(0), 2055);
    let received = Timestamp::from_seconds(u64::from(SECOND));
    let mut shards = [shard(1), shard(1).looking_up(with_file), shard(1)];
    let mut times = [(); 3].map(|()| Vec::new());
    // In turn, so that all have the same machine. The first rounds make the counters.
    for round in 0..24 {
        for ((shard, times), datagrams) in shards.iter_mut().zip(&mut times).zip([&silent, &silent, &stating]) {
            let begin = Instant::now();
            for payload in datagrams {
                shard.take(black_box(&Datagram { exporter, received, payload }));
            }
            if round >= 4 {
                times.push(begin.elapsed().as_secs_f64() * 1e9 / (datagrams.len() * 30) as f64);
            }
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let [without, file, stated] = &times;
    let ratio = |to: &[f64]| median(file.iter().zip(to).map(|(file, to)| file / to).collect());
    let (beside_none, beside_stated) = (ratio(without), ratio(stated));
    let [without, file, stated] = times.map(median);
    println!(
        "origins: {without:.1} ns a flow without, {file:.1} ns with a file, {stated:.1} ns stated; \
         medians of the file in pairs {beside_none:.3} and {beside_stated:.3}"
    );
    let _ = criterion;
}

/// The same datagram with other addresses: a million, all over the address space.
fn with_many_addresses(mut payload: Vec<u8>) -> Vec<u8> {
    for record in payload[24..].chunks_exact_mut(48) {
        for at in [0, 4] {
            let address = u32::from_be_bytes(record[at..at + 4].try_into().unwrap());
            let number = (address ^ u32::from_be_bytes(record[16..20].try_into().unwrap())) % 500_000;
            // Half of them inside the first prefix, the others everywhere.
            let inside = Ipv4Addr::new(10, 0, 0, 0).to_bits() + number;
            let is_inside = address >> 24 == 10;
            let other = if is_inside { inside } else { (1 << 24) + number.wrapping_mul(7411) };
            record[at..at + 4].copy_from_slice(&other.to_be_bytes());
        }
        record[40..44].fill(0);
    }
    payload
}

const RANGES: u32 = 500_000;
const FIRST_RANGE: u32 = 1 << 24;
const RANGE_STEP: u32 = 7 * 1024;
const RANGE_LENGTH: u32 = 7 * 1024;

const fn as_of_range(number: u32) -> u32 {
    1 + number % 65_000
}

/// The same datagram with the AS numbers that the file has for its addresses.
fn with_as_numbers(mut payload: Vec<u8>) -> Vec<u8> {
    for record in payload[24..].chunks_exact_mut(48) {
        for (address, asn) in [(0, 40), (4, 42)] {
            let address = u32::from_be_bytes(record[address..address + 4].try_into().unwrap()) - FIRST_RANGE;
            let number = address / RANGE_STEP;
            let is_known = number < RANGES && address % RANGE_STEP < RANGE_LENGTH;
            let stated = if is_known { as_of_range(number) } else { 0 };
            record[asn..asn + 2].copy_from_slice(&(stated as u16).to_be_bytes());
        }
    }
    payload
}

/// Two shards beside one, fed from memory: the rate of two threads as a multiple of the rate of one, when each has an exporter of
/// its own and when both read datagrams of the same one, by turns.
fn threads(criterion: &mut Criterion) {
    let mut random = Flows(1);
    let loads = [("v5", v5(&mut random, DATAGRAMS)), ("v9", v9(&mut random)), ("ipfix", ipfix(&mut random))];
    for (name, datagrams) in &loads {
        let of = |senders: [u32; 2]| {
            senders
                .map(|sender| Exporter::udp(address(sender), 2055))
                .into_iter()
                .zip(shards::<2>(2))
                .collect::<Vec<_>>()
        };
        let [mut alone, mut own, mut same] = [of([0, 1]), of([0, 1]), of([0, 0])];
        alone.truncate(1);
        let mut multiples = [vec![], vec![]];
        for round in 0..24 {
            let one = seconds(&mut alone, datagrams, 1);
            let of_two = [seconds(&mut own, datagrams, 1), seconds(&mut same, datagrams, 2)];
            if round >= 4 {
                multiples.iter_mut().zip(of_two).for_each(|(multiples, two)| multiples.push(2.0 * one / two));
            }
        }
        let [own, same] = multiples.map(|mut values| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        });
        println!(
            "threads: {name}: two shards count {own:.2} times as many flows as one; of one exporter {same:.2} times"
        );
    }
    let _ = criterion;
}

/// How long shards take, each on a thread, to count as many datagrams of the exporter beside it as there are, ten times. Shards
/// that share an exporter each take every `sharing`th, and others in each round.
fn seconds(shards: &mut [(Exporter, Shard)], datagrams: &[Vec<u8>], sharing: usize) -> f64 {
    let received = Timestamp::from_seconds(u64::from(SECOND));
    let start = &Barrier::new(shards.len() + 1);
    std::thread::scope(|scope| {
        let count = |first: usize, exporter: Exporter, shard: &mut Shard| {
            start.wait();
            for round in 0..10 * sharing {
                for payload in datagrams.iter().skip((first + round) % sharing).step_by(sharing) {
                    shard.take(black_box(&Datagram { exporter, received, payload }));
                }
            }
        };
        let counting = shards.iter_mut().enumerate();
        let counting: Vec<_> =
            counting.map(|(first, (exporter, shard))| scope.spawn(move || count(first, *exporter, shard))).collect();
        start.wait();
        let begin = Instant::now();
        counting.into_iter().for_each(|thread| thread.join().unwrap());
        begin.elapsed().as_secs_f64()
    })
}

criterion_group!(benches, shard_loop, senders, origins, threads);
criterion_main!(benches);
