//! The templates of one exporter address.
//!
//! A template belongs to a protocol and an observation domain; data and options templates share one space of ids
//! (RFC 7011, section 3.4.1). Which of the templates that different ports announced describes a data set is decided by
//! the rules of the transport ([`crate::session_rules`]).
//!
//! **Invariant:** a new announcement of an id replaces the old one at once, also within a datagram; one that changes
//! nothing allocates nothing. However much is announced, no more is kept than [`TemplateLimits`] says.
//!
//! Anybody can announce under the address of an exporter, but whoever does so to fill the store sends no data for what he
//! announces. So where there is no room, templates that no data have come for make it, the oldest first. Those that read
//! data stay until they are stale: a flood pushes out itself, and the exporter goes on.

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

/// How much of what strangers announce is kept for one exporter address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Templates.
    pub templates: usize,
    /// Fields of all templates together.
    pub fields: usize,
    /// Observation domains.
    pub domains: usize,
    /// When something of the above is exceeded, templates that were not announced again for so long make room, whether
    /// data have come for them or not.
    pub stale_after: Duration,
    /// A template that was not announced again for so long is not used any more (RFC 7011, section 8.4); `None` when
    /// templates hold until the exporter starts again.
    pub lifetime: Option<Duration>,
}

impl Default for TemplateLimits {
    /// 2048 templates with 32 fields on average, 256 domains; stale after an hour, twice the longest usual refresh; no
    /// lifetime.
    fn default() -> Self {
        Self { templates: 2048, fields: 65_536, domains: 256, stale_after: Duration::from_secs(3600), lifetime: None }
    }
}

/// How many source ports are told apart for one id; an exporter that changes its port at each start uses few at once.
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

/// What an announcement says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announcement<'a> {
    pub(crate) id: u16,
    pub(crate) kind: TemplateKind,
    pub(crate) fields: &'a [FieldSpecifier],
    /// Where it stands in the datagram.
    pub(crate) offset: usize,
}

#[derive(Clone, Debug)]
struct Learnt {
    port: u16,
    /// Counts announcements: the highest is the newest.
    order: u64,
    announced: Timestamp,
    /// Whether data have come for it.
    is_used: Cell<bool>,
    template: Template,
}

/// A template with what it belongs to, for listing and for keeping over a restart.
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
    by_key: HashMap<TemplateKey, Vec<Learnt>>,
    /// Under which key and port templates were learnt that no data may have come for, the oldest first. Some are used or
    /// gone meanwhile.
    unused: VecDeque<(TemplateKey, u16)>,
    /// How many templates each domain has.
    domains: HashMap<(Protocol, u32), usize>,
    templates: usize,
    fields: usize,
    announcements: u64,
    /// How often what is known has changed.
    changes: u64,
    /// Announcements that found no room.
    refused: u64,
    /// Templates that made room for others before they were stale.
    displaced: u64,
    /// When stale templates were last looked for, so that a flood of announcements does not make a flood of searches.
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
        let learnt = self.by_key.get(&TemplateKey::of(message, id))?;
        let rules = SessionRules::of(message.exporter.transport);
        let lifetime = match rules.template_lifetime {
            TemplateLifetime::Configured => self.limits.lifetime,
        };
        let lives = |learnt: &&Learnt| {
            lifetime.is_none_or(|lifetime| message.received <= learnt.announced.saturating_add(lifetime))
        };
        let learnt = match rules.template_scope {
            TemplateScope::Address => {
                let same_port = learnt.iter().filter(lives).find(|learnt| learnt.port == message.exporter.port);
                let newest = || learnt.iter().filter(lives).max_by_key(|learnt| learnt.order);
                same_port.or_else(newest)?
            }
        };
        learnt.is_used.set(true);
        Some(&learnt.template)
    }

    /// Learns what a message announces.
    pub(crate) fn learn(&mut self, message: &Message, announcement: Announcement<'_>) -> Result<(), ErrorKind> {
        let Announcement { id, kind, fields, .. } = announcement;
        let key = TemplateKey::of(message, id);
        let port = message.exporter.port;
        self.announcements += 1;
        let order = self.announcements;
        let same_port = |learnt: &Learnt| learnt.port == port;
        let numbering = if message.protocol == Protocol::NetflowV9 { Numbering::NetflowV9 } else { Numbering::Ipfix };
        let known = self.by_key.get_mut(&key).and_then(|learnt| learnt.iter_mut().find(|learnt| same_port(learnt)));
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
                *known = Learnt { port, order, announced: message.received, is_used: Cell::new(false), template };
                self.note_unused(key, port);
                return Ok(());
            }
            // What it was is not true any more, whether there is room for what it is or not.
            self.forget(&key, same_port);
            self.make_room(&key, template.fields().len(), message.received)?;
            template
        } else {
            // Before the labour of compiling, which is in vain where there is no room.
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
        self.by_key.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(Learnt {
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
        self.by_key.iter().flat_map(|(key, learnt)| {
            learnt.iter().map(|learnt| {
                let known = KnownTemplate {
                    protocol: key.protocol,
                    domain: key.domain,
                    port: learnt.port,
                    announced: learnt.announced,
                    template: &learnt.template,
                };
                (learnt.order, known)
            })
        })
    }

    /// How many templates are known.
    pub(crate) const fn len(&self) -> usize {
        self.templates
    }

    /// How often what is known has changed; announcements that say nothing new do not count.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// How many announcements found no room.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// How many templates that no data had come for made room for others.
    pub(crate) const fn displaced(&self) -> u64 {
        self.displaced
    }

    pub(crate) const fn limits(&self) -> TemplateLimits {
        self.limits
    }

    pub(crate) const fn set_limits(&mut self, limits: TemplateLimits) {
        self.limits = limits;
    }

    /// Forgets all templates of a domain that were announced from a port: the exporter has started again.
    pub(crate) fn forget_domain(&mut self, protocol: Protocol, domain: u32, port: u16) {
        let of_domain = |key: &&TemplateKey| key.protocol == protocol && key.domain == domain;
        let keys: Vec<_> = self.by_key.keys().filter(of_domain).copied().collect();
        for key in keys {
            self.forget(&key, |learnt| learnt.port == port);
        }
    }

    /// Keeps the ports of an id few. Those that read data stay longest.
    fn forget_oldest_port(&mut self, key: &TemplateKey) {
        if let Some(learnt) = self.by_key.get(key)
            && learnt.len() >= PORTS_KEPT
        {
            let first = learnt.iter().min_by_key(|learnt| (learnt.is_used.get(), learnt.order));
            let first = first.map(|learnt| learnt.order);
            self.forget(key, |learnt| Some(learnt.order) == first);
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
                self.forget(&key, |learnt| learnt.announced < stale);
            }
        }
        while !self.fits(key, fields) {
            let Some((unused, port)) = self.unused.pop_front() else {
                self.refused += 1;
                return Err(ErrorKind::TooManyTemplates);
            };
            let before = self.templates;
            self.forget(&unused, |learnt| learnt.port == port && !learnt.is_used.get());
            self.displaced += (before - self.templates) as u64;
        }
        Ok(())
    }

    /// Queues a template that is new, or is another than before. What is in the queue for nothing is thrown out when it
    /// is as much as all templates may be.
    fn note_unused(&mut self, key: TemplateKey, port: u16) {
        if self.unused.len() >= self.limits.templates.saturating_mul(2) {
            let learnt = self.by_key.iter().flat_map(|(key, learnt)| learnt.iter().map(move |learnt| (key, learnt)));
            let mut unused: Vec<_> = learnt
                .filter(|(_, learnt)| !learnt.is_used.get())
                .map(|(key, learnt)| (learnt.order, (*key, learnt.port)))
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

    /// Drops what is to be forgotten under a key and keeps the sums true.
    fn forget(&mut self, key: &TemplateKey, forget: impl Fn(&Learnt) -> bool) {
        let Some(learnt) = self.by_key.get_mut(key) else { return };
        let before = learnt.len();
        let mut fields = 0;
        learnt.retain(|learnt| {
            let keep = !forget(learnt);
            fields += if keep { 0 } else { learnt.template.fields().len() };
            keep
        });
        let forgotten = before - learnt.len();
        if learnt.is_empty() {
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
