//! Routers of `senders.accept`: counted from their first datagram, up to a limit, and not again after their removal.

use std::net::{SocketAddr, UdpSocket};

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::reloads::{free_tcp, free_udp};
use crate::thirty_flows;

fn settings(netflow: SocketAddr, http: SocketAddr, limit: usize) -> String {
    format!(
        "flushInterval = \"1s\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n\
         [[networks.named]]\nprefix = \"192.0.2.0/25\"\nname = \"office\"\n\
         [senders]\naccept = [\"127.0.0.0/8\"]\nacceptLimit = {limit}\n"
    )
}

fn send(host: u8, to: SocketAddr, datagram: &[u8]) {
    UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap().send_to(datagram, to).unwrap();
}

fn flows(collector: &Collector, host: u8) -> u64 {
    let path = format!("/top/127.0.0.{host}?prefix=192.0.2.0/25&direction=in");
    collector.rest("GET", &path, "")["total"]["flows"].as_u64().unwrap_or_default()
}

/// How many there are, and how many there may be.
fn accepted_senders(collector: &Collector) -> [f64; 2] {
    let gauge = &collector.rest("GET", "/status", "")["gauges"]["accepted_senders"];
    ["value", "limit"].map(|key| gauge[key].as_f64().unwrap())
}

/// The datagrams read until now, and those of them that were unregistered.
fn datagrams(collector: &Collector) -> [u64; 2] {
    let (metrics, ..) = collector.command(&["curl", "GET", "/metrics"]);
    let of = |fate: &str| -> u64 {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix("netflow_datagrams_total{fate=\""));
        lines
            .filter(|line| line.starts_with(fate))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum()
    };
    ["", "unregistered\""].map(of)
}

fn unregistered(collector: &Collector) -> Vec<Value> {
    let unknown = collector.rest("GET", "/unknown", "");
    unknown.as_array().unwrap().iter().map(|sender| sender["address"].clone()).collect()
}

#[test]
fn a_router_in_the_ranges_is_counted_from_its_first_datagram_up_to_the_limit() {
    let (netflow, http) = (free_udp(), free_tcp());
    let collector = Collector::start_configured(&settings(netflow, http, 2));
    // No export datagram.
    send(9, netflow, b"nonsense");
    for host in [1, 2] {
        for _ in 0..4 {
            send(host, netflow, &thirty_flows());
        }
    }
    collector.wait_until("counted", || [1, 2].iter().all(|host| flows(&collector, *host) == 120));
    let senders = collector.rest("GET", "/senders", "");
    let accepted: Vec<_> =
        senders.as_array().unwrap().iter().map(|sender| (&sender["ip"], &sender["accepted"])).collect();
    assert_eq!(accepted, [(&json!("127.0.0.1"), &json!(true)), (&json!("127.0.0.2"), &json!(true))]);
    assert_eq!(accepted_senders(&collector), [2.0, 2.0]);
    let (table, ..) = collector.command(&["senders"]);
    assert!(table.contains("senders.accept"), "{table}");

    // The limit.
    send(3, netflow, &thirty_flows());
    collector.wait_until("unregistered", || unregistered(&collector).contains(&json!("127.0.0.3")));
    let (findings, ..) = collector.command(&["doctor"]);
    assert!(findings.contains("senders.acceptLimit"), "{findings}");

    // What is removed stays removed, also after a restart, and makes room.
    collector.rest("DELETE", "/senders/127.0.0.2", "");
    collector.wait_until("room", || accepted_senders(&collector)[0] == 1.0);
    let (directory, log) = collector.terminate();
    assert!(log.contains("no further router is accepted: senders.acceptLimit is reached"), "{log}");
    let collector = Collector::start_in_configured(directory);
    send(2, netflow, &thirty_flows());
    send(3, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, 3) == 30);
    collector.wait_until("unregistered", || unregistered(&collector) == [json!("127.0.0.2")]);

    // Until a request registers it.
    collector.log();
    collector.rest("PUT", "/senders/127.0.0.2", r#"{"tags":[]}"#);
    collector.wait_for_line("registered senders changed");
    send(2, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, 2) == 150);
    let check = collector.rest("GET", "/status", "");
    assert!(check["ledgers"].as_array().unwrap().iter().all(|ledger| ledger["violations"] == json!(0)), "{check}");
    collector.terminate();
}

#[test]
fn a_flood_of_forged_addresses_takes_no_more_than_the_limit_and_nothing_from_others() {
    const FORGED: u16 = 2000;
    const LIMIT: u16 = 20;
    let (netflow, http) = (free_udp(), free_tcp());
    let collector = Collector::start_configured(&settings(netflow, http, LIMIT.into()));
    send(1, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, 1) == 30);
    let resident = collector.resident();
    for number in 0..FORGED {
        let [high, low] = number.to_be_bytes();
        let forged = UdpSocket::bind(SocketAddr::from(([127, 1, high, low], 0))).unwrap();
        forged.send_to(&thirty_flows(), netflow).unwrap();
        if (number + 1).is_multiple_of(100) {
            send(1, netflow, &thirty_flows());
            // The kernel has room for these.
            let sent = u64::from(number + 1 + (number + 1) / 100 + 1);
            collector.wait_until("read", || datagrams(&collector)[0] == sent);
        }
    }
    collector.wait_until("counted", || flows(&collector, 1) == 30 * (1 + u64::from(FORGED / 100)));
    assert_eq!(accepted_senders(&collector), [f64::from(LIMIT); 2]);
    let [_, unregistered] = datagrams(&collector);
    assert!(unregistered <= u64::from(FORGED - LIMIT + 1) && unregistered > u64::from(FORGED / 2), "{unregistered}");
    assert!(collector.resident() < resident + (32 << 20));
    collector.terminate();
}
