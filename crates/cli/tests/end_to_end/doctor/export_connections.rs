//! What real TCP clients provoke: connections that are refused, that send something else than IPFIX, and whose templates are wrong.

use std::io::{Read, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};
use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use super::{TO_MONITORED, add, has, now, provoke};
use crate::collector::Collector;
use crate::connect::connect;

/// A collector that accepts export connections, and where.
fn listening() -> (Collector, SocketAddr) {
    let collector = Collector::start_with(&[("NETFLOW__NETFLOW__TCP__LISTEN", "127.0.0.1:0")]);
    let mut address = None;
    collector.wait_until("it listens", || {
        let status = collector.rest("GET", "/status", "");
        let listening = &status["exportConnections"]["listening"][0];
        address = listening["address"].as_str().map(|address| address.parse().unwrap());
        address.is_some()
    });
    (collector, address.unwrap())
}

/// Sends octets, and waits until the collector has closed the connection.
fn send_and_be_refused(from: &str, to: SocketAddr, octets: &[u8]) {
    let mut stream = connect(from, to);
    // It may be closed already.
    let _ = stream.write_all(octets);
    let _ = stream.read(&mut [0]);
}

fn message() -> Ipfix {
    Ipfix::new(ipfix::Header { export_seconds: now().into(), domain: 7.into(), ..Default::default() })
}

fn template(ids: &[u16]) -> TemplateSpec {
    TemplateSpec::data(256, ids.iter().map(|id| FieldSpecifier::iana(*id, 4)).collect::<Vec<_>>())
}

/// What `/exporters` has of a router, once this holds.
fn wait_for(collector: &Collector, router: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    collector.wait_until(what, || {
        last = collector.rest("GET", &format!("/exporters/{router}"), "");
        holds(&last)
    });
    last
}

#[test]
fn a_router_that_connects_without_being_registered_is_reported_with_the_command_that_adds_it() {
    let (collector, to) = listening();
    let found = provoke(&collector, "127.0.4.1", "unknown_sender", || send_and_be_refused("127.0.4.1", to, b""));
    has(&found["evidence"], "export connection");
    has(&found["run"], "netflow senders add 127.0.4.1 ");
    let evidence = found["evidence"].to_string();
    assert!(!evidence.contains("datagrams"), "{evidence}");
    collector.terminate();
}

#[test]
fn what_is_no_ipfix_is_reported_with_what_it_is() {
    let (collector, to) = listening();
    add(&collector, "127.0.4.2", "192.0.2.0/24");
    // The beginning of a handshake of TLS 1.2 or 1.3 (RFC 8446, section 5.1).
    let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    let found = provoke(&collector, "127.0.4.2", "export_connection_malformed", || {
        send_and_be_refused("127.0.4.2", to, &hello);
    });
    has(&found["evidence"], "a TLS handshake");
    has(&found["run"], "set netflow.tls.listen");
    add(&collector, "127.0.4.3", "192.0.2.0/24");
    let found = provoke(&collector, "127.0.4.3", "export_connection_malformed", || {
        send_and_be_refused("127.0.4.3", to, &super::v9(0).template(&super::template(&[])).finish());
    });
    has(&found["evidence"], "NetFlow v9");
    has(&found["run"], "export IPFIX");
    // It sends the right thing at last.
    let mut stream = connect("127.0.4.3", to);
    stream.write_all(&message().template(&template(&[12, 1])).finish()).unwrap();
    wait_for(&collector, "127.0.4.3", "a message", |heard| heard["exportConnections"][0]["messages"] == 1);
    let (printed, ..) = collector.command(&["doctor", "127.0.4.3"]);
    assert!(printed.contains("no problems found"), "{printed}");
    assert!(printed.contains("\n  tcp       port ") && printed.contains(": 1 message, the last at "), "{printed}");
    assert!(printed.contains("; ended at "), "{printed}");
    collector.terminate();
}

#[test]
fn data_without_a_template_and_templates_against_the_rules_are_reported() {
    let (collector, to) = listening();
    let router = "127.0.4.4";
    add(&collector, router, "192.0.2.0/24");
    let counted = template(&[12, 1]);
    let data = message().data(&counted, &[TO_MONITORED.to_vec()]).finish();
    let mut stream = None;
    let found = provoke(&collector, router, "template_not_sent", || {
        // The first connections may come before the collector knows of the registration.
        let mut connection = connect(router, to);
        let _ = connection.write_all(&data);
        stream = Some(connection);
    });
    has(&found["evidence"], "RFC 7011, section 8");
    let mut stream = connect(router, to);
    let redefined = template(&[12, 2]);
    stream
        .write_all(&[message().template(&counted).finish(), message().template(&redefined).finish()].concat())
        .unwrap();
    wait_for(&collector, router, "an error", |heard| heard["unreadable"]["error"] == "redefined_template");
    let found = provoke(&collector, router, "template_errors", || {});
    has(&found["run"], &format!("'src host {router} and tcp'"));
    let status = collector.rest("GET", "/status", "");
    assert_eq!(status["exportConnections"]["limitPerSender"], json!(16), "{status}");
    collector.terminate();
}
