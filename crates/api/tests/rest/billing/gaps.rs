//! What is missing in a bill, and why.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction::In;
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::presence::{self, Arrived, CountedBy};
use flow::Counters;
use serde_json::json;
use storage::roll_up::advance;
use storage::{Blocks, Retention, Selection, Store, WriterState, Writers};

use super::{PREFIX, RUN, billing, february, gaps, register_prefix, run, samples, store};
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, minute, register};

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
fn an_import_of_captures_is_no_sign_that_a_collector_stored_when_it_ran() {
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
    // Captures are imported: of years ago, of the first day of the month, and of half of the hour without a collector.
    let captures = [("2019-05-05 05:00", 600), ("2026-02-01 10:00", 30), ("2026-02-10 10:00", 30)];
    for (writer, (from, minutes)) in (80..).map(WriterId).zip(captures) {
        let captured = (0..minutes).map(|after| minute(from).start.saturating_add(after)).collect();
        store(&server, writer, &[], (&captured, CountedBy::Import));
    }
    assert_eq!(samples(&billing(&server, "&month=2026-02")), [8064 - 6, 0, 6, 0, 0]);
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
