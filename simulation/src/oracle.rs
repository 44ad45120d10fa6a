//! Which flows must be counted, how often and in which minute. Deliberately simple: a list of all delivered flows with
//! the fate of each.

use std::collections::{BTreeMap, BTreeSet};

use accounting::period::Minute;

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

/// One delivery of a flow.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    flow: u32,
    exporter: usize,
    minute: Minute,
    fate: Fate,
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
}

/// How often a flow must be counted in a minute, and how often it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Minimum.
    pub least: u64,
    /// Maximum.
    pub most: u64,
    /// Whether a minute may have it and a coarser period not, or the other way round.
    pub may_be_partial: bool,
}

/// All delivered flows.
#[derive(Debug, Default)]
pub struct Oracle(Vec<Delivered>);

impl Oracle {
    /// A flow was delivered and is not in the journal yet.
    pub fn delivered(&mut self, flow: u32, exporter: usize, minute: Minute) {
        self.0.push(Delivered {
            flow,
            exporter,
            minute,
            fate: Fate::Missed,
            waited: false,
            is_sealed: false,
            may_be_durable: false,
            is_stored: false,
            is_backed_up: false,
            may_be_partial: false,
        });
    }

    /// The number of deliveries.
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.0.len()
    }

    /// All deliveries after the first `since` are in the journal.
    pub fn written(&mut self, since: usize) {
        self.0.iter_mut().skip(since).for_each(|it| it.fate = Fate::Written);
    }

    /// The journal was synced, or its sync failed.
    pub fn synced(&mut self, succeeded: bool) {
        self.0.iter_mut().for_each(|it| it.fate = it.fate.synced(succeeded));
    }

    /// Flows that were queued at the last cut may have no better fate than this.
    pub fn doubt_waiting(&mut self, carried: Fate) {
        if matches!(carried, Fate::Missed | Fate::Doubtful) {
            let waited = self.0.iter_mut().filter(|it| it.waited && it.fate != Fate::Uncertain);
            waited.for_each(|it| it.fate = carried);
        }
    }

    /// A cut: all flows go into a flush, except these, which are queued for their template.
    pub fn cut(&mut self, waiting: &BTreeSet<(usize, u32)>) {
        for it in self.0.iter_mut().filter(|it| it.fate != Fate::Durable) {
            it.waited = waiting.contains(&(it.exporter, it.flow));
            it.is_sealed = !it.waited;
        }
    }

    /// The flush of the last cut is durable. Flows that were queued then have this fate.
    pub fn flushed(&mut self, carried: Fate) {
        for it in self.0.iter_mut().filter(|it| it.fate != Fate::Uncertain) {
            if std::mem::take(&mut it.is_sealed) {
                it.fate = Fate::Durable;
            } else if std::mem::take(&mut it.waited) {
                it.fate = carried;
            }
        }
    }

    /// Everything durable is in the store on the network.
    pub fn stored(&mut self) {
        self.0.iter_mut().filter(|it| it.fate == Fate::Durable).for_each(|it| it.is_stored = true);
    }

    /// A backup of the database was made.
    pub fn backed_up(&mut self) {
        self.0.iter_mut().for_each(|it| it.is_backed_up = it.fate == Fate::Durable);
    }

    /// The process was killed while it flushed.
    pub fn may_be_durable(&mut self) {
        self.0.iter_mut().filter(|it| it.is_sealed).for_each(|it| it.may_be_durable = true);
    }

    /// The database was lost, and a new one put in its place, or the backup. What was durable is counted if it is in the
    /// backup or was stored on the network; the rest at most once, if the disk refused to remove its segment. What is in the
    /// journal is still counted.
    pub fn lost_database(&mut self, is_restored: bool) {
        for it in &mut self.0 {
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
        self.0.iter_mut().filter(on_its_way).for_each(|it| it.may_be_partial = true);
    }

    /// The process is dead: flows that were sealed but are not durable will be counted again.
    pub fn crashed(&mut self, power: bool) {
        for it in &mut self.0 {
            (it.waited, it.is_sealed) = (false, false);
            it.fate = match it.fate {
                Fate::Missed => Fate::Uncertain,
                Fate::Written | Fate::Doubtful if power => Fate::Uncertain,
                fate => fate,
            };
        }
    }

    /// The expected counts of an exporter, by minute and flow.
    #[must_use]
    pub fn expected(&self, exporter: usize) -> BTreeMap<(Minute, u32), Expected> {
        let mut expected: BTreeMap<_, Expected> = BTreeMap::new();
        for it in self.0.iter().filter(|it| it.exporter == exporter) {
            let entry = expected.entry((it.minute, it.flow)).or_default();
            entry.most += 1;
            entry.least += u64::from(it.fate != Fate::Uncertain);
            entry.may_be_partial |= it.may_be_partial;
        }
        expected
    }

    /// The number of deliveries, and of those with an uncertain fate.
    #[must_use]
    pub fn summary(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().filter(|it| it.fate == Fate::Uncertain).count())
    }
}
