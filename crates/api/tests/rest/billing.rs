//! `/billing`: totals, average and percentile of a month.

use std::time::{Duration, SystemTime};

use accounting::direction::Direction::{In, InLocal, Out};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use serde_json::{Value, json};

use crate::client::ask;
use crate::server::{Server, keys};
use crate::stats::{SENDER, WRITER, count, minute, register};
use crate::status::MadeUp;

const PREFIX: &str = "10.0.0.0/8";

fn billing(server: &Server, parameters: &str) -> Value {
    let answer = ask(server.address, "GET", &format!("/billing/{SENDER}?prefix={PREFIX}{parameters}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn a_past_month_is_billed_as_computed_by_hand() {
    let server = Server::start();
    register(&server);
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
        "seconds": 300, "from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z",
        "count": 8064, "empty": 8064 - 500, "expected": 8064
    });
    assert_eq!(answer["samples"], samples);
    assert!(answer["method"].as_str().unwrap().contains("nearest rank"));

    // 403 samples are the largest twentieth of 8,064, rounded down: the percentile ignores them.
    let server = Server::start();
    register(&server);
    for sample in 0..403 {
        let interval = Interval { period: Period::Minute, start: first.saturating_add(sample * 5) };
        count(&server, WRITER, interval, PREFIX, &[(In, "all", 1, 300_000)]);
    }
    assert_eq!(billing(&server, "&month=2026-02")["in"]["percentile95BitsPerSecond"], 0);
}

/// A prefix without stored data must be registered to be billed.
fn register_prefix(server: &Server) {
    ask(server.address, "PUT", &format!("/senders/{SENDER}"), r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":8}]}"#);
}

#[test]
fn the_bill_of_the_running_month_counts_the_samples_of_its_percentile() {
    let mut keep = PerPeriod::default();
    keep[Period::Minute] = Some(Duration::from_secs(3600));
    let server = Server::keeping(keep);
    register(&server);
    let now = Minute::of(SystemTime::now().into());
    register_prefix(&server);
    let answer = billing(&server, "");
    assert_eq!(answer["month"], Interval::containing(Period::Month, now).to_string());
    assert_eq!(answer["complete"], false);
    let count = answer["samples"]["count"].as_u64().unwrap();
    assert!(count <= 12, "{answer}");
    let expected = answer["samples"]["expected"].as_u64().unwrap();
    // In the first hour of a month, all minutes are still kept.
    assert_eq!(answer["method"].as_str().unwrap().contains("still kept"), expected > 12, "{answer}");
    assert_eq!(answer["in"]["percentile95BitsPerSecond"].is_null(), count == 0, "{answer}");
}

#[test]
fn the_lost_share_covers_the_known_part_of_the_month() {
    let server = Server::with(keys(), |api| api.showing(std::sync::Arc::new(MadeUp::default()), tap::Taps::default()));
    register_prefix(&server);
    let answer = billing(&server, "&month=2026-02");
    let shares = json!([{"unit": "datagrams", "received": 999, "lost": 1, "share": 0.001}]);
    assert_eq!(answer["lost"], json!({"since": "2026-02-01T00:00:00Z", "shares": shares}));
    assert!(answer["method"].as_str().unwrap().ends_with("that this collector received since 2026-02-01T00:00:00Z"));
    // Without a collector, the loss is unknown.
    let server = Server::start();
    register_prefix(&server);
    let answer = billing(&server, "&month=2026-02");
    assert_eq!(answer["lost"], json!(null));
    assert!(answer["method"].as_str().unwrap().contains("lost: unknown"), "{answer}");
}
