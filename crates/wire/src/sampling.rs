//! Sampling rates: which of an exporter's statements about sampling holds for a record.
//!
//! The rate of a flow is the first of these that is known: the rate in the record, the rate in options data, the rate in
//! the header. 0 is no rate. [`statement`] reads them.
//!
//! Options data speak of a part of their observation domain ([`Scope`]), and of a sampler or of all. For a record, the first
//! that there is counts:
//!
//! 1. a statement about the sampler that it names, then one about no sampler;
//! 2. of either, the one about the narrowest part of the domain that the record belongs to;
//! 3. the statements about samplers, or parts of the domain, that the record has no field to name: if all have one rate.
//!
//! Statements about samplers do not apply to records that name none where other templates of the domain name theirs.
//!
//! Options data from the port that the flow came from take precedence. There are routers whose options data come from
//! another port than their flows (Juniper MX), so those of other ports count as well; but anybody can forge them. Options
//! data of another port count for a port
//! - if they were there before its first flows, which then gave the other port standing ([`crate::ports`]);
//! - else once they have been repeated for a minute ([`port_rates`]).
//!
//! If several other ports announce rates, those of the port that began first count, until it has been silent ([`SILENT`]).

mod applied;
mod port_rates;
mod source;
mod statement;

use flow::{Protocol, Sampling, SamplingSource, Timestamp};
use hashbrown::HashMap;

use crate::booking::Slot;
use crate::datagram::Message;
use crate::plan::Reading;
use crate::ports::{Entry, Ports, SILENT, Wanted};
use crate::template::Template;

pub use applied::{AppliedRate, AppliedStatement};
pub(crate) use port_rates::Announcer;
use port_rates::{Found, PortRates, by_other_port};
use source::Place;
pub(crate) use source::SetSource;
pub use statement::{Implausible, Scope};
pub(crate) use statement::{Parameters, Rate, Subject};

/// How many samplers are stored for one exporter address; routers have one for each line card or interface.
const SAMPLERS_KEPT: usize = 4096;
/// How many ports may announce rates for one domain.
const PORTS_KEPT: usize = 8;
/// How many templates with rates that cannot be are listed.
const IMPLAUSIBLE_KEPT: usize = 8;

/// Protocol and observation domain of a sampler.
pub(crate) type Domain = (Protocol, u32);

/// A sampling rate from options data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The UDP port that announced it.
    pub port: u16,
    /// The part of the domain that it is about.
    pub scope: Scope,
    /// The sampler; `None` for everything in the scope.
    pub sampler: Option<u64>,
    /// One of this many packets is sampled.
    pub rate: u32,
    /// One of this many flows is reported: more than 1 if flows are sampled. It is a factor of `rate`.
    pub flows: u16,
    /// When this port last announced a rate of the domain.
    pub announced: Timestamp,
}

/// Records of a template that give a rate that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImplausibleRate {
    /// The protocol: NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// The observation domain or source id.
    pub domain: u32,
    /// The UDP port that they came from.
    pub port: u16,
    /// The template.
    pub template: u16,
    /// What cannot be, in the last of them.
    pub what: Implausible,
    /// How many there were.
    pub records: u64,
    /// When the last was received.
    pub last: Timestamp,
}

/// The sampling of the records of one set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetSampling {
    /// The sampler of the last record; 0 if records name none.
    sampler: u64,
    /// Whether a record gives its rate itself, or the rate depends on a part of the domain that it names.
    is_by_record: bool,
    /// The part of the domain of the last record.
    place: Place,
    /// Its sampling, so that it is looked up once.
    sampling: Sampling,
    /// The port that announced the rate, if it is another one than that of the records.
    pub(crate) other_port: Option<u16>,
    /// Rates that had the wrong byte order.
    pub(crate) corrected: u32,
    /// Records with rates that cannot be, and what cannot be in the last of them.
    implausible: Option<(u64, Implausible)>,
}

/// The samplers of one exporter address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samplers {
    /// For each domain, the ports in the order in which they began to announce rates.
    domains: HashMap<Domain, Vec<PortRates>>,
    /// The number of rates.
    count: usize,
    /// Number of changes to the rates.
    changes: u64,
    /// The templates whose records gave rates that cannot be, the most recent last.
    implausible: Vec<ImplausibleRate>,
}

impl Samplers {
    /// Stores the sampling rate of an options data record, if it carries one.
    pub(crate) fn learn(&mut self, ports: &Ports, message: &Message, template: &Template, record: &[u8]) {
        if template.sampling().is_none() {
            return;
        }
        let Some(statement) = statement::of_options(template, record) else { return };
        let rate = match statement.rate {
            Ok(rate) => rate,
            Err(implausible) => return self.note_implausible(message, template, (1, implausible)),
        };
        let subject = statement.of;
        let domain = (message.protocol, statement.domain.unwrap_or(message.domain));
        let (port, now) = (message.exporter.port, message.received);
        let all = self.domains.get_mut(&domain).map(Vec::as_mut_slice).unwrap_or_default();
        let mut is_new = true;
        if let Some(known) = all.iter_mut().find(|rates| rates.announcer.port == port) {
            known.announcer.last = known.announcer.last.max(now);
            match known.get(subject) {
                Some(known) if known == rate => return,
                known => is_new = known.is_none(),
            }
        }
        if !is_new || self.make_room(ports, port, now) {
            self.set(Announcer { domain, port, first: now, last: now }, subject, rate, now);
        }
    }

    /// Lists rates that cannot be.
    #[cold]
    fn note_implausible(&mut self, message: &Message, template: &Template, (records, what): (u64, Implausible)) {
        let Message { protocol, domain, exporter, received: last, .. } = *message;
        let (port, template) = (exporter.port, template.id());
        let is_same = |known: &ImplausibleRate| {
            (known.protocol, known.domain, known.port, known.template) == (protocol, domain, port, template)
        };
        let place = self.implausible.iter().position(is_same);
        let before = place.map_or(0, |place| self.implausible.remove(place).records);
        if self.implausible.len() >= IMPLAUSIBLE_KEPT {
            self.implausible.remove(0);
        }
        let records = before.saturating_add(records);
        self.implausible.push(ImplausibleRate { protocol, domain, port, template, what, records, last });
    }

    /// Lists the rates of a set that cannot be.
    pub(crate) fn note_set(&mut self, message: &Message, template: &Template, set: &SetSampling) {
        if let Some(implausible) = set.implausible {
            self.note_implausible(message, template, implausible);
        }
    }

    /// Sets a rate that was stored, unless there are too many.
    pub(crate) fn restore(&mut self, announcer: Announcer, subject: Subject, rate: Rate) {
        if self.count < SAMPLERS_KEPT {
            self.set(announcer, subject, rate, Timestamp::EPOCH);
        }
    }

    /// After a restart of the collector: all announcers count as heard now, however long it was stopped.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        let known = self.domains.values_mut().flatten().map(|rates| &mut rates.announcer);
        known.filter(|known| known.last > Timestamp::EPOCH).for_each(|known| known.last = known.last.max(now));
    }

    fn set(&mut self, announcer: Announcer, subject: Subject, rate: Rate, now: Timestamp) {
        let all = self.domains.entry(announcer.domain).or_default();
        let place = all.iter().position(|rates| rates.announcer.port == announcer.port);
        let place = place.unwrap_or_else(|| {
            if all.len() >= PORTS_KEPT {
                let silent = now.saturating_sub(SILENT);
                let silent = all.iter().position(|rates| rates.announcer.last < silent);
                self.count -= all.remove(silent.unwrap_or(PORTS_KEPT - 1)).len();
            }
            all.push(PortRates::new(announcer));
            all.len() - 1
        });
        if let Some(rates) = all.get_mut(place) {
            self.count += usize::from(rates.set(subject, rate));
            self.changes += 1;
        }
    }

    /// Displaces the rates of other ports until there is room for one more.
    fn make_room(&mut self, ports: &Ports, port: u16, now: Timestamp) -> bool {
        if self.count < SAMPLERS_KEPT {
            return true;
        }
        let entries = self.domains.values().flatten().map(|rates| {
            let Announcer { domain, port, last, .. } = rates.announcer;
            Entry { key: (domain, port), port, size: rates.len(), used: last, heard: last }
        });
        let displaced = ports.displaced(&Wanted { port, size: 1, limit: SAMPLERS_KEPT, now }, entries);
        for (domain, port) in displaced {
            let Some(all) = self.domains.get_mut(&domain) else { continue };
            all.retain(|rates| rates.announcer.port != port);
            if all.is_empty() {
                self.domains.remove(&domain);
            }
        }
        self.count = self.domains.values().flatten().map(PortRates::len).sum();
        self.count < SAMPLERS_KEPT
    }

    /// All rates: by domain, in it by port in the order in which they began, that of the domain before those of its parts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Announcer, Subject, Rate)> {
        let mut domains: Vec<_> = self.domains.iter().collect();
        domains.sort_unstable_by_key(|(domain, _)| **domain);
        domains.into_iter().flat_map(|(_, all)| all).flat_map(|rates| {
            let mut parts: Vec<_> = rates.parts.iter().map(|(subject, rate)| (*subject, *rate)).collect();
            parts.sort_unstable();
            let domain = rates.domain.map(|rate| (Subject::DOMAIN, rate));
            domain.into_iter().chain(parts).map(|(subject, rate)| (rates.announcer, subject, rate))
        })
    }

    /// The same, for showing.
    pub(crate) fn list(&self) -> Vec<Sampler> {
        self.iter().map(|(announcer, subject, rate)| sampler(&announcer, subject, rate)).collect()
    }

    /// The templates whose records gave rates that cannot be.
    pub(crate) fn implausible(&self) -> &[ImplausibleRate] {
        &self.implausible
    }

    /// The port that announced this rate for a domain: this one, or else the first.
    pub(crate) fn announcer(&self, domain: Domain, port: u16, rate: u32) -> Option<u16> {
        let announced = self.domains.get(&domain)?.iter().filter(|rates| rates.has(rate));
        let announced = announced.map(|rates| rates.announcer.port);
        announced.min_by_key(|announced| *announced != port)
    }

    /// Number of changes to the rates.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// The sampling at the start of a set.
    pub(crate) fn of_set(&self, source: &SetSource<'_>) -> SetSampling {
        let template = source.template();
        let mut set = SetSampling {
            sampler: 0,
            is_by_record: !template.sampling().is_none(),
            place: Place::default(),
            sampling: Sampling::NONE,
            other_port: None,
            corrected: 0,
            implausible: None,
        };
        if let Some(all) = self.domains.get(&domain_of(source.message)) {
            let depends =
                |rates: &PortRates| rates.places > 0 || (rates.exporters > 0 && template.plan().names_exporter());
            set.is_by_record |= all.iter().any(depends);
            self.look_up(source, &mut set);
        }
        set
    }

    /// The rate of a flow record.
    #[inline]
    pub(crate) fn of(&self, source: &SetSource<'_>, reading: &Reading<'_, '_>, set: &mut SetSampling) -> Sampling {
        if set.is_by_record {
            return self.of_record(source, reading, set);
        }
        let sampler = reading.number(Slot::SamplerId);
        if sampler != set.sampler {
            set.sampler = sampler;
            self.look_up(source, set);
        }
        set.sampling
    }

    /// The rate of a record that gives it, or that names a part of the domain.
    #[inline(never)]
    fn of_record(&self, source: &SetSource<'_>, reading: &Reading<'_, '_>, set: &mut SetSampling) -> Sampling {
        match statement::of_record(source.template(), reading.record()) {
            Some((Ok(rate), is_reversed)) => {
                set.corrected += u32::from(is_reversed);
                return rate.from(SamplingSource::Record);
            }
            Some((Err(implausible), _)) => {
                let (before, _) = set.implausible.unwrap_or((0, implausible));
                set.implausible = Some((before + 1, implausible));
            }
            None => {}
        }
        let (sampler, place) = (reading.number(Slot::SamplerId), Place::of(source.template(), reading));
        if (sampler, place) != (set.sampler, set.place) {
            (set.sampler, set.place) = (sampler, place);
            self.look_up(source, set);
        }
        set.sampling
    }

    /// Looks up the rate of another sampler or place. Not inlined, because most sets have one.
    #[inline(never)]
    fn look_up(&self, source: &SetSource<'_>, set: &mut SetSampling) {
        let sampler = source.template().plan().fills(Slot::SamplerId).then_some(set.sampler);
        let found = self.find(source, sampler, &set.place);
        set.sampling = found.map_or(Sampling::NONE, |(_, _, rate)| rate.from(SamplingSource::Options));
        let port = found.map(|(announcer, ..)| announcer.port);
        set.other_port = port.filter(|port| *port != source.message.exporter.port);
    }

    /// The statement in options data that holds for a record: its port, its subject and its rate.
    fn find(&self, source: &SetSource<'_>, sampler: Option<u64>, place: &Place) -> Option<Found> {
        let all = self.domains.get(&domain_of(source.message))?;
        let known = |rates: &PortRates| {
            let (subject, rate) = rates.of_record(source, sampler, place)?;
            Some((rates.announcer, subject, rate))
        };
        let same_port = all.iter().find(|rates| rates.announcer.port == source.message.exporter.port);
        same_port.and_then(known).or_else(|| by_other_port(all, source, known))
    }
}

const fn domain_of(message: &Message) -> Domain {
    (message.protocol, message.domain)
}

fn sampler(announcer: &Announcer, Subject { scope, sampler }: Subject, rate: Rate) -> Sampler {
    let Announcer { domain: (protocol, domain), port, last: announced, .. } = *announcer;
    let Rate { packets: rate, flows } = rate;
    Sampler { protocol, domain, port, scope, sampler, rate, flows, announced }
}

impl Rate {
    const fn from(self, source: SamplingSource) -> Sampling {
        Sampling { rate: self.packets, flows: self.flows, source }
    }
}
