//! Restores the templates and sampling rates of the last run from the store, so that data can be decoded at once.
//!
//! The flusher writes them. A damaged value is logged and ignored; the next announcement of its sender replaces it.

use std::collections::HashMap;
use std::net::IpAddr;

use storage::Registry;
use storage::spool::Spool;
use wire::{PendingBudget, Session, SessionLimits};

/// Sessions with the announcements that the store has, and those still in the spool, which are newer. If the store is
/// unreachable, this is logged and sessions start empty.
pub async fn load(
    store: &dyn Registry,
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
