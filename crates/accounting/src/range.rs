//! Arbitrary ranges of time: how they are written, and the fewest whole intervals (minutes to years) that cover one.
//! [`Watermarks`](crate::watermarks::Watermarks) cover an interval that is still open.

use std::fmt;

use jiff::civil::DateTime;

use crate::period::{Interval, Minute, Period, minute_at};

/// From the start of a minute up to the start of another one, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first minute.
    pub from: Minute,
    /// The first minute after it.
    pub to: Minute,
}

/// A text that is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time: write 2026-11-23T05:01Z, or 2026-11-23 for the start of a day (UTC, whole minutes)")]
pub struct MomentError(pub String);

/// Parses the start of a minute as in ISO 8601, in UTC: `2026-11-23`, `2026-11-23T05:01`
/// or `2026-11-23T05:01:00`, the latter two with or without a final `Z`.
///
/// # Errors
/// When the text has another form or seconds, or is before 1970 or after 9999.
pub fn parse_moment(text: &str) -> Result<Minute, MomentError> {
    moment(text).ok_or_else(|| MomentError(text.to_owned()))
}

fn moment(text: &str) -> Option<Minute> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let local = text.strip_suffix(['Z', 'z']).filter(|local| local.len() > 10).unwrap_or(text);
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        _ => byte == *shape,
    };
    if !matches!(local.len(), 10 | 16 | 19) || !local.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    let number = |from: usize| local.get(from..from + 2).map_or(Some(0), |digits| digits.parse::<i8>().ok());
    let date = jiff::civil::Date::new(local.get(..4)?.parse().ok()?, number(5)?, number(8)?).ok()?;
    let time = jiff::civil::Time::new(number(11)?, number(14)?, number(17)?, 0).ok()?;
    (time.second() == 0).then(|| minute_at(DateTime::from_parts(date, time)))?
}

impl Range {
    /// Its length in minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.to.number().saturating_sub(self.from.number())
    }

    /// The intervals of a period that overlap this range, in order.
    pub fn steps(self, period: Period) -> impl Iterator<Item = Interval> {
        let first = Interval::containing(period, self.from);
        // The last representable interval is followed by itself.
        std::iter::successors(Some(first), |step| Some(step.next()).filter(|next| next.start > step.start))
            .take_while(move |step| step.start < self.to)
    }

    /// The fewest whole intervals that cover it exactly, in order.
    #[must_use]
    pub fn cover(self) -> Vec<Interval> {
        let mut cover = Vec::new();
        let mut at = self.from;
        while at < self.to {
            let fits = |period: &Period| {
                let interval = Interval::containing(*period, at);
                (interval.start == at && interval.end() <= self.to).then_some(interval)
            };
            // A minute always fits.
            let Some(interval) = Period::ALL.iter().rev().find_map(fits) else { break };
            cover.push(interval);
            at = interval.end();
        }
        cover
    }
}

impl From<Interval> for Range {
    fn from(interval: Interval) -> Self {
        Self { from: interval.start, to: interval.end() }
    }
}

/// Both ends: `2026-11-23T05:01:00Z/2026-11-23T06:00:00Z`, as in ISO 8601.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.from.timestamp(), self.to.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(from: &str, to: &str) -> Range {
        Range { from: parse_moment(from).unwrap(), to: parse_moment(to).unwrap() }
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
    fn an_invalid_time_is_an_error_with_the_text_and_the_form() {
        for text in [
            "",
            "2014",
            "2014-02-30",
            "2014-02-02Z",
            "2014-02-02T24:00",
            "2014-02-02T05:01:30Z",
            "2014-02-02T05:01+01:00",
            "2014-02-02T05",
            "1969-12-31T23:59",
            "-014-02-02",
            "2014-02-02T05:0é",
            "now",
        ] {
            assert_eq!(parse_moment(text), Err(MomentError(text.to_owned())));
        }
        let message = parse_moment("yesterday").unwrap_err().to_string();
        assert!(message.starts_with("'yesterday' is not a time: write 2026-11-23T05:01Z"), "{message}");
    }

    #[test]
    fn a_range_is_its_coarsest_intervals() {
        let shown = |range: Range| range.cover().iter().map(Interval::to_string).collect::<Vec<_>>();
        assert_eq!(
            shown(range("2025-10-30T22:58", "2027-02-02T01:01")),
            [
                "2025-10-30 22:58",
                "2025-10-30 22:59",
                "2025-10-30 23",
                "2025-10-31",
                "2025-11",
                "2025-12",
                "2026",
                "2027-01",
                "2027-02-01",
                "2027-02-02 00",
                "2027-02-02 01:00"
            ]
        );
        assert!(range("2026-01-01", "2026-01-01").cover().is_empty());
        assert!(range("2026-01-02", "2026-01-01").cover().is_empty());
    }

    #[test]
    fn steps_are_the_intervals_that_overlap_the_range() {
        let shown = |range: Range, period| range.steps(period).map(|step| step.to_string()).collect::<Vec<_>>();
        let touched = range("2026-11-23T10:59", "2026-11-23T12:01");
        assert_eq!(shown(touched, Period::Hour), ["2026-11-23 10", "2026-11-23 11", "2026-11-23 12"]);
        assert_eq!(shown(touched, Period::Year), ["2026"]);
        assert!(shown(range("2026-11-23", "2026-11-23"), Period::Day).is_empty());
        let last = Range { from: Minute::new(u32::MAX - 1), to: Minute::MAX };
        assert_eq!(last.steps(Period::Minute).count(), 1);
    }

    proptest! {
        #[test]
        fn the_cover_is_exact_and_no_two_neighbours_could_be_one_interval(
            from in 0u32..40_000_000,
            length in 0u32..2_000_000,
        ) {
            let range = Range { from: Minute::new(from), to: Minute::new(from + length) };
            let mut next = range.from;
            for part in range.cover() {
                prop_assert_eq!(part.start, next);
                prop_assert_eq!(Interval::containing(part.period, part.start), part);
                if let Some(coarser) = part.period.coarser() {
                    let whole = Interval::containing(coarser, part.start);
                    prop_assert!(whole.start < range.from || whole.end() > range.to);
                }
                next = part.end();
            }
            prop_assert_eq!(next, range.to);
            // Years, and at each end at most 11 months, 30 days, 23 hours and 59 minutes.
            prop_assert!(range.cover().len() <= 4 + 2 * (11 + 30 + 23 + 59));
        }
    }
}
