//! The templates of one exporter address.
//!
//! A template belongs to a protocol and an observation domain; data and options templates share one space of ids
//! (RFC 7011, section 3.4.1). Which of the templates that different ports announced describes a data set is decided by
//! the rules of the transport ([`crate::session_rules`]).
//!
//! **Invariant:** a new announcement of an id replaces the old one at once, also within a datagram; one that changes
//! nothing allocates nothing. However much is announced, no more is kept than [`TemplateLimits`] allows.
//!
//! Anybody can forge announcements from the address of an exporter, but a flood of forged templates has no data. If there
//! is no room, unused templates are evicted, the oldest first; used ones stay until they are stale. So a flood evicts
//! itself, and the exporter's data are decoded.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;

use crate::datagram::Message;
use crate::error::ErrorKind;
use crate::field_specifier::{FieldSpecifier, Numbering, TemplateKind, with_content};
use crate::session_rules::{SessionRules, TemplateLifetime, TemplateScope};
use crate::template::Template;

/// Bounds on what is kept for one exporter address, because anybody can announce under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Templates.
    pub templates: usize,
    /// Fields of all templates together.
    pub fields: usize,
    /// Observation domains.
    pub domains: usize,
    /// If one of the limits above is exceeded, templates that were last announced longer ago than this are evicted, used
    /// or not.
    pub stale_after: Duration,
    /// A template that was last announced longer ago than this is no longer used (RFC 7011, section 8.4); `None` if
    /// templates are valid until the exporter restarts.
    pub lifetime: Option<Duration>,
}

impl Default for TemplateLimits {
    /// 2048 templates with 32 fields on average, 256 domains; stale after an hour, twice the longest usual refresh; no
    /// lifetime.
    fn default() -> Self {
        Self { templates: 2048, fields: 65_536, domains: 256, stale_after: Duration::from_secs(3600), lifetime: None }
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

#[derive(Clone, Debug)]
struct StoredTemplate {
    port: u16,
    /// Counts announcements: the highest is the newest.
    order: u64,
    announced: Timestamp,
    /// Whether it has decoded data.
    is_used: Cell<bool>,
    template: Template,
}

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
    /// Key and port of templates that may be unused, the oldest first. Some have been used or removed since.
    unused: VecDeque<(TemplateKey, u16)>,
    /// How many templates each domain has.
    domains: HashMap<(Protocol, u32), usize>,
    templates: usize,
    fields: usize,
    announcements: u64,
    /// Number of changes.
    changes: u64,
    /// Announcements for which there was no room.
    refused: u64,
    /// Templates that were evicted before they were stale.
    displaced: u64,
    /// When stale templates were last searched for, so that a flood of announcements does not cause a flood of searches.
    swept: Timestamp,
}

impl TemplateStore {
    pub(crate) fn new(limits: TemplateLimits) -> Self {
        Self {
            limits,
            by_key: HashMap::new(),
            unused: VecDeque::new(),
            domains: HashMap::new(),
            templates: 0,
            fields: 0,
            announcements: 0,
            changes: 0,
            refused: 0,
            displaced: 0,
            swept: Timestamp::EPOCH,
        }
    }

    /// The template that describes the data sets of this id in this message.
    pub(crate) fn find(&self, message: &Message, id: u16) -> Option<&Template> {
        let stored = self.by_key.get(&TemplateKey::of(message, id))?;
        let rules = SessionRules::of(message.exporter.transport);
        let lifetime = match rules.template_lifetime {
            TemplateLifetime::Configured => self.limits.lifetime,
        };
        let lives = |stored: &&StoredTemplate| {
            lifetime.is_none_or(|lifetime| message.received <= stored.announced.saturating_add(lifetime))
        };
        let stored = match rules.template_scope {
            TemplateScope::Address => {
                let same_port = stored.iter().filter(lives).find(|stored| stored.port == message.exporter.port);
                let newest = || stored.iter().filter(lives).max_by_key(|stored| stored.order);
                same_port.or_else(newest)?
            }
        };
        stored.is_used.set(true);
        Some(&stored.template)
    }

    /// Stores an announced template.
    pub(crate) fn learn(&mut self, message: &Message, announcement: Announcement<'_>) -> Result<(), ErrorKind> {
        let Announcement { id, kind, fields, .. } = announcement;
        let key = TemplateKey::of(message, id);
        let port = message.exporter.port;
        self.announcements += 1;
        let order = self.announcements;
        let same_port = |stored: &StoredTemplate| stored.port == port;
        let numbering = if message.protocol == Protocol::NetflowV9 { Numbering::NetflowV9 } else { Numbering::Ipfix };
        let known = self.by_key.get_mut(&key).and_then(|stored| stored.iter_mut().find(|stored| same_port(stored)));
        let template = if let Some(known) = known {
            if known.template.is_announced_by(kind, fields) {
                known.order = order;
                known.announced = message.received;
                return Ok(());
            }
            let template = Template::compile(id, kind, numbering, fields)?;
            let others = self.fields - known.template.fields().len();
            if others + template.fields().len() <= self.limits.fields {
                self.fields = others + template.fields().len();
                self.changes += 1;
                *known =
                    StoredTemplate { port, order, announced: message.received, is_used: Cell::new(false), template };
                self.note_unused(key, port);
                return Ok(());
            }
            // The old one is no longer valid, whether there is room for the new one or not.
            self.forget(&key, same_port);
            self.make_room(&key, template.fields().len(), message.received)?;
            template
        } else {
            // Check for room before compiling.
            self.make_room(&key, with_content(fields).count(), message.received)?;
            let template = Template::compile(id, kind, numbering, fields)?;
            self.forget_oldest_port(&key);
            template
        };
        self.changes += 1;
        self.templates += 1;
        self.fields += template.fields().len();
        *self.domains.entry((key.protocol, key.domain)).or_default() += 1;
        // Nearly every id is announced from one port.
        self.by_key.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(StoredTemplate {
            port,
            order,
            announced: message.received,
            is_used: Cell::new(false),
            template,
        });
        self.note_unused(key, port);
        Ok(())
    }

    /// All templates, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = KnownTemplate<'_>> {
        self.numbered().map(|(_, known)| known)
    }

    /// All templates in the order in which they were announced last.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = KnownTemplate<'_>> {
        let mut numbered: Vec<_> = self.numbered().collect();
        numbered.sort_unstable_by_key(|(order, _)| *order);
        numbered.into_iter().map(|(_, known)| known)
    }

    fn numbered(&self) -> impl Iterator<Item = (u64, KnownTemplate<'_>)> {
        self.by_key.iter().flat_map(|(key, stored)| {
            stored.iter().map(|stored| {
                let known = KnownTemplate {
                    protocol: key.protocol,
                    domain: key.domain,
                    port: stored.port,
                    announced: stored.announced,
                    template: &stored.template,
                };
                (stored.order, known)
            })
        })
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

    /// Unused templates that were evicted for others.
    pub(crate) const fn displaced(&self) -> u64 {
        self.displaced
    }

    pub(crate) const fn limits(&self) -> TemplateLimits {
        self.limits
    }

    pub(crate) const fn set_limits(&mut self, limits: TemplateLimits) {
        self.limits = limits;
    }

    /// Removes all templates of a domain that were announced from a port: the exporter has restarted.
    pub(crate) fn forget_domain(&mut self, protocol: Protocol, domain: u32, port: u16) {
        let of_domain = |key: &&TemplateKey| key.protocol == protocol && key.domain == domain;
        let keys: Vec<_> = self.by_key.keys().filter(of_domain).copied().collect();
        for key in keys {
            self.forget(&key, |stored| stored.port == port);
        }
    }

    /// Bounds the ports of an id. Used templates stay longest.
    fn forget_oldest_port(&mut self, key: &TemplateKey) {
        if let Some(stored) = self.by_key.get(key)
            && stored.len() >= PORTS_KEPT
        {
            let first = stored.iter().min_by_key(|stored| (stored.is_used.get(), stored.order));
            let first = first.map(|stored| stored.order);
            self.forget(key, |stored| Some(stored.order) == first);
        }
    }

    fn make_room(&mut self, key: &TemplateKey, fields: usize, now: Timestamp) -> Result<(), ErrorKind> {
        if self.fits(key, fields) {
            return Ok(());
        }
        if now.saturating_sub(self.limits.stale_after / 16) > self.swept {
            self.swept = now;
            let stale = now.saturating_sub(self.limits.stale_after);
            let keys: Vec<_> = self.by_key.keys().copied().collect();
            for key in keys {
                self.forget(&key, |stored| stored.announced < stale);
            }
        }
        while !self.fits(key, fields) {
            let Some((unused, port)) = self.unused.pop_front() else {
                self.refused += 1;
                return Err(ErrorKind::TooManyTemplates);
            };
            let before = self.templates;
            self.forget(&unused, |stored| stored.port == port && !stored.is_used.get());
            self.displaced += (before - self.templates) as u64;
        }
        Ok(())
    }

    /// Queues a new or changed template. Obsolete entries of the queue are removed once they may be as many as all
    /// templates.
    fn note_unused(&mut self, key: TemplateKey, port: u16) {
        if self.unused.len() >= self.limits.templates.saturating_mul(2) {
            let stored = self.by_key.iter().flat_map(|(key, stored)| stored.iter().map(move |stored| (key, stored)));
            let mut unused: Vec<_> = stored
                .filter(|(_, stored)| !stored.is_used.get())
                .map(|(key, stored)| (stored.order, (*key, stored.port)))
                .collect();
            unused.sort_unstable_by_key(|(order, _)| *order);
            self.unused = unused.into_iter().map(|(_, template)| template).collect();
            return;
        }
        self.unused.push_back((key, port));
    }

    fn fits(&self, key: &TemplateKey, fields: usize) -> bool {
        let known_domain = self.domains.contains_key(&(key.protocol, key.domain));
        self.templates < self.limits.templates
            && self.fields.saturating_add(fields) <= self.limits.fields
            && (known_domain || self.domains.len() < self.limits.domains)
    }

    /// Removes templates of a key and updates the sums.
    fn forget(&mut self, key: &TemplateKey, forget: impl Fn(&StoredTemplate) -> bool) {
        let Some(stored) = self.by_key.get_mut(key) else { return };
        let before = stored.len();
        let mut fields = 0;
        stored.retain(|stored| {
            let keep = !forget(stored);
            fields += if keep { 0 } else { stored.template.fields().len() };
            keep
        });
        let forgotten = before - stored.len();
        if stored.is_empty() {
            self.by_key.remove(key);
        }
        self.changes += forgotten as u64;
        self.templates -= forgotten;
        self.fields -= fields;
        let domain = (key.protocol, key.domain);
        if let Some(count) = self.domains.get_mut(&domain) {
            *count -= forgotten;
            if *count == 0 {
                self.domains.remove(&domain);
            }
        }
    }
}
