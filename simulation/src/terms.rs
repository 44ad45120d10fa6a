//! What datagrams are counted by: the monitored prefixes and settings of their exporter, and the settings that a reload
//! changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::period::Minute;
use flow::sender_settings::NatAddresses;
use flow::{Prefix, SenderSettings, Timestamp};
use storage::Stated;

use crate::exporter::{DESTINATION, Meaning, source};

/// Settings that a reload changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether counters are multiplied by the sampling rate.
    pub multiplies: bool,
    /// How far an export time may be from the receive time.
    pub clock_limit: Duration,
    /// `networks.own`; `None` if they are the monitored prefixes.
    pub own: Option<&'static [&'static str]>,
}

/// What may be stated as own networks. The monitored prefixes have the destinations of all flows and no source.
pub const OWN_NETWORKS: [Option<&[&str]>; 4] =
    [None, Some(&["10.0.0.0/8"]), Some(&["192.0.2.0/24", "10.0.0.0/8"]), Some(&["192.0.2.1/32", "10.0.0.0/27"])];

impl Default for Settings {
    fn default() -> Self {
        Self { multiplies: true, clock_limit: Duration::from_secs(600), own: None }
    }
}

impl Settings {
    /// What is stated, as the collector reads it.
    #[must_use]
    pub fn stated(&self) -> Arc<Stated> {
        Arc::new(Stated::own(&self.own().unwrap_or_default()))
    }

    fn own(&self) -> Option<Vec<Prefix>> {
        Some(self.own?.iter().map(|prefix| prefix.parse().unwrap()).collect())
    }
}

/// What is registered for an exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Its monitored prefixes.
    pub prefixes: BTreeSet<Prefix>,
    /// Its settings.
    pub settings: SenderSettings,
}

/// The registered exporters, by their index.
pub type Registered = BTreeMap<usize, Registration>;

/// The terms of an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is registered for it; `None` if it is not registered.
    pub registration: Option<Registration>,
    /// Settings of the collector.
    pub settings: Settings,
}

impl Terms {
    /// The minute of a flow with these times.
    #[must_use]
    pub fn minute(&self, exported: Option<Timestamp>, received: Timestamp) -> Minute {
        let is_near = |exported: &Timestamp| exported.abs_diff(received) <= self.settings.clock_limit;
        Minute::of(exported.filter(is_near).unwrap_or(received))
    }

    /// Whether both ends of a flow are own. Its destination is in a monitored prefix, its source is not.
    #[must_use]
    pub fn is_local(&self, flow: u32) -> bool {
        let own = self.settings.own().unwrap_or_default();
        let is_own = |address: IpAddr| own.iter().any(|prefix| prefix.contains(address));
        is_own(source(flow).into()) && is_own(DESTINATION.into())
    }
}

impl Registration {
    /// Whether a flow counts that may mean this.
    #[must_use]
    pub fn counts(&self, meaning: Meaning) -> bool {
        let is_elsewhere = meaning.is_translated && self.settings.nat_addresses == NatAddresses::Inside;
        self.settings.flow_direction.counts(meaning.observed) && !is_elsewhere
    }

    /// The sampling rate of flows for which this one is announced.
    #[must_use]
    pub fn rate(&self, announced: u32) -> u32 {
        self.settings.sampling_rate.map_or(announced, u32::from)
    }
}

/// The prefixes that exporters may have, each within the one before. All contain the destination of all flows, so a flow
/// counts in each of them that is registered.
#[must_use]
pub fn prefixes() -> [Prefix; 2] {
    ["192.0.2.0/24", "192.0.2.0/25"].map(|prefix| prefix.parse().unwrap())
}
