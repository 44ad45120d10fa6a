//! Minutes, hours, days, months and years (UTC) as intervals of time.

use std::fmt;
use std::ops::{Index, IndexMut};

use flow::Timestamp;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};

/// The length of an interval. Ordered from the finest to the coarsest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One day of UTC.
    Day,
    /// One month of UTC.
    Month,
    /// One year of UTC.
    Year,
}

impl Period {
    /// All periods, the finest first; `period as usize` indexes it.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Year];

    /// The next coarser period, which this one is rolled up into.
    #[must_use]
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => Some(Self::Month),
            Self::Month => Some(Self::Year),
            Self::Year => None,
        }
    }

    /// The next finer period, which this one is rolled up from.
    #[must_use]
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::Hour => Some(Self::Minute),
            Self::Day => Some(Self::Hour),
            Self::Month => Some(Self::Day),
            Self::Year => Some(Self::Month),
        }
    }

    /// Lower-case singular name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// A value for each period, indexed by the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerPeriod<T>([T; 5]);

impl<T> PerPeriod<T> {
    /// These values, starting with that of minutes.
    pub const fn new(values: [T; 5]) -> Self {
        Self(values)
    }

    /// All periods with their values, the finest first.
    pub fn iter(&self) -> impl Iterator<Item = (Period, &T)> {
        Period::ALL.into_iter().zip(&self.0)
    }

    /// Applies a function to each value.
    pub fn map<U>(self, function: impl FnMut(T) -> U) -> PerPeriod<U> {
        PerPeriod(self.0.map(function))
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a value for every period")]
impl<T> Index<Period> for PerPeriod<T> {
    type Output = T;

    fn index(&self, period: Period) -> &T {
        &self.0[period as usize]
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a value for every period")]
impl<T> IndexMut<Period> for PerPeriod<T> {
    fn index_mut(&mut self, period: Period) -> &mut T {
        &mut self.0[period as usize]
    }
}

/// A whole minute, numbered from the Unix epoch. The range ends in the year 10136.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Minute(u32);

impl Minute {
    /// The first minute: 1970-01-01 00:00.
    pub const EPOCH: Self = Self(0);

    /// The last minute of a year with four digits: 9999-12-31 23:59.
    pub const LAST: Self = Self(4_223_371_679);

    /// The end of the range: no minute is later.
    pub const MAX: Self = Self(u32::MAX);

    /// The minute with this number.
    #[must_use]
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number: the minutes between the epoch and its start.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The minute of a point in time.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        // A u64 of nanoseconds ends in the year 2554: about 307 million minutes.
        Self(u32::try_from(time.seconds() / 60).unwrap_or(u32::MAX))
    }

    /// The first moment of the minute.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_seconds(u64::from(self.0) * 60)
    }

    /// The minute that is this many later, or [`Self::MAX`].
    #[must_use]
    #[inline]
    pub const fn saturating_add(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    /// The minute that is this many earlier, or [`Self::EPOCH`].
    #[must_use]
    #[inline]
    pub const fn saturating_sub(self, minutes: u32) -> Self {
        Self(self.0.saturating_sub(minutes))
    }

    /// How many minutes the two are apart.
    #[must_use]
    #[inline]
    pub const fn abs_diff(self, other: Self) -> u32 {
        self.0.abs_diff(other.0)
    }
}

/// One minute, hour, day, month or year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// Its length.
    pub period: Period,
    /// Its first minute.
    pub start: Minute,
}

impl Interval {
    /// The interval of this period that contains the minute.
    #[must_use]
    pub fn containing(period: Period, minute: Minute) -> Self {
        let date = civil(minute);
        let start = match period {
            Period::Minute => minute,
            Period::Hour => Minute(minute.0 / 60 * 60),
            Period::Day => Minute(minute.0 / MINUTES_PER_DAY * MINUTES_PER_DAY),
            Period::Month => minute_of(date.date().first_of_month()),
            Period::Year => minute_of(date.date().first_of_year()),
        };
        Self { period, start }
    }

    /// The first minute after this interval, which is the start of the next one.
    #[must_use]
    pub fn end(self) -> Minute {
        let minutes = match self.period {
            Period::Minute => 1,
            Period::Hour => 60,
            Period::Day => MINUTES_PER_DAY,
            Period::Month => u32::from(civil(self.start).date().days_in_month().unsigned_abs()) * MINUTES_PER_DAY,
            Period::Year => u32::from(civil(self.start).date().days_in_year().unsigned_abs()) * MINUTES_PER_DAY,
        };
        self.start.saturating_add(minutes)
    }

    /// The interval of the same period that follows this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { period: self.period, start: self.end() }
    }

    /// Whether the minute is in this interval.
    #[must_use]
    pub fn contains(self, minute: Minute) -> bool {
        (self.start..self.end()).contains(&minute)
    }

    /// The intervals of the next finer period in this one, in order. None for a minute.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let first = self.period.finer().map(|period| Self { period, start: self.start });
        std::iter::successors(first, |part| Some(part.next())).take_while(move |part| part.start < self.end())
    }
}

const MINUTES_PER_DAY: u32 = 24 * 60;

/// The civil time (UTC) at which a minute starts; times after [`Minute::LAST`] count as the last one.
pub(crate) fn civil(minute: Minute) -> DateTime {
    EPOCH.saturating_add(SignedDuration::from_secs(i64::from(minute.min(Minute::LAST).0) * 60))
}

/// The minute of a civil time (UTC); `None` before the epoch.
pub(crate) fn minute_at(time: DateTime) -> Option<Minute> {
    u32::try_from(time.duration_since(EPOCH).as_secs().div_euclid(60)).ok().map(Minute)
}

/// The first minute of a day; days before the epoch count as the epoch.
fn minute_of(date: Date) -> Minute {
    minute_at(date.into()).unwrap_or_default()
}

const EPOCH: DateTime = jiff::civil::datetime(1970, 1, 1, 0, 0, 0, 0);

/// The format of the REST interface: `2014`, `2014-02`, `2014-02-02`, `2014-02-02 05`, `2014-02-02 05:01`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.period, civil(self.start))
    }
}

/// Writes the date of a period as [`Interval`] displays it.
pub(crate) fn write_date(f: &mut fmt::Formatter<'_>, period: Period, at: DateTime) -> fmt::Result {
    write!(f, "{:04}", at.year())?;
    if period <= Period::Month {
        write!(f, "-{:02}", at.month())?;
    }
    if period <= Period::Day {
        write!(f, "-{:02}", at.day())?;
    }
    if period <= Period::Hour {
        write!(f, " {:02}", at.hour())?;
    }
    if period <= Period::Minute {
        write!(f, ":{:02}", at.minute())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Minute {
        Minute::of(Timestamp::from_seconds(seconds))
    }

    #[test]
    fn each_period_has_its_own_value() {
        let mut numbers = PerPeriod::new([0, 1, 2, 3, 4]);
        numbers[Period::Month] += 10;
        let shown: Vec<_> =
            numbers.map(|number| number * 2).iter().map(|(period, number)| (period.name(), *number)).collect();
        assert_eq!(shown, [("minute", 0), ("hour", 2), ("day", 4), ("month", 26), ("year", 8)]);
    }

    #[test]
    fn a_time_is_in_one_interval_of_each_period() {
        let minute = at(1_391_317_299); // 2014-02-02 05:01:39
        let shown: Vec<String> = Period::ALL.iter().map(|p| Interval::containing(*p, minute).to_string()).collect();
        assert_eq!(shown, ["2014-02-02 05:01", "2014-02-02 05", "2014-02-02", "2014-02", "2014"]);
    }

    #[test]
    fn months_and_years_have_their_calendar_lengths() {
        let month = |seconds| Interval::containing(Period::Month, at(seconds));
        assert_eq!(month(1_391_317_299).parts().count(), 28);
        assert_eq!(month(1_456_704_000).parts().count(), 29); // 2016-02-29
        let year = Interval::containing(Period::Year, at(1_456_704_000));
        assert_eq!(year.end().abs_diff(year.start), 366 * MINUTES_PER_DAY);
        assert_eq!(year.next().to_string(), "2017");
        assert_eq!(year.parts().last().unwrap().to_string(), "2016-12");
    }

    #[test]
    fn the_parts_of_a_day_are_its_hours() {
        let day = Interval::containing(Period::Day, at(1_391_317_299));
        let hours: Vec<Interval> = day.parts().collect();
        assert_eq!(hours.len(), 24);
        assert_eq!(hours.first().unwrap().start, day.start);
        assert_eq!(hours.last().unwrap().end(), day.end());
        assert_eq!(Interval::containing(Period::Minute, Minute::new(5)).parts().count(), 0);
    }

    #[test]
    fn the_first_and_last_times_do_not_overflow() {
        for minute in [Minute::EPOCH, Minute::LAST, Minute::MAX] {
            for period in Period::ALL {
                let interval = Interval::containing(period, minute);
                assert!(interval.start <= interval.end());
                assert!(!interval.to_string().is_empty());
            }
        }
        assert_eq!(Interval::containing(Period::Minute, Minute::LAST).to_string(), "9999-12-31 23:59");
    }
}
