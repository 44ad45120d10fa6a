//! Which tables share a block. Many small ones do, so that a quiet prefix costs one row of a store a flush; a large one
//! has blocks of its own, so that who asks for another table does not read it.

use super::encoding::{RowRange, assemble};
use super::{Block, BlockKey, TableSet};
use crate::direction::Direction;
use crate::field::Field;
use crate::table::Rows;

/// A block takes in tables as long as they have not more bytes than this together.
const SHARED_BYTES: usize = 32 * 1024;
/// A table with more bytes than this is split by ranges of its values.
const LARGEST_TABLE_BYTES: usize = 256 * 1024;

/// Takes the tables of one interval, sender and prefix and makes blocks of them.
pub(crate) struct Packer {
    key: BlockKey,
    tables: Vec<(TableSet, Vec<u8>)>,
}

impl Packer {
    /// `key` gives the blocks their identity, save part and tables.
    pub(crate) fn new(key: BlockKey) -> Self {
        Self { key, tables: Vec::new() }
    }

    /// Takes one table; an empty one leaves no trace. Tables come in the order of the bits of a [`TableSet`].
    pub(crate) fn push(&mut self, direction: Direction, field: Field, rows: &Rows) {
        if rows.short.is_empty() && rows.long.is_empty() && !rows.truncated {
            return;
        }
        self.push_range(TableSet::of(direction, field), field, RowRange::all(rows));
    }

    /// Splitting in halves goes on at most as often as the number of rows can be halved.
    fn push_range(&mut self, table: TableSet, field: Field, range: RowRange<'_>) {
        let encoded = range.encode(field);
        match range.halves() {
            Some((lower, upper)) if encoded.len() > LARGEST_TABLE_BYTES => {
                self.push_range(table, field, lower);
                self.push_range(table, field, upper);
            }
            _ => self.tables.push((table, encoded)),
        }
    }

    /// The blocks, numbered by part. The smallest tables come first and together: they are asked for most often.
    pub(crate) fn finish(mut self) -> Vec<Block> {
        // Stable: tables of equal size stay in the order of their bits, ranges in the order of their values.
        self.tables.sort_by_key(|(_, table)| table.len());
        let mut blocks = Vec::new();
        let mut shared: Vec<(TableSet, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        let mut set = TableSet::EMPTY;
        for (table, encoded) in self.tables {
            if !shared.is_empty() && (bytes + encoded.len() > SHARED_BYTES || set.intersects(table)) {
                blocks.push(close(self.key, blocks.len(), std::mem::take(&mut shared)));
                (bytes, set) = (0, TableSet::EMPTY);
            }
            bytes += encoded.len();
            set = set.union(table);
            shared.push((table, encoded));
        }
        if !shared.is_empty() {
            blocks.push(close(self.key, blocks.len(), shared));
        }
        blocks
    }
}

fn close(key: BlockKey, part: usize, mut tables: Vec<(TableSet, Vec<u8>)>) -> Block {
    tables.sort_unstable_by_key(|(table, _)| *table);
    let set = tables.iter().fold(TableSet::EMPTY, |set, (table, _)| set.union(*table));
    // Two neighbours have more than 32 KiB together: part 65535 would be behind more than a gigabyte of one prefix.
    let part = u16::try_from(part).unwrap_or(u16::MAX);
    Block { key: BlockKey { part, tables: set, ..key }, content: assemble(&tables) }
}
