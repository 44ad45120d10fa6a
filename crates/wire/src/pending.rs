//! Data sets that arrived before their template. They are queued, within limits of octets and time, and decoded as soon as
//! the template arrives: over UDP templates get lost, and an exporter repeats them only after minutes.
//!
//! If there is no room, the new set is refused and the queued ones stay: their templates will arrive sooner.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::template_store::TemplateKey;

/// Octets that a pending set is charged in addition to its content. Queues and tables double their room when it is used
/// up, and exist twice while they do.
const OVERHEAD: usize = 3 * size_of::<PendingSet>() + 32;

/// The octets that may be pending in all sessions that share the budget.
#[derive(Clone, Debug)]
pub struct PendingBudget {
    limit: usize,
    free: Arc<AtomicUsize>,
}

impl PendingBudget {
    /// A budget of this many octets.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self { limit: octets, free: Arc::new(AtomicUsize::new(octets)) }
    }

    /// Free octets.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Octets in all.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    fn take(&self, octets: usize) -> bool {
        self.free.try_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(octets)).is_ok()
    }

    fn give_back(&self, octets: usize) {
        self.free.fetch_add(octets, Ordering::Relaxed);
    }
}

impl Default for PendingBudget {
    /// 64 MiB.
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

/// A data set whose template is missing.
#[derive(Clone, Debug)]
pub(crate) struct PendingSet {
    pub(crate) message: Message,
    pub(crate) octets: Box<[u8]>,
}

impl PendingSet {
    fn charge(&self) -> usize {
        self.octets.len() + OVERHEAD
    }
}

/// The data sets that are pending for one template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The id of the template.
    pub template: u16,
    /// Number of data sets.
    pub sets: usize,
    /// Octets in them, without the set headers.
    pub octets: usize,
    /// When the oldest of them was received.
    pub since: Timestamp,
}

/// How much may be pending for one exporter address, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingLimits {
    /// Octets, including overhead.
    pub octets: usize,
    /// Time between the receipt of the set and of its template.
    pub age: Duration,
}

impl Default for PendingLimits {
    /// 1 MiB, 30 minutes.
    fn default() -> Self {
        Self { octets: 1 << 20, age: Duration::from_secs(30 * 60) }
    }
}

/// The pending sets of one exporter address.
#[derive(Debug)]
pub(crate) struct Pending {
    limits: PendingLimits,
    budget: PendingBudget,
    sets: HashMap<TemplateKey, VecDeque<PendingSet>>,
    octets: usize,
    swept: Timestamp,
}

impl Pending {
    pub(crate) fn new(limits: PendingLimits, budget: PendingBudget) -> Self {
        Self { limits, budget, sets: HashMap::new(), octets: 0, swept: Timestamp::EPOCH }
    }

    pub(crate) const fn set_limits(&mut self, limits: PendingLimits) {
        self.limits = limits;
    }

    /// Queues a set; returns whether there was room.
    pub(crate) fn hold(&mut self, message: &Message, id: u16, content: &[u8]) -> bool {
        let charge = content.len() + OVERHEAD;
        if content.is_empty() || self.octets + charge > self.limits.octets || !self.budget.take(charge) {
            return false;
        }
        self.octets += charge;
        let held = PendingSet { message: *message, octets: content.into() };
        self.sets.entry(TemplateKey::of(message, id)).or_insert_with(|| VecDeque::with_capacity(1)).push_back(held);
        true
    }

    /// Removes those sets that are pending for a template and can be read now, in the order of arrival.
    pub(crate) fn take(&mut self, key: &TemplateKey, is_readable: impl Fn(&Message) -> bool) -> VecDeque<PendingSet> {
        if self.sets.is_empty() {
            return VecDeque::new();
        }
        let Some(waiting) = self.sets.remove(key) else { return VecDeque::new() };
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|held| is_readable(&held.message));
        if !left.is_empty() {
            self.sets.insert(*key, left);
        }
        self.release(taken.iter().map(PendingSet::charge).sum());
        taken
    }

    /// Drops expired sets and returns their number. Searches at most sixteen times per maximum age.
    pub(crate) fn expire(&mut self, now: Timestamp) -> u32 {
        if self.sets.is_empty() || now.saturating_sub(self.limits.age / 16) <= self.swept {
            return 0;
        }
        self.swept = now;
        let oldest = now.saturating_sub(self.limits.age);
        let (mut sets, mut octets) = (0, 0);
        self.sets.retain(|_, waiting| {
            while let Some(held) = waiting.pop_front_if(|held| held.message.received < oldest) {
                sets += 1;
                octets += held.charge();
            }
            !waiting.is_empty()
        });
        self.release(octets);
        sets
    }

    /// The pending sets, each with the id of its template, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &PendingSet)> {
        self.sets.iter().flat_map(|(key, waiting)| waiting.iter().map(|held| (key.id, held)))
    }

    /// The pending sets, by template.
    pub(crate) fn by_template(&self) -> Vec<Waiting> {
        let waiting = |(key, held): (&TemplateKey, &VecDeque<PendingSet>)| {
            let since = held.iter().map(|held| held.message.received).min()?;
            let octets = held.iter().map(|held| held.octets.len()).sum();
            let TemplateKey { protocol, domain, id: template } = *key;
            Some(Waiting { protocol, domain, template, sets: held.len(), octets, since })
        };
        let mut all: Vec<_> = self.sets.iter().filter_map(waiting).collect();
        all.sort_unstable_by_key(|waiting| (waiting.protocol, waiting.domain, waiting.template));
        all
    }

    /// Number of pending sets.
    pub(crate) fn len(&self) -> usize {
        self.sets.values().map(VecDeque::len).sum()
    }

    fn release(&mut self, octets: usize) {
        self.octets -= octets;
        self.budget.give_back(octets);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.release(self.octets);
    }
}
