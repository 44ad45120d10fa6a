//! A change has a moment: a datagram is counted by the registrations and settings of its time, also when the process is
//! killed afterwards and a start counts the journal.

use std::fs;
use std::net::UdpSocket;

use serde_json::{Value, json};
use wire::encode::{NetflowV9, TemplateSpec};
use wire::netflow_v5::Header;
use wire::{FieldSpecifier, netflow_v9};
use zerocopy::FromBytes;

use crate::collector::Collector;
use crate::crashes::segments;
use crate::reloads::{free_tcp, free_udp};
use crate::thirty_flows;

const OUTER: &str = "192.0.2.0/24";
const INNER: &str = "192.0.2.0/25";
/// Of thirty flows each, before and after each change.
const DATAGRAMS: u64 = 3;
/// Where the REST interface has the sender.
const SENDER: &str = "/senders/127.0.0.1";

/// Sends datagrams that the collector counts, and waits until they are in the journal.
pub(crate) fn send(collector: &Collector, to: std::net::SocketAddr, datagram: &[u8]) {
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = collector.counter("journal_written_datagrams");
    for sent in 1..=DATAGRAMS {
        from.send_to(datagram, to).unwrap();
        collector.wait_until("written", || collector.counter("journal_written_datagrams") == before + sent);
    }
}

pub(crate) fn prefixes(prefixes: &[&str]) -> String {
    let prefixes: Vec<Value> = prefixes
        .iter()
        .map(|prefix| prefix.split_once('/').unwrap())
        .map(|(address, length)| json!({ "prefix": address, "prefixLen": length.parse::<u8>().unwrap() }))
        .collect();
    json!({ "prefixes": prefixes }).to_string()
}

/// Registers or removes, and waits until that is in force.
pub(crate) fn change(collector: &Collector, method: &str, body: &str) {
    collector.log();
    collector.rest(method, SENDER, body);
    collector.wait_for_line("registered senders changed");
}

/// The bytes and flows of this year: of the outer and of the inner prefix.
fn counted(collector: &Collector) -> [[u64; 2]; 2] {
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let question = json!({ OUTER: { "years": [year] }, INNER: { "years": [year] } });
    let answer = collector.rest("POST", "/stats/127.0.0.1", &question.to_string());
    [OUTER, INNER].map(|prefix| {
        let rows = answer[prefix]["years"][0][year].as_array().cloned().unwrap_or_default();
        ["bytes", "flows"].map(|key| rows.iter().map(|row| row[key].as_u64().unwrap()).sum())
    })
}

/// What is stored of these numbers of batches, after a kill and two starts.
fn is_counted(collector: Collector, batches: [u64; 2]) {
    let expected = batches.map(|batches| [3000, 30].map(|of_one| of_one * batches * DATAGRAMS));
    let mut directory = collector.kill();
    for _ in 0..2 {
        let collector = Collector::start_in_with(directory, &[("NETFLOW__FLUSH_INTERVAL", "1s")]);
        // Both have to be registered for the question; nothing is received any more.
        collector.rest("PUT", SENDER, &prefixes(&[OUTER, INNER]));
        collector.wait_until("counted", || counted(&collector)[0][1] >= expected[0][1]);
        assert_eq!(counted(&collector), expected);
        collector.wait_until("flushed", || collector.counter("flushes") > 0);
        (directory, _) = collector.terminate();
    }
}

#[test]
fn after_a_kill_each_datagram_is_counted_by_the_prefixes_of_its_time() {
    for sync in ["off", "interval", "batch"] {
        let settings = [("NETFLOW__FLUSH_INTERVAL", "5m"), ("NETFLOW__JOURNAL__SYNC", sync)];
        let collector = Collector::start_with(&settings);
        let datagram = thirty_flows();
        let send = || send(&collector, collector.receiving, &datagram);
        change(&collector, "PUT", &prefixes(&[OUTER]));
        send();
        change(&collector, "PUT", &prefixes(&[INNER]));
        send();
        change(&collector, "DELETE", &prefixes(&[INNER]));
        send();
        change(&collector, "PUT", &prefixes(&[INNER]));
        change(&collector, "DELETE", &prefixes(&[OUTER]));
        send();
        is_counted(collector, [3, 2]);
    }
}

#[test]
fn after_a_kill_the_flows_of_a_sender_that_was_removed_are_counted() {
    let settings = [("NETFLOW__FLUSH_INTERVAL", "5m")];
    let collector = Collector::start_with(&settings);
    let datagram = thirty_flows();
    change(&collector, "PUT", &prefixes(&[OUTER]));
    send(&collector, collector.receiving, &datagram);
    change(&collector, "DELETE", "");
    // Not counted, and not in the journal.
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    from.send_to(&datagram, collector.receiving).unwrap();
    collector.wait_until("seen", || collector.rest("GET", "/unknown", "").to_string().contains("127.0.0.1"));
    change(&collector, "PUT", &prefixes(&[OUTER]));
    send(&collector, collector.receiving, &datagram);
    change(&collector, "DELETE", "");
    is_counted(collector, [2, 0]);
}

/// The template is in an earlier flush, so that the journal alone does not suffice to decode the data.
#[test]
fn after_a_kill_the_data_of_a_sender_that_was_removed_are_decoded() {
    let template = TemplateSpec::data(256, [(12, 4), (1, 4)].map(|(id, length)| FieldSpecifier::iana(id, length)));
    let announcement = NetflowV9::new(netflow_v9::Header::default()).template(&template).finish();
    let records = vec![template.record(&[&[192, 0, 2, 1], &100_u32.to_be_bytes()]); 30];
    let data = NetflowV9::new(netflow_v9::Header::default()).data(&template, &records).finish();
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "1s")]);
    change(&collector, "PUT", &prefixes(&[OUTER]));
    send(&collector, collector.receiving, &announcement);
    collector.wait_until("flushed", || collector.counter("flushes") > 0);
    let (directory, _) = collector.terminate();
    let collector = Collector::start_in_with(directory, &[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    send(&collector, collector.receiving, &data);
    change(&collector, "DELETE", "");
    is_counted(collector, [1, 0]);
}

#[test]
fn after_a_kill_sampled_flows_are_multiplied_if_they_were_at_their_time() {
    let (netflow, http) = (free_udp(), free_tcp());
    let text = |interval, multiplies: bool| {
        format!("flushInterval = \"{interval}\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n")
            + &format!("calculateSamples = {multiplies}\n")
    };
    let collector = Collector::start_configured(&text("5m", true));
    let mut sampled = thirty_flows();
    // One of four packets, in a deterministic way.
    Header::mut_from_prefix(&mut sampled).unwrap().0.sampling = (0x4000 | 4).into();
    change(&collector, "PUT", &prefixes(&[OUTER, INNER]));
    send(&collector, netflow, &sampled);
    collector.reload(&text("5m", false));
    send(&collector, netflow, &sampled);
    let mut directory = collector.kill();
    fs::write(directory.path().join("netflow.toml"), text("1s", false)).unwrap();
    let bytes = 3000 * DATAGRAMS;
    for _ in 0..2 {
        let collector = Collector::start_in(directory);
        collector.wait_until("counted", || counted(&collector)[0] == [4 * bytes + bytes, 60 * DATAGRAMS]);
        collector.wait_until("flushed", || collector.counter("flushes") > 0);
        (directory, _) = collector.terminate();
    }
}

#[test]
fn datagrams_whose_terms_are_damaged_are_counted_by_those_of_the_start_and_reported() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    change(&collector, "PUT", &prefixes(&[OUTER]));
    send(&collector, collector.receiving, &thirty_flows());
    let directory = collector.kill();
    // The terms are the first record of the segment; its header has 24 octets.
    for path in segments(&directory.path().join("data/journal")) {
        let mut octets = fs::read(&path).unwrap();
        octets[24 + 50] ^= 1;
        fs::write(path, octets).unwrap();
    }
    let collector = Collector::start_in(directory);
    let log = collector.startup_log();
    let reported = log.lines().any(|line| line.contains("WARN") && line.contains("the journal lacks the prefixes"));
    assert!(reported && log.contains(&format!("datagrams={DATAGRAMS}")), "{log}");
    assert_eq!(collector.counter("journal_unstated_datagrams"), DATAGRAMS);
    collector.wait_until("counted", || counted(&collector)[0][1] == 30 * DATAGRAMS);
    collector.terminate();
}

#[test]
fn after_a_kill_everything_is_counted_by_the_fields_of_the_start() {
    let settings = |fields, interval| [("NETFLOW__ACCOUNTING__FIELDS", fields), ("NETFLOW__FLUSH_INTERVAL", interval)];
    let collector = Collector::start_with(&settings("proto", "5m"));
    change(&collector, "PUT", &prefixes(&[OUTER]));
    send(&collector, collector.receiving, &thirty_flows());
    let collector = Collector::start_in_with(collector.kill(), &settings("dstport", "1s"));
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let question = json!({ OUTER: { "years": [{ year: ["all", "proto:0", "dstport:0"] }] } }).to_string();
    let names = || {
        let answer = collector.rest("POST", "/stats/127.0.0.1", &question);
        let rows = answer[OUTER]["years"][0][year].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| (row["name"].clone(), row["flows"].clone())).collect::<Vec<_>>()
    };
    collector.wait_until("counted", || !names().is_empty());
    // `proto:0` is among the other protocols: none is counted.
    let expected = ["all", "dstport:0", "proto:other"].map(|name| (json!(name), json!(30 * DATAGRAMS)));
    assert_eq!(names(), expected);
    collector.terminate();
}

/// The flows of this year by direction.
fn directions(collector: &Collector) -> Value {
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let answer = collector.rest("POST", "/stats/127.0.0.1", &json!({ OUTER: { "years": [year] } }).to_string());
    let rows = answer[OUTER]["years"][0][year].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| (row["direction"].as_str().unwrap().to_owned(), row["flows"].clone())).collect()
}

#[test]
fn after_a_kill_flows_are_local_if_they_were_at_their_time() {
    let (netflow, http) = (free_udp(), free_tcp());
    let text = |interval, own: &str| {
        format!("flushInterval = \"{interval}\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n")
            + &format!("[networks]\nown = {own}\n")
    };
    // The source of the flows is not monitored.
    let both = r#"["192.0.2.0/24", "198.51.100.0/24"]"#;
    let collector = Collector::start_configured(&text("5m", "[]"));
    change(&collector, "PUT", &prefixes(&["0.0.0.0/0", OUTER]));
    let datagram = thirty_flows();
    send(&collector, netflow, &datagram);
    let applied = "own networks changed";
    if !collector.reload(&text("5m", both)).contains(applied) {
        collector.wait_for_line(applied);
    }
    send(&collector, netflow, &datagram);
    let expected = json!({ "in": 30 * DATAGRAMS, "in:local": 30 * DATAGRAMS });
    let mut directory = collector.kill();
    std::fs::write(directory.path().join("netflow.toml"), text("1s", "[]")).unwrap();
    for _ in 0..2 {
        let collector = Collector::start_in(directory);
        collector.wait_until("counted", || directions(&collector) == expected);
        collector.wait_until("flushed", || collector.counter("flushes") > 0);
        (directory, _) = collector.terminate();
    }
}

#[test]
fn after_a_kill_flows_are_multiplied_by_the_sampling_rate_that_their_sender_had() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    let datagram = thirty_flows();
    change(&collector, "PUT", &prefixes(&[OUTER]));
    for settings in [
        r#"{"samplingRate":null,"natAddresses":"inside"}"#,
        r#"{"samplingRate":10}"#,
        r#"{"samplingRate":"announced"}"#,
    ] {
        change(&collector, "PUT", settings);
        send(&collector, collector.receiving, &datagram);
    }
    let shown = collector.rest("GET", SENDER, "");
    assert_eq!((&shown["natAddresses"], &shown["samplingRate"]), (&json!("inside"), &Value::Null));
    let mut directory = collector.kill();
    for _ in 0..2 {
        let collector = Collector::start_in_with(directory, &[("NETFLOW__FLUSH_INTERVAL", "1s")]);
        collector.rest("PUT", SENDER, &prefixes(&[INNER]));
        let expected = [3000 * DATAGRAMS * 12, 30 * DATAGRAMS * 3];
        collector.wait_until("counted", || counted(&collector)[0] == expected);
        collector.wait_until("flushed", || collector.counter("flushes") > 0);
        (directory, _) = collector.terminate();
    }
}

#[test]
fn after_a_kill_packets_in_tunnels_count_by_the_headers_that_their_sender_had() {
    let to = |last: u8, length: u8, protocol: u8| {
        let fixed = [0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0];
        [&fixed[..], &[198, 51, 100, 1], &[192, 0, 2, last]].concat()
    };
    // The tunnel ends in the outer prefix, the packet inside is to the inner one.
    let packet = [to(200, 60, 4), to(1, 40, 17)].concat();
    let template = TemplateSpec::data(256, [FieldSpecifier::iana(313, 40)]);
    let datagram = NetflowV9::new(netflow_v9::Header::default())
        .template(&template)
        .data(&template, &[template.record(&[&packet])])
        .finish();
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "5m")]);
    change(&collector, "PUT", &prefixes(&[OUTER, INNER]));
    send(&collector, collector.receiving, &datagram);
    change(&collector, "PUT", r#"{"tunnels":"inner"}"#);
    assert_eq!(collector.rest("GET", SENDER, "")["tunnels"], json!("inner"));
    send(&collector, collector.receiving, &datagram);
    change(&collector, "PUT", r#"{"tunnels":null}"#);
    send(&collector, collector.receiving, &datagram);
    let mut directory = collector.kill();
    let expected = [[(60 + 40 + 60) * DATAGRAMS, 3 * DATAGRAMS], [40 * DATAGRAMS, DATAGRAMS]];
    for _ in 0..2 {
        let collector = Collector::start_in_with(directory, &[("NETFLOW__FLUSH_INTERVAL", "1s")]);
        collector.wait_until("counted", || counted(&collector) == expected);
        collector.wait_until("flushed", || collector.counter("flushes") > 0);
        (directory, _) = collector.terminate();
    }
}
