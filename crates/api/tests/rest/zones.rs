//! Local dates (`tz`): equal to independent sums of the hours of UTC, also where clocks change, and refused where what is
//! kept cannot be cut.

use std::time::{Duration, SystemTime};

use accounting::direction::Direction::{In, Out};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::range::Range;
use accounting::zone::Zone;
use flow::Timestamp;
use serde_json::{Value, json};
use storage::{Blocks, Retention, WriterState};

use crate::client::{Answer, ask};
use crate::server::Server;
use crate::stats::{SENDER, WRITER, count, register};

const PREFIX: &str = "10.0.0.0/8";

fn get(server: &Server, route: &str, parameters: &str) -> Answer {
    ask(server.address, "GET", &format!("/{route}/{SENDER}?prefix={PREFIX}&{parameters}"), "")
}

fn stats(server: &Server, zone: &str, dates: &Value) -> Answer {
    let path = format!("/stats/{SENDER}?tz={}", zone.replace('+', "%2B"));
    ask(server.address, "POST", &path, &json!({ PREFIX: dates }).to_string())
}

/// The bytes of one date.
fn bytes(server: &Server, zone: &str, periods: &str, date: &str) -> u64 {
    let answer = stats(server, zone, &json!({ periods: [date] }));
    assert_eq!(answer.status, 200, "{zone} {date} {answer:?}");
    answer.json()[PREFIX][periods][0][date][0]["bytes"].as_u64().unwrap_or_default()
}

fn minute(text: &str) -> Minute {
    Zone::UTC.moment(text, flow::Timestamp::EPOCH).unwrap().0
}

/// What is counted in a minute, different in each.
fn bytes_at(minute: u32) -> u64 {
    u64::from(minute % 9973) * 7 + 1
}

/// Traffic every half hour of this range, rolled up to months as far as they have ended; without its minutes if it is
/// `kept_as_hours`.
fn server(from: &str, to: &str, kept_as_hours: bool) -> Server {
    let server = Server::start();
    register(&server);
    for number in (minute(from).number()..minute(to).number()).step_by(30) {
        let interval = Interval { period: Period::Minute, start: Minute::new(number) };
        let rows = [(In, "all", 1, bytes_at(number)), (In, "srcip:192.0.2.1", 1, bytes_at(number)), (Out, "all", 1, 5)];
        count(&server, WRITER, interval, PREFIX, &rows);
    }
    if kept_as_hours {
        server.runtime.block_on(async {
            let state = WriterState::new(WRITER, 1, Timestamp::EPOCH);
            storage::roll_up::advance(&*server.store, state, minute(to)).await.unwrap();
            let minutes = Retention { period: Period::Minute, before: minute(to) };
            assert!(server.store.expire(WRITER, minutes).await.unwrap() > 0);
        });
    }
    server
}

/// The sum of a range, from what was put.
fn sum(from: &str, to: &str) -> u64 {
    let range = Range { from: minute(from), to: minute(to) };
    (range.from.number()..range.to.number()).filter(|number| number.is_multiple_of(30)).map(bytes_at).sum()
}

#[test]
fn local_dates_equal_the_sums_of_the_hours_of_utc() {
    // Clocks change in Berlin on 29 March and 25 October, in New York on 8 March and 1 November.
    let spring = server("2026-02-27", "2026-04-07", true);
    for (zone, periods, date, from, to) in [
        ("UTC", "days", "2026-03-29", "2026-03-29", "2026-03-30"),
        ("Europe/Berlin", "days", "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("Europe/Berlin", "days", "2026-03-30", "2026-03-29T22:00", "2026-03-30T22:00"),
        ("Europe/Berlin", "months", "2026-03", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("Europe/Berlin", "hours", "2026-03-29 01", "2026-03-29T00:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "hours", "2026-03-29 02", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "hours", "2026-03-29 03", "2026-03-29T01:00", "2026-03-29T02:00"),
        ("America/New_York", "days", "2026-03-08", "2026-03-08T05:00", "2026-03-09T04:00"),
        ("America/New_York", "months", "2026-03", "2026-03-01T05:00", "2026-04-01T04:00"),
        ("+09:00", "days", "2026-03-29", "2026-03-28T15:00", "2026-03-29T15:00"),
    ] {
        assert_eq!(bytes(&spring, zone, periods, date), sum(from, to), "{zone} {date}");
    }
    // Half hours need minutes.
    let spring = server("2026-04-03", "2026-04-07", false);
    for (zone, date, from, to) in [
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", "2026-04-05T13:30"),
        ("Asia/Kolkata", "2026-04-05", "2026-04-04T18:30", "2026-04-05T18:30"),
        ("-03:30", "2026-04-05", "2026-04-05T03:30", "2026-04-06T03:30"),
    ] {
        assert_eq!(bytes(&spring, zone, "days", date), sum(from, to), "{zone} {date}");
    }
    let autumn = server("2026-10-23", "2026-11-03", true);
    for (zone, periods, date, from, to) in [
        ("Europe/Berlin", "days", "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("Europe/Berlin", "hours", "2026-10-25 02", "2026-10-25T00:00", "2026-10-25T02:00"),
        ("America/New_York", "days", "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
    ] {
        assert_eq!(bytes(&autumn, zone, periods, date), sum(from, to), "{zone} {date}");
    }
    let samoa = server("2011-12-28", "2012-01-02", true);
    for (date, from, to) in [
        ("2011-12-29", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("2011-12-30", "2011-12-30T10:00", "2011-12-30T10:00"),
        ("2011-12-31", "2011-12-30T10:00", "2011-12-31T10:00"),
    ] {
        assert_eq!(bytes(&samoa, "Pacific/Apia", "days", date), sum(from, to), "{date}");
    }
    let missing = stats(&samoa, "Pacific/Apia", &json!({"days": ["2011-12-30"]})).json();
    assert_eq!(missing, json!({ PREFIX: {"days": [{"2011-12-30": []}]} }));
}

/// A year of another zone is read from hours at its ends, days, and months.
#[test]
fn a_local_year_is_exact() {
    let server = server("2025-12-30", "2027-01-03", true);
    let (from, to) = ("2025-12-31T23:00", "2026-12-31T23:00");
    assert_eq!(bytes(&server, "Europe/Berlin", "years", "2026"), sum(from, to));
    let months = (1..=12).map(|month| bytes(&server, "Europe/Berlin", "months", &format!("2026-{month:02}")));
    assert_eq!(months.sum::<u64>(), sum(from, to));
    let days = get(&server, "series", "step=day&from=2026-01-01&to=2027-01-01&tz=Europe/Berlin&direction=in").json();
    let days = days["points"].as_array().unwrap();
    let counted = days.iter().map(|day| day["counters"]["in"]["bytes"].as_u64().unwrap());
    assert_eq!((days.len(), counted.sum::<u64>()), (365, sum(from, to)));
}

#[test]
fn steps_of_a_series_are_local_and_have_their_offset() {
    let server = server("2026-10-23", "2026-10-28", true);
    let steps = |parameters: &str| {
        let series = get(&server, "series", &format!("direction=in&{parameters}")).json();
        let point = |point: &Value| (point["start"].clone(), point["counters"]["in"]["bytes"].as_u64().unwrap());
        let points: Vec<_> = series["points"].as_array().unwrap().iter().map(point).collect();
        ([series["tz"].clone(), series["from"].clone(), series["to"].clone()], points)
    };
    let (ends, days) = steps("step=day&from=2026-10-24T12:00&to=2026-10-26T12:00&tz=europe/berlin");
    assert_eq!(ends, ["Europe/Berlin", "2026-10-24T00:00:00+02:00", "2026-10-27T00:00:00+01:00"]);
    let expected = [
        (json!("2026-10-24T00:00:00+02:00"), sum("2026-10-23T22:00", "2026-10-24T22:00")),
        (json!("2026-10-25T00:00:00+02:00"), sum("2026-10-24T22:00", "2026-10-25T23:00")),
        (json!("2026-10-26T00:00:00+01:00"), sum("2026-10-25T23:00", "2026-10-26T23:00")),
    ];
    assert_eq!(days, expected);
    let (ends, hours) = steps("step=hour&from=2026-10-25T02:00&to=2026-10-25T03:00&tz=Europe/Berlin");
    assert_eq!(ends, ["Europe/Berlin", "2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"]);
    let expected = [
        (json!("2026-10-25T02:00:00+02:00"), sum("2026-10-25T00:00", "2026-10-25T01:00")),
        (json!("2026-10-25T02:00:00+01:00"), sum("2026-10-25T01:00", "2026-10-25T02:00")),
    ];
    assert_eq!(hours, expected);
}

#[test]
fn a_range_of_local_times_is_exact() {
    let server = server("2026-10-24", "2026-10-27", true);
    for (parameters, from, to, shown) in [
        ("from=2026-10-25&to=2026-10-26", "2026-10-24T22:00", "2026-10-25T23:00", "2026-10-25T00:00:00+02:00"),
        (
            "from=2026-10-25T02:00%2B01:00&to=2026-10-26",
            "2026-10-25T01:00",
            "2026-10-25T23:00",
            "2026-10-25T02:00:00+01:00",
        ),
        (
            "from=2026-10-25T12:00Z&to=2026-10-26T00:00",
            "2026-10-25T12:00",
            "2026-10-25T23:00",
            "2026-10-25T13:00:00+01:00",
        ),
    ] {
        let top = get(&server, "top", &format!("tz=Europe/Berlin&{parameters}")).json();
        assert_eq!(top["total"]["bytes"], sum(from, to), "{parameters}");
        assert_eq!(top["rows"][0]["bytes"], sum(from, to), "{parameters}");
        assert_eq!([&top["tz"], &top["from"], &top["to"]], ["Europe/Berlin", shown, "2026-10-26T00:00:00+01:00"]);
    }
}

/// Hours of the last 90 days and minutes of the last week.
fn server_with_retention() -> Server {
    let mut keep = PerPeriod::default();
    keep[Period::Minute] = Some(Duration::from_secs(7 * 86_400));
    keep[Period::Hour] = Some(Duration::from_secs(90 * 86_400));
    let server = Server::keeping(keep);
    register(&server);
    ask(server.address, "PUT", &format!("/senders/{SENDER}"), r#"{"prefixes":[{"prefix":"10.0.0.0","prefixLen":8}]}"#);
    server
}

#[test]
fn dates_that_cannot_be_cut_from_what_is_kept_are_a_422_with_the_reason() {
    let server = server_with_retention();
    let message = stats(&server, "Europe/Berlin", &json!({"months": ["2026-03"]})).refusal(422, "UNPROCESSABLE_ENTITY");
    let (range, rest) = message.split_once(" (Europe/Berlin) ").unwrap();
    assert_eq!(range, "2026-03-01T00:00:00+01:00 to 2026-04-01T00:00:00+02:00");
    assert!(rest.starts_with("needs the hour 2026-02-28 23 (UTC), but hours before "), "{rest}");
    let instead = "use whole days of UTC, without tz; retention.hours sets how long hours are kept";
    assert!(rest.ends_with(instead), "{rest}");
    // Without tz, what has expired is an empty list.
    assert_eq!(stats(&server, "UTC", &json!({"hours": ["2026-02-28 23"]})).status, 200);
    for (route, parameters, needs) in [
        ("series", "step=day&from=2026-03-01&to=2026-03-02&tz=Europe/Berlin", "the hour 2026-02-28 23 (UTC)"),
        ("series", "step=month&from=2026-03-01&to=2026-03-02&tz=Asia/Tokyo", "the hour 2026-02-28 15 (UTC)"),
        ("series", "step=day&from=2026-03-01&to=2026-03-02&tz=Asia/Kolkata", "the minute 2026-02-28 18:30 (UTC)"),
        ("top", "from=2026-03-01&to=2026-03-02&tz=America/New_York", "the hour 2026-03-01 05 (UTC)"),
    ] {
        let message = get(&server, route, parameters).refusal(422, "UNPROCESSABLE_ENTITY");
        assert!(message.contains(needs), "{message}");
    }
    // Yesterday is kept as hours, and as minutes.
    let now = Minute::of(SystemTime::now().into());
    let yesterday = Interval::containing(Period::Day, now.saturating_sub(1440)).to_string();
    for zone in ["Europe/Berlin", "Asia/Kathmandu", "+05:30"] {
        assert_eq!(stats(&server, zone, &json!({"days": [yesterday]})).status, 200);
    }
}

/// Settings that were changed do not bring back what was deleted before.
#[test]
fn hours_that_were_deleted_under_a_shorter_retention_are_missed() {
    let server = server("2026-02-27", "2026-04-07", true);
    let march = json!({"months": ["2026-03"]});
    assert_eq!(stats(&server, "Europe/Berlin", &march).status, 200);
    let hours = Retention { period: Period::Hour, before: minute("2026-03-01T00:00") };
    server.runtime.block_on(server.store.expire(WRITER, hours)).unwrap();
    let message = stats(&server, "Europe/Berlin", &march).refusal(422, "UNPROCESSABLE_ENTITY");
    let reason = "needs the hour 2026-02-28 23 (UTC), but hours before 2026-03-01T01:00:00+01:00 have expired";
    assert!(message.contains(reason), "{message}");
    assert_eq!(bytes(&server, "Europe/Berlin", "days", "2026-03-02"), sum("2026-03-01T23:00", "2026-03-02T23:00"));
    for (route, step) in [("top", ""), ("series", "&step=day")] {
        let answer = get(&server, route, &format!("from=2026-02-28&to=2026-04-01&tz=Europe/Berlin{step}"));
        assert!(answer.refusal(422, "UNPROCESSABLE_ENTITY").contains("(UTC), but hours before"), "{route}");
    }
    // Days of UTC are still there.
    let in_utc = stats(&server, "UTC", &json!({"months": ["2026-03"]})).json();
    assert_eq!(in_utc[PREFIX]["months"][0]["2026-03"][0]["bytes"], sum("2026-03-01", "2026-04-01"));
}

/// Also where the first day of all is the one that was divided.
#[test]
fn hours_that_were_deleted_of_a_day_of_which_others_are_left_are_missed() {
    for (until, divided, whole) in
        [("2026-02-27T12:00", "2026-02-27", "2026-02-28"), ("2026-03-04T12:00", "2026-03-04", "2026-03-05")]
    {
        let server = server("2026-02-27", "2026-04-07", true);
        let hours = Retention { period: Period::Hour, before: minute(until) };
        server.runtime.block_on(server.store.expire(WRITER, hours)).unwrap();
        let days = |date: &str| stats(&server, "Europe/Berlin", &json!({"days": [date]}));
        let message = days(divided).refusal(422, "UNPROCESSABLE_ENTITY");
        assert!(message.contains("but hours before "), "{message}");
        for (route, step) in [("top", ""), ("series", "&step=day")] {
            let range = format!("from={divided}T00:00&to={whole}T00:00&tz=Europe/Berlin{step}");
            get(&server, route, &range).refusal(422, "UNPROCESSABLE_ENTITY");
        }
        assert_eq!(days(whole).status, 200);
    }
}

#[test]
fn what_local_dates_cost_is_limited_as_others_are() {
    let server = server("2026-10-24", "2026-10-25", true);
    let days: Vec<String> = (1..=417)
        .map(|day| Minute::new(29_300_000 + day * 1440))
        .map(|start| Interval::containing(Period::Day, start).to_string())
        .collect();
    assert_eq!(stats(&server, "UTC", &json!({ "days": days })).status, 200);
    let message = stats(&server, "Europe/Berlin", &json!({ "days": days })).refusal(422, "UNPROCESSABLE_ENTITY");
    assert!(message.contains("intervals of UTC that make up its dates, more than 10000: split it"), "{message}");
    assert_eq!(stats(&server, "Europe/Berlin", &json!({ "days": &days[..415] })).status, 200);
    let of = |zone: &str| get(&server, "series", &format!("step=day&from=2025-01-01&to=2026-11-01&tz={zone}"));
    assert_eq!(of("UTC").status, 200);
    let message = of("Europe/Berlin").refusal(422, "UNPROCESSABLE_ENTITY");
    assert_eq!(
        message,
        "at most 10081 intervals of UTC, of which days of Europe/Berlin are made, fit into an answer: request \
         step=month, or a shorter range"
    );
    // Names in large tables have the same limit as in UTC.
    let of = |to: &str| {
        get(&server, "series", &format!("name=srcip:192.0.2.1&step=day&from=2026-09-01&to={to}&tz=Europe/Berlin"))
    };
    assert_eq!(of("2026-10-31").status, 200);
    let message = of("2026-11-01").refusal(422, "UNPROCESSABLE_ENTITY");
    assert!(
        message.starts_with("at most 1441 intervals of UTC, of which days of Europe/Berlin are made,"),
        "{message}"
    );
}

#[test]
fn a_zone_that_does_not_exist_is_an_error_with_a_similar_name() {
    let server = Server::start();
    register(&server);
    let message = stats(&server, "Europe/Berln", &json!({"days": ["2026-03-29"]})).refusal(400, "BAD_REQUEST");
    assert_eq!(
        message,
        "tz: 'Europe/Berln' is not a time zone: write a name of the IANA database such as Europe/Berlin, or an offset such \
         as +05:30; did you mean Europe/Berlin?"
    );
    let message = get(&server, "series", "tz=GMT%2B1:00").refusal(400, "BAD_REQUEST");
    assert!(message.starts_with("tz: 'GMT+1:00' is not a time zone"), "{message}");
    let message = stats(&server, "Europe/Berlin", &json!({"days": ["2026-02-29"]})).refusal(400, "BAD_REQUEST");
    assert!(message.ends_with("write YYYY-MM-DD, such as 2014-02-02 (Europe/Berlin)"), "{message}");
    let unknown = ask(server.address, "POST", &format!("/stats/{SENDER}?zone=UTC"), "{}").refusal(400, "BAD_REQUEST");
    assert!(unknown.starts_with("zone: unknown key"), "{unknown}");
}
