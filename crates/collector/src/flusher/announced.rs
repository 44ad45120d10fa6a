//! What senders have announced, on its way to the store: kept over a restart, so that data are read at once then.

use storage::StoreError;

use super::Flusher;

/// Of how many senders announcements are stored at once: usually a hundred kilobytes, megabytes at worst.
const ANNOUNCED_AT_ONCE: usize = 64;

impl Flusher {
    /// Of how many senders the store has not taken yet what they announced.
    #[must_use]
    pub fn unremembered(&self) -> usize {
        self.announced.len()
    }

    /// Stores what senders have announced. Of no weight for the totals either; but it may not be said again for long, so
    /// what the store does not take is put with the next flush.
    pub(super) async fn remember(&mut self) {
        while !self.announced.is_empty() {
            let some = self.announced.iter().take(ANNOUNCED_AT_ONCE);
            let some: Vec<_> = some.map(|(sender, announced)| (*sender, announced.clone())).collect();
            match self.store.put_templates(&some).await {
                Ok(()) => {}
                Err(error @ StoreError::Reject(_)) => {
                    tracing::warn!(%error, senders = some.len(), "templates are not kept: data wait for the next ones after a restart");
                }
                Err(error) => {
                    tracing::debug!(%error, senders = self.announced.len(), "templates are not kept yet");
                    return;
                }
            }
            for (sender, _) in &some {
                self.announced.remove(sender);
                if let Some(Err(error)) = self.spool.as_mut().map(|spool| spool.remembered(*sender)) {
                    tracing::debug!(%error, %sender, "templates are put again after the next start");
                }
            }
        }
    }
}
