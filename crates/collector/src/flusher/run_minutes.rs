//! The minutes in which this run has counted: each is stored once, so that a minute without traffic can be distinguished
//! from one in which no collector ran.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use accounting::period::Minute;
use accounting::presence::Arrived;

/// The most minutes that one flush adds: a clock may step by years.
const MOST: u32 = 24 * 60;

/// The minutes that are stored.
#[derive(Debug, Default)]
pub(super) struct RunMinutes {
    /// Of this run, without a gap.
    stored: Option<RangeInclusive<Minute>>,
}

impl RunMinutes {
    /// Those that are not stored yet: from the last flush until now, and those in which a datagram of this flush arrived,
    /// which may be from the journal of an earlier run. A replay that has read nothing has no time and no minutes.
    pub(super) fn until(&self, now: Minute, arrived: &[Arrived]) -> BTreeSet<Minute> {
        let next = match &self.stored {
            Some(stored) if *stored.end() <= now => stored.end().saturating_add(1).max(now.saturating_sub(MOST)),
            _ => now,
        };
        let run = (next.number()..=now.number()).map(Minute::new).filter(|minute| *minute != Minute::EPOCH);
        let is_stored = |minute: &Minute| self.stored.as_ref().is_some_and(|stored| stored.contains(minute));
        run.chain(arrived.iter().map(|arrived| arrived.minute).filter(|minute| !is_stored(minute))).collect()
    }

    /// Everything until now is stored.
    pub(super) fn are_stored(&mut self, now: Minute) {
        let begun = match &self.stored {
            Some(stored) if *stored.end() <= now && now.abs_diff(*stored.end()) <= MOST => *stored.start(),
            _ => now,
        };
        self.stored = Some(begun..=now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use flow::Counters;

    use super::*;

    /// Flushes at these minutes, with datagrams of these other ones.
    fn flushes(flushes: &[(u32, &[u32])]) -> Vec<Vec<u32>> {
        let mut run = RunMinutes::default();
        let mut flush = |(now, arrived): &(u32, &[u32])| {
            let (sender, none) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Counters::ZERO);
            let arrived = arrived.iter().map(|minute| Arrived {
                sender,
                minute: Minute::new(*minute),
                arrived: none,
                lost: none,
            });
            let minutes = run.until(Minute::new(*now), &arrived.collect::<Vec<_>>());
            run.are_stored(Minute::new(*now));
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
    fn a_clock_that_steps_adds_a_day_at_most() {
        let all = flushes(&[(1_000_000, &[]), (2_000_000, &[]), (1_000_000, &[]), (1_000_001, &[])]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1 + MOST as usize, 1, 1]);
        assert_eq!(flushes(&[(0, &[])]), [[0; 0]]);
    }
}
