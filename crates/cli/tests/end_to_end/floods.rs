//! Floods of state that costs a collector memory, beside a registered exporter, which loses nothing; memory stays bounded.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use udp::{Outgoing, Sender};
use wire::encode::{NetflowV9, TemplateSpec};
use wire::{FieldSpecifier, netflow_v9};

use crate::collector::{Collector, PATIENCE, resident};
use crate::load::{FLOWS_A_SECOND, Running, flows, register, until_exact, wait};

/// How many of each come: NETFLOW_FLOOD in the environment, or few enough for every change to be tested with.
fn size() -> u64 {
    std::env::var("NETFLOW_FLOOD").map_or(50_000, |number| number.parse().expect("NETFLOW_FLOOD is a number"))
}

/// The rate of a flood per second: a million in 50 seconds.
const A_SECOND: u64 = 20_000;
/// How much resident memory may grow.
const GROWTH_BYTES: u64 = 64 << 20;
/// A second registered exporter: announcements of unregistered ones are not decoded at all.
const FLOODING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Templates, or data sets, of one datagram.
const A_DATAGRAM: u64 = 16;
/// Template ids are 256 to 65535 in each observation domain.
const IDS: u64 = 65_280;

/// One datagram of a flood.
struct Flooded {
    source: Ipv4Addr,
    payload: Vec<u8>,
}

/// The observation domain and the id of the n-th template.
fn template(number: u64) -> (u32, TemplateSpec) {
    let fields = [8, 12, 1, 2].map(|element| FieldSpecifier::iana(element, 4));
    ((number / IDS) as u32, TemplateSpec::data((256 + number % IDS) as u16, fields))
}

/// A packet of some templates, or of data for them. As many are in one packet as are of one observation domain.
fn packet(numbers: Range<u64>, add: impl Fn(NetflowV9, &TemplateSpec) -> NetflowV9) -> Flooded {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
    let (source_id, _) = template(numbers.start);
    let header = netflow_v9::Header {
        unix_seconds: seconds.into(),
        source_id: source_id.into(),
        ..netflow_v9::Header::default()
    };
    let packet = numbers.map(template).fold(NetflowV9::new(header), |packet, (_, template)| add(packet, &template));
    Flooded { source: FLOODING, payload: packet.finish() }
}

/// Sends a flood evenly; returns how long it took.
fn flood(to: SocketAddr, make: impl Fn(Range<u64>) -> Vec<Flooded>) -> Duration {
    let (sender, begun, mut sent) = (Sender::new(to).unwrap(), Instant::now(), 0);
    while sent < size() {
        // A sender that was not scheduled catches up slowly: a burst would overflow the receive buffer.
        let due = begun.elapsed().as_micros() as u64 * A_SECOND / 1_000_000;
        let due = due.min(sent + A_SECOND / 100).min(size());
        let due = if due == size() { due } else { due / A_DATAGRAM * A_DATAGRAM };
        let datagrams = make(sent..due.max(sent));
        let outgoing: Vec<_> =
            datagrams.iter().map(|it| Outgoing { source: Some(it.source), payload: &it.payload }).collect();
        for some in outgoing.chunks(64) {
            sender.send(some).unwrap();
        }
        sent = due.max(sent);
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

fn of_status<'s>(status: &'s Value, counter: &str) -> &'s Value {
    &status["counters"][counter]
}

fn status(collector: &Collector) -> Value {
    collector.rest("GET", "/status", "")
}

/// A flood beside a load. `arrived` returns how many of the flood the collector has counted. Returns its status at the end.
fn costs_nothing(what: &str, make: impl Fn(Range<u64>) -> Vec<Flooded>, arrived: impl Fn(&Value) -> u64) -> Value {
    let collector = Collector::start_with(&[("NETFLOW__SERVER__CORES", "2")]);
    register(&collector);
    let prefix = r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":8}]}"#;
    collector.rest("PUT", &format!("/senders/{FLOODING}"), prefix);
    collector.wait_for_line("senders=2");
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(3));
    let (process, ended) = (collector.process(), AtomicBool::new(false));
    let before = resident(process);
    let (took, largest) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut largest = 0;
            while !ended.load(Ordering::Relaxed) {
                largest = resident(process).max(largest);
                std::thread::sleep(Duration::from_millis(50));
            }
            largest
        });
        let took = flood(collector.receiving, make);
        // The latest announcements are kept over a restart: that costs memory too.
        wait(Duration::from_secs(2));
        ended.store(true, Ordering::Relaxed);
        (took, watching.join().unwrap())
    });
    let sent = load.stop();
    until_exact(&collector, &sent, PATIENCE);
    // Another thread than that of the load may still have some in its queue.
    collector.wait_until("all of the flood read", || arrived(&status(&collector)) >= size());
    let status = status(&collector);
    assert_eq!(of_status(&status, "kernel_drops"), 0, "{status:#}");
    assert_eq!(arrived(&status), size(), "{status:#}");
    let growth = largest.saturating_sub(before);
    assert!(growth < GROWTH_BYTES, "{what}: {growth} bytes");
    let (size, sent, growth) = (size(), flows(&sent), growth as f64 / f64::from(1 << 20));
    println!("{size} {what} in {took:.1?}: memory grew by {growth:.1} MiB; {sent} flows beside it, all counted");
    collector.terminate();
    status
}

/// The numbers in parts that each go into one packet.
fn packets(numbers: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = numbers.end;
    numbers.step_by(A_DATAGRAM as usize).map(move |start| start..(start + A_DATAGRAM).min(end))
}

/// The observation domain of the exporter whose address is forged.
const OWN_DOMAIN: u32 = 1000;
/// After this many templates of the flood it announces one of its own, whose data follow a tenth of that later.
const OWN_AFTER: u64 = 1600;

/// What the exporter sends after this many templates of the flood.
fn own(flooded: u64) -> Option<Flooded> {
    let (round, announces) = (flooded / OWN_AFTER, flooded.is_multiple_of(OWN_AFTER));
    if !announces && flooded % OWN_AFTER != OWN_AFTER / 10 {
        return None;
    }
    let (_, template) = template(round);
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
    let header =
        netflow_v9::Header { unix_seconds: seconds.into(), source_id: OWN_DOMAIN.into(), ..Default::default() };
    let packet = NetflowV9::new(header);
    let record = vec![10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 100, 0, 0, 0, 1];
    let packet = if announces { packet.template(&template) } else { packet.data(&template, &[record]) };
    Some(Flooded { source: FLOODING, payload: packet.finish() })
}

#[test]
fn distinct_templates_cost_no_exporter_anything_even_with_its_address_forged() {
    let make = |numbers| {
        let with_own = |numbers: Range<u64>| {
            let own = own(numbers.start);
            own.into_iter().chain([packet(numbers, |packet, template| packet.template(template))])
        };
        packets(numbers).flat_map(with_own).collect()
    };
    let count = |status: &Value, counter| of_status(status, counter).as_u64().unwrap();
    let own = size().div_ceil(OWN_AFTER);
    let status = costs_nothing("distinct templates", make, |status| count(status, "templates").saturating_sub(own));
    let count = |counter| count(&status, counter);
    // Each of the exporter's own is read, although its table was full all the time.
    assert_eq!((count("missing_template_sets"), count("decode_errors"), count("refused_templates")), (0, 0, 0));
    // More do not fit into 2 MiB.
    assert!(count("displaced_templates") + 8192 >= size(), "{status:#}");
}

#[test]
fn data_sets_without_template_cost_others_nothing() {
    let record = vec![[10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 100, 0, 0, 0, 1].repeat(4)];
    let make = |numbers| {
        packets(numbers).map(|numbers| packet(numbers, |packet, template| packet.data(template, &record))).collect()
    };
    costs_nothing("data sets without template", make, |status| {
        of_status(status, "missing_template_sets").as_u64().unwrap()
    });
}

#[test]
fn unknown_senders_cost_others_nothing() {
    let make = |numbers: Range<u64>| {
        let source = |number| Ipv4Addr::from_bits(0x7f10_0000 + number as u32);
        numbers.map(|number| Flooded { source: source(number), payload: crate::thirty_flows() }).collect()
    };
    costs_nothing("unknown senders", make, |status| of_status(status, "datagrams")["unregistered"].as_u64().unwrap());
}
