//! The real program with stores on the network, on real servers: everything read is in the totals, although the store was
//! unreachable meanwhile, and with other collectors on the same store.

use std::time::{Duration, Instant};

use crate::collector::{Collector, PATIENCE};
use crate::killed_together;
use crate::load::{FLOWS_A_SECOND, Running, flows, register, sum, this_year, until_exact, wait};
use testing::Service;

/// By how much the collector may grow while its store is unreachable.
const MOST_GROWTH: u64 = 64 << 20;

/// How long a store is unreachable: some seconds, longer in `make soak`.
fn outage() -> Duration {
    let seconds = std::env::var("NETFLOW_OUTAGE_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

/// A collector's settings for a store; `name` separates the data of tests that share a server.
pub(crate) fn settings(kind: &str, hosts: &[String], name: &str) -> Vec<(String, String)> {
    vec![
        ("NETFLOW__STORAGE".to_owned(), kind.to_owned()),
        (format!("NETFLOW__{}__HOSTS", kind.to_uppercase()), hosts.join(",")),
        ("NETFLOW__REDIS__NAMESPACE".to_owned(), name.to_owned()),
        ("NETFLOW__CASSANDRA__KEYSPACE".to_owned(), name.to_owned()),
    ]
}

pub(crate) fn start(settings: &[(String, String)]) -> Collector {
    start_in(tempfile::tempdir().unwrap(), settings)
}

pub(crate) fn start_in(directory: tempfile::TempDir, settings: &[(String, String)]) -> Collector {
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    Collector::start_in_with(directory, &settings)
}

/// Stops the store under load, queries meanwhile, starts it again, and expects everything counted.
fn nothing_is_lost(what: &str, settings: &[(String, String)], stop: impl FnOnce(), start_again: impl FnOnce()) {
    let collector = start(settings);
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(4));
    let before = collector.resident();
    stop();
    let begun = Instant::now();
    let refused = this_year(&collector).expect_err("there is no store");
    let refused_after = begun.elapsed();
    assert_eq!(refused["status"], "SERVICE_UNAVAILABLE", "{refused}");
    assert!(refused["message"].as_str().is_some_and(|message| !message.is_empty()), "{refused}");
    let mut most = collector.resident();
    while begun.elapsed() < outage() {
        assert_eq!(collector.rest("GET", "/", "")["status"], "OK");
        most = most.max(collector.resident());
        wait(Duration::from_millis(200));
    }
    let lasted = begun.elapsed();
    start_again();
    // New flushes arrive while the spool drains.
    let returned = Instant::now();
    wait(Duration::from_secs(2));
    let sent = load.stop();
    until_exact(&collector, &sent, PATIENCE);
    let growth = most.saturating_sub(before);
    println!(
        "{what} for {lasted:.1?}: {} flows, all counted {:.1?} after it was back; memory {} KiB, grown by {} KiB; refused after {refused_after:.1?}",
        flows(&sent),
        returned.elapsed(),
        before >> 10,
        growth >> 10,
    );
    assert!(growth < MOST_GROWTH, "grown by {growth} octets");
    collector.terminate();
}

fn stopped_and_killed(kind: &str, service: &Service) {
    let (run, of) = (|verb: &str| drop(service.run(&[verb, "1"])), |name| settings(kind, &service.hosts, name));
    nothing_is_lost(&format!("{kind} stopped"), &of("stopped"), || run("pause"), || run("resume"));
    nothing_is_lost(&format!("{kind} killed"), &of("killed"), || run("kill"), || run("start"));
}

#[test]
fn a_stopped_or_killed_redis_costs_nothing() {
    stopped_and_killed("redis", &Service::start("redis", 1, &[("SYNC", "always")]));
}

#[test]
fn a_stopped_or_killed_cassandra_costs_nothing_and_collectors_on_it_add_up() {
    let service = Service::start("cassandra", 1, &[]);
    // One after the other on one server, which takes long to start.
    two_collectors_add_up(&service);
    stopped_and_killed("cassandra", &service);
}

/// Each has half of the traffic; either answers for both, also when the other is gone for good. That its periods are
/// rolled up is proved by the collector's own test, whose clock can run ahead.
fn two_collectors_add_up(service: &Service) {
    let settings = settings("cassandra", &service.hosts, "shared");
    let one = start(&settings);
    register(&one);
    let other = start(&settings);
    let loads = [(&one, 1), (&other, 2)].map(|(to, seed)| Running::start(to.receiving, FLOWS_A_SECOND / 2, seed));
    wait(Duration::from_secs(5));
    let [first, second] = loads.map(Running::stop);
    let both = sum(first, second);
    until_exact(&one, &both, PATIENCE);
    until_exact(&other, &both, PATIENCE);
    one.kill();
    let more = Running::start(other.receiving, FLOWS_A_SECOND, 3);
    wait(Duration::from_secs(2));
    let all = sum(both, more.stop());
    until_exact(&other, &all, PATIENCE);
    println!("two collectors on one cassandra: {} flows", flows(&all));
}

#[test]
fn a_ring_of_two_that_loses_a_node_costs_nothing() {
    let ring = Service::start("cassandra", 2, &[("NODES", "2")]);
    let collector = start(&settings("cassandra", &ring.hosts, "ring"));
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(3));
    ring.run(&["kill", "2"]);
    let killed = Instant::now();
    while killed.elapsed() < outage() {
        assert_eq!(collector.rest("GET", "/", "")["status"], "OK");
        wait(Duration::from_millis(200));
    }
    ring.run(&["start", "2"]);
    wait(Duration::from_secs(2));
    let sent = load.stop();
    let took = until_exact(&collector, &sent, PATIENCE);
    println!("cassandra, one node of two killed: {} flows, exact {took:.1?} after the load", flows(&sent));
    collector.terminate();
    // The same ring, which takes long to start.
    killed_together::a_node(&ring);
}

#[test]
fn spooled_flushes_survive_a_restart() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let settings = settings("redis", &redis.hosts, "netflow");
    let collector = start(&settings);
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(1));
    redis.run(&["kill", "1"]);
    wait(Duration::from_secs(3));
    let sent = load.stop();
    let (directory, log) = collector.terminate();
    assert!(log.contains("wait on disk for the store"), "{log}");
    redis.run(&["start"]);
    let collector = start_in(directory, &settings);
    until_exact(&collector, &sent, PATIENCE);
}
