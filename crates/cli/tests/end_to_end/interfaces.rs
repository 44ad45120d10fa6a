//! Names of interfaces: from options data and the configuration to counters, kept over restarts and a renumbering.

use std::net::UdpSocket;
use std::time::SystemTime;

use serde_json::{Value, json};
use wire::encode::{NetflowV9, TemplateSpec};
use wire::{FieldSpecifier, netflow_v9};

use crate::collector::Collector;
use crate::commands::run;

const ROUTER: &str = "127.0.0.1";
const PREFIX: &str = "192.0.2.0/24";
const SETTINGS: [(&str, &str); 3] = [
    ("NETFLOW__ACCOUNTING__FIELDS", "inif,outif"),
    ("NETFLOW__INTERFACES__KNOWN", "127.0.0.1 6 wan 8k uplink to X"),
    ("NETFLOW__FLUSH_INTERVAL", "1s"),
];

/// A datagram of a router that has been up for this long: a table of interfaces, and a flow from interface 5 to 6.
fn datagram(up_seconds: u32, name: &str) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let header = netflow_v9::Header {
        unix_seconds: u32::try_from(now).unwrap().into(),
        uptime: (up_seconds * 1000).into(),
        ..Default::default()
    };
    let fields = |list: &[(u16, u16)]| list.iter().map(|(id, n)| FieldSpecifier::iana(*id, *n)).collect::<Vec<_>>();
    let table = TemplateSpec::options(256, 1, fields(&[(1, 4), (10, 4), (82, 16)]));
    let flows = TemplateSpec::data(257, fields(&[(12, 4), (1, 4), (2, 4), (10, 4), (14, 4)]));
    let mut padded = name.as_bytes().to_vec();
    padded.resize(16, 0);
    let named = [&[127, 0, 0, 1, 0, 0, 0, 5][..], &padded].concat();
    let flow = [[192, 0, 2, 1], [0, 0, 0, 200], [0, 0, 0, 2], [0, 0, 0, 5], [0, 0, 0, 6]].concat();
    let message = NetflowV9::new(header).template(&table).template(&flows);
    message.data(&table, &[named]).data(&flows, &[flow]).finish()
}

fn interfaces(collector: &Collector) -> Vec<Value> {
    let exporter = collector.rest("GET", &format!("/exporters/{ROUTER}"), "");
    exporter["interfaces"].as_array().cloned().unwrap_or_default()
}

fn called(interfaces: &[Value], index: u32) -> Vec<&str> {
    let of_index = interfaces.iter().filter(|interface| interface["index"] == index);
    of_index.map(|interface| interface["name"].as_str().unwrap()).collect()
}

#[test]
fn counters_of_interfaces_have_names_and_a_renumbered_index_has_those_of_its_time() {
    let collector = Collector::start_with(&SETTINGS);
    run(&collector, &["senders", "add", ROUTER, PREFIX]);
    let socket = UdpSocket::bind((ROUTER, 0)).unwrap();
    let top = |collector: &Collector, field: &str| run(collector, &["top", ROUTER, PREFIX, "--field", field]);
    collector.wait_until("named", || {
        socket.send_to(&datagram(3600, "ge-0/0/1\u{1b}[2J"), collector.receiving).unwrap();
        let (printed, ..) = collector.command(&["top", ROUTER, PREFIX, "--field", "inif"]);
        printed.contains("inif:5 (")
    });
    // What a router writes controls no terminal.
    assert!(top(&collector, "inif").contains("\ninif:5 (ge-0/0/1\\u{1b}[2J)  "), "{}", top(&collector, "inif"));
    let printed = top(&collector, "outif");
    assert!(printed.starts_with("name ") && printed.lines().next().unwrap().ends_with("% of speed"), "{printed}");
    assert!(printed.contains("\noutif:6 (wan)  "), "{printed}");
    let csv = run(&collector, &["top", ROUTER, PREFIX, "--field", "outif", "--csv"]);
    assert!(csv.starts_with("name,bytes,pkts,flows\noutif:6,"), "{csv}");
    let series = run(&collector, &["series", ROUTER, PREFIX, "--name", "outif:6", "--step", "day"]);
    assert!(series.contains("% of speed") && series.ends_with("\noutif:6 (wan)\n"), "{series}");
    let wan = interfaces(&collector).into_iter().find(|interface| interface["index"] == 6).unwrap();
    assert_eq!(
        (&wan["speed"], &wan["description"], &wan["source"]),
        (&json!(8000), &json!("uplink to X"), &json!("configured"))
    );
    // After a restart, before the router has sent anything, its counters have names. The configuration has another one.
    let known = ("NETFLOW__INTERFACES__KNOWN", "");
    let collector = Collector::start_in_with(collector.terminate().0, &[SETTINGS[0], known, SETTINGS[2]]);
    assert!(top(&collector, "inif").contains("\ninif:5 (ge-0/0/1\\u{1b}[2J)  "), "{}", collector.log());
    // The router reboots, and renumbers its interfaces.
    collector.wait_until("renumbered", || {
        socket.send_to(&datagram(0, "xe-1/0/0"), collector.receiving).unwrap();
        called(&interfaces(&collector), 5).len() == 2
    });
    assert_eq!(called(&interfaces(&collector), 5), ["ge-0/0/1\u{1b}[2J", "xe-1/0/0"]);
    let of_both = interfaces(&collector);
    assert_eq!(of_both[0]["until"], of_both[1]["since"]);
    assert!(top(&collector, "inif").contains("[2J, then xe-1/0/0)  "), "{}", top(&collector, "inif"));
    assert!(of_both.iter().all(|interface| interface["index"] != 6 || !interface["until"].is_null()), "{of_both:?}");
    collector.terminate();
}
