//! How far the blocks of a writer are rolled up, and the blocks that count for an interval because of that.

use crate::period::{Interval, Minute, Period};

/// The watermarks of a writer: for each period, the minute before which all its blocks have been added to the next
/// coarser period. Years are not added to anything and have none. The default is that nothing is rolled up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks([Minute; 4]);

impl Watermarks {
    /// The watermarks of minutes, hours, days and months.
    #[must_use]
    pub const fn new(watermarks: [Minute; 4]) -> Self {
        Self(watermarks)
    }

    /// The watermarks of minutes, hours, days and months.
    #[must_use]
    pub const fn to_array(self) -> [Minute; 4] {
        self.0
    }

    /// The watermark of a period; `None` for years.
    #[must_use]
    pub fn get(&self, period: Period) -> Option<Minute> {
        self.0.get(period as usize).copied()
    }

    /// The same, to be moved.
    pub fn get_mut(&mut self, period: Period) -> Option<&mut Minute> {
        self.0.get_mut(period as usize)
    }

    /// Moves them back before an interval and every coarser one around it, so that the finer blocks count again.
    pub fn take_back(&mut self, interval: Interval) {
        for coarser in Period::ALL.into_iter().filter(|period| *period >= interval.period) {
            let around = Interval::containing(coarser, interval.start);
            if let Some(watermark) = coarser.finer().and_then(|finer| self.get_mut(finer)) {
                *watermark = around.start.min(*watermark);
            }
        }
    }

    /// For each period, the later watermark of the two.
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        let mut latest = self.0;
        latest.iter_mut().zip(other.0).for_each(|(own, other)| *own = other.max(*own));
        Self(latest)
    }

    /// Whether the finer blocks of an interval have been rolled up into it. Minutes always exist.
    #[must_use]
    pub fn is_rolled_up(&self, interval: Interval) -> bool {
        let watermark = interval.period.finer().and_then(|finer| self.get(finer));
        watermark.is_none_or(|watermark| interval.end() <= watermark)
    }

    /// The intervals to read for this one. Together, they cover it exactly once, in chronological order.
    ///
    /// An open interval is covered by minutes up to its end: use [`cover_before`](Self::cover_before) to omit the future.
    #[must_use]
    pub fn cover(&self, interval: Interval) -> Vec<Interval> {
        self.cover_before(interval, interval.end())
    }

    /// Like [`cover`](Self::cover), without the intervals that start at or after a minute beyond which no flows are
    /// counted.
    #[must_use]
    pub fn cover_before(&self, interval: Interval, before: Minute) -> Vec<Interval> {
        let mut cover = Vec::new();
        self.cover_into(interval, before, &mut cover);
        cover
    }

    fn cover_into(&self, interval: Interval, before: Minute, cover: &mut Vec<Interval>) {
        if interval.start >= before {
            return;
        }
        if self.is_rolled_up(interval) {
            cover.push(interval);
            return;
        }
        for part in interval.parts().take_while(|part| part.start < before) {
            self.cover_into(part, before, cover);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::parse_interval;

    fn start(period: Period, text: &str) -> Minute {
        parse_interval(period, text).unwrap().start
    }

    #[test]
    fn an_open_year_is_covered_by_months_days_hours_and_minutes() {
        let shown = |watermarks: Watermarks, interval, before| {
            let cover = watermarks.cover_before(interval, start(Period::Minute, before));
            cover.iter().map(Interval::to_string).collect::<Vec<_>>()
        };
        let watermarks = Watermarks::new([
            start(Period::Hour, "2026-03-02 02"),
            start(Period::Day, "2026-03-02"),
            start(Period::Month, "2026-03"),
            start(Period::Year, "2026"),
        ]);
        let year = parse_interval(Period::Year, "2026").unwrap();
        assert_eq!(
            shown(watermarks, year, "2026-03-02 02:02"),
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
        let nothing = Watermarks::default();
        assert_eq!(shown(nothing, year, "2026-01-01 00:02"), ["2026-01-01 00:00", "2026-01-01 00:01"]);
        assert_eq!(Watermarks::new([year.end(); 4]).cover(year), [year]);
    }

    #[test]
    fn years_have_no_watermark() {
        let mut watermarks = Watermarks::new([1, 2, 3, 4].map(Minute::new));
        let each = Period::ALL.map(|period| watermarks.get(period));
        assert_eq!(each, [Some(1), Some(2), Some(3), Some(4), None].map(|number| number.map(Minute::new)));
        assert_eq!(watermarks.get_mut(Period::Year), None);
        *watermarks.get_mut(Period::Hour).unwrap() = Minute::new(5);
        assert_eq!(watermarks.to_array().map(Minute::number), [1, 5, 3, 4]);
    }

    #[test]
    fn the_latest_of_two_is_chosen_for_each_period() {
        let [first, second] = [[1, 5, 3, 0], [2, 4, 3, 1]].map(|numbers| Watermarks::new(numbers.map(Minute::new)));
        assert_eq!(first.latest(second).to_array().map(Minute::number), [2, 5, 3, 1]);
        assert_eq!(first.latest(second), second.latest(first));
    }

    #[test]
    fn an_interval_that_is_taken_back_and_all_around_it_are_not_rolled_up() {
        let end = start(Period::Year, "2027");
        let mut watermarks = Watermarks::new([end; 4]);
        watermarks.take_back(parse_interval(Period::Day, "2026-03-02").unwrap());
        let expected =
            [end, start(Period::Day, "2026-03-02"), start(Period::Month, "2026-03"), start(Period::Year, "2026")];
        assert_eq!(watermarks.to_array(), expected);
        let before = watermarks;
        watermarks.take_back(parse_interval(Period::Day, "2026-03-05").unwrap());
        assert_eq!(watermarks, before);
    }

    proptest! {
        #[test]
        fn the_cover_is_exact_and_disjoint_and_nothing_in_it_could_be_coarser(
            period in prop::sample::select(&Period::ALL[..4]),
            minute in 0u32..40_000_000,
            offsets in prop::array::uniform4(-50_000i64..50_000),
        ) {
            let interval = Interval::containing(period, Minute::new(minute));
            let watermarks = Watermarks::new(offsets.map(|offset| {
                Minute::new(u32::try_from((i64::from(interval.start.number()) + offset).max(0)).unwrap())
            }));
            let cover = watermarks.cover(interval);
            let mut next = interval.start;
            for part in &cover {
                prop_assert_eq!(part.start, next);
                prop_assert!(watermarks.is_rolled_up(*part));
                next = part.end();
            }
            prop_assert_eq!(next, interval.end());
        }
    }
}
