//! Reads the registered senders from the store, for admission. Those of a store on the network are also known on this
//! machine's disk, for a start without the store, and for a store that has lost some (`remote`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use accounting::tally::OwnNetworks;
use arc_swap::ArcSwap;
use flow::{Networks, SenderName};
use pipeline::{Admission, Admitted, Registered, Rules};
use storage::known_senders::KnownSenders;
use storage::registrations::{Merged, OPERATOR, RegisteredBy, senders};
use storage::{InForce, LastTerms, Registry, Sender, Stated, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use view::NameSource;

use crate::acceptance::{Acceptance, Ranges};
use crate::certificate_names::CertificateNames;
use crate::known_names::KnownNames;
use crate::local::Local;
use crate::lock::locked;
use crate::origins::Origins;
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

/// The networks of the operator, as they are published.
pub type PublishedNetworks = Arc<ArcSwap<Networks>>;

/// The registered senders and networks as this collector knows them, published for admission.
pub struct Registrations {
    published: Published,
    /// As they were read last.
    listed: Vec<Sender>,
    store: Arc<dyn Store>,
    /// For a store on the network.
    remote: Option<Remote>,
    /// Without a file, nothing is noted.
    terms: Option<NotedTerms>,
    acceptance: Acceptance,
    /// Whether the last look found as many accepted routers as there may be.
    is_full: bool,
    status: Status,
}

impl Registrations {
    /// Those that the store lists now, or those that a store on the network listed last, with what is stated beside them.
    ///
    /// # Errors
    /// When a store on this machine cannot be read.
    pub async fn load(
        store: Arc<dyn Store>,
        local: Option<&Local>,
        stated: Arc<Stated>,
        status: Status,
    ) -> Result<Self, StoreError> {
        let listed = list_at_start(store.as_ref(), local, &status).await?;
        let mut published = Published { stated, ..Published::default() };
        published.publish(&listed);
        if let Some(local) = local.filter(|local| local.is_reachable) {
            warn_of_other_store(&published.admission, &local.senders);
        }
        let remote = local.map(|local| Remote::new(local.senders.clone(), status.clone()));
        let acceptance = Acceptance::default();
        Ok(Self { published, listed, store, remote, terms: None, acceptance, is_full: false, status })
    }

    /// The same, which also publishes the AS numbers of networks.
    #[must_use]
    pub fn publishing_to(mut self, origins: Origins) -> Self {
        self.published.origins = origins;
        self.published.publish_origins();
        self
    }

    /// The same, with routers that register themselves.
    #[must_use]
    pub(crate) fn accepting(self, acceptance: Acceptance) -> Self {
        let mut accepting = Self { acceptance, ..self };
        accepting.publish_acceptance();
        accepting
    }

    /// For the receiving threads.
    pub(crate) fn acceptance(&self) -> Acceptance {
        self.acceptance.clone()
    }

    /// How many routers were accepted.
    fn accepted(&self) -> usize {
        self.listed.iter().filter(|sender| sender.by == RegisteredBy::Acceptance).count()
    }

    /// Publishes which routers may register themselves.
    fn publish_acceptance(&mut self) {
        let Stated { accept, accept_limit, .. } = &*self.published.stated;
        let operator = self.listed.iter().find(|sender| sender.address == OPERATOR);
        let refused = operator.iter().flat_map(|operator| operator.refused.iter().copied()).collect();
        let accepted = self.accepted();
        let is_full = !accept.is_empty() && accepted >= *accept_limit;
        if is_full && !self.is_full {
            tracing::warn!(
                accepted,
                "no further router is accepted: senders.acceptLimit is reached; look for forged addresses in netflow senders, \
                 remove them or raise the limit"
            );
        }
        self.is_full = is_full;
        self.status.accepted((!accept.is_empty()).then_some((accepted, *accept_limit)));
        self.acceptance.set(Ranges { accepted: accept.clone(), refused }, !accept.is_empty() && !is_full);
    }

    /// Registers candidates, up to the limit.
    async fn accept(&mut self) -> Result<(), StoreError> {
        let candidates = self.acceptance.candidates();
        let room = self.published.stated.accept_limit.saturating_sub(self.accepted());
        let admitted = self.published.admission.admitted();
        let is_new = |address: &&IpAddr| !admitted.load().contains_key(address);
        let accepted: Vec<IpAddr> = candidates.iter().filter(is_new).take(room).copied().collect();
        for address in &accepted {
            let registering = self.store.register(*address, RegisteredBy::Acceptance);
            tokio::time::timeout(PATIENCE, registering).await.unwrap_or_else(late)?;
            tracing::info!("accepted the router {address}, which is in senders.accept");
        }
        if !accepted.is_empty() {
            self.refresh().await?;
        }
        self.acceptance.decided(&candidates);
        Ok(())
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
            terms.note(self.published.admission.admitted().load_full(), rules).await;
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
        self.published.admission.admitted()
    }

    /// The networks of the operator, for those who show them.
    #[must_use]
    pub fn networks(&self) -> PublishedNetworks {
        Arc::clone(&self.published.networks)
    }

    /// What routers are called, of which these are the configured names.
    pub(crate) fn names(&self) -> KnownNames {
        self.published.names.clone()
    }

    /// The names that certificates of senders must have.
    pub(crate) fn certificate_names(&self) -> CertificateNames {
        self.published.certificate_names.clone()
    }

    /// Publishes them with what is stated now.
    pub fn set_stated(&mut self, stated: &Arc<Stated>) {
        if !Arc::ptr_eq(stated, &self.published.stated) {
            self.published.stated = Arc::clone(stated);
            self.published.publish(&self.listed);
            self.publish_acceptance();
        }
    }

    /// Registers the senders that are stated and not in the store: it keeps what a registered one has announced, and the time of its
    /// last datagram.
    async fn register_stated(&self) -> Result<(), StoreError> {
        for address in self.published.stated.missing(&self.listed) {
            let registering = self.store.register(address, RegisteredBy::Configuration);
            tokio::time::timeout(PATIENCE, registering).await.unwrap_or_else(late)?;
        }
        Ok(())
    }

    /// Reads them again.
    ///
    /// # Errors
    /// When the store cannot be read; then they stay as they were read last.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        let store = store.as_ref();
        let reading = async {
            match &mut self.remote {
                Some(remote) => remote.read(store).await,
                None => store.senders().await,
            }
        };
        let senders = tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(late);
        self.status.read_senders(senders.is_ok());
        self.listed = senders?;
        self.published.publish(&self.listed);
        self.publish_acceptance();
        self.register_stated().await?;
        if let Some(remote) = &mut self.remote {
            remote.put_lost(store).await;
        }
        Ok(())
    }
}

/// The currently registered senders, or those that a store on the network listed last.
///
/// # Errors
/// When a store on this machine cannot be read.
async fn list_at_start(
    store: &dyn Registry,
    local: Option<&Local>,
    status: &Status,
) -> Result<Vec<Sender>, StoreError> {
    let Some(local) = local else { return store.senders().await };
    let reading = tokio::time::timeout(STORE_PATIENCE, store.registrations());
    if local.is_reachable
        && let Ok(Ok(stored)) = reading.await
    {
        // The first refresh stores again what the store has lost.
        let Merged { current, .. } = local.senders.merge(stored, SystemTime::now().into());
        return Ok(senders(&current));
    }
    status.read_senders(false);
    let senders = local.senders.senders();
    tracing::warn!(senders = senders.len(), "starting with the routers that the store listed last");
    Ok(senders)
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

/// Admission with the currently registered senders, and what is stated beside them.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &dyn Registry, stated: &Stated) -> Result<Admission, StoreError> {
    let mut published = Published { stated: Arc::new(stated.clone()), ..Published::default() };
    published.publish(&store.senders().await?);
    Ok(published.admission)
}

/// What is in force, for those who need it.
#[derive(Default)]
struct Published {
    stated: Arc<Stated>,
    admission: Admission,
    networks: PublishedNetworks,
    own: OwnNetworks,
    origins: Origins,
    names: KnownNames,
    certificate_names: CertificateNames,
}

impl Published {
    /// Addresses of networks with an AS have it from now on.
    fn publish_origins(&self) {
        let networks = self.networks.load();
        let with_as = networks.all().iter().filter_map(|network| Some((network.prefix, network.asn?)));
        self.origins.set_networks(&Arc::new(origin::Networks::new(with_as)));
    }

    /// Publishes what is in force with these registrations, if it differs from what was published last.
    fn publish(&mut self, listed: &[Sender]) {
        let InForce { senders, networks, own } = self.stated.with(listed.to_vec());
        let is_own_changed = self.own.prefixes() != own.as_deref();
        if is_own_changed {
            self.own = own.map_or_else(OwnNetworks::default, |own| OwnNetworks::stated(&own));
            tracing::info!("own networks changed");
        }
        if **self.networks.load() != networks {
            tracing::info!(networks = networks.all().len(), "networks changed");
            self.networks.store(Arc::new(networks));
            self.publish_origins();
        }
        let named = senders.iter().filter_map(|sender| Some((sender.address, sender.name.clone()?)));
        self.names.replace(NameSource::Configured, &named.collect::<HashMap<IpAddr, SenderName>>());
        let named = senders.iter().filter_map(|sender| Some((sender.address, sender.certificate_name.clone()?)));
        self.certificate_names.replace(named.collect());
        // A registry that another program writes to may have it. No datagram has such a source address.
        let (refused, senders): (Vec<&Sender>, Vec<&Sender>) =
            senders.iter().partition(|sender| sender.address.is_unspecified());
        let registered = senders.iter().map(|sender| Registered {
            address: sender.address,
            prefixes: &sender.prefixes,
            settings: sender.settings,
        });
        let registered: Vec<Registered<'_>> = registered.collect();
        let is_changed = self.admission.update(&registered, &self.own);
        if is_changed && !is_own_changed {
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
    }
}

/// Reads the senders at each change made here, and every few seconds for changes made elsewhere. Never ends. What is
/// stated is that of `current`.
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
        let (stated, rules) = {
            let current = locked(&current);
            (Arc::clone(&current.stated), current.rules)
        };
        registrations.set_stated(&stated);
        let refreshed = pulse.during(registrations.refresh()).await;
        let refreshed = match refreshed {
            Ok(()) => pulse.during(registrations.accept()).await,
            Err(error) => Err(error),
        };
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
    use storage::{Memory, Registry};
    use tokio::time::Instant;

    use super::*;

    /// On tokio's paused clock, so that no machine is too slow for it.
    #[tokio::test(start_paused = true)]
    async fn a_registration_here_is_admitted_at_once_and_one_elsewhere_at_the_next_refresh() {
        let (store, changed) = (Arc::new(Memory::default()), Arc::new(Notify::new()));
        let current = Arc::new(Mutex::new(crate::settings::reloadable()));
        let shared: Arc<dyn Store> = store.clone();
        let registrations = Registrations::load(shared, None, Arc::default(), Status::default()).await.unwrap();
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
        let admitted = load(&store, &Stated::default()).await.unwrap().admitted().load_full();
        assert_eq!(admitted.keys().collect::<Vec<_>>(), [&IpAddr::from([192, 0, 2, 1])]);
    }
}
