//! The settings of `/metrics`.

use std::num::NonZero;

/// What `/metrics` has of monitored prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metrics {
    /// `prefixes`: for how many there are counters; `None` (0 in the file) for none.
    pub(crate) prefixes: Option<NonZero<usize>>,
    /// `names`: whether these also have names.
    pub(crate) names: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { prefixes: NonZero::new(1000), names: false }
    }
}
