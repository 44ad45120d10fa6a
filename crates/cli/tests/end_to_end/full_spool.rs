//! A store that is unreachable for so long that the spool is full: it is reported, and counting continues in memory, with
//! fewer counters when these are too many. Everything is counted when the store is back, also if the collector is killed
//! meanwhile.

use std::time::Duration;

use flow::Protocol;
use generator::{Load, Traffic};
use serde_json::Value;

use crate::collector::{Collector, PATIENCE};
use crate::load::{FLOWS_A_SECOND, Running, flows, register, sum, until_exact, wait};
use crate::reloads::{free_tcp, free_udp};
use crate::stores::{settings, start, start_in};
use crate::traffic::{PREFIXES, Totals};
use testing::Service;

/// More counters than fit into memory when they cannot be stored.
fn many_names(seed: u64) -> Load {
    let traffic = Traffic {
        prefixes: vec![PREFIXES[0].parse().unwrap()],
        addresses: 100_000,
        client_ports: 50_000,
        ..Traffic::default()
    };
    Load { protocol: Protocol::NetflowV5, seed, repeat: Some(200_000), traffic, ..Load::default() }
}

/// Without the names that are too many to be kept and asked for.
fn in_all(mut totals: Totals) -> Totals {
    totals.retain(|(_, _, name), _| name == "all");
    totals
}

fn ready(collector: &Collector) -> String {
    collector.shell(&format!("curl -sS http://{}/readyz", collector.serving))
}

fn gauge(collector: &Collector, name: &str) -> Value {
    collector.rest("GET", "/status", "")["gauges"][name].clone()
}

fn matched(collector: &Collector) -> u64 {
    collector.rest("GET", "/status", "")["counters"]["flows"]["matched"].as_u64().unwrap()
}

/// Waits until memory is full of names, and many more have come.
fn folds(collector: &Collector) {
    let at_limit = |names: Value| names["value"].as_f64() > names["limit"].as_f64().map(|limit| 0.9 * limit);
    collector.wait_until("at the limit of memory", || at_limit(gauge(collector, "names")));
    let flows = matched(collector);
    collector.wait_until("beyond it", || matched(collector) > flows + 100_000);
}

/// Starts a collector on a store that is then killed, and sends until the spool is full and names are folded.
fn filled(redis: &Service, settings: &[(String, String)]) -> (Collector, Running) {
    let collector = start(settings);
    register(&collector);
    let load = Running::of(collector.receiving, FLOWS_A_SECOND, many_names(1));
    wait(Duration::from_secs(1));
    redis.run(&["kill", "1"]);
    // Neither the store nor the spool takes flushes, and the log has the reason.
    collector.wait_until("reported", || ready(&collector).contains("the spool is full"));
    collector.wait_for_line("error=the store refuses: the spool is full");
    folds(&collector);
    let spool = gauge(&collector, "spool_bytes");
    assert!(spool["value"].as_f64() <= spool["limit"].as_f64(), "{spool}");
    (collector, load)
}

/// Waits until the store has everything, and the collector is ready again.
fn drained(collector: &Collector) {
    collector.wait_until("ready", || ready(collector).contains("OK"));
    collector.wait_until("drained", || gauge(collector, "spool_flushes")["value"] == 0.0);
}

#[test]
fn a_full_spool_costs_names_and_no_flow_even_if_the_collector_is_killed() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let mut settings = settings("redis", &redis.hosts, "netflow");
    settings.push(("NETFLOW__SPOOL__MAX_BYTES".to_owned(), "1MiB".to_owned()));
    settings.push(("NETFLOW__SERVER__NAME_MEMORY".to_owned(), "8MiB".to_owned()));
    let (collector, load) = filled(&redis, &settings);
    let first = load.stop();
    collector.wait_until("everything read", || matched(&collector) == flows(&first));
    let memory = collector.resident();
    let directory = collector.kill();

    redis.run(&["start"]);
    let collector = start_in(directory, &settings);
    drained(&collector);
    until_exact(&collector, &in_all(first.clone()), PATIENCE);

    // Again, without a kill.
    let load = Running::of(collector.receiving, FLOWS_A_SECOND, many_names(2));
    redis.run(&["kill", "1"]);
    collector.wait_until("reported", || ready(&collector).contains("the spool is full"));
    folds(&collector);
    redis.run(&["start"]);
    let sent = sum(first, load.stop());
    drained(&collector);
    until_exact(&collector, &in_all(sent.clone()), PATIENCE);
    assert!(collector.counter("folded_names") > 0);
    println!("full spool: {} flows, all counted; {} MiB of memory", flows(&sent), memory >> 20);
    collector.terminate();
}

#[test]
fn a_full_spool_is_named_with_what_to_do_and_takes_flushes_when_its_limit_is_raised() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let (netflow, http, hosts) = (free_udp(), free_tcp(), &redis.hosts);
    let text = |spool: &str| {
        format!(
            "storage = \"redis\"\nflushInterval = \"1s\"\n[redis]\nhosts = {hosts:?}\n[http]\nlisten = \"{http}\"\n"
        ) + &format!("[netflow]\nlisten = [\"{netflow}\"]\n[spool]\nmaxBytes = \"{spool}\"\n")
    };
    let collector = Collector::start_configured(&text("1MiB"));
    register(&collector);
    redis.run(&["kill", "1"]);
    let load = Running::of(netflow, FLOWS_A_SECOND, many_names(1));
    let full = "raise spool.maxBytes and reload";
    collector.wait_until("reported", || ready(&collector).contains(full));
    assert!(!ready(&collector).contains("not even on the local disk"), "{}", ready(&collector));
    assert_eq!(gauge(&collector, "spool_full")["value"], 1.0);
    let (report, ..) = collector.command(&["doctor"]);
    assert!(report.contains("[store_unreachable]") && report.contains("raise spool.maxBytes"), "{report}");
    collector.reload(&text("1GiB"));
    collector.wait_until("queued", || !ready(&collector).contains(full));
    assert!(ready(&collector).contains("the store is unreachable"));
    let sent = load.stop();
    redis.run(&["start"]);
    drained(&collector);
    until_exact(&collector, &in_all(sent), PATIENCE);
    collector.terminate();
}
