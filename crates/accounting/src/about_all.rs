//! What blocks say of a direction's `all` beside its counters.

use crate::field::FieldSet;
use crate::variance::SamplingVariance;

/// What is known of `all` in one direction. Adds up over flushes, minutes and writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AboutAll {
    /// How far sampled flows may be off.
    pub variance: SamplingVariance,
    /// Whether some of what `all` counts is from blocks of version 1, which did not keep the variance.
    pub variance_is_partial: bool,
    /// The fields whose values, with what was folded, add up to `all`: those that were counted all the time.
    pub complete: FieldSet,
}

impl AboutAll {
    /// Of nothing at all: adding it changes nothing.
    pub const NOTHING: Self =
        Self { variance: SamplingVariance::ZERO, variance_is_partial: false, complete: FieldSet::EVERY };
    /// Of a block of version 1.
    pub(crate) const VERSION_1: Self =
        Self { variance: SamplingVariance::ZERO, variance_is_partial: true, complete: FieldSet::DEFAULT };

    /// Adds what is known of another part of `all`.
    pub fn add(&mut self, other: Self) {
        self.variance.add(other.variance);
        self.variance_is_partial |= other.variance_is_partial;
        self.complete = self.complete.intersection(other.complete);
    }
}

impl Default for AboutAll {
    fn default() -> Self {
        Self::NOTHING
    }
}
