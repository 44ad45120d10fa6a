//! The rates that one port announced for a domain, and which port counts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, btree_map};
use std::time::Duration;

use flow::{Protocol, Timestamp};
use hashbrown::HashMap;

use super::{Domain, Place, Rate, Scope, SetSource, Subject};
use crate::ports::SILENT;

/// Rates from another port that were first announced after the flows count when they are still announced after this time.
const CONFIRMED: Duration = Duration::from_secs(60);

/// Who announced the rate of a record, for what ([`PortRates::of_record`]), and which it is.
pub(super) type Found = (Announcer, Option<Subject>, Rate);

/// Who announces rates: a port, for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcer {
    pub(crate) domain: Domain,
    pub(crate) port: u16,
    /// When it announced rates first, and last.
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

impl Announcer {
    /// Of rates that were stored without their port. Rates that any port announces replace them.
    pub(crate) const UNKNOWN: Self =
        Self { domain: (Protocol::Ipfix, 0), port: 0, first: Timestamp::EPOCH, last: Timestamp::EPOCH };
}

/// The field that a record names the subject of a statement by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NamedBy {
    Sampler,
    Interface,
    ObservationPoint,
    LineCard,
    Template,
    Exporter,
    Nothing,
}

impl NamedBy {
    const fn of(subject: Subject) -> Self {
        match subject {
            Subject { sampler: Some(_), .. } => Self::Sampler,
            Subject { scope: Scope::Interface(_) | Scope::OutputInterface(_), .. } => Self::Interface,
            Subject { scope: Scope::ObservationPoint(_), .. } => Self::ObservationPoint,
            Subject { scope: Scope::LineCard(_), .. } => Self::LineCard,
            Subject { scope: Scope::Template(_), .. } => Self::Template,
            Subject { scope: Scope::Exporter(_), .. } => Self::Exporter,
            Subject { scope: Scope::Domain | Scope::Other(_), .. } => Self::Nothing,
        }
    }
}

/// The rates that one port announced for a domain.
#[derive(Clone, Debug)]
pub(super) struct PortRates {
    pub(super) announcer: Announcer,
    /// Of the whole domain, without a sampler.
    pub(super) domain: Option<Rate>,
    /// Of everything else.
    pub(super) parts: HashMap<Subject, Rate>,
    /// How many of these have each rate.
    rates: BTreeMap<(NamedBy, Rate), u32>,
    /// How many of these are about something else than the whole domain, how many about a place that records name, and how
    /// many about an exporter.
    scoped: usize,
    pub(super) places: usize,
    pub(super) exporters: usize,
}

impl PortRates {
    pub(super) fn new(announcer: Announcer) -> Self {
        Self {
            announcer,
            domain: None,
            parts: HashMap::new(),
            rates: BTreeMap::new(),
            scoped: 0,
            places: 0,
            exporters: 0,
        }
    }

    pub(super) fn get(&self, subject: Subject) -> Option<Rate> {
        if subject == Subject::DOMAIN { self.domain } else { self.parts.get(&subject).copied() }
    }

    /// Sets a rate; returns whether it is a new one.
    pub(super) fn set(&mut self, subject: Subject, rate: Rate) -> bool {
        if subject == Subject::DOMAIN {
            return self.domain.replace(rate).is_none();
        }
        let before = self.parts.insert(subject, rate);
        let named_by = NamedBy::of(subject);
        *self.rates.entry((named_by, rate)).or_default() += 1;
        if let Some(before) = before
            && let btree_map::Entry::Occupied(mut subjects) = self.rates.entry((named_by, before))
        {
            *subjects.get_mut() -= 1;
            if *subjects.get() == 0 {
                subjects.remove();
            }
        }
        if before.is_none() {
            self.scoped += usize::from(subject.scope != Scope::Domain);
            self.places += usize::from(subject.scope.is_place());
            self.exporters += usize::from(matches!(subject.scope, Scope::Exporter(_)));
        }
        before.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len() + usize::from(self.domain.is_some())
    }

    /// Whether one of the rates multiplies packets by this number.
    pub(super) fn has(&self, packets: u32) -> bool {
        let is_rate = |announced: &Rate| announced.packets == packets;
        self.domain.as_ref().is_some_and(is_rate) || self.rates.keys().any(|(_, announced)| is_rate(announced))
    }

    /// The rate of a record, and what it was announced for; no subject if several have the same rate.
    pub(super) fn of_record(
        &self,
        source: &SetSource<'_>,
        sampler: Option<u64>,
        place: &Place,
    ) -> Option<(Option<Subject>, Rate)> {
        for sampler in [sampler, None].into_iter().skip(usize::from(sampler.is_none())) {
            let of = |scope| self.get(Subject { scope, sampler }).map(|rate| (Some(Subject { scope, sampler }), rate));
            let template = Scope::Template(source.template().id());
            let exporter = place.exporter.map(Scope::Exporter);
            let scoped = || place.scopes().chain([template]).chain(exporter).find_map(of);
            let found = if self.scoped > 0 { scoped() } else { None };
            // What is stated about the sender itself is about all that it sends, also of other exporters.
            let of_sender =
                || if self.exporters > 0 { of(Scope::Exporter(source.message.exporter.address)) } else { None };
            if let Some(found) =
                found.or_else(of_sender).or_else(|| of(Scope::Domain)).or_else(|| self.of_only_exporter(sampler, place))
            {
                return Some(found);
            }
        }
        if self.parts.is_empty() { None } else { self.only_rate(source, sampler, place).map(|rate| (None, rate)) }
    }

    /// The rate of the exporters that there are statements about, for a record that names none: if all have one rate.
    fn of_only_exporter(&self, sampler: Option<u64>, place: &Place) -> Option<(Option<Subject>, Rate)> {
        if self.exporters == 0 || place.exporter.is_some() {
            return None;
        }
        let is_of_exporter = |of: &Subject| of.sampler == sampler && matches!(of.scope, Scope::Exporter(_));
        let mut rates = self.parts.iter().filter(|(of, _)| is_of_exporter(of));
        let (subject, only) = rates.next()?;
        let subject = Some(*subject).filter(|_| self.exporters == 1);
        rates.all(|(_, rate)| rate == only).then_some((subject, *only))
    }

    /// The rate of everything that a record has no field to name, if there is only one.
    #[inline(never)]
    fn only_rate(&self, source: &SetSource<'_>, sampler: Option<u64>, place: &Place) -> Option<Rate> {
        let mut rates = self.possible(source, sampler, place);
        let only = rates.next()?;
        rates.all(|rate| rate == only).then_some(only)
    }

    /// The rates of everything that a record has no field to name.
    pub(super) fn possible(
        &self,
        source: &SetSource<'_>,
        sampler: Option<u64>,
        place: &Place,
    ) -> impl Iterator<Item = Rate> {
        let may_be = move |named_by: NamedBy| match named_by {
            NamedBy::Sampler => match sampler {
                Some(sampler) => sampler > 0 && source.template().combines_sampler(),
                None => !source.others_name_samplers(),
            },
            NamedBy::Interface => place.input.or(place.output).is_none(),
            NamedBy::ObservationPoint => place.observation_point.is_none(),
            NamedBy::LineCard => place.line_card.is_none(),
            NamedBy::Template => false,
            NamedBy::Exporter => place.exporter.is_none(),
            NamedBy::Nothing => true,
        };
        self.rates.keys().filter(move |(named_by, _)| may_be(*named_by)).map(|(_, rate)| *rate)
    }
}

/// What counts for records of a message if their own port announces none.
pub(super) fn by_other_port(
    all: &[PortRates],
    source: &SetSource<'_>,
    known: impl Fn(&PortRates) -> Option<Found>,
) -> Option<Found> {
    let SetSource { ports, message, .. } = source;
    let own_port = message.exporter.port;
    let since = ports.since(own_port);
    let counts = |Announcer { port, first, last, .. }: &Announcer| {
        since.is_none() || ports.is_older(*port, own_port) || *last >= first.saturating_add(CONFIRMED)
    };
    let counting = all.iter().filter(|rates| counts(&rates.announcer));
    let known = counting.filter_map(known).enumerate();
    let chosen = match since {
        // Its first flows: everything that they need has just been announced.
        None => known.max_by_key(|(_, (announcer, ..))| announcer.last),
        Some(since) => {
            let recently = since.max(message.received.saturating_sub(SILENT));
            known.max_by_key(|(place, (announcer, ..))| (announcer.last >= recently, Reverse(*place)))
        }
    };
    chosen.map(|(_, statement)| statement)
}
