//! The clock by which old flows are deleted. A clock that a bad time server sets years ahead for a minute must not delete all of
//! them: a step forward counts only when the clock has stayed there for a day.

use std::time::{Duration, Instant, SystemTime};

/// How much further than the clock that never steps the clock of the machine may go.
const SLACK: Duration = Duration::from_secs(3600);
/// A step forward counts after this time.
const TRUSTED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The clock of the machine, but for steps forward.
pub(super) struct SteadyClock {
    /// The last time that counted, by the clock of the machine and by the one that never steps.
    last: (SystemTime, Instant),
    /// Since when the clock of the machine has been ahead.
    ahead_since: Option<Instant>,
}

impl SteadyClock {
    /// Whatever the machine shows first counts.
    pub(super) fn new() -> Self {
        Self { last: (SystemTime::now(), Instant::now()), ahead_since: None }
    }

    /// The time that counts.
    pub(super) fn time(&mut self) -> SystemTime {
        self.at(SystemTime::now(), Instant::now())
    }

    fn at(&mut self, shown: SystemTime, steady: Instant) -> SystemTime {
        let (last, then) = self.last;
        let expected = last + steady.saturating_duration_since(then);
        if shown > expected + SLACK {
            let since = *self.ahead_since.get_or_insert(steady);
            if steady.saturating_duration_since(since) < TRUSTED_AFTER {
                return expected;
            }
        }
        (self.last, self.ahead_since) = ((shown, steady), None);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_step_forward_counts_after_a_day() {
        let (begun, then) = (SystemTime::UNIX_EPOCH + HOUR * 500_000, Instant::now());
        let mut clock = SteadyClock { last: (begun, then), ahead_since: None };
        let years = HOUR * 24 * 3650;
        assert_eq!(clock.at(begun + HOUR, then + HOUR), begun + HOUR);
        assert_eq!(clock.at(begun + years, then + HOUR * 2), begun + HOUR * 2);
        // It was set right again.
        assert_eq!(clock.at(begun + HOUR * 3, then + HOUR * 3), begun + HOUR * 3);
        assert_eq!(clock.at(begun + years, then + HOUR * 4), begun + HOUR * 4);
        assert_eq!(clock.at(begun + years + HOUR * 23, then + HOUR * 27), begun + HOUR * 27);
        assert_eq!(clock.at(begun + years + HOUR * 24, then + HOUR * 28), begun + years + HOUR * 24);
        assert_eq!(clock.at(begun + years + HOUR * 25, then + HOUR * 29), begun + years + HOUR * 25);
        // Back, it counts at once: nothing is deleted by that.
        assert_eq!(clock.at(begun + HOUR * 30, then + HOUR * 30), begun + HOUR * 30);
    }
}
