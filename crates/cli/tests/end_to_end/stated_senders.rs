//! Senders of the configuration file: counted without a request, changed by a reload alone.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::changes::send;
use crate::collector::Collector;
use crate::reloads::{free_tcp, free_udp};
use crate::thirty_flows;

const EDGE: &str =
    "[[senders.known]]\naddress = \"127.0.0.1\"\nname = \"edge-1\"\nprefixes = [\"192.0.2.0/25\"]\ntags = [\"edge\"]\n";

fn settings(netflow: SocketAddr, http: SocketAddr, senders: &str) -> String {
    format!("flushInterval = \"1s\"\n[http]\nlisten = \"{http}\"\n[netflow]\nlisten = [\"{netflow}\"]\n{senders}\n")
}

fn total(collector: &Collector, prefix: &str) -> Value {
    collector.rest("GET", &format!("/top/127.0.0.1?prefix={prefix}&direction=in"), "")["total"].clone()
}

#[test]
fn a_sender_of_the_configuration_is_counted_and_changed_by_a_reload_alone() {
    let (netflow, http) = (free_udp(), free_tcp());
    let collector = Collector::start_configured(&settings(netflow, http, EDGE));
    send(&collector, netflow, &thirty_flows());
    collector.wait_until("counted", || total(&collector, "192.0.2.0/25")["flows"] == json!(90));
    let sender = || collector.rest("GET", "/senders/127.0.0.1", "");
    collector.wait_until("stored", || !sender()["last"].is_null());
    let shown = sender();
    assert_eq!((&shown["name"], &shown["tags"]), (&json!("edge-1"), &json!(["edge"])), "{shown}");
    assert_eq!(shown["configuration"], "netflow.toml:6");
    for (method, body) in [("PUT", r#"{"samplingRate":2}"#), ("DELETE", "")] {
        let refused = collector.rest(method, "/senders/127.0.0.1", body)["message"].to_string();
        assert!(
            refused.contains("127.0.0.1 is stated in the configuration (netflow.toml:6): change it there"),
            "{refused}"
        );
    }

    // Flows count by the settings of the moment that they arrive in.
    let rated = EDGE.replace("tags =", "samplingRate = 10\ntags =").replace("edge-1", "edge-2");
    let log = collector.reload(&settings(netflow, http, &rated));
    if !log.contains("registered senders changed") {
        collector.wait_for_line("registered senders changed");
    }
    let before = total(&collector, "192.0.2.0/25");
    send(&collector, netflow, &thirty_flows());
    collector.wait_until("counted", || total(&collector, "192.0.2.0/25")["flows"] == json!(180));
    let after = total(&collector, "192.0.2.0/25");
    let bytes = |total: &Value| total["bytes"].as_u64().unwrap();
    assert_eq!(bytes(&after), 11 * bytes(&before), "{after}");
    assert_eq!(sender()["name"], "edge-2");

    // Without the table it is no sender any more, also after a restart; a request may register it then.
    collector.reload(&settings(netflow, http, ""));
    collector.wait_until("removed", || collector.rest("GET", "/senders", "") == json!([]));
    let (directory, _) = collector.terminate();
    let collector = Collector::start_in_configured(directory);
    assert_eq!(collector.rest("GET", "/senders", ""), json!([]));
    let registered = collector.rest("PUT", "/senders/127.0.0.1", &crate::changes::prefixes(&["192.0.2.0/25"]));
    assert!(registered["name"].is_null() && !registered["last"].is_null(), "{registered}");
    assert_eq!(total(&collector, "192.0.2.0/25")["flows"], json!(180));
}
