//! How long blocks are kept.

use std::time::Duration;

use accounting::period::{Interval, Minute, PerPeriod};
use flow::Timestamp;

/// How long blocks are kept, for each period that has an end; `None` is without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// For each period.
    pub periods: PerPeriod<Option<Duration>>,
}

impl Keep {
    /// Whether retention may have deleted blocks of this interval by now.
    pub(crate) fn may_go(&self, interval: Interval, now: Timestamp) -> bool {
        self.periods[interval.period].is_some_and(|keep| interval.start < Minute::of(now.saturating_sub(keep)))
    }
}
