//! How all blocks of a writer's interval are read without having them in memory together: some groups at a time, as many
//! as make up a few megabytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use accounting::block::{Block, TableSet, WriterId};
use accounting::period::Interval;
use flow::Prefix;

use crate::{Blocks, Selection, StoreError};

/// A sender and one of its prefixes.
pub(crate) type Group = (IpAddr, Prefix);

/// Groups are read together up to about this many octets of blocks.
const OCTETS_AT_ONCE: usize = 4 << 20;

/// The most groups that are read together.
const GROUPS_AT_ONCE: usize = 256;

/// Groups of a writer's interval that are still to be read.
pub(crate) struct Batches {
    writer: WriterId,
    interval: Interval,
    groups: std::vec::IntoIter<Group>,
    at_once: usize,
}

impl Batches {
    /// All groups that the store has there.
    pub(crate) async fn of(store: &dyn Blocks, writer: WriterId, interval: Interval) -> Result<Self, StoreError> {
        Ok(Self::of_groups(writer, interval, store.groups(writer, interval).await?))
    }

    /// These groups, whether the store has them or not.
    pub(crate) fn of_groups(writer: WriterId, interval: Interval, groups: Vec<Group>) -> Self {
        Self { writer, interval, groups: groups.into_iter(), at_once: 1 }
    }

    /// The next groups with their blocks; `None` after the last ones.
    pub(crate) async fn next(&mut self, store: &dyn Blocks) -> Result<Option<BTreeMap<Group, Vec<Block>>>, StoreError> {
        let groups: Vec<Group> = self.groups.by_ref().take(self.at_once).collect();
        if groups.is_empty() {
            return Ok(None);
        }
        let blocks = read(store, self.writer, self.interval, &groups).await?;
        let octets: usize = blocks.iter().map(|block| block.content.len()).sum();
        self.at_once = if octets < OCTETS_AT_ONCE / 2 {
            (self.at_once * 2).min(GROUPS_AT_ONCE)
        } else {
            (self.at_once / 2).max(1)
        };
        let mut batch: BTreeMap<Group, Vec<Block>> = groups.into_iter().map(|group| (group, Vec::new())).collect();
        for block in blocks {
            batch.entry((block.key.sender, block.key.prefix)).or_default().push(block);
        }
        Ok(Some(batch))
    }
}

/// All blocks of a writer in an interval for some groups.
pub(crate) async fn read(
    store: &dyn Blocks,
    writer: WriterId,
    interval: Interval,
    groups: &[Group],
) -> Result<Vec<Block>, StoreError> {
    let select =
        |(sender, prefix): &Group| Selection { interval, sender: *sender, prefix: *prefix, tables: TableSet::ALL };
    store.read_blocks_of(writer, &groups.iter().map(select).collect::<Vec<_>>()).await
}
