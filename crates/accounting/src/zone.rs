//! Local dates: the minutes of a day, month or year in a time zone. Blocks are of UTC only; a local interval is a
//! [`Range`], which is read from the blocks that cover it.
//!
//! A local date begins at the first moment at which clocks there show its start or a later time, and ends where the next
//! one begins. So each minute is in exactly one date of a period: a date that clocks skip is empty, and an hour that they
//! show twice has both. A minute that they show twice is the first of the two.

mod time;

use std::fmt;
use std::str::FromStr;

use flow::Timestamp;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::period::{Minute, Period, civil, minute_at, write_date};
use crate::query::{DateError, civil_start};
use crate::range::Range;

pub use time::{TimeError, duration};

/// A time zone of the IANA database, or a constant offset. Its rules are those of the system, else built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text that is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a time zone: write a name of the IANA database such as Europe/Berlin, or an offset such as +05:30"
)]
pub struct ZoneError(pub String);

/// A space counts as a plus sign, which is what `+` means in a query: `Etc/GMT+5`, `+05:30`.
impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let zone = match offset(text) {
            Some(offset) => Some(TimeZone::fixed(offset)),
            None => TimeZone::get(&text.replace(' ', "+")).ok().filter(|zone| !zone.is_unknown()),
        };
        zone.map(Self).ok_or_else(|| ZoneError(text.to_owned()))
    }
}

/// Parses `+05:30`, ` 05:30` or `-03:00`.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+" | " ", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |digits: &str, end: i32| {
        let is_pair = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|number| is_pair && *number < end)
    };
    Offset::from_seconds(sign * (number(hours, 24)? * 60 + number(minutes, 60)?) * 60).ok()
}

/// The name, or the offset.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.iana_name(), self.0.to_fixed_offset()) {
            (Some(name), _) => f.write_str(name),
            (None, Ok(offset)) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
            (None, Err(_)) => f.write_str("unknown"),
        }
    }
}

impl Zone {
    /// Universal time, in which blocks are stored.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Whether it is [`Self::UTC`].
    #[must_use]
    pub fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }

    /// The names of the IANA database.
    pub fn names() -> impl Iterator<Item = String> {
        jiff::tz::db().available().map(|name| name.as_str().to_owned())
    }

    /// Parses a local date, in the forms of [`parse_interval`](crate::query::parse_interval). It is empty if clocks skip it.
    ///
    /// # Errors
    /// When the text has another form, is not a date, or is before 1970.
    pub fn date(&self, period: Period, text: &str) -> Result<Range, DateError> {
        let start = civil_start(period, text).filter(|start| start.year() >= FIRST_YEAR);
        let start = start.ok_or_else(|| DateError { period, text: text.to_owned(), zone: self.to_string() })?;
        Ok(self.beginning_with(period, start))
    }

    /// The local interval of this period that contains the minute, or [`Minute::LAST`] if that is earlier. Hours also end
    /// where clocks change.
    #[must_use]
    pub fn containing(&self, period: Period, minute: Minute) -> Range {
        let minute = minute.min(Minute::LAST);
        if period <= Period::Hour {
            return self.step_containing(period, minute);
        }
        let date = self.civil(minute).date();
        let first = match period {
            Period::Year => date.first_of_year(),
            Period::Month => date.first_of_month(),
            _ => date,
        };
        let range = self.beginning_with(period, first.into());
        // Clocks that go back over midnight show a date again that has ended.
        let has_ended = range.to <= minute && range.to < END;
        if has_ended { self.beginning_with(period, self.civil(range.to).date().into()) } else { range }
    }

    fn step_containing(&self, period: Period, minute: Minute) -> Range {
        let (number, next) = (minute.number(), minute.saturating_add(1));
        if period == Period::Minute {
            return Range { from: minute, to: next };
        }
        let offset = self.offset(minute);
        let is_same = |number: &u32| self.offset(Minute::new(*number)) == offset;
        let past_the_hour = u32::from(self.civil(minute).minute().unsigned_abs());
        let start = number.saturating_sub(past_the_hour);
        let end = number.saturating_add(60 - past_the_hour);
        // Clocks change in few hours only; there, minute by minute.
        let from = if is_same(&start) { Some(start) } else { (start..number).rev().take_while(is_same).last() };
        let last = end.saturating_sub(1);
        let to = if is_same(&last) { Some(end) } else { (number..end).find(|number| !is_same(number)) };
        Range { from: from.map_or(minute, Minute::new), to: to.map_or(next, Minute::new) }
    }

    /// The local intervals that overlap a range, in order. None is empty.
    pub fn steps(&self, range: Range, period: Period) -> impl Iterator<Item = Range> {
        let following = move |step: &Range| Some(self.containing(period, step.to)).filter(|next| next.to > step.to);
        std::iter::successors(Some(self.containing(period, range.from)), following)
            .take_while(move |step| step.from < range.to)
    }

    /// The local date of a period that contains the minute, as [`Interval`](crate::period::Interval) displays it.
    #[must_use]
    pub fn label(&self, period: Period, minute: Minute) -> String {
        fmt::from_fn(|f| write_date(f, period, self.civil(minute))).to_string()
    }

    /// The start of a minute in RFC 3339: with the offset at that time, or with `Z` in UTC.
    #[must_use]
    pub fn display(&self, minute: Minute) -> String {
        if self.is_utc() {
            return minute.timestamp().to_string();
        }
        timestamp(minute).display_with_offset(self.offset(minute)).to_string()
    }

    /// A time in the same form, without a fraction of a second.
    #[must_use]
    pub fn display_second(&self, time: Timestamp) -> String {
        if self.is_utc() {
            return Timestamp::from_seconds(time.seconds()).to_string();
        }
        let second = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
        time.display_with_offset(self.0.to_offset(time)).to_string()
    }

    /// A time in the same form, with the fraction of a second that it has.
    #[must_use]
    pub fn display_time(&self, time: Timestamp) -> String {
        if self.is_utc() {
            return time.to_string();
        }
        let time = jiff::Timestamp::from_nanosecond(time.nanoseconds().into()).unwrap_or(jiff::Timestamp::MAX);
        time.display_with_offset(self.0.to_offset(time)).to_string()
    }

    /// From the start of a date to that of the next one.
    fn beginning_with(&self, period: Period, start: DateTime) -> Range {
        let from = self.first_at(start);
        let next = match period {
            Period::Minute => start.checked_add(SignedDuration::from_mins(1)),
            Period::Hour => start.checked_add(SignedDuration::from_hours(1)),
            Period::Day => start.date().tomorrow().map(DateTime::from),
            Period::Month => start.date().last_of_month().tomorrow().map(DateTime::from),
            Period::Year => start.date().last_of_year().tomorrow().map(DateTime::from),
        };
        let to = next.map_or(END, |next| self.first_at(next));
        Range { from, to: if period == Period::Minute { to.min(from.saturating_add(1)) } else { to } }
    }

    /// The first minute at which clocks show this time or a later one; the epoch for earlier ones.
    fn first_at(&self, time: DateTime) -> Minute {
        let at = |offset: Offset| time.saturating_sub(SignedDuration::from_secs(offset.seconds().into()));
        match self.0.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                minute_at(at(offset)).unwrap_or_default()
            }
            AmbiguousOffset::Gap { before, .. } => {
                let after = minute_at(at(before)).unwrap_or_default();
                let changed = self.0.preceding(timestamp(after.saturating_add(1))).next();
                changed.and_then(|change| minute_of(change.timestamp())).unwrap_or(after)
            }
        }
    }

    /// What clocks show at the start of a minute.
    fn civil(&self, minute: Minute) -> DateTime {
        civil(minute).saturating_add(SignedDuration::from_secs(self.offset(minute).seconds().into()))
    }

    fn offset(&self, minute: Minute) -> Offset {
        self.0.to_offset(timestamp(minute))
    }
}

const FIRST_YEAR: i16 = 1970;

/// The end of the dates, whose years have four digits.
const END: Minute = Minute::LAST.saturating_add(1);

/// The start of a minute, or the last time of jiff, which is a day before [`END`].
fn timestamp(minute: Minute) -> jiff::Timestamp {
    jiff::Timestamp::from_second(i64::from(minute.number()) * 60).unwrap_or(jiff::Timestamp::MAX)
}

/// `None` before the epoch.
fn minute_of(time: jiff::Timestamp) -> Option<Minute> {
    u32::try_from(time.as_second().div_euclid(60)).ok().map(Minute::new)
}

#[cfg(test)]
mod tests;
