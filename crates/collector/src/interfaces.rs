//! Learns what the interfaces of routers are called, beside the path of flows: every few seconds from the options data that
//! sessions hold, from the configuration, and from what others observe. The history is a file in the data directory.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flow::Timestamp;
use interfaces::{Details, History, Known, Observation, Source, Span};
use pipeline::Exporters;
use wire::StatedInterface;

use crate::lock::locked;

/// How often options data are read, and what has changed is stored.
const INTERVAL: Duration = Duration::from_secs(5);
/// Of domains that differ about an index, the first counts, unless it has not been heard for this long.
const STALE: Duration = Duration::from_secs(3600);

/// A handle to the names of interfaces. Its copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Interfaces(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    history: Mutex<History>,
    /// [`History::changes`] in the file.
    stored: Mutex<u64>,
    /// The state of the options data of each exporter that the history has.
    seen: Mutex<HashMap<IpAddr, u64>>,
}

impl Interfaces {
    /// The name of the file in the data directory.
    pub const FILE: &str = "interfaces";

    /// The names in this file. Without a readable one, they are learnt again.
    #[must_use]
    pub fn open(path: PathBuf) -> Self {
        let (history, damaged) = interfaces::load(&path).unwrap_or_else(|error| {
            tracing::error!("cannot read the stored names of interfaces, which routers will report again: {error}");
            Default::default()
        });
        if damaged > 0 {
            tracing::warn!("{damaged} damaged lines in {} are ignored", path.display());
        }
        let stored = Mutex::new(history.changes());
        Self(Arc::new(Shared { path, history: Mutex::new(history), stored, seen: Mutex::default() }))
    }

    /// Replaces what the operator says.
    pub fn configure(&self, known: &[Known]) {
        locked(&self.0.history).configure(known, now());
    }

    /// Notes what a source says about interfaces of a router.
    pub fn observe(&self, of: Observation, stated: impl IntoIterator<Item = (u32, Details)>) {
        let mut history = locked(&self.0.history);
        stated.into_iter().for_each(|(index, details)| history.observe(of, index, details));
        // Last: what has changed did so after it was heard before.
        history.confirm(of.router, of.source, of.at);
    }

    /// Reads the options data of all exporters that have changed.
    pub(crate) fn learn(&self, exporters: &Exporters) {
        let mut seen = locked(&self.0.seen);
        for stated in exporters.stated_interfaces(&mut seen) {
            let mut history = locked(&self.0.history);
            for interface in by_index(stated.changed) {
                let of = Observation {
                    router: stated.exporter,
                    source: Source::Options,
                    at: interface.received,
                    booted: interface.booted,
                };
                let details = Details { name: interface.name, description: interface.description, speed: None };
                history.observe(of, interface.index, details);
            }
            history.confirm(stated.exporter, Source::Options, stated.last);
        }
    }

    /// The interfaces of a router, by index and time.
    pub(crate) fn of(&self, router: IpAddr) -> Vec<view::Interface> {
        locked(&self.0.history).of(router).map(shown).collect()
    }

    /// Stores what has changed.
    pub(crate) fn save(&self) {
        let mut stored = locked(&self.0.stored);
        let history = locked(&self.0.history).clone();
        if history.changes() == *stored {
            return;
        }
        match interfaces::save(&self.0.path, &history) {
            Ok(()) => *stored = history.changes(),
            Err(error) => tracing::warn!("names of interfaces are not stored: {error}"),
        }
    }

    /// Learns and stores. Never ends.
    pub(crate) async fn keep_learning(self, exporters: Exporters) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (interfaces, exporters) = (self.clone(), exporters.clone());
            let learning = tokio::task::spawn_blocking(move || {
                interfaces.learn(&exporters);
                interfaces.save();
            });
            // Fails only when the runtime ends.
            let _ = learning.await;
        }
    }
}

/// One of each index: the newest of a domain, and of domains the first that is not stale.
fn by_index(stated: Vec<StatedInterface>) -> Vec<StatedInterface> {
    let mut newest: BTreeMap<_, StatedInterface> = BTreeMap::new();
    for interface in stated {
        let key = (interface.index, interface.protocol, interface.domain);
        let is_newer = newest.get(&key).is_none_or(|before| before.received <= interface.received);
        if is_newer {
            newest.insert(key, interface);
        }
    }
    let mut last: HashMap<u32, Timestamp> = HashMap::new();
    for interface in newest.values() {
        let last = last.entry(interface.index).or_default();
        *last = (*last).max(interface.received);
    }
    let is_fresh = |interface: &StatedInterface| {
        let last = last.get(&interface.index).copied().unwrap_or_default();
        interface.received >= last.saturating_sub(STALE)
    };
    let mut chosen: Vec<StatedInterface> = newest.into_values().filter(is_fresh).collect();
    chosen.dedup_by_key(|interface| interface.index);
    chosen
}

fn shown((index, span): (u32, &Span)) -> view::Interface {
    let Details { name, description, speed } = span.details.clone();
    view::Interface {
        index,
        name,
        description,
        speed,
        source: span.source.name(),
        since: span.since,
        until: span.until,
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use flow::Protocol;

    use super::*;

    fn stated(index: u32, domain: u32, seconds: u64, name: &str) -> StatedInterface {
        StatedInterface {
            index,
            name: Some(name.to_owned()),
            description: None,
            protocol: Protocol::Ipfix,
            domain,
            received: Timestamp::from_seconds(seconds),
            booted: None,
        }
    }

    #[test]
    fn of_an_index_the_newest_record_of_the_first_domain_that_is_not_stale_counts() {
        let records = vec![
            stated(1, 0, 50_000, "old template"),
            stated(1, 0, 50_060, "new template"),
            stated(1, 7, 50_100, "other domain"),
            stated(2, 0, 40_000, "stale domain"),
            stated(2, 7, 50_000, "fresh domain"),
        ];
        let chosen: Vec<_> = by_index(records).into_iter().filter_map(|interface| interface.name).collect();
        assert_eq!(chosen, ["new template", "fresh domain"]);
    }

    #[test]
    fn a_name_that_changed_at_a_reboot_is_valid_since_then() {
        let directory = tempfile::tempdir().unwrap();
        let interfaces = Interfaces::open(directory.path().join("interfaces"));
        let router: IpAddr = "192.0.2.1".parse().unwrap();
        let answer = |at: u64, booted: u64, name: &str| {
            let (at, booted) = (Timestamp::from_seconds(at), Some(Timestamp::from_seconds(booted)));
            let details = Details { name: Some(name.to_owned()), ..Details::default() };
            interfaces.observe(Observation { router, source: Source::Snmp, at, booted }, [(5, details)]);
        };
        answer(1000, 50, "ge-0/0/1");
        answer(1900, 50, "ge-0/0/1");
        // Between these answers it has started again.
        answer(2800, 2000, "xe-1/0/0");
        let known = interfaces.of(router);
        let ends: Vec<_> = known.iter().map(|interface| (interface.name.as_deref(), interface.until)).collect();
        let start = Some(Timestamp::from_seconds(2000));
        assert_eq!(ends, [(Some("ge-0/0/1"), start), (Some("xe-1/0/0"), None)]);
    }

    #[test]
    fn names_are_stored_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("interfaces");
        let router: IpAddr = "192.0.2.1".parse().unwrap();
        let interfaces = Interfaces::open(path.clone());
        interfaces.save();
        assert!(!path.exists());
        interfaces.configure(&["192.0.2.1 5 wan 1G uplink".parse().unwrap()]);
        interfaces.save();
        let again = Interfaces::open(path);
        assert_eq!(again.of(router), interfaces.of(router));
        assert_eq!(again.of(router)[0].speed, Some(1_000_000_000));
        // What the configuration no longer has ends.
        again.configure(&[]);
        assert!(again.of(router)[0].until.is_some());
    }
}
