//! Queries of the REST interface: the grammar of dates, and the intervals that a query reads.

use jiff::civil::{Date, DateTime};

use crate::period::{Interval, Minute, Period, minute_at};

/// A text that is not a date of the requested period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {name}: write {form} (UTC)", name = .period.name(), form = form(*.period))]
pub struct DateError {
    /// The requested period.
    pub period: Period,
    /// The text.
    pub text: String,
}

/// How the dates of a period are written, with an example.
fn form(period: Period) -> &'static str {
    match period {
        Period::Minute => "YYYY-MM-DD hh:mm, such as 2014-02-02 05:00",
        Period::Hour => "YYYY-MM-DD hh, such as 2014-02-02 05",
        Period::Day => "YYYY-MM-DD, such as 2014-02-02",
        Period::Month => "YYYY-MM, such as 2014-02",
        Period::Year => "YYYY, such as 2014",
    }
}

/// Parses an interval: `2013`, `2013-01`, `2014-02-02`, `2014-02-02 05` or `2014-02-02 05:00`, in
/// the form of the period, as [`Interval`] displays it.
///
/// # Errors
/// When the text has another form, is not a date, or is before 1970.
pub fn parse_interval(period: Period, text: &str) -> Result<Interval, DateError> {
    let start = parse_start(period, text).ok_or_else(|| DateError { period, text: text.to_owned() })?;
    Ok(Interval { period, start })
}

fn parse_start(period: Period, text: &str) -> Option<Minute> {
    const SHAPE: &[u8] = b"0000-00-00 00:00";
    let length = match period {
        Period::Minute => 16,
        Period::Hour => 13,
        Period::Day => 10,
        Period::Month => 7,
        Period::Year => 4,
    };
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    if text.len() != length || !text.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    // A missing part has its smallest value.
    let number = |from: usize, smallest: i8| match text.get(from..from + 2) {
        Some(digits) => digits.parse().ok(),
        None => Some(smallest),
    };
    let date = Date::new(text.get(..4)?.parse().ok()?, number(5, 1)?, number(8, 1)?).ok()?;
    minute_at(DateTime::from_parts(date, jiff::civil::Time::new(number(11, 0)?, number(14, 0)?, 0, 0).ok()?))
}

/// The intervals to read for this one. Together, they cover it exactly once, in chronological order, given the progress
/// of a writer: `rolled_up` contains, for each period, the minute before which all its blocks have been added to the
/// next coarser period.
///
/// An open interval is covered by minutes up to its end: use [`covering_before`] to omit the future.
#[must_use]
pub fn covering(interval: Interval, rolled_up: &[Minute; 4]) -> Vec<Interval> {
    covering_before(interval, rolled_up, interval.end())
}

/// Like [`covering`], without the intervals that start at or after a minute beyond which no flows are counted.
#[must_use]
pub fn covering_before(interval: Interval, rolled_up: &[Minute; 4], before: Minute) -> Vec<Interval> {
    let mut cover = Vec::new();
    cover_into(interval, rolled_up, before, &mut cover);
    cover
}

fn cover_into(interval: Interval, rolled_up: &[Minute; 4], before: Minute, cover: &mut Vec<Interval>) {
    if interval.start >= before {
        return;
    }
    if is_rolled_up(interval, rolled_up) {
        cover.push(interval);
        return;
    }
    for part in interval.parts().take_while(|part| part.start < before) {
        cover_into(part, rolled_up, before, cover);
    }
}

/// Whether the finer blocks of an interval have been rolled up into it. Minutes always exist.
#[must_use]
pub fn is_rolled_up(interval: Interval, rolled_up: &[Minute; 4]) -> bool {
    match interval.period.finer() {
        None => true,
        Some(finer) => rolled_up.get(finer as usize).is_some_and(|until| interval.end() <= *until),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_parsed_as_displayed() {
        for (period, text) in [
            (Period::Year, "2013"),
            (Period::Month, "2013-01"),
            (Period::Day, "2016-02-29"),
            (Period::Hour, "2014-02-02 05"),
            (Period::Minute, "2014-02-02 05:00"),
            (Period::Minute, "9999-12-31 23:59"),
            (Period::Year, "1970"),
        ] {
            let interval = parse_interval(period, text).unwrap();
            assert_eq!(interval.to_string(), text);
            assert_eq!(interval, Interval::containing(period, interval.start));
        }
    }

    #[test]
    fn an_invalid_date_is_an_error_with_the_text_and_the_form() {
        for (period, text) in [
            (Period::Year, ""),
            (Period::Year, "13"),
            (Period::Year, "+013"),
            (Period::Year, "1969"),
            (Period::Year, "0000"),
            (Period::Month, "2013"),
            (Period::Month, "2013-13"),
            (Period::Month, "2013-1"),
            (Period::Day, "2014-02-29"),
            (Period::Day, "2014/02/02"),
            (Period::Day, "2014-02-02 "),
            (Period::Hour, "2014-02-02 24"),
            (Period::Hour, "2014-02-02T05"),
            (Period::Minute, "2014-02-02 05:60"),
            (Period::Minute, "2014-02-02 05:00:00"),
            (Period::Minute, "2014-02-02 05:0é"),
        ] {
            let error = parse_interval(period, text).unwrap_err();
            assert_eq!(error, DateError { period, text: text.to_owned() });
        }
        assert_eq!(
            parse_interval(Period::Hour, "yesterday").unwrap_err().to_string(),
            "'yesterday' is not a valid hour: write YYYY-MM-DD hh, such as 2014-02-02 05 (UTC)"
        );
    }

    fn shown(interval: Interval, rolled_up: &[Minute; 4], before: &str) -> Vec<String> {
        let before = parse_interval(Period::Minute, before).unwrap().start;
        covering_before(interval, rolled_up, before).iter().map(Interval::to_string).collect()
    }

    #[test]
    fn an_open_year_is_covered_by_months_days_hours_and_minutes() {
        let until = |period, text| parse_interval(period, text).unwrap().start;
        let rolled_up = [
            until(Period::Hour, "2026-03-02 02"),
            until(Period::Day, "2026-03-02"),
            until(Period::Month, "2026-03"),
            until(Period::Year, "2026"),
        ];
        let year = parse_interval(Period::Year, "2026").unwrap();
        assert_eq!(
            shown(year, &rolled_up, "2026-03-02 02:02"),
            [
                "2026-01",
                "2026-02",
                "2026-03-01",
                "2026-03-02 00",
                "2026-03-02 01",
                "2026-03-02 02:00",
                "2026-03-02 02:01"
            ]
        );
        assert_eq!(shown(year, &[Minute::EPOCH; 4], "2026-01-01 00:02"), ["2026-01-01 00:00", "2026-01-01 00:01"]);
        assert_eq!(covering(year, &[year.end(); 4]), [year]);
    }

    proptest! {
        #[test]
        fn the_cover_is_exact_and_disjoint_and_nothing_in_it_could_be_coarser(
            period in prop::sample::select(&Period::ALL[..4]),
            minute in 0u32..40_000_000,
            offsets in prop::array::uniform4(-50_000i64..50_000),
        ) {
            let interval = Interval::containing(period, Minute::new(minute));
            let rolled_up = offsets.map(|offset| {
                Minute::new(u32::try_from((i64::from(interval.start.number()) + offset).max(0)).unwrap())
            });
            let cover = covering(interval, &rolled_up);
            let mut next = interval.start;
            for part in &cover {
                prop_assert_eq!(part.start, next);
                prop_assert!(is_rolled_up(*part, &rolled_up));
                next = part.end();
            }
            prop_assert_eq!(next, interval.end());
        }
    }
}
