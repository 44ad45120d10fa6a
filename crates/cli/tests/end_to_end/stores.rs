//! The real program on stores that are on the network, with real servers: what was read is in the totals, although the
//! store was away meanwhile.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use wire::encode;
use wire::netflow_v5::{Header, Record};

use crate::collector::{Collector, PATIENCE, shell_block};
use crate::service::Service;

const FLOWS_A_SECOND: u64 = 20_000;

/// Sends datagrams of thirty flows at a steady rate until it is told to stop; says how many flows it sent.
fn generate(to: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let mut number: u32 = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * FLOWS_A_SECOND / 1000;
        if u64::from(number) * 30 >= due {
            std::thread::yield_now();
            continue;
        }
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
        let header = Header { unix_seconds: seconds.into(), sequence: (number * 30).into(), ..Header::default() };
        let records = [0; 30].map(|_: u8| Record {
            source: [198, 51, 100, (number % 250) as u8],
            destination: [192, 0, 2, (number % 240) as u8],
            octets: 100.into(),
            packets: 2.into(),
            ..Record::default()
        });
        socket.send_to(&encode::netflow_v5(&header, &records), to).unwrap();
        number += 1;
        sent.store(u64::from(number) * 30, Ordering::Relaxed);
    }
}

/// What is counted for the README's prefix this year, or what the collector says instead.
fn this_year(collector: &Collector) -> Result<[u64; 3], Value> {
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let answer = collector.rest("POST", "/stats/127.0.0.1", &format!(r#"{{"192.0.2.0/24":{{"years":["{year}"]}}}}"#));
    let Some(rows) = answer["192.0.2.0/24"]["years"][0][year].as_array() else { return Err(answer) };
    let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum();
    Ok(["bytes", "pkts", "flows"].map(sum))
}

/// Runs a load while something is done to the store; then all that was sent must be counted.
fn nothing_is_lost(settings: &[(&str, &str)], disturb: impl FnOnce(&Collector)) {
    let collector = Collector::start_with(settings);
    collector.shell(&shell_block("netflow PUT"));
    collector.wait_until_said("senders=1");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| generate(collector.receiving, &stop, &sent));
        wait(Duration::from_secs(2));
        disturb(&collector);
        wait(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
    });
    let flows = sent.into_inner();
    let expected = [100 * flows, 2 * flows, flows];
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = this_year(&collector);
        match &answer {
            Ok(counted) if *counted == expected => break,
            _ => assert!(Instant::now() < end, "{answer:?} of {expected:?}\n{}", collector.log()),
        }
    }
    collector.terminate();
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
    }
}

#[test]
fn redis_that_stands_still_or_is_killed_costs_nothing() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let settings = [("NETFLOW__STORAGE", "redis"), ("NETFLOW__REDIS__HOSTS", redis.hosts[0].as_str())];
    nothing_is_lost(&settings, |collector| {
        redis.run(&["pause", "1"]);
        wait(Duration::from_secs(3));
        redis.run(&["resume", "1"]);
        wait(Duration::from_secs(1));
        redis.run(&["kill", "1"]);
        let refused = this_year(collector).expect_err("there is no store");
        assert_eq!(refused["status"], "SERVICE_UNAVAILABLE", "{refused}");
        assert_eq!(collector.rest("GET", "/", "")["status"], "OK");
        wait(Duration::from_secs(3));
        redis.run(&["start"]);
    });
}

#[test]
fn flushes_that_wait_outlive_the_collector() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let settings = [("NETFLOW__STORAGE", "redis"), ("NETFLOW__REDIS__HOSTS", redis.hosts[0].as_str())];
    let collector = Collector::start_with(&settings);
    collector.shell(&shell_block("netflow PUT"));
    collector.wait_until_said("senders=1");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| generate(collector.receiving, &stop, &sent));
        wait(Duration::from_secs(1));
        redis.run(&["kill", "1"]);
        wait(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
    });
    let flows = sent.into_inner();
    let (directory, log) = collector.terminate();
    assert!(log.contains("wait on disk for the store"), "{log}");
    redis.run(&["start"]);
    let collector = Collector::start_in_with(directory, &settings);
    let end = Instant::now() + PATIENCE;
    while this_year(&collector) != Ok([100 * flows, 2 * flows, flows]) {
        assert!(Instant::now() < end, "{:?} of {flows}\n{}", this_year(&collector), collector.log());
    }
}
