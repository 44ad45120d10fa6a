//! Decides again which coarser blocks a flush has, after another collector has rolled up for this writer. That roll-up
//! counted the blocks of the flush that are in the store; the missing ones are lifted into the periods now rolled up.

use std::collections::BTreeSet;

use accounting::block::{Block, BlockKey};
use accounting::period::Interval;
use accounting::rollup;
use storage::spool::Spool;
use storage::{Blocks, Flush, StoreError, WriterState};

/// Adapts the coarser blocks of a flush to the current watermarks of its writer, in the spool first. Blocks of
/// intervals that retention `may_have_deleted` are assumed to have existed.
pub(super) async fn reconcile(
    flush: &mut Flush,
    now: &WriterState,
    store: &dyn Blocks,
    spool: &mut Spool,
    may_have_deleted: impl Fn(Interval) -> bool,
) -> Result<(), StoreError> {
    let now = now.watermarks;
    if flush.watermarks == now {
        return Ok(());
    }
    let before = flush.blocks.len();
    flush.blocks.retain(|block| now.is_rolled_up(block.key.interval));
    let newly = |key: &BlockKey| {
        let coarser = key.interval.period.coarser().map(|coarser| Interval::containing(coarser, key.interval.start));
        coarser.is_some_and(|coarser| !flush.watermarks.is_rolled_up(coarser) && now.is_rolled_up(coarser))
    };
    let reached: Vec<BlockKey> = flush.blocks.iter().map(|block| block.key).filter(newly).collect();
    if reached.is_empty() && flush.blocks.len() == before {
        return Ok(());
    }
    let missing = store.missing(&reached).await?;
    let uncounted = missing.into_iter().filter(|key| !may_have_deleted(key.interval)).collect();
    let uncounted: Vec<Block> = those_of(&flush.blocks, &uncounted).cloned().collect();
    let late = rollup::lift(&uncounted, now).map_err(|error| StoreError::Corrupt(error.into()))?;
    flush.blocks.extend(late);
    flush.watermarks = now;
    spool.decide(flush)
}

/// The blocks with these keys. A flush after a long outage may have a million of each.
pub(super) fn those_of<'b>(blocks: &'b [Block], keys: &BTreeSet<BlockKey>) -> impl Iterator<Item = &'b Block> {
    blocks.iter().filter(|block| keys.contains(&block.key))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;

    use accounting::block::{Tables, WriterId};
    use accounting::direction::Direction;
    use accounting::field::Name;
    use accounting::period::{Minute, Period};
    use accounting::watermarks::Watermarks;
    use flow::{Counters, FlushNumber, Timestamp};
    use storage::memory::Memory;

    use super::*;

    const WRITER: WriterId = WriterId(1);
    const NUMBER: FlushNumber = FlushNumber { epoch: 1, sequence: 1 };

    /// A flush of this many minutes, none of them rolled up.
    fn flush(minutes: u32) -> Flush {
        let sender = IpAddr::from([192, 0, 2, 1]);
        let prefix = "192.0.2.0/24".parse().unwrap();
        let mut tables = Tables::new();
        tables.add(Direction::In, Name::ALL, Counters { bytes: 1, packets: 1, flows: 1 });
        let of = |minute| {
            let interval = Interval { period: Period::Minute, start: Minute::new(minute) };
            tables.blocks(interval, sender, prefix, WRITER, NUMBER.into())
        };
        Flush { number: NUMBER, watermarks: Watermarks::default(), blocks: (0..minutes).flat_map(of).collect() }
    }

    /// Nanoseconds of processor time of this thread (schedstat of proc(5)).
    fn processor_time() -> u64 {
        let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        statistics.split(' ').next().unwrap().parse().unwrap()
    }

    /// Another collector has rolled up all of it, and the store has lost all of it. Deciding takes about as long as making
    /// the blocks; if each were compared with all others, more than twenty times as long.
    #[tokio::test]
    async fn a_flush_after_a_long_outage_is_decided_in_time_in_proportion_to_its_blocks() {
        let begun = processor_time();
        let mut flush = flush(100_000);
        let made = processor_time() - begun;
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&folder.path().join("state"), WRITER, 1 << 30).unwrap();
        spool.push(&flush, &[], &[]).unwrap();
        let mut now = WriterState::new(WRITER, 1, Timestamp::EPOCH);
        *now.watermarks.get_mut(Period::Minute).unwrap() = Minute::new(100_020);
        let begun = processor_time();
        reconcile(&mut flush, &now, &Memory::default(), &mut spool, |_| false).await.unwrap();
        let decided = processor_time() - begun;
        assert_eq!(flush.blocks.len(), 100_000 + 1667);
        assert!(decided < 5 * made, "{decided} {made}");
    }
}
