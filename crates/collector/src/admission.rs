//! Which senders are registered. Shards read an immutable snapshot; only this file asks the store.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::tally::{GroupId, Monitored};
use arc_swap::ArcSwap;
use flow::Prefix;
use storage::{Sender, Store, StoreError};
use tokio::sync::Notify;

/// How long a sender that was registered through another collector may stay unknown to this one.
const REFRESH: Duration = Duration::from_secs(5);

/// The registered senders at one moment, by their address.
pub type Snapshot = HashMap<IpAddr, Arc<Monitored>>;

/// The current snapshot, shared with all shards.
pub type Admitted = Arc<ArcSwap<Snapshot>>;

/// Keeps the snapshot true to the store.
pub struct Admission {
    admitted: Admitted,
    groups: HashMap<(IpAddr, Prefix), GroupId>,
}

impl Admission {
    /// Reads the senders for the first time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut admission = Self { admitted: Admitted::default(), groups: HashMap::new() };
        admission.refresh(store).await?;
        Ok(admission)
    }

    /// The snapshot, for shards to read.
    #[must_use]
    pub fn admitted(&self) -> Admitted {
        Arc::clone(&self.admitted)
    }

    /// Reads the senders again and publishes a new snapshot when their registration has changed.
    ///
    /// # Errors
    /// When the store cannot be read; the snapshot stays as it was.
    pub async fn refresh(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let senders = store.senders().await?;
        let current = self.admitted.load();
        let is_current = |s: &Sender| current.get(&s.address).is_some_and(|monitored| matches(monitored, s));
        if senders.len() == current.len() && senders.iter().all(is_current) {
            return Ok(());
        }
        let mut snapshot = Snapshot::with_capacity(senders.len());
        for sender in &senders {
            let monitored = match current.get(&sender.address) {
                Some(monitored) if matches(monitored, sender) => Arc::clone(monitored),
                _ => Arc::new(self.monitored(sender)),
            };
            snapshot.insert(sender.address, monitored);
        }
        tracing::info!(senders = snapshot.len(), "senders read from the store");
        self.admitted.store(Arc::new(snapshot));
        Ok(())
    }

    fn monitored(&mut self, sender: &Sender) -> Monitored {
        let groups: Vec<(Prefix, GroupId)> = sender
            .prefixes
            .iter()
            .map(|prefix| {
                let next = GroupId(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
                (*prefix, *self.groups.entry((sender.address, *prefix)).or_insert(next))
            })
            .collect();
        Monitored::new(sender.address, &groups)
    }

    /// Refreshes at each change made here, and every few seconds for changes made elsewhere. Never ends.
    pub async fn keep_fresh(mut self, store: Arc<dyn Store>, changed: Arc<Notify>) {
        let mut reachable = true;
        loop {
            // Either way it is time to look again.
            let _ = tokio::time::timeout(REFRESH, changed.notified()).await;
            match self.refresh(store.as_ref()).await {
                Ok(()) => reachable = true,
                Err(error) if reachable => {
                    tracing::warn!(%error, "cannot read the senders; going on with those that are known");
                    reachable = false;
                }
                Err(_) => {}
            }
        }
    }
}

/// Whether exactly the sender's prefixes are monitored.
fn matches(monitored: &Monitored, sender: &Sender) -> bool {
    monitored.prefixes().iter().map(|(prefix, _)| prefix).eq(&sender.prefixes)
}
