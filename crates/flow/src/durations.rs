//! Histograms of durations, all with the same bounds.

use std::time::Duration;

/// The upper bounds, in milliseconds: from an answer out of memory to a time longer than any client waits.
const BOUNDS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000];

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// By bound; durations above the last bound are in `longer`.
    counts: [u64; BOUNDS.len()],
    longer: u64,
    total: Duration,
}

impl Durations {
    /// Adds a duration.
    pub fn note(&mut self, took: Duration) {
        let bound = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound));
        let count = bound.and_then(|bound| self.counts.get_mut(bound)).unwrap_or(&mut self.longer);
        *count += 1;
        self.total = self.total.saturating_add(took);
    }

    /// Number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.longer
    }

    /// Their sum.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// For each bound, the number of durations up to it and above the previous one; last, without a bound, all longer
    /// ones.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_millis(*bound)));
        bounds.zip(self.counts).chain([(None, self.longer)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_bucket_of_the_first_bound_that_is_not_below_it() {
        let mut durations = Durations::default();
        for milliseconds in [0, 1, 2, 60_000, 60_001] {
            durations.note(Duration::from_millis(milliseconds));
        }
        let counted: Vec<_> = durations.iter().filter(|(_, count)| *count > 0).collect();
        let bound = |milliseconds| Some(Duration::from_millis(milliseconds));
        assert_eq!(counted, [(bound(1), 2), (bound(5), 1), (bound(60_000), 1), (None, 1)]);
        assert_eq!((durations.count(), durations.total()), (5, Duration::from_millis(120_004)));
    }
}
