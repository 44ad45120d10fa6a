//! The log of a running collector: a line for each change, and one for the rates since the last such line. These tests look for
//! changes every second, so what takes 5 and 10 minutes otherwise takes 30 and 60 seconds.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use testing::Service;

use crate::collector::{Collector, PATIENCE};
use crate::doctor::{add, router, v5};
use crate::load::{FLOWS_A_SECOND, Running, register, until_exact};
use crate::reloads::{free_tcp, free_udp};
use crate::stores::{settings, start};

const LOSSY: &str = "127.0.8.1";
const SILENT: &str = "127.0.8.2";
const STRANGER: &str = "127.0.8.3";

/// Waits until the log has a line with each of these events and what follows it, in any order.
fn are_logged(collector: &Collector, events: &[(&str, &str)]) {
    let (mut missing, end) = (events.to_vec(), Instant::now() + PATIENCE);
    while !missing.is_empty() {
        assert!(Instant::now() < end, "not logged: {missing:?}");
        let line = collector.wait_for_line("");
        missing.retain(|(event, fields)| !line.contains(event) || !line.contains(fields));
    }
}

/// Sends datagrams of one flow until it is dropped; while it loses, every second one is missing.
struct Sending {
    loses: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sending {
    fn start(socket: UdpSocket, to: SocketAddr, loses: bool) -> Self {
        let (loses, ends) = (Arc::new(AtomicBool::new(loses)), Arc::new(AtomicBool::new(false)));
        let (lossy, ended) = (Arc::clone(&loses), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            let mut sequence = 0;
            while !ended.load(Ordering::Relaxed) {
                socket.send_to(&v5(sequence, 0, 1), to).unwrap();
                sequence += if lossy.load(Ordering::Relaxed) { 2 } else { 1 };
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { loses, ends, thread: Some(thread) }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn routers_that_begin_lose_data_fall_silent_and_send_again_are_logged() {
    let collector = Collector::start();
    for address in [LOSSY, SILENT] {
        add(&collector, address, "192.0.2.0/24");
    }
    collector.shell(&format!("ask PUT /senders/{SILENT} '{{\"name\":\"edge-1\"}}'"));
    let (lossy, silent, stranger) = (router(LOSSY), router(SILENT), router(STRANGER));
    let sending = Sending::start(lossy, collector.receiving, true);
    silent.send_to(&v5(0, 0, 30), collector.receiving).unwrap();
    stranger.send_to(&v5(0, 0, 30), collector.receiving).unwrap();
    let named = format!("router={SILENT} name=edge-1 ");
    let lost = format!("router={LOSSY} lost_percent=");
    are_logged(
        &collector,
        &[
            ("INFO a router began to send", &format!("router={LOSSY} protocols=\"netflow-v5\"")),
            ("INFO a router began to send", &format!("{named}protocols=\"netflow-v5\"")),
            ("WARN an unregistered address sends", &format!("address={STRANGER} protocol=\"netflow-v5\"")),
            ("WARN data of a router are lost on the way", &lost),
        ],
    );
    sending.loses.store(false, Ordering::Relaxed);
    let complete = ("INFO data of a router are complete again after ", &*format!("router={LOSSY} "));
    are_logged(&collector, &[("WARN a router is silent", &named), complete]);
    silent.send_to(&v5(30, 0, 30), collector.receiving).unwrap();
    are_logged(&collector, &[("INFO a router sends again after ", &named)]);
    drop(sending);
    collector.terminate();
}

#[test]
fn a_flood_of_unregistered_addresses_is_ten_lines() {
    let collector = Collector::start();
    for number in 0..100 {
        router(&format!("127.0.9.{number}")).send_to(&v5(0, 0, 1), collector.receiving).unwrap();
    }
    let mut log = String::new();
    collector.wait_until("noticed", || {
        log += &collector.log();
        collector.rest("GET", "/unknown", "").as_array().is_some_and(|unknown| unknown.len() == 100)
    });
    for _ in 0..2 {
        let mut line = String::new();
        while !line.contains("rates since the last such line") {
            line = collector.wait_for_line("") + "\n";
            log += &line;
        }
    }
    let lines = log.matches("an unregistered address sends").count();
    // Should it take longer than a minute, there are ten for each.
    assert!((10..=20).contains(&lines), "{log}");
    collector.terminate();
}

#[test]
fn the_line_of_rates_is_of_the_time_since_the_last_one() {
    let collector = Collector::start();
    add(&collector, LOSSY, "192.0.2.0/24");
    let socket = router(LOSSY);
    for number in 0..10 {
        socket.send_to(&v5(number * 30, 0, 30), collector.receiving).unwrap();
    }
    let (mut flows, mut bits) = (0, 0.0);
    while flows < 300 || bits < 200_000.0 {
        let line = collector.wait_for_line("rates since the last such line");
        let field = |name: &str| -> f64 {
            let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("{name}: {line}"));
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        flows += field("flows") as u64;
        bits += field("bits_per_second") * field("seconds");
    }
    // Each flow has 100 bytes, and is counted once; the rates are rounded.
    assert_eq!(flows, 300);
    assert!(bits < 600_000.0, "{bits}");
    // What was in earlier lines is not in later ones.
    let line = collector.wait_for_line("rates since the last such line");
    assert!(line.contains(" datagrams=0 flows=0 "), "{line}");
    collector.terminate();
}

#[test]
fn drops_of_the_kernel_are_logged_when_they_begin_and_when_they_end() {
    let collector =
        Collector::start_with(&[("NETFLOW__SERVER__RECEIVE_BUFFER", "64KiB"), ("NETFLOW__SERVER__CORES", "1")]);
    let socket = router(STRANGER);
    collector.signal("STOP");
    for number in 0..2_000 {
        socket.send_to(&v5(number * 30, 0, 30), collector.receiving).unwrap();
    }
    collector.signal("CONT");
    // The kernel reports drops with the next datagram.
    let sending = Sending::start(socket, collector.receiving, false);
    collector.wait_for_line("WARN the kernel drops datagrams: increase server.receiveBuffer");
    collector.wait_for_line("INFO the kernel no longer drops datagrams");
    drop(sending);
    collector.terminate();
}

#[test]
fn an_outage_of_the_store_and_the_use_of_the_spool_are_logged_when_they_begin_and_when_they_end() {
    let redis = Service::start("redis", 1, &[("SYNC", "always")]);
    let mut settings = settings("redis", &redis.hosts, "netflow");
    settings.push(("NETFLOW__SPOOL__MAX_BYTES".to_owned(), "1MiB".to_owned()));
    let collector = start(&settings);
    register(&collector);
    redis.run(&["kill", "1"]);
    let load = Running::start(collector.receiving, FLOWS_A_SECOND, 1);
    are_logged(
        &collector,
        &[
            ("ERROR the store does not take flushes; they wait on disk", "waiting="),
            ("WARN the spool grows: the store does not take flushes", "percent="),
        ],
    );
    let sent = load.stop();
    redis.run(&["start", "1"]);
    are_logged(
        &collector,
        &[("INFO the store takes flushes again", "flushes="), ("INFO the spool is empty again", "")],
    );
    until_exact(&collector, &sent, PATIENCE);
    collector.terminate();
}

#[test]
fn a_log_in_json_has_an_object_in_each_line() {
    let (netflow, http) = (free_udp(), free_tcp());
    let text = |more: &str| format!("{more}\n[netflow]\nlisten = [\"{netflow}\"]\n[http]\nlisten = \"{http}\"\n");
    let collector = Collector::start_configured(&text(""));
    collector.reload(&text("[server]\nlogFormat = \"json\""));
    let records = |log: &str| -> Vec<Value> {
        let record = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        log.lines().map(record).collect()
    };
    let log = collector.reload(&text("[server]\nlogFormat = \"json\"\ncoers = 2"));
    let log = records(&log);
    let failed = log.iter().find(|record| record["level"] == "ERROR").unwrap();
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("unknown key 'server.coers'") && message.contains("3 | coers = 2"), "{message}");
    assert!(!message.contains('\n') && !message.contains('^'), "{message}");

    router(STRANGER).send_to(&v5(0, 0, 30), collector.receiving).unwrap();
    let line = records(&collector.wait_for_line("an unregistered address sends")).remove(0);
    assert_eq!((&line["level"], &line["address"]), (&"WARN".into(), &STRANGER.into()), "{line}");
    assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    let rates = records(&collector.wait_for_line("rates since the last such line")).remove(0);
    assert!(rates["bits_per_second"].is_number() && rates["datagrams"].is_number(), "{rates}");

    // In text, the error is one line as well.
    collector.reload(&text(""));
    let log = collector.reload(&text("[server]\ncoers = 2"));
    let of_error: Vec<&str> = log.lines().filter(|line| line.contains("coers")).collect();
    assert!(matches!(of_error.as_slice(), [line] if line.contains("ERROR reload failed")), "{log}");
    assert!(log.lines().all(|line| line.starts_with("20")), "{log}");
    // The commands that ask it read the file too.
    fs::write(collector.path().join("netflow.toml"), text("")).unwrap();
    collector.terminate();
}
