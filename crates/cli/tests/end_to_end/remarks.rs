//! What changes the meaning of counters is shown with its time by the answers that it concerns.

use std::net::SocketAddr;
use std::time::SystemTime;

use flow::Timestamp;
use serde_json::Value;

use crate::changes::{change, prefixes, send};
use crate::collector::Collector;
use crate::reloads::{free_tcp, free_udp};
use crate::thirty_flows;

const CUSTOMER: &str = "192.0.2.0/25";
const AGGREGATE: &str = "192.0.2.0/24";
/// The source of the flows.
const ELSEWHERE: &str = "198.51.100.0/24";

fn settings(netflow: SocketAddr, http: SocketAddr, own: &[&str]) -> String {
    format!(
        "flushInterval = \"1s\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n[networks]\nown = {own:?}\n"
    )
}

/// Kind, what it was and what it is, of each remark of an answer.
fn remarks(collector: &Collector, route: &str, parameters: &str) -> Vec<[String; 3]> {
    let answer = collector.rest("GET", &format!("/{route}/127.0.0.1?prefix={CUSTOMER}{parameters}"), "");
    let shown = answer["remarks"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let part = |remark: &Value, name: &str| remark[name].as_str().unwrap().to_owned();
    shown.iter().map(|remark| ["kind", "was", "is"].map(|name| part(remark, name))).collect()
}

/// Waits for a number of remarks, which all answers then show.
fn until_remarked(collector: &Collector, expected: &[[&str; 3]]) {
    collector.wait_until("remarked", || remarks(collector, "top", "").len() >= expected.len());
    for (route, parameters) in [("top", ""), ("series", "&step=minute"), ("billing", "&local=exclude"), ("billing", "")]
    {
        assert_eq!(remarks(collector, route, parameters), expected, "{route}{parameters}");
    }
}

/// Sends flows, and waits until they are stored.
fn count(collector: &Collector, to: SocketAddr) {
    let stored = || collector.rest("GET", &format!("/top/127.0.0.1?prefix={CUSTOMER}"), "")["total"].clone();
    let all = || collector.rest("GET", &format!("/series/127.0.0.1?prefix={CUSTOMER}&step=day"), "")["points"].clone();
    let before = (stored(), all());
    send(collector, to, &thirty_flows());
    collector.wait_until("stored", || (stored(), all()) != before);
}

fn now() -> u64 {
    Timestamp::from(SystemTime::now()).seconds()
}

#[test]
fn an_aggregate_around_a_prefix_other_own_networks_and_settings_are_remarked() {
    let (netflow, http) = (free_udp(), free_tcp());
    let collector = Collector::start_configured(&settings(netflow, http, &[]));
    change(&collector, "PUT", &prefixes(&[CUSTOMER]));
    count(&collector, netflow);
    until_remarked(&collector, &[]);

    let earliest = now();
    change(&collector, "PUT", &prefixes(&[AGGREGATE, ELSEWHERE]));
    let own = ["ownNetworks", CUSTOMER, "192.0.2.0/24, 198.51.100.0/24"];
    until_remarked(&collector, &[own]);
    let answer = collector.rest("GET", &format!("/top/127.0.0.1?prefix={CUSTOMER}"), "");
    let time: jiff::Timestamp = answer["remarks"][0]["time"].as_str().unwrap().parse().unwrap();
    let second = u64::try_from(time.as_second()).unwrap();
    assert!((earliest..=now()).contains(&second), "{answer}");
    assert_eq!(answer["remarks"][0]["affected"], true);
    count(&collector, netflow);

    // The minute of the change is the first that is not in this range.
    let minute = jiff::Timestamp::from_second(time.as_second() / 60 * 60).unwrap();
    let before = format!("&from={}&to={minute}", minute - jiff::SignedDuration::from_hours(1));
    for (route, step) in [("top", ""), ("series", "&step=minute")] {
        assert_eq!(remarks(&collector, route, &format!("{before}{step}")), [[""; 3]; 0]);
    }

    let shown = format!("remark {time}: own networks: 192.0.2.0/24, 198.51.100.0/24 instead of {CUSTOMER}; ");
    for command in ["top", "series", "billing"] {
        let run = |format: &[&str]| {
            let arguments = [&[command, "127.0.0.1", CUSTOMER], format].concat();
            let (printed, stderr, code) = collector.command(&arguments);
            assert_eq!(code, Some(0), "{printed}{stderr}");
            (printed, stderr)
        };
        let (printed, stderr) = run(&[]);
        assert!(printed.contains(&format!("\n\n{shown}")) && stderr.is_empty(), "{printed}{stderr}");
        let (printed, stderr) = run(&["--csv"]);
        assert!(!printed.contains("remark") && stderr.starts_with(&shown), "{printed}{stderr}");
        let printed: Value = serde_json::from_str(&run(&["--json"]).0).unwrap();
        assert_eq!(printed["remarks"][0]["time"], time.to_string());
    }

    change(&collector, "PUT", r#"{"samplingRate":10}"#);
    let rate = ["samplingRate", "announced", "10"];
    until_remarked(&collector, &[own, rate]);

    // Over a restart, and then over one that changes nothing.
    let mut directory = collector.kill();
    let stated = settings(netflow, http, &[AGGREGATE]);
    std::fs::write(directory.path().join("netflow.toml"), &stated).unwrap();
    let restated = ["ownNetworks", ELSEWHERE, ""];
    for _ in 0..2 {
        let collector = Collector::start_in_configured(directory);
        until_remarked(&collector, &[own, rate, restated]);
        (directory, _) = collector.terminate();
    }
    // Over a reload.
    let collector = Collector::start_in_configured(directory);
    collector.reload(&settings(netflow, http, &[AGGREGATE, "10.0.0.0/8"]));
    until_remarked(&collector, &[own, rate, restated, ["ownNetworks", "", "10.0.0.0/8"]]);
    collector.terminate();
}
