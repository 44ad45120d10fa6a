//! Imports captures through the loop that sockets drive, with the times and sources of the capture.
//!
//! An import is a writer of its own, identified by its input. So a second import of a capture replaces the counts of the
//! first, and its blocks are separate from those of a running collector. What both have counted counts twice: a [`Preview`]
//! finds that before anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range;
use accounting::tally::{Tally, TallySettings};
use accounting::{five_minutes, presence};
use flow::{Exporter, Timestamp};
use pipeline::{Admitted, Counts, Exporters, Rules, Sealed, Shard};
use storage::totals::{Answers, Question};
use storage::{Stated, Store, StoreError, WriterState};
use wire::{Datagram, PendingBudget};

use crate::flusher::Flusher;
use crate::keep::Keep;
use crate::senders;
use crate::status::Status;

/// How long a capture may have no datagrams: a sample of a bill. After more, it counts as another capture.
const MOST_SILENCE_MINUTES: u32 = five_minutes::MINUTES;
/// The most unregistered addresses that a preview names.
const MOST_UNREGISTERED: usize = 1000;

/// An import in progress.
pub struct Import {
    reading: Reading,
    flusher: Flusher,
}

impl Import {
    /// Begins to import into a store. Deletes the blocks of an earlier import by this writer first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(
        store: Arc<dyn Store>,
        writer: WriterId,
        rules: Rules,
        stated: &Stated,
        flush_interval: Duration,
        keep: Keep,
    ) -> Result<Self, StoreError> {
        // No collector rolls up for it meanwhile. An interrupted import has to be repeated.
        let state = WriterState::import(writer);
        store.forget_writer(writer).await?;
        store.put_writer(&state).await?;
        let admitted = senders::load(store.as_ref(), stated).await?.admitted();
        let reading = Reading::new(rules, admitted, flush_interval);
        let apart = flush_interval + Duration::from_secs(60 * u64::from(MOST_SILENCE_MINUTES));
        let flusher = Flusher::new(store, state, keep, Status::new(0)).importing(apart);
        Ok(Self { reading, flusher })
    }

    /// Takes the next datagram of the capture; flushes when the interval is over by the capture's clock.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn take(&mut self, datagram: &Datagram<'_>) -> Result<(), StoreError> {
        if self.reading.is_due(datagram.received) {
            self.flush().await?;
        }
        self.reading.shard.take(datagram);
        Ok(())
    }

    /// Forgets what was announced in an export connection, which has ended.
    pub fn end_connection(&mut self, ended: &Exporter) {
        self.reading.shard.end_connection(ended);
    }

    /// Stores the rest, rolls up completed periods, and returns the counts. Later periods are rolled up by the
    /// collectors of the store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn finish(mut self, now: Timestamp) -> Result<Counts, StoreError> {
        self.flush().await?;
        self.flusher.maintain(now).await?;
        Ok(*self.reading.shard.counts())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let sealed = self.reading.seal();
        self.flusher.flush(&sealed, self.reading.sealed_at.unwrap_or_default(), || true).await?;
        self.reading.reuse(sealed);
        Ok(())
    }
}

/// A look at what an import would count. Stores nothing.
pub struct Preview {
    reading: Reading,
    admitted: Admitted,
    /// The minutes in which something arrived from each sender.
    minutes: BTreeMap<IpAddr, BTreeSet<Minute>>,
    unregistered: BTreeMap<IpAddr, u64>,
}

/// What a preview has found.
#[derive(Debug, Default)]
pub struct Previewed {
    /// What others have counted of the same senders in the same minutes, by sender and time.
    pub counted: Vec<Counted>,
    /// Addresses that are not registered, each with the number of its datagrams; a thousand at most.
    pub unregistered: BTreeMap<IpAddr, u64>,
}

/// What others have counted of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The sender.
    pub sender: IpAddr,
    /// The time in which the captures have datagrams of it; whole hours or days where nothing finer is kept.
    pub range: Range,
    /// The octets of its datagrams that arrived then.
    pub octets: u64,
}

impl Preview {
    /// Begins to look at captures that would be imported into this store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(
        store: &dyn Store,
        rules: Rules,
        stated: &Stated,
        flush_interval: Duration,
    ) -> Result<Self, StoreError> {
        let admitted = senders::load(store, stated).await?.admitted();
        let reading = Reading::new(rules, admitted.clone(), flush_interval);
        Ok(Self { reading, admitted, minutes: BTreeMap::new(), unregistered: BTreeMap::new() })
    }

    /// Takes the next datagram of the capture.
    pub fn take(&mut self, datagram: &Datagram<'_>) {
        if self.reading.is_due(datagram.received) {
            self.note();
        }
        let address = datagram.exporter.address;
        if !self.admitted.load().contains_key(&address) {
            let has_room = self.unregistered.len() < MOST_UNREGISTERED;
            if has_room || self.unregistered.contains_key(&address) {
                *self.unregistered.entry(address).or_default() += 1;
            }
        }
        self.reading.shard.take(datagram);
    }

    /// Forgets what was announced in an export connection, which has ended.
    pub fn end_connection(&mut self, ended: &Exporter) {
        self.reading.shard.end_connection(ended);
    }

    /// Asks the store what writers other than the one of the import have counted of the same.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn finish(
        mut self,
        store: &dyn Store,
        writer: WriterId,
        keep: &Keep,
        now: Timestamp,
    ) -> Result<Previewed, StoreError> {
        self.note();
        let ranges = self.minutes.iter().flat_map(|(sender, minutes)| {
            let kept = stretches(minutes).into_iter().map(|range| kept(range, keep, now));
            joined(kept).into_iter().map(|range| (*sender, range))
        });
        let ranges: Vec<_> = ranges.collect();
        let question =
            |(sender, range)| Question { range, sender, prefix: presence::PREFIX, tables: TableSet::COUNTED };
        let mut answers = Answers::to(ranges.iter().copied().map(question).collect()).without(writer);
        let answered = answers.all(store).await?;
        let counted = answered.into_iter().zip(ranges).filter_map(|(totals, (sender, range))| {
            let arrived = totals.tables.get(Direction::In, Name::ALL)?;
            Some(Counted { sender, range, octets: arrived.bytes })
        });
        Ok(Previewed { counted: counted.collect(), unregistered: self.unregistered })
    }

    /// Notes when what was read since the last time has arrived.
    fn note(&mut self) {
        let sealed = self.reading.seal();
        for arrived in &sealed.arrived {
            self.minutes.entry(arrived.sender).or_default().insert(arrived.minute);
        }
        self.reading.reuse(sealed);
    }
}

/// A shard that reads captures, and is sealed whenever the interval is over by their clock.
struct Reading {
    shard: Shard,
    exporters: Exporters,
    interval: Duration,
    sealed_at: Option<Timestamp>,
    tally: TallySettings,
    /// Used in turn with the shard's; `None` after a flush that failed.
    empty: Option<Tally>,
}

impl Reading {
    fn new(rules: Rules, admitted: Admitted, interval: Duration) -> Self {
        let exporters = Exporters::new(rules.session, PendingBudget::default());
        let shard = Shard::new(rules, admitted, exporters.clone());
        let empty = Some(Tally::new(rules.tally));
        Self { shard, exporters, interval, sealed_at: None, tally: rules.tally, empty }
    }

    /// Whether the interval is over at this time; then the next one begins.
    fn is_due(&mut self, received: Timestamp) -> bool {
        let is_due = received.abs_diff(*self.sealed_at.get_or_insert(received)) >= self.interval;
        if is_due {
            self.sealed_at = Some(received);
        }
        is_due
    }

    fn seal(&mut self) -> Sealed {
        let empty = self.empty.take().unwrap_or_else(|| Tally::new(self.tally));
        let mut sealed = Sealed::new(vec![self.shard.seal(empty)]);
        self.exporters.report(&mut sealed);
        sealed
    }

    fn reuse(&mut self, mut sealed: Sealed) {
        self.empty = sealed.tallies.pop();
        self.empty.iter_mut().for_each(Tally::clear);
    }
}

/// Minutes as ranges, without the short times between them.
fn stretches(minutes: &BTreeSet<Minute>) -> Vec<Range> {
    joined(minutes.iter().map(|minute| Range { from: *minute, to: minute.saturating_add(1) }))
}

/// Ranges, in order, with those joined that are not further apart than the silence within a capture.
fn joined(ranges: impl Iterator<Item = Range>) -> Vec<Range> {
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.from <= last.to.saturating_add(MOST_SILENCE_MINUTES) => last.to = last.to.max(range.to),
            _ => joined.push(range),
        }
    }
    joined
}

/// The range, extended to whole intervals of the finest period of which everything is kept.
fn kept(range: Range, keep: &Keep, now: Timestamp) -> Range {
    let extended = |period: Period| {
        let [first, last] = [range.from, range.to.saturating_sub(1)];
        Range { from: Interval::containing(period, first).start, to: Interval::containing(period, last).end() }
    };
    let is_kept = |period: &Period, range: Range| !keep.may_go(Interval { period: *period, start: range.from }, now);
    let finest = Period::ALL.into_iter().find(|period| is_kept(period, range));
    extended(finest.unwrap_or(Period::Year))
}

#[cfg(test)]
mod tests {
    use accounting::period::PerPeriod;

    use super::*;

    fn range(from: u32, to: u32) -> Range {
        Range { from: Minute::new(from), to: Minute::new(to) }
    }

    #[test]
    fn minutes_become_stretches_as_captures_do() {
        let minutes = [10, 11, 16, 30].map(Minute::new).into();
        assert_eq!(stretches(&minutes), [range(10, 17), range(30, 31)]);
    }

    #[test]
    fn what_is_not_kept_in_minutes_is_asked_for_in_the_period_that_is() {
        const HOUR: u64 = 3600;
        let hours = |hours: u64| Some(Duration::from_secs(hours * HOUR));
        let keep = Keep { periods: PerPeriod::new([hours(2), hours(48), None, None, None]) };
        let now = Timestamp::from_seconds(100 * HOUR);
        assert_eq!(kept(range(99 * 60 + 7, 99 * 60 + 9), &keep, now), range(99 * 60 + 7, 99 * 60 + 9));
        assert_eq!(kept(range(97 * 60 + 7, 98 * 60 + 9), &keep, now), range(97 * 60, 99 * 60));
        assert_eq!(kept(range(7, 9), &keep, now), range(0, 24 * 60));
    }
}
