//! The 5-minute samples of a bill. A sample without traffic is a zero only if a collector ran and the exporter sent
//! something; otherwise it is missing, and this file finds out why.

use std::collections::BTreeSet;
use std::net::IpAddr;

use accounting::block::{BlockError, TableSet};
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::five_minutes::{self, ByFirstMinute};
use accounting::period::{Minute, Period};
use accounting::presence;
use accounting::range::Range;
use accounting::zone::Zone;
use flow::{Counters, Prefix};
use storage::{Answers, Question, Totals};

use crate::Api;
use crate::error::Error;
use crate::kept::Kept;
use crate::queues::Asker;

/// The number of samples asked for together where only minutes have them: a day.
const SAMPLES_AT_ONCE: usize = 288;

/// The minutes after which every collector has stored what it counted: the longest `flushInterval`.
const LONGEST_FLUSH: u32 = 5;

/// Why a sample is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Missing {
    /// In at least one of its minutes, no collector ran.
    CollectorNotRunning,
    /// A collector ran, but nothing arrived from the sender.
    ExporterSilent,
    /// It is no longer stored, its block is damaged, or it is from before presence was stored.
    NotKept,
}

impl Missing {
    /// All reasons; `missing as usize` indexes it.
    pub(super) const ALL: [Self; 3] = [Self::CollectorNotRunning, Self::ExporterSilent, Self::NotKept];

    /// Its name in an answer.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CollectorNotRunning => "collectorNotRunning",
            Self::ExporterSilent => "exporterSilent",
            Self::NotKept => "notKept",
        }
    }
}

/// What arrived from the sender in a sample, and what was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Losses {
    pub(super) sample: Minute,
    pub(super) arrived: Counters,
    pub(super) lost: Counters,
}

/// What is stored of the samples of a range.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// The first minutes of the first sample and of the one after the last.
    pub(super) from: Minute,
    pub(super) to: Minute,
    /// The end of the range; the last sample may end earlier.
    end: Minute,
    /// Of the prefix.
    traffic: ByFirstMinute,
    /// The samples of which the traffic is not kept.
    not_kept: BTreeSet<Minute>,
    /// The samples of which blocks of presence are damaged or have expired.
    presence_unsure: BTreeSet<Minute>,
    /// Of the sender: what arrived in, what was lost out.
    exported: ByFirstMinute,
    /// The minutes in which a collector ran, or which an import counted.
    ran: BTreeSet<Minute>,
    /// The first one in which a collector ran. Before it, one may have run that did not store this.
    begun: Option<Minute>,
    /// Whether one ran before the first sample.
    ran_before: bool,
}

/// What an answer has about samples.
struct Found {
    /// `None` when it does not have all of them.
    five_minutes: Option<ByFirstMinute>,
    damaged: Vec<BlockError>,
}

impl Found {
    fn of(_: usize, totals: Totals) -> Self {
        Self { five_minutes: five_minutes::by_first_minute(&totals.tables), damaged: totals.damaged }
    }
}

impl Samples {
    /// Reads the whole samples of a range, at the moment of these answers.
    pub(super) async fn read(
        api: &Api,
        asker: &Asker,
        (sender, prefix): (IpAddr, Prefix),
        range: Range,
        kept: &Kept,
        answers: &mut Answers,
        damaged: &mut Vec<BlockError>,
    ) -> Result<Self, Error> {
        let from = Minute::new(range.from.number().next_multiple_of(five_minutes::MINUTES));
        let to = five_minutes::containing(range.to.min(kept.now.saturating_sub(LONGEST_FLUSH))).max(from);
        let mut samples = Self { from, to, end: range.to, ..Self::default() };
        let tables = TableSet::of_field(Field::All).union(TableSet::of_field(Field::FiveMinutes));
        let of = |sender, prefix| move |range| Question { range, sender, prefix, tables };
        let traffic = of(sender, prefix);
        let (exported, ran) = (of(sender, presence::PREFIX), of(presence::COLLECTOR, presence::PREFIX));

        // Whole days, also where the range has a part of one: their blocks have all samples of the day.
        let days: Vec<Range> = Zone::UTC.steps(Range { from, to: range.to }, Period::Day).collect();
        let mut in_minutes = Vec::new();
        let whole = |day: &Range| Range { to: day.to.min(kept.now.saturating_add(1)), ..*day };
        let questions = days.iter().flat_map(|day| [traffic, exported, ran].map(|ask| ask(whole(day))));
        *answers = then(answers, questions.collect());
        let questions = days.iter().flat_map(|day| [Part::Traffic, Part::Exported, Part::Ran].map(|part| (day, part)));
        let answered = api.answers(asker, answers, Found::of).await?;
        for (found, (day, part)) in answered.into_iter().zip(questions) {
            if samples.add(part, found, damaged) && day.from >= kept.since(Period::Day) {
                continue;
            }
            let unsure = samples.within(whole(day));
            match part {
                Part::Traffic => in_minutes.extend(unsure),
                Part::Exported | Part::Ran => samples.presence_unsure.extend(unsure),
            }
        }

        let before = Range { from: Minute::EPOCH, to: from };
        *answers = then(answers, vec![of(presence::COLLECTOR, presence::PREFIX)(before)]);
        let ran =
            |_, totals: Totals| totals.tables.get(Direction::In, Name::ALL).is_some() || !totals.damaged.is_empty();
        samples.ran_before = api.answers(asker, answers, ran).await?.contains(&true);

        let (in_minutes, not_kept): (Vec<Minute>, Vec<Minute>) =
            in_minutes.into_iter().partition(|first| *first >= kept.since(Period::Minute));
        samples.not_kept.extend(not_kept);
        for firsts in in_minutes.chunks(SAMPLES_AT_ONCE) {
            let minutes = |first: Minute| Range { from: first, to: first.saturating_add(five_minutes::MINUTES) };
            *answers = then(answers, firsts.iter().map(|first| traffic(minutes(*first))).collect());
            for (found, first) in api.answers(asker, answers, Found::of).await?.into_iter().zip(firsts) {
                if !samples.add(Part::Traffic, found, damaged) {
                    samples.not_kept.insert(*first);
                }
            }
        }
        Ok(samples)
    }

    /// Adds what was found of a part; returns whether that has all 5 minutes.
    fn add(&mut self, part: Part, found: Found, damaged: &mut Vec<BlockError>) -> bool {
        // Without a damaged block, both the sums and their 5 minutes may be zero.
        let is_whole = found.damaged.is_empty();
        damaged.extend(found.damaged);
        let Some(found) = found.five_minutes else { return false };
        match part {
            Part::Traffic => self.traffic.extend(found),
            Part::Exported => self.exported.extend(found),
            Part::Ran => {
                let begun = found.iter().find(|(_, [ran, ..])| !ran.is_zero()).map(|(minute, _)| *minute);
                self.begun = self.begun.into_iter().chain(begun).min();
                self.ran.extend(found.into_keys());
            }
        }
        is_whole
    }

    /// The first minutes of all samples.
    pub(super) fn all(&self) -> impl Iterator<Item = Minute> {
        (self.from.number()..self.to.number()).step_by(five_minutes::MINUTES as usize).map(Minute::new)
    }

    fn within(&self, range: Range) -> Vec<Minute> {
        self.all().filter(|first| (range.from..range.to).contains(first)).collect()
    }

    /// The traffic of a sample in each direction, or why it is missing.
    pub(super) fn sample(&self, first: Minute) -> Result<[Counters; Direction::ALL.len()], Missing> {
        match self.missing(first) {
            Some(missing) => Err(missing),
            None => Ok(self.traffic.get(&first).copied().unwrap_or_default()),
        }
    }

    /// The first of the samples whose traffic is not kept.
    pub(super) fn first_not_kept(&self) -> Option<Minute> {
        self.not_kept.first().copied()
    }

    /// What was counted in each direction in a range of whole samples, of those that are kept.
    pub(super) fn total(&self, range: Range) -> [Counters; Direction::ALL.len()] {
        let mut total = [Counters::ZERO; Direction::ALL.len()];
        for counted in self.traffic.range(range.from..range.to).map(|(_, counted)| counted) {
            total.iter_mut().zip(counted).for_each(|(total, counted)| total.add(*counted));
        }
        total
    }

    /// Why a sample is missing; `None` if it is known.
    fn missing(&self, first: Minute) -> Option<Missing> {
        if self.not_kept.contains(&first) {
            return Some(Missing::NotKept);
        }
        let missing = self.missing_by_presence(first)?;
        Some(if self.presence_unsure.contains(&first) { Missing::NotKept } else { missing })
    }

    fn missing_by_presence(&self, first: Minute) -> Option<Missing> {
        let is_heard = self.traffic.contains_key(&first) || self.exported.contains_key(&first);
        let mut minutes = (first.number()..first.number() + five_minutes::MINUTES).map(Minute::new);
        if minutes.all(|minute| self.ran.contains(&minute)) {
            return if is_heard { None } else { Some(Missing::ExporterSilent) };
        }
        let is_stored = self.ran_before || self.begun.is_some_and(|begun| begun <= first);
        match (is_stored, is_heard) {
            (true, _) => Some(Missing::CollectorNotRunning),
            (false, true) => None,
            (false, false) => Some(Missing::NotKept),
        }
    }

    /// What arrived and was lost, by sample, until the end of the range.
    pub(super) fn losses(&self) -> impl Iterator<Item = Losses> {
        let heard = self.exported.range(self.from..self.end.max(self.from));
        heard.map(|(sample, [arrived, lost, ..])| Losses { sample: *sample, arrived: *arrived, lost: *lost })
    }
}

/// Further questions, at the same moment.
fn then(answers: &mut Answers, questions: Vec<Question>) -> Answers {
    std::mem::replace(answers, Answers::to(Vec::new())).then(questions)
}

/// What a day is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Traffic,
    Exported,
    Ran,
}

#[cfg(test)]
mod tests {
    use super::super::summed::{Gap, Summed};
    use super::*;

    fn minutes(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<Minute> {
        numbers.into_iter().map(Minute::new).collect()
    }

    fn counted(firsts: &[u32]) -> ByFirstMinute {
        let one = Counters { bytes: 300, packets: 1, flows: 1 };
        firsts
            .iter()
            .map(|first| (Minute::new(*first), [one, Counters::ZERO, Counters::ZERO, Counters::ZERO]))
            .collect()
    }

    fn shown(samples: &Samples) -> Vec<(u32, u32, &'static str)> {
        let shown = |gap: &Gap| (gap.range.from.number(), gap.range.to.number(), gap.missing.name());
        summed(samples).gaps().iter().map(shown).collect()
    }

    fn summed(samples: &Samples) -> Summed {
        let mut summed = Summed::default();
        summed.add([192, 0, 2, 1].into(), samples);
        summed
    }

    #[test]
    fn each_sample_is_known_or_missing_for_a_reason() {
        let mut samples = Samples {
            from: Minute::new(100),
            to: Minute::new(145),
            end: Minute::new(146),
            traffic: counted(&[105, 110, 120]),
            not_kept: minutes([135]),
            presence_unsure: BTreeSet::new(),
            exported: counted(&[105, 115, 135]),
            ran: minutes((106..125).chain(131..145)),
            begun: Some(Minute::new(106)),
            ran_before: false,
        };
        // 110 has only traffic, which arrived later; 115 is a true zero. A collector began in 105, so 100 is unknown.
        let expected = [
            (100, 105, "notKept"),
            (125, 135, "collectorNotRunning"),
            (135, 140, "notKept"),
            (140, 145, "exporterSilent"),
        ];
        assert_eq!(shown(&samples), expected);
        let one = summed(&samples);
        let known: Vec<u64> = one.known().map(|[counters, ..]| counters.bytes).collect();
        assert_eq!((known, one.expected()), (vec![300, 300, 0, 300], 9));
        samples.ran_before = true;
        assert_eq!(shown(&samples)[0], (100, 110, "collectorNotRunning"));
        assert_eq!(samples.losses().count(), 3);
        // Where presence is damaged, a reason is unknown, but traffic is not.
        samples.presence_unsure = minutes([105, 110, 140]);
        assert_eq!(shown(&samples).last(), Some(&(135, 145, "notKept")));
    }
}
