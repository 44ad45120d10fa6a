//! Reads the registered senders from the store, for admission.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use flow::Prefix;
use pipeline::Admission;
use storage::{Store, StoreError};
use tokio::sync::Notify;

/// How long a sender that was registered through another collector may stay unknown to this one.
const REFRESH: Duration = Duration::from_secs(5);

/// Admission of the senders that are registered now.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &dyn Store) -> Result<Admission, StoreError> {
    let mut admission = Admission::default();
    refresh(&mut admission, store).await?;
    Ok(admission)
}

/// Reads the senders again. When the store cannot be read, admission stays as it is.
async fn refresh(admission: &mut Admission, store: &dyn Store) -> Result<(), StoreError> {
    let senders = store.senders().await?;
    let registered: Vec<(IpAddr, &[Prefix])> =
        senders.iter().map(|sender| (sender.address, sender.prefixes.as_slice())).collect();
    if admission.update(&registered) {
        tracing::info!(senders = senders.len(), "registered senders changed");
    }
    Ok(())
}

/// Reads the senders at each change made here, and every few seconds for changes made elsewhere. Never ends.
pub(crate) async fn keep_fresh(mut admission: Admission, store: Arc<dyn Store>, changed: Arc<Notify>) {
    let mut reachable = true;
    loop {
        // A timeout and a notification mean the same: read again.
        let _ = tokio::time::timeout(REFRESH, changed.notified()).await;
        match refresh(&mut admission, store.as_ref()).await {
            Ok(()) => reachable = true,
            Err(error) if reachable => {
                tracing::warn!(%error, "cannot read the registered senders, keeping those of the last read");
                reachable = false;
            }
            Err(_) => {}
        }
    }
}
