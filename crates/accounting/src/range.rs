//! Arbitrary ranges of time, and the fewest whole intervals (minutes to years) that cover one.
//! [`Watermarks`](crate::watermarks::Watermarks) cover an interval that is still open.

use std::fmt;

use crate::period::{Interval, Minute, Period};

/// From the start of a minute up to the start of another one, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first minute.
    pub from: Minute,
    /// The first minute after it.
    pub to: Minute,
}

impl Range {
    /// Its length in minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.to.number().saturating_sub(self.from.number())
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
    use flow::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::zone::Zone;

    fn range(from: &str, to: &str) -> Range {
        let [from, to] = [from, to].map(|text| Zone::UTC.moment(text, Timestamp::EPOCH).unwrap().0);
        Range { from, to }
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
