//! Which flows have to be counted, how often and in which minute, said as plainly as can be: a list of all that was
//! delivered, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};

use accounting::period::Minute;

/// What is known of a flow that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In memory and in the journal, though a loss of power may take it.
    Written,
    /// In memory and in the journal, which could be synced since.
    Synced,
    /// In memory and in the journal, which could not be synced when it was to be: as `Written`, for good.
    Doubtful,
    /// In memory only: the journal could not be written.
    Missed,
    /// Was in memory only, or not synced, when the process or the power went: it may be counted or not.
    Uncertain,
    /// Counted durably.
    Durable,
}

impl Fate {
    /// What the journal has taken, or not.
    #[must_use]
    pub fn written(is_written: bool) -> Self {
        if is_written { Self::Written } else { Self::Missed }
    }

    /// The same when the journal was synced, or could not be.
    #[must_use]
    pub fn synced(self, succeeded: bool) -> Self {
        match self {
            Self::Written if succeeded => Self::Synced,
            Self::Written => Self::Doubtful,
            fate => fate,
        }
    }
}

/// A flow that was delivered, once for each time it was.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    flow: u32,
    exporter: usize,
    minute: Minute,
    fate: Fate,
    /// It waited for its template at the last cut.
    waited: bool,
    /// It was counted before the last cut.
    is_sealed: bool,
}

/// How often a flow has to be counted in a minute, and how often it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

/// All that was delivered.
#[derive(Debug, Default)]
pub struct Oracle(Vec<Delivered>);

impl Oracle {
    /// A flow was delivered, and nothing of it is written yet.
    pub fn delivered(&mut self, flow: u32, exporter: usize, minute: Minute) {
        let fate = Fate::Missed;
        self.0.push(Delivered { flow, exporter, minute, fate, waited: false, is_sealed: false });
    }

    /// How many were delivered.
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.0.len()
    }

    /// Those that were delivered since there were so many are in the journal.
    pub fn written(&mut self, since: usize) {
        self.0.iter_mut().skip(since).for_each(|it| it.fate = Fate::Written);
    }

    /// The journal was synced, or it could not be.
    pub fn synced(&mut self, succeeded: bool) {
        self.0.iter_mut().for_each(|it| it.fate = it.fate.synced(succeeded));
    }

    /// What waited at the last cut may be in the journal only as this says.
    pub fn doubt_waiting(&mut self, carried: Fate) {
        if matches!(carried, Fate::Missed | Fate::Doubtful) {
            let waited = self.0.iter_mut().filter(|it| it.waited && it.fate != Fate::Uncertain);
            waited.for_each(|it| it.fate = carried);
        }
    }

    /// A cut: all but these, which wait for their template, go into a flush.
    pub fn cut(&mut self, waiting: &BTreeSet<(usize, u32)>) {
        for it in self.0.iter_mut().filter(|it| it.fate != Fate::Durable) {
            it.waited = waiting.contains(&(it.exporter, it.flow));
            it.is_sealed = !it.waited;
        }
    }

    /// The flush of the last cut is durable; what waited then is in the journal as this says.
    pub fn flushed(&mut self, carried: Fate) {
        for it in self.0.iter_mut().filter(|it| it.fate != Fate::Uncertain) {
            if std::mem::take(&mut it.is_sealed) {
                it.fate = Fate::Durable;
            } else if std::mem::take(&mut it.waited) {
                it.fate = carried;
            }
        }
    }

    /// The process is gone: what was sealed and is not durable is counted anew.
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

    /// What has to be counted of an exporter, by minute and flow.
    #[must_use]
    pub fn expected(&self, exporter: usize) -> BTreeMap<(Minute, u32), Expected> {
        let mut expected: BTreeMap<_, Expected> = BTreeMap::new();
        for it in self.0.iter().filter(|it| it.exporter == exporter) {
            let entry = expected.entry((it.minute, it.flow)).or_default();
            entry.most += 1;
            entry.least += u64::from(it.fate != Fate::Uncertain);
        }
        expected
    }

    /// How many flows were delivered, and of how many it is not known whether they are counted.
    #[must_use]
    pub fn summary(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().filter(|it| it.fate == Fate::Uncertain).count())
    }
}
