//! Names of interfaces beside their indexes, by time, and shares of their speed.

use std::sync::Arc;

use accounting::direction::Direction::{In, Out};
use flow::Timestamp;
use serde_json::{Value, json};
use tap::Taps;
use view::Interface;

use crate::client::ask;
use crate::server::{Server, keys};
use crate::stats::{SENDER, WRITER, count, minute, register};
use crate::status::MadeUp;

const PREFIX: &str = "172.16.1.0/24";
/// 2014-02-02 05:01, when the router renumbers its interfaces.
const RENUMBERED: Timestamp = Timestamp::from_seconds(1_391_317_260);

fn interface(index: u32, name: &str, speed: u64, since: Timestamp, until: Option<Timestamp>) -> Interface {
    let description = Some(format!("about {name}"));
    Interface { index, name: Some(name.to_owned()), description, speed: Some(speed), source: "options", since, until }
}

/// A minute before the router renumbers its interfaces, and one after.
fn renumbered() -> Server {
    let interfaces = vec![
        interface(5, "ge-0/0/1", 1_000_000, Timestamp::from_seconds(0), Some(RENUMBERED)),
        interface(5, "xe-1/0/0", 4_000_000, RENUMBERED, None),
        interface(6, "wan", 1_000_000, Timestamp::from_seconds(0), None),
    ];
    let view = MadeUp { interfaces, ..MadeUp::default() };
    let server = Server::with(keys(), |api| api.showing(Arc::new(view), Taps::default()));
    register(&server);
    // 60,000 bytes in a minute are 8000 bit/s.
    let rows = [(In, "all", 3, 120_000), (In, "inif:5", 1, 60_000), (In, "inif:7", 1, 60_000), (Out, "inif:6", 1, 600)];
    for minute_of in ["2014-02-02 05:00", "2014-02-02 05:01"] {
        count(&server, WRITER, minute(minute_of), PREFIX, &rows);
    }
    server
}

fn get(server: &Server, path: &str) -> Value {
    ask(server.address, "GET", path, "").json()
}

fn top(server: &Server, range: &str, more: &str) -> Value {
    get(server, &format!("/top/{SENDER}?prefix={PREFIX}&field=inif&{range}{more}"))["rows"].clone()
}

const BEFORE: &str = "from=2014-02-02T05:00:00Z&to=2014-02-02T05:01:00Z";
const AFTER: &str = "from=2014-02-02T05:01:00Z&to=2014-02-02T05:02:00Z";
const BOTH: &str = "from=2014-02-02T05:00:00Z&to=2014-02-02T05:02:00Z";

#[test]
fn a_top_list_has_the_names_of_its_time_and_the_share_of_the_speed() {
    let server = renumbered();
    let rows = top(&server, BEFORE, "&names=1");
    let first = &rows[0];
    assert_eq!((&first["name"], &first["names"]["inif"]), (&json!("inif:5"), &json!("ge-0/0/1")));
    assert_eq!(first["percentOfSpeed"], 0.8);
    assert_eq!(first["interfaces"][0]["description"], "about ge-0/0/1");
    assert_eq!(first["interfaces"][0]["until"], "2014-02-02T05:01:00Z");
    // Of inif:7 nothing is known.
    assert_eq!(rows[1], json!({"name": "inif:7", "bytes": 60_000, "pkts": 600, "flows": 1}));
    let rows = top(&server, AFTER, "&names=1");
    assert_eq!((&rows[0]["names"]["inif"], &rows[0]["percentOfSpeed"]), (&json!("xe-1/0/0"), &json!(0.2)));
    // Over both, there are two interfaces, and no share of one speed.
    let rows = top(&server, BOTH, "&names=1");
    assert_eq!(rows[0]["names"]["inif"], "ge-0/0/1, then xe-1/0/0");
    assert_eq!((rows[0]["interfaces"].as_array().unwrap().len(), rows[0].get("percentOfSpeed")), (2, None));
    // Without names, answers are as they were.
    let rows = top(&server, BEFORE, "");
    assert_eq!(rows[0], json!({"name": "inif:5", "bytes": 60_000, "pkts": 600, "flows": 1}));
}

#[test]
fn a_series_has_the_share_of_each_step() {
    let server = renumbered();
    let path = format!("/series/{SENDER}?prefix={PREFIX}&name=inif:5&direction=in&step=minute&{BOTH}");
    let series = get(&server, &format!("{path}&names=1"));
    assert_eq!(series["names"]["inif"], "ge-0/0/1, then xe-1/0/0");
    let shares: Vec<_> =
        series["points"].as_array().unwrap().iter().map(|point| &point["counters"]["in"]["percentOfSpeed"]).collect();
    assert_eq!(shares, [&json!(0.8), &json!(0.2)]);
    let plain = get(&server, &path);
    assert!(!plain.to_string().contains("percentOfSpeed") && plain.get("interfaces").is_none(), "{plain}");
}

#[test]
fn stats_have_the_names_of_their_dates() {
    let server = renumbered();
    let question = json!({PREFIX: {"minutes": [
        {"2014-02-02 05:00": ["inif:5", "all"]}, {"2014-02-02 05:01": ["inif:5"]}
    ]}});
    let stats = |parameters: &str| {
        ask(server.address, "POST", &format!("/stats/{SENDER}{parameters}"), &question.to_string()).json()
    };
    let named = stats("?names=1");
    let minutes = &named[PREFIX]["minutes"];
    let first = &minutes[0]["2014-02-02 05:00"];
    assert_eq!((&first[0]["names"]["inif"], &first[0]["percentOfSpeed"]), (&json!("ge-0/0/1"), &json!(0.8)));
    assert_eq!(first[1].get("names"), None);
    assert_eq!(minutes[1]["2014-02-02 05:01"][0]["names"]["inif"], "xe-1/0/0");
    assert!(!stats("").to_string().contains("ge-0/0/1"));
}

#[test]
fn an_index_has_no_name_in_the_sum_of_several_routers() {
    let server = renumbered();
    let body = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;
    assert_eq!(ask(server.address, "PUT", "/senders/172.16.1.2", body).status, 200);
    let sum = get(&server, &format!("/top?sender=all&prefix={PREFIX}&field=inif&{BEFORE}&names=1"));
    assert_eq!(sum["rows"][0], json!({"name": "inif:5", "bytes": 60_000, "pkts": 600, "flows": 1}));
    let one = get(&server, &format!("/top?sender={SENDER}&prefix={PREFIX}&field=inif&{BEFORE}&names=1"));
    assert_eq!(one["rows"][0]["names"]["inif"], "ge-0/0/1");
}
