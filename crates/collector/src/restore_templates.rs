//! What senders announced before this start, as the store keeps it: sessions that read the first data at once.
//!
//! Only this file reads it, the flusher writes it. A value that is damaged is reported and left aside; it is replaced
//! when its sender announces again, as the store is told of all that a session learns anew.

use std::collections::HashMap;
use std::net::IpAddr;

use storage::Store;
use storage::spool::Spool;
use wire::{PendingBudget, Session, SessionLimits};

/// Reads what is kept; what the spool has is newer, as the store has not taken it yet. The store's failure is reported and
/// costs only that nothing is remembered.
pub async fn load(
    store: &dyn Store,
    spool: Option<&Spool>,
    limits: SessionLimits,
    waiting: &PendingBudget,
) -> HashMap<IpAddr, Session> {
    let mut kept = store.templates().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the stored templates; data wait for the next announcement");
        Vec::new()
    });
    kept.extend(spool.map(Spool::announced).into_iter().flat_map(Result::unwrap_or_default));
    let mut sessions = HashMap::new();
    for (sender, announcements) in kept {
        let mut session = Session::with_budget(limits, waiting.clone());
        match session.learn(&announcements) {
            Ok(_) => drop(sessions.insert(sender, session)),
            Err(error) => {
                tracing::warn!(%sender, %error, "stored templates are damaged; data of this sender wait for the next announcement");
            }
        }
    }
    sessions
}
