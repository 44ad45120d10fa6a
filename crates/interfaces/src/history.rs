//! What was valid from when to when. Each source states details of an interface whenever it is heard; what counts are those of
//! the first source that has them. A detail that was unknown before is added to what is valid; a detail that differs begins a
//! new span, from the last start of the router if it has started since it was heard last: until its next start a router keeps its
//! indexes.
//!
//! **Invariant:** the spans of an interface do not overlap, and are in order. No more is kept than [`MOST_INTERFACES`] of a
//! router and [`MOST_SPANS`] of an interface.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use flow::Timestamp;

use crate::details::{Details, Source};
use crate::known::Known;

/// How many interfaces of a router are kept.
pub const MOST_INTERFACES: usize = 8192;
/// How many spans of an interface are kept: the newest.
pub const MOST_SPANS: usize = 16;
/// How many routers have interfaces. Only registered ones are observed.
const MOST_ROUTERS: usize = 4096;

/// The interfaces of all routers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub(crate) routers: HashMap<IpAddr, BTreeMap<u32, Interface>>,
    changes: u64,
}

/// Who was heard about which router, and when.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The router.
    pub router: IpAddr,
    /// Who says so.
    pub source: Source,
    /// When it was heard.
    pub at: Timestamp,
    /// When the router started, if it says so.
    pub booted: Option<Timestamp>,
}

/// Details with the time for which they are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub since: Timestamp,
    /// Until when; `None` for the present.
    pub until: Option<Timestamp>,
    /// What it is called.
    pub details: Details,
    /// Who gave the name, or what is there instead.
    pub source: Source,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// What each source said last.
    pub(crate) stated: BTreeMap<Source, Details>,
    /// When any of them was heard last.
    pub(crate) heard: Timestamp,
    /// The oldest first.
    pub(crate) spans: Vec<Span>,
}

impl History {
    /// Notes what a source says about an interface of a router.
    pub fn observe(&mut self, of: Observation, index: u32, details: Details) {
        let details = details.tidy();
        if details.is_empty() {
            return;
        }
        let room = self.routers.len() < MOST_ROUTERS;
        if !room && !self.routers.contains_key(&of.router) {
            return;
        }
        let interfaces = self.routers.entry(of.router).or_default();
        if interfaces.len() >= MOST_INTERFACES && !interfaces.contains_key(&index) {
            return;
        }
        let interface = interfaces.entry(index).or_default();
        self.changes += u64::from(interface.observe(of, details));
    }

    /// Notes that a source still says the same about a router: what changes later did not change before.
    pub fn confirm(&mut self, router: IpAddr, source: Source, at: Timestamp) {
        for interface in self.routers.get_mut(&router).into_iter().flat_map(BTreeMap::values_mut) {
            if interface.stated.contains_key(&source) {
                interface.heard = interface.heard.max(at);
            }
        }
    }

    /// Replaces what the operator says. What is said for the first time about an interface of which nothing is known is valid
    /// for all time.
    pub fn configure(&mut self, known: &[Known], at: Timestamp) {
        let is_known =
            |router: &IpAddr, index: &u32| known.iter().any(|one| one.router == *router && one.index == *index);
        for (router, interfaces) in &mut self.routers {
            for (index, interface) in interfaces {
                if !is_known(router, index) && interface.stated.remove(&Source::Configured).is_some() {
                    interface.replace_span(at);
                    self.changes += 1;
                }
            }
        }
        for Known { router, index, details } in known {
            let of = Observation { router: *router, source: Source::Configured, at, booted: None };
            self.observe(of, *index, details.clone());
        }
    }

    /// The interfaces of a router with their spans, by index and time.
    pub fn of(&self, router: IpAddr) -> impl Iterator<Item = (u32, &Span)> {
        let interfaces = self.routers.get(&router).into_iter().flatten();
        interfaces.flat_map(|(index, interface)| interface.spans.iter().map(move |span| (*index, span)))
    }

    /// How many interfaces are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.routers.values().map(BTreeMap::len).sum()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routers.is_empty()
    }

    /// A number that grows with every change of what is valid.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }
}

impl Interface {
    /// Returns whether something else is valid now, or more.
    fn observe(&mut self, of: Observation, details: Details) -> bool {
        let before = self.stated.get(&of.source);
        if before == Some(&details) {
            self.heard = self.heard.max(of.at);
            return false;
        }
        let is_renamed =
            before.is_some_and(|before| before.name.is_some() && details.name.is_some() && before.name != details.name);
        if is_renamed {
            // It is another interface now: what others have learnt is about the one before.
            self.stated.retain(|source, _| *source == Source::Configured);
        }
        self.stated.insert(of.source, details);
        let since = of.booted.filter(|booted| *booted > self.heard && *booted <= of.at).unwrap_or(of.at);
        self.heard = self.heard.max(of.at);
        self.settle(since, of.source, is_renamed)
    }

    /// What the sources say together, and who gave the name.
    fn merged(&self) -> Option<(Details, Source)> {
        let (first, _) = self.stated.first_key_value()?;
        let named = self.stated.iter().find(|(_, details)| details.name.is_some()).map(|(source, _)| *source);
        let merged = self.stated.values().fold(Details::default(), |merged, details| merged.or(details));
        Some((merged, named.unwrap_or(*first)))
    }

    fn settle(&mut self, since: Timestamp, heard: Source, is_renamed: bool) -> bool {
        let Some((details, source)) = self.merged() else { return false };
        match self.spans.last_mut().filter(|last| last.until.is_none()) {
            None => {
                let is_first = self.spans.is_empty() && heard == Source::Configured;
                let since = if is_first { Timestamp::default() } else { since };
                self.push(Span { since, until: None, details, source });
            }
            Some(last) if !is_renamed && last.details.agrees(&details) => {
                let more = details.or(&last.details);
                if last.details == more {
                    return false;
                }
                (last.details, last.source) = (more, source);
            }
            // Nothing was valid for no time.
            Some(last) if since <= last.since => (last.details, last.source) = (details, source),
            Some(last) => {
                last.until = Some(since);
                self.push(Span { since, until: None, details, source });
            }
        }
        true
    }

    /// Ends what is valid, and begins with what the remaining sources say.
    fn replace_span(&mut self, at: Timestamp) {
        if let Some(last) = self.spans.last_mut().filter(|last| last.until.is_none()) {
            last.until = Some(at.max(last.since));
        }
        if let Some((details, source)) = self.merged() {
            self.push(Span { since: at, until: None, details, source });
        }
    }

    fn push(&mut self, span: Span) {
        self.spans.push(span);
        if self.spans.len() > MOST_SPANS {
            self.spans.remove(0);
        }
    }
}

#[cfg(test)]
mod tests;
