//! The real program whose Redis loses registered routers, all or those since a snapshot: they are counted on, and
//! registered again; and a router that was removed is not.

use std::process::Command;

use serde_json::Value;
use testing::Service;

use crate::collector::Collector;
use crate::load::{FLOWS_A_SECOND, Running, register};
use crate::stores::{settings, start, start_in};

const STORED_AGAIN: &str = "the store had lost registrations";

/// Runs a command on a server of Redis; returns its answer.
fn redis(service: &Service, command: &[&str]) -> String {
    let (_, port) = service.hosts[0].rsplit_once(':').unwrap();
    let output = Command::new("redis-cli").args(["-e", "-p", port]).args(command).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The registered routers with the number of their prefixes, as the store has them; none while it is unreachable.
fn registered(collector: &Collector) -> Vec<(String, usize)> {
    let listed = collector.rest("GET", "/senders", "");
    let text = |sender: &Value| sender["ip"].as_str().unwrap().to_owned();
    let listed = listed.as_array().into_iter().flatten();
    listed.map(|sender| (text(sender), sender["prefixes"].as_array().unwrap().len())).collect()
}

fn wait_for_registered(collector: &Collector, expected: &[(&str, usize)]) {
    let expected: Vec<_> = expected.iter().map(|(address, prefixes)| ((*address).to_owned(), *prefixes)).collect();
    collector.wait_until(&format!("{expected:?}"), || registered(collector) == expected);
}

/// Datagrams of this fate so far.
fn datagrams(collector: &Collector, fate: &str) -> u64 {
    let Value::Object(counters) = &collector.rest("GET", "/status", "")["counters"] else { panic!("no counters") };
    counters["datagrams"][fate].as_u64().unwrap()
}

/// Waits for more datagrams, which must all be decoded.
fn counts_on(collector: &Collector) {
    let before = datagrams(collector, "decoded");
    collector.wait_until("counted on", || datagrams(collector, "decoded") > before);
    assert_eq!(datagrams(collector, "unregistered"), 0, "{}", collector.log());
}

/// Registers a router with one more prefix at a collector, which then reads what is registered.
fn add(collector: &Collector, router: &str, prefix: &str) {
    let body = format!("{{\"prefixes\":[{{\"prefix\":\"{prefix}\",\"prefixLen\":24}}]}}");
    let answer = collector.rest("PUT", &format!("/senders/{router}"), &body);
    assert_eq!(answer["ip"], router, "{answer}");
    collector.wait_for_line("registered senders changed");
}

fn remove(collector: &Collector, router: &str) {
    let answer = collector.rest("DELETE", &format!("/senders/{router}"), "");
    assert_eq!(answer["status"], "OK", "{answer}");
    collector.wait_for_line("registered senders changed");
}

/// Ends Redis as a power failure does, and starts it again.
fn restart(server: &Service) {
    server.run(&["kill", "1"]);
    server.run(&["start", "1"]);
}

#[test]
fn routers_that_an_emptied_redis_has_lost_are_counted_on_and_registered_again() {
    let server = Service::start("redis", 1, &[("SYNC", "no")]);
    let collector = start(&settings("redis", &server.hosts, "netflow"));
    register(&collector);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    counts_on(&collector);
    for empty in [|server: &Service| drop(redis(server, &["flushall"])), restart] {
        empty(&server);
        collector.wait_for_line(STORED_AGAIN);
        wait_for_registered(&collector, &[("127.0.0.1", 1)]);
        counts_on(&collector);
    }
    drop(load.stop());
    collector.terminate();
}

#[test]
fn a_redis_that_returns_with_an_older_snapshot_is_brought_up_to_date() {
    let server = Service::start("redis", 1, &[("SYNC", "no")]);
    let collector = start(&settings("redis", &server.hosts, "netflow"));
    register(&collector);
    add(&collector, "192.0.2.7", "10.0.0.0");
    redis(&server, &["save"]);
    remove(&collector, "192.0.2.7");
    add(&collector, "192.0.2.8", "10.0.1.0");
    add(&collector, "127.0.0.1", "10.0.2.0");
    collector.rest("PUT", "/senders/127.0.0.1", r#"{"samplingRate":7}"#);
    collector.wait_for_line("registered senders changed");
    restart(&server);
    collector.wait_for_line(STORED_AGAIN);
    wait_for_registered(&collector, &[("127.0.0.1", 2), ("192.0.2.8", 1)]);
    assert_eq!(collector.rest("GET", "/senders/127.0.0.1", "")["samplingRate"], 7);
    // A router, two prefixes and a setting were added since, and a router with its prefix was removed.
    assert_eq!(collector.counter("restored_registrations"), 6);
    collector.terminate();
}

#[test]
fn a_router_removed_while_another_collector_is_down_stays_removed_although_redis_is_emptied() {
    let server = Service::start("redis", 1, &[("SYNC", "no")]);
    let settings = settings("redis", &server.hosts, "netflow");
    let (one, other) = (start(&settings), start(&settings));
    register(&one);
    add(&one, "192.0.2.7", "10.0.0.0");
    other.wait_for_line("registered senders changed senders=2");
    let (directory, _) = other.terminate();
    remove(&one, "192.0.2.7");
    restart(&server);
    one.wait_for_line(STORED_AGAIN);
    let other = start_in(directory, &settings);
    // It reads what is registered at each of these.
    add(&other, "192.0.2.8", "10.0.0.0");
    add(&other, "192.0.2.9", "10.0.0.0");
    wait_for_registered(&other, &[("127.0.0.1", 1), ("192.0.2.8", 1), ("192.0.2.9", 1)]);
    assert_eq!(other.counter("restored_registrations"), 0);
    one.terminate();
    other.terminate();
}

#[test]
fn a_router_registered_by_a_program_without_numbers_is_registered_again_too() {
    let server = Service::start("redis", 1, &[("SYNC", "no")]);
    redis(&server, &["hset", "netflow:senders", "127.0.0.1", "", "127.0.0.1 192.0.2.0/24", ""]);
    let collector = start(&settings("redis", &server.hosts, "netflow"));
    wait_for_registered(&collector, &[("127.0.0.1", 1)]);
    collector.wait_until("numbered", || redis(&server, &["hlen", "{netflow:senders}:changes"]).trim() == "2");
    // The next reading has the numbers.
    add(&collector, "192.0.2.7", "10.0.0.0");
    redis(&server, &["flushall"]);
    collector.wait_for_line(STORED_AGAIN);
    wait_for_registered(&collector, &[("127.0.0.1", 1), ("192.0.2.7", 1)]);
    collector.terminate();
}

#[test]
fn the_last_router_that_is_removed_is_reported_and_stays_removed() {
    let server = Service::start("redis", 1, &[("SYNC", "always")]);
    let settings = settings("redis", &server.hosts, "netflow");
    let collector = start(&settings);
    register(&collector);
    let answer = collector.rest("DELETE", "/senders/127.0.0.1", "");
    assert_eq!(answer["status"], "OK", "{answer}");
    collector.wait_for_line("no router is registered any more");
    let (directory, _) = collector.terminate();
    let collector = start_in(directory, &settings);
    add(&collector, "192.0.2.7", "10.0.0.0");
    wait_for_registered(&collector, &[("192.0.2.7", 1)]);
    assert_eq!(collector.counter("restored_registrations"), 0);
    collector.terminate();
}

#[test]
fn another_namespace_does_not_get_the_routers_of_the_former_one_but_the_log_reports_them() {
    let server = Service::start("redis", 1, &[("SYNC", "always")]);
    let collector = start(&settings("redis", &server.hosts, "one"));
    register(&collector);
    let (directory, _) = collector.terminate();
    let collector = start_in(directory, &settings("redis", &server.hosts, "other"));
    let log = collector.startup_log();
    assert!(
        log.contains("no router is registered in this store, but in the one used before") && log.contains("senders=1"),
        "{log}"
    );
    add(&collector, "192.0.2.7", "10.0.0.0");
    wait_for_registered(&collector, &[("192.0.2.7", 1)]);
    collector.terminate();
}
