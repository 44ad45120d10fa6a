//! How much of a range was counted: what has not passed yet has no traffic, and neither has the time in which no collector ran.
//! A mean rate is of the rest.

use std::time::SystemTime;

use accounting::block::TableSet;
use accounting::field::Field;
use accounting::period::{Minute, Period};
use accounting::presence;
use accounting::range::Range;
use flow::Timestamp;
use storage::{Answers, Question, Totals};

use crate::Api;
use crate::error::Error;
use crate::kept::Kept;
use crate::queues::Asker;

/// A range is looked at in parts, of which this many cost little. Of a part, all counts or nothing.
const PARTS: u32 = 30;

/// The periods that parts are made of, their minutes, and from which length of a part on: hours cost less than their minutes.
const UNITS: [(Period, u32, u32); 3] = [(Period::Minute, 1, 0), (Period::Hour, 60, 10), (Period::Day, 24 * 60, 8 * 60)];

impl Api {
    /// The seconds of a range in which a collector ran, at the moment of these answers; all that have passed, if none is known to
    /// have.
    pub(crate) async fn counted_seconds(
        &self,
        asker: &Asker,
        answers: Answers,
        range: Range,
        kept: &Kept,
    ) -> Result<u64, Error> {
        let now = Timestamp::from(SystemTime::now());
        let parts = parts(range, kept);
        let tables = TableSet::of_field(Field::All);
        let of_collector = |range| Question { range, sender: presence::COLLECTOR, prefix: presence::PREFIX, tables };
        let mut answers = answers.then(parts.iter().copied().map(of_collector).collect());
        let ran = |_, totals: Totals| !totals.tables.is_empty() || !totals.damaged.is_empty();
        let ran = self.answers(asker, &mut answers, ran).await?;
        let counted = parts.iter().zip(ran).filter(|(_, ran)| *ran).map(|(part, _)| {
            let within = Range { from: part.from.max(range.from), to: part.to.min(range.to) };
            passed_seconds(within, now)
        });
        let counted: u64 = counted.sum();
        Ok(if counted > 0 { counted } else { passed_seconds(range, now) })
    }
}

/// The seconds of a range that have passed.
pub(crate) fn passed_seconds(range: Range, now: Timestamp) -> u64 {
    range.to.timestamp().seconds().min(now.seconds()).saturating_sub(range.from.timestamp().seconds())
}

/// A range in parts of whole minutes, hours or days, whichever is long enough and kept. The first part may begin earlier, and the
/// last one end later.
fn parts(range: Range, kept: &Kept) -> Vec<Range> {
    let length = range.minutes().div_ceil(PARTS).max(1);
    let fits = |(period, _, least): &&(Period, u32, u32)| length >= *least && range.from >= kept.since(*period);
    let too_short = |(period, ..): &&(Period, u32, u32)| range.from >= kept.since(*period);
    let unit = UNITS.iter().rev().find(fits).or_else(|| UNITS.iter().find(too_short));
    let Some((_, unit, _)) = unit else { return Vec::new() };
    let (first, length) = (range.from.number() / unit * unit, length.next_multiple_of(*unit));
    let end = range.to.number().min(kept.now.number().saturating_add(1));
    let part = |start: u32| Range { from: Minute::new(start), to: Minute::new(start.saturating_add(length)) };
    (first..end).step_by(usize::try_from(length).unwrap_or(usize::MAX)).map(part).collect()
}

#[cfg(test)]
mod tests {
    use accounting::period::PerPeriod;

    use super::*;

    /// What is kept at minute 100,000: minutes of a week, hours of a month.
    fn kept() -> Kept {
        let since = [100_000 - 10_080, 100_000 - 43_200, 0, 0, 0];
        Kept::for_tests(Minute::new(100_000), PerPeriod::new(since.map(Minute::new)))
    }

    type Ends = Option<(u32, u32)>;

    /// How many parts, and the ends of the first and the last one.
    fn shown(from: u32, to: u32) -> (usize, Ends, Ends) {
        let parts = parts(Range { from: Minute::new(from), to: Minute::new(to) }, &kept());
        let ends = |part: &Range| (part.from.number(), part.to.number());
        (parts.len(), parts.first().map(ends), parts.last().map(ends))
    }

    #[test]
    fn a_range_has_few_parts_of_what_is_kept() {
        assert_eq!(shown(99_941, 100_001), (30, Some((99_941, 99_943)), Some((99_999, 100_001))));
        assert_eq!(shown(99_999, 100_001), (2, Some((99_999, 100_000)), Some((100_000, 100_001))));
        // A day and a month; an hour whose minutes have expired; nothing that is to come.
        assert_eq!(shown(98_561, 100_001), (25, Some((98_520, 98_580)), Some((99_960, 100_020))));
        assert_eq!(shown(56_800, 100_000), (31, Some((56_160, 57_600)), Some((99_360, 100_800))));
        assert_eq!(shown(80_040, 80_100), (1, Some((80_040, 80_100)), Some((80_040, 80_100))));
        assert_eq!(shown(100_001, 100_100), (0, None, None));
    }

    #[test]
    fn seconds_pass_until_now() {
        let range = Range { from: Minute::new(10), to: Minute::new(20) };
        let passed = |now| passed_seconds(range, Timestamp::from_seconds(now));
        assert_eq!([passed(599), passed(601), passed(1199), passed(2000)], [0, 1, 599, 600]);
    }
}
