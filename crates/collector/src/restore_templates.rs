//! Restores the templates and sampling rates of the last run from the store, so that data can be decoded at once.
//!
//! The flusher writes them. A damaged value is logged and ignored; the next announcement of its sender replaces it.

use std::collections::HashMap;
use std::net::IpAddr;

use storage::spool::Spool;
use storage::{Registry, StoreError};
use wire::{PendingBudget, Session, SessionLimits};

use crate::local::Local;
use crate::senders::{STORE_PATIENCE, late};

/// Sessions with the announcements that the store has, and with those that it has not taken yet, which are newer. If the store
/// does not have those of a sender, or is unreachable, with what this collector has heard: the journal may have data of a
/// sender that was removed. Data of other senders wait for their next announcement.
pub async fn load(
    store: &dyn Registry,
    local: Option<&Local>,
    limits: SessionLimits,
    waiting: &PendingBudget,
) -> HashMap<IpAddr, Session> {
    let in_spool = |announced: fn(&Spool) -> Result<Vec<_>, StoreError>| {
        local.map(|local| announced(&local.spool)).into_iter().flat_map(Result::unwrap_or_default)
    };
    let mut known: Vec<(IpAddr, Vec<u8>)> = in_spool(Spool::all_announced).collect();
    if local.is_none_or(|local| local.is_reachable) {
        match tokio::time::timeout(STORE_PATIENCE, store.templates()).await.unwrap_or_else(late) {
            Ok(templates) => known.extend(templates.into_iter().chain(in_spool(Spool::announced))),
            Err(error) => tracing::warn!(%error, "cannot read the stored templates"),
        }
    }
    let mut sessions = HashMap::new();
    for (sender, announcements) in known {
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
