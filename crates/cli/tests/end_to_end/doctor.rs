//! `netflow doctor`: every problem provoked on the real program, over real UDP, and found by name.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use wire::encode::{self, NetflowV9, TemplateSpec};
use wire::{FieldSpecifier, netflow_v5, netflow_v9};

mod booking;
mod export_connections;
mod groups;
mod sampled;

use crate::collector::{Collector, PATIENCE};
use crate::crashes::segments;
use crate::{stores, thirty_flows, thirty_flows_at};
use testing::Service;

/// The exit code for findings.
const FINDINGS: Option<i32> = Some(12);

/// The findings about a router.
fn findings(collector: &Collector, router: &str) -> Vec<Value> {
    let (printed, stderr, code) = collector.command(&["doctor", router, "--json"]);
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}{stderr}"));
    let findings = report["findings"].as_array().unwrap().clone();
    assert_eq!(code, if findings.is_empty() { Some(0) } else { FINDINGS }, "{printed}");
    findings.iter().for_each(is_documented);
    findings
}

/// docs/troubleshooting.md has a row for it.
pub(crate) fn is_documented(finding: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/troubleshooting.md");
    let name = finding["finding"].as_str().unwrap();
    let document = std::fs::read_to_string(path).unwrap();
    assert!(document.contains(&format!("\n| `{name}` | ")), "docs/troubleshooting.md has no {name}");
}

/// Sends until this is found: the first datagrams may arrive before the collector knows of the registration.
fn provoke(collector: &Collector, router: &str, name: &str, mut send: impl FnMut()) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        send();
        let found = findings(collector, router);
        if let Some(finding) = found.iter().find(|finding| finding["finding"] == name) {
            assert_eq!(finding["router"], *router);
            return finding.clone();
        }
        assert!(Instant::now() < end, "{name} was not found: {found:?}");
    }
}

pub(crate) fn add(collector: &Collector, router: &str, prefix: &str) {
    let (printed, stderr, code) = collector.command(&["senders", "add", router, prefix]);
    assert_eq!(code, Some(0), "{printed}{stderr}");
}

/// A router with this address.
pub(crate) fn router(address: &str) -> UdpSocket {
    UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap()
}

fn has(list: &Value, text: &str) {
    let lines = list.as_array().unwrap();
    assert!(lines.iter().any(|line| line.as_str().unwrap().contains(text)), "{text}: {list}");
}

fn now() -> u32 {
    u32::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Flows to the monitored prefix, with this sequence number and rate.
pub(crate) fn v5(sequence: u32, sampling: u16, flows: usize) -> Vec<u8> {
    let header = netflow_v5::Header {
        unix_seconds: now().into(),
        sequence: sequence.into(),
        sampling: sampling.into(),
        ..Default::default()
    };
    let record =
        netflow_v5::Record { destination: [192, 0, 2, 1], octets: 100.into(), packets: 1.into(), ..Default::default() };
    encode::netflow_v5(&header, &vec![record; flows])
}

fn v9(sequence: u32) -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header {
        unix_seconds: now().into(),
        sequence: sequence.into(),
        source_id: 7.into(),
        ..Default::default()
    })
}

/// Destination, bytes, and these fields.
fn template(more: &[(u16, u16)]) -> TemplateSpec {
    let fields = [(12, 4), (1, 4)].iter().chain(more).map(|(id, length)| FieldSpecifier::iana(*id, *length));
    TemplateSpec::data(256, fields.collect::<Vec<_>>())
}

const TO_MONITORED: [u8; 8] = [192, 0, 2, 1, 0, 0, 0, 100];

#[test]
fn a_counted_router_has_no_problems() {
    let collector = Collector::start();
    add(&collector, "127.0.0.1", "192.0.2.0/24");
    let (socket, end) = (router("127.0.0.1"), Instant::now() + PATIENCE);
    loop {
        // Without sequence numbers nothing counts as lost.
        socket
            .send_to(
                &encode::netflow_v1(
                    &wire::netflow_v1::Header { unix_seconds: now().into(), ..Default::default() },
                    &[v1_record(); 24],
                ),
                collector.receiving,
            )
            .unwrap();
        let (printed, stderr, code) = collector.command(&["doctor"]);
        assert_eq!(stderr, "");
        if code == Some(0) {
            assert!(
                printed.contains("collector at http://127.0.0.1:") && printed.contains("127.0.0.1: OK (netflow-v1; "),
                "{printed}"
            );
            assert!(printed.ends_with("\nno problems found\n"), "{printed}");
            break;
        }
        assert!(Instant::now() < end, "{printed}");
    }
    collector.terminate();
}

fn v1_record() -> wire::netflow_v1::Record {
    wire::netflow_v1::Record {
        destination: [192, 0, 2, 1],
        octets: 100.into(),
        packets: 1.into(),
        ..Default::default()
    }
}

#[test]
fn a_silent_router_is_reported_with_the_tcpdump_command() {
    let collector = Collector::start();
    add(&collector, "127.0.0.5", "192.0.2.0/24");
    let port = collector.receiving.port();
    let [silent] = &findings(&collector, "127.0.0.5")[..] else { panic!("there is one finding") };
    assert_eq!(silent["finding"], "silent");
    has(&silent["evidence"], &format!("the collector listens on {}", collector.receiving));
    has(&silent["run"], &format!("tcpdump -ni any -c 5 'src host 127.0.0.5 and (udp port {port})'"));
    // No router reaches a collector that listens on loopback addresses only.
    let [silent] = &findings(&collector, "203.0.113.1")[..] else { panic!("there is one finding") };
    has(&silent["evidence"], "loopback addresses");
    has(&silent["run"], "netflow senders add 203.0.113.1 ");
    // Firewall rules are shown when this user may read them.
    let programs = tempfile::tempdir().unwrap();
    let nft = programs.path().join("nft");
    let rule = format!("udp dport {port} drop");
    std::fs::write(&nft, format!("#!/bin/sh\necho '  {rule}'\n")).unwrap();
    std::fs::set_permissions(&nft, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = beside(&collector, &["doctor", "127.0.0.5"]).env("PATH", programs.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains(&format!("firewall rule: {rule}")), "{printed}");
    assert!(printed.contains("nft insert rule inet filter input"), "{printed}");
    collector.terminate();
}

/// The command in the collector's directory, with its keys.
fn beside(collector: &Collector, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netflow"));
    command.args(arguments).current_dir(collector.path());
    command.env("NETFLOW_URL", format!("http://{}", collector.serving));
    command
}

#[test]
fn an_unregistered_sender_is_reported_with_the_command_that_adds_it() {
    let collector = Collector::start();
    let socket = router("127.0.0.6");
    let found = provoke(&collector, "127.0.0.6", "unknown_sender", || {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    });
    has(&found["evidence"], "netflow-v5");
    has(&found["run"], "netflow senders add 127.0.0.6 ");
    // It is found without being named.
    let (printed, _, code) = collector.command(&["doctor"]);
    assert_eq!(code, FINDINGS);
    assert!(printed.contains("\n127.0.0.6: PROBLEM\n") && printed.contains("[unknown_sender]"), "{printed}");
    collector.terminate();
}

#[test]
fn nearly_right_addresses_are_reported_with_the_right_one() {
    let collector = Collector::start();
    // A mapped address means the IPv4 address.
    add(&collector, "::ffff:127.0.1.7", "192.0.2.0/24");
    let (printed, ..) = collector.command(&["senders"]);
    assert!(printed.contains("\n127.0.1.7 "), "{printed}");
    let one = router("127.0.1.8");
    add(&collector, "64:ff9b::127.0.1.8", "192.0.2.0/24");
    let found = provoke(&collector, "64:ff9b::7f00:108", "embedded_address", || {
        one.send_to(&thirty_flows(), collector.receiving).unwrap();
    });
    has(&found["run"], "netflow senders add 127.0.1.8 192.0.2.0/24");
    // 127.0.1.7 is silent, and its neighbour sends instead.
    let found = provoke(&collector, "127.0.1.7", "other_address", || {
        one.send_to(&thirty_flows(), collector.receiving).unwrap();
    });
    has(&found["evidence"], "datagrams from 127.0.1.8");
    has(&found["run"], "netflow senders add 127.0.1.8 192.0.2.0/24");
    collector.terminate();
}

#[test]
fn a_missing_template_is_reported_with_the_data_that_waits_for_it() {
    let collector = Collector::start();
    add(&collector, "127.0.0.7", "192.0.2.0/24");
    let (socket, mut sequence) = (router("127.0.0.7"), 0);
    let found = provoke(&collector, "127.0.0.7", "template_missing", || {
        socket
            .send_to(&v9(sequence).data(&template(&[]), &[TO_MONITORED.to_vec()]).finish(), collector.receiving)
            .unwrap();
        sequence += 1;
    });
    has(&found["evidence"], "template 256 of netflow-v9, domain 7: ");
    has(&found["evidence"], "no templates are known");
    has(&found["run"], "template data timeout 60");
    // Nothing is reported once it arrives.
    let end = Instant::now() + PATIENCE;
    socket.send_to(&v9(sequence).template(&template(&[])).finish(), collector.receiving).unwrap();
    while !findings(&collector, "127.0.0.7").is_empty() {
        assert!(Instant::now() < end, "{:?}", findings(&collector, "127.0.0.7"));
    }
    collector.terminate();
}

#[test]
fn flows_that_match_no_prefix_are_reported_with_their_networks() {
    let collector = Collector::start();
    add(&collector, "127.0.0.8", "10.0.0.0/8");
    let socket = router("127.0.0.8");
    let found = provoke(&collector, "127.0.0.8", "no_prefix_matches", || {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
    });
    has(&found["evidence"], "monitored prefixes: 10.0.0.0/8");
    has(&found["evidence"], "192.0.2.0/24: source of 0, destination of ");
    has(&found["run"], "netflow senders add 127.0.0.8 192.0.2.0/24");
    collector.terminate();
}

#[test]
fn the_offset_of_a_wrong_clock_is_reported() {
    let collector = Collector::start();
    add(&collector, "127.0.0.9", "192.0.2.0/24");
    let socket = router("127.0.0.9");
    let found = provoke(&collector, "127.0.0.9", "clock_off", || {
        let early = SystemTime::now() - Duration::from_secs(2 * 3600);
        socket.send_to(&thirty_flows_at(early), collector.receiving).unwrap();
    });
    let what = found["what"].as_str().unwrap();
    assert!(what.starts_with("its clock is 2h00 behind"), "{what}");
    has(&found["evidence"], "counted at their receive time");
    collector.terminate();
}

#[test]
fn flows_that_no_link_can_carry_are_reported_and_not_counted() {
    let collector = Collector::start();
    add(&collector, "127.0.2.4", "192.0.2.0/24");
    let socket = router("127.0.2.4");
    let wide = TemplateSpec::data(256, [(12, 4), (1, 8)].map(|(id, length)| FieldSpecifier::iana(id, length)));
    let found = provoke(&collector, "127.0.2.4", "implausible_flows", || {
        let record = |bytes: u64| [&TO_MONITORED[..4], &bytes.to_be_bytes()].concat();
        let records = [record(1 << 60), record(u64::MAX), record((1 << 60) - 1)];
        socket.send_to(&v9(0).template(&wide).data(&wide, &records).finish(), collector.receiving).unwrap();
    });
    has(&found["evidence"], "sampling rate 1, from none");
    let flows = &collector.rest("GET", "/exporters/127.0.2.4", "")["counters"]["flows"];
    assert_eq!(flows["implausible"].as_u64(), flows["matched"].as_u64().map(|flows| 2 * flows), "{flows}");
    collector.terminate();
}

#[test]
fn unreadable_datagrams_are_reported_with_the_version_or_the_offset() {
    let collector = Collector::start();
    let (old, cut) = (router("127.0.3.1"), router("127.0.3.2"));
    add(&collector, "127.0.3.1", "192.0.2.0/24");
    add(&collector, "127.0.3.2", "192.0.2.0/24");
    let found = provoke(&collector, "127.0.3.1", "unknown_version", || {
        old.send_to(&[0, 2, 0, 0, 0, 0, 0, 0], collector.receiving).unwrap();
    });
    has(&found["evidence"], "version of the last unreadable datagram: 2");
    let found = provoke(&collector, "127.0.3.2", "malformed", || {
        let whole = v5(0, 0, 30);
        cut.send_to(&whole[..whole.len() - 10], collector.receiving).unwrap();
    });
    has(&found["evidence"], "truncated_records at byte");
    has(&found["run"], "netflow decode --summary");
    collector.terminate();
}

#[test]
fn losses_of_the_network_are_reported_and_billed() {
    let collector = Collector::start();
    add(&collector, "127.0.3.3", "192.0.2.0/24");
    let (socket, mut sequence) = (router("127.0.3.3"), 0);
    let found = provoke(&collector, "127.0.3.3", "lost_on_the_way", || {
        // Every second datagram is lost.
        socket.send_to(&v5(sequence, 0, 30), collector.receiving).unwrap();
        sequence += 60;
    });
    has(&found["evidence"], "records received, ");
    // They are stored with the next flush.
    let end = Instant::now() + PATIENCE;
    let billing = loop {
        let billing = collector.rest("GET", "/billing/127.0.3.3?prefix=192.0.2.0/24", "");
        if billing["lost"]["samples"].as_u64() > Some(0) {
            break billing;
        }
        assert!(Instant::now() < end, "{billing}");
    };
    let share = &billing["lost"]["shares"][0];
    let (received, lost) = (share["received"].as_u64().unwrap(), share["lost"].as_u64().unwrap());
    assert_eq!((&share["unit"], lost), (&json!("records"), received - 30), "{billing}");
    assert!(billing["method"].as_str().unwrap().contains("gaps in the sequence numbers"), "{billing}");
    collector.terminate();
}

#[test]
fn kernel_drops_are_reported_with_the_command_that_fixes_them() {
    let collector =
        Collector::start_with(&[("NETFLOW__SERVER__RECEIVE_BUFFER", "64KiB"), ("NETFLOW__SERVER__CORES", "1")]);
    add(&collector, "127.0.3.4", "192.0.2.0/24");
    let socket = router("127.0.3.4");
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &collector.process().to_string()]).status().unwrap();
        assert!(status.success());
    };
    signal("-STOP");
    for number in 0..2_000 {
        socket.send_to(&v5(number * 30, 0, 30), collector.receiving).unwrap();
    }
    signal("-CONT");
    let end = Instant::now() + PATIENCE;
    let found = loop {
        // The kernel reports drops with the next datagram.
        socket.send_to(&v5(60_000, 0, 30), collector.receiving).unwrap();
        let found = findings(&collector, "127.0.3.4");
        if let Some(found) = found.iter().find(|finding| finding["finding"] == "kernel_drops") {
            break found.clone();
        }
        assert!(Instant::now() < end, "{found:?}");
    };
    has(&found["evidence"], "net.core.rmem_max is ");
    has(&found["evidence"], &format!("drops at port {}", collector.receiving.port()));
    has(&found["run"], "sysctl -w net.core.rmem_max=");
    collector.terminate();
}

#[test]
fn an_unreachable_collector_is_reported_with_the_reason() {
    let collector = Collector::start();
    let report = |command: &mut Command| -> Value {
        let output = command.arg("--json").output().unwrap();
        assert_eq!(output.status.code(), FINDINGS, "{output:?}");
        let found = serde_json::from_slice::<Value>(&output.stdout).unwrap()["findings"][0].clone();
        is_documented(&found);
        found
    };
    let found = report(&mut beside(&collector, &["doctor", "--url", "http://127.0.0.1:1"]));
    assert_eq!(found["finding"], "unreachable");
    has(&found["evidence"], "cannot reach the collector at http://127.0.0.1:1");
    has(&found["evidence"], "UDP port ");
    has(&found["run"], "systemctl status netflow");
    // A proxy in front of a stopped collector.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", proxy.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut client, _) = proxy.accept().unwrap();
        assert!(client.read(&mut [0; 1024]).unwrap() > 0);
        client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    });
    let found = report(&mut beside(&collector, &["doctor", "--url", &at]));
    assert_eq!(found["finding"], "not_answered");
    has(&found["evidence"], "502");
    answering.join().unwrap();
    let wrong = collector.path().join("wrong");
    std::fs::write(&wrong, "authKey=\"a\"\nsignKey=\"b\"\n").unwrap();
    std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o600)).unwrap();
    let found = report(&mut beside(&collector, &["doctor", "--keys", "wrong"]));
    assert_eq!(found["finding"], "keys_refused");
    has(&found["run"], "netflow doctor --keys ");
    let mut late = Command::new("faketime");
    late.args(["-f", "+2h", env!("CARGO_BIN_EXE_netflow"), "doctor"]).current_dir(collector.path());
    let found = report(late.env("NETFLOW_URL", format!("http://{}", collector.serving)));
    assert_eq!(found["finding"], "client_clock");
    let what = found["what"].as_str().unwrap();
    assert!(
        what.starts_with("the clock of this machine is 2h0") && what.contains(" ahead of the collector's"),
        "{what}"
    );
    collector.terminate();
}

#[test]
fn an_unreachable_store_is_reported() {
    let service = Service::start("redis", 1, &[]);
    let collector = stores::start(&stores::settings("redis", &service.hosts, "doctor"));
    add(&collector, "127.0.0.1", "192.0.2.0/24");
    service.run(&["kill", "1"]);
    let end = Instant::now() + PATIENCE;
    loop {
        let (printed, _, code) = collector.command(&["doctor", "127.0.0.1", "--json"]);
        let report: Value = serde_json::from_str(&printed).unwrap();
        if code == FINDINGS && report["findings"][0]["finding"] == "store_unreachable" {
            has(&report["findings"][0]["evidence"], "flushes are spooled to disk");
            break;
        }
        assert!(Instant::now() < end, "{printed}");
    }
    // So it is after a start without the store.
    let settings = stores::settings("redis", &service.hosts, "doctor");
    let collector = stores::start_in(collector.kill(), &settings);
    let found = findings(&collector, "127.0.0.1");
    let names: Vec<_> = found.iter().map(|finding| finding["finding"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["store_unreachable", "registrations_outdated"]), "{found:?}");
    service.run(&["start"]);
    collector.wait_until("read", || {
        !findings(&collector, "127.0.0.1").iter().any(|finding| finding["finding"] == "registrations_outdated")
    });
    drop(collector);
}

#[test]
fn a_damaged_journal_is_reported() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    add(&collector, "127.0.0.1", "192.0.2.0/24");
    let socket = router("127.0.0.1");
    collector.wait_until("written", || {
        socket.send_to(&thirty_flows(), collector.receiving).unwrap();
        collector.counter("journal_written_datagrams") > 1
    });
    let directory = collector.kill();
    for path in segments(&directory.path().join("data/journal")) {
        let mut octets = std::fs::read(&path).unwrap();
        // The terms, after the header of the file.
        octets[24 + 50] ^= 1;
        std::fs::write(path, octets).unwrap();
    }
    let collector = Collector::start_in(directory);
    let found = findings(&collector, "127.0.0.1");
    let damaged = found.iter().find(|finding| finding["finding"] == "journal_damaged").unwrap();
    has(&damaged["evidence"], "bytes were skipped at the start");
    has(&damaged["evidence"], "datagrams were counted by the prefixes and settings of the start");
    has(&damaged["run"], "journalctl -u netflow");
    collector.terminate();
}
