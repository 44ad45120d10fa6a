//! Relays: what they send is counted for the exporters that it names, also after a kill.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::SystemTime;

use serde_json::{Value, json};
use testing::datagrams::sflow;
use wire::encode::{Ipfix, NetflowV9, TemplateSpec};
use wire::{FieldSpecifier, ipfix, netflow_v9};

use crate::collector::Collector;

const RELAY: &str = "127.0.7.1";
const ONE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const PREFIX: &str = "192.0.2.0/24";
const SLOW: [(&str, &str); 1] = [("NETFLOW__FLUSH_INTERVAL", "5m")];

fn now() -> u32 {
    u32::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A flow of 100 octets for each exporter.
fn records(template: &TemplateSpec, exporters: &[Ipv4Addr]) -> Vec<Vec<u8>> {
    let record = |exporter: &Ipv4Addr| {
        template.record(&[&[192, 0, 2, 7], &[233, 252, 0, 1], &[0, 0, 0, 100], &[0, 0, 0, 1], &exporter.octets()])
    };
    exporters.iter().map(record).collect()
}

/// Both protocols, with their template.
fn named(exporters: &[Ipv4Addr]) -> [Vec<u8>; 2] {
    let fields = [(8, 4), (12, 4), (1, 4), (2, 4), (130, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields);
    let records = records(&template, exporters);
    let v9 = netflow_v9::Header { unix_seconds: now().into(), ..Default::default() };
    let message = ipfix::Header { export_seconds: now().into(), ..Default::default() };
    [
        NetflowV9::new(v9).template(&template).data(&template, &records).finish(),
        Ipfix::new(message).template(&template).data(&template, &records).finish(),
    ]
}

/// Registers a sender or changes it, and waits until that is in force.
fn set(collector: &Collector, sender: &str, body: &Value) {
    collector.log();
    collector.rest("PUT", &format!("/senders/{sender}"), &body.to_string());
    collector.wait_for_line("registered senders changed");
}

fn register(collector: &Collector, sender: &str, setting: &Value) {
    let mut body = json!({"prefixes": [{"prefix": "192.0.2.0", "prefixLen": 24}]});
    body.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
    set(collector, sender, &body);
}

/// Sends datagrams of the relay, each once the one before is read.
fn relay(collector: &Collector, datagrams: &[Vec<u8>]) {
    let from = UdpSocket::bind((RELAY.parse::<IpAddr>().unwrap(), 0)).unwrap();
    for datagram in datagrams {
        let before = read(collector);
        from.send_to(datagram, collector.receiving).unwrap();
        collector.wait_until("read", || read(collector) == before + 1);
    }
}

fn read(collector: &Collector) -> u64 {
    let datagrams = &collector.rest("GET", "/status", "")["counters"]["datagrams"];
    datagrams.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

/// The bytes and flows of this year.
fn counted(collector: &Collector, sender: &str) -> [u64; 2] {
    let year = collector.shell("date -u +%Y");
    let year = year.trim();
    let question = json!({ PREFIX: { "years": [year] } }).to_string();
    let answer = collector.rest("POST", &format!("/stats/{sender}"), &question);
    let rows = answer[PREFIX]["years"][0][year].as_array().cloned().unwrap_or_default();
    ["bytes", "flows"].map(|key| rows.iter().map(|row| row[key].as_u64().unwrap()).sum())
}

#[test]
fn flows_behind_a_relay_are_counted_for_the_registered_exporters_that_it_names() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "1s")]);
    register(&collector, RELAY, &json!({ "identity": "agent" }));
    register(&collector, "198.51.100.1", &json!({}));
    register(&collector, "198.51.100.2", &json!({ "samplingRate": 3 }));
    relay(&collector, &[sflow(ONE, 1), sflow(STRANGER, 1), sflow(OTHER, 1), sflow(ONE, 2)]);
    relay(&collector, &named(&[ONE, OTHER, STRANGER, ONE]));
    collector.wait_until("counted", || counted(&collector, "198.51.100.1")[1] == 6);
    assert_eq!(counted(&collector, "198.51.100.1"), [2 * 1000 + 4 * 100, 6]);
    assert_eq!(counted(&collector, "198.51.100.2"), [300 + 2 * 300, 3]);
    assert_eq!(counted(&collector, RELAY), [0, 0]);
    let one = collector.rest("GET", "/exporters/198.51.100.1", "");
    assert_eq!((&one["relay"], &one["counters"]["flows"]["matched"]), (&json!(RELAY), &json!(6)));
    let relay = collector.rest("GET", &format!("/exporters/{RELAY}"), "");
    assert_eq!(relay["counters"]["flows"]["unregistered_agent"], 2);
    assert_eq!(relay["templates"].as_array().unwrap().len(), 2);
    let unknown = collector.rest("GET", "/unknown", "");
    assert_eq!((&unknown[0]["address"], &unknown[0]["relay"]), (&json!("198.51.100.9"), &json!(RELAY)));
    assert_eq!((&unknown[0]["datagrams"], unknown.as_array().unwrap().len()), (&json!(3), 1));
    let (printed, _, _) = collector.command(&["doctor", "198.51.100.9"]);
    assert!(
        printed.contains(&format!("the relay {RELAY} sends flows of 198.51.100.9, which is not registered")),
        "{printed}"
    );
    for sender in ["198.51.100.1", "198.51.100.2", RELAY] {
        assert!(!collector.rest("GET", &format!("/senders/{sender}"), "")["last"].is_null(), "{sender} is silent");
    }
    collector.terminate();
}

#[test]
fn without_the_setting_they_are_counted_for_the_address_that_sends_them_and_doctor_proposes_it() {
    let collector = Collector::start_with(&[("NETFLOW__FLUSH_INTERVAL", "1s")]);
    register(&collector, RELAY, &json!({}));
    register(&collector, "198.51.100.1", &json!({}));
    relay(&collector, &[sflow(ONE, 1), sflow(OTHER, 1)]);
    relay(&collector, &named(&[ONE, OTHER]));
    collector.wait_until("counted", || counted(&collector, RELAY)[1] == 6);
    assert_eq!(counted(&collector, "198.51.100.1"), [0, 0]);
    let proposal = format!("netflow senders set {RELAY} identity=agent");
    let (printed, _, _) = collector.command(&["doctor", RELAY]);
    for part in ["[looks_like_relay]", "its sFlow datagrams name 2 other agents", &proposal] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    // Its advice helps.
    collector.command(&["senders", "add", "198.51.100.2", PREFIX]);
    collector.command(&["senders", "set", RELAY, "identity=agent"]);
    collector.wait_until("in force", || {
        relay(&collector, &[sflow(OTHER, 2)]);
        counted(&collector, "198.51.100.2")[1] > 0
    });
    let (printed, _, _) = collector.command(&["doctor", RELAY]);
    assert!(!printed.contains("looks_like_relay"), "{printed}");
    collector.terminate();
}

#[test]
fn after_a_kill_flows_behind_a_relay_are_counted_by_the_registrations_of_their_time() {
    let collector = Collector::start_with(&SLOW);
    let send = |sequence| {
        relay(&collector, &[sflow(ONE, sequence), sflow(OTHER, sequence)]);
        relay(&collector, &named(&[ONE, OTHER]));
    };
    // All of them are the relay's.
    register(&collector, RELAY, &json!({}));
    register(&collector, "198.51.100.1", &json!({}));
    send(1);
    // The other one is not registered yet.
    set(&collector, RELAY, &json!({ "identity": "agent" }));
    send(2);
    register(&collector, "198.51.100.2", &json!({ "samplingRate": 3 }));
    send(3);
    // One of them is not registered any more, and the other one has another rate.
    collector.log();
    collector.rest("DELETE", "/senders/198.51.100.1", "");
    collector.wait_for_line("registered senders changed");
    set(&collector, "198.51.100.2", &json!({ "samplingRate": 7 }));
    send(4);
    collector.wait_until("written", || collector.counter("journal_written_datagrams") == 4 + 3 + 4 + 3);
    let mut directory = collector.kill();
    for _ in 0..2 {
        let collector = Collector::start_in_with(directory, &[("NETFLOW__FLUSH_INTERVAL", "1s")]);
        // For the questions; nothing is received any more.
        let again = r#"{"prefixes": [{"prefix": "192.0.2.0", "prefixLen": 24}], "samplingRate": 1000000}"#;
        collector.rest("PUT", "/senders/198.51.100.1", again);
        collector.wait_until("counted", || counted(&collector, RELAY)[1] == 6);
        assert_eq!(counted(&collector, RELAY), [2000 + 400, 6]);
        assert_eq!(counted(&collector, "198.51.100.1"), [2 * (1000 + 200), 6]);
        assert_eq!(counted(&collector, "198.51.100.2"), [3 * (100 + 200) + 7 * (100 + 200), 6]);
        collector.wait_until("flushed", || collector.counter("flushes") > 0);
        (directory, _) = collector.terminate();
    }
}
