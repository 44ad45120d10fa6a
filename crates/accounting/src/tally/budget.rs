//! The limit of names in all tallies of a process. A tally that exceeds it shrinks to half of what the others leave, so
//! shares even out over time, and a single tally may use the whole budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A budget of names shared by several tallies. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct NameBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

impl NameBudget {
    /// A budget of this many names, all free.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// The number of used names: a gauge. Pending bookings are not included.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

/// The part of the budget that every tally may use, however many names the others have, so that it keeps its largest
/// names.
const LEAST_PART: usize = 16;

/// The share of one tally. Dropping it returns the names.
#[derive(Debug)]
pub(super) struct Claim {
    budget: NameBudget,
    names: usize,
}

impl Claim {
    pub(super) const fn of(budget: NameBudget) -> Self {
        Self { budget, names: 0 }
    }

    pub(super) const fn names(&self) -> usize {
        self.names
    }

    /// Updates the number of names.
    pub(super) fn set(&mut self, names: usize) {
        let (more, less) = (names.saturating_sub(self.names), self.names.saturating_sub(names));
        self.budget.used.fetch_add(more, Ordering::Relaxed);
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.names = names;
    }

    /// The number of names to which the tally must shrink; `None` if all tallies together are within the budget.
    pub(super) fn excess(&self) -> Option<usize> {
        let NameBudget { limit, .. } = self.budget;
        let used = self.budget.used();
        let others = used.saturating_sub(self.names);
        let allowed = limit.saturating_sub(others).max(limit / LEAST_PART);
        (used > limit && self.names > allowed).then_some(allowed / 2)
    }
}

/// The length that tables may have so that all of them together fit the budget, when only the longer ones are cut.
pub(super) fn largest_allowed(lengths: &mut [usize], budget: usize) -> usize {
    lengths.sort_unstable();
    let mut left = budget;
    for (index, length) in lengths.iter().enumerate() {
        let share = left / (lengths.len() - index);
        if *length > share {
            return share;
        }
        left -= length;
    }
    usize::MAX
}

/// A copy of a tally is short-lived and has a budget of its own.
impl Clone for Claim {
    fn clone(&self) -> Self {
        let mut claim = Self::of(NameBudget::new(self.budget.limit));
        claim.set(self.names);
        claim
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.set(0);
    }
}
