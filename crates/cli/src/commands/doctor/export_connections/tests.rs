//! Export connections of all states, and what is found.

use flow::Timestamp;
use serde_json::json;

use super::*;

const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn ago(seconds: u64) -> String {
    let now = Timestamp::from(std::time::SystemTime::now());
    Timestamp::from_seconds(now.seconds() - seconds).to_string()
}

fn answers(refused: &Value) -> Answers {
    let listening = json!([{"address": "192.0.2.7:4739", "tls": false}, {"address": "192.0.2.7:4740", "tls": true}]);
    let state = json!({"listening": listening, "open": 1, "limit": 1024, "limitPerSender": 16, "refused": refused});
    let status = json!({"exportConnections": state});
    Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() }
}

fn refused(reason: &str, age: u64) -> Value {
    json!([{"address": "192.0.2.1", "reason": reason, "count": 3, "last": ago(age)}])
}

fn connection(messages: u64) -> Value {
    json!({"port": 50_000, "listening": "192.0.2.7:4739", "tls": null, "since": "2026-11-30T10:00:00.5Z", "last": null,
        "messages": messages, "bytes": 100})
}

fn ended(kind: &str, reason: &str, age: u64, messages: u64) -> Value {
    let mut ended = connection(messages);
    (ended["at"], ended["kind"], ended["reason"]) = (json!(ago(age)), kind.into(), reason.into());
    json!({"exportConnections": [], "endedExportConnection": ended})
}

/// What is found, as JSON.
fn found(refused: &Value, heard: &Value) -> Vec<Value> {
    let mut findings = Vec::new();
    examine_router(&answers(refused), ROUTER, Some(heard), &mut findings);
    findings.iter().map(|finding| serde_json::to_value(finding).unwrap()).collect()
}

/// The name of the only finding, which is documented; empty for none.
fn name(found: &[Value]) -> &str {
    let document = include_str!("../../../../../../docs/troubleshooting.md");
    match found {
        [] => "",
        [found] => {
            let name = found["finding"].as_str().unwrap();
            assert!(document.contains(&format!("\n| `{name}` | ")), "{name}");
            assert_eq!(found["router"], "192.0.2.1");
            name
        }
        more => panic!("{more:?}"),
    }
}

#[test]
fn connections_that_are_refused_are_found_for_an_hour() {
    let cases = [
        ("too_many_of_sender", 60, "export_connections_full"),
        ("too_many", 60, "export_connections_full"),
        ("too_often", 60, "export_connections_too_often"),
        ("same_port", 60, "export_connection_same_port"),
        ("too_often", 7200, ""),
        // `unknown_sender` is about it, with this as evidence.
        ("unregistered", 60, ""),
    ];
    for (reason, age, expected) in cases {
        assert_eq!(name(&found(&refused(reason, age), &json!({}))), expected, "{reason}");
    }
    let of_sender = found(&refused("too_many_of_sender", 60), &json!({}));
    assert!(of_sender[0]["what"].as_str().unwrap().contains("16 export connections"), "{of_sender:?}");
    let shown = unregistered(&answers(&refused("unregistered", 60)), ROUTER).unwrap();
    assert!(shown.starts_with("3 export connections (TCP) refused, the last at 20"), "{shown}");
    assert_eq!(unregistered(&answers(&refused("unregistered", 7200)), ROUTER), None);
    assert_eq!(unregistered(&answers(&refused("too_many", 60)), ROUTER), None);
}

#[test]
fn connections_that_end_by_an_error_are_found_for_an_hour_unless_they_work_now() {
    let tls = "message 1 of the connection cannot be read: a message of version 5635 (a TLS handshake)";
    let cases = [
        (ended("malformed", tls, 60, 0), "export_connection_malformed", "let it connect to 192.0.2.7:4740"),
        (
            ended("malformed", "a message of version 9 (NetFlow v9)", 60, 0),
            "export_connection_malformed",
            "export IPFIX",
        ),
        (
            ended("malformed", "a message of 3 octets", 60, 7),
            "export_connection_malformed",
            "'src host 192.0.2.1 and tcp port 4739'",
        ),
        (ended("incomplete", "12 octets have arrived", 60, 7), "export_connection_incomplete", "tcp port 4739"),
        (ended("no_certificate", "none", 60, 0), "export_connection_certificate", "netflow.tls.ca"),
        (ended("unknown_authority", "no authority", 60, 0), "export_connection_certificate", "verify -CAfile"),
        (ended("expired_certificate", "expired", 60, 0), "export_connection_certificate", "-dates"),
        (ended("wrong_name", "it has r2", 60, 0), "export_connection_certificate", "set 192.0.2.1 --certificate-name"),
        (ended("bad_certificate", "not valid yet", 60, 0), "export_connection_certificate", "-text"),
        (ended("not_tls", "no TLS", 60, 0), "export_connection_tls", "let it connect to 192.0.2.7:4739"),
        (ended("handshake_incomplete", "10 seconds", 60, 0), "export_connection_tls", "certificate of the collector"),
        (ended("tls_error", "an alert", 60, 0), "export_connection_tls", "1.2 or 1.3"),
    ];
    for (heard, expected, line) in cases {
        let found = found(&Value::Null, &heard);
        assert_eq!(name(&found), expected);
        let reason = heard["endedExportConnection"]["reason"].as_str().unwrap();
        assert!(found[0]["evidence"][0].as_str().unwrap().ends_with(reason), "{found:?}");
        assert!(found[0]["run"].to_string().contains(line), "{found:?}");
        let mut works = heard.clone();
        works["exportConnections"] = json!([connection(5)]);
        let worked_before = heard["endedExportConnection"]["messages"] != 0;
        let of_working = self::found(&Value::Null, &works);
        assert_eq!(name(&of_working), if worked_before { expected } else { "" });
    }
    for harmless in
        [ended("closed", "", 60, 7), ended("lost", "", 60, 7), ended("malformed", tls, 7200, 0), json!({}), Value::Null]
    {
        assert_eq!(name(&found(&Value::Null, &harmless)), "");
    }
}

#[test]
fn discarded_data_are_found() {
    let heard = |sets: u64| json!({"counters": {"missing_template_sets": 9, "discarded_sets": sets}});
    assert_eq!(name(&found(&Value::Null, &heard(0))), "");
    let found = found(&Value::Null, &heard(4));
    assert_eq!(name(&found), "template_not_sent");
    assert!(found[0]["what"].as_str().unwrap().starts_with("4 data sets "), "{found:?}");
}

#[test]
fn errors_of_templates_are_found_whatever_could_not_be_decoded_last() {
    let heard = |redefined: u64, unknown: u64, last: &str| {
        let counters = json!({"redefined_templates": redefined, "unknown_withdrawals": unknown});
        let last = json!({"received": "2026-11-30T10:00:00Z", "error": last, "offset": 20, "version": 10});
        found(&Value::Null, &json!({"counters": counters, "unreadable": last}))
    };
    let last = "the last at 2026-11-30T10:00:00Z, octet 20";
    for (redefined, unknown, error, faults) in [
        (2, 0, "redefined_template", vec!["2 templates", "had not withdrawn", last]),
        (0, 1, "unknown_withdrawal", vec!["1 withdrawal", "had not announced", last]),
        (2, 1, "set_too_long", vec!["2 templates", "had not withdrawn", "1 withdrawal", "had not announced"]),
    ] {
        let found = heard(redefined, unknown, error);
        assert_eq!(name(&found), "template_errors");
        let evidence = found[0]["evidence"].to_string();
        assert!(faults.iter().all(|fault| evidence.contains(fault)), "{found:?}");
        assert_eq!(evidence.contains(last), faults.contains(&last), "{found:?}");
    }
    assert_eq!(name(&heard(0, 0, "set_too_long")), "");
}

#[test]
fn connections_of_a_router_are_shown_with_printable_names() {
    let mut encrypted = connection(1);
    encrypted["tls"] = json!({"version": "1.3", "certificateName": "r1\u{1b}[2J"});
    encrypted["last"] = json!("2026-11-30T10:01:00.25Z");
    let mut heard = ended("closed", "the exporter closed it\u{202e}", 60, 2);
    let at = moment(&heard["endedExportConnection"]["at"]);
    heard["exportConnections"] = json!([connection(0), encrypted]);
    let expected = [
        ("tcp", "port 50000 to 192.0.2.7:4739, since 2026-11-30T10:00:00Z: 0 messages".to_owned()),
        (
            "tls",
            "port 50000 to 192.0.2.7:4739, TLS 1.3 of r1\\u{1b}[2J, since 2026-11-30T10:00:00Z: 1 message, the last at \
             2026-11-30T10:01:00Z"
                .to_owned(),
        ),
        (
            "tcp",
            format!(
                "port 50000 to 192.0.2.7:4739, since 2026-11-30T10:00:00Z: 2 messages; ended at {at}: the exporter closed it\\u{{202e}}"
            ),
        ),
    ];
    assert_eq!(lines(&heard), expected);
    heard["exportConnections"] = Value::Array(vec![connection(0); 7]);
    assert_eq!(lines(&heard)[5], ("tcp", "2 more connections open".to_owned()));
    assert_eq!(lines(&json!({})), []);
}
