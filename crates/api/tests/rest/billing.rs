//! `/billing`: totals, average and percentile of a month, with the samples that are missing and the lost share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use accounting::block::{Block, TableSet, WriterId};
use accounting::direction::Direction::{In, InLocal, Out};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::presence::{self, Arrived, CountedBy};
use accounting::rollup::roll_up;
use accounting::zone::Zone;
use flow::{Counters, FlushNumber, Timestamp};
use serde_json::{Value, json};
use storage::roll_up::advance;
use storage::{Blocks, Retention, Selection, Store, WriterState, Writers};

use crate::client::ask;
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, minute, register};

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

#[test]
fn a_month_of_a_time_zone_whose_days_are_gone_is_refused() {
    let day = Duration::from_secs(86_400);
    let server = Server::keeping(PerPeriod::new([Some(day), Some(day), Some(31 * day), None, None]));
    register(&server);
    register_prefix(&server);
    let path = format!("/billing/{SENDER}?prefix={PREFIX}");
    let refused = ask(server.address, "GET", &format!("{path}&month=2026-03&tz=Asia/Kolkata"), "");
    assert_eq!(
        refused.refusal(422, "UNPROCESSABLE_ENTITY"),
        "2026-03 (Asia/Kolkata) is the sum of its 5 minutes, and those of 2026-03-01T00:00:00+05:30 are not kept: request \
         it in UTC, without tz; retention.days sets how long they are kept"
    );
    assert_eq!(billing(&server, "&month=2026-03")["samples"]["notKept"], 31 * 288);
    // The present month of the zone.
    let kolkata: Zone = "Asia/Kolkata".parse().unwrap();
    let begun = billing(&server, "&tz=Asia/Kolkata");
    assert_eq!(begun["month"], kolkata.label(Period::Month, Minute::of(SystemTime::now().into())));
    let refused = ask(server.address, "GET", &format!("{path}&month=9999-01&tz=Asia/Kolkata"), "");
    assert!(refused.refusal(400, "BAD_REQUEST").contains("month: 9999-01 has not begun"));
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
fn a_gap_is_no_zero_and_has_its_reason_and_time() {
    let server = Server::start();
    register(&server);
    let day = minute("2026-02-10 00:00").start.number();
    // One collector stops at 10:02 and starts again at 10:31. Another one runs from 10:20 to 10:25, and hears nothing.
    let ran = february().filter(|minute| !(day + 602..day + 631).contains(minute));
    // The exporter is silent from 12:00 to 13:00, but for a template at 12:33.
    let heard = ran.clone().filter(|minute| !(day + 720..day + 780).contains(minute) || *minute == day + 753);
    run(&server, RUN, ran.collect::<Vec<_>>(), heard);
    run(&server, WriterId(9), day + 620..day + 625, []);
    for minute in february().step_by(5) {
        let interval = Interval { period: Period::Minute, start: Minute::new(minute) };
        if !(day + 600..day + 635).contains(&minute) && !(day + 720..day + 780).contains(&minute) {
            count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
        }
    }
    let billing = billing(&server, "&month=2026-02");
    // 10:00 to 10:35 are seven samples, of which the other collector had one whole; 12:00 to 13:00 are twelve, and the template is
    // in one of them.
    assert_eq!(samples(&billing), [8064 - 6 - 1 - 11, 1, 6, 12, 0]);
    let at = |time: &str| format!("2026-02-10T{time}:00Z");
    let expected = [
        (at("10:00"), at("10:20"), "collectorNotRunning"),
        (at("10:20"), at("10:25"), "exporterSilent"),
        (at("10:25"), at("10:35"), "collectorNotRunning"),
        (at("12:00"), at("12:30"), "exporterSilent"),
        (at("12:35"), at("13:00"), "exporterSilent"),
    ];
    let expected: Vec<_> = expected.iter().map(|(from, to, reason)| (from.as_str(), to.as_str(), *reason)).collect();
    assert_eq!(gaps(&billing), expected);
    assert!(billing["method"].as_str().unwrap().ends_with("INCOMPLETE: 18 of 8064 samples are missing"), "{billing}");
    assert_eq!(billing["in"]["percentile95BitsPerSecond"], 8000);
}

#[test]
fn a_replay_of_captures_is_no_sign_that_a_collector_stored_when_it_ran() {
    let server = Server::start();
    register(&server);
    let day = minute("2026-02-10 00:00").start.number();
    // A collector that stores when it runs begins on the tenth; one that did not has counted before.
    for minute in february().step_by(5) {
        let interval = Interval { period: Period::Minute, start: Minute::new(minute) };
        count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
    }
    let run_and_heard: Vec<_> =
        (day..february().end).filter(|minute| !(day + 600..day + 660).contains(minute)).collect();
    run(&server, RUN, run_and_heard.clone(), run_and_heard);
    assert_eq!(samples(&billing(&server, "&month=2026-02")), [8064 - 12, 0, 12, 0, 0]);
    // Captures are replayed: of years ago, of the first day of the month, and of half of the hour without a collector.
    let captures = [("2019-05-05 05:00", 600), ("2026-02-01 10:00", 30), ("2026-02-10 10:00", 30)];
    for (writer, (from, minutes)) in (80..).map(WriterId).zip(captures) {
        let captured = (0..minutes).map(|after| minute(from).start.saturating_add(after)).collect();
        store(&server, writer, &[], (&captured, CountedBy::Replay));
    }
    assert_eq!(samples(&billing(&server, "&month=2026-02")), [8064 - 6, 0, 6, 0, 0]);
}

#[test]
fn samples_are_kept_when_their_minutes_and_hours_are_gone() {
    let server = Server::start();
    register(&server);
    run(&server, RUN, february(), february());
    // A different number of bytes in each sample: the 95th percentile is the 7,661st of 8,064.
    for (number, minute) in (1..).zip(february().step_by(5)) {
        let interval = Interval { period: Period::Minute, start: Minute::new(minute + number as u32 % 5) };
        count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, number * 75)]);
    }
    let before = billing(&server, "&month=2026-02");
    assert_eq!(before["in"]["percentile95BitsPerSecond"], 7661 * 75 * 8 / 300);
    server.runtime.block_on(async {
        let store: &dyn Store = server.store.as_ref();
        for state in store.writers().await.unwrap() {
            let before = minute("2026-03-05 00:00").start;
            let WriterState { writer, .. } = advance(store, state, before).await.unwrap();
            for period in [Period::Minute, Period::Hour] {
                store.expire(writer, Retention { period, before }).await.unwrap();
            }
            assert_eq!(store.first_interval(writer, Period::Hour, Minute::EPOCH).await.unwrap(), None);
        }
    });
    assert_eq!(billing(&server, "&month=2026-02"), before);
}

/// Rolls up until a minute, and deletes what starts before another one.
fn expire(server: &Server, until: &str, periods: &[Period], before: &str) {
    server.runtime.block_on(async {
        let store: &dyn Store = server.store.as_ref();
        for state in store.writers().await.unwrap() {
            let WriterState { writer, .. } = advance(store, state, minute(until).start).await.unwrap();
            for period in periods {
                store.expire(writer, Retention { period: *period, before: minute(before).start }).await.unwrap();
            }
        }
    });
}

#[test]
fn samples_that_were_deleted_under_a_shorter_retention_are_not_kept() {
    let server = Server::start();
    register(&server);
    let [from, to] = ["2026-01-20 00:00", "2026-03-01 00:00"].map(|text| minute(text).start.number());
    run(&server, RUN, from..to, from..to);
    for number in (from..to).step_by(5) {
        let interval = Interval { period: Period::Minute, start: Minute::new(number) };
        count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
    }
    let whole = billing(&server, "&month=2026-02");
    assert_eq!(samples(&whole), [8064, 0, 0, 0, 0]);
    expire(&server, "2026-03-05 00:00", &[Period::Minute, Period::Hour, Period::Day], "2026-02-10 00:00");
    // A flow that came late is not all of its sample.
    count(&server, WriterId(8), minute("2026-02-03 07:00"), PREFIX, &[(In, "all", 1, 0)]);
    let answer = billing(&server, "&month=2026-02");
    assert_eq!(samples(&answer), [8064 - 9 * 288, 0, 0, 0, 9 * 288]);
    assert_eq!(gaps(&answer), [("2026-02-01T00:00:00Z", "2026-02-10T00:00:00Z", "notKept")]);
    assert_eq!(answer["in"]["bytes"], whole["in"]["bytes"]);
}

#[test]
fn a_month_that_has_expired_is_the_sum_of_its_five_minutes_as_long_as_these_are_kept() {
    let server = Server::start();
    register(&server);
    run(&server, RUN, february(), february());
    for minute in february().step_by(5) {
        let interval = Interval { period: Period::Minute, start: Minute::new(minute) };
        count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000), (Out, "all", 1, 7)]);
    }
    let before = billing(&server, "&month=2026-02");
    expire(&server, "2027-01-05 00:00", &[Period::Month], "2026-06-01 00:00");
    assert_eq!(billing(&server, "&month=2026-02"), before);
    expire(&server, "2027-01-05 00:00", &[Period::Minute, Period::Hour, Period::Day], "2026-06-01 00:00");
    let refused = ask(server.address, "GET", &format!("/billing/{SENDER}?prefix={PREFIX}&month=2026-02"), "");
    assert_eq!(
        refused.refusal(422, "UNPROCESSABLE_ENTITY"),
        "2026-02 has expired, and so have its 5 minutes of 2026-02-01T00:00:00Z: retention.months and retention.days set \
         how long they are kept"
    );
}

#[test]
fn samples_of_a_damaged_block_are_missing_not_zero() {
    let sender: IpAddr = SENDER.parse().unwrap();
    let (day, prefix) = (|text| Interval { period: Period::Day, ..minute(text) }, PREFIX.parse().unwrap());
    for keeps_minutes in [true, false] {
        let mut keep = PerPeriod::default();
        keep[Period::Minute] = (!keeps_minutes).then_some(Duration::from_secs(3600));
        let server = Server::keeping(keep);
        register(&server);
        run(&server, RUN, february(), february());
        let first = minute("2026-02-10 00:00").start;
        for sample in 0..2 * 288 {
            let interval = Interval { period: Period::Minute, start: first.saturating_add(sample * 5) };
            count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
        }
        let damage = |interval, prefix| {
            let selection = Selection { interval, sender, prefix, tables: TableSet::ALL };
            server.runtime.block_on(async {
                let mut blocks = server.store.read_blocks(&[selection]).await.unwrap();
                assert_eq!(blocks.len(), 1);
                blocks[0].content.truncate(9);
                server.store.put_blocks(&blocks).await.unwrap();
            });
        };
        server.runtime.block_on(async {
            let store: &dyn Store = server.store.as_ref();
            for state in store.writers().await.unwrap() {
                let before = minute("2026-03-05 00:00").start;
                let WriterState { writer, .. } = advance(store, state, before).await.unwrap();
                if !keeps_minutes {
                    store.expire(writer, Retention { period: Period::Minute, before }).await.unwrap();
                }
            }
        });
        let empty = 8064 - 2 * 288;
        assert_eq!(samples(&billing(&server, "&month=2026-02")), [8064, empty, 0, 0, 0]);
        damage(day("2026-02-10 00:00"), prefix);
        let midnight = "2026-02-10T00:00:00Z";
        let (unknown, until) = if keeps_minutes {
            damage(minute("2026-02-10 00:00"), prefix);
            (1, "2026-02-10T00:05:00Z")
        } else {
            (288, "2026-02-11T00:00:00Z")
        };
        let answer = billing(&server, "&month=2026-02");
        assert_eq!(samples(&answer), [8064 - unknown, empty, 0, 0, unknown]);
        assert_eq!(gaps(&answer), [(midnight, until, "notKept")]);
        // Without the presence of a day, traffic is known, and zeros are not.
        for text in ["2026-02-11 00:00", "2026-02-12 00:00"] {
            damage(day(text), presence::PREFIX);
        }
        let answer = billing(&server, "&month=2026-02");
        assert_eq!(samples(&answer), [8064 - unknown - 288, empty - 288, 0, 0, unknown + 288]);
    }
}

#[test]
fn a_store_of_before_is_billed_by_its_minutes_and_otherwise_says_what_is_missing() {
    let mut keep = PerPeriod::default();
    keep[Period::Minute] = Some(Duration::from_secs(400 * 24 * 3600));
    for kept in [true, false] {
        let server = if kept {
            Server::keeping(keep)
        } else {
            Server::keeping(PerPeriod::new([Some(Duration::from_secs(3600)), None, None, None, None]))
        };
        register(&server);
        let first = minute("2026-02-01 00:00").start;
        for sample in 0..288 {
            let interval = Interval { period: Period::Minute, start: first.saturating_add(sample * 5) };
            count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
        }
        // A day of a program that did not make samples, and the watermarks of its roll-up.
        let day = Interval { period: Period::Day, start: first };
        count(&server, WRITER, day, PREFIX, &[(In, "all", 288, 288 * 300_000)]);
        server.runtime.block_on(async {
            let mut state = server.store.writers().await.unwrap().remove(0);
            for period in [Period::Minute, Period::Hour] {
                *state.watermarks.get_mut(period).unwrap() = day.end();
            }
            server.store.put_writer(&state).await.unwrap();
        });
        let billing = billing(&server, "&month=2026-02");
        assert_eq!(billing["in"]["bytes"], 288 * 300_000, "{billing}");
        let known = if kept { 288 } else { 0 };
        assert_eq!(samples(&billing), [known, 0, 0, 0, 8064 - known]);
        let since = if kept { "2026-02-02T00:00:00Z" } else { "2026-02-01T00:00:00Z" };
        assert_eq!(gaps(&billing), [(since, "2026-03-01T00:00:00Z", "notKept")]);
        assert_eq!(billing["in"]["percentile95BitsPerSecond"], if kept { json!(8000) } else { json!(null) });
    }
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
fn the_lost_share_is_that_of_the_month_and_of_its_worst_sample() {
    let server = Server::start();
    register_prefix(&server);
    let answer = billing(&server, "&month=2026-02");
    assert_eq!(answer["lost"], json!(null));
    let sender: IpAddr = SENDER.parse().unwrap();
    let at = |text: &str| minute(text).start;
    let counters = |packets, flows| Counters { bytes: 0, packets, flows };
    let heard = |text: &str, received: (u64, u64), lost: (u64, u64)| Arrived {
        sender,
        minute: at(text),
        arrived: Counters { bytes: 500, ..counters(received.0, received.1) },
        lost: counters(lost.0, lost.1),
    };
    let arrived = [
        heard("2026-01-31 23:59", (70, 0), (70, 0)),
        heard("2026-02-01 00:00", (90, 0), (10, 0)),
        heard("2026-02-01 00:04", (700, 0), (0, 0)),
        heard("2026-02-09 07:31", (199, 80), (1, 20)),
        heard("2026-02-28 23:59", (0, 20), (0, 0)),
    ];
    store(&server, RUN, &arrived, (&BTreeSet::new(), CountedBy::Collector));
    let answer = billing(&server, "&month=2026-02");
    let shares = json!([
        {"unit": "datagrams", "received": 989, "lost": 11, "share": 0.011},
        {"unit": "records", "received": 100, "lost": 20, "share": 0.166_667}
    ]);
    let expected = json!({"shares": shares, "samples": 2, "worst": "2026-02-09T07:30:00Z", "worstShare": 0.2});
    assert_eq!(answer["lost"], expected);
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
