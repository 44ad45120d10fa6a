//! The blocks of one flush from the tallies of all shards, and the comparison of both.

use accounting::block::{self, Block, BlockKey};
use accounting::tally::{Balance, Tally};

use crate::prefix_counters::PrefixSums;

/// The blocks that several shards made for one flush. Where two of them have counted for the same minute, sender and
/// prefix, the parts of the second get the numbers after those of the first.
pub(super) fn one_flush(of_shards: impl Iterator<Item = Vec<Block>>) -> Vec<Block> {
    let mut blocks: Vec<Block> = of_shards.flatten().collect();
    let counted_for = |block: &Block| (block.key.interval, block.key.sender, block.key.prefix);
    // Stable: the blocks of one shard keep their order.
    blocks.sort_by_key(counted_for);
    for same in blocks.chunk_by_mut(|a, b| counted_for(a) == counted_for(b)) {
        for (part, block) in same.iter_mut().enumerate() {
            let key = BlockKey { part: u16::try_from(part).unwrap_or(u16::MAX), ..block.key };
            if key != block.key {
                let content = std::mem::take(&mut block.content);
                *block = Block { key: block.key, content }.with_key(key);
            }
        }
    }
    blocks
}

/// The sums of the tallies, and of `all` in their blocks.
pub(super) fn added_up(tallies: &[Tally], blocks: &[Block]) -> (Balance, PrefixSums) {
    let (mut balance, mut in_blocks) = (Balance::default(), PrefixSums::new());
    tallies.iter().for_each(|tally| balance.add(tally.balance()));
    for block in blocks {
        match block::all_in(block) {
            Ok(all) => {
                let sums = in_blocks.entry((block.key.sender, block.key.prefix)).or_default();
                sums.iter_mut().zip(all).for_each(|(sum, counters)| sum.add(counters));
            }
            Err(error) => tracing::error!(%error, "a block that was just made cannot be read"),
        }
    }
    (balance, in_blocks)
}

#[cfg(test)]
mod tests {
    use accounting::block::{TableSet, WriterId};
    use std::net::IpAddr;

    use accounting::period::{Interval, Minute, Period};
    use flow::FlushNumber;

    use super::*;

    #[test]
    fn shards_that_count_for_the_same_prefix_do_not_replace_each_others_blocks() {
        let block = |minute: u32, part: u16, content: u8| {
            let key = BlockKey {
                interval: Interval { period: Period::Minute, start: Minute::new(minute) },
                sender: IpAddr::from([192, 0, 2, 1]),
                prefix: "192.0.2.0/24".parse().unwrap(),
                writer: WriterId(1),
                origin: FlushNumber { epoch: 1, sequence: 1 }.into(),
                part,
                tables: TableSet::ALL,
            };
            Block { key, content: vec![content].into() }
        };
        let shards = [vec![block(1, 0, 1), block(1, 1, 2), block(2, 0, 3)], vec![block(1, 0, 4), block(3, 0, 5)]];
        let expected = [block(1, 0, 1), block(1, 1, 2), block(1, 2, 4), block(2, 0, 3), block(3, 0, 5)];
        assert_eq!(one_flush(shards.into_iter()), expected);
    }
}
