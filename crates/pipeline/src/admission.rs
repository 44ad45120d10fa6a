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

    /// Publishes a new snapshot if these senders, their monitored prefixes and settings, or the own networks differ from the
    /// current ones. Returns whether they differ.
    pub fn update(&mut self, senders: &[Registered<'_>], own: &OwnNetworks) -> bool {
        let is_own_changed = *own != self.own;
        self.own.clone_from(own);
        let current = self.admitted.load();
        let kept = |sender: &Registered<'_>| {
            let kept = current.get(&sender.address).filter(|registration| registration.is(sender))?;
            Some(if is_own_changed { Arc::new(kept.with_own(own)) } else { Arc::clone(kept) })
        };
        let kept: Vec<Option<Arc<Registration>>> = senders.iter().map(kept).collect();
        if !is_own_changed && senders.len() == current.len() && kept.iter().all(Option::is_some) {
            return false;
        }
        let mut unused = unused_ids(&kept);
        let mut snapshot = Snapshot::with_capacity(senders.len());
        for (Registered { address, prefixes, settings }, kept) in senders.iter().zip(kept) {
            let registration = kept.unwrap_or_else(|| {
                let groups: Vec<(Prefix, GroupId)> = prefixes.iter().copied().zip(unused.by_ref()).collect();
                let monitored = Monitored::new(*address, &groups).with_own(own.clone());
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
    fn with_own(&self, own: &OwnNetworks) -> Self {
        Self { monitored: self.monitored.clone().with_own(own.clone()), settings: self.settings }
    }

    /// Whether it has exactly these prefixes and settings.
    #[must_use]
    pub fn is(&self, Registered { address: _, prefixes, settings }: &Registered<'_>) -> bool {
        self.settings == *settings && self.monitored.prefixes().iter().map(|(prefix, _)| prefix).eq(*prefixes)
    }
}
