//! The texts for a time in a question.
//!
//! | text | time |
//! | --- | --- |
//! | `2026-11-23T05:01:30.5Z`, `2026-11-23T05:01+01:00` | RFC 3339, also without seconds, or with a space for `T` |
//! | `2026-11-23T05:01`, `2026-11-23` | local; the start of a day |
//! | `14:00`, `14:00:30` | today, local |
//! | `today`, `yesterday`, `yesterday 14:00` | the start of a local day, or a time of it |
//! | `now`, `-2h`, `now-2h` | now, and before now |
//! | `1795898429`, `1795898429000` | seconds and milliseconds since 1970, as Prometheus and Grafana write them |
//!
//! A time that clocks skip is the moment at which they do; one that they show twice is the first of the two.

use std::time::Duration;

use flow::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{FIRST_YEAR, Zone, offset};
use crate::period::Minute;

/// Those of a minute.
const MILLISECONDS: u64 = 60_000;
const NANOSECONDS: u64 = MILLISECONDS * 1_000_000;

/// A text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a time: write 2026-11-23T05:01Z, 2026-11-23, 14:00, yesterday, -2h, or seconds since 1970 ({zone})"
)]
pub struct TimeError {
    /// The text.
    pub text: String,
    /// Of a time without an offset.
    pub zone: Zone,
}

impl Zone {
    /// Parses a time.
    ///
    /// # Errors
    /// When the text has another form, or is before 1970 or after 9999.
    pub fn time(&self, text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
        let (minute, rest) = self.moment(text, now)?;
        Ok(minute.timestamp().saturating_add(rest))
    }

    /// The same as a minute and what has passed of it. Other times end in 2554, minutes in 9999.
    ///
    /// # Errors
    /// As [`Self::time`].
    pub fn moment(&self, text: &str, now: Timestamp) -> Result<(Minute, Duration), TimeError> {
        let text = text.trim();
        let relative =
            || before(text, now).map(|time| (Minute::of(time), Duration::from_nanos(time.nanoseconds() % NANOSECONDS)));
        let moment = relative().or_else(|| since_1970(text)).or_else(|| self.absolute(&self.with_date(text, now)));
        moment.ok_or_else(|| TimeError { text: text.to_owned(), zone: self.clone() })
    }

    /// The text with a date, where it has a day or nothing instead.
    fn with_date(&self, text: &str, now: Timestamp) -> String {
        const SECONDS: usize = "14:00:30".len();
        let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
        let today = self.civil(Minute::of(now)).date();
        let date = match day {
            "today" => today,
            "yesterday" => today.yesterday().unwrap_or(today),
            _ if text.get(2..3) == Some(":") && text.len() <= SECONDS => return format!("{today}T{text}"),
            _ => return text.to_owned(),
        };
        if clock.is_empty() { date.to_string() } else { format!("{date}T{clock}") }
    }

    /// Parses a time with a date.
    fn absolute(&self, text: &str) -> Option<(Minute, Duration)> {
        let (time, zone) = time_and_zone(text).unwrap_or_else(|| (text, self.clone()));
        let (whole, fraction) = time.split_once('.').map_or((time, None), |(whole, rest)| (whole, Some(rest)));
        let nanoseconds = fraction.map_or(Some(0), |digits| nanoseconds(digits).filter(|_| whole.len() == 19))?;
        let time = civil_time(whole).filter(|time| time.year() >= FIRST_YEAR)?;
        let minute = time.with().second(0).build().ok()?;
        // All of a minute that clocks skip is the moment at which they do.
        let is_skipped = matches!(zone.0.to_ambiguous_timestamp(minute).offset(), AmbiguousOffset::Gap { .. });
        let rest = Duration::new(time.second().unsigned_abs().into(), nanoseconds);
        Some((zone.first_at(minute), if is_skipped { Duration::ZERO } else { rest }))
    }
}

/// Parses a length of time, such as `30s`, `15m`, `2h`, `7d` or `4w`; a day has 24 hours.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    const SECONDS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
    let text = text.trim();
    let (digits, seconds) = SECONDS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, seconds)))?;
    let number = digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    number.checked_mul(*seconds).map(Duration::from_secs)
}

/// Parses `now`, `-2h` and `now-2h`.
fn before(text: &str, now: Timestamp) -> Option<Timestamp> {
    let length = text.strip_prefix("now").unwrap_or(text);
    if length.is_empty() && !text.is_empty() {
        return Some(now);
    }
    Some(now.saturating_sub(duration(length.strip_prefix('-')?)?))
}

/// Parses seconds and milliseconds since 1970. Fewer digits are rather a year or a mistake.
fn since_1970(text: &str) -> Option<(Minute, Duration)> {
    let number = text.parse::<u64>().ok().filter(|_| text.bytes().all(|digit| digit.is_ascii_digit()))?;
    let milliseconds = match text.len() {
        9..=11 => number * 1000,
        12..=14 => number,
        _ => return None,
    };
    let minute = u32::try_from(milliseconds / MILLISECONDS).ok().map(Minute::new)?;
    (minute <= Minute::LAST).then(|| (minute, Duration::from_millis(milliseconds % MILLISECONDS)))
}

/// A time and its own zone: what is before a final `Z` or offset.
fn time_and_zone(text: &str) -> Option<(&str, Zone)> {
    let (time, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(time) => (time, Zone::UTC),
        None => {
            let (time, own) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
            (time, Zone(TimeZone::fixed(offset(own)?)))
        }
    };
    // A date alone has none.
    (time.len() > "0000-00-00".len()).then_some((time, zone))
}

/// The civil time of a text without zone and without a fraction of a second.
fn civil_time(text: &str) -> Option<DateTime> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        _ => byte == *shape,
    };
    if !matches!(text.len(), 10 | 16 | 19) || !text.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    let number = |from: usize| text.get(from..from + 2).map_or(Some(0), |digits| digits.parse::<i8>().ok());
    let date = Date::new(text.get(..4)?.parse().ok()?, number(5)?, number(8)?).ok()?;
    let time = Time::new(number(11)?, number(14)?, number(17)?, 0).ok()?;
    Some(DateTime::from_parts(date, time))
}

/// The nanoseconds of a fraction of a second.
fn nanoseconds(digits: &str) -> Option<u32> {
    let is_fraction = (1..=9).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    format!("{digits:0<9}").parse().ok().filter(|_| is_fraction)
}
