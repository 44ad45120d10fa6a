//! Distributes tables over blocks. Many small tables share a block, so that a quiet prefix costs one row of a store a
//! flush. A large table has blocks of its own, so that queries for other tables do not read it.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::encoding::{assemble, encode_table};
use super::key::{Block, BlockKey};
use super::row_range::RowRange;
use super::table_set::TableSet;
use crate::direction::Direction;
use crate::field::Field;
use crate::table::Rows;

/// Tables share a block as long as they have at most this many bytes together.
const SHARED_BYTES: usize = 32 * 1024;
/// A table with more bytes than this is split by ranges of its values.
const LARGEST_TABLE_BYTES: usize = 256 * 1024;
/// The memory of a flush comes in pieces of this many bytes. Tens of thousands of small blocks, each in memory of its
/// own, would leave holes between longer-lived allocations, which a process never returns.
const PIECE: usize = 256 * 1024;

/// Collects the tables of one interval, sender and prefix and makes blocks of them; then those of the next.
#[derive(Default)]
pub(crate) struct Packer {
    /// The encoded tables, concatenated.
    encoded: Vec<u8>,
    /// The position of each table in it.
    tables: Vec<(TableSet, Range<usize>)>,
    /// The block under construction.
    assembled: Vec<u8>,
    /// `None` if each block has its own memory.
    piece: Option<BytesMut>,
}

impl Packer {
    /// Makes blocks that share memory: for many blocks that are released together.
    pub(crate) fn of_flush() -> Self {
        Self { piece: Some(BytesMut::new()), ..Self::default() }
    }

    /// Adds one table; an empty one is ignored.
    pub(crate) fn push(&mut self, direction: Direction, field: Field, rows: &Rows) {
        if rows.short.is_empty() && rows.long.is_empty() && !rows.truncated {
            return;
        }
        self.push_range(TableSet::of(direction, field), field, RowRange::all(rows));
    }

    /// Recurses at most as often as the number of rows can be halved.
    fn push_range(&mut self, table: TableSet, field: Field, range: RowRange<'_>) {
        let start = self.encoded.len();
        encode_table(field, range, &mut self.encoded);
        match range.halves() {
            Some((lower, upper)) if self.encoded.len() - start > LARGEST_TABLE_BYTES => {
                self.encoded.truncate(start);
                self.push_range(table, field, lower);
                self.push_range(table, field, upper);
            }
            _ => self.tables.push((table, start..self.encoded.len())),
        }
    }

    /// Appends the blocks of the added tables, numbered by part, and clears itself. The smallest tables come first and
    /// together, because they are read most often. `key` gives the blocks their identity, except part and tables.
    pub(crate) fn finish(&mut self, key: BlockKey, blocks: &mut Vec<Block>) {
        // Stable: the ranges of a table stay in the order of their values.
        self.tables.sort_by_key(|(table, range)| (range.len(), *table));
        let mut rest = self.tables.as_mut_slice();
        // Two neighbours have more than 32 KiB together: there is a gigabyte of one prefix before part 65535.
        let mut part = 0_u16;
        while !rest.is_empty() {
            let (shared, after) = rest.split_at_mut(sharing(rest));
            shared.sort_unstable_by_key(|(table, _)| *table);
            let set = shared.iter().fold(TableSet::EMPTY, |set, (table, _)| set.union(*table));
            let tables: Vec<&[u8]> = shared.iter().filter_map(|(_, range)| self.encoded.get(range.clone())).collect();
            let key = BlockKey { part, tables: set, ..key };
            assemble(&key, &tables, &mut self.assembled);
            blocks.push(Block { key, content: content(&self.assembled, self.piece.as_mut()) });
            part = part.saturating_add(1);
            rest = after;
        }
        self.tables.clear();
        self.encoded.clear();
    }
}

/// A copy in shared memory; a new piece is allocated if the current one is full.
fn content(assembled: &[u8], piece: Option<&mut BytesMut>) -> Bytes {
    let Some(piece) = piece else { return Bytes::copy_from_slice(assembled) };
    if piece.capacity() < assembled.len() {
        *piece = BytesMut::with_capacity(PIECE.max(assembled.len()));
    }
    piece.extend_from_slice(assembled);
    piece.split().freeze()
}

/// How many of the first tables share a block; at least one.
fn sharing(tables: &[(TableSet, Range<usize>)]) -> usize {
    let (mut bytes, mut set) = (0, TableSet::EMPTY);
    let fits = |(table, range): &&(TableSet, Range<usize>)| {
        bytes += range.len();
        let fits = set == TableSet::EMPTY || bytes <= SHARED_BYTES && !set.intersects(*table);
        set = set.union(*table);
        fits
    };
    tables.iter().take_while(fits).count()
}
