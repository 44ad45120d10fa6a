//! `/stats`: responses in the order and spelling of the request, with exactly the stored numbers.

use std::net::IpAddr;
use std::sync::Arc;

use accounting::block::{Tables, WriterId};
use accounting::direction::Direction::{self, In, InLocal, Out, OutLocal};
use accounting::field::Field;
use accounting::period::{Interval, Period};
use accounting::query::parse_interval;
use accounting::watermarks::Watermarks;
use flow::{Counters, FlushNumber, Timestamp};
use serde_json::{Value, json};
use storage::{Blocks, Faulty, Flush, Memory, Store, WriterState, Writers};

use crate::client::{Answer, ask};
use crate::server::Server;

pub(crate) const SENDER: &str = "172.16.1.1";
pub(crate) const WRITER: WriterId = WriterId(7);

/// Stores the counters of an interval: names with directions, flows and bytes, and ten packets a flow.
pub(crate) fn count(
    server: &Server,
    writer: WriterId,
    interval: Interval,
    prefix: &str,
    rows: &[(Direction, &str, u64, u64)],
) {
    count_of(server, writer, SENDER, interval, prefix, rows);
}

/// The same of another sender. Names end with `:other` for what a limit folded.
pub(crate) fn count_of(
    server: &Server,
    writer: WriterId,
    sender: &str,
    interval: Interval,
    prefix: &str,
    rows: &[(Direction, &str, u64, u64)],
) {
    let mut tables = Tables::new();
    for (direction, name, flows, bytes) in rows {
        let counters = Counters { bytes: *bytes, packets: bytes / 100, flows: *flows };
        match name.strip_suffix(":other") {
            None => tables.add(*direction, name.parse().unwrap(), counters),
            Some(field) => {
                let field = Field::ALL.into_iter().find(|of| of.name() == field).unwrap();
                tables.add_other(*direction, field, counters);
            }
        }
    }
    let sender: IpAddr = sender.parse().unwrap();
    let blocks = tables.blocks(
        interval,
        sender,
        prefix.parse().unwrap(),
        writer,
        flow::FlushNumber { epoch: 1, sequence: interval.start.number().into() }.into(),
    );
    let state = WriterState::new(writer, 1, Timestamp::EPOCH);
    server.runtime.block_on(async {
        server.store.put_writer(&state).await.unwrap();
        server.store.put_blocks(&blocks).await.unwrap();
    });
}

pub(crate) fn minute(text: &str) -> Interval {
    parse_interval(Period::Minute, text).unwrap()
}

pub(crate) fn register(server: &Server) {
    assert_eq!(ask(server.address, "PUT", &format!("/senders/{SENDER}"), r#"{"prefixes":[]}"#).status, 200);
}

/// The data of the examples in docs/rest.md.
pub(crate) fn count_the_example(server: &Server) {
    let all_tcp = |flows: u64| [(In, "all", flows, flows * 1000), (In, "proto:6", flows, flows * 1000)];
    count(server, WRITER, minute("2014-02-02 05:00"), "172.16.1.0/24", &all_tcp(4));
    let out = [(Out, "all", 1, 900), (Out, "proto:17", 1, 900), (Out, "dstas:34868", 1, 900)];
    count(server, WRITER, minute("2014-02-02 05:01"), "172.16.1.0/24", &[&all_tcp(3)[..], &out].concat());
}

fn stats(server: &Server, question: &str) -> Answer {
    ask(server.address, "POST", &format!("/stats/{SENDER}"), question)
}

fn entry(name: &str, direction: &str, flows: u64, bytes: u64) -> Value {
    json!({"name": name, "direction": direction, "bytes": bytes, "pkts": bytes / 100, "flows": flows})
}

#[test]
fn a_response_has_the_order_and_spelling_of_its_request() {
    let server = Server::start();
    register(&server);
    count_the_example(&server);
    let question = r#"{"2001:DB8::/32":{"days":["2014-02-02"]},"172.16.1.0/24":{
        "minutes":["2014-02-02 05:01",{"2014-02-02 05:00":["proto:6","all","proto:17"]},"2014-02-02 05:02"],
        "years":["2014","2013"],"hours":[]}}"#;
    let entry = |name: &str, direction: &str, flows: u64, bytes: u64| {
        let pkts = bytes / 100;
        format!(r#"{{"name":"{name}","direction":"{direction}","bytes":{bytes},"pkts":{pkts},"flows":{flows}}}"#)
    };
    let expected = [
        r#"{"2001:DB8::/32":{"days":[{"2014-02-02":[]}]},"172.16.1.0/24":{"minutes":[{"2014-02-02 05:01":["#,
        &entry("all", "in", 3, 3000),
        ",",
        &entry("all", "out", 1, 900),
        r#"]},{"2014-02-02 05:00":["#,
        &entry("proto:6", "in", 4, 4000),
        ",",
        &entry("all", "in", 4, 4000),
        r#"]},{"2014-02-02 05:02":[]}],"years":[{"2014":["#,
        &entry("all", "in", 7, 7000),
        ",",
        &entry("all", "out", 1, 900),
        r#"]},{"2013":[]}],"hours":[]}}"#,
    ];
    assert_eq!(stats(&server, question).text(), expected.concat());
}

#[test]
fn protocols_and_ports_have_names_in_questions_and_with_names_1_in_answers() {
    let server = Server::start();
    register(&server);
    let rows = [
        (In, "all", 3, 300),
        (In, "proto:6", 3, 300),
        (In, "dstport:443", 2, 200),
        (In, "dstport:47111", 1, 100),
        (In, "srcas:443", 3, 300),
    ];
    count(&server, WRITER, minute("2026-11-23 10:00"), "10.0.0.0/8", &rows);
    let question = r#"{"10.0.0.0/8":{"minutes":[{"2026-11-23 10:00":
        ["all","proto:TCP","dstport:https","dstport:47111","srcas:443"]}]}}"#;
    let answer = |query: &str| {
        let answer = ask(server.address, "POST", &format!("/stats/{SENDER}{query}"), question).json();
        answer["10.0.0.0/8"]["minutes"][0]["2026-11-23 10:00"].clone()
    };
    // In the spelling of the request: nothing else changes without the parameter.
    let as_written = [
        entry("all", "in", 3, 300),
        entry("proto:TCP", "in", 3, 300),
        entry("dstport:https", "in", 2, 200),
        entry("dstport:47111", "in", 1, 100),
        entry("srcas:443", "in", 3, 300),
    ];
    assert_eq!(answer(""), json!(as_written));
    assert_eq!(answer("?names=0"), json!(as_written));
    let named = |name: &str, names: Value, flows: u64| {
        let mut entry = entry(name, "in", flows, flows * 100);
        entry["names"] = names;
        entry
    };
    let with_names = [
        entry("all", "in", 3, 300),
        named("proto:6", json!({"proto": "tcp"}), 3),
        named("dstport:443", json!({"dstport": "https"}), 2),
        entry("dstport:47111", "in", 1, 100),
        entry("srcas:443", "in", 3, 300),
    ];
    assert_eq!(answer("?names=1"), json!(with_names));
}

#[test]
fn each_direction_has_its_own_entry_with_names_of_any_field() {
    let server = Server::start();
    register(&server);
    let rows = [
        (OutLocal, "all", 1, 100),
        (InLocal, "all", 2, 200),
        (Out, "all", 3, 300),
        (In, "all", 4, 400),
        (In, "srcip:192.0.2.1", 5, 500),
        (Out, "dstip:2001:db8::1", 6, 600),
        (In, "srcport:443", 7, 700),
        (In, "dstport:65535", 8, 800),
        (In, "srcas:4294967295", 9, 900),
        (In, "dstas:0", u64::MAX - 1, u64::MAX - 1),
    ];
    let at = minute("2026-11-23 10:00");
    count(&server, WRITER, at, "0.0.0.0/0", &rows);
    let question = json!({"0.0.0.0/0": {"minutes": [{"2026-11-23 10:00": [
        "all", "srcip:192.0.2.1", "dstip:2001:DB8::1", "srcport:443", "dstport:65535", "srcas:4294967295", "dstas:0",
        "srcip:192.0.2.2", "dstas:1"
    ]}]}});
    let expected = json!([
        entry("all", "in", 4, 400),
        entry("all", "out", 3, 300),
        entry("all", "in:local", 2, 200),
        entry("all", "out:local", 1, 100),
        entry("srcip:192.0.2.1", "in", 5, 500),
        entry("dstip:2001:DB8::1", "out", 6, 600),
        entry("srcport:443", "in", 7, 700),
        entry("dstport:65535", "in", 8, 800),
        entry("srcas:4294967295", "in", 9, 900),
        entry("dstas:0", "in", u64::MAX - 1, u64::MAX - 1),
    ]);
    let answer = stats(&server, &question.to_string()).json();
    assert_eq!(answer["0.0.0.0/0"]["minutes"][0]["2026-11-23 10:00"], expected);
}

#[test]
fn coarser_dates_add_up_minutes_and_writers() {
    let server = Server::start();
    register(&server);
    for (writer, text) in [
        (1, "2013-12-31 23:59"),
        (1, "2014-01-31 23:59"),
        (2, "2014-02-02 04:59"),
        (1, "2014-02-02 05:00"),
        (2, "2014-02-02 05:59"),
        (2, "2014-02-03 00:00"),
    ] {
        count(&server, WriterId(writer), minute(text), "10.0.0.0/8", &[(In, "all", 1, 100)]);
    }
    for (period, date, flows) in [
        ("years", "2014", 5),
        ("months", "2014-02", 4),
        ("days", "2014-02-02", 3),
        ("hours", "2014-02-02 05", 2),
        ("minutes", "2014-02-02 05:59", 1),
    ] {
        let answer = stats(&server, &format!(r#"{{"10.0.0.0/8":{{"{period}":["{date}"]}}}}"#)).json();
        assert_eq!(answer["10.0.0.0/8"][period][0][date], json!([entry("all", "in", flows, flows * 100)]), "{date}");
    }
}

#[test]
fn dates_may_be_repeated_and_share_an_object() {
    let server = Server::start();
    register(&server);
    count_the_example(&server);
    let question =
        r#"{"172.16.1.0/24":{"minutes":["2014-02-02 05:00",{"2014-02-02 05:00":["all"],"2014-02-02 05:09":[]}]}}"#;
    let all = json!([entry("all", "in", 4, 4000)]);
    let expected = json!([{"2014-02-02 05:00": all}, {"2014-02-02 05:00": all}, {"2014-02-02 05:09": []}]);
    assert_eq!(stats(&server, question).json()["172.16.1.0/24"]["minutes"], expected);
    assert_eq!(stats(&server, "{}").text(), "{}");
    assert_eq!(stats(&server, r#"{"172.16.1.0/24":{}}"#).text(), r#"{"172.16.1.0/24":{}}"#);
}

#[test]
fn many_dates_are_returned_in_their_order() {
    let server = Server::start();
    register(&server);
    let first = minute("2014-02-02 05:00").start;
    let texts: Vec<String> = (0..120)
        .rev()
        .map(|n| Interval { period: Period::Minute, start: first.saturating_add(n) }.to_string())
        .collect();
    for (number, text) in texts.iter().enumerate() {
        count(&server, WRITER, minute(text), "10.0.0.0/8", &[(In, "all", number as u64 + 1, 100)]);
    }
    let answer = stats(&server, &json!({"10.0.0.0/8": {"minutes": texts}}).to_string()).json();
    for (number, text) in texts.iter().enumerate() {
        let expected = json!({text.as_str(): [entry("all", "in", number as u64 + 1, 100)]});
        assert_eq!(answer["10.0.0.0/8"]["minutes"][number], expected);
    }
}

#[test]
fn a_sender_that_is_not_registered_is_a_404() {
    let server = Server::start();
    let message = stats(&server, r#"{"172.16.1.0/24":{"years":["2014"]}}"#).refusal(404, "NOT_FOUND");
    assert_eq!(message, "172.16.1.1 is not a registered sender: PUT /senders/172.16.1.1 registers it");
}

#[test]
fn the_counters_of_a_removed_sender_can_still_be_read() {
    let server = Server::start();
    register(&server);
    count_the_example(&server);
    let question = r#"{"172.16.1.0/24":{"days":["2014-02-02"]}}"#;
    let paths =
        ["top", "series"].map(|route| format!("/{route}/{SENDER}?prefix=172.16.1.0/24&from=2014-02-02&to=2014-02-03"));
    let billing = format!("/billing/{SENDER}?prefix=172.16.1.0/24&month=2014-02");
    let ask_all = || {
        let of_ranges = paths.iter().chain([&billing]).map(|path| ask(server.address, "GET", path, "").json());
        [stats(&server, question).json()].into_iter().chain(of_ranges).collect::<Vec<_>>()
    };
    let before = ask_all();
    assert_ne!(before[0]["172.16.1.0/24"]["days"][0]["2014-02-02"], json!([]));
    assert_eq!(ask(server.address, "DELETE", &format!("/senders/{SENDER}"), "").status, 200);
    assert_eq!(ask_all(), before);
    // Its prefixes are forgotten, and so is everything where nothing was counted.
    for path in [format!("/top/{SENDER}?prefix=all"), format!("/top/{SENDER}?prefix=172.16.2.0/24")] {
        let message = ask(server.address, "GET", &path, "").refusal(404, "NOT_FOUND");
        assert!(message.starts_with("172.16.1.1 is not a registered sender"), "{message}");
    }
}

#[test]
fn an_invalid_request_is_an_error_with_the_place_and_the_right_form() {
    let server = Server::start();
    register(&server);
    let at = r#"["10.0.0.0/8"]"#;
    for (question, expected) in [
        ("", r#"the body is empty: send {"172.16.1.0/24":{"days":["2014-02-02"]}}"#.to_owned()),
        ("[]", r#"body: must be an object such as {"172.16.1.0/24":{"days":["2014-02-02"]}}, not a list"#.into()),
        (
            r#"{"10.0.0.1/8":{}}"#,
            r#"["10.0.0.1/8"]: 10.0.0.1 is not the first address of its /8: did you mean 10.0.0.0/8?"#.into(),
        ),
        (r#"{"10.0.0.0":{}}"#, r#"["10.0.0.0"]: '10.0.0.0' is not a prefix: write <address>/<length>"#.into()),
        (r#"{"10.0.0.0/8":{},"10.0.0.0/8":{}}"#, r#"duplicate key "10.0.0.0/8""#.into()),
        (r#"{"10.0.0.0/8":[]}"#, format!(r#"{at}: must be an object such as {{"days":["2014-02-02"]}}, not a list"#)),
        (r#"{"10.0.0.0/8":{"day":[]}}"#, format!("{at}.day: unknown key; did you mean days?")),
        (r#"{"10.0.0.0/8":{"weeks":[]}}"#, format!("{at}.weeks: unknown key; ")),
        (
            r#"{"10.0.0.0/8":{"days":"2014-02-02"}}"#,
            format!(r#"{at}.days: must be a list of dates such as ["2014-02-02"], not "2014-02-02""#),
        ),
        (
            r#"{"10.0.0.0/8":{"years":[2014]}}"#,
            format!(
                r#"{at}.years[0]: must be a date such as "2013", or one with names such as {{"2013":["all","proto:6"]}}, not 2014"#
            ),
        ),
        (r#"{"10.0.0.0/8":{"years":[{}]}}"#, format!(r#"{at}.years[0]: must be a date such as "2013""#)),
        (
            r#"{"10.0.0.0/8":{"months":["2013-01","2013-13"]}}"#,
            format!("{at}.months[1]: '2013-13' is not a valid month: write YYYY-MM"),
        ),
        (
            r#"{"10.0.0.0/8":{"hours":["2014-02-02T05"]}}"#,
            format!("{at}.hours[0]: '2014-02-02T05' is not a valid hour"),
        ),
        (
            r#"{"10.0.0.0/8":{"minutes":[{"2014-02-30 00:00":["all"]}]}}"#,
            format!(r#"{at}.minutes[0]["2014-02-30 00:00"]: '2014-02-30 00:00' is not a valid minute"#),
        ),
        (
            r#"{"10.0.0.0/8":{"years":[{"2014":"all"}]}}"#,
            format!(r#"{at}.years[0].2014: must be a list of names such as ["all","proto:6"], not "all""#),
        ),
        (r#"{"10.0.0.0/8":{"years":[{"2014":["all",6]}]}}"#, format!("{at}.years[0].2014[1]: must be a name such as")),
        (
            r#"{"10.0.0.0/8":{"years":[{"2014":["proto"]}]}}"#,
            format!("{at}.years[0].2014[0]: 'proto' is not a name: write all, or one of proto, srcip"),
        ),
        (
            r#"{"10.0.0.0/8":{"years":[{"2014":["proto:tpc"]}]}}"#,
            format!("{at}.years[0].2014[0]: 'proto:tpc' is not a name: did you mean proto:tcp?"),
        ),
        (
            r#"{"10.0.0.0/8":{"years":[{"2014":["proto:6","proto:tcp"]}]}}"#,
            format!(r#"{at}.years[0].2014[1]: duplicate name "proto:tcp""#),
        ),
        (
            r#"{"10.0.0.0/8":{"years":[{"2014":["all","all"]}]}}"#,
            format!(r#"{at}.years[0].2014[1]: duplicate name "all""#),
        ),
    ] {
        let message = stats(&server, question).refusal(400, "BAD_REQUEST");
        assert!(message.contains(&expected), "{question}\n{message}\n{expected}");
    }
    let long = format!(r#"{{"10.0.0.0/8":{{"years":["{}"]}}}}"#, "x".repeat(500_000));
    assert!(stats(&server, &long).refusal(400, "BAD_REQUEST").len() < 1_000);
}

#[test]
fn a_request_for_too_many_dates_or_names_is_a_422_before_anything_is_read() {
    let server = Server::start();
    register(&server);
    let days = |number| format!(r#"{{"10.0.0.0/8":{{"days":{:?}}}}}"#, vec!["2026-11-28"; number]);
    assert_eq!(stats(&server, &days(10_000)).status, 200);
    let message = stats(&server, &days(10_001)).refusal(422, "UNPROCESSABLE_ENTITY");
    assert_eq!(message, "the body has 10001 dates, more than 10000: split it into several requests");
    let names = |number| {
        let names: Vec<String> = (0..number).map(|port| format!("dstport:{port}")).collect();
        format!(r#"{{"10.0.0.0/8":{{"days":[{{"2026-11-28":{names:?}}}]}}}}"#)
    };
    assert_eq!(stats(&server, &names(40_000)).status, 200);
    let message = stats(&server, &names(40_001)).refusal(422, "UNPROCESSABLE_ENTITY");
    assert_eq!(message, "the body has 40001 names, more than 40000: split it into several requests");
}

#[test]
fn a_damaged_block_is_counted_in_a_header_and_the_rest_is_served() {
    let server = Server::start();
    register(&server);
    count_the_example(&server);
    let question = r#"{"172.16.1.0/24":{"days":["2014-02-02"],"minutes":["2014-02-02 05:00","2014-02-02 05:01"]}}"#;
    assert_eq!(stats(&server, question).header("x-io-damaged-blocks"), None);
    let at = minute("2014-02-02 05:00");
    let (sender, prefix) = (SENDER.parse().unwrap(), "172.16.1.0/24".parse().unwrap());
    let selection = storage::Selection { interval: at, sender, prefix, tables: accounting::block::TableSet::ALL };
    server.runtime.block_on(async {
        let mut blocks = server.store.read_blocks(&[selection]).await.unwrap();
        assert_eq!(blocks.len(), 1);
        blocks[0].content.truncate(9);
        server.store.put_blocks(&blocks).await.unwrap();
    });
    let answer = stats(&server, question);
    assert_eq!(answer.header("x-io-damaged-blocks"), Some("1"));
    assert_eq!(answer.json()["172.16.1.0/24"]["days"][0]["2014-02-02"][0], entry("all", "in", 3, 3000));
}

#[test]
fn folded_counters_are_shown_in_their_interval() {
    let server = Server::start();
    register(&server);
    let mut tables = Tables::new();
    for (name, bytes) in [("all", 700), ("srcip:192.0.2.1", 400), ("srcip:192.0.2.2", 300), ("proto:6", 700)] {
        tables.add(In, name.parse().unwrap(), Counters { bytes, packets: bytes / 100, flows: 1 });
    }
    tables.fold(1);
    let at = minute("2014-02-02 05:00");
    let prefix = "172.16.1.0/24".parse().unwrap();
    let blocks =
        tables.blocks(at, SENDER.parse().unwrap(), prefix, WRITER, flow::FlushNumber { epoch: 1, sequence: 1 }.into());
    server.runtime.block_on(async {
        server.store.put_writer(&WriterState::new(WRITER, 1, Timestamp::EPOCH)).await.unwrap();
        server.store.put_blocks(&blocks).await.unwrap();
    });
    let question = r#"{"172.16.1.0/24":{"minutes":[
        {"2014-02-02 05:00":["srcip:192.0.2.2","all","srcip:192.0.2.1","proto:6"]}]}}"#;
    let folded = |mut entry: Value| {
        entry["truncated"] = json!(true);
        entry
    };
    let expected = json!([
        entry("all", "in", 1, 700),
        folded(entry("srcip:192.0.2.1", "in", 1, 400)),
        entry("proto:6", "in", 1, 700),
        folded(entry("srcip:other", "in", 1, 300)),
    ]);
    let answer = stats(&server, question);
    assert_eq!(answer.json()["172.16.1.0/24"]["minutes"][0]["2014-02-02 05:00"], expected);
}

#[test]
fn all_parts_of_a_response_are_of_one_moment_while_flushes_arrive() {
    let sender: IpAddr = SENDER.parse().unwrap();
    let prefix = "172.16.1.0/24";
    let flush = |sequence, at: String| {
        let number = FlushNumber { epoch: 1, sequence };
        let mut tables = Tables::new();
        tables.add(In, "all".parse().unwrap(), Counters { bytes: 100, packets: 1, flows: 1 });
        let blocks = tables.blocks(minute(&at), sender, prefix.parse().unwrap(), WRITER, number.into());
        Flush { number, watermarks: Watermarks::default(), blocks }
    };
    let store = Arc::new(Faulty::new(Memory::default()));
    let server = Server::serving(Arc::clone(&store) as Arc<dyn Store>);
    register(&server);
    server.runtime.block_on(store.put_writer(&WriterState::new(WRITER, 1, Timestamp::EPOCH))).unwrap();
    let minutes: Vec<String> = (0..60).map(|number| format!("2014-02-02 05:{number:02}")).collect();
    let coarse = [("hours", "2014-02-02 05"), ("days", "2014-02-02"), ("months", "2014-02"), ("years", "2014")];
    let question = json!({ prefix: {
        "hours": ["2014-02-02 05"], "days": ["2014-02-02"], "months": ["2014-02"], "minutes": minutes, "years": ["2014"],
    }});
    // Each flush begins a minute, so that a later look finds more minutes of a period.
    for round in 0..10 {
        let flushes = minutes.iter().zip(round * 60 + 1..).map(|(at, sequence)| flush(sequence, at.clone()));
        store.meanwhile(WRITER, flushes.skip(usize::try_from(round).unwrap() * 6).take(6));
        let answer = stats(&server, &question.to_string()).json();
        let flows = |key: &str, index: usize, date: &str| {
            answer[prefix][key][index][date][0]["flows"].as_u64().unwrap_or_default()
        };
        let in_minutes: u64 = minutes.iter().enumerate().map(|(index, date)| flows("minutes", index, date)).sum();
        assert_eq!(coarse.map(|(key, date)| flows(key, 0, date)), [in_minutes; 4], "round {round}: {answer}");
    }
}
