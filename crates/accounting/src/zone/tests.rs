use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn parse_moment(text: &str) -> Result<Minute, TimeError> {
    minute(&Zone::UTC, text)
}

/// The start of a minute.
fn minute(zone: &Zone, text: &str) -> Result<Minute, TimeError> {
    zone.moment(text, Timestamp::EPOCH).map(|(minute, rest)| {
        assert_eq!(rest, Duration::ZERO, "{text}");
        minute
    })
}

fn range(from: &str, to: &str) -> Range {
    Range { from: parse_moment(from).unwrap(), to: parse_moment(to).unwrap() }
}

/// Times of changes are those that the authorities of these zones published, as UTC.
#[test]
fn dates_are_cut_where_clocks_say() {
    use Period::{Day, Hour, Minute, Month, Year};
    for (name, period, text, from, to) in [
        ("UTC", Day, "2026-11-23", "2026-11-23", "2026-11-24"),
        ("UTC", Year, "9999", "9999-01-01", "9999-12-31T23:59"),
        ("+05:30", Day, "2026-11-23", "2026-11-22T18:30", "2026-11-23T18:30"),
        ("-03:00", Month, "2026-11", "2026-11-01T03:00", "2026-12-01T03:00"),
        ("Asia/Kolkata", Day, "2026-11-23", "2026-11-22T18:30", "2026-11-23T18:30"),
        ("Asia/Kathmandu", Day, "2026-11-23", "2026-11-22T18:15", "2026-11-23T18:15"),
        // 23 and 25 hours.
        ("Europe/Berlin", Day, "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("Europe/Berlin", Day, "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("Europe/Berlin", Month, "2026-03", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("Europe/Berlin", Month, "2026-10", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("Europe/Berlin", Year, "2026", "2025-12-31T23:00", "2026-12-31T23:00"),
        ("America/New_York", Day, "2026-03-08", "2026-03-08T05:00", "2026-03-09T04:00"),
        ("America/New_York", Day, "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
        // Half an hour.
        ("Australia/Lord_Howe", Day, "2026-04-05", "2026-04-04T13:00", "2026-04-05T13:30"),
        ("Australia/Lord_Howe", Day, "2026-10-04", "2026-10-03T13:30", "2026-10-04T13:00"),
        ("Australia/Lord_Howe", Hour, "2026-04-05 01", "2026-04-04T14:00", "2026-04-04T15:30"),
        ("Australia/Lord_Howe", Hour, "2026-10-04 02", "2026-10-03T15:30", "2026-10-03T16:00"),
        // No midnight, and two.
        ("Asia/Beirut", Day, "2026-03-29", "2026-03-28T22:00", "2026-03-29T21:00"),
        ("America/Sao_Paulo", Day, "2019-02-16", "2019-02-16T02:00", "2019-02-17T03:00"),
        // Back over midnight, a minute after it.
        ("America/St_Johns", Day, "2010-11-06", "2010-11-06T02:30", "2010-11-07T02:30"),
        ("America/St_Johns", Day, "2010-11-07", "2010-11-07T02:30", "2010-11-08T03:30"),
        // No such day.
        ("Pacific/Apia", Day, "2011-12-29", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("Pacific/Apia", Day, "2011-12-30", "2011-12-30T10:00", "2011-12-30T10:00"),
        ("Pacific/Apia", Day, "2011-12-31", "2011-12-30T10:00", "2011-12-31T10:00"),
        ("Pacific/Apia", Month, "2011-12", "2011-12-01T10:00", "2011-12-31T10:00"),
        // Hours and minutes that clocks show twice, or never.
        ("Europe/Berlin", Hour, "2026-10-25 02", "2026-10-25T00:00", "2026-10-25T02:00"),
        ("Europe/Berlin", Hour, "2026-03-29 02", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("Europe/Berlin", Minute, "2026-10-25 02:59", "2026-10-25T00:59", "2026-10-25T01:00"),
        ("Europe/Berlin", Minute, "2026-03-29 02:30", "2026-03-29T01:00", "2026-03-29T01:00"),
    ] {
        let mut expected = range(from, to);
        if expected.to == crate::period::Minute::LAST {
            expected.to = END;
        }
        assert_eq!(zone(name).date(period, text), Ok(expected), "{name} {text}");
    }
}

#[test]
fn an_invalid_date_is_an_error_with_the_zone() {
    let berlin = zone("europe/berlin");
    let error = berlin.date(Period::Day, "2026-02-29").unwrap_err();
    assert_eq!(
        error.to_string(),
        "'2026-02-29' is not a valid day: write YYYY-MM-DD, such as 2014-02-02 (Europe/Berlin)"
    );
    assert!(berlin.date(Period::Year, "1969").is_err());
    assert_eq!(berlin.date(Period::Year, "1970").unwrap().from, Minute::EPOCH);
    let error = minute(&berlin, "noon").unwrap_err().to_string();
    assert!(error.ends_with("(Europe/Berlin)"), "{error}");
}

#[test]
fn times_are_parsed_in_the_forms_of_iso_8601() {
    let expected = parse_moment("2014-02-02T05:01").unwrap();
    for text in ["2014-02-02T05:01Z", "2014-02-02t05:01z", "2014-02-02 05:01", "2014-02-02T05:01:00Z"] {
        assert_eq!(parse_moment(text), Ok(expected), "{text}");
    }
    assert_eq!(expected.timestamp().to_string(), "2014-02-02T05:01:00Z");
    assert_eq!(parse_moment("2014-02-02"), parse_moment("2014-02-02T00:00Z"));
    assert_eq!(parse_moment("9999-12-31T23:59Z"), Ok(Minute::LAST));
}

#[test]
fn a_time_may_have_seconds_and_a_fraction_of_them() {
    let berlin = zone("Europe/Berlin");
    for (text, expected) in [
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("2026-07-01T12:00", "2026-07-01T10:00:00Z"),
        ("2026-07-01T12:00:07", "2026-07-01T10:00:07Z"),
        ("2026-07-01T12:00:07.25Z", "2026-07-01T12:00:07.250Z"),
        ("2026-07-01 12:00:59.123456789+05:30", "2026-07-01T06:30:59.123456789Z"),
        // Clocks show the first twice, and skip the second.
        ("2026-10-25T02:30:15", "2026-10-25T00:30:15Z"),
        ("2026-03-29T02:30:15", "2026-03-29T01:00:00Z"),
    ] {
        let time = berlin.time(text, Timestamp::EPOCH).unwrap();
        assert_eq!(time.to_string(), expected, "{text}");
        assert_eq!(Zone::UTC.time(&berlin.display_time(time), Timestamp::EPOCH), Ok(time));
    }
    for text in
        ["", "2026-07-01.5", "2026-07-01T12:00.5", "2026-07-01T12:00:07.", "2026-07-01T12:00:07.+5", "1969-01-01"]
    {
        let error = berlin.time(text, Timestamp::EPOCH).unwrap_err().to_string();
        assert!(error.contains("seconds since 1970 (Europe/Berlin)"), "{error}");
    }
    let time = berlin.time("2026-07-01T12:00:07.5", Timestamp::EPOCH).unwrap();
    assert_eq!(berlin.display_time(time), "2026-07-01T12:00:07.5+02:00");
}

#[test]
fn a_time_may_be_relative_or_of_a_day_without_its_date() {
    let berlin = zone("Europe/Berlin");
    // Half past midnight of the next day in Berlin.
    let now = Zone::UTC.time("2026-11-30T23:30:20Z", Timestamp::EPOCH).unwrap();
    for (text, expected) in [
        ("now", "2026-11-30T23:30:20Z"),
        ("-30s", "2026-11-30T23:29:50Z"),
        ("now-90m", "2026-11-30T22:00:20Z"),
        ("-2h", "2026-11-30T21:30:20Z"),
        ("-1d", "2026-11-29T23:30:20Z"),
        ("-1w", "2026-11-23T23:30:20Z"),
        ("today", "2026-11-30T23:00:00Z"),
        ("yesterday", "2026-11-29T23:00:00Z"),
        ("yesterday 14:00", "2026-11-30T13:00:00Z"),
        ("00:10", "2026-11-30T23:10:00Z"),
        ("00:10:05", "2026-11-30T23:10:05Z"),
        ("today 00:10Z", "2026-12-01T00:10:00Z"),
        ("1795898429", "2026-11-28T20:40:29Z"),
        ("1795898429000", "2026-11-28T20:40:29Z"),
        ("1795898429123", "2026-11-28T20:40:29.123Z"),
    ] {
        assert_eq!(berlin.time(text, now).unwrap().to_string(), expected, "{text}");
    }
    assert_eq!(Zone::UTC.time("-999999999w", now), Ok(Timestamp::EPOCH));
}

#[test]
fn an_invalid_time_is_an_error_with_the_text_and_the_form() {
    for text in [
        "",
        "2014",
        "2014-02-30",
        "2014-02-02Z",
        "2014-02-02T24:00",
        "2014-02-02T05:01+1:00",
        "2014-02-02T05:01+24:00",
        "2014-02-02T05:01Z+01:00",
        "2014-02-02+01:00",
        "2014-02-02T05",
        "1969-12-31T23:59",
        "-014-02-02",
        "2014-02-02T05:0é",
        "nowadays",
        "-2",
        "-h",
        "-+2h",
        "2h",
        "yesterday noon",
        "tomorrow",
        "25:00",
        "12345678",
        "999999999999999",
    ] {
        assert_eq!(parse_moment(text), Err(TimeError { text: text.to_owned(), zone: Zone::UTC }));
    }
    let message = parse_moment("noon").unwrap_err().to_string();
    assert!(message.starts_with("'noon' is not a time: write 2026-11-23T05:01Z"), "{message}");
}

#[test]
fn a_time_is_local_unless_it_has_an_offset() {
    let berlin = zone("Europe/Berlin");
    for (text, expected) in [
        ("2026-07-01", "2026-06-30T22:00"),
        ("2026-07-01T12:00", "2026-07-01T10:00"),
        ("2026-07-01 12:00:00", "2026-07-01T10:00"),
        ("2026-07-01T12:00Z", "2026-07-01T12:00"),
        ("2026-07-01T12:00:00z", "2026-07-01T12:00"),
        ("2026-07-01T12:00+05:30", "2026-07-01T06:30"),
        ("2026-07-01T12:00:00-04:00", "2026-07-01T16:00"),
        // A query turns + into a space.
        ("2026-10-25T02:30 01:00", "2026-10-25T01:30"),
        // Twice, and never.
        ("2026-10-25T02:30", "2026-10-25T00:30"),
        ("2026-03-29T02:30", "2026-03-29T01:00"),
    ] {
        assert_eq!(minute(&berlin, text), parse_moment(expected), "{text}");
    }
}

#[test]
fn times_are_displayed_with_their_offset() {
    let shown = |name: &str, text: &str| zone(name).display(parse_moment(text).unwrap());
    assert_eq!(shown("UTC", "2026-07-01T10:00"), "2026-07-01T10:00:00Z");
    assert_eq!(shown("utc", "2026-07-01T10:00"), "2026-07-01T10:00:00Z");
    assert_eq!(shown("+00:00", "2026-07-01T10:00"), "2026-07-01T10:00:00Z");
    assert_eq!(shown("Europe/London", "2026-12-01T10:00"), "2026-12-01T10:00:00+00:00");
    assert_eq!(shown("Europe/Berlin", "2026-07-01T10:00"), "2026-07-01T12:00:00+02:00");
    assert_eq!(shown("-03:30", "2026-07-01T10:00"), "2026-07-01T06:30:00-03:30");
    assert_eq!(zone("-03:30").to_string(), "-03:30");
    assert_eq!(zone(" 05:30").to_string(), "+05:30");
    assert_eq!(zone("Etc/GMT 5").to_string(), "Etc/GMT+5");
    assert_eq!(zone("EUROPE/berlin").to_string(), "Europe/Berlin");
    let berlin = zone("Europe/Berlin");
    let new_year = parse_moment("2025-12-31T23:00").unwrap();
    let labels = Period::ALL.map(|period| berlin.label(period, new_year));
    assert_eq!(labels, ["2026-01-01 00:00", "2026-01-01 00", "2026-01-01", "2026-01", "2026"]);
}

#[test]
fn a_text_that_is_no_zone_is_an_error_with_what_to_write() {
    for text in [
        "",
        "Berlin",
        "Europe/Berlin+",
        "../../etc/passwd",
        "/etc/localtime",
        "posix/Europe/Berlin",
        "right/UTC",
        "EST5EDT,M3.2.0,M11.1.0",
        "Etc/Unknown",
        "+5:30",
        "+05:60",
        "+24:00",
        "+0530",
        "+é0:00",
        "é",
    ] {
        assert_eq!(text.parse::<Zone>(), Err(ZoneError(text.to_owned())));
    }
    let message = "Berlin".parse::<Zone>().unwrap_err().to_string();
    assert_eq!(
        message,
        "'Berlin' is not a time zone: write a name of the IANA database such as Europe/Berlin, or an offset such as +05:30"
    );
}

/// Hours are real ones: where clocks go back, an hour is there twice.
#[test]
fn hours_end_where_clocks_change() {
    let starts = |name: &str, from: &str, to: &str| {
        let zone = zone(name);
        let steps: Vec<_> = zone.steps(range(from, to), Period::Hour).collect();
        steps.iter().map(|step| (zone.display(step.from), step.minutes())).collect::<Vec<_>>()
    };
    let expect = |steps: &[(&str, u32)]| {
        steps.iter().map(|(start, minutes)| ((*start).to_owned(), *minutes)).collect::<Vec<_>>()
    };
    assert_eq!(
        starts("Europe/Berlin", "2026-10-25T00:00", "2026-10-25T02:01"),
        expect(&[
            ("2026-10-25T02:00:00+02:00", 60),
            ("2026-10-25T02:00:00+01:00", 60),
            ("2026-10-25T03:00:00+01:00", 60),
        ])
    );
    assert_eq!(
        starts("Australia/Lord_Howe", "2026-04-04T15:10", "2026-04-04T15:31"),
        expect(&[("2026-04-05T01:30:00+10:30", 30), ("2026-04-05T02:00:00+10:30", 60)])
    );
    assert_eq!(
        starts("Asia/Kolkata", "2026-11-23T00:00", "2026-11-23T00:31"),
        expect(&[("2026-11-23T05:00:00+05:30", 60), ("2026-11-23T06:00:00+05:30", 60)])
    );
}

#[test]
fn steps_of_utc_are_the_intervals_that_overlap_the_range() {
    let shown = |range: Range, period| {
        Zone::UTC.steps(range, period).map(|step| Zone::UTC.label(period, step.from)).collect::<Vec<_>>()
    };
    let touched = range("2026-11-23T10:59", "2026-11-23T12:01");
    assert_eq!(shown(touched, Period::Hour), ["2026-11-23 10", "2026-11-23 11", "2026-11-23 12"]);
    assert_eq!(shown(touched, Period::Year), ["2026"]);
    assert!(shown(range("2026-11-23", "2026-11-23"), Period::Day).is_empty());
    let last = Range { from: Minute::new(u32::MAX - 1), to: Minute::MAX };
    assert_eq!(Zone::UTC.steps(last, Period::Minute).count(), 1);
}

#[test]
fn steps_end_with_the_last_date() {
    let end = Range { from: Minute::LAST, to: END };
    for name in ["UTC", "Asia/Kolkata", "America/New_York"] {
        for period in Period::ALL {
            assert!((1..=2).contains(&zone(name).steps(end, period).count()), "{name} {period:?}");
        }
    }
    let beyond = Range { from: Minute::MAX.saturating_sub(1), to: Minute::MAX };
    assert!(zone("Asia/Kolkata").steps(beyond, Period::Year).count() <= 2);
}

fn any_zone() -> impl Strategy<Value = Zone> {
    select(Zone::names().collect::<Vec<_>>()).prop_map(|name| name.parse().unwrap())
}

/// From 1973, since when offsets are whole minutes, to 2100.
fn any_minute() -> impl Strategy<Value = Minute> {
    (1_577_880_u32..68_374_080).prop_map(Minute::new)
}

/// A minute near a change of clocks, if the zone has one after it.
fn near_a_change(zone: &Zone, minute: Minute, off: u32) -> Minute {
    let change = zone.0.following(timestamp(minute)).next().and_then(|change| minute_of(change.timestamp()));
    change.map_or(minute, |change| change.saturating_sub(off))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_minute_is_in_one_local_interval(zone in any_zone(), minute in any_minute(), off in 0_u32..3000) {
        for minute in [minute, near_a_change(&zone, minute, off)] {
            for period in Period::ALL {
                let whole = zone.containing(period, minute);
                prop_assert!((whole.from..whole.to).contains(&minute), "{zone} {period:?} {whole}");
                for other in [whole.from, whole.to.saturating_sub(1)] {
                    prop_assert_eq!(zone.containing(period, other), whole);
                }
                prop_assert_eq!(zone.containing(period, whole.to).from, whole.to);
                if period >= Period::Day {
                    prop_assert_eq!(zone.date(period, &zone.label(period, whole.from)), Ok(whole));
                }
            }
        }
    }

    /// Counts the minutes around a change one by one, by what clocks show.
    #[test]
    fn a_date_has_as_many_minutes_as_clocks_show(zone in any_zone(), minute in any_minute()) {
        let change = near_a_change(&zone, minute, 0).number();
        for period in [Period::Hour, Period::Day] {
            let mut shown: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for number in change - 2 * 1440..change + 2 * 1440 {
                shown.entry(zone.label(period, Minute::new(number))).or_default().push(number);
            }
            // The first and the last date are not whole.
            shown.pop_first();
            shown.pop_last();
            // Where clocks go back over the end of a date, only the sum with its neighbour is the same.
            let in_one_piece = |minutes: &Vec<u32>| minutes.last().unwrap() - minutes[0] + 1 == minutes.len() as u32;
            let each = shown.values().all(in_one_piece);
            let mut difference = 0;
            for (label, minutes) in &shown {
                let date = zone.date(period, label).unwrap();
                if each {
                    prop_assert_eq!((date.from.number(), date.minutes()), (minutes[0], minutes.len() as u32));
                }
                difference += i64::from(date.minutes()) - minutes.len() as i64;
            }
            prop_assert_eq!(difference, 0, "{} {:?}", zone, period);
        }
    }

    #[test]
    fn the_hours_of_a_day_are_the_day(zone in any_zone(), minute in any_minute()) {
        let day = zone.containing(Period::Day, near_a_change(&zone, minute, 0));
        let hours: Vec<Range> = zone.steps(day, Period::Hour).collect();
        prop_assert_eq!(hours.iter().map(|hour| hour.minutes()).sum::<u32>(), day.minutes());
        let date = zone.label(Period::Day, day.from);
        let dates = (0..24).map(|hour| zone.date(Period::Hour, &format!("{date} {hour:02}")).unwrap());
        prop_assert_eq!(dates.map(Range::minutes).sum::<u32>(), day.minutes());
    }

    #[test]
    fn a_displayed_time_is_parsed_as_the_same(zone in any_zone(), minute in any_minute()) {
        prop_assert_eq!(self::minute(&zone, &zone.display(minute)), Ok(minute));
        prop_assert_eq!(parse_moment(&zone.display(minute)), Ok(minute));
    }

    #[test]
    fn any_text_is_a_zone_or_an_error(text in "\\PC{0,40}") {
        if let Ok(zone) = text.parse::<Zone>() {
            prop_assert_eq!(zone.to_string().parse(), Ok(zone));
        }
    }

    #[test]
    fn any_text_is_a_moment_or_an_error(zone in any_zone(), text in "(now|today|yesterday)?[0-9TZ:+ shdé-]{0,30}") {
        let _ = zone.moment(&text, Timestamp::EPOCH);
        let _ = Period::ALL.map(|period| zone.date(period, &text));
    }
}
