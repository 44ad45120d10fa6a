//! The 5 minutes of `all`: what a percentile of a month is computed from, long after its minutes were deleted.
//!
//! Hours and days have a table [`Field::FiveMinutes`]: `all`, by the first minute of the 5 in which it was counted. A roll-up
//! makes it of minutes; months and years do not have it. Blocks of programs that did not make it are known by their sums:
//! the values add up to less than `all`.

use std::collections::BTreeMap;

use flow::Counters;

use crate::block::{BlockKey, Tables};
use crate::direction::Direction;
use crate::field::{Field, Name, Value};
use crate::period::{Minute, Period};
use crate::presence;

/// The number of minutes that are counted together. It divides an hour.
pub const MINUTES: u32 = 5;

/// Whether blocks of this period have the table.
#[must_use]
pub const fn kept_by(period: Period) -> bool {
    matches!(period, Period::Hour | Period::Day)
}

/// The first minute under which `all` of a block of minutes is counted; `None` for other blocks. The minutes in which a
/// collector ran stay single ones.
pub(crate) fn of_minutes(key: &BlockKey) -> Option<Minute> {
    if key.interval.period != Period::Minute {
        return None;
    }
    let minute = key.interval.start;
    Some(if presence::is_of_collector(key) { minute } else { containing(minute) })
}

/// The first of the 5 minutes that contain a minute.
#[must_use]
pub const fn containing(minute: Minute) -> Minute {
    Minute::new(minute.number() / MINUTES * MINUTES)
}

/// The counters in each direction (`direction as usize`), by first minute.
pub type ByFirstMinute = BTreeMap<Minute, [Counters; Direction::ALL.len()]>;

/// Those of an hour, a day or part of one; `None` when they are not all of what was counted. `all` has to be merged too.
#[must_use]
pub fn by_first_minute(tables: &Tables) -> Option<ByFirstMinute> {
    let mut sums = [Counters::ZERO; Direction::ALL.len()];
    let mut found = ByFirstMinute::new();
    for (direction, Name { value, .. }, counters) in tables.rows_of(Field::FiveMinutes) {
        let Value::Number(first) = value else { continue };
        let of_minute = found.entry(Minute::new(first)).or_default();
        for counted in [&mut sums, of_minute] {
            counted.iter_mut().skip(direction as usize).take(1).for_each(|sum| sum.add(counters));
        }
    }
    let all = Direction::ALL.map(|direction| tables.get(direction, Name::ALL).unwrap_or_default());
    (sums == all).then_some(found)
}
