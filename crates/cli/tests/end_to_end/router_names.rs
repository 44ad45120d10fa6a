//! Names of routers from the configuration, SNMP and DNS; and servers and agents that are silent or hostile.

use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use testing::name_server::{NameServer, Reply};
use testing::snmpd::Snmpd;

use crate::collector::Collector;
use crate::commands::run;
use crate::thirty_flows;

/// A router with everything, one whose agent has a name that needs cleaning, one in DNS only, one without a name, and one that
/// is not registered.
const ALL: &str = "127.0.0.1";
const AGENT: &str = "127.0.0.2";
const DNS: &str = "127.0.0.3";
const NONE: &str = "127.0.0.4";
const STRANGER: &str = "127.0.0.5";

fn send(router: &str, to: SocketAddr) {
    UdpSocket::bind((router, 0)).unwrap().send_to(&thirty_flows(), to).unwrap();
}

/// The object of a list about an address.
fn of(collector: &Collector, path: &str, key: &str, address: &str) -> Value {
    let list = collector.rest("GET", path, "");
    list.as_array().unwrap().iter().find(|object| object[key] == address).cloned().unwrap_or_default()
}

fn named(collector: &Collector, router: &str) -> (Value, Value) {
    let sender = of(collector, "/senders", "ip", router);
    (sender["name"].clone(), sender["nameSource"].clone())
}

fn answered(collector: &Collector, result: &str) -> u64 {
    collector.rest("GET", "/status", "")["counters"]["dns_questions"][result].as_u64().unwrap()
}

fn in_dns(address: IpAddr) -> Reply {
    match address.to_string().as_str() {
        ALL | STRANGER => Reply::Name(format!("xe-{}.edge-1.example.net", address.to_string().replace('.', "-"))),
        AGENT => Reply::Name("agent.example.net".into()),
        DNS => Reply::Name("core-1.example.net".into()),
        _ => Reply::Error(3),
    }
}

#[test]
fn a_router_is_called_what_is_configured_else_by_its_agent_else_by_dns() {
    let agent = Snmpd::start("Core <b>Switch</b> 1", "public", &[]);
    let server = NameServer::start(in_dns);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agents.toml");
    // The agent of this machine answers at one address only.
    fs::write(&path, format!("[a]\nrouters=['{ALL}']\nport={}\ncommunity='public'\n", agent.address.port())).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let servers = server.address.to_string();
    let settings = [
        ("NETFLOW__SNMP__AGENTS_FILE", "agents.toml"),
        ("NETFLOW__SNMP__INTERVAL", "10s"),
        ("NETFLOW__SENDERS__DNS_NAMES", "all"),
        ("NETFLOW__SENDERS__DNS_SERVERS", servers.as_str()),
    ];
    let collector = Collector::start_in_with(directory, &settings);
    for router in [ALL, AGENT, DNS, NONE] {
        run(&collector, &["senders", "add", router, "192.0.2.0/24"]);
    }
    for router in [ALL, STRANGER] {
        send(router, collector.receiving);
    }
    collector.wait_until("named", || named(&collector, ALL).1 == "snmp" && named(&collector, DNS).1 == "dns");
    assert_eq!(named(&collector, ALL), (json!("Core_b_Switch_b_1"), json!("snmp")));
    collector.wait_until("all asked", || answered(&collector, "named") == 4 && answered(&collector, "nameless") == 1);
    assert_eq!(named(&collector, DNS), (json!("core-1.example.net"), json!("dns")));
    assert_eq!(named(&collector, NONE), (Value::Null, Value::Null));
    let other = json!([{"name": "xe-127-0-0-1.edge-1.example.net", "source": "dns"}]);
    assert_eq!(of(&collector, "/senders", "ip", ALL)["otherNames"], other);
    assert_eq!(of(&collector, "/exporters", "address", ALL)["name"], "Core_b_Switch_b_1");
    let stranger = of(&collector, "/unknown", "address", STRANGER);
    assert_eq!(stranger["name"], "xe-127-0-0-5.edge-1.example.net", "{stranger}");
    let table = run(&collector, &["senders"]);
    assert!(table.starts_with("sender ") && table.contains("Core_b_Switch_b_1   snmp"), "{table}");

    // What the operator says comes first, and what it was called before is still known.
    run(&collector, &["senders", "set", ALL, "name=edge-1.example.net"]);
    assert_eq!(named(&collector, ALL), (json!("edge-1.example.net"), json!("configured")));
    collector.wait_until("known", || of(&collector, "/exporters", "address", ALL)["nameSource"] == "configured");
    let others = of(&collector, "/senders", "ip", ALL)["otherNames"].clone();
    assert_eq!(others.as_array().unwrap().len(), 2, "{others}");
    let imported = collector.path().join("routers.txt");
    fs::write(&imported, format!("{DNS} name=core-1.example.net\n")).unwrap();
    let printed = run(&collector, &["senders", "import", "routers.txt"]);
    assert!(printed.contains("1 changed"), "{printed}");
    assert_eq!(named(&collector, DNS).1, "configured");
    run(&collector, &["senders", "set", DNS, "name="]);
    assert_eq!(named(&collector, DNS), (json!("core-1.example.net"), json!("dns")));

    // Each address was asked for once.
    let mut asked = server.asked();
    asked.sort_unstable();
    let expected = [ALL, AGENT, DNS, NONE, STRANGER].map(|router| router.parse::<IpAddr>().unwrap());
    assert_eq!(asked, expected);
    // Names are found again after a restart.
    let collector = Collector::start_in_with(collector.terminate().0, &settings);
    collector.wait_until("named again", || named(&collector, DNS).1 == "dns");
    collector.terminate();
}

#[test]
fn dns_servers_that_are_silent_or_hostile_cost_the_names_only() {
    let hostile = NameServer::start(|address| match address.to_string().as_str() {
        "127.0.0.2" => Reply::Labels(vec![vec![b'a'; 63]; 64]),
        "127.0.0.3" => Reply::Labels(vec![b"<script>alert(1)</script>".to_vec()]),
        "127.0.0.4" => Reply::Labels(vec!["\u{202e}ten.elpmaxe".into()]),
        "127.0.0.5" => Reply::Loop,
        "127.0.0.6" => Reply::After(vec![Vec::new(), vec![0xff; 4096]], "good.example.net".into()),
        "127.0.0.7" => Reply::Error(2),
        _ => Reply::Silence,
    });
    let servers = hostile.address.to_string();
    let collector = Collector::start_with(&[
        ("NETFLOW__SENDERS__DNS_NAMES", "registered"),
        ("NETFLOW__SENDERS__DNS_SERVERS", servers.as_str()),
    ]);
    for host in 1..40 {
        run(&collector, &["senders", "add", &format!("127.0.0.{host}"), "192.0.2.0/24"]);
    }
    collector.wait_until("the good one is named", || named(&collector, "127.0.0.6").0 == "good.example.net");
    // While questions are open, every flow is counted, and answers come.
    for _ in 0..20 {
        for host in 1..40 {
            send(&format!("127.0.0.{host}"), collector.receiving);
        }
    }
    let flows = |host: u8| {
        let path = format!("/top/127.0.0.{host}?prefix=192.0.2.0/24&direction=in");
        collector.rest("GET", &path, "")["total"]["flows"].as_u64().unwrap_or_default()
    };
    collector.wait_until("counted", || (1..40).all(|host| flows(host) == 600));
    collector.wait_until("given up", || answered(&collector, "failed") >= 8);
    for host in [1, 2, 3, 4, 5, 7, 8] {
        assert_eq!(named(&collector, &format!("127.0.0.{host}")).0, Value::Null, "{host}");
    }
    // Addresses that are not registered are not asked for with this setting.
    send("127.0.0.200", collector.receiving);
    collector.wait_until("unknown", || of(&collector, "/unknown", "address", "127.0.0.200") != Value::Null);
    assert!(!hostile.asked().contains(&"127.0.0.200".parse().unwrap()));
    let (_, log) = collector.terminate();
    assert!(log.contains("DNS does not answer queries for names of routers"), "{log}");
}
