//! Announcements of senders on their way to the store, which keeps them so that data can be decoded at once after a restart.

use std::collections::BTreeMap;
use std::net::IpAddr;

use storage::spool::Spool;
use storage::{Registry, StoreError};

/// Announcements of this many senders are stored with one call: usually a hundred kilobytes, megabytes at worst.
const SENDERS_AT_ONCE: usize = 64;

/// Announcements that the store has not accepted yet, by sender. Newer ones replace older ones.
#[derive(Default)]
pub(super) struct Announcements(BTreeMap<IpAddr, Vec<u8>>);

impl Announcements {
    /// Those that an earlier process left in the spool.
    pub(super) fn left_in(spool: &Spool) -> Result<Self, StoreError> {
        Ok(Self(spool.announced()?.into_iter().collect()))
    }

    /// The number of senders with announcements.
    pub(super) fn senders(&self) -> usize {
        self.0.len()
    }

    /// Adds those of a flush. A store on the network removes by itself what senders had announced that were removed.
    pub(super) fn extend(&mut self, announced: &[(IpAddr, Vec<u8>)]) {
        self.0.extend(announced.iter().cloned());
        self.0.retain(|_, announcements| !announcements.is_empty());
    }

    /// Stores all of them. Totals do not depend on it; but exporters may not announce again for long, so rejected ones
    /// are put with the next flush.
    pub(super) async fn put(&mut self, store: &dyn Registry, mut spool: Option<&mut Spool>) {
        while !self.0.is_empty() {
            let some = self.0.iter().take(SENDERS_AT_ONCE);
            let some: Vec<_> = some.map(|(sender, announced)| (*sender, announced.clone())).collect();
            match store.put_templates(&some).await {
                Ok(()) => {}
                Err(error @ StoreError::Reject(_)) => {
                    tracing::warn!(%error, senders = some.len(), "the store refuses templates: after a restart, data wait for the next announcement");
                }
                Err(error) => {
                    tracing::debug!(%error, senders = self.0.len(), "templates are not stored yet");
                    return;
                }
            }
            for (sender, _) in &some {
                self.0.remove(sender);
                if let Some(Err(error)) = spool.as_deref_mut().map(|spool| spool.remembered(*sender)) {
                    tracing::debug!(%error, %sender, "these templates are stored again after the next start");
                }
            }
        }
    }
}
