//! The registered senders, as an immutable snapshot that shards read with one load for each datagram.
//!
//! This file does not read the store: the collector reads the registry and passes its content.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use accounting::tally::{GroupId, Monitored};
use arc_swap::ArcSwap;
use flow::Prefix;

/// The registered senders at one moment, by address.
pub type Snapshot = HashMap<IpAddr, Arc<Monitored>>;

/// The current snapshot, shared with all shards.
pub type Admitted = Arc<ArcSwap<Snapshot>>;

/// Makes snapshots of the registered senders and publishes them.
#[derive(Default)]
pub struct Admission {
    admitted: Admitted,
}

impl Admission {
    /// The published snapshot, for shards to read.
    #[must_use]
    pub fn admitted(&self) -> Admitted {
        Arc::clone(&self.admitted)
    }

    /// Publishes a new snapshot if these senders and their monitored prefixes differ from the current one. Returns
    /// whether they differ.
    pub fn update(&mut self, senders: &[(IpAddr, &[Prefix])]) -> bool {
        let current = self.admitted.load();
        let unchanged = |(address, prefixes): &(IpAddr, &[Prefix])| {
            current.get(address).filter(|monitored| is_monitored(monitored, prefixes)).map(Arc::clone)
        };
        let unchanged: Vec<Option<Arc<Monitored>>> = senders.iter().map(unchanged).collect();
        if senders.len() == current.len() && unchanged.iter().all(Option::is_some) {
            return false;
        }
        let mut unused = unused_ids(&unchanged);
        let mut snapshot = Snapshot::with_capacity(senders.len());
        for ((address, prefixes), unchanged) in senders.iter().zip(unchanged) {
            let monitored = unchanged.unwrap_or_else(|| {
                let groups: Vec<(Prefix, GroupId)> = prefixes.iter().copied().zip(unused.by_ref()).collect();
                Arc::new(Monitored::new(*address, &groups))
            });
            snapshot.insert(*address, monitored);
        }
        self.admitted.store(Arc::new(snapshot));
        true
    }
}

/// The ids that none of these has, the smallest first: ids stay dense however often prefixes come and go. An id may be
/// used again at once, while tallies still have counts of its last prefix: they keep those of different [`Monitored`]
/// apart.
fn unused_ids(senders: &[Option<Arc<Monitored>>]) -> impl Iterator<Item = GroupId> + use<> {
    let used: HashSet<GroupId> =
        senders.iter().flatten().flat_map(|monitored| monitored.prefixes()).map(|(_, id)| *id).collect();
    (0..).map(GroupId).filter(move |id| !used.contains(id))
}

/// Whether exactly these prefixes are monitored.
fn is_monitored(monitored: &Monitored, prefixes: &[Prefix]) -> bool {
    monitored.prefixes().iter().map(|(prefix, _)| prefix).eq(prefixes)
}
