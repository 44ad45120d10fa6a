//! Networks with names: which prefixes are counted, what is local, names in answers, and words in filters; from the
//! configuration and the REST interface, without a restart, and by the terms of their time after a crash.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::changes::send;
use crate::collector::Collector;
use crate::reloads::{free_tcp, free_udp};
use crate::thirty_flows;

const OFFICE: &str = "192.0.2.0/25";

fn settings(netflow: SocketAddr, http: SocketAddr, flush: &str, networks: &str) -> String {
    format!(
        "flushInterval = \"{flush}\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n{networks}\n"
    )
}

const NAMED: &str =
    "[[networks.named]]\nprefix = \"192.0.2.0/25\"\nname = \"office\"\ncustomer = \"customer-a\"\nas = 64500\n";

/// The flows of a direction.
fn flows(collector: &Collector, direction: &str) -> u64 {
    let path = format!("/top/127.0.0.1?prefix={OFFICE}&direction={direction}");
    collector.rest("GET", &path, "")["total"]["flows"].as_u64().unwrap_or_default()
}

fn start(flush: &str) -> (Collector, SocketAddr, SocketAddr) {
    let (netflow, http) = (free_udp(), free_tcp());
    let collector = Collector::start_configured(&settings(netflow, http, flush, NAMED));
    collector.log();
    // Without a prefix of its own.
    collector.rest("PUT", "/senders/127.0.0.1", r#"{"tags":["edge"]}"#);
    collector.wait_for_line("registered senders changed");
    (collector, netflow, http)
}

#[test]
fn a_network_of_the_configuration_is_counted_named_and_a_word_of_filters() {
    let (collector, netflow, http) = start("1s");
    let sender = collector.rest("GET", "/senders/127.0.0.1?names=1", "");
    assert_eq!(sender["prefixes"], json!([{"prefix": "192.0.2.0", "prefixLen": 25, "network": "office (customer-a)"}]));
    send(&collector, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, "in") == 90);
    let top = format!("/top/127.0.0.1?prefix={OFFICE}&field=dstip");
    let answer = collector.rest("GET", &format!("{top}&names=1"), "");
    assert_eq!(answer["network"], "office (customer-a)");
    assert_eq!(answer["rows"][0]["names"], json!({"dstip": "office (customer-a)"}), "{answer}");
    let bill = format!("/billing/127.0.0.1?prefix={OFFICE}");
    assert_eq!(collector.rest("GET", &format!("{bill}&names=1"), "")["network"], "office (customer-a)");
    assert!(collector.rest("GET", &bill, "").get("network").is_none());
    let without = collector.rest("GET", &top, "");
    assert!(without.get("network").is_none() && without["rows"][0].get("names").is_none(), "{without}");

    let rows = |filter: &str| {
        let filter = filter.replace(' ', "%20");
        collector.rest("GET", &format!("/flows/top?last=1h&by=dstip,dstip/24&names=1&filter={filter}"), "")
    };
    collector.wait_until("archived", || rows("dst net customer-a")["total"]["flows"] == json!(90));
    let answer = rows("dst net office and not src net customer-a");
    assert_eq!(answer["filter"], "dstip = 192.0.2.0/25 and not srcip = 192.0.2.0/25", "{answer}");
    // A /24 is no part of the /25.
    assert_eq!(answer["rows"][0]["names"], json!({"dstip": "office (customer-a)"}), "{answer}");
    assert_eq!(rows("src net office")["total"]["flows"], json!(0));
    let refused = rows("src net ofice")["message"].as_str().unwrap().to_owned();
    assert!(refused.contains("not \"ofice\": did you mean office?"), "{refused}");
    let refused = collector.rest("GET", "/tap?filter=net%20customer", "")["message"].to_string();
    assert!(refused.contains("a word of a network"), "{refused}");

    // What is in the file, the REST interface cannot change.
    let refused = collector.rest("PUT", "/networks/192.0.2.0/25", r#"{"name":"x"}"#)["message"].to_string();
    let place = "192.0.2.0/25 is stated in the configuration (netflow.toml:6)";
    assert!(refused.contains(place), "{refused}");

    // After a reload the network has another name, at once.
    collector.reload(&settings(netflow, http, "1s", &NAMED.replace("office", "lab")));
    collector.wait_until("renamed", || rows("net lab")["total"]["flows"] == json!(90));
    assert!(rows("net office").get("message").is_some());
}

#[test]
fn a_network_of_the_rest_interface_makes_flows_local_from_then_on() {
    let (collector, netflow, _) = start("1s");
    send(&collector, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, "in") == 90);
    collector.log();
    let lab = collector.rest("PUT", "/networks/198.51.100.0/24", r#"{"name":"lab","senders":[]}"#);
    assert_eq!(lab, json!({"prefix": "198.51.100.0/24", "name": "lab", "senders": []}));
    collector.wait_for_line("own networks changed");
    send(&collector, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, "in:local") == 90);
    assert_eq!(flows(&collector, "in"), 90);
    let remarks = collector.rest("GET", &format!("/top/127.0.0.1?prefix={OFFICE}"), "")["remarks"].clone();
    assert_eq!(remarks[0]["is"], "198.51.100.0/24", "{remarks}");

    // It is kept, and can be removed.
    let (directory, _) = collector.terminate();
    let collector = Collector::start_in_configured(directory);
    let prefixes = |answer: &Value| -> Vec<String> {
        answer.as_array().unwrap().iter().map(|network| network["prefix"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(prefixes(&collector.rest("GET", "/networks", "")), [OFFICE, "198.51.100.0/24"]);
    collector.log();
    collector.rest("DELETE", "/networks/198.51.100.0/24", "");
    collector.wait_for_line("own networks changed");
    send(&collector, netflow, &thirty_flows());
    collector.wait_until("counted", || flows(&collector, "in") == 180);
    assert_eq!(flows(&collector, "in:local"), 90);
}

#[test]
fn the_command_lists_adds_replaces_and_removes_networks() {
    let collector = Collector::start_configured(&settings(free_udp(), free_tcp(), "1s", NAMED));
    let run = |arguments: &str| {
        let (printed, stderr, code) = collector.command(&arguments.split(' ').collect::<Vec<_>>());
        (printed + &stderr, code)
    };
    let (added, _) = run("networks add 198.51.100.0/24 name=lab tags=b,a senders=tag:edge");
    assert!(added.contains("198.51.100.0/24  lab") && added.contains("a,b") && added.contains("tag:edge"), "{added}");
    let (listed, code) = run("networks");
    assert!(listed.contains("office") && listed.contains("netflow.toml:6") && code == Some(0), "{listed}");
    let (listed, _) = run("networks list --csv");
    assert_eq!(listed.lines().nth(2), Some("198.51.100.0/24,lab,,\"a,b\",,tag:edge,"), "{listed}");
    let (replaced, _) = run("networks add 198.51.100.0/24 senders=none");
    assert!(!replaced.contains("lab") && replaced.contains("none"), "{replaced}");
    let (refused, code) = run("networks add 198.51.100.0/24 nam=x");
    assert!(refused.contains("'nam=x' is none of name, customer, tags, as, senders") && code == Some(2), "{refused}");
    let (refused, code) = run("networks remove 192.0.2.0/25");
    assert!(refused.contains("is stated in the configuration (netflow.toml:6)") && code != Some(0), "{refused}");
    assert_eq!(run("networks remove 198.51.100.0/24").0, "removed 198.51.100.0/24; its stored data is kept\n");
    assert!(!run("networks").0.contains("198.51.100.0/24"));
}

#[test]
fn after_a_crash_flows_count_by_the_networks_of_their_time() {
    let (collector, netflow, http) = start("5m");
    send(&collector, netflow, &thirty_flows());
    collector.log();
    collector.rest("PUT", "/networks/198.51.100.0/24", "{}");
    collector.wait_for_line("own networks changed");
    send(&collector, netflow, &thirty_flows());
    let log = collector.reload(&settings(netflow, http, "5m", ""));
    if !log.contains("own networks changed") {
        collector.wait_for_line("own networks changed");
    }
    send(&collector, netflow, &thirty_flows());
    let directory = collector.kill();
    std::fs::write(directory.path().join("netflow.toml"), settings(netflow, http, "1s", "")).unwrap();
    let collector = Collector::start_in_configured(directory);
    // So that it can be asked for.
    collector.rest("PUT", "/senders/127.0.0.1", &crate::changes::prefixes(&[OFFICE]));
    collector.wait_until("recovered", || flows(&collector, "in:local") == 90);
    assert_eq!(flows(&collector, "in"), 90);
}
