//! Decides again which coarser blocks a flush has, after another collector has rolled up for this writer. That roll-up
//! counted the blocks of the flush that are in the store; the missing ones are lifted into the periods now rolled up.

use std::collections::BTreeSet;

use accounting::block::{Block, BlockKey};
use accounting::period::Interval;
use accounting::query::is_rolled_up;
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
    let now = now.rolled_up;
    if flush.decided == now {
        return Ok(());
    }
    let before = flush.blocks.len();
    flush.blocks.retain(|block| is_rolled_up(block.key.interval, &now));
    let newly = |key: &BlockKey| {
        let coarser = key.interval.period.coarser().map(|coarser| Interval::containing(coarser, key.interval.start));
        coarser.is_some_and(|coarser| !is_rolled_up(coarser, &flush.decided) && is_rolled_up(coarser, &now))
    };
    let reached: Vec<BlockKey> = flush.blocks.iter().map(|block| block.key).filter(newly).collect();
    if reached.is_empty() && flush.blocks.len() == before {
        return Ok(());
    }
    let missing = store.missing(&reached).await?;
    let uncounted = missing.into_iter().filter(|key| !may_have_deleted(key.interval)).collect();
    let uncounted: Vec<Block> = those_of(&flush.blocks, &uncounted).cloned().collect();
    let late = rollup::lift(&uncounted, &now).map_err(|error| StoreError::Corrupt(error.into()))?;
    flush.blocks.extend(late);
    flush.decided = now;
    spool.decide(flush)
}

/// The blocks with these keys. A flush after a long outage may have a million of each.
pub(super) fn those_of<'b>(blocks: &'b [Block], keys: &BTreeSet<BlockKey>) -> impl Iterator<Item = &'b Block> {
    blocks.iter().filter(|block| keys.contains(&block.key))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use accounting::block::{TableSet, WriterId};
    use accounting::period::{Minute, Period};
    use flow::FlushNumber;

    use super::*;

    /// Comparing each block with each key would be 10^11 comparisons, which takes hours.
    #[test]
    fn choosing_among_many_blocks_takes_time_in_proportion_to_their_number() {
        let key = |minute| BlockKey {
            interval: Interval { period: Period::Minute, start: Minute::new(minute) },
            sender: IpAddr::from([192, 0, 2, 1]),
            prefix: "192.0.2.0/24".parse().unwrap(),
            writer: WriterId(1),
            origin: FlushNumber { epoch: 1, sequence: 1 }.into(),
            part: 0,
            tables: TableSet::ALL,
        };
        let content = Block { key: key(0), content: vec![1].into() }.content;
        let blocks: Vec<Block> =
            (0..400_000).map(|minute| Block { key: key(minute), content: content.clone() }).collect();
        let keys: BTreeSet<BlockKey> = (200_000..600_000).map(key).collect();
        assert_eq!(those_of(&blocks, &keys).count(), 200_000);
    }
}
