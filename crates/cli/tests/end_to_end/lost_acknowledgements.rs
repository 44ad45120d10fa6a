//! The store executes requests, but connections are cut before its answers, again and again: everything is counted once.

use std::time::Instant;

use crate::collector::{Collector, PATIENCE};
use crate::load::{FLOWS_A_SECOND, Running, flows, register, until_exact};
use crate::proxy::Proxy;
use testing::Service;

const CUTS: u64 = 100;

fn nothing_is_counted_twice(kind: &str, server: &Service) {
    let proxy = Proxy::start(&server.hosts[0]);
    let hosts = (format!("NETFLOW__{}__HOSTS", kind.to_uppercase()), proxy.address.to_string());
    let collector = Collector::start_with(&[("NETFLOW__STORAGE", kind), (&hosts.0, &hosts.1)]);
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    proxy.cut(true);
    let begun = Instant::now();
    let mut cuts = 0;
    while cuts < CUTS {
        collector.wait_until("cut again", || proxy.cuts() > cuts);
        cuts = proxy.cuts();
    }
    proxy.cut(false);
    let (sent, took) = (load.stop(), begun.elapsed());
    let drained = until_exact(&collector, &sent, PATIENCE);
    println!("{kind}: {} cuts in {took:.1?}, {} flows exact {drained:.1?} later", proxy.cuts(), flows(&sent));
    collector.terminate();
}

#[test]
fn redis_whose_answers_get_lost_counts_nothing_twice() {
    nothing_is_counted_twice("redis", &Service::start("redis", 1, &[]));
}

#[test]
fn cassandra_whose_answers_get_lost_counts_nothing_twice() {
    nothing_is_counted_twice("cassandra", &Service::start("cassandra", 1, &[("SYNC", "periodic")]));
}
