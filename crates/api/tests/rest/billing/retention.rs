//! Bills of months whose minutes, hours or samples have expired.

use std::time::{Duration, SystemTime};

use accounting::block::WriterId;
use accounting::direction::Direction::{In, Out};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::zone::Zone;
use storage::roll_up::advance;
use storage::{Retention, Store, WriterState};

use super::{PREFIX, RUN, billing, february, gaps, register_prefix, run, samples};
use crate::client::ask;
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, minute, register};

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
