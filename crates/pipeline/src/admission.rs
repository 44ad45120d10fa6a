//! The registered senders, as an immutable snapshot that shards read with one load for each datagram.
//!
//! This file does not read the store: the collector reads the registry and passes its content.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use accounting::tally::{GroupId, Monitored, OwnNetworks};
use arc_swap::ArcSwap;
use flow::{Prefix, SenderSettings};

/// How the datagrams of one sender are counted.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its monitored prefixes.
    pub monitored: Monitored,
    /// Its settings.
    pub settings: SenderSettings,
}

/// The registered senders at one moment, by address.
pub type Snapshot = HashMap<IpAddr, Arc<Registration>>;

/// The current snapshot, shared with all shards.
pub type Admitted = Arc<ArcSwap<Snapshot>>;

/// A sender as it is registered.
#[derive(Clone, Copy, Debug)]
pub struct Registered<'r> {
    /// The source address of its datagrams, canonical.
    pub address: IpAddr,
    /// Its monitored prefixes, sorted.
    pub prefixes: &'r [Prefix],
    /// Its settings.
    pub settings: SenderSettings,
}

/// Makes snapshots of the registered senders and publishes them.
#[derive(Default)]
pub struct Admission {
    admitted: Admitted,
    own: OwnNetworks,
}

impl Admission {
    /// The published snapshot, for shards to read.
    #[must_use]
    pub fn admitted(&self) -> Admitted {
        Arc::clone(&self.admitted)
    }

    /// Publishes the same senders with other own networks, unless these are the current ones. Returns whether they
    /// differ.
    pub fn set_own(&mut self, own: OwnNetworks) -> bool {
        if own == self.own {
            return false;
        }
        let with_own = |(address, registration): (&IpAddr, &Arc<Registration>)| {
            let Registration { monitored, settings } = Registration::clone(registration);
            (*address, Arc::new(Registration { monitored: monitored.with_own(own.clone()), settings }))
        };
        let snapshot: Snapshot = self.admitted.load().iter().map(with_own).collect();
        self.admitted.store(Arc::new(snapshot));
        self.own = own;
        true
    }

    /// Publishes a new snapshot if these senders, their monitored prefixes and settings differ from the current one.
    /// Returns whether they differ.
    pub fn update(&mut self, senders: &[Registered<'_>]) -> bool {
        let current = self.admitted.load();
        let unchanged = |sender: &Registered<'_>| {
            current.get(&sender.address).filter(|registration| registration.is(sender)).map(Arc::clone)
        };
        let unchanged: Vec<Option<Arc<Registration>>> = senders.iter().map(unchanged).collect();
        if senders.len() == current.len() && unchanged.iter().all(Option::is_some) {
            return false;
        }
        let mut unused = unused_ids(&unchanged);
        let mut snapshot = Snapshot::with_capacity(senders.len());
        for (Registered { address, prefixes, settings }, unchanged) in senders.iter().zip(unchanged) {
            let registration = unchanged.unwrap_or_else(|| {
                let groups: Vec<(Prefix, GroupId)> = prefixes.iter().copied().zip(unused.by_ref()).collect();
                let monitored = Monitored::new(*address, &groups).with_own(self.own.clone());
                Arc::new(Registration { monitored, settings: *settings })
            });
            snapshot.insert(*address, registration);
        }
        self.admitted.store(Arc::new(snapshot));
        true
    }
}

/// The ids that none of these has, the smallest first: ids stay dense however often prefixes come and go. An id may be
/// used again at once, while tallies still have counts of its last prefix: they keep those of different [`Monitored`]
/// apart.
fn unused_ids(senders: &[Option<Arc<Registration>>]) -> impl Iterator<Item = GroupId> + use<> {
    let used: HashSet<GroupId> = senders
        .iter()
        .flatten()
        .flat_map(|registration| registration.monitored.prefixes())
        .map(|(_, id)| *id)
        .collect();
    (0..).map(GroupId).filter(move |id| !used.contains(id))
}

impl Registration {
    /// Whether it has exactly these prefixes and settings.
    #[must_use]
    pub fn is(&self, Registered { address: _, prefixes, settings }: &Registered<'_>) -> bool {
        self.settings == *settings && self.monitored.prefixes().iter().map(|(prefix, _)| prefix).eq(*prefixes)
    }
}
