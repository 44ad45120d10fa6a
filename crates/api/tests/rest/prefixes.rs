//! Questions about several prefixes: each flow is added up once for each router that counted it.

use std::sync::Arc;

use accounting::direction::Direction::{In, Out};
use serde_json::{Value, json};
use storage::Stated;

use crate::client::{Answer, ask};
use crate::server::{Server, keys};
use crate::stats::{WRITER, count_of, minute};

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const RANGE: &str = "from=2026-03-01T10:58Z&to=2026-03-01T11:02Z";

fn put(server: &Server, path: &str, body: &str) {
    let answer = ask(server.address, "PUT", path, body);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
}

fn ask_for(server: &Server, path: &str) -> Answer {
    ask(server.address, "GET", path, "")
}

fn get(server: &Server, path: &str) -> Value {
    let answer = ask_for(server, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Router A monitors a prefix, one in it, and one beside it; B the one in it, and one in the one beside it, and a prefix of
/// IPv6. A network is counted by A only, and has another one in it that nobody counts.
fn counted() -> Server {
    let networks = [
        "10.1.0.0/16 name=office customer=customer-a senders=none",
        "172.16.0.0/16 name=lab customer=customer-a senders=none",
        "198.51.100.0/24 name=shop customer=customer-b senders=192.0.2.1",
        "198.51.100.128/25 name=till customer=customer-b senders=none",
    ];
    let networks = networks.map(|text| (text.parse().unwrap(), "netflow.toml:1".to_owned())).to_vec();
    let stated = Arc::new(Stated { networks, ..Stated::default() });
    let server = Server::with(keys(), |api| api.stating(stated));
    let own = |prefixes: &[(&str, u8)]| {
        let prefixes: Vec<_> =
            prefixes.iter().map(|(prefix, length)| json!({"prefix": prefix, "prefixLen": length})).collect();
        json!({ "prefixes": prefixes }).to_string()
    };
    put(&server, &format!("/senders/{A}"), &own(&[("10.0.0.0", 8), ("10.1.0.0", 16), ("172.16.0.0", 16)]));
    put(&server, &format!("/senders/{B}"), &own(&[("10.1.0.0", 16), ("2001:db8::", 32)]));
    let at = ["2026-03-01 10:58", "2026-03-01 11:01"].map(minute);
    // What is in 10.1.0.0/16 is also in 10.0.0.0/8.
    for (sender, prefix, at, bytes) in [
        (A, "10.0.0.0/8", at[0], 1000),
        (A, "10.1.0.0/16", at[0], 400),
        (A, "172.16.0.0/16", at[0], 30),
        (A, "172.16.0.0/16", at[1], 7),
        (A, "198.51.100.0/24", at[1], 5000),
        (B, "10.1.0.0/16", at[0], 300),
        (B, "2001:db8::/32", at[1], 2),
    ] {
        let rows = [
            (In, "all", 1, bytes),
            (In, "proto:6", 1, bytes),
            (In, "srcip:203.0.113.1", 1, bytes),
            (Out, "all", 1, bytes * 2),
            (Out, "proto:17", 1, bytes * 2),
            (Out, "dstip:203.0.113.1", 1, bytes * 2),
        ];
        count_of(&server, WRITER, sender, at, prefix, &rows);
    }
    server
}

const QUESTIONS: [(&str, &str, u64, &[&str]); 8] = [
    (
        "all",
        "all",
        1000 + 30 + 7 + 5000 + 300 + 2,
        &["10.0.0.0/8", "10.1.0.0/16", "172.16.0.0/16", "198.51.100.0/24", "2001:db8::/32"],
    ),
    (A, "all", 1000 + 30 + 7 + 5000, &["10.0.0.0/8", "172.16.0.0/16", "198.51.100.0/24"]),
    (B, "all", 302, &["10.1.0.0/16", "2001:db8::/32"]),
    ("all", "customer-a", 400 + 30 + 7 + 300, &["10.1.0.0/16", "172.16.0.0/16"]),
    ("all", "office", 700, &["10.1.0.0/16"]),
    ("all", "customer-b", 5000, &["198.51.100.0/24"]),
    (A, "10.1.0.0/16,10.0.0.0/8", 1000, &["10.0.0.0/8"]),
    ("192.0.2.1,192.0.2.2", "lab,2001:db8::/32,lab", 39, &["172.16.0.0/16", "2001:db8::/32"]),
];

#[test]
fn several_prefixes_are_added_up_without_those_in_others() {
    let server = counted();
    for (senders, prefixes, bytes, added) in QUESTIONS {
        let path = |route: &str| format!("/{route}?sender={senders}&prefix={prefixes}&{RANGE}");
        let top = get(&server, &format!("{}&field=proto", path("top")));
        assert_eq!(top["total"]["bytes"], bytes, "{senders} {prefixes}");
        assert_eq!(top["rows"][0]["bytes"], bytes, "{senders} {prefixes}");
        // As it was asked, each word once.
        let text = prefixes.trim_end_matches(",lab");
        assert_eq!((&top["prefix"], &top["prefixes"]), (&json!(text), &json!(added)));
        let sum = |series: &Value, of: fn(&Value) -> &Value| -> u64 {
            let points = series["points"].as_array().unwrap().iter();
            points.filter(|point| !point["counters"].is_null()).map(|point| of(point).as_u64().unwrap()).sum()
        };
        for step in ["minute", "hour"] {
            let series = get(&server, &format!("{}&step={step}&field=remoteip", path("series")));
            assert_eq!(series["prefixes"], json!(added));
            assert_eq!(sum(&series, |point| &point["counters"]["in"]["bytes"]), bytes, "{senders} {prefixes}");
            assert_eq!(sum(&series, |point| &point["counters"]["out"]["rows"][0]["bytes"]), bytes * 2);
            let series = get(&server, &format!("{}&step={step}&name=proto:17&direction=out", path("series")));
            assert_eq!(sum(&series, |point| &point["counters"]["out"]["bytes"]), bytes * 2, "{senders} {prefixes}");
        }
        let gaps = get(&server, &format!("{}&step=minute", path("series")));
        assert!(
            gaps["points"][1]["counters"].is_null(),
            "a step is a gap if nothing is stored for any of the prefixes"
        );
    }
}

#[test]
fn the_same_flow_may_be_counted_twice_only_if_prefixes_of_routers_have_addresses_in_common() {
    let server = counted();
    let remarks = |prefixes: &str| {
        let top = get(&server, &format!("/top?sender=all&prefix={prefixes}&{RANGE}"));
        let own = top["remarks"].as_array().unwrap().iter();
        own.filter(|remark| remark["kind"] == "sameFlows")
            .map(|remark| remark["text"].as_str().unwrap().to_owned())
            .collect()
    };
    let none: [String; 0] = [];
    let counted = |what: &str| {
        [format!("{A} and {B} counted traffic of {what}: a flow that passed several of them was counted by each")]
    };
    let found: Vec<String> = remarks("all");
    assert_eq!(found, counted("the same addresses"), "10.0.0.0/8 of one has 10.1.0.0/16 of the other");
    let found: Vec<String> = remarks("lab,2001:db8::/32");
    assert_eq!(found, none);
    let found: Vec<String> = remarks("office");
    assert_eq!(found, counted("this prefix"));
}

#[test]
fn prefixes_that_cannot_be_are_refused_with_the_fix() {
    let server = counted();
    let refused = |question: &str, status: u16, name: &str, message: &str| {
        let refusal = ask_for(&server, &format!("/series?sender={question}&{RANGE}")).refusal(status, name);
        assert!(refusal.contains(message), "{question}: {refusal}");
    };
    refused("all&prefix=ofice", 400, "BAD_REQUEST", "prefix: no network has the word \"ofice\": did you mean office?");
    refused("all&prefix=10.0.0.0/8,10.0.0.1", 400, "BAD_REQUEST", "prefix: ");
    refused("all&prefix=office,", 400, "BAD_REQUEST", "prefix: '' selects no prefix: use a prefix such as");
    refused("all", 400, "BAD_REQUEST", "prefix: is missing: add prefix=172.16.1.0/24 to the query, or prefix=all");
    refused(
        "192.0.2.2&prefix=lab,shop",
        404,
        "NOT_FOUND",
        "none of the selected senders (192.0.2.2) monitors any of these prefixes: lab,shop",
    );
    let week = "&step=minute&from=2026-03-01&to=2026-03-07";
    let many: Vec<_> = (0..12).map(|net| json!({"prefix": format!("100.64.{net}.0"), "prefixLen": 24})).collect();
    put(&server, &format!("/senders/{A}"), &json!({ "prefixes": many }).to_string());
    let refusal = ask_for(&server, &format!("/series/{A}?prefix=all{week}")).refusal(422, "UNPROCESSABLE_ENTITY");
    assert!(refusal.contains("request fewer steps, or of fewer prefixes or senders"), "{refusal}");
}
