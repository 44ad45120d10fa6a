//! Which flows must be counted, how often, for which prefixes and in which minute. Deliberately simple: a list of all
//! delivered flows with the fate of each, and the terms that each exporter had one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use accounting::period::Minute;
use flow::{Prefix, Timestamp};

use crate::exporter::Meaning;
use crate::terms::Terms;

/// The fate of a delivered flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In memory and in the journal; a power failure may still lose it.
    Written,
    /// In memory and in the journal, which has been synced since.
    Synced,
    /// In memory and in the journal, whose sync failed: like `Written`, whatever is synced later.
    Doubtful,
    /// In memory only, because the journal could not be written.
    Missed,
    /// Was in memory only, or not synced, when the process was killed or the power failed: it may or may not be
    /// counted.
    Uncertain,
    /// Counted durably.
    Durable,
}

impl Fate {
    /// The fate after an attempt to write to the journal.
    #[must_use]
    pub fn written(is_written: bool) -> Self {
        if is_written { Self::Written } else { Self::Missed }
    }

    /// The fate after an attempt to sync the journal.
    #[must_use]
    pub fn synced(self, succeeded: bool) -> Self {
        match self {
            Self::Written if succeeded => Self::Synced,
            Self::Written => Self::Doubtful,
            fate => fate,
        }
    }
}

/// A flow or an announcement, as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Its number; `None` for an announcement.
    pub flow: Option<u32>,
    /// The index of its exporter.
    pub exporter: usize,
    /// Its export time; `None` if the protocol has none.
    pub exported: Option<Timestamp>,
    /// Its receive time.
    pub at: Timestamp,
    /// Its sampling rate.
    pub rate: u32,
    /// What settings of its exporter may matter to.
    pub meaning: Meaning,
}

/// One delivery of a flow, or of an announcement.
#[derive(Clone, Debug)]
struct Delivered {
    received: Received,
    fate: Fate,
    /// The terms of its exporter when it was received.
    first_terms: usize,
    /// The terms by which it may be counted: usually one.
    terms: Range<usize>,
    /// It is queued for its template.
    is_queued: bool,
    /// A start may decode it at another time than the process that received it, and so by later terms.
    may_be_later: bool,
    /// It was queued for its template at the last cut.
    waited: bool,
    /// It was counted before the last cut.
    is_sealed: bool,
    /// It was in a flush that may be durable, although the process did not live to see it.
    may_be_durable: bool,
    /// The database on the network has it.
    is_stored: bool,
    /// It was durable when the backup was made.
    is_backed_up: bool,
    /// It was on its way to the database on the network when its spool was lost.
    may_be_partial: bool,
    /// It may be counted although it, or its terms, may not be in the log as they were.
    may_miss_log: bool,
}

/// Where a flow is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The minute; for coarser periods their first one.
    pub minute: Minute,
    /// The number of the flow.
    pub flow: u32,
    /// Whether its direction is `in:local` instead of `in`.
    pub is_local: bool,
}

/// How much of a flow must be counted in a place, and how much may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Minimum.
    pub least: Counted,
    /// Maximum.
    pub most: Counted,
    /// Whether a minute may have it and a coarser period not, or the other way round.
    pub may_be_partial: bool,
}

/// How often a flow is counted, and with how many packets altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Flows.
    pub flows: u64,
    /// Packets, each of the same size.
    pub packets: u64,
}

impl Counted {
    /// Adds one flow with these packets.
    fn add(&mut self, packets: u64) {
        self.flows += 1;
        self.packets += packets;
    }
}

/// All deliveries.
#[derive(Debug, Default)]
pub struct Oracle {
    deliveries: Vec<Delivered>,
    /// The terms of each exporter, one after the other.
    terms: Vec<Vec<Terms>>,
}

impl Oracle {
    /// What the exporter sends is counted by these terms from now on.
    pub fn counts_by(&mut self, exporter: usize, terms: Terms) {
        self.terms.resize_with(self.terms.len().max(exporter + 1), Vec::new);
        if self.terms[exporter].last() != Some(&terms) {
            self.terms[exporter].push(terms);
        }
    }

    /// Whether the exporter is registered.
    #[must_use]
    pub fn is_registered(&self, exporter: usize) -> bool {
        self.terms[exporter].last().is_some_and(|terms| terms.registration.is_some())
    }

    /// It was delivered and is not in the journal yet. Nothing becomes of it if the exporter is not registered.
    pub fn delivered(&mut self, received: Received) {
        if !self.is_registered(received.exporter) {
            return;
        }
        let terms = self.terms[received.exporter].len();
        self.deliveries.push(Delivered {
            received,
            fate: Fate::Missed,
            first_terms: terms - 1,
            terms: terms - 1..terms,
            is_queued: false,
            may_be_later: false,
            waited: false,
            is_sealed: false,
            may_be_durable: false,
            is_stored: false,
            is_backed_up: false,
            may_be_partial: false,
            may_miss_log: false,
        });
    }

    /// These flows are queued for their template now. Others that were are decoded, by the terms of this moment.
    pub fn queued(&mut self, waiting: &BTreeSet<(usize, u32)>) {
        for it in self.deliveries.iter_mut().filter(|it| it.fate != Fate::Durable) {
            let is_queued = it.is_in(waiting);
            if it.is_queued && !is_queued {
                let terms = self.terms[it.received.exporter].len();
                it.terms = terms - 1..terms;
            }
            it.is_queued = is_queued;
            it.may_be_later |= is_queued;
        }
    }

    /// The number of deliveries.
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.deliveries.len()
    }

    /// All deliveries after the first `since` are in the journal.
    pub fn written(&mut self, since: usize) {
        self.deliveries.iter_mut().skip(since).for_each(|it| it.fate = Fate::Written);
    }

    /// The journal was synced, or its sync failed.
    pub fn synced(&mut self, succeeded: bool) {
        self.deliveries.iter_mut().for_each(|it| it.fate = it.fate.synced(succeeded));
    }

    /// Flows that were queued at the last cut may have no better fate than this.
    pub fn doubt_waiting(&mut self, carried: Fate) {
        if matches!(carried, Fate::Missed | Fate::Doubtful) {
            let waited = self.deliveries.iter_mut().filter(|it| it.waited && it.fate != Fate::Uncertain);
            waited.for_each(|it| it.fate = carried);
        }
    }

    /// A cut: all flows go into a flush, except these, which are queued for their template. What is queued of an exporter that
    /// was removed is dropped; a start may still find it in the journal.
    pub fn cut(&mut self, waiting: &BTreeSet<(usize, u32)>) {
        for it in self.deliveries.iter_mut().filter(|it| it.fate != Fate::Durable) {
            it.waited = it.is_in(waiting);
            it.is_sealed = !it.waited;
            if std::mem::replace(&mut it.is_queued, it.waited) && !it.waited {
                it.fate = Fate::Uncertain;
            }
        }
    }

    /// The flush of the last cut is durable. Flows that were queued then have this fate.
    pub fn flushed(&mut self, carried: Fate) {
        for it in self.deliveries.iter_mut().filter(|it| it.fate != Fate::Uncertain) {
            if std::mem::take(&mut it.is_sealed) {
                it.may_miss_log |= matches!(it.fate, Fate::Missed | Fate::Doubtful);
                it.fate = Fate::Durable;
            } else if std::mem::take(&mut it.waited) {
                it.fate = carried;
            }
        }
    }

    /// Everything durable is in the store on the network.
    pub fn stored(&mut self) {
        self.deliveries.iter_mut().filter(|it| it.fate == Fate::Durable).for_each(|it| it.is_stored = true);
    }

    /// A backup of the database was made.
    pub fn backed_up(&mut self) {
        self.deliveries.iter_mut().for_each(|it| it.is_backed_up = it.fate == Fate::Durable);
    }

    /// The process was killed while it flushed.
    pub fn may_be_durable(&mut self) {
        self.deliveries.iter_mut().filter(|it| it.is_sealed).for_each(|it| it.may_be_durable = true);
    }

    /// The database was lost, and a new one put in its place, or the backup. What was durable is counted if it is in the
    /// backup or was stored on the network; the rest at most once, if the disk refused to remove its segment. What is in the
    /// journal is still counted.
    pub fn lost_database(&mut self, is_restored: bool) {
        for it in &mut self.deliveries {
            let is_there = it.is_stored || is_restored && it.is_backed_up;
            it.fate = match it.fate {
                _ if is_there => Fate::Durable,
                _ if it.may_be_durable => Fate::Uncertain,
                Fate::Durable => Fate::Uncertain,
                fate => fate,
            };
        }
    }

    /// The spool is lost. Of a flush that was on its way to the database on the network, that may have some blocks, and nothing
    /// is left that knows the others.
    pub fn lost_spool(&mut self) {
        let on_its_way = |it: &&mut Delivered| !it.is_stored && (it.fate == Fate::Durable || it.may_be_durable);
        self.deliveries.iter_mut().filter(on_its_way).for_each(|it| it.may_be_partial = true);
    }

    /// The process is dead: flows that were sealed but are not durable will be counted again.
    pub fn crashed(&mut self, power: bool) {
        let mut without_templates = BTreeSet::new();
        for it in &mut self.deliveries {
            (it.waited, it.is_sealed, it.is_queued) = (false, false, false);
            let before = it.fate;
            it.fate = match before {
                Fate::Missed => Fate::Uncertain,
                Fate::Written | Fate::Doubtful if power => Fate::Uncertain,
                fate => fate,
            };
            if it.fate != before {
                // The terms before it may be lost as well: then it is counted by those before them, or by those of the start.
                (it.first_terms, it.may_be_later) = (0, true);
                if it.received.flow.is_none() {
                    without_templates.insert(it.received.exporter);
                }
            }
        }
        self.may_wait(|exporter| without_templates.contains(&exporter));
    }

    /// Templates of these exporters may be lost: their data wait for the next announcement.
    pub fn may_wait(&mut self, exporters: impl Fn(usize) -> bool) {
        let lacking = |it: &&mut Delivered| it.fate != Fate::Durable && exporters(it.received.exporter);
        self.deliveries.iter_mut().filter(lacking).for_each(|it| it.may_be_later = true);
    }

    /// The record of what was received at this time is damaged. Its copies, if it was carried over, are not.
    pub fn damaged(&mut self, exporter: usize, at: Timestamp) {
        let is_hit = |it: &Delivered| it.received.exporter == exporter && it.received.at == at;
        let mut has_template = false;
        for it in self.deliveries.iter_mut().filter(|it| it.fate != Fate::Durable && is_hit(it)) {
            it.fate = Fate::Uncertain;
            has_template |= it.received.flow.is_none();
        }
        self.may_wait(|other| has_template && other == exporter);
    }

    /// The terms of what was received at these times are damaged: it is counted by those before them, or by those of the start.
    pub fn lost_terms(&mut self, exporter: usize, at: &BTreeSet<Timestamp>) {
        let is_hit = |it: &&mut Delivered| it.received.exporter == exporter && at.contains(&it.received.at);
        for it in self.deliveries.iter_mut().filter(|it| it.fate != Fate::Durable).filter(is_hit) {
            (it.first_terms, it.may_be_later, it.may_miss_log) = (0, true, true);
        }
    }

    /// What was received like this may be counted, although readers of the log cannot read it, or its terms.
    pub fn may_miss_log(&mut self, is_hit: impl Fn(&Received) -> bool) {
        self.deliveries.iter_mut().filter(|it| is_hit(&it.received)).for_each(|it| it.may_miss_log = true);
    }

    /// A process has started: it counts what is in the journal, except these flows, which are queued for their template. What
    /// it cannot decode of an exporter that is no longer registered is dropped.
    pub fn started(&mut self, waiting: &BTreeSet<(usize, u32)>) {
        for it in self.deliveries.iter_mut().filter(|it| it.fate != Fate::Durable && it.may_be_later) {
            let terms = &self.terms[it.received.exporter];
            it.terms = it.first_terms..terms.len();
            it.is_queued = it.is_in(waiting);
            if terms.last().is_some_and(|terms| terms.registration.is_none()) {
                it.fate = Fate::Uncertain;
            }
        }
    }

    /// Whether a flow of an exporter is in the log exactly if it is counted. If something of an exporter with templates may be
    /// missing there, this is not known of any.
    pub fn in_log(&self, exporter: usize, has_templates: bool) -> impl Fn(u32) -> bool {
        let own = self.deliveries.iter().filter(move |it| it.received.exporter == exporter);
        let unsure = own.filter(|it| it.fate == Fate::Uncertain || it.may_miss_log);
        let unsure: Vec<Option<u32>> = unsure.map(|it| it.received.flow).collect();
        move |flow| if has_templates { unsure.is_empty() } else { !unsure.contains(&Some(flow)) }
    }

    /// The expected counts of an exporter and prefix.
    #[must_use]
    pub fn expected(&self, exporter: usize, prefix: Prefix) -> BTreeMap<Place, Expected> {
        let mut expected: BTreeMap<_, Expected> = BTreeMap::new();
        for it in self.deliveries.iter().filter(|it| it.received.exporter == exporter) {
            let Some(flow) = it.received.flow else { continue };
            let (places, is_sure) = self.places(it, flow, prefix);
            for (place, packets) in places {
                let entry = expected.entry(place).or_default();
                entry.most.add(packets.end - 1);
                if is_sure && it.fate != Fate::Uncertain {
                    entry.least.add(packets.start);
                }
                entry.may_be_partial |= it.may_be_partial;
            }
        }
        expected
    }

    /// Where a delivery of a flow may be counted for a prefix, and with how many packets. Whether there is only one such place,
    /// and it must be counted there.
    fn places(&self, it: &Delivered, flow: u32, prefix: Prefix) -> (BTreeMap<Place, Range<u64>>, bool) {
        let Received { exported, at, rate, meaning, .. } = it.received;
        let mut places: BTreeMap<_, Range<u64>> = BTreeMap::new();
        let mut is_sure = true;
        for terms in &self.terms[it.received.exporter][it.terms.clone()] {
            let Some(registration) = &terms.registration else { continue };
            if !registration.prefixes.contains(&prefix) || !registration.counts(meaning) {
                is_sure = false;
                continue;
            }
            let packets = if terms.settings.multiplies { registration.rate(rate).into() } else { 1 };
            let place = Place { minute: terms.minute(exported, at), flow, is_local: terms.is_local(flow) };
            let range = places.entry(place).or_insert(packets..packets + 1);
            *range = range.start.min(packets)..range.end.max(packets + 1);
        }
        is_sure &= places.len() == 1;
        (places, is_sure)
    }

    /// The number of deliveries, and of those with an uncertain fate.
    #[must_use]
    pub fn summary(&self) -> (usize, usize) {
        let flows = || self.deliveries.iter().filter(|it| it.received.flow.is_some());
        (flows().count(), flows().filter(|it| it.fate == Fate::Uncertain).count())
    }
}

impl Delivered {
    fn is_in(&self, flows: &BTreeSet<(usize, u32)>) -> bool {
        self.received.flow.is_some_and(|flow| flows.contains(&(self.received.exporter, flow)))
    }
}
