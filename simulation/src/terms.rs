//! What datagrams are counted by: the monitored prefixes of their exporter, and the settings that a reload changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use accounting::period::Minute;
use flow::{Prefix, Timestamp};

/// Settings that a reload changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether counters are multiplied by the sampling rate.
    pub multiplies: bool,
    /// How far an export time may be from the receive time.
    pub clock_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { multiplies: true, clock_limit: Duration::from_secs(600) }
    }
}

/// The prefixes of the registered exporters, by the index of the exporter.
pub type Registered = BTreeMap<usize, BTreeSet<Prefix>>;

/// The terms of an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its monitored prefixes; `None` if it is not registered.
    pub prefixes: Option<BTreeSet<Prefix>>,
    /// Settings.
    pub settings: Settings,
}

impl Terms {
    /// The minute of a flow with these times.
    #[must_use]
    pub fn minute(&self, exported: Option<Timestamp>, received: Timestamp) -> Minute {
        let is_near = |exported: &Timestamp| exported.abs_diff(received) <= self.settings.clock_limit;
        Minute::of(exported.filter(is_near).unwrap_or(received))
    }

    /// The packets of a flow of one packet that was sampled at this rate.
    #[must_use]
    pub fn packets(&self, rate: u32) -> u64 {
        if self.settings.multiplies { rate.into() } else { 1 }
    }
}

/// The prefixes that exporters may have, each within the one before. All contain the destination of all flows, so a flow
/// counts in each of them that is registered.
#[must_use]
pub fn prefixes() -> [Prefix; 2] {
    ["192.0.2.0/24", "192.0.2.0/25"].map(|prefix| prefix.parse().unwrap())
}
