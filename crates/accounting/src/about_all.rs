//! Metadata that blocks store with the `all` of a direction.

use crate::field::FieldSet;
use crate::variance::SamplingVariance;

/// Metadata of `all` in one direction. It adds up over flushes, minutes and writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AboutAll {
    /// The variance of sampled totals.
    pub variance: SamplingVariance,
    /// Whether `all` includes blocks of version 1, which have no variance.
    pub variance_is_partial: bool,
    /// The fields whose values, with `other`, add up to `all`: those that were counted all the time.
    pub complete: FieldSet,
}

impl AboutAll {
    /// The metadata of no flows: adding it changes nothing.
    pub const NOTHING: Self =
        Self { variance: SamplingVariance::ZERO, variance_is_partial: false, complete: FieldSet::EVERY };
    /// The metadata of a block of version 1.
    pub(crate) const VERSION_1: Self =
        Self { variance: SamplingVariance::ZERO, variance_is_partial: true, complete: FieldSet::DEFAULT };

    /// Adds the metadata of another part of `all`.
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
