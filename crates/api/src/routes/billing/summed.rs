//! The samples of one sender, or of several added up. A sum is known if one of its samples is; if others are missing, it is
//! partial: it has what the senders that are not missing have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use accounting::direction::Direction;
use accounting::five_minutes;
use accounting::period::Minute;
use accounting::range::Range;
use flow::Counters;

use super::samples::{Losses, Missing, Samples};

/// How many senders are listed that are missing in a sample.
const LISTED: usize = 10;

/// Consecutive samples that are missing for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) range: Range,
    pub(super) missing: Missing,
}

/// Consecutive samples that are without the same senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Absent {
    pub(super) range: Range,
    /// The first ten of them.
    pub(super) senders: Vec<IpAddr>,
    /// How many more.
    pub(super) more: usize,
}

/// The sums of a range.
#[derive(Debug, Default)]
pub(super) struct Summed {
    /// The first minutes of the first sample and of the one after the last.
    pub(super) from: Minute,
    pub(super) to: Minute,
    samples: Vec<Sample>,
    losses: BTreeMap<Minute, Losses>,
}

#[derive(Clone, Debug, Default)]
struct Sample {
    traffic: [Counters; Direction::ALL.len()],
    /// Whether it is known of any sender.
    is_known: bool,
    /// Why it is missing, of those of which it is; of several reasons the one with which the least is known.
    missing: Option<Missing>,
    /// The first senders of which it is missing, and how many more.
    absent: Vec<IpAddr>,
    more: usize,
}

impl Summed {
    /// Adds the samples of a sender; those of all senders are of the same range.
    pub(super) fn add(&mut self, sender: IpAddr, samples: &Samples) {
        (self.from, self.to) = (samples.from, samples.to);
        self.samples.resize_with(samples.all().count(), Sample::default);
        for (sum, first) in self.samples.iter_mut().zip(samples.all()) {
            match samples.sample(first) {
                Ok(traffic) => {
                    sum.is_known = true;
                    sum.traffic.iter_mut().zip(traffic).for_each(|(sum, of)| sum.add(of));
                }
                Err(missing) => {
                    sum.missing = sum.missing.max(Some(missing));
                    if sum.absent.len() < LISTED {
                        sum.absent.push(sender);
                    } else {
                        sum.more += 1;
                    }
                }
            }
        }
        for Losses { sample, arrived, lost } in samples.losses() {
            let none = Losses { sample, arrived: Counters::ZERO, lost: Counters::ZERO };
            let sum = self.losses.entry(sample).or_insert(none);
            sum.arrived.add(arrived);
            sum.lost.add(lost);
        }
    }

    /// How many there are, the missing ones included.
    pub(super) fn expected(&self) -> u32 {
        self.to.abs_diff(self.from) / five_minutes::MINUTES
    }

    /// The traffic of the samples that are known, in each direction.
    pub(super) fn known(&self) -> impl Iterator<Item = &[Counters; Direction::ALL.len()]> {
        self.samples.iter().filter(|sample| sample.is_known).map(|sample| &sample.traffic)
    }

    /// The number of known samples that are missing of some senders.
    pub(super) fn partial(&self) -> usize {
        self.samples.iter().filter(|sample| sample.is_partial()).count()
    }

    /// How many are missing, for each reason.
    pub(super) fn missing(&self) -> [u32; Missing::ALL.len()] {
        Missing::ALL.map(|missing| {
            let of_reason = |sample: &&Sample| !sample.is_known && sample.missing == Some(missing);
            u32::try_from(self.samples.iter().filter(of_reason).count()).unwrap_or(u32::MAX)
        })
    }

    /// The missing ones, in the order of time.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for (range, sample) in self.each().filter(|(_, sample)| !sample.is_known) {
            let Some(missing) = sample.missing else { continue };
            match gaps.last_mut().filter(|gap| gap.missing == missing && gap.range.to == range.from) {
                Some(gap) => gap.range.to = range.to,
                None => gaps.push(Gap { range, missing }),
            }
        }
        gaps
    }

    /// The partial ones, in the order of time.
    pub(super) fn absent(&self) -> Vec<Absent> {
        let mut all: Vec<Absent> = Vec::new();
        for (range, Sample { absent, more, .. }) in self.each().filter(|(_, sample)| sample.is_partial()) {
            let is_same = |last: &&mut Absent| last.senders == *absent && last.more == *more;
            match all.last_mut().filter(is_same).filter(|last| last.range.to == range.from) {
                Some(last) => last.range.to = range.to,
                None => all.push(Absent { range, senders: absent.clone(), more: *more }),
            }
        }
        all
    }

    /// What arrived and was lost, by sample, until the end of the range.
    pub(super) fn losses(&self) -> impl Iterator<Item = Losses> + '_ {
        self.losses.values().copied()
    }

    fn each(&self) -> impl Iterator<Item = (Range, &Sample)> {
        let firsts = (self.from.number()..).step_by(five_minutes::MINUTES as usize).map(Minute::new);
        let ranges = firsts.map(|from| Range { from, to: from.saturating_add(five_minutes::MINUTES) });
        ranges.zip(&self.samples)
    }
}

impl Sample {
    fn is_partial(&self) -> bool {
        self.is_known && self.missing.is_some()
    }
}
