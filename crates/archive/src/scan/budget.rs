//! The memory of a question. Code that is about to need more asks first: a question that does not fit is refused, and the
//! collector beside it keeps its memory.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How much memory there is, and how much is taken.
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// More memory would be needed than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded;

/// Memory that is taken until this is dropped.
pub(crate) struct Taken<'b> {
    budget: &'b Budget,
    octets: usize,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// Takes octets.
    pub(crate) fn take(&self, octets: usize) -> Result<Taken<'_>, Exceeded> {
        let mut taken = Taken { budget: self, octets: 0 };
        taken.resize(octets)?;
        Ok(taken)
    }
}

impl Taken<'_> {
    /// Takes more, or gives some back.
    pub(crate) fn resize(&mut self, octets: usize) -> Result<(), Exceeded> {
        if let Some(more) = octets.checked_sub(self.octets) {
            let before = self.budget.used.fetch_add(more, Ordering::Relaxed);
            if before.saturating_add(more) > self.budget.limit {
                self.budget.used.fetch_sub(more, Ordering::Relaxed);
                return Err(Exceeded);
            }
        } else {
            self.budget.used.fetch_sub(self.octets - octets, Ordering::Relaxed);
        }
        self.octets = octets;
        Ok(())
    }

    /// Takes more.
    pub(crate) fn grow(&mut self, octets: usize) -> Result<(), Exceeded> {
        self.resize(self.octets.checked_add(octets).ok_or(Exceeded)?)
    }

    /// Gives some back.
    pub(crate) fn shrink(&mut self, octets: usize) {
        let octets = octets.min(self.octets);
        self.budget.used.fetch_sub(octets, Ordering::Relaxed);
        self.octets -= octets;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).unwrap();
        assert_eq!(budget.take(41).err(), Some(Exceeded));
        first.resize(20).unwrap();
        let second = budget.take(80).unwrap();
        assert_eq!(first.grow(1), Err(Exceeded));
        drop(second);
        first.grow(80).unwrap();
        assert_eq!(budget.take(1).err(), Some(Exceeded));
    }
}
