//! `/top` and `/series`: arbitrary time ranges, sums, gaps and limits.

use std::time::{Duration, SystemTime};

use accounting::block::{Tables, WriterId};
use accounting::direction::Direction::{In, InLocal, Out};
use accounting::field::Field;
use accounting::period::{Interval, Minute, PerPeriod, Period};
use flow::{Counters, Timestamp};
use serde_json::{Value, json};
use storage::{Blocks, Retention, WriterState, Writers};

use crate::client::{Answer, ask};
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, minute, register};
use crate::status::{MadeUp, showing};

const PREFIX: &str = "10.0.0.0/8";

fn get(server: &Server, path: &str) -> Answer {
    ask(server.address, "GET", path, "")
}

fn top(server: &Server, parameters: &str) -> Value {
    let answer = get(server, &format!("/top/{SENDER}?prefix={PREFIX}&{parameters}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn series(server: &Server, parameters: &str) -> Value {
    let answer = get(server, &format!("/series/{SENDER}?prefix={PREFIX}&{parameters}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn counters(flows: u64, bytes: u64) -> Value {
    json!({"bytes": bytes, "pkts": bytes / 100, "flows": flows})
}

/// Four addresses in two minutes, across the end of an hour.
fn talkers() -> Server {
    let server = Server::start();
    register(&server);
    let rows = [
        (In, "all", 9, 1000),
        (In, "srcip:192.0.2.1", 1, 500),
        (In, "srcip:192.0.2.2", 5, 300),
        (In, "srcip:192.0.2.3", 3, 200),
        (Out, "all", 1, 700),
        (Out, "srcip:10.0.0.1", 1, 700),
    ];
    count(&server, WRITER, minute("2026-03-01 10:59"), PREFIX, &rows);
    let rows = [(In, "all", 2, 1100), (In, "srcip:2001:db8::1", 1, 400), (In, "srcip:192.0.2.3", 1, 700)];
    count(&server, WRITER, minute("2026-03-01 11:00"), PREFIX, &rows);
    server
}

#[test]
fn protocols_ports_and_countries_have_names_if_asked_for() {
    let server = Server::start();
    register(&server);
    let rows = [
        (In, "all", 4, 400),
        (In, "dstport:443", 2, 200),
        (In, "dstport:514", 1, 120),
        (In, "dstport:47111", 1, 80),
        (In, "srcas:443", 4, 400),
        (In, "srccountry:CH", 3, 300),
        (In, "srccountry:0", 1, 100),
    ];
    count(&server, WRITER, minute("2026-03-01 10:59"), PREFIX, &rows);
    let row = |name: &str, names: Value, flows: u64, bytes: u64| {
        let mut row = counters(flows, bytes);
        row["name"] = json!(name);
        if !names.is_null() {
            row["names"] = names;
        }
        row
    };
    let answer = top(&server, &format!("{BOTH}&field=dstport&names=1"));
    let named = [
        row("dstport:443", json!({"dstport": "https"}), 2, 200),
        row("dstport:514", json!({"dstport": "syslog"}), 1, 120),
        row("dstport:47111", Value::Null, 1, 80),
    ];
    assert_eq!(answer["rows"], json!(named));
    assert_eq!(answer["field"], "dstport");
    let answer = top(&server, &format!("{BOTH}&field=dstport"));
    assert_eq!(answer["rows"][0], row("dstport:443", Value::Null, 2, 200));
    let answer = top(&server, &format!("{BOTH}&field=srcas&names=1"));
    assert_eq!(answer["rows"], json!([row("srcas:443", Value::Null, 4, 400)]));

    let answer = top(&server, &format!("{BOTH}&field=srccountry&names=1"));
    let country = row("srccountry:CH", json!({"srccountry": "Switzerland"}), 3, 300);
    assert_eq!(answer["rows"], json!([country, row("srccountry:0", Value::Null, 1, 100)]));

    let number = series(&server, &format!("{BOTH}&name=dstport:443&step=minute"));
    let name = series(&server, &format!("{BOTH}&name=dstport:HTTPS&step=minute"));
    assert_eq!(number, name);
    assert_eq!((&number["name"], number.get("names")), (&json!("dstport:443"), None));
    let mut named = series(&server, &format!("{BOTH}&name=dstport:https&step=minute&names=1"));
    assert_eq!(named["names"].take(), json!({"dstport": "https"}));
    assert_eq!(named["points"], number["points"]);
    assert_eq!(number["points"][0]["counters"]["in"], counters(2, 200));
}

/// The names are those that the collector knows at present.
#[test]
fn an_as_has_the_name_that_the_collector_knows() {
    let server = showing(MadeUp::default());
    register(&server);
    let rows = [(In, "all", 3, 300), (In, "srcas:64500", 2, 200), (In, "srcas:64501", 1, 100)];
    count(&server, WRITER, minute("2026-03-01 10:59"), PREFIX, &rows);
    let named = top(&server, &format!("{BOTH}&field=srcas&names=1"));
    assert_eq!(named["rows"][0]["names"], json!({"srcas": "Example Ltd"}));
    assert_eq!((&named["rows"][0]["name"], named["rows"][1].get("names")), (&json!("srcas:64500"), None));
    let plain = top(&server, &format!("{BOTH}&field=srcas"));
    assert_eq!(plain["rows"][0].get("names"), None);
    let series = series(&server, &format!("{BOTH}&name=srcas:64500&step=minute&names=1"));
    assert_eq!(series["names"], json!({"srcas": "Example Ltd"}));
}

const BOTH: &str = "from=2026-03-01T10:59Z&to=2026-03-01T11:01Z";

/// Sums end at 2^64 - 1. The end is marked wherever it is shown, and the list still adds up in numbers that end there.
#[test]
fn a_sum_that_reached_its_end_is_marked_wherever_it_is_shown() {
    let server = Server::start();
    register(&server);
    let half = u64::MAX / 2 + 1;
    let rows = [(In, "all", 1, half), (In, "srcip:192.0.2.1", 1, half), (Out, "all", 1, 7)];
    count(&server, WRITER, minute("2026-03-01 10:59"), PREFIX, &rows);
    let rows = [
        (In, "all", 3, u64::MAX),
        (In, "srcip:192.0.2.1", 1, half),
        (In, "srcip:192.0.2.2", 1, half),
        (In, "srcip:192.0.2.3", 1, half),
    ];
    count(&server, WRITER, minute("2026-03-01 11:00"), PREFIX, &rows);
    let top = top(&server, &format!("{BOTH}&n=1"));
    let bytes_and_mark = |of: &Value| (of["bytes"].as_u64().unwrap(), of["saturated"] == json!(true));
    let (total, row, rest, other) = (&top["total"], &top["rows"][0], &top["rest"], &top["other"]);
    for of in [total, row, rest] {
        assert_eq!(bytes_and_mark(of), (u64::MAX, true), "{top}");
    }
    assert_eq!((other, &top["truncated"]), (&counters(0, 0), &json!(false)));
    let sum = [row, rest, other].iter().fold(0_u64, |sum, of| sum.saturating_add(of["bytes"].as_u64().unwrap()));
    assert_eq!(sum, total["bytes"].as_u64().unwrap());
    let series = series(&server, &format!("{BOTH}&step=minute"));
    let marks: Vec<_> =
        [0, 1].map(|point| bytes_and_mark(&series["points"][point]["counters"]["in"])).into_iter().collect();
    assert_eq!(marks, [(half, false), (u64::MAX, true)]);
    let question = format!(r#"{{"{PREFIX}":{{"years":[{{"2026":["all","srcip:192.0.2.1"]}}]}}}}"#);
    let stats = ask(server.address, "POST", &format!("/stats/{SENDER}"), &question).json();
    let entries = &stats[PREFIX]["years"][0]["2026"];
    let marks: Vec<_> = entries.as_array().unwrap().iter().map(bytes_and_mark).collect();
    assert_eq!(marks, [(u64::MAX, true), (7, false), (u64::MAX, true)]);
    let billing = get(&server, &format!("/billing/{SENDER}?prefix={PREFIX}&month=2026-03")).json();
    assert_eq!((bytes_and_mark(&billing["in"]), bytes_and_mark(&billing["out"])), ((u64::MAX, true), (7, false)));
}

#[test]
fn the_largest_are_first_and_the_list_adds_up() {
    let server = talkers();
    let row =
        |name: &str, flows: u64, bytes: u64| json!({"name": name, "bytes": bytes, "pkts": bytes / 100, "flows": flows});
    let expected = json!({
        "sender": SENDER, "prefix": PREFIX, "direction": "in", "field": "srcip", "by": "bytes", "tz": "UTC",
        "from": "2026-03-01T10:59:00Z", "to": "2026-03-01T11:01:00Z", "seconds": 120,
        "total": counters(11, 2100),
        "rows": [row("srcip:192.0.2.3", 4, 900), row("srcip:192.0.2.1", 1, 500)],
        "rest": {"names": 2, "bytes": 700, "pkts": 7, "flows": 6},
        "other": counters(0, 0), "truncated": false, "remarks": []
    });
    assert_eq!(top(&server, &format!("{BOTH}&n=2")), expected);
    let by_flows = top(&server, &format!("{BOTH}&by=flows"));
    assert_eq!(by_flows["rows"][0], row("srcip:192.0.2.2", 5, 300));
    assert_eq!(by_flows["rest"]["names"], 0);
    let first_minute = top(&server, "from=2026-03-01T10:59Z&to=2026-03-01T11:00Z&by=pkts&direction=out");
    assert_eq!(first_minute["rows"], json!([row("srcip:10.0.0.1", 1, 700)]));
    assert_eq!(first_minute["total"], counters(1, 700));
    let nothing = top(&server, &format!("{BOTH}&direction=in:local"));
    assert_eq!((&nothing["total"], &nothing["rows"]), (&counters(0, 0), &json!([])));
}

#[test]
fn folded_counters_are_shown() {
    let server = Server::start();
    register(&server);
    let mut tables = Tables::new();
    let counted = Counters { bytes: 300, packets: 3, flows: 3 };
    let other = Counters { bytes: 200, packets: 2, flows: 2 };
    tables.add(In, "all".parse().unwrap(), counted);
    tables.add(In, "srcip:192.0.2.1".parse().unwrap(), Counters { bytes: 100, packets: 1, flows: 1 });
    tables.add_other(In, Field::SourceAddress, other);
    let at = minute("2026-03-01 10:59");
    let blocks = tables.blocks(
        at,
        SENDER.parse().unwrap(),
        PREFIX.parse().unwrap(),
        WRITER,
        flow::FlushNumber { epoch: 1, sequence: 1 }.into(),
    );
    server.runtime.block_on(async {
        server.store.put_writer(&WriterState::new(WRITER, 1, Timestamp::EPOCH)).await.unwrap();
        server.store.put_blocks(&blocks).await.unwrap();
    });
    let answer = top(&server, BOTH);
    assert_eq!((&answer["other"], &answer["truncated"]), (&counters(2, 200), &json!(true)));
    let answer = series(&server, &format!("{BOTH}&step=minute&name=srcip:192.0.2.9&direction=in"));
    let point = &answer["points"][0]["counters"]["in"];
    assert_eq!(point, &json!({"bytes": 0, "pkts": 0, "flows": 0, "truncated": true}));
}

#[test]
fn a_gap_is_not_zero() {
    let server = talkers();
    let answer = series(&server, "from=2026-03-01T10:58&to=2026-03-01T11:01&step=minute&name=srcip:192.0.2.1");
    let zero = counters(0, 0);
    let expected = json!({
        "sender": SENDER, "prefix": PREFIX, "name": "srcip:192.0.2.1", "step": "minute", "tz": "UTC",
        "from": "2026-03-01T10:58:00Z", "to": "2026-03-01T11:01:00Z",
        "points": [
            {"start": "2026-03-01T10:58:00Z", "seconds": 60, "counters": null},
            {"start": "2026-03-01T10:59:00Z", "seconds": 60, "counters":
                {"in": counters(1, 500), "out": zero, "in:local": zero, "out:local": zero}},
            {"start": "2026-03-01T11:00:00Z", "seconds": 60, "counters":
                {"in": zero, "out": zero, "in:local": zero, "out:local": zero}},
        ],
        "remarks": []
    });
    assert_eq!(answer, expected);
}

#[test]
fn steps_are_whole_and_include_finer_intervals() {
    let server = talkers();
    count(&server, WRITER, minute("2026-02-28 00:00"), PREFIX, &[(In, "all", 1, 100), (InLocal, "all", 1, 100)]);
    let of = |step: &str| {
        let answer = series(&server, &format!("from=2026-02-28&to=2026-03-01T11:01&step={step}&direction=in"));
        let points = answer["points"].as_array().unwrap();
        let bytes = |point: &Value| point["counters"]["in"]["bytes"].as_u64();
        (points.len(), points.iter().filter_map(bytes).collect::<Vec<_>>())
    };
    assert_eq!(of("minute"), (24 * 60 + 11 * 60 + 1, vec![100, 1000, 1100]));
    assert_eq!(of("hour"), (24 + 12, vec![100, 1000, 1100]));
    assert_eq!(of("day"), (2, vec![100, 2100]));
    assert_eq!(of("month"), (2, vec![100, 2100]));
}

#[test]
fn the_default_range_ends_now() {
    let server = Server::start();
    register(&server);
    let now = Minute::of(SystemTime::now().into());
    count(
        &server,
        WRITER,
        Interval { period: Period::Minute, start: now },
        PREFIX,
        &[(In, "all", 1, 100), (In, "srcip:192.0.2.1", 1, 100)],
    );
    assert_eq!(top(&server, "from=&to=")["rows"][0]["name"], "srcip:192.0.2.1");
    let points = series(&server, "step=")["points"].as_array().unwrap().clone();
    let counted: Vec<_> = points.iter().filter(|point| !point["counters"].is_null()).collect();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0]["counters"]["in"], counters(1, 100));
    // A day overlaps 25 hours, unless its last minute is the last of an hour.
    assert!((24..=25).contains(&points.len()), "{}", points.len());
}

#[test]
fn too_many_steps_are_a_422_with_an_alternative() {
    let server = talkers();
    let refuse = |parameters: &str| {
        get(&server, &format!("/series/{SENDER}?prefix={PREFIX}&{parameters}")).refusal(422, "UNPROCESSABLE_ENTITY")
    };
    let minutes = "from=2026-01-01&to=2026-03-01&step=minute";
    let message = refuse(minutes);
    assert_eq!(message, "at most 10081 minutes of this name fit into an answer: request step=hour, or a shorter range");
    assert!(refuse(&format!("{minutes}&name=srcip:192.0.2.1")).contains("at most 1441 minutes"));
    let message = refuse("from=1970-01-01&to=9999-12-31&step=month");
    assert!(message.contains("at most 10081 months") && message.ends_with("request a shorter range"), "{message}");
}

#[test]
fn a_range_that_cuts_through_what_is_kept_as_a_whole_is_a_422() {
    let mut keep = PerPeriod::default();
    keep[Period::Minute] = Some(Duration::from_secs(7 * 24 * 3600));
    let server = Server::keeping(keep);
    register(&server);
    count(&server, WRITER, minute("2026-03-01 10:59"), PREFIX, &[(In, "all", 1, 100)]);
    let refused = get(&server, &format!("/top/{SENDER}?prefix={PREFIX}&{BOTH}"));
    let message = refused.refusal(422, "UNPROCESSABLE_ENTITY");
    assert!(message.starts_with("the range needs ") && message.contains("but minutes before 20"), "{message}");
    let instead = "use whole hours: 2026-03-01T10:00:00Z to 2026-03-01T12:00:00Z";
    assert!(message.ends_with(instead), "{message}");
    assert_eq!(top(&server, "from=2026-03-01T10:00&to=2026-03-01T12:00")["total"], counters(1, 100));
}

/// Settings that were changed do not bring back what was deleted before, and a late flow is not all of its minute.
#[test]
fn minutes_that_were_deleted_under_a_shorter_retention_are_missed() {
    let server = talkers();
    let late = WriterId(8);
    server.runtime.block_on(async {
        let until = minute("2026-03-02 00:00").start;
        storage::roll_up::advance(&*server.store, WriterState::new(WRITER, 1, Timestamp::EPOCH), until).await.unwrap();
        let minutes = Retention { period: Period::Minute, before: minute("2026-03-01 11:00").start };
        assert!(server.store.expire(WRITER, minutes).await.unwrap() > 0);
    });
    count(&server, late, minute("2026-03-01 10:59"), PREFIX, &[(In, "all", 1, 100)]);
    let message = get(&server, &format!("/top/{SENDER}?prefix={PREFIX}&{BOTH}")).refusal(422, "UNPROCESSABLE_ENTITY");
    let reason =
        "the range needs the minute 2026-03-01 10:59 (UTC), but minutes before 2026-03-01T11:00:00Z have expired";
    assert!(message.starts_with(reason), "{message}");
    assert_eq!(top(&server, "from=2026-03-01T10:00&to=2026-03-01T12:00")["total"], counters(12, 2200));
    let minutes =
        series(&server, "from=2026-03-01T10:59&to=2026-03-01T11:01&step=minute&direction=in")["points"].clone();
    assert_eq!([&minutes[0]["counters"], &minutes[1]["counters"]["in"]], [&json!(null), &counters(2, 1100)]);
    let question = format!(r#"{{"{PREFIX}":{{"minutes":["2026-03-01 10:59"]}}}}"#);
    let stats = ask(server.address, "POST", &format!("/stats/{SENDER}"), &question).json();
    assert_eq!(stats, json!({ PREFIX: {"minutes": [{"2026-03-01 10:59": []}]} }));
}

#[test]
fn a_prefix_of_which_nothing_is_stored_is_a_404_unless_it_is_monitored() {
    let server = talkers();
    for route in ["top", "series", "billing"] {
        let path = format!("/{route}/{SENDER}?prefix=10.0.0.0/9");
        let message = get(&server, &path).refusal(404, "NOT_FOUND");
        assert!(message.starts_with("10.0.0.0/9 is not a monitored prefix of 172.16.1.1"), "{message}");
        let added = r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":9}]}"#;
        ask(server.address, "PUT", &format!("/senders/{SENDER}"), added);
        assert_eq!(get(&server, &path).status, 200);
        assert_eq!(ask(server.address, "DELETE", &format!("/senders/{SENDER}"), added).status, 200);
        let message = get(&server, &format!("/{route}/192.0.2.77?prefix={PREFIX}")).refusal(404, "NOT_FOUND");
        assert!(message.contains("192.0.2.77 is not a registered sender"), "{message}");
    }
}

#[test]
fn an_invalid_query_is_an_error_with_the_parameter_and_the_right_form() {
    let server = talkers();
    for (question, expected) in [
        ("top/172.16.1.1", "prefix: is missing: add prefix=172.16.1.0/24 to the query"),
        ("top/172.16.1.1?prefix=10.0.0.1/8", "prefix: 10.0.0.1 is not the first address of its /8"),
        ("top/172.16.1.1?prefx=10.0.0.0/8", "prefx: unknown key; did you mean prefix?"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&prefix=10.0.0.0/8", "prefix: is given twice"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&field=all", "field: must be one of proto, srcip, srcport"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&direction=both", "direction: must be one of in, out, in:local, out:local"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&n=0", "n: must be a whole number from 1 to 1000, not \"0\""),
        ("top/172.16.1.1?prefix=10.0.0.0/8&n=1001", "n: must be a whole number from 1 to 1000"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&by=size", "by: must be one of bytes, pkts, flows, not \"size\""),
        ("top/172.16.1.1?prefix=10.0.0.0/8&tz=Europe/Berln", "such as +05:30; did you mean Europe/Berlin?"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&from=noon", "from: 'noon' is not a time: write 2026-11-23T05:01Z"),
        ("top/172.16.1.1?prefix=10.0.0.0/8&from=2026-03-01&to=2026-03-01", "from: must be before to"),
        ("series/172.16.1.1?prefix=10.0.0.0/8&step=week", "step: must be one of minute, hour, day, month"),
        (
            "series/172.16.1.1?prefix=10.0.0.0/8&name=proto:tpc",
            "name: 'proto:tpc' is not a name: did you mean proto:tcp?",
        ),
        ("series/172.16.1.1?prefix=10.0.0.0/8&names=yes", "names: must be one of 0, 1, not \"yes\""),
        ("billing/172.16.1.1?prefix=10.0.0.0/8&month=2026", "month: '2026' is not a valid month: write YYYY-MM"),
        ("billing/172.16.1.1?prefix=10.0.0.0/8&month=9999-01", "month: 9999-01 has not begun"),
        ("top/router?prefix=10.0.0.0/8", "\"router\" in the path is not an IP address"),
    ] {
        let message = get(&server, &format!("/{question}")).refusal(400, "BAD_REQUEST");
        assert!(message.contains(expected), "{question}\n{message}\n{expected}");
    }
}
