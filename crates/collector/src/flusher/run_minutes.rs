//! The minutes in which this run has counted: each is stored once, so that a minute without traffic can be distinguished
//! from one in which no collector ran.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use accounting::period::Minute;
use accounting::presence::{Arrived, CountedBy};

/// The most minutes that one flush adds.
const MOST: u32 = 24 * 60;
/// How much longer than the monotonic clock the clock of the machine may run between two flushes.
const SLACK: Duration = Duration::from_secs(30);

/// The minutes that are stored.
#[derive(Debug)]
pub(super) struct RunMinutes {
    /// Of this run, without a gap.
    stored: Option<RangeInclusive<Minute>>,
    counted_by: CountedBy,
    /// The minute of the start, if it counts as run.
    begun: Option<Minute>,
    /// The most minutes between two flushes of a run without a gap, if `seen` is absent.
    most: u32,
    /// The time of the start or the last flush, on a clock that stops while the machine is suspended and never steps.
    seen: Option<Instant>,
}

impl Default for RunMinutes {
    fn default() -> Self {
        Self { stored: None, counted_by: CountedBy::Collector, begun: None, most: MOST, seen: None }
    }
}

impl RunMinutes {
    /// Those of a collector that starts now.
    pub(super) fn of_run(begun: Minute, seen: Instant) -> Self {
        Self { begun: Some(begun), seen: Some(seen), ..Self::default() }
    }

    /// Those of an import: flushes that are further apart than this are of different captures.
    pub(super) fn of_import(apart: Duration) -> Self {
        let most = whole_minutes(apart).saturating_add(1).min(MOST);
        Self { counted_by: CountedBy::Import, most, ..Self::default() }
    }

    /// Whose minutes they are.
    pub(super) const fn counted_by(&self) -> CountedBy {
        self.counted_by
    }

    /// Those that are not stored yet: from the last flush until now, and those in which a datagram of this flush arrived,
    /// which may be from the journal of an earlier run. An import that has read nothing has no time and no minutes.
    pub(super) fn until(&self, (now, seen): (Minute, Instant), arrived: &[Arrived]) -> BTreeSet<Minute> {
        let next = match (&self.stored, self.begun) {
            (Some(stored), _) if self.is_unbroken(*stored.end(), now, seen) => stored.end().saturating_add(1),
            (None, Some(begun)) if self.is_unbroken(begun, now, seen) => begun,
            _ => now,
        };
        let next = next.max(now.saturating_sub(MOST));
        let run = (next.number()..=now.number()).map(Minute::new).filter(|minute| *minute != Minute::EPOCH);
        let is_stored = |minute: &Minute| self.stored.as_ref().is_some_and(|stored| stored.contains(minute));
        run.chain(arrived.iter().map(|arrived| arrived.minute).filter(|minute| !is_stored(minute))).collect()
    }

    /// Everything until now is stored.
    pub(super) fn are_stored(&mut self, (now, seen): (Minute, Instant)) {
        let begun = match (&self.stored, self.begun) {
            (Some(stored), _) if self.is_unbroken(*stored.end(), now, seen) => {
                let day_ago = now.saturating_sub(MOST);
                if *stored.end() < day_ago { day_ago } else { *stored.start() }
            }
            (None, Some(begun)) if self.is_unbroken(begun, now, seen) => begun.max(now.saturating_sub(MOST)),
            _ => now,
        };
        self.stored = Some(begun..=now);
        self.seen = self.seen.map(|_| seen);
    }

    /// Whether this ran from a minute until now: the clock neither stepped nor ran on while the machine was suspended.
    fn is_unbroken(&self, from: Minute, now: Minute, seen: Instant) -> bool {
        let passed = self.seen.map(|last| seen.saturating_duration_since(last).saturating_add(SLACK));
        let most = passed.map_or(self.most, |passed| whole_minutes(passed).saturating_add(1));
        from <= now && now.abs_diff(from) <= most
    }
}

fn whole_minutes(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / 60).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use flow::Counters;

    use super::*;

    /// Flushes at these minutes, with datagrams of these other ones.
    fn flushes(flushes: &[(u32, &[u32])]) -> Vec<Vec<u32>> {
        flushes_of(RunMinutes::default(), flushes)
    }

    fn flushes_of(mut run: RunMinutes, flushes: &[(u32, &[u32])]) -> Vec<Vec<u32>> {
        let seen = Instant::now();
        let mut flush = |(now, arrived): &(u32, &[u32])| {
            let (sender, none) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Counters::ZERO);
            let arrived = arrived.iter().map(|minute| Arrived {
                sender,
                minute: Minute::new(*minute),
                arrived: none,
                lost: none,
            });
            let minutes = run.until((Minute::new(*now), seen), &arrived.collect::<Vec<_>>());
            run.are_stored((Minute::new(*now), seen));
            minutes.into_iter().map(Minute::number).collect()
        };
        flushes.iter().map(&mut flush).collect()
    }

    #[test]
    fn each_minute_of_a_run_is_in_one_flush() {
        let expected = vec![vec![7], vec![], vec![8], vec![9, 10, 11]];
        assert_eq!(flushes(&[(7, &[7]), (7, &[7]), (8, &[7, 8]), (11, &[])]), expected);
    }

    #[test]
    fn minutes_of_an_earlier_run_are_those_in_which_datagrams_arrived() {
        assert_eq!(flushes(&[(90, &[20, 22]), (91, &[20])]), [vec![20, 22, 90], vec![20, 91]]);
    }

    #[test]
    fn a_clock_that_steps_by_more_than_a_day_adds_no_minutes_between() {
        let all = flushes(&[(1_000_000, &[]), (2_000_000, &[]), (1_000_000, &[]), (1_000_001, &[])]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1]);
        assert_eq!(flushes(&[(0, &[])]), [[0; 0]]);
    }

    /// Flushes at these minutes, after these seconds of monotonic time.
    fn run_since(begun: u32, flushes: &[(u32, u64)]) -> Vec<Vec<u32>> {
        let started = Instant::now();
        let mut run = RunMinutes::of_run(Minute::new(begun), started);
        let mut flush = |(now, passed): &(u32, u64)| {
            let now = (Minute::new(*now), started + Duration::from_secs(*passed));
            let minutes = run.until(now, &[]);
            run.are_stored(now);
            minutes.into_iter().map(Minute::number).collect()
        };
        flushes.iter().map(&mut flush).collect()
    }

    #[test]
    fn a_run_begins_with_the_minute_of_its_start() {
        assert_eq!(run_since(70, &[(75, 300), (80, 600)]), [vec![70, 71, 72, 73, 74, 75], vec![76, 77, 78, 79, 80]]);
        assert_eq!(run_since(70, &[(70, 1), (71, 11)]), [[70], [71]]);
    }

    #[test]
    fn minutes_that_only_the_clock_of_the_machine_has_did_not_run() {
        // Suspended for an hour after 10 seconds; the clock was years wrong at the start.
        assert_eq!(run_since(70, &[(70, 10), (131, 20), (132, 80)]), [[70], [131], [132]]);
        assert_eq!(run_since(70, &[(1_000_000, 10), (1_000_001, 20)]), [[1_000_000], [1_000_001]]);
        let two_days = run_since(70, &[(70, 10), (70 + 2 * MOST, u64::from(2 * MOST) * 60)]);
        assert_eq!(two_days[1].len(), MOST as usize + 1);
    }

    #[test]
    fn an_import_of_captures_far_apart_has_no_minutes_between() {
        let run = || RunMinutes::of_import(Duration::from_secs(5 * 60));
        assert_eq!(
            flushes_of(run(), &[(70, &[]), (75, &[]), (95, &[94])]),
            [vec![70], vec![71, 72, 73, 74, 75], vec![94, 95]]
        );
    }
}
