//! The templates of one exporter address.
//!
//! A template belongs to a protocol and an observation domain; data and options templates share one space of ids
//! (RFC 7011, section 3.4.1). The template from the port of the data describes them, else that of another port: two
//! exporters at one address (NAT) may use the same ids for different things, but there are routers that send templates from
//! one port and data from another. Over TCP, each connection has a store of its own.
//!
//! **Invariant:** a new announcement of an id replaces the old one at once, also within a datagram, and also if it cannot
//! be read: what it replaced is no longer valid (RFC 7011, section 8). One that changes nothing allocates nothing. However much is announced, no more is kept than [`TemplateLimits`] allows. When there is no
//! room, [`crate::ports`] decides what is displaced.

use std::cell::Cell;
use std::time::Duration;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::datagram::Message;
use crate::error::ErrorKind;
use crate::field_specifier::{FIRST_TEMPLATE_ID, FieldSpecifier, Numbering, TemplateKind};
use crate::ports::{self, Ports, Wanted};
use crate::session_rules::{SessionRules, TemplateLifetime};
use crate::template::Template;

/// Bounds on what is kept for one exporter address, because anybody can announce under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Octets of memory for all templates.
    pub octets: usize,
    /// A template that was last announced longer ago than this is no longer used (RFC 7011, section 8.4); `None` if
    /// templates are valid until the exporter restarts.
    pub lifetime: Option<Duration>,
}

impl Default for TemplateLimits {
    /// 2 MiB: about 4000 templates of 20 fields. No lifetime.
    fn default() -> Self {
        Self { octets: 2 << 20, lifetime: None }
    }
}

/// How many source ports are distinguished for one id; an exporter that changes its port at each start uses few at once.
const PORTS_KEPT: usize = 8;

/// What a template belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TemplateKey {
    pub(crate) protocol: Protocol,
    pub(crate) domain: u32,
    pub(crate) id: u16,
}

impl TemplateKey {
    pub(crate) const fn of(message: &Message, id: u16) -> Self {
        Self { protocol: message.protocol, domain: message.domain, id }
    }
}

/// An announced template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announcement<'a> {
    pub(crate) id: u16,
    pub(crate) kind: TemplateKind,
    pub(crate) fields: &'a [FieldSpecifier],
    /// Octets from the start of the datagram.
    pub(crate) offset: usize,
}

/// The last announcement of an id from a port.
#[derive(Clone, Debug)]
struct StoredTemplate {
    port: u16,
    /// Counts announcements: the highest is the newest.
    order: u64,
    announced: Timestamp,
    /// When there last were data for it; never is the epoch.
    used: Cell<Timestamp>,
    /// `None` if the announcement could not be read.
    template: Option<Template>,
}

impl StoredTemplate {
    /// Memory in octets.
    fn octets(&self) -> usize {
        OVERHEAD + self.template.as_ref().map_or(0, Template::heap_octets)
    }

    fn found(&self) -> Option<FoundTemplate<'_>> {
        Some(FoundTemplate { port: self.port, template: self.template.as_ref()? })
    }
}

/// The template that describes a data set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundTemplate<'s> {
    /// The port that announced it.
    pub(crate) port: u16,
    pub(crate) template: &'s Template,
}

/// How many templates whose records name their sampler each port announced for a protocol and domain.
#[derive(Clone, Debug, Default)]
struct Naming(HashMap<(Protocol, u32, u16), usize>);

impl Naming {
    fn add(&mut self, key: &TemplateKey, port: u16, names_sampler: bool) {
        if names_sampler {
            *self.0.entry((key.protocol, key.domain, port)).or_default() += 1;
        }
    }

    fn remove(&mut self, key: &TemplateKey, port: u16, template: &Template) {
        if template.names_sampler()
            && let Entry::Occupied(mut templates) = self.0.entry((key.protocol, key.domain, port))
        {
            *templates.get_mut() -= 1;
            if *templates.get() == 0 {
                templates.remove();
            }
        }
    }
}

/// An announcement that could not be read, for storing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreadable {
    pub(crate) protocol: Protocol,
    pub(crate) domain: u32,
    pub(crate) id: u16,
    pub(crate) port: u16,
    pub(crate) announced: Timestamp,
}

/// Octets of a template and its share of the map, where not all slots are taken.
const OVERHEAD: usize = size_of::<StoredTemplate>() + 2 * (size_of::<TemplateKey>() + size_of::<Vec<StoredTemplate>>());

/// A template and what it belongs to, for listing and for storing.
#[derive(Clone, Copy, Debug)]
pub struct KnownTemplate<'s> {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The UDP port that it was announced from.
    pub port: u16,
    /// When it was announced last.
    pub announced: Timestamp,
    /// The template itself.
    pub template: &'s Template,
}

/// The templates of one exporter address.
#[derive(Clone, Debug)]
pub(crate) struct TemplateStore {
    limits: TemplateLimits,
    by_key: HashMap<TemplateKey, Vec<StoredTemplate>>,
    naming: Naming,
    templates: usize,
    octets: usize,
    announcements: u64,
    /// Number of changes.
    changes: u64,
    /// Announcements for which there was no room.
    refused: u64,
    /// Templates that made room for others.
    displaced: u64,
    /// When the collector resumed with stored templates: how long it was stopped does not make them older.
    resumed: Timestamp,
}

impl TemplateStore {
    pub(crate) fn new(limits: TemplateLimits) -> Self {
        Self {
            limits,
            by_key: HashMap::new(),
            naming: Naming::default(),
            templates: 0,
            octets: 0,
            announcements: 0,
            changes: 0,
            refused: 0,
            displaced: 0,
            resumed: Timestamp::EPOCH,
        }
    }

    /// The template that describes the data sets of this id in this message; `None` if there is none, or if its last
    /// announcement could not be read.
    pub(crate) fn find(&self, ports: &Ports, message: &Message, id: u16) -> Option<FoundTemplate<'_>> {
        let stored = self.by_key.get(&TemplateKey::of(message, id))?;
        let lifetime = match SessionRules::of(message.exporter.transport).template_lifetime {
            TemplateLifetime::Configured => self.limits.lifetime,
            TemplateLifetime::Unlimited => None,
        };
        let lives = |stored: &&StoredTemplate| {
            lifetime.is_none_or(|lifetime| message.received <= stored.announced.saturating_add(lifetime))
        };
        let port = message.exporter.port;
        let same_port = stored.iter().filter(lives).find(|stored| stored.port == port);
        let other_port = || {
            let is_known = ports.has_standing(port);
            let of_known = |stored: &StoredTemplate| is_known && ports.has_standing(stored.port);
            // What a stranger garbles does not concern other ports.
            let counts = |stored: &&StoredTemplate| stored.template.is_some() || of_known(stored);
            stored.iter().filter(lives).filter(counts).max_by_key(|stored| (of_known(stored), stored.order))
        };
        let stored = same_port.or_else(other_port)?;
        stored.used.set(message.received);
        stored.found()
    }

    /// Whether an announcement has the id of another template from its port.
    pub(crate) fn is_redefined_by(&self, message: &Message, announcement: &Announcement<'_>) -> bool {
        let Announcement { id, kind, fields, .. } = *announcement;
        let stored = self.by_key.get(&TemplateKey::of(message, id)).into_iter().flatten();
        let mut known =
            stored.filter(|stored| stored.port == message.exporter.port).filter_map(|it| it.template.as_ref());
        known.any(|known| !known.is_announced_by(kind, fields))
    }

    /// The ids of the templates that the port of a message has announced for its domain, of these kinds.
    pub(crate) fn ids(&self, message: &Message, is_of_kind: impl Fn(TemplateKind) -> bool) -> Vec<u16> {
        let announced = self.iter().filter(|known| {
            (known.protocol, known.domain, known.port) == (message.protocol, message.domain, message.exporter.port)
        });
        announced.filter(|known| is_of_kind(known.template.kind())).map(|known| known.template.id()).collect()
    }

    /// Forgets what the port of a message has announced under an id. Returns whether it had announced any.
    pub(crate) fn withdraw(&mut self, message: &Message, id: u16) -> bool {
        let (key, port) = (TemplateKey::of(message, id), message.exporter.port);
        let is_known = self.known(&key, port).is_some();
        self.forget(&key, |stored| stored.port == port);
        is_known
    }

    /// Adds what another store, which is gone, has refused and displaced.
    pub(crate) const fn count_those_of(&mut self, gone: &Self) {
        self.refused += gone.refused;
        self.displaced += gone.displaced;
    }

    /// Stores an announced template. If it cannot be read, the old one is not used any more.
    pub(crate) fn learn(
        &mut self,
        ports: &Ports,
        message: &Message,
        announcement: Announcement<'_>,
    ) -> Result<(), ErrorKind> {
        let Announcement { id, kind, fields, .. } = announcement;
        let repeats = |known: &Template| known.is_announced_by(kind, fields);
        self.announce(ports, message, id, repeats, || {
            let numbering =
                if message.protocol == Protocol::NetflowV9 { Numbering::NetflowV9 } else { Numbering::Ipfix };
            Template::compile(id, kind, numbering, fields)
        })
    }

    /// Notes an announcement whose fields cannot be read; returns the reason.
    pub(crate) fn note_unreadable(
        &mut self,
        ports: &Ports,
        message: &Message,
        id: u16,
        reason: ErrorKind,
    ) -> Result<(), ErrorKind> {
        self.announce(ports, message, id, |_| false, || Err(reason))
    }

    /// Replaces what a port has announced under an id.
    fn announce(
        &mut self,
        ports: &Ports,
        message: &Message,
        id: u16,
        repeats: impl Fn(&Template) -> bool,
        compile: impl FnOnce() -> Result<Template, ErrorKind>,
    ) -> Result<(), ErrorKind> {
        if id < FIRST_TEMPLATE_ID {
            return compile().map(drop);
        }
        let key = TemplateKey::of(message, id);
        let (port, now) = (message.exporter.port, message.received);
        self.announcements += 1;
        let unread = StoredTemplate {
            port,
            order: self.announcements,
            announced: now,
            used: Cell::new(Timestamp::EPOCH),
            template: None,
        };
        if let Some(known) = self.known(&key, port) {
            (known.order, known.announced) = (unread.order, now);
            if known.template.as_ref().is_some_and(repeats) {
                return Ok(());
            }
            // It is no longer valid, whether the new one can be read and there is room for it or not.
            let octets = known.octets();
            if let Some(before) = known.template.take() {
                self.naming.remove(&key, port, &before);
                self.octets -= octets - OVERHEAD;
                self.templates -= 1;
                self.changes += 1;
            }
        } else {
            // Compiling takes longer than finding out that there is no room.
            self.make_room(ports, port, OVERHEAD, now)?;
            self.insert(&key, unread.clone());
        }
        let template = compile()?;
        let (octets, names_sampler) = (template.heap_octets(), template.names_sampler());
        self.make_room(ports, port, octets, now)?;
        if self.known(&key, port).is_none() {
            // It has made room itself.
            self.insert(&key, unread);
        }
        if let Some(known) = self.known(&key, port) {
            known.used.set(Timestamp::EPOCH);
            known.template = Some(template);
            self.naming.add(&key, port, names_sampler);
            self.octets += octets;
            self.templates += 1;
            self.changes += 1;
        }
        Ok(())
    }

    /// What a port has announced under an id.
    fn known(&mut self, key: &TemplateKey, port: u16) -> Option<&mut StoredTemplate> {
        self.by_key.get_mut(key)?.iter_mut().find(|stored| stored.port == port)
    }

    /// Adds an announcement of a port that has none under this id.
    fn insert(&mut self, key: &TemplateKey, stored: StoredTemplate) {
        self.forget_oldest_port(key);
        self.changes += 1;
        self.octets += stored.octets();
        // Nearly every id is announced from one port.
        self.by_key.entry(*key).or_insert_with(|| Vec::with_capacity(1)).push(stored);
    }

    /// All templates, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = KnownTemplate<'_>> {
        self.numbered().filter_map(|(_, known)| known.ok())
    }

    /// All announcements in the order in which they were made last.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = Result<KnownTemplate<'_>, Unreadable>> {
        let mut numbered: Vec<_> = self.numbered().collect();
        numbered.sort_unstable_by_key(|(order, _)| *order);
        numbered.into_iter().map(|(_, known)| known)
    }

    fn numbered(&self) -> impl Iterator<Item = (u64, Result<KnownTemplate<'_>, Unreadable>)> {
        self.by_key.iter().flat_map(|(&TemplateKey { protocol, domain, id }, stored)| {
            stored.iter().map(move |StoredTemplate { port, order, announced, template, .. }| {
                let (port, announced) = (*port, *announced);
                let known = match template {
                    Some(template) => Ok(KnownTemplate { protocol, domain, port, announced, template }),
                    None => Err(Unreadable { protocol, domain, id, port, announced }),
                };
                (*order, known)
            })
        })
    }

    /// The templates that have described data, and when they did last, in no particular order.
    pub(crate) fn used(&self) -> impl Iterator<Item = (&TemplateKey, Timestamp, FoundTemplate<'_>)> {
        let all = self.by_key.iter().flat_map(|(key, stored)| stored.iter().map(move |stored| (key, stored)));
        let used = all.filter(|(_, stored)| stored.used.get() > Timestamp::EPOCH);
        used.filter_map(|(key, stored)| Some((key, stored.used.get(), stored.found()?)))
    }

    /// Whether records of a template that this port announced for the domain of a message name their sampler.
    pub(crate) fn has_naming(&self, message: &Message, port: u16) -> bool {
        self.naming.0.contains_key(&(message.protocol, message.domain, port))
    }

    /// How many templates are known.
    pub(crate) const fn len(&self) -> usize {
        self.templates
    }

    /// Number of changes; repeated announcements are none.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Announcements for which there was no room.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Templates that made room for others.
    pub(crate) const fn displaced(&self) -> u64 {
        self.displaced
    }

    pub(crate) const fn limits(&self) -> TemplateLimits {
        self.limits
    }

    pub(crate) const fn set_limits(&mut self, limits: TemplateLimits) {
        self.limits = limits;
    }

    /// The templates of a domain that were announced from a port are not valid any more: the exporter has restarted. Its data
    /// wait for new ones, and are not read by those of another port, which anybody may have announced.
    pub(crate) fn invalidate_domain(&mut self, protocol: Protocol, domain: u32, port: u16) {
        let of_domain = |(key, _): &(&TemplateKey, _)| key.protocol == protocol && key.domain == domain;
        for (key, stored) in self.by_key.iter_mut().filter(of_domain) {
            let Some(known) = stored.iter_mut().find(|stored| stored.port == port) else { continue };
            let octets = known.octets();
            if let Some(before) = known.template.take() {
                self.naming.remove(key, port, &before);
                self.octets -= octets - OVERHEAD;
                self.templates -= 1;
                self.changes += 1;
            }
        }
    }

    /// After a restart of the collector: stored announcements count as made now for [`Ports::displaced`].
    pub(crate) const fn resume(&mut self, now: Timestamp) {
        self.resumed = now;
    }

    /// Bounds the ports of an id. Used templates stay longest.
    fn forget_oldest_port(&mut self, key: &TemplateKey) {
        if let Some(stored) = self.by_key.get(key)
            && stored.len() >= PORTS_KEPT
        {
            let first = stored.iter().min_by_key(|stored| (stored.used.get() > Timestamp::EPOCH, stored.order));
            let first = first.map(|stored| stored.order);
            self.forget(key, |stored| Some(stored.order) == first);
        }
    }

    /// Displaces templates until there is room for as many octets as a port announces.
    fn make_room(&mut self, ports: &Ports, port: u16, octets: usize, now: Timestamp) -> Result<(), ErrorKind> {
        let fits = |store: &Self| store.octets + octets <= store.limits.octets;
        while !fits(self) {
            let wanted = Wanted { port, size: octets, limit: self.limits.octets, now };
            let stored = self.by_key.iter().flat_map(|(key, stored)| stored.iter().map(move |stored| (key, stored)));
            let entries = stored.map(|(key, stored)| ports::Entry {
                key: (*key, stored.order),
                port: stored.port,
                size: stored.octets(),
                used: stored.used.get(),
                heard: stored.announced.max(self.resumed),
            });
            let displaced = ports.displaced(&wanted, entries);
            if displaced.is_empty() {
                self.refused += 1;
                return Err(ErrorKind::TooManyTemplates);
            }
            self.displaced += displaced.len() as u64;
            for (key, order) in displaced {
                self.forget(&key, |stored| stored.order == order);
            }
        }
        Ok(())
    }

    /// Removes templates of a key and updates the sums.
    fn forget(&mut self, key: &TemplateKey, forget: impl Fn(&StoredTemplate) -> bool) {
        let Some(stored) = self.by_key.get_mut(key) else { return };
        let (before, mut readable, mut octets) = (stored.len(), 0, 0);
        let naming = &mut self.naming;
        stored.retain(|stored| {
            let goes = forget(stored);
            if goes {
                octets += stored.octets();
                readable += usize::from(stored.template.is_some());
                stored.template.iter().for_each(|template| naming.remove(key, stored.port, template));
            }
            !goes
        });
        self.changes += (before - stored.len()) as u64;
        if stored.is_empty() {
            self.by_key.remove(key);
        }
        self.templates -= readable;
        self.octets -= octets;
    }
}
