//! Registrations, their settings and those of the collector change, in a running collector and while none runs.

use std::num::NonZeroU32;

use flow::sender_settings::{FlowDirection, NatAddresses};
use flow::{Prefix, Setting};

use super::*;
use crate::terms::{OWN_NETWORKS, Registered, Registration, Settings, Terms};

/// Registrations and settings, and how they change.
pub(super) struct Changes {
    random: Random,
    /// Whether there are any.
    pub(super) are_made: bool,
    exporters: usize,
    /// Settings in the configuration.
    pub(super) settings: Settings,
    /// What the store has.
    pub(super) registered: Registered,
    /// What the collector has read of it.
    admitted: Registered,
    /// What it has saved of it for a start without the store: now, and in the backup of the database.
    pub(super) known: Registered,
    pub(super) known_in_backup: Registered,
}

impl Changes {
    /// First, all exporters are registered with the same prefix.
    pub(super) fn new(seed: u64, exporters: usize) -> Self {
        let mut random = Random::new(seed.rotate_left(16));
        let [first, _] = prefixes();
        Self {
            are_made: random.once_in(2),
            random,
            exporters,
            settings: Settings::default(),
            registered: (0..exporters).map(|which| (which, with_prefix(first))).collect(),
            admitted: Registered::new(),
            known: Registered::new(),
            known_in_backup: Registered::new(),
        }
    }

    /// Whether there is one now.
    pub(super) fn is_due(&mut self, once_in: u64) -> bool {
        self.are_made && self.random.once_in(once_in)
    }

    /// The database was lost, and a new one put in its place, or the backup.
    pub(super) fn lose_known(&mut self, is_restored: bool) {
        self.known = if is_restored { self.known_in_backup.clone() } else { Registered::new() };
    }

    /// Changes what is registered for an exporter, and returns its index.
    fn register(&mut self) -> usize {
        let removed = (0..self.exporters).find(|which| !self.registered.contains_key(which));
        let which = removed.filter(|_| self.random.once_in(2)).unwrap_or_else(|| self.random.index(self.exporters));
        let prefix = *self.random.pick(&prefixes());
        match self.registered.get_mut(&which) {
            None => drop(self.registered.insert(which, with_prefix(prefix))),
            Some(_) if self.random.once_in(6) => drop(self.registered.remove(&which)),
            Some(registration) if self.random.once_in(2) => registration.settings.set(setting(&mut self.random)),
            Some(Registration { prefixes, .. }) if prefixes.contains(&prefix) => drop(prefixes.remove(&prefix)),
            Some(Registration { prefixes, .. }) => drop(prefixes.insert(prefix)),
        }
        which
    }

    fn set(&mut self) {
        let clock_limit = Duration::from_secs(*self.random.pick(&[100, 600, 7200]));
        let own = *self.random.pick(&OWN_NETWORKS);
        self.settings = Settings { multiplies: self.random.once_in(2), clock_limit, own };
    }
}

fn with_prefix(prefix: Prefix) -> Registration {
    Registration { prefixes: [prefix].into(), ..Registration::default() }
}

/// A setting of a sender that matters to what exporters send.
fn setting(random: &mut Random) -> Setting {
    let directions = [FlowDirection::Both, FlowDirection::Ingress, FlowDirection::Egress];
    match random.below(3) {
        0 => Setting::SamplingRate(NonZeroU32::new(*random.pick(&[0, 1, 7, 1000]))),
        1 => Setting::FlowDirection(*random.pick(&directions)),
        _ => Setting::NatAddresses(*random.pick(&[NatAddresses::Reported, NatAddresses::Inside])),
    }
}

impl World {
    /// Changes the registrations or the settings, if this run does.
    pub(super) async fn may_change(&mut self, once_in: u64) {
        if self.changes.is_due(once_in) {
            if self.changes.random.once_in(3) { self.change_settings() } else { self.change_registrations().await }
        }
    }

    /// A router or a prefix is registered or removed, or a setting changed, here or through another collector.
    pub(super) async fn change_registrations(&mut self) {
        let which = self.changes.register();
        self.story.push(format!("registered: {which} {:?}", self.changes.registered.get(&which)));
        self.register().await;
        if self.process.is_some() && !self.changes.random.once_in(3) {
            self.refresh().await;
        }
    }

    /// Makes the store have what is registered.
    pub(super) async fn register(&self) {
        let embedded = matches!(self.stored, Stored::Embedded).then(|| self.store());
        let store = match (&self.stored, &embedded) {
            (Stored::Remote(store), _) => store.inner() as &dyn Store,
            (_, store) => store.as_deref().unwrap(),
        };
        for exporter in [totals::EXPORTER, connections::EXPORTER] {
            store.add_prefixes(exporter, &prefixes()[..1]).await.unwrap();
        }
        for (which, exporter) in self.exporters.iter().enumerate() {
            let address = exporter.address.address;
            let Some(wanted) = self.changes.registered.get(&which) else {
                store.remove_sender(address).await.unwrap();
                continue;
            };
            let Registration { prefixes: wanted, settings } = wanted;
            let (wanted, others): (Vec<_>, Vec<_>) = prefixes().into_iter().partition(|it| wanted.contains(it));
            store.add_prefixes(address, &wanted).await.unwrap();
            store.remove_prefixes(address, &others).await.unwrap();
            store.set(address, &settings.all()).await.unwrap();
        }
    }

    /// The collector reads the registrations, as it does every few seconds.
    pub(super) async fn refresh(&mut self) {
        if self.process().registrations.refresh().await.is_ok() {
            self.changes.known = self.changes.registered.clone();
            self.admits(self.changes.registered.clone());
        }
    }

    /// The collector counts by these registrations from now on.
    pub(super) fn admits(&mut self, registered: Registered) {
        self.changes.admitted = registered;
        for which in 0..self.exporters.len() {
            let registration = self.changes.admitted.get(&which).cloned();
            self.oracle.counts_by(which, Terms { registration, settings: self.changes.settings });
        }
    }

    /// The settings are edited and, if a collector runs, reloaded.
    fn change_settings(&mut self) {
        self.changes.set();
        self.story.push(format!("{:?}", self.changes.settings));
        if let Some(process) = &mut self.process {
            process.registrations.set_stated(&self.changes.settings.stated());
            for shard in &process.shards {
                shard.lock().unwrap_or_else(PoisonError::into_inner).set_rules(rules(self.changes.settings));
            }
            self.admits(self.changes.admitted.clone());
        }
    }
}
