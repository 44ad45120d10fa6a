//! Reads the registered senders from the store, for admission. Those of a store on the network are also known on this
//! machine's disk, for a start without the store, and for a store that has lost some (`remote`).

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use accounting::tally::OwnNetworks;
use pipeline::{Admission, Admitted, Registered, Rules};
use storage::known_senders::KnownSenders;
use storage::registrations::{Merged, senders};
use storage::{LastTerms, Registry, Sender, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;

use crate::local::Local;
use crate::lock::locked;
use crate::pulse::Pulse;
use crate::remarks::NotedTerms;
use crate::remote::Remote;
use crate::settings::Reloadable;
use crate::status::Status;

/// How long a sender registered through another collector may remain unknown to this one.
const REFRESH: Duration = Duration::from_secs(5);
/// A store that takes longer to list the senders is unreachable.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store on the network that takes longer than this is unreachable at a start.
pub const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// The registered senders as this collector knows them, published for admission.
pub struct Registrations {
    admission: Admission,
    store: Arc<dyn Store>,
    /// For a store on the network.
    remote: Option<Remote>,
    /// Without a file, nothing is noted.
    terms: Option<NotedTerms>,
    status: Status,
}

impl Registrations {
    /// Those that the store lists now, or those that a store on the network listed last.
    ///
    /// # Errors
    /// When a store on this machine cannot be read.
    pub async fn load(
        store: Arc<dyn Store>,
        local: Option<&Local>,
        own: &OwnNetworks,
        status: Status,
    ) -> Result<Self, StoreError> {
        let admission = load_at_start(store.as_ref(), local, own, &status).await?;
        let remote = local.map(|local| Remote::new(local.senders.clone(), status.clone()));
        Ok(Self { admission, store, remote, terms: None, status })
    }

    /// The same, compared with the terms of an earlier run.
    ///
    /// # Errors
    /// When these cannot be read.
    pub async fn noting(self, last: Option<LastTerms>, rules: Rules) -> Result<Self, StoreError> {
        let Some(last) = last else { return Ok(self) };
        let terms = NotedTerms::new(last, self.remote.is_some()).await?;
        let mut noting = Self { terms: Some(terms), ..self };
        noting.note(rules).await;
        Ok(noting)
    }

    /// Notes by which terms senders are counted now.
    async fn note(&mut self, rules: Rules) {
        if let Some(terms) = &mut self.terms {
            terms.note(self.admission.admitted().load_full(), rules).await;
        }
    }

    /// Stores remarks also in a store on the network.
    async fn send_remarks(&mut self) {
        if let Some(terms) = &mut self.terms {
            // Too late is tried again.
            let _ = tokio::time::timeout(PATIENCE, terms.send(self.store.as_ref())).await;
        }
    }

    /// For the shards.
    #[must_use]
    pub fn admitted(&self) -> Admitted {
        self.admission.admitted()
    }

    /// Publishes them with these own networks from now on.
    pub fn set_own(&mut self, own: OwnNetworks) {
        if self.admission.set_own(own) {
            tracing::info!("own networks changed");
        }
    }

    /// Reads them again.
    ///
    /// # Errors
    /// When the store cannot be read; then they stay as they were read last.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        let store = self.store.as_ref();
        let reading = async {
            match &mut self.remote {
                Some(remote) => remote.read(store).await,
                None => store.senders().await,
            }
        };
        let senders = tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(late);
        self.status.read_senders(senders.is_ok());
        publish(&mut self.admission, &senders?);
        if let Some(remote) = &mut self.remote {
            remote.put_lost(store).await;
        }
        Ok(())
    }
}

/// Admission with the currently registered senders, or with those that a store on the network listed last.
///
/// # Errors
/// When a store on this machine cannot be read.
async fn load_at_start(
    store: &dyn Registry,
    local: Option<&Local>,
    own: &OwnNetworks,
    status: &Status,
) -> Result<Admission, StoreError> {
    let Some(local) = local else { return load(store, own.clone()).await };
    let mut admission = Admission::default();
    admission.set_own(own.clone());
    let reading = tokio::time::timeout(STORE_PATIENCE, store.registrations());
    if local.is_reachable
        && let Ok(Ok(stored)) = reading.await
    {
        // The first refresh stores again what the store has lost.
        let Merged { current, .. } = local.senders.merge(stored, SystemTime::now().into());
        publish(&mut admission, &senders(&current));
        warn_of_other_store(&admission, &local.senders);
        return Ok(admission);
    }
    status.read_senders(false);
    let senders = local.senders.senders();
    publish(&mut admission, &senders);
    tracing::warn!(senders = senders.len(), "starting with the routers that the store listed last");
    Ok(admission)
}

/// Another namespace or keyspace is another store: its routers are not those of the former one.
fn warn_of_other_store(admission: &Admission, known: &KnownSenders) {
    let senders = known.of_other_stores();
    if senders > 0 && admission.admitted().load().is_empty() {
        tracing::warn!(
            senders,
            "no router is registered in this store, but in the one used before: copy it (netflow store copy) or register \
             them again"
        );
    }
}

/// The error of a store that did not answer in time.
pub(crate) fn late<T>(elapsed: Elapsed) -> Result<T, StoreError> {
    Err(StoreError::Retry(elapsed.into()))
}

/// Admission with the currently registered senders.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &dyn Registry, own: OwnNetworks) -> Result<Admission, StoreError> {
    let mut admission = Admission::default();
    admission.set_own(own);
    publish(&mut admission, &store.senders().await?);
    Ok(admission)
}

/// Returns whether this changed the admitted senders.
fn publish(admission: &mut Admission, senders: &[Sender]) -> bool {
    // A registry that another program writes to may have it. No datagram has such a source address.
    let (refused, senders): (Vec<&Sender>, Vec<&Sender>) =
        senders.iter().partition(|sender| sender.address.is_unspecified());
    let registered = senders.iter().map(|sender| Registered {
        address: sender.address,
        prefixes: &sender.prefixes,
        settings: sender.settings,
    });
    let registered: Vec<Registered<'_>> = registered.collect();
    let is_changed = admission.update(&registered);
    if is_changed {
        tracing::info!(senders = senders.len(), "registered senders changed");
        for Sender { address, .. } in refused {
            tracing::warn!(
                "ignoring the registered sender {address}, which is no source address of datagrams: remove it"
            );
        }
    }
    if is_changed && senders.is_empty() {
        tracing::warn!("no router is registered any more: all datagrams are unregistered");
    }
    is_changed
}

/// Reads the senders at each change made here, and every few seconds for changes made elsewhere. Never ends. Own networks are
/// those of `current`.
pub(crate) async fn keep_fresh(
    mut registrations: Registrations,
    current: Arc<Mutex<Reloadable>>,
    changed: Arc<Notify>,
    pulse: Pulse,
) {
    let _ending = pulse.ending();
    let mut reachable = true;
    loop {
        pulse.beat();
        let (own, rules) = {
            let current = locked(&current);
            (current.own_networks.clone(), current.rules)
        };
        registrations.set_own(own);
        let refreshed = pulse.during(registrations.refresh()).await;
        pulse.during(registrations.note(rules)).await;
        match refreshed {
            Ok(()) => {
                reachable = true;
                pulse.during(registrations.send_remarks()).await;
            }
            Err(error) if reachable => {
                tracing::warn!(%error, "cannot read the registered senders, keeping those of the last read");
                reachable = false;
            }
            Err(_) => {}
        }
        // A timeout and a notification mean the same: read again.
        let _ = tokio::time::timeout(REFRESH, changed.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use storage::{Memory, Registry};
    use tokio::time::Instant;

    use super::*;

    /// On tokio's paused clock, so that no machine is too slow for it.
    #[tokio::test(start_paused = true)]
    async fn a_registration_here_is_admitted_at_once_and_one_elsewhere_at_the_next_refresh() {
        let (store, changed) = (Arc::new(Memory::default()), Arc::new(Notify::new()));
        let current = Arc::new(Mutex::new(crate::settings::reloadable()));
        let shared: Arc<dyn Store> = store.clone();
        let own = OwnNetworks::default();
        let registrations = Registrations::load(shared, None, &own, Status::default()).await.unwrap();
        let admitted = registrations.admitted();
        tokio::spawn(keep_fresh(registrations, current, Arc::clone(&changed), Pulse::new("senders")));
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

    #[tokio::test]
    async fn a_sender_without_an_address_is_not_admitted_from_any_registry() {
        let store = Memory::default();
        for address in ["0.0.0.0", "::", "192.0.2.1"] {
            store.add_prefixes(address.parse().unwrap(), &["10.0.0.0/8".parse().unwrap()]).await.unwrap();
        }
        let admitted = load(&store, OwnNetworks::default()).await.unwrap().admitted().load_full();
        assert_eq!(admitted.keys().collect::<Vec<_>>(), [&IpAddr::from([192, 0, 2, 1])]);
    }
}
