//! Data that a store on the network has accepted and may still lose: Redis in a failover to a replica, Cassandra because it
//! syncs its log later. So a flush stays in the spool for [`CHECKED_AFTER`] after it was accepted. Then its blocks that the store
//! lacks are put again. If a block of a roll-up is missing, its interval is summed again.
//!
//! After a failure of the store, all of them are checked as soon as it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use accounting::block::{Block, BlockKey};
use accounting::period::Interval;
use flow::{FlushNumber, Timestamp};
use storage::roll_up::Summed;
use storage::spool::Spool;
use storage::{Flush, Store, StoreError};

use super::own_state::{OwnState, of_writer};
use super::reconcile::{reconcile, those_of};
use crate::keep::Keep;

/// How long a store may still lose accepted data; then they are checked.
const CHECKED_AFTER: Duration = Duration::from_secs(60);
/// The limit of repeated puts of a flush. A store that loses it more often will never keep it (as with an eviction
/// policy).
const MOST_PUTS: u8 = 5;

/// Accepted data that the store may lose.
#[derive(Default)]
pub(super) struct Accepted {
    flushes: Vec<AcceptedFlush>,
    sums: Vec<(Timestamp, Summed)>,
    /// Whether the store has failed since the last full check.
    is_doubtful: bool,
}

struct AcceptedFlush {
    number: FlushNumber,
    /// Since when; `None` until the first check of a flush of an earlier process.
    since: Option<Timestamp>,
    intervals: BTreeSet<Interval>,
    /// The number of repeated puts.
    puts: u8,
}

/// The arguments of a check.
pub(super) struct Parts<'f> {
    pub(super) store: &'f dyn Store,
    pub(super) spool: &'f mut Spool,
    pub(super) own: &'f mut OwnState,
    pub(super) keep: Keep,
}

impl Accepted {
    /// Flushes that an earlier process left in the spool; the next check covers all of them.
    pub(super) fn left_in(spool: &Spool) -> Result<Self, StoreError> {
        let left = spool.accepted()?.into_iter();
        let flushes = left.map(|(number, intervals)| AcceptedFlush { number, since: None, intervals, puts: 0 });
        Ok(Self { flushes: flushes.collect(), sums: Vec::new(), is_doubtful: true })
    }

    pub(super) fn add_flush(&mut self, flush: &Flush, now: Timestamp) {
        let intervals = flush.blocks.iter().map(|block| block.key.interval).collect();
        self.flushes.push(AcceptedFlush { number: flush.number, since: Some(now), intervals, puts: 0 });
    }

    pub(super) fn add_sums(&mut self, summed: Vec<Summed>, now: Timestamp) {
        self.sums.extend(summed.into_iter().map(|summed| (now, summed)));
    }

    /// After a failure of the store, the next check covers everything.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// The intervals of the blocks of these flushes.
    pub(super) fn intervals(&self) -> BTreeSet<Interval> {
        self.flushes.iter().flat_map(|flush| flush.intervals.iter().copied()).collect()
    }

    /// Whether there are unchecked roll-ups.
    pub(super) fn has_sums(&self) -> bool {
        !self.sums.is_empty()
    }

    /// Checks data that are due, or everything if the store has failed, and puts missing blocks again. Complete data that
    /// are due are released; with `make_room`, all complete data. Returns whether flushes were checked.
    ///
    /// # Errors
    /// When the store does not answer; unchecked data stay.
    pub(super) async fn check(
        &mut self,
        parts: &mut Parts<'_>,
        now: Timestamp,
        make_room: bool,
    ) -> Result<bool, StoreError> {
        let all = self.is_doubtful || make_room;
        let mut due = Vec::new();
        for flush in &mut self.flushes {
            let since = *flush.since.get_or_insert(now);
            if all || is_due(since, now) {
                due.push(flush.number);
            }
        }
        if !due.is_empty() {
            // With the blocks, the store may have lost the watermarks by which they were decided.
            parts.own.agree_now(parts.store, now).await?;
        }
        self.check_sums(parts, now, all).await?;
        let checked = !due.is_empty();
        for number in due {
            self.check_flush(number, parts, now, make_room).await?;
        }
        self.is_doubtful = false;
        Ok(checked)
    }

    async fn check_flush(
        &mut self,
        number: FlushNumber,
        Parts { store, spool, own, keep }: &mut Parts<'_>,
        now: Timestamp,
        make_room: bool,
    ) -> Result<(), StoreError> {
        let Some(mut flush) = spool.read(number)? else { return Ok(()) };
        reconcile(&mut flush, own.get(), *store, spool, |interval| keep.may_go(interval, now)).await?;
        // Blocks that retention may delete are not checked: they would be put and deleted without end.
        let keys: Vec<BlockKey> =
            flush.blocks.iter().map(|block| block.key).filter(|key| !keep.may_go(key.interval, now)).collect();
        let missing: BTreeSet<BlockKey> = store.missing(&keys).await?.into_iter().collect();
        if !missing.is_empty() {
            tracing::warn!(
                flush = number.sequence,
                blocks = missing.len(),
                "the store lost blocks that it had accepted; they are put again"
            );
            let again: Vec<Block> = those_of(&flush.blocks, &missing).cloned().collect();
            store.put_blocks(&again).await?;
        }
        let Some(accepted) = self.flushes.iter_mut().find(|accepted| accepted.number == number) else { return Ok(()) };
        if !missing.is_empty() {
            accepted.since = Some(now);
            accepted.puts += 1;
            if accepted.puts < MOST_PUTS {
                return Ok(());
            }
            tracing::error!(
                flush = number.sequence,
                puts = accepted.puts,
                "the store keeps losing this flush; giving it up"
            );
        } else if !make_room && !accepted.since.is_some_and(|since| is_due(since, now)) {
            return Ok(());
        }
        self.flushes.retain(|accepted| accepted.number != number);
        spool.remove(number)
    }

    async fn check_sums(
        &mut self,
        Parts { store, own, keep, .. }: &mut Parts<'_>,
        now: Timestamp,
        all: bool,
    ) -> Result<(), StoreError> {
        let mut position = 0;
        // There may be many keys, and few are due: nothing is copied.
        while let Some((since, summed)) = self.sums.get(position) {
            let is_due = is_due(*since, now);
            if !all && !is_due {
                position += 1;
                continue;
            }
            let Summed { writer, interval, .. } = *summed;
            let is_lost = !keep.may_go(interval, now) && !store.missing(&summed.keys).await?.is_empty();
            if is_lost {
                tracing::warn!(%writer, %interval, "the store lost rolled-up blocks; the interval is summed again");
                if writer == own.get().writer {
                    own.roll_back(*store, interval).await?;
                } else if let Some(mut known) = of_writer(*store, writer).await? {
                    known.watermarks.take_back(interval);
                    store.put_writer(&known).await?;
                }
            }
            if is_lost || is_due {
                self.sums.remove(position);
            } else {
                position += 1;
            }
        }
        Ok(())
    }
}

fn is_due(since: Timestamp, now: Timestamp) -> bool {
    since.abs_diff(now) >= CHECKED_AFTER
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use accounting::block::{TableSet, WriterId};
    use accounting::period::{Minute, Period};
    use storage::WriterState;
    use storage::memory::Memory;

    use super::*;

    #[test]
    fn sums_that_are_not_due_are_not_copied() {
        let (interval, now) =
            (Interval { period: Period::Hour, start: Minute::new(60) }, Timestamp::from_seconds(1000));
        let key = |part| BlockKey {
            interval,
            sender: IpAddr::from([192, 0, 2, 1]),
            prefix: "192.0.2.0/24".parse().unwrap(),
            writer: WriterId(1),
            origin: FlushNumber { epoch: 1, sequence: 1 }.into(),
            part,
            tables: TableSet::ALL,
        };
        let mut accepted = Accepted::default();
        let keys = (0..50_000).map(key).collect();
        accepted.add_sums(vec![Summed { writer: WriterId(1), interval, keys }], now);
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&folder.path().join("state"), WriterId(1), 1 << 20).unwrap();
        let mut own = OwnState::published(WriterState::new(WriterId(1), 1, now));
        let store = Memory::default();
        let mut parts = Parts { store: &store, spool: &mut spool, own: &mut own, keep: Keep::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let allocated = allocation_counter::measure(|| {
            runtime.block_on(accepted.check(&mut parts, now.saturating_add(CHECKED_AFTER / 2), false)).unwrap();
        });
        assert!(allocated.bytes_total < 10_000, "{allocated:?}");
        assert!(accepted.has_sums());
    }
}
