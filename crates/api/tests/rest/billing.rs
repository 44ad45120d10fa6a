//! `/billing`: totals, average and percentile of a month, with the samples that are missing and the lost share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use accounting::block::{Block, WriterId};
use accounting::direction::Direction::{In, InLocal, Out};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::presence::{self, Arrived, CountedBy};
use accounting::rollup::roll_up;
use flow::{Counters, FlushNumber, Timestamp};
use serde_json::{Value, json};
use storage::roll_up::advance;
use storage::{Blocks, Retention, Store, WriterState, Writers};

use crate::client::ask;
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, minute, register};

mod gaps;
mod retention;

const PREFIX: &str = "10.0.0.0/8";
/// The writer of presence; `WRITER` has the traffic.
const RUN: WriterId = WriterId(70);

fn billing(server: &Server, parameters: &str) -> Value {
    let answer = ask(server.address, "GET", &format!("/billing/{SENDER}?prefix={PREFIX}{parameters}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A writer that runs in these minutes, and in which of them it receives a datagram of ten records from the sender.
fn run(server: &Server, writer: WriterId, ran: impl IntoIterator<Item = u32>, heard: impl IntoIterator<Item = u32>) {
    run_for(server, writer, SENDER, ran, heard);
}

/// The same with another sender.
pub(crate) fn run_for(
    server: &Server,
    writer: WriterId,
    sender: &str,
    ran: impl IntoIterator<Item = u32>,
    heard: impl IntoIterator<Item = u32>,
) {
    let sender: IpAddr = sender.parse().unwrap();
    let arrived = Counters { bytes: 504, packets: 0, flows: 10 };
    let heard =
        heard.into_iter().map(|minute| Arrived { sender, minute: Minute::new(minute), arrived, lost: Counters::ZERO });
    let ran = ran.into_iter().map(Minute::new).collect();
    store(server, writer, &heard.collect::<Vec<_>>(), (&ran, CountedBy::Collector));
}

/// Stores presence, in hours as far as these have ended.
fn store(server: &Server, writer: WriterId, arrived: &[Arrived], counted: (&BTreeSet<Minute>, CountedBy)) {
    let blocks = presence::blocks(arrived, counted, writer, FlushNumber { epoch: 1, sequence: 1 });
    let hour = |block: &Block| Interval::containing(Period::Hour, block.key.interval.start);
    let open = blocks.iter().map(|block| hour(block).start).max().unwrap();
    let mut state = WriterState::new(writer, 1, Timestamp::EPOCH);
    *state.watermarks.get_mut(Period::Minute).unwrap() = open;
    let mut hours: BTreeMap<Interval, Vec<Block>> = BTreeMap::new();
    blocks.into_iter().for_each(|block| hours.entry(hour(&block)).or_default().push(block));
    let sums = hours
        .iter()
        .flat_map(|(hour, blocks)| if hour.start < open { roll_up(*hour, blocks).blocks } else { blocks.clone() });
    server.runtime.block_on(async {
        server.store.put_writer(&state).await.unwrap();
        server.store.put_blocks(&sums.collect::<Vec<_>>()).await.unwrap();
    });
}

/// All minutes of February.
pub(crate) fn february() -> std::ops::Range<u32> {
    minute("2026-02-01 00:00").start.number()..minute("2026-03-01 00:00").start.number()
}

#[test]
fn a_past_month_is_billed_as_computed_by_hand() {
    let server = Server::start();
    register(&server);
    run(&server, RUN, february(), february());
    // 500 of the 8,064 samples of February have 300,000 bytes in, which is 8,000 bits a second: more than a twentieth.
    let first = minute("2026-02-01 00:00").start;
    for sample in 0..500 {
        let interval = Interval { period: Period::Minute, start: first.saturating_add(sample * 5 + sample % 5) };
        let rows = [(In, "all", 1, 300_000), (Out, "all", 1, 75), (InLocal, "all", 1, 999)];
        count(&server, WRITER, interval, PREFIX, &rows);
    }
    let with_local = billing(&server, "&month=2026-02");
    assert_eq!(with_local["local"], "include");
    assert_eq!((&with_local["in"]["bytes"], &with_local["in"]["flows"]), (&json!(150_499_500), &json!(1000)));
    assert_eq!(with_local["in"]["percentile95BitsPerSecond"], 300_999 * 8 / 300);
    assert_eq!(with_local["out"]["bytes"], 37_500);
    assert_eq!(billing(&server, "&month=2026-02&local=include"), with_local);
    let refused = ask(server.address, "GET", &format!("/billing/{SENDER}?prefix={PREFIX}&local=yes"), "");
    refused.refusal(400, "BAD_REQUEST");
    let answer = billing(&server, "&month=2026-02&local=exclude");
    assert_eq!(answer["local"], "exclude");
    assert_eq!((&answer["month"], &answer["complete"]), (&json!("2026-02"), &json!(true)));
    let seconds = 28 * 24 * 3600;
    let expected = json!({
        "bytes": 150_000_000, "pkts": 1_500_000, "flows": 500,
        "averageBitsPerSecond": 150_000_000_u64 * 8 / seconds, "percentile95BitsPerSecond": 8000
    });
    assert_eq!(answer["in"], expected);
    assert_eq!(answer["out"]["percentile95BitsPerSecond"], 2);
    let samples = json!({
        "seconds": 300, "from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z", "expected": 8064,
        "count": 8064, "empty": 8064 - 500,
        "collectorNotRunning": 0, "exporterSilent": 0, "notKept": 0, "missing": []
    });
    assert_eq!(answer["samples"], samples);
    assert!(answer["method"].as_str().unwrap().contains("nearest rank"));

    // 403 samples are the largest twentieth of 8,064, rounded down: the percentile ignores them.
    let server = Server::start();
    register(&server);
    run(&server, RUN, february(), february());
    for sample in 0..403 {
        let interval = Interval { period: Period::Minute, start: first.saturating_add(sample * 5) };
        count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
    }
    assert_eq!(billing(&server, "&month=2026-02")["in"]["percentile95BitsPerSecond"], 0);
}

/// The sum of what is counted in a range, half of the bytes of which are local.
fn sum(from: &str, to: &str) -> u64 {
    let [from, to] = [from, to].map(|text| minute(text).start.number());
    (from..to).filter(|number| number.is_multiple_of(15)).map(|number| u64::from(number % 9973) * 14 + 2).sum()
}

#[test]
fn a_month_of_a_time_zone_is_the_sum_of_its_five_minutes() {
    let server = Server::start();
    register(&server);
    let [from, to] = ["2026-02-27 00:00", "2026-04-03 00:00"].map(|text| minute(text).start.number());
    run(&server, RUN, from..to, from..to);
    for number in (from..to).step_by(15) {
        let interval = Interval { period: Period::Minute, start: Minute::new(number) };
        let bytes = u64::from(number % 9973) * 7 + 1;
        count(
            &server,
            WRITER,
            interval,
            PREFIX,
            &[(In, "all", 1, bytes), (InLocal, "all", 1, bytes), (Out, "all", 1, 5)],
        );
    }
    let in_utc = billing(&server, "&month=2026-03");
    assert_eq!(in_utc["in"]["bytes"], sum("2026-03-01 00:00", "2026-04-01 00:00"));
    let expire_finer = |periods: &[Period]| {
        server.runtime.block_on(async {
            let store: &dyn Store = server.store.as_ref();
            let before = Minute::new(to);
            for state in store.writers().await.unwrap() {
                let WriterState { writer, .. } = advance(store, state, before).await.unwrap();
                for period in periods {
                    store.expire(writer, Retention { period: *period, before }).await.unwrap();
                }
            }
        });
    };
    let zones = [
        ("Etc/UTC", "2026-03-01 00:00", "2026-04-01 00:00", "+00:00", "+00:00"),
        // 743 hours: clocks change on 29 March, and on 8 March in New York.
        ("Europe/Berlin", "2026-02-28 23:00", "2026-03-31 22:00", "+01:00", "+02:00"),
        ("America/New_York", "2026-03-01 05:00", "2026-04-01 04:00", "-05:00", "-04:00"),
        ("Asia/Kathmandu", "2026-02-28 18:15", "2026-03-31 18:15", "+05:45", "+05:45"),
        ("Australia/Lord_Howe", "2026-02-28 13:00", "2026-03-31 13:00", "+11:00", "+11:00"),
    ];
    // As long as days are kept.
    for expired in [&[][..], &[Period::Minute, Period::Hour]] {
        expire_finer(expired);
        for (zone, from, to, first, last) in zones {
            let answer = billing(&server, &format!("&month=2026-03&tz={zone}"));
            assert_eq!((&answer["in"]["bytes"], &answer["tz"]), (&json!(sum(from, to)), &json!(zone)), "{zone}");
            let minutes = minute(from).start.abs_diff(minute(to).start);
            assert_eq!((&answer["month"], &answer["complete"]), (&json!("2026-03"), &json!(true)));
            assert_eq!(
                samples(&answer),
                [u64::from(minutes / 5), u64::from(minutes / 5 - minutes / 15), 0, 0, 0],
                "{zone}"
            );
            let ends = [format!("2026-03-01T00:00:00{first}"), format!("2026-04-01T00:00:00{last}")];
            assert_eq!([&answer["samples"]["from"], &answer["samples"]["to"]], [&json!(ends[0]), &json!(ends[1])]);
            let half = billing(&server, &format!("&month=2026-03&tz={zone}&local=exclude"));
            assert_eq!(half["in"]["bytes"], sum(from, to) / 2);
        }
        let mut same = billing(&server, "&month=2026-03&tz=Etc/UTC");
        for key in ["tz", "samples"] {
            same[key] = in_utc[key].clone();
        }
        assert_eq!(same, in_utc);
    }
    // Settings do not show that days were deleted.
    expire_finer(&[Period::Day]);
    assert_eq!(billing(&server, "&month=2026-03")["in"]["bytes"], in_utc["in"]["bytes"]);
    let path = format!("/billing/{SENDER}?prefix={PREFIX}&month=2026-03&tz=Europe/Berlin");
    let message = ask(server.address, "GET", &path, "").refusal(422, "UNPROCESSABLE_ENTITY");
    assert!(message.contains("those of 2026-03-01T00:00:00+01:00 are not kept"), "{message}");
}

/// A prefix without stored data must be registered to be billed.
fn register_prefix(server: &Server) {
    ask(server.address, "PUT", &format!("/senders/{SENDER}"), r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":8}]}"#);
}

/// The samples of an answer: known, empty, and missing for each reason.
fn samples(billing: &Value) -> [u64; 5] {
    ["count", "empty", "collectorNotRunning", "exporterSilent", "notKept"]
        .map(|key| billing["samples"][key].as_u64().unwrap())
}

fn gaps(billing: &Value) -> Vec<(&str, &str, &str)> {
    let gaps = billing["samples"]["missing"].as_array().unwrap().iter();
    gaps.map(|gap| (gap["from"].as_str().unwrap(), gap["to"].as_str().unwrap(), gap["reason"].as_str().unwrap()))
        .collect()
}

#[test]
fn the_bill_of_the_running_month_counts_the_samples_of_its_percentile() {
    let mut keep = PerPeriod::default();
    keep[Period::Minute] = Some(Duration::from_secs(3600));
    let server = Server::keeping(keep);
    register(&server);
    let now = Minute::of(SystemTime::now().into());
    register_prefix(&server);
    let month = Interval::containing(Period::Month, now);
    run(&server, RUN, month.start.number()..now.number(), month.start.number()..now.number());
    let answer = billing(&server, "");
    assert_eq!(answer["month"], month.to_string());
    assert_eq!(answer["complete"], false);
    let [count, empty, missing @ ..] = samples(&answer);
    // Those of the last minutes may not be stored yet.
    let expected = u64::from(now.saturating_sub(5).number().saturating_sub(month.start.number()) / 5);
    assert!(count == expected || count == expected + 1, "{answer}");
    assert_eq!((empty, missing), (count, [0, 0, 0]));
    assert_eq!(answer["in"]["percentile95BitsPerSecond"].is_null(), count == 0, "{answer}");
}

#[test]
fn the_prefix_of_presence_is_not_monitored() {
    let server = Server::start();
    let body = r#"{"prefixes":[{"prefix":"::","prefixLen":128}]}"#;
    let refused = ask(server.address, "PUT", &format!("/senders/{SENDER}"), body).refusal(400, "BAD_REQUEST");
    assert!(refused.contains("::/128 cannot be monitored"), "{refused}");
}

#[test]
fn presence_is_no_traffic_of_a_prefix() {
    let server = Server::start();
    register(&server);
    run(&server, RUN, february(), february());
    let at = minute("2026-02-10 00:00");
    count(&server, WRITER, at, "::/0", &[(In, "all", 1, 300_000)]);
    let ranges = "from=2026-02-10T00:00Z&to=2026-02-10T01:00Z";
    let paths = [
        format!("/billing/{SENDER}?month=2026-02&prefix="),
        format!("/top/{SENDER}?{ranges}&prefix="),
        format!("/series/{SENDER}?{ranges}&step=hour&prefix="),
    ];
    for path in paths {
        let refused = ask(server.address, "GET", &format!("{path}::/128"), "").refusal(400, "BAD_REQUEST");
        assert_eq!(refused, "prefix: ::/128 cannot be monitored: no packet has this address");
        let all = ask(server.address, "GET", &format!("{path}::/0"), "");
        assert!(all.status == 200 && all.json().to_string().contains(r#""bytes":300000,"#), "{all:?}");
    }
    let stats = |prefix| {
        let question = format!(r#"{{"{prefix}":{{"days":["2026-02-10"]}}}}"#);
        ask(server.address, "POST", &format!("/stats/{SENDER}"), &question)
    };
    let refused = stats("::/128").refusal(400, "BAD_REQUEST");
    assert!(refused.contains("::/128 cannot be monitored: no packet has this address"), "{refused}");
    let all = stats("::/0").json();
    assert_eq!(all["::/0"]["days"][0]["2026-02-10"][0]["bytes"], 300_000, "{all}");
}
