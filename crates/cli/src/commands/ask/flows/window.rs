//! Windows of time as nfdump has them: `2026/11/28.14:00:00-2026/11/28.15:00:00`. Parts may be missing at the end of a time.

use anyhow::anyhow;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};

/// The words `from` and `to` of a window.
pub(super) fn read(text: &str) -> anyhow::Result<(Option<String>, Option<String>)> {
    let read = || {
        let (first, last) = text.split_once('-').map_or((text, None), |(first, last)| (first, Some(last)));
        let (from, end) = time(first)?;
        let to = match last {
            Some(last) => Some(time(last)?.1),
            // A day is all of it; from a time on, everything.
            None => (!first.contains('.')).then_some(end),
        };
        Some((Some(word(from)), to.map(word)))
    };
    read().ok_or_else(|| {
        anyhow!(
            "-t {text}: write 2026/11/28.14:00:00-2026/11/28.15:00:00, 2026/11/28.14:00:00 or 2026/11/28; for the time \
             until now, --last 1h"
        )
    })
}

/// A time, and the end of the day if it is a whole one.
fn time(text: &str) -> Option<(DateTime, DateTime)> {
    let (date, time) = text.split_once('.').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut numbers = date.split('/').map(str::parse);
    let (year, month, day) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?)
        .ok()
        .filter(|_| numbers.next().is_none())?;
    let Some(time) = time else {
        return Some((
            date.to_datetime(Time::midnight()),
            date.to_datetime(Time::midnight()).checked_add(1.day()).ok()?,
        ));
    };
    let mut parts = time.split(':').map(|part| part.parse::<i8>());
    let mut part = || parts.next().unwrap_or(Ok(0)).ok();
    let time = Time::new(part()?, part()?, part()?, 0).ok()?;
    let time = date.to_datetime(time);
    parts.next().is_none().then_some((time, time))
}

fn word(time: DateTime) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}
