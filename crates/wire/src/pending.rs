//! Data sets that came before their template. They wait, within bounds of octets and time, and are decoded as soon as
//! the template comes; templates over UDP get lost, and an exporter sends them again only after minutes.
//!
//! When there is no room, the new set is refused and the ones that wait stay: each of them is nearer to its template.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::template_store::TemplateKey;

/// Octets that a waiting set is charged beyond its content: what it takes to keep it. Queues and tables double their
/// room when it is used up, and are there twice while they do.
const OVERHEAD: usize = 3 * size_of::<Held>() + 32;

/// Octets that may wait in all sessions that share the budget together.
#[derive(Clone, Debug)]
pub struct PendingBudget {
    limit: usize,
    free: Arc<AtomicUsize>,
}

impl PendingBudget {
    /// A budget of so many octets.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self { limit: octets, free: Arc::new(AtomicUsize::new(octets)) }
    }

    /// Octets that are free.
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

/// A data set that waits.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) message: Message,
    pub(crate) octets: Box<[u8]>,
}

impl Held {
    fn charge(&self) -> usize {
        self.octets.len() + OVERHEAD
    }
}

/// What waits for one template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The id of the template.
    pub template: u16,
    /// How many data sets.
    pub sets: usize,
    /// Octets in them, without the set headers.
    pub octets: usize,
    /// When the first of them was received.
    pub since: Timestamp,
}

/// How much may wait for one exporter address, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingLimits {
    /// Octets, content and keeping.
    pub octets: usize,
    /// Time between the datagrams of the set and of its template, by their time of receipt.
    pub age: Duration,
}

impl Default for PendingLimits {
    /// 1 MiB, 30 minutes.
    fn default() -> Self {
        Self { octets: 1 << 20, age: Duration::from_secs(30 * 60) }
    }
}

/// The waiting sets of one exporter address.
#[derive(Debug)]
pub(crate) struct Pending {
    limits: PendingLimits,
    budget: PendingBudget,
    sets: HashMap<TemplateKey, VecDeque<Held>>,
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

    /// Lets a set wait; says whether there was room.
    pub(crate) fn hold(&mut self, message: &Message, id: u16, content: &[u8]) -> bool {
        let charge = content.len() + OVERHEAD;
        if content.is_empty() || self.octets + charge > self.limits.octets || !self.budget.take(charge) {
            return false;
        }
        self.octets += charge;
        let held = Held { message: *message, octets: content.into() };
        self.sets.entry(TemplateKey::of(message, id)).or_insert_with(|| VecDeque::with_capacity(1)).push_back(held);
        true
    }

    /// Takes out what has waited for a template, in the order it came.
    pub(crate) fn take(&mut self, key: &TemplateKey) -> impl Iterator<Item = Held> + use<> {
        let held = if self.sets.is_empty() { None } else { self.sets.remove(key) };
        let octets = held.iter().flatten().map(Held::charge).sum();
        self.release(octets);
        held.into_iter().flatten()
    }

    /// Drops what has waited for too long; says how many sets. Looks only once in a sixteenth of that time.
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
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Held)> {
        self.sets.iter().flat_map(|(key, waiting)| waiting.iter().map(|held| (key.id, held)))
    }

    /// What waits, by template.
    pub(crate) fn by_template(&self) -> Vec<Waiting> {
        let waiting = |(key, held): (&TemplateKey, &VecDeque<Held>)| {
            let since = held.iter().map(|held| held.message.received).min()?;
            let octets = held.iter().map(|held| held.octets.len()).sum();
            let TemplateKey { protocol, domain, id: template } = *key;
            Some(Waiting { protocol, domain, template, sets: held.len(), octets, since })
        };
        let mut all: Vec<_> = self.sets.iter().filter_map(waiting).collect();
        all.sort_unstable_by_key(|waiting| (waiting.protocol, waiting.domain, waiting.template));
        all
    }

    /// How many sets wait.
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
