//! What a collector knows of the registrations of a store on the network, compared with what the store has.

use std::time::SystemTime;

use storage::known_senders::KnownSenders;
use storage::registrations::{Differences, Merged, senders};
use storage::{Registrations, Sender, Store, StoreError};

use crate::status::Status;

/// What is known of the registrations of a store on the network.
pub(crate) struct Remote {
    known: KnownSenders,
    status: Status,
    lost: Registrations,
    differences: Differences,
    is_failing: bool,
}

impl Remote {
    pub(crate) fn new(known: KnownSenders, status: Status) -> Self {
        let (lost, differences) = (Registrations::new(), Differences::default());
        Self { known, status, lost, differences, is_failing: false }
    }

    /// The registered senders, those that the store has lost among them.
    pub(crate) async fn read(&mut self, store: &dyn Store) -> Result<Vec<Sender>, StoreError> {
        let now = SystemTime::now().into();
        let Merged { current, lost, differences } = self.known.merge(store.registrations().await?, now);
        (self.lost, self.differences) = (lost, differences);
        let registered = senders(&current);
        if let Err(error) = self.known.confirm(current, now).await {
            tracing::warn!(%error, "cannot save the registered routers for a start without the store");
        }
        Ok(registered)
    }

    /// Stores again what the store has lost; after a failure the next reading finds it again.
    pub(crate) async fn put_lost(&mut self, store: &dyn Store) {
        if self.lost.is_empty() {
            return;
        }
        match store.put_registrations(&self.lost).await {
            Ok(()) => {
                self.is_failing = false;
                self.report();
            }
            Err(error) if !self.is_failing => {
                tracing::warn!(%error, "cannot store again the registrations that the store has lost, retrying");
                self.is_failing = true;
            }
            Err(_) => {}
        }
    }

    fn report(&self) {
        if self.differences.sum() == 0 {
            return;
        }
        let Differences { senders: routers, prefixes, removed } = self.differences;
        self.status.restored(self.differences.sum());
        tracing::warn!(
            routers,
            prefixes,
            removed,
            "the store had lost registrations, as one that restarts without its data or from an older copy: stored again"
        );
    }
}
