//! Checks that a store is consistent: each block can be read; in each flush the values of every field add up to `all`; each
//! coarser interval adds up to its finer ones, where both are kept.
//!
//! Blocks are read once, batch by batch, in the order of writers, periods and time; of a coarser interval only the sums
//! of its groups are kept until it is compared. A violation is checked again before it is reported, because collectors
//! write meanwhile: a flush may be half put, a late flow may be at its minute but not at its hour yet.
//!
//! What cannot be judged is not reported:
//! - Coarse blocks after the writer's watermark do not count (`roll_up.rs`); they only have to be readable.
//! - Where retention may have begun to delete the finer blocks of an interval, they may not add up to more than the coarser
//!   ones; nothing more can be checked. Where it may have deleted the coarser ones, nothing can (`check/remaining.rs`).
//! - Names are compared only where no limit folded any, and no sum has reached 2^64 - 1.
//!
//! A total that has reached 2^64 - 1 is no violation: it is reported as a lower bound.

mod remaining;
mod violation;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use accounting::block::{AboutAll, Block, Origin, Sums, TableSum, WriterId};
use accounting::direction::Direction;
use accounting::field::Field;
use accounting::five_minutes;
use accounting::period::{Interval, Minute, Period};
use flow::Counters;

use self::remaining::{Finer, FinerGroups, Original, Originals, Remaining};
pub use violation::{Place, Saturated, Violation};

use crate::batches::{Batches, Group, read};
use crate::{Store, StoreError, WriterState};

/// How often a violation is checked before it is reported.
const LOOKS: u32 = 3;
/// The pause between two checks: long enough for a put.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// What has been looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Writers.
    pub writers: u64,
    /// Groups: all blocks of a writer, interval, sender and prefix.
    pub groups: u64,
    /// Groups of a coarser interval that were compared with the finer ones.
    pub compared: u64,
    /// Blocks, the damaged ones included.
    pub blocks: u64,
    /// Counters with a name, in all blocks.
    pub names: u64,
    /// Octets of all blocks.
    pub octets: u64,
    /// What does not hold.
    pub violations: u64,
    /// Totals of a group and direction that have reached 2^64 - 1.
    pub saturated: u64,
}

/// The events of a check.
#[derive(Clone, Debug)]
pub enum CheckEvent {
    /// A violation was found.
    Violation(Violation),
    /// A total is a lower bound.
    Saturated(Saturated),
    /// The check has reached these blocks.
    Reached(WriterId, Interval, Checked),
}

/// Checks the whole store. `report` is called for each event, and ends the check early with `Break`.
///
/// # Errors
/// When the store cannot be read. A violation is no error: it is reported.
pub async fn check(
    store: &dyn Store,
    report: &mut dyn FnMut(CheckEvent) -> ControlFlow<()>,
) -> Result<Checked, StoreError> {
    let mut check = Check { store, report, checked: Checked::default(), stopped: false };
    for state in store.writers().await? {
        check.checked.writers += 1;
        for period in Period::ALL {
            check.walk(&state, period).await?;
        }
    }
    Ok(check.checked)
}

struct Check<'c> {
    store: &'c dyn Store,
    report: &'c mut dyn FnMut(CheckEvent) -> ControlFlow<()>,
    checked: Checked,
    /// `report` has ended the check.
    stopped: bool,
}

impl Check<'_> {
    /// All blocks of a period, and how they add up to the next coarser one.
    async fn walk(&mut self, state: &WriterState, period: Period) -> Result<(), StoreError> {
        let mut from = Minute::EPOCH;
        let mut originals = Originals::default();
        while let Some(span) = self.next_span(state.writer, period, from).await? {
            if span.end() <= from {
                break;
            }
            let mut finer = FinerGroups::new();
            for interval in self.store.intervals(state.writer, period, span.start, span.end()).await? {
                self.look_through(state, interval, &mut finer).await?;
                if self.stopped {
                    return Ok(());
                }
            }
            if state.watermarks.is_rolled_up(span) && span.period != period {
                self.compare(state.writer, span, &finer, &mut originals).await?;
            }
            from = span.end();
        }
        Ok(())
    }

    /// The next interval of the coarser period that has blocks, coarse or finer ones; years have no coarser period.
    async fn next_span(&self, writer: WriterId, period: Period, from: Minute) -> Result<Option<Interval>, StoreError> {
        let finer = self.store.first_interval(writer, period, from).await?;
        let Some(coarser) = period.coarser() else { return Ok(finer) };
        let finer = finer.map(|interval| Interval::containing(coarser, interval.start));
        let coarse = self.store.first_interval(writer, coarser, from).await?;
        Ok(finer.into_iter().chain(coarse).min())
    }

    /// Reads all blocks of an interval, and adds them to those of their groups.
    async fn look_through(
        &mut self,
        state: &WriterState,
        interval: Interval,
        finer: &mut FinerGroups,
    ) -> Result<(), StoreError> {
        let writer = state.writer;
        let judged = state.watermarks.is_rolled_up(interval);
        let mut batches = Batches::of(self.store, writer, interval).await?;
        while let Some(batch) = batches.next(self.store).await? {
            for (group, blocks) in batch {
                let place = Place { writer, interval, group };
                let look = if judged { self.settled_look(place, &blocks).await? } else { Look::unjudged(&blocks) };
                self.checked.groups += 1;
                self.checked.blocks += look.blocks;
                self.checked.octets += look.octets;
                self.checked.names += look.names;
                look.violations.into_iter().for_each(|violation| self.report(violation));
                if judged {
                    look.sums.iter().for_each(|sums| self.report_saturated(place, sums));
                }
                finer.entry(group).or_insert_with(Finer::none).add(place, &blocks, look.sums);
            }
            self.reach(writer, interval);
            if self.stopped {
                break;
            }
        }
        Ok(())
    }

    /// A look at a group, again and again while something does not hold.
    async fn settled_look(&self, place: Place, blocks: &[Block]) -> Result<Look, StoreError> {
        let mut look = Look::judged(place, blocks);
        for _ in 1..LOOKS {
            // What is damaged stays so.
            if look.violations.iter().all(|violation| matches!(violation, Violation::Damaged(_))) {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let blocks = read(self.store, place.writer, place.interval, &[place.group]).await?;
            look = Look::judged(place, &blocks);
        }
        Ok(look)
    }

    /// Whether a rolled-up interval adds up to its finer ones. `originals` are those of the intervals before it, and then
    /// also of this one.
    async fn compare(
        &mut self,
        writer: WriterId,
        span: Interval,
        finer: &FinerGroups,
        originals: &mut Originals,
    ) -> Result<(), StoreError> {
        originals.coarse = Original::sum_of(self.store, writer, span).await?.or(originals.coarse);
        let before = *originals;
        let kept = before.remaining();
        // Without a finer block there is nothing to compare with, unless there should be some.
        if kept == Remaining::FinerOnly || (kept == Remaining::CoarseAndSomeFiner && finer.is_empty()) {
            return Ok(());
        }
        let none = Finer::none();
        let groups: BTreeSet<Group> =
            self.store.groups(writer, span).await?.into_iter().chain(finer.keys().copied()).collect();
        let mut batches = Batches::of_groups(writer, span, groups.into_iter().collect());
        while let Some(batch) = batches.next(self.store).await? {
            for (group, blocks) in batch {
                let place = Place { writer, interval: span, group };
                let finer = finer.get(&group).unwrap_or(&none);
                originals.finer = finer.original(&blocks).or(originals.finer);
                let (Some(finer), Some(coarse)) = (&finer.sums, Look::unjudged(&blocks).sums) else { continue };
                self.checked.compared += 1;
                let mut violations = differences(place, &coarse, finer, kept);
                if !violations.is_empty() {
                    violations = self.compare_again(place, before).await?;
                }
                violations.into_iter().for_each(|violation| self.report(violation));
            }
            self.reach(writer, span);
            if self.stopped {
                break;
            }
        }
        Ok(())
    }

    /// Reads one group of an interval and its finer ones again, until they add up or [`LOOKS`] is reached.
    async fn compare_again(&self, place: Place, originals: Originals) -> Result<Vec<Violation>, StoreError> {
        let Place { writer, interval, group } = place;
        let Some(period) = interval.period.finer() else { return Ok(Vec::new()) };
        let mut violations = Vec::new();
        for _ in 1..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let coarse = Look::unjudged(&read(self.store, writer, interval, &[group]).await?);
            let mut sums = Some(Sums::default());
            for part in self.store.intervals(writer, period, interval.start, interval.end()).await? {
                let finer = Look::unjudged(&read(self.store, writer, part, &[group]).await?);
                sums = sums.zip(finer.sums).map(|(mut sums, more)| {
                    sums.add(&more);
                    sums
                });
            }
            let (Some(coarse), Some(finer)) = (coarse.sums, sums) else { return Ok(Vec::new()) };
            // Last, because retention may have begun with this interval meanwhile.
            let kept = originals.still_there(self.store).await?.remaining();
            violations = differences(place, &coarse, &finer, kept);
            if violations.is_empty() {
                break;
            }
        }
        Ok(violations)
    }

    fn report(&mut self, violation: Violation) {
        self.checked.violations += 1;
        self.stopped |= (self.report)(CheckEvent::Violation(violation)).is_break();
    }

    fn report_saturated(&mut self, place: Place, sums: &Sums) {
        for direction in Direction::ALL {
            let counters = sums.table(direction, Field::All).counters;
            if counters.is_saturated() {
                self.checked.saturated += 1;
                let event = CheckEvent::Saturated(Saturated { place, direction, counters });
                self.stopped |= (self.report)(event).is_break();
            }
        }
    }

    fn reach(&mut self, writer: WriterId, interval: Interval) {
        self.stopped |= (self.report)(CheckEvent::Reached(writer, interval, self.checked)).is_break();
    }
}

/// What was found in the blocks of one group.
#[derive(Default)]
struct Look {
    blocks: u64,
    octets: u64,
    names: u64,
    violations: Vec<Violation>,
    /// `None` when a block is damaged.
    sums: Option<Sums>,
}

impl Look {
    /// All that can be wrong.
    fn judged(place: Place, blocks: &[Block]) -> Self {
        let (mut look, flushes) = Self::begin(blocks);
        for (origin, sums) in &flushes {
            look.violations.extend(sums.iter().flat_map(|sums| imbalances(place, *origin, sums)));
        }
        look
    }

    /// Damage alone.
    fn unjudged(blocks: &[Block]) -> Self {
        Self::begin(blocks).0
    }

    /// What blocks hold, and what each flush adds up to.
    fn begin(blocks: &[Block]) -> (Self, BTreeMap<Origin, Option<Sums>>) {
        let mut look = Self { sums: Some(Sums::default()), ..Self::default() };
        let mut flushes: BTreeMap<Origin, Option<Sums>> = BTreeMap::new();
        for block in blocks {
            look.blocks += 1;
            look.octets += block.content.len() as u64;
            let flush = flushes.entry(block.key.origin).or_insert_with(|| Some(Sums::default()));
            let mut sums = Sums::default();
            match sums.merge(block) {
                Ok(()) => {
                    look.names += sums.rows();
                    for whole in [flush, &mut look.sums] {
                        whole.iter_mut().for_each(|whole| whole.add(&sums));
                    }
                }
                Err(error) => {
                    look.violations.push(Violation::Damaged(error));
                    (*flush, look.sums) = (None, None);
                }
            }
        }
        (look, flushes)
    }
}

/// The fields of a flush or roll-up whose values do not add up to `all`.
fn imbalances(place: Place, origin: Origin, sums: &Sums) -> Vec<Violation> {
    let mut found = Vec::new();
    for direction in Direction::ALL {
        let TableSum { counters: all, about_all, .. } = sums.table(direction, Field::All);
        for field in Field::STORED {
            let values = sums.table(direction, field).counters;
            // A field that was not counted all the time has less, and so have 5 minutes of which an older program wrote a part.
            let is_complete = field != Field::FiveMinutes && about_all.complete.contains(field);
            let fits = if is_complete { values == all } else { covers(all, values) };
            if !fits {
                found.push(Violation::Unbalanced { place, origin, direction, field, values, all });
            }
        }
    }
    found
}

/// The tables of a coarser interval that do not add up to the finer ones. Where `all` does not, nothing else can, and
/// only it is reported. When some finer blocks have been deleted, the rest may count less.
fn differences(place: Place, coarse: &Sums, finer: &Sums, kept: Remaining) -> Vec<Violation> {
    let mut found = Vec::new();
    for direction in Direction::ALL {
        for field in
            Field::STORED.into_iter().filter(|field| is_compared(place.interval.period, direction, *field, coarse))
        {
            let (coarse, finer) = (coarse.table(direction, field), finer.table(direction, field));
            let fits = match kept {
                Remaining::Both => coarse.counters == finer.counters,
                Remaining::CoarseAndSomeFiner => covers(coarse.counters, finer.counters),
                Remaining::FinerOnly => true,
            };
            if !fits {
                let (coarse, finer) = (coarse.counters, finer.counters);
                found.push(Violation::Summed { place, direction, field, coarse, finer });
                if field == Field::All {
                    break;
                }
            } else if field == Field::All
                && kept == Remaining::Both
                && !same_about_all(coarse.about_all, finer.about_all)
            {
                found.push(Violation::AboutAll { place, direction });
            } else if kept == Remaining::Both && !same_names(coarse, finer) {
                found.push(Violation::Names { place, direction, field });
            }
        }
    }
    found
}

/// Whether a table of a coarser interval can be compared with the finer ones. Hours of older programs lack 5 minutes that
/// their minutes have.
fn is_compared(period: Period, direction: Direction, field: Field, coarse: &Sums) -> bool {
    field != Field::FiveMinutes
        || match period {
            Period::Hour => coarse.table(direction, field).counters == coarse.table(direction, Field::All).counters,
            period => five_minutes::kept_by(period),
        }
}

/// Variances of which a part is not known are not compared.
fn same_about_all(coarse: AboutAll, finer: AboutAll) -> bool {
    let is_partial = coarse.variance_is_partial || finer.variance_is_partial;
    coarse.complete == finer.complete && (is_partial || coarse.variance == finer.variance)
}

fn covers(coarse: Counters, finer: Counters) -> bool {
    coarse.bytes >= finer.bytes && coarse.packets >= finer.packets && coarse.flows >= finer.flows
}

/// A limit that folded names of the finer blocks shows in the coarser ones too. Fingerprints add up as long as counters do.
fn same_names(coarse: TableSum, finer: TableSum) -> bool {
    coarse.truncated || coarse.counters.is_saturated() || (!finer.truncated && coarse.fingerprint == finer.fingerprint)
}

#[cfg(test)]
mod tests;
