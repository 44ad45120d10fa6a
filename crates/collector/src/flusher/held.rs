//! What a store on the network has accepted is not trusted to it at once: a Redis that fails over to a replica, or a
//! Cassandra that syncs its log later, may lose the last moments. So a flush stays in the spool for [`HOLD`] after it was
//! accepted; then the store is asked which of its blocks are missing, and these are put again. The same with what a
//! roll-up has put: an interval of which a block is missing is summed again.
//!
//! When the store has failed in between, everything that is held is looked for as soon as it answers again.

use std::collections::BTreeSet;
use std::time::Duration;

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::Interval;
use flow::{FlushNumber, Timestamp};
use storage::roll_up::{Summed, take_back};
use storage::spool::Spool;
use storage::{Flush, StoreError, WriterState};

use super::Flusher;

/// For how long a store may lose what it has accepted.
pub(super) const HOLD: Duration = Duration::from_secs(60);
/// How often the same flush is put again: a store that loses it that often will not keep it (an eviction policy does so).
const ROUNDS: u8 = 5;

/// What a store has accepted and may lose.
#[derive(Default)]
pub(super) struct Held {
    flushes: Vec<HeldFlush>,
    sums: Vec<(Timestamp, Summed)>,
    /// The store has failed since everything was looked for.
    doubt: bool,
}

struct HeldFlush {
    number: FlushNumber,
    /// Unknown of what an earlier process has left: then it is from when it is looked for first.
    since: Timestamp,
    intervals: BTreeSet<Interval>,
    rounds: u8,
}

impl Held {
    /// What an earlier process has left in the spool: it is looked for at once.
    pub(super) fn of(spool: &Spool) -> Result<Self, StoreError> {
        let left = spool.accepted()?.into_iter();
        let flushes =
            left.map(|(number, intervals)| HeldFlush { number, since: Timestamp::EPOCH, intervals, rounds: 0 });
        Ok(Self { flushes: flushes.collect(), sums: Vec::new(), doubt: true })
    }

    pub(super) fn hold(&mut self, flush: &Flush, now: Timestamp) {
        let intervals = flush.blocks.iter().map(|block| block.key.interval).collect();
        self.flushes.push(HeldFlush { number: flush.number, since: now, intervals, rounds: 0 });
    }

    pub(super) fn hold_sums(&mut self, summed: Vec<Summed>, now: Timestamp) {
        self.sums.extend(summed.into_iter().map(|summed| (now, summed)));
    }

    pub(super) fn doubt(&mut self) {
        self.doubt = true;
    }

    /// The intervals that held flushes have blocks of.
    pub(super) fn intervals(&self) -> BTreeSet<Interval> {
        self.flushes.iter().flat_map(|flush| flush.intervals.iter().copied()).collect()
    }

    /// Whether sums are still to be seen again.
    pub(super) fn has_sums(&self) -> bool {
        !self.sums.is_empty()
    }
}

fn is_due(since: Timestamp, now: Timestamp) -> bool {
    since.abs_diff(now) >= HOLD
}

impl Flusher {
    /// Looks for what has been held long enough, or for everything when the store has failed, and puts again what is
    /// missing. With `let_go` everything that is there is let go of, to make room.
    pub(super) async fn see_again(&mut self, now: Timestamp, let_go: bool) -> Result<(), StoreError> {
        let all = self.held.doubt || let_go;
        for held in self.held.flushes.iter_mut().filter(|held| held.since == Timestamp::EPOCH) {
            held.since = now;
        }
        let due = self.held.flushes.iter().filter(|held| all || is_due(held.since, now)).map(|held| held.number);
        let due: Vec<FlushNumber> = due.collect();
        if !due.is_empty() {
            // With the blocks the store may have lost how far this writer is rolled up, by which they were decided.
            self.look_now(now).await?;
        }
        self.see_sums_again(now, all).await?;
        for number in due {
            self.see_flush_again(number, now, let_go).await?;
        }
        self.held.doubt = false;
        Ok(())
    }

    async fn see_flush_again(&mut self, number: FlushNumber, now: Timestamp, let_go: bool) -> Result<(), StoreError> {
        let Some(spool) = &self.spool else { return Ok(()) };
        let Some(mut flush) = spool.read(number)? else { return Ok(()) };
        let keep = self.keep;
        self.settle(&mut flush, |interval| keep.may_go(interval, now)).await?;
        // What retention may take away is not looked for: it would be put and taken away for ever.
        let keys: Vec<BlockKey> =
            flush.blocks.iter().map(|block| block.key).filter(|key| !keep.may_go(key.interval, now)).collect();
        let missing: BTreeSet<BlockKey> = self.store.missing(&keys).await?.into_iter().collect();
        if !missing.is_empty() {
            tracing::warn!(
                flush = number.sequence,
                blocks = missing.len(),
                "the store has lost what it had accepted; put again"
            );
            let again: Vec<Block> = flush.blocks.into_iter().filter(|block| missing.contains(&block.key)).collect();
            self.store.put_blocks(&again).await?;
        }
        let Some(held) = self.held.flushes.iter_mut().find(|held| held.number == number) else { return Ok(()) };
        if !missing.is_empty() {
            held.since = now;
            held.rounds += 1;
            if held.rounds < ROUNDS {
                return Ok(());
            }
            tracing::error!(flush = number.sequence, "the store loses this flush again and again; it is given up");
        } else if !let_go && !is_due(held.since, now) {
            return Ok(());
        }
        self.held.flushes.retain(|held| held.number != number);
        self.spool.as_mut().map_or(Ok(()), |spool| spool.remove(number))
    }

    async fn see_sums_again(&mut self, now: Timestamp, all: bool) -> Result<(), StoreError> {
        let mut number = 0;
        while let Some((since, Summed { writer, interval, keys })) = self.held.sums.get(number).cloned() {
            if !all && !is_due(since, now) {
                number += 1;
                continue;
            }
            let lost = !self.keep.may_go(interval, now) && !self.store.missing(&keys).await?.is_empty();
            if lost {
                tracing::warn!(%writer, %interval, "the store has lost what was rolled up; it is summed again");
                if writer == self.state.writer {
                    take_back(&mut self.state, interval);
                    self.said = false;
                    self.taken_back = true;
                    self.say().await?;
                } else if let Some(mut known) = self.known(writer).await? {
                    take_back(&mut known, interval);
                    self.store.put_writer(&known).await?;
                }
            }
            if lost || is_due(since, now) {
                self.held.sums.remove(number);
            } else {
                number += 1;
            }
        }
        Ok(())
    }

    /// What the store knows of a writer.
    pub(super) async fn known(&self, writer: WriterId) -> Result<Option<WriterState>, StoreError> {
        Ok(self.store.writers().await?.into_iter().find(|known| known.writer == writer))
    }
}
