//! Questions about several senders: the sums of what each answers alone, with what is special about a sum.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use accounting::block::WriterId;
use accounting::direction::Direction::{self, In, InLocal, Out};
use accounting::period::{Interval, Period};
use api::{Key, Role};
use flow::Timestamp;
use serde_json::{Value, json};
use storage::{Registry, Remark, Remarks};

use crate::billing::{february, run_for};
use crate::client::{Answer, ask, send, sign_with};
use crate::server::{Server, keys};
use crate::stats::{WRITER, count_of, minute};

/// Two edge routers, one that does not monitor the prefix any more, and one that never had it.
const EDGE_A: &str = "192.0.2.1";
const EDGE_B: &str = "192.0.2.2";
const FORMER: &str = "192.0.2.3";
const OTHER: &str = "2001:db8::4";
const SENDERS: [&str; 4] = [EDGE_A, EDGE_B, FORMER, OTHER];

const PREFIX: &str = "10.1.0.0/16";
const RANGE: &str = "from=2026-02-03T10:00Z&to=2026-02-03T12:00Z";

fn get(server: &Server, path: &str) -> Answer {
    ask(server.address, "GET", path, "")
}

fn answer(server: &Server, path: &str) -> Value {
    let answer = get(server, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn put(server: &Server, sender: &str, body: &str) {
    let answer = ask(server.address, "PUT", &format!("/senders/{sender}"), body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn register(server: &Server) {
    let prefix = r#""prefixes":[{"prefix":"10.1.0.0","prefixLen":16}]"#;
    put(server, EDGE_A, &format!(r#"{{{prefix},"tags":["edge","site-a"]}}"#));
    put(server, EDGE_B, &format!(r#"{{{prefix},"tags":["edge"]}}"#));
    put(server, FORMER, r#"{"tags":["former"]}"#);
    put(server, OTHER, r#"{"prefixes":[{"prefix":"10.2.0.0","prefixLen":16}],"tags":["site-a"]}"#);
}

/// Counts a flow of each of these addresses, with different sums for each sender and minute.
fn count(server: &Server, sender: &str, at: &str, directions: &[Direction], hosts: std::ops::Range<u64>, other: u64) {
    let at = minute(at);
    let mut rows: Vec<(Direction, String, u64, u64)> = Vec::new();
    for direction in directions {
        let mut all = (0, 0);
        for host in hosts.clone() {
            let bytes = (host * 7919 + u64::from(at.start.number()) * 31) % 10_007 + 100;
            rows.push((*direction, format!("srcip:198.51.100.{host}"), 1, bytes));
            all = (all.0 + 1, all.1 + bytes);
        }
        if other > 0 {
            rows.push((*direction, "srcip:other".to_owned(), other, other * 50));
            all = (all.0 + other, all.1 + other * 50);
        }
        rows.push((*direction, "all".to_owned(), all.0, all.1));
        rows.push((*direction, "proto:6".to_owned(), all.0, all.1));
    }
    let rows = rows.iter().map(|(direction, name, flows, bytes)| (*direction, name.as_str(), *flows, *bytes));
    count_of(server, WRITER, sender, at, PREFIX, &rows.collect::<Vec<_>>());
}

/// Traffic of two hours: the senders have some addresses, minutes and directions in common.
fn counted() -> Server {
    let server = Server::start();
    register(&server);
    count(&server, EDGE_A, "2026-02-03 10:00", &[In, Out], 1..20, 0);
    count(&server, EDGE_A, "2026-02-03 10:07", &[In], 5..9, 3);
    count(&server, EDGE_A, "2026-02-03 11:59", &[InLocal], 1..3, 0);
    count(&server, EDGE_B, "2026-02-03 10:00", &[In], 10..30, 0);
    count(&server, EDGE_B, "2026-02-03 11:01", &[In, Out], 2..8, 0);
    count(&server, FORMER, "2026-02-03 11:01", &[Out], 7..9, 2);
    server
}

/// What a single sender answers; `None` if it neither monitors the prefix nor has counters.
fn alone(server: &Server, route: &str, sender: &str, parameters: &str) -> Option<Value> {
    let answer = get(server, &format!("/{route}/{sender}?prefix={PREFIX}&{parameters}"));
    if answer.status == 404 {
        return None;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(answer.json())
}

fn all_alone(server: &Server, route: &str, senders: &[&str], parameters: &str) -> Vec<Value> {
    senders.iter().filter_map(|sender| alone(server, route, sender, parameters)).collect()
}

fn sums(server: &Server, route: &str, selection: &str, parameters: &str) -> Value {
    answer(server, &format!("/{route}?sender={selection}&prefix={PREFIX}&{parameters}"))
}

fn counters(of: &Value) -> [u64; 3] {
    ["bytes", "pkts", "flows"].map(|key| of[key].as_u64().unwrap())
}

fn add(sum: &mut [u64; 3], of: &Value) {
    sum.iter_mut().zip(counters(of)).for_each(|(sum, of)| *sum += of);
}

/// Selections, the senders that they select, and those of them that take part.
const SELECTIONS: [(&str, &[&str], &[&str]); 5] = [
    ("all", &SENDERS, &[EDGE_A, EDGE_B, FORMER]),
    ("tag:edge", &[EDGE_A, EDGE_B], &[EDGE_A, EDGE_B]),
    ("tag:site-a", &[EDGE_A, OTHER], &[EDGE_A]),
    ("192.0.2.3,192.0.2.2", &[EDGE_B, FORMER], &[EDGE_B, FORMER]),
    ("tag:former,2001:db8::4,192.0.2.1", &[EDGE_A, FORMER, OTHER], &[EDGE_A, FORMER]),
];

#[test]
fn top_of_a_group_is_that_of_the_sums() {
    let server = counted();
    for (selection, senders, parts) in SELECTIONS {
        for direction in ["in", "out", "in:local"] {
            let parameters = format!("{RANGE}&direction={direction}&n=1000");
            let mut names: BTreeMap<String, [u64; 3]> = BTreeMap::new();
            let (mut total, mut other, mut is_truncated) = ([0; 3], [0; 3], false);
            for of in all_alone(&server, "top", senders, &parameters) {
                for row in of["rows"].as_array().unwrap() {
                    add(names.entry(row["name"].as_str().unwrap().to_owned()).or_default(), row);
                }
                add(&mut total, &of["total"]);
                add(&mut other, &of["other"]);
                is_truncated |= of["truncated"] == true;
            }
            let sum = sums(&server, "top", selection, &parameters);
            let rows = sum["rows"].as_array().unwrap();
            let rows: BTreeMap<String, [u64; 3]> =
                rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), counters(row))).collect();
            assert_eq!(rows, names, "{selection} {direction}");
            assert_eq!((counters(&sum["total"]), counters(&sum["other"])), (total, other), "{selection} {direction}");
            assert_eq!(sum["truncated"], is_truncated, "{selection} {direction}");
            assert_eq!((&sum["sender"], &sum["senders"]), (&json!(selection), &json!(parts)));
            // A shorter list adds up as well, and is sorted by the sums.
            let few = sums(&server, "top", selection, &format!("{RANGE}&direction={direction}&n=3"));
            let listed: Vec<u64> = few["rows"].as_array().unwrap().iter().map(|row| counters(row)[0]).collect();
            let mut sorted: Vec<u64> = names.values().map(|[bytes, ..]| *bytes).collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(listed, sorted[..sorted.len().min(3)]);
            assert_eq!(few["rest"]["names"], names.len().saturating_sub(3));
        }
    }
}

#[test]
fn series_of_a_group_are_the_sums_of_each_step() {
    let server = counted();
    for (selection, senders, parts) in SELECTIONS {
        for parameters in [
            format!("{RANGE}&step=minute"),
            format!("{RANGE}&step=hour&name=srcip:198.51.100.7&tz=Europe/Berlin"),
            format!("{RANGE}&step=hour&name=proto:6&direction=in"),
        ] {
            let of_each = all_alone(&server, "series", senders, &parameters);
            let sum = sums(&server, "series", selection, &parameters);
            assert_eq!((&sum["sender"], &sum["senders"]), (&json!(selection), &json!(parts)));
            for (index, point) in sum["points"].as_array().unwrap().iter().enumerate() {
                let points: Vec<&Value> = of_each.iter().map(|of| &of["points"][index]["counters"]).collect();
                assert_eq!(point["counters"].is_null(), points.iter().all(|point| point.is_null()));
                for (direction, sum) in point["counters"].as_object().into_iter().flatten() {
                    let mut expected = [0; 3];
                    let counted = points.iter().map(|point| &point[direction]).filter(|of| !of.is_null());
                    let is_truncated = counted.clone().any(|of| of["truncated"] == true);
                    counted.for_each(|of| add(&mut expected, of));
                    assert_eq!(counters(sum), expected, "{selection} {parameters} {index}");
                    assert_eq!(sum["truncated"] == true, is_truncated, "{selection} {parameters} {index}");
                }
            }
        }
    }
}

#[test]
fn stats_of_a_group_are_the_sums_of_each_date_and_name() {
    let server = counted();
    let question = json!({PREFIX: {
        "days": [{"2026-02-03": ["all", "srcip:198.51.100.7", "proto:6"]}], "minutes": ["2026-02-03 10:00"], "months": []
    }, "10.2.0.0/16": {"years": ["2026"]}})
    .to_string();
    // Counters by date, name and direction, and whether they are truncated.
    let entries = |answer: &Value| {
        let mut entries: BTreeMap<[String; 3], ([u64; 3], bool)> = BTreeMap::new();
        for (period, date) in [("days", "2026-02-03"), ("minutes", "2026-02-03 10:00")] {
            for entry in answer[PREFIX][period][0][date].as_array().unwrap() {
                let key = [date, entry["name"].as_str().unwrap(), entry["direction"].as_str().unwrap()];
                let entry = (counters(entry), entry["truncated"] == true);
                assert_eq!(entries.insert(key.map(str::to_owned), entry), None);
            }
        }
        entries
    };
    for (selection, senders, parts) in SELECTIONS {
        let mut expected: BTreeMap<[String; 3], ([u64; 3], bool)> = BTreeMap::new();
        let mut tables_truncated: BTreeMap<[String; 3], bool> = BTreeMap::new();
        for sender in senders {
            let of = ask(server.address, "POST", &format!("/stats/{sender}"), &question).json();
            for (key, (counted, is_truncated)) in entries(&of) {
                let field = key[1].split(':').next().unwrap().to_owned();
                *tables_truncated.entry([key[0].clone(), field, key[2].clone()]).or_default() |= is_truncated;
                let sum = expected.entry(key).or_default();
                sum.0.iter_mut().zip(counted).for_each(|(sum, of)| *sum += of);
            }
        }
        for ([date, name, direction], (_, is_truncated)) in &mut expected {
            let field = name.split(':').next().unwrap().to_owned();
            *is_truncated = tables_truncated[&[date.clone(), field, direction.clone()]];
        }
        let sum = ask(server.address, "POST", &format!("/stats?sender={selection}"), &question);
        assert_eq!(sum.status, 200, "{sum:?}");
        assert_eq!(entries(&sum.json()), expected, "{selection}");
        assert_eq!(sum.json()[PREFIX]["senders"], json!(parts), "{selection}");
        let same_flows: Vec<Value> =
            sum.json()[PREFIX]["remarks"].as_array().unwrap().iter().map(|remark| remark["kind"].clone()).collect();
        assert_eq!(same_flows, if parts.len() > 1 { vec![json!("sameFlows")] } else { vec![] });
        assert_eq!(sum.json()["10.2.0.0/16"]["remarks"], json!([]));
    }
}

/// Samples of February, by number, with the bytes that a sender counts in each.
fn sampled(samples: &[(&str, u32, u64)]) -> Server {
    let server = Server::start();
    register(&server);
    let first = minute("2026-02-01 00:00").start;
    for (sender, sample, bytes) in samples {
        let interval = Interval { period: Period::Minute, start: first.saturating_add(sample * 5) };
        count_of(&server, WRITER, sender, interval, PREFIX, &[(In, "all", 1, *bytes), (Out, "all", 1, 75)]);
    }
    server
}

#[test]
fn the_percentile_of_a_group_is_that_of_its_summed_samples() {
    // Peaks of more than a twentieth of the 8,064 samples: each sender has one, and they have half of it in common.
    let peak =
        |sender: &'static str, samples: std::ops::Range<u32>| samples.map(move |sample| (sender, sample, 300_000));
    let server = sampled(&peak(EDGE_A, 0..500).chain(peak(EDGE_B, 250..750)).collect::<Vec<_>>());
    run_for(&server, WriterId(70), EDGE_A, february(), february());
    run_for(&server, WriterId(71), EDGE_B, february(), february());
    let month = "month=2026-02";
    let of_each = all_alone(&server, "billing", &[EDGE_A, EDGE_B], month);
    let percentile = |of: &Value| of["in"]["percentile95BitsPerSecond"].as_u64().unwrap();
    assert_eq!(of_each.iter().map(percentile).collect::<Vec<_>>(), [8000, 8000]);
    let sum = sums(&server, "billing", "tag:edge", month);
    // 250 samples have both peaks, which is less than a twentieth: not 16,000.
    assert_eq!(percentile(&sum), 8000);
    let mut expected = [0; 3];
    of_each.iter().for_each(|of| add(&mut expected, &of["in"]));
    assert_eq!(counters(&sum["in"]), expected);
    let samples = &sum["samples"];
    assert_eq!((&samples["count"], &samples["expected"]), (&json!(8064), &json!(8064)));
    assert_eq!((&samples["partial"], &samples["empty"]), (&json!(0), &json!(8064 - 750)));
    assert_eq!((&samples["missing"], &samples["absent"]), (&json!([]), &json!([])));
    for (of_sender, single) in sum["bySender"].as_array().unwrap().iter().zip(&of_each) {
        assert_eq!((&of_sender["sender"], &of_sender["in"]), (&single["sender"], &single["in"]));
        assert_eq!((&of_sender["out"], &of_sender["lost"]), (&single["out"], &single["lost"]));
        assert_eq!(of_sender["samples"]["count"], single["samples"]["count"]);
    }
    let received = |of: &Value| of["lost"]["shares"][0]["received"].as_u64().unwrap();
    assert_eq!(received(&sum), of_each.iter().map(received).sum::<u64>());
    assert_eq!(sum["lost"]["samples"], 0);
    // The month of a time zone is the sum of its 5 minutes.
    let parameters = "month=2026-02&tz=-00:30";
    let of_each = all_alone(&server, "billing", &[EDGE_A, EDGE_B], parameters);
    let sum = sums(&server, "billing", "tag:edge", parameters);
    let mut expected = [0; 3];
    of_each.iter().for_each(|of| add(&mut expected, &of["in"]));
    assert_eq!(counters(&sum["in"]), expected);
    assert_eq!(sum["senders"], json!([EDGE_A, EDGE_B]));
}

#[test]
fn a_bill_shows_the_samples_in_which_a_sender_was_absent() {
    let server = sampled(&[(EDGE_A, 0, 300_000), (EDGE_B, 0, 600_000), (EDGE_A, 2, 300_000)]);
    // A is silent in the last sample; B from the third to the twelfth; nobody ran in the first ten minutes of the second day.
    let (first, last) = (february().start, february().end);
    let ran: Vec<u32> = february().filter(|minute| !(first + 1440..first + 1450).contains(minute)).collect();
    let of_a = ran.iter().copied().filter(|minute| *minute < last - 5);
    let of_b = ran.iter().copied().filter(|minute| !(first + 10..first + 60).contains(minute));
    run_for(&server, WriterId(70), EDGE_A, ran.clone(), of_a);
    run_for(&server, WriterId(71), EDGE_B, ran.clone(), of_b);
    let sum = sums(&server, "billing", "all", "month=2026-02");
    assert_eq!(sum["senders"], json!([EDGE_A, EDGE_B]));
    let samples = &sum["samples"];
    assert_eq!((&samples["count"], &samples["partial"]), (&json!(8062), &json!(11)));
    assert_eq!(samples["collectorNotRunning"], 2);
    assert_eq!(samples["exporterSilent"], 0);
    let missing =
        json!([{"from": "2026-02-02T00:00:00Z", "to": "2026-02-02T00:10:00Z", "reason": "collectorNotRunning"}]);
    assert_eq!(samples["missing"], missing);
    let absent = json!([
        {"from": "2026-02-01T00:10:00Z", "to": "2026-02-01T01:00:00Z", "senders": [EDGE_B]},
        {"from": "2026-02-28T23:55:00Z", "to": "2026-03-01T00:00:00Z", "senders": [EDGE_A]}
    ]);
    assert_eq!(samples["absent"], absent);
    let method = sum["method"].as_str().unwrap();
    assert!(method.contains("INCOMPLETE: 2 of 8064 samples are missing"), "{method}");
    assert!(method.contains("PARTIAL: 11 samples are sums without senders"), "{method}");
    let of_senders: Vec<_> = sum["bySender"].as_array().unwrap().iter().map(|of| of["samples"].clone()).collect();
    let counts = |count: u32, silent: u32| json!({"count": count, "collectorNotRunning": 2, "exporterSilent": silent, "notKept": 0});
    assert_eq!(of_senders, [counts(8061, 1), counts(8052, 10)]);
    // What the present senders have counts: the third sample is A's alone.
    assert_eq!(sum["in"]["bytes"], 1_200_000);
    assert_eq!(samples["empty"], 8062 - 2);
}

#[test]
fn sums_that_end_at_the_largest_number_are_saturated() {
    let server = Server::start();
    register(&server);
    let at = minute("2026-02-03 10:00");
    for sender in [EDGE_A, EDGE_B] {
        count_of(&server, WRITER, sender, at, PREFIX, &[(In, "all", 1, u64::MAX / 2 + 1)]);
    }
    let total = |of: &Value| of["total"].clone();
    assert_eq!(total(&alone(&server, "top", EDGE_A, RANGE).unwrap())["saturated"], Value::Null);
    let sum = total(&sums(&server, "top", "all", RANGE));
    assert_eq!((&sum["bytes"], &sum["saturated"], &sum["flows"]), (&json!(u64::MAX), &json!(true), &json!(2)));
}

#[test]
fn remarks_name_their_sender_and_say_that_a_flow_may_be_counted_by_several() {
    let server = counted();
    let remark = |seconds: u64, kind: &str| {
        let time = Timestamp::from_seconds(minute("2026-02-03 11:00").start.timestamp().seconds() + seconds);
        Remark { time, kind: kind.into(), was: "1".into(), is: "2".into() }
    };
    let remarks = Remarks::from([
        (EDGE_A.parse().unwrap(), vec![remark(60, "samplingRate")]),
        (EDGE_B.parse().unwrap(), vec![remark(30, "samplingRate")]),
        (OTHER.parse().unwrap(), vec![remark(10, "samplingRate")]),
    ]);
    server.runtime.block_on(server.store.put_remarks(&remarks)).unwrap();
    for path in [format!("top|{RANGE}"), format!("series|{RANGE}&step=hour"), "billing|month=2026-02".to_owned()] {
        let (route, parameters) = path.split_once('|').unwrap();
        let sum = sums(&server, route, "tag:edge,2001:db8::4", parameters);
        let [same_flows, of_b, of_a] = sum["remarks"].as_array().unwrap().as_slice() else { panic!("{sum}") };
        let text = "192.0.2.1 and 192.0.2.2 counted traffic of this prefix: a flow that passed several of them was counted by each";
        assert_eq!(*same_flows, json!({"kind": "sameFlows", "affected": true, "text": text}));
        for (remark, sender, time) in [(of_b, EDGE_B, "2026-02-03T11:00:30Z"), (of_a, EDGE_A, "2026-02-03T11:01:00Z")] {
            let text = format!(
                "{sender}: samplingRate: 2 instead of 1; before and after, flows are counted in different ways"
            );
            let expected = json!({"sender": sender, "time": time, "kind": "samplingRate", "was": "1", "is": "2",
                "affected": true, "text": text});
            assert_eq!(*remark, expected, "{route}");
        }
        // Only one of these has counters.
        let one = sums(&server, route, "tag:site-a", parameters);
        let kinds: Vec<&Value> = one["remarks"].as_array().unwrap().iter().map(|remark| &remark["kind"]).collect();
        assert_eq!(kinds, ["samplingRate"], "{route}");
    }
}

#[test]
fn one_address_is_answered_as_by_its_path() {
    let server = counted();
    for path in [format!("top|{RANGE}"), format!("series|{RANGE}"), "billing|month=2026-02".to_owned()] {
        let (route, parameters) = path.split_once('|').unwrap();
        for sender in [EDGE_A, "::ffff:192.0.2.1"] {
            let by_path = get(&server, &format!("/{route}/{EDGE_A}?prefix={PREFIX}&{parameters}"));
            let selected = get(&server, &format!("/{route}?sender={sender}&prefix={PREFIX}&{parameters}"));
            assert_eq!((selected.status, selected.text()), (200, by_path.text()));
            assert!(!by_path.text().contains("\"senders\"") && !by_path.text().contains("bySender"));
        }
    }
    let question = format!(r#"{{"{PREFIX}":{{"years":["2026"]}}}}"#);
    let by_path = ask(server.address, "POST", &format!("/stats/{EDGE_A}"), &question);
    let selected = ask(server.address, "POST", &format!("/stats?sender={EDGE_A}"), &question);
    assert_eq!((selected.status, selected.text()), (200, by_path.text()));
}

/// Headers of the key that is limited to two of the senders.
fn as_limited(server: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let headers = format!("X-Io-Auth: l\r\nX-Io-Sign: {}\r\n", sign_with("s", b"l"));
    send(server, method, path, &headers, body.as_bytes())
}

#[test]
fn a_limited_key_adds_up_its_own_senders_only() {
    let senders = [EDGE_A, OTHER, "192.0.2.99"].map(|sender| sender.parse().unwrap());
    let limited = Key::new("limited", "l", "s").unwrap().limited(Role::Read, Some(senders.to_vec()));
    let server = Server::with(keys().with([limited]), |api| api);
    register(&server);
    count(&server, EDGE_A, "2026-02-03 10:00", &[In], 1..3, 0);
    count(&server, EDGE_B, "2026-02-03 10:00", &[In], 1..9, 0);
    let own = alone(&server, "top", EDGE_A, RANGE).unwrap();
    for selection in ["all", "tag:edge", "192.0.2.1,2001:db8::4"] {
        let path = format!("/top?sender={selection}&prefix={PREFIX}&{RANGE}");
        let sum = as_limited(server.address, "GET", &path, "").json();
        assert_eq!((&sum["rows"], &sum["total"]), (&own["rows"], &own["total"]), "{selection}");
        assert_eq!((&sum["senders"], &sum["remarks"]), (&json!([EDGE_A]), &json!([])), "{selection}");
    }
    let question = format!(r#"{{"{PREFIX}":{{"years":["2026"]}}}}"#);
    let by_path =
        as_limited(server.address, "GET", &format!("/top/{EDGE_B}?prefix={PREFIX}"), "").refusal(403, "FORBIDDEN");
    for selection in [EDGE_B, "192.0.2.1,192.0.2.2", "all,192.0.2.98"] {
        for (route, parameters) in [("top", RANGE), ("series", RANGE), ("billing", "month=2026-02")] {
            let path = format!("/{route}?sender={selection}&prefix={PREFIX}&{parameters}");
            assert_eq!(as_limited(server.address, "GET", &path, "").refusal(403, "FORBIDDEN"), by_path, "{path}");
        }
        let path = format!("/stats?sender={selection}");
        assert_eq!(as_limited(server.address, "POST", &path, &question).refusal(403, "FORBIDDEN"), by_path, "{path}");
    }
    let unseen = as_limited(server.address, "GET", &format!("/top?sender=tag:former&prefix={PREFIX}"), "");
    let unseen = unseen.refusal(404, "NOT_FOUND");
    assert!(unseen.starts_with("no sender that this key is valid for has the tag former"), "{unseen}");
}

#[test]
fn a_selection_that_is_wrong_or_selects_nothing_is_refused() {
    let server = Server::start();
    let top = |parameters: &str| get(&server, &format!("/top?prefix={PREFIX}{parameters}"));
    assert!(top("&sender=all").refusal(404, "NOT_FOUND").contains("is registered: PUT /senders/<address>"));
    register(&server);
    let missing = top("").refusal(400, "BAD_REQUEST");
    assert!(missing.starts_with("sender: is missing: add sender=all"), "{missing}");
    let wrong = top("&sender=edge").refusal(400, "BAD_REQUEST");
    assert!(wrong.starts_with("sender: 'edge' selects no sender: use all, tag:edge"), "{wrong}");
    let unknown = top("&sender=192.0.2.1,192.0.2.77").refusal(404, "NOT_FOUND");
    assert_eq!(unknown, "192.0.2.77 is not a registered sender: PUT /senders/192.0.2.77 registers it");
    let tag = top("&sender=tag:edge,tag:egde").refusal(404, "NOT_FOUND");
    assert!(tag.contains("has the tag egde"), "{tag}");
    let nowhere = get(&server, "/top?prefix=10.9.0.0/16&sender=all").refusal(404, "NOT_FOUND");
    let expected = "10.9.0.0/16 is not a monitored prefix of any of these senders (all) and has no counters for that time; \
         their prefixes are: 10.1.0.0/16, 10.2.0.0/16";
    assert_eq!(nowhere, expected);
    // A monitored prefix without traffic is a right answer.
    assert_eq!(sums(&server, "top", "all", RANGE)["senders"], json!([EDGE_A, EDGE_B]));
    let by_path = get(&server, &format!("/top/{EDGE_A}?prefix={PREFIX}&sender=all")).refusal(400, "BAD_REQUEST");
    assert!(by_path.starts_with("sender: unknown key"), "{by_path}");
}

#[test]
fn a_group_reads_at_most_eight_times_what_a_sender_may() {
    let server = Server::start();
    for number in 0..50 {
        put(&server, &format!("192.0.2.{number}"), r#"{"prefixes":[{"prefix":"10.1.0.0","prefixLen":16}]}"#);
    }
    let series = |parameters: &str| get(&server, &format!("/series?sender=all&prefix={PREFIX}&{parameters}"));
    assert_eq!(series("step=minute&from=2026-02-03T00:00&to=2026-02-04T02:00").status, 200);
    let too_much = series("step=minute&from=2026-02-03T00:00&to=2026-02-04T03:00").refusal(422, "UNPROCESSABLE_ENTITY");
    let expected =
        "1620 steps of each of 50 senders are 81000 to read, more than 80648: request fewer steps, or of fewer senders";
    assert_eq!(too_much, expected);
    let days: Vec<String> = (1..=28).map(|day| format!("2026-02-{day:02}")).collect();
    let stats = |prefixes: u32| {
        let prefixes: BTreeMap<String, Value> =
            (0..prefixes).map(|number| (format!("10.{number}.0.0/16"), json!({"days": days}))).collect();
        ask(server.address, "POST", "/stats?sender=all", &json!(prefixes).to_string())
    };
    assert_eq!(stats(57).status, 200);
    assert!(stats(58).refusal(422, "UNPROCESSABLE_ENTITY").contains("1624 dates of each of 50 senders"));
}
