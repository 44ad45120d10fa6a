//! One moment of a store: of each writer how far it is rolled up, and which flush is the newest that is there as a whole.
//! What counts at that moment can be read as long as blocks are kept, whatever is flushed and rolled up meanwhile:
//!
//! - The state of a writer has how far it is rolled up (`WriterState::watermarks`). That is the switch between its finer and
//!   its coarser blocks: for each minute exactly one level of each writer's blocks counts, so a roll-up that is under way,
//!   or was left half done, changes no answer. The finer blocks stay after a roll-up, because retention is far longer than
//!   a query, and the coarser ones do not change.
//! - Blocks of later flushes do not count. So a flush shows in all answers about the moment or in none, at each of the
//!   periods it has blocks of.
//!
//! Not covered: a store that lost sums, which are then made again (`roll_up::take_back`); a capture that is being imported,
//! whose blocks count as they come; and what retention deletes between the moment and the read.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range as Bounds;

use accounting::block::{BlockKey, Origin, WriterId};
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range;

use crate::{Blocks, Progress, StoreError, WriterState, Writers};

/// The moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    writers: BTreeMap<WriterId, Progress>,
}

impl Snapshot {
    /// The present one, with one call of the store.
    pub(crate) async fn take(store: &dyn Writers) -> Result<Self, StoreError> {
        let progress = store.progress().await?.into_iter();
        Ok(Self { writers: progress.map(|progress| (progress.state.writer, progress)).collect() })
    }

    /// The same without what this writer has stored.
    pub(crate) fn without(mut self, writer: Option<WriterId>) -> Self {
        self.writers.retain(|other, _| Some(*other) != writer);
        self
    }

    /// The states of all writers.
    pub(crate) fn states(&self) -> impl Iterator<Item = &WriterState> {
        self.writers.values().map(|progress| &progress.state)
    }

    /// Whether a block was there, if its writer was.
    pub(crate) fn holds(&self, key: &BlockKey) -> bool {
        let flushed = self.writers.get(&key.writer).and_then(|progress| progress.flushed);
        match (key.origin, flushed) {
            (Origin::Flush(number), Some(flushed)) => number <= flushed,
            _ => true,
        }
    }
}

/// Consecutive intervals of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stretch {
    pub(crate) period: Period,
    from: Minute,
    /// The end of the last one.
    to: Minute,
}

impl Stretch {
    /// The stretches whose blocks of this writer make up a range, each minute once: coarse intervals as far as it has
    /// rolled up, then minutes.
    pub(crate) fn covering(range: Range, state: &WriterState) -> Vec<Self> {
        let summed = state.watermarks.get(Period::Minute).unwrap_or_default();
        let ended = Range { to: range.to.min(summed), ..range };
        let parts = ended.cover().into_iter().flat_map(|whole| state.watermarks.cover_before(whole, summed));
        let parts = parts.map(|part| Self { period: part.period, from: part.start, to: part.end() });
        let open = Self { period: Period::Minute, from: range.from.max(summed), to: range.to };
        joined(parts.chain((open.from < open.to).then_some(open)))
    }

    /// The number of intervals at most.
    fn most_intervals(self) -> u32 {
        const DAY: u32 = 24 * 60;
        let shortest = match self.period {
            Period::Minute => 1,
            Period::Hour => 60,
            Period::Day => DAY,
            Period::Month => 28 * DAY,
            Period::Year => 365 * DAY,
        };
        self.to.abs_diff(self.from).div_ceil(shortest)
    }

    fn intervals(self) -> impl Iterator<Item = Interval> {
        let first = Interval { period: self.period, start: self.from };
        std::iter::successors(Some(first), |interval| Some(interval.next()))
            .take_while(move |interval| interval.start < self.to)
    }
}

/// Neighbours of one period as one stretch.
fn joined(stretches: impl IntoIterator<Item = Stretch>) -> Vec<Stretch> {
    let mut joined: Vec<Stretch> = Vec::new();
    for stretch in stretches {
        match joined.last_mut() {
            Some(last) if last.period == stretch.period && (last.from..=last.to).contains(&stretch.from) => {
                last.to = last.to.max(stretch.to);
            }
            _ => joined.push(stretch),
        }
    }
    joined
}

/// Which intervals of long stretches have blocks: a stretch without any costs one call of the store instead of one read
/// for each of its intervals, and an open year has half a million minutes.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    unread: VecDeque<(WriterId, Stretch)>,
    /// By writer, then in order.
    stretches: BTreeMap<WriterId, Vec<(Stretch, Vec<Interval>)>>,
}

impl Listed {
    /// The longest stretch that is not listed.
    const MOST_UNLISTED: u32 = 16;
    /// How many are read together.
    const AT_ONCE: usize = 16;

    /// The long stretches that make up ranges, one by one or together. Nothing is read yet.
    pub(crate) fn of(snapshot: &Snapshot, ranges: impl Iterator<Item = Range> + Clone) -> Self {
        let mut listed = Self::default();
        for state in snapshot.states() {
            let mut stretches: Vec<Stretch> =
                ranges.clone().flat_map(|range| Stretch::covering(range, state)).collect();
            stretches.sort_unstable();
            let long = joined(stretches).into_iter().filter(|long| long.most_intervals() > Self::MOST_UNLISTED);
            listed.unread.extend(long.map(|stretch| (state.writer, stretch)));
        }
        listed
    }

    /// As [`of`](Self::of), all read.
    pub(crate) async fn read(
        store: &dyn Blocks,
        snapshot: &Snapshot,
        ranges: impl Iterator<Item = Range> + Clone,
    ) -> Result<Self, StoreError> {
        let mut listed = Self::of(snapshot, ranges);
        while !listed.is_read() {
            listed.read_some(store).await?;
        }
        Ok(listed)
    }

    /// Whether all stretches are read.
    pub(crate) fn is_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// Reads some stretches.
    pub(crate) async fn read_some(&mut self, store: &dyn Blocks) -> Result<(), StoreError> {
        for _ in 0..Self::AT_ONCE {
            let Some((writer, stretch)) = self.unread.pop_front() else { break };
            let intervals = store.intervals(writer, stretch.period, stretch.from, stretch.to).await?;
            let is_empty = intervals.is_empty();
            self.stretches.entry(writer).or_default().push((stretch, intervals));
            if is_empty {
                self.pass_gap(store, writer, stretch).await?;
            }
        }
        Ok(())
    }

    /// After a stretch without blocks: lists those behind it that have none either, however many, with one call.
    async fn pass_gap(&mut self, store: &dyn Blocks, writer: WriterId, gap: Stretch) -> Result<(), StoreError> {
        let follows = |(of, next): &(WriterId, Stretch)| *of == writer && next.period == gap.period;
        // A single one is read with one call as well.
        if !self.unread.get(1).is_some_and(follows) {
            return Ok(());
        }
        let end = store.first_interval(writer, gap.period, gap.to).await?.map_or(Minute::MAX, |found| found.start);
        let empty = self.unread.iter().take_while(|next| follows(next) && next.1.to <= end).count();
        let empty = self.unread.drain(..empty).map(|(_, stretch)| (stretch, Vec::new()));
        self.stretches.entry(writer).or_default().extend(empty);
        Ok(())
    }

    /// The intervals whose blocks of this writer make up the range: of listed stretches those that have any.
    pub(crate) fn covering(&self, range: Range, state: &WriterState) -> Vec<Interval> {
        let listed = self.stretches.get(&state.writer).map_or(&[][..], Vec::as_slice);
        let mut intervals = Vec::new();
        for stretch in Stretch::covering(range, state) {
            let contains = |long: &Stretch| long.period == stretch.period && stretch.to <= long.to;
            let after = listed.partition_point(|(long, _)| (long.period, long.from) <= (stretch.period, stretch.from));
            match listed.get(..after).and_then(<[_]>::last).filter(|(long, _)| contains(long)) {
                Some((_, found)) => intervals.extend_from_slice(found.get(within(found, stretch)).unwrap_or_default()),
                None => intervals.extend(stretch.intervals()),
            }
        }
        intervals
    }
}

/// Where the intervals of the stretch are among these, which are in the order of time.
fn within(intervals: &[Interval], stretch: Stretch) -> Bounds<usize> {
    let before = |minute: Minute| intervals.partition_point(|interval| interval.start < minute);
    before(stretch.from)..before(stretch.to)
}
