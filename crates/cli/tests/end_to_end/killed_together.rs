//! A server of the store and the collector are killed at the same time (kill -9), with counters in the journal, in the spool,
//! and accepted by the server but not yet by its replica. Everything is counted once, in the store that remains.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::collector::{Collector, PATIENCE};
use crate::failover::{ask, port};
use crate::load::{FLOWS_A_SECOND, Running, flows, register, sum, until_exact, wait};
use crate::stores::{settings, start, start_in};
use testing::Service;

/// How many flushes the server accepts before it is killed, at least.
const FLUSHES: u64 = 3;

/// How often this happens: NETFLOW_ROUNDS in the environment, or once.
fn rounds() -> u64 {
    std::env::var("NETFLOW_ROUNDS").map_or(1, |number| number.parse().expect("NETFLOW_ROUNDS is a number"))
}

/// Under load, `part` stops the replication of a server, if it has any. Some flushes later, `kill` kills the server, and the
/// collector is killed. `recover` returns when the store answers again.
pub(crate) fn nothing_is_lost(
    what: &str,
    settings: &[(String, String)],
    part: impl FnOnce(),
    kill: impl FnOnce(),
    recover: impl FnOnce(),
) {
    let collector = start(settings);
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    wait(Duration::from_secs(2));
    part();
    flushed(&collector);
    let before = load.stop();
    collector.wait_until("everything read", || matched(&collector) == flows(&before));
    kill();
    let directory = collector.kill();
    let killed = Instant::now();
    recover();
    let collector = start_in(directory, settings);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 2);
    wait(Duration::from_secs(2));
    let sent = sum(before, load.stop());
    until_exact(&collector, &sent, PATIENCE);
    println!("{what} and the collector killed: {} flows, exact {:.1?} later", flows(&sent), killed.elapsed());
    collector.terminate();
}

fn flushed(collector: &Collector) {
    let flushes = collector.counter("flushes");
    collector.wait_until("flushed", || collector.counter("flushes") >= flushes + FLUSHES);
}

fn matched(collector: &Collector) -> u64 {
    collector.rest("GET", "/status", "")["counters"]["flows"]["matched"].as_u64().unwrap()
}

/// Waits until a server of Redis answers this.
fn answers(port: u16, question: &[&str], answer: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(question).output().unwrap();
        if String::from_utf8_lossy(&output.stdout).contains(answer) {
            return;
        }
        assert!(Instant::now() < end, "{question:?}: {output:?}, not {answer}");
        wait(Duration::from_millis(50));
    }
}

/// A server of Redis is killed whose replica lacks what it accepted last, and the replica takes over.
/// `succeeded` waits until it is the master for clients.
fn replica_takes_over(what: &str, redis: &Service, master: u16, number_of_replica: u16, succeeded: impl FnOnce()) {
    let number_of_replica = number_of_replica.to_string();
    // It is stopped and cut off, so that nothing reaches it.
    let part = || {
        redis.run(&["pause", &number_of_replica]);
        assert_eq!(ask(master, &["client", "kill", "type", "replica"]), "1");
    };
    let kill = || {
        redis.run(&["kill", "1"]);
        redis.run(&["resume", &number_of_replica]);
    };
    nothing_is_lost(what, &settings("redis", &redis.hosts, "netflow"), part, kill, succeeded);
}

#[test]
fn a_sentinel_failover_while_the_collector_is_killed_costs_nothing() {
    for _ in 0..rounds() {
        let redis = Service::start("redis", 3, &[("MODE", "sentinel")]);
        // The sentinel is the last of the three, and the only one that is known.
        let sentinel = port(&redis);
        let (master, replica) = (sentinel - 2, sentinel - 1);
        replica_takes_over("redis, failover by a sentinel", &redis, master, 2, || {
            answers(sentinel, &["info", "sentinel"], &format!("status=ok,address=127.0.0.1:{replica}"));
        });
    }
}

#[test]
fn a_cluster_failover_while_the_collector_is_killed_costs_nothing() {
    for _ in 0..rounds() {
        let redis = Service::start("redis", 6, &[("MODE", "cluster"), ("REPLICAS", "1")]);
        let master = port(&redis);
        let id = ask(master, &["cluster", "myid"]);
        let replica = ask(master, &["cluster", "replicas", &id]);
        let (_, replica) = replica.split_once(':').unwrap();
        let replica: u16 = replica.split('@').next().unwrap().parse().unwrap();
        replica_takes_over("redis, failover in a cluster", &redis, master, replica - master + 1, || {
            answers(replica, &["info", "replication"], "role:master");
            answers(replica, &["cluster", "info"], "cluster_state:ok");
        });
    }
}

/// A node of a ring of two.
pub(crate) fn a_node(ring: &Service) {
    for round in 0..rounds() {
        let settings = settings("cassandra", &ring.hosts, &format!("together{round}"));
        let kill = || drop(ring.run(&["kill", "2"]));
        nothing_is_lost("cassandra, one node of two", &settings, || (), kill, || drop(ring.run(&["start", "2"])));
    }
}
