//! Remarks in `/top`, `/series` and `/billing`: when the meaning of the counters in an answer changed.

use std::net::IpAddr;

use accounting::direction::Direction::{In, InLocal};
use flow::Timestamp;
use serde_json::{Value, json};
use storage::{Registry, Remark, Remarks};

use crate::client::ask;
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, minute};

const PREFIX: &str = "10.1.0.0/16";
const CHANGED: &str = "2026-03-01T11:20:07Z";

fn at(text: &str, seconds: u64) -> Timestamp {
    Timestamp::from_seconds(minute(text).start.timestamp().seconds() + seconds)
}

fn put(server: &Server, time: Timestamp, kind: &str, was: &str, is: &str) {
    let remark = Remark { time, kind: kind.into(), was: was.into(), is: is.into() };
    let sender: IpAddr = SENDER.parse().unwrap();
    server.runtime.block_on(server.store.put_remarks(&Remarks::from([(sender, vec![remark])]))).unwrap();
}

/// Counted before and after an aggregate was registered, at [`CHANGED`].
fn changed() -> Server {
    let server = Server::start();
    let prefix = r#"{"prefixes":[{"prefix":"10.1.0.0","prefixLen":16}]}"#;
    assert_eq!(ask(server.address, "PUT", &format!("/senders/{SENDER}"), prefix).status, 200);
    count(&server, WRITER, minute("2026-03-01 11:00"), PREFIX, &[(In, "all", 1, 100), (In, "proto:6", 1, 100)]);
    count(&server, WRITER, minute("2026-03-01 11:30"), PREFIX, &[(InLocal, "all", 1, 100)]);
    put(&server, at("2026-03-01 11:20", 7), "ownNetworks", "10.1.0.0/16", "10.0.0.0/8");
    server
}

fn remarks(server: &Server, path: &str) -> Vec<Value> {
    let (route, parameters) = path.split_once('?').unwrap();
    let answer = ask(server.address, "GET", &format!("{route}/{SENDER}?prefix={PREFIX}&{parameters}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["remarks"].as_array().unwrap().clone()
}

/// The kinds of the remarks.
fn kinds(server: &Server, path: &str) -> Vec<String> {
    remarks(server, path).iter().map(|remark| remark["kind"].as_str().unwrap().to_owned()).collect()
}

const WHOLE: &str = "from=2026-03-01T11:00Z&to=2026-03-01T12:00Z";

#[test]
fn answers_that_include_the_time_of_a_change_show_it() {
    let server = changed();
    let text = |effect: &str| format!("own networks: 10.0.0.0/8 instead of 10.1.0.0/16; {effect}");
    let shown = |affected: bool, effect: &str| {
        json!({"time": CHANGED, "kind": "ownNetworks", "was": "10.1.0.0/16", "is": "10.0.0.0/8",
            "affected": affected, "text": text(effect)})
    };
    let affected = [shown(true, "before and after, other traffic counts as local")];
    for path in [
        format!("/top?field=proto&{WHOLE}"),
        format!("/series?step=minute&{WHOLE}"),
        "/billing?month=2026-03&local=exclude".to_owned(),
    ] {
        assert_eq!(remarks(&server, &path), affected, "{path}");
    }
    let included = shown(false, "local traffic is included here, so these amounts are not affected");
    assert_eq!(remarks(&server, "/billing?month=2026-03"), [included]);
}

#[test]
fn the_time_of_a_remark_is_in_the_zone_of_the_answer() {
    let server = changed();
    for path in ["/top?from=2026-03-01&", "/series?step=day&from=2026-03-01&", "/billing?month=2026-03&"] {
        let shown = remarks(&server, &format!("{path}tz=Europe/Berlin"));
        assert_eq!(shown[0]["time"], "2026-03-01T12:20:07+01:00", "{path}");
    }
}

#[test]
fn a_range_before_or_after_the_change_has_no_remark() {
    let server = changed();
    for range in ["from=2026-03-01T11:00Z&to=2026-03-01T11:20Z", "from=2026-03-01T11:21Z&to=2026-03-01T12:00Z"] {
        assert_eq!(kinds(&server, &format!("/top?{range}")), [""; 0], "{range}");
    }
    assert_eq!(kinds(&server, "/top?from=2026-03-01T11:00Z&to=2026-03-01T11:21Z"), ["ownNetworks"]);
    // Steps are whole: this one is of the hour.
    assert_eq!(kinds(&server, "/series?from=2026-03-01T11:00Z&to=2026-03-01T11:01Z"), ["ownNetworks"]);
    assert_eq!(kinds(&server, "/series?step=minute&from=2026-03-01T11:00Z&to=2026-03-01T11:01Z"), [""; 0]);
    assert_eq!(kinds(&server, "/billing?month=2026-02&local=exclude"), [""; 0]);
}

#[test]
fn changes_before_the_first_counters_of_the_range_are_none() {
    let server = changed();
    put(&server, at("2026-03-01 10:58", 0), "samplingRate", "announced", "10");
    put(&server, at("2026-03-01 10:59", 59), "samplingRate", "10", "1000");
    put(&server, at("2026-03-01 11:25", 0), "samplingRate", "1000", "announced");
    let from = |from: &str| kinds(&server, &format!("/top?from={from}&to=2026-03-01T12:00Z"));
    assert_eq!(from("2026-03-01T10:00Z"), ["ownNetworks", "samplingRate"]);
    // Nothing of this range was counted before them.
    assert_eq!(from("2026-03-01T11:05Z"), [""; 0]);
    let settings = remarks(&server, &format!("/top?{WHOLE}"));
    let text = "samplingRate: announced instead of 1000; before and after, flows are counted in different ways";
    assert_eq!((&settings[1]["text"], &settings[1]["affected"]), (&json!(text), &json!(true)));
    assert_eq!(kinds(&server, "/billing?month=2026-03"), ["ownNetworks", "samplingRate"]);
}

#[test]
fn own_networks_of_the_other_family_and_changes_of_another_sender_are_not_shown() {
    let server = changed();
    put(&server, at("2026-03-01 11:22", 0), "ownNetworks", "", "2001:db8::/32");
    assert_eq!(kinds(&server, &format!("/top?{WHOLE}")), ["ownNetworks"]);
    let remark =
        Remark { time: at("2026-03-01 11:23", 0), kind: "samplingRate".into(), was: "1".into(), is: "2".into() };
    let other = Remarks::from([("192.0.2.9".parse().unwrap(), vec![remark])]);
    server.runtime.block_on(server.store.put_remarks(&other)).unwrap();
    assert_eq!(kinds(&server, &format!("/top?{WHOLE}")), ["ownNetworks"]);
}
