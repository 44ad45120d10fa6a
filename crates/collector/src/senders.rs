//! Reads the registered senders from the store, for admission.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use flow::Prefix;
use pipeline::Admission;
use storage::{Registry, Store, StoreError};
use tokio::sync::Notify;

use crate::pulse::Pulse;

/// How long a sender registered through another collector may remain unknown to this one.
const REFRESH: Duration = Duration::from_secs(5);
/// A store that takes longer to list the senders is unreachable.
const PATIENCE: Duration = Duration::from_secs(30);

/// Admission with the currently registered senders.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &dyn Registry) -> Result<Admission, StoreError> {
    let mut admission = Admission::default();
    refresh(&mut admission, store).await?;
    Ok(admission)
}

/// Reads the senders again. When the store cannot be read, admission stays as it is.
async fn refresh(admission: &mut Admission, store: &dyn Registry) -> Result<(), StoreError> {
    let senders = store.senders().await?;
    let registered: Vec<(IpAddr, &[Prefix])> =
        senders.iter().map(|sender| (sender.address, sender.prefixes.as_slice())).collect();
    if admission.update(&registered) {
        tracing::info!(senders = senders.len(), "registered senders changed");
    }
    Ok(())
}

/// Reads the senders at each change made here, and every few seconds for changes made elsewhere. Never ends.
pub(crate) async fn keep_fresh(mut admission: Admission, store: Arc<dyn Store>, changed: Arc<Notify>, pulse: Pulse) {
    let _ending = pulse.ending();
    let mut reachable = true;
    loop {
        pulse.beat();
        // A timeout and a notification mean the same: read again.
        let _ = tokio::time::timeout(REFRESH, changed.notified()).await;
        let refreshed = tokio::time::timeout(PATIENCE, refresh(&mut admission, store.as_ref()));
        match refreshed.await.unwrap_or_else(|late| Err(StoreError::Retry(late.into()))) {
            Ok(()) => reachable = true,
            Err(error) if reachable => {
                tracing::warn!(%error, "cannot read the registered senders, keeping those of the last read");
                reachable = false;
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::{Memory, Registry};
    use tokio::time::Instant;

    use super::*;

    /// On tokio's paused clock, so that no machine is too slow for it.
    #[tokio::test(start_paused = true)]
    async fn a_registration_here_is_admitted_at_once_and_one_elsewhere_at_the_next_refresh() {
        let (store, changed) = (Arc::new(Memory::default()), Arc::new(Notify::new()));
        let admission = load(store.as_ref()).await.unwrap();
        let admitted = admission.admitted();
        let shared: Arc<dyn Store> = store.clone();
        tokio::spawn(keep_fresh(admission, shared, Arc::clone(&changed), Pulse::new("senders")));
        for (host, is_here) in [(1, true), (2, false)] {
            let begun = Instant::now();
            let prefixes = ["10.0.0.0/8".parse().unwrap()];
            store.add_prefixes(IpAddr::from([192, 0, 2, host]), &prefixes).await.unwrap();
            if is_here {
                changed.notify_one();
            }
            while admitted.load().len() < usize::from(host) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let took = begun.elapsed();
            assert_eq!(took >= Duration::from_millis(10), !is_here, "{took:?}");
            assert!(took <= REFRESH + Duration::from_millis(10), "{took:?}");
        }
    }
}
