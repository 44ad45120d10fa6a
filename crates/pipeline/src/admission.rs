//! The registered senders, as an immutable snapshot that shards read with one load for each datagram.
//!
//! This file does not read the store: the collector reads the registry and passes its content.

use std::collections::HashMap;
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
    groups: HashMap<(IpAddr, Prefix), GroupId>,
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
        if senders.len() == current.len() && senders.iter().all(|sender| unchanged(sender).is_some()) {
            return false;
        }
        let mut snapshot = Snapshot::with_capacity(senders.len());
        for sender in senders {
            let monitored = unchanged(sender).unwrap_or_else(|| Arc::new(self.monitored(sender)));
            snapshot.insert(sender.0, monitored);
        }
        self.admitted.store(Arc::new(snapshot));
        true
    }

    fn monitored(&mut self, (address, prefixes): &(IpAddr, &[Prefix])) -> Monitored {
        let groups: Vec<(Prefix, GroupId)> = prefixes
            .iter()
            .map(|prefix| {
                let next = GroupId(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
                (*prefix, *self.groups.entry((*address, *prefix)).or_insert(next))
            })
            .collect();
        Monitored::new(*address, &groups)
    }
}

/// Whether exactly these prefixes are monitored.
fn is_monitored(monitored: &Monitored, prefixes: &[Prefix]) -> bool {
    monitored.prefixes().iter().map(|(prefix, _)| prefix).eq(prefixes)
}
