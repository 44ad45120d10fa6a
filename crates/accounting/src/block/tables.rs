//! Decoded blocks: tables that add up, can be queried, and can be encoded as blocks again.

use std::net::IpAddr;

use flow::{Counters, Prefix, WriterId};

use super::decoding::decode;
use super::fault::BlockError;
use super::key::{Block, BlockKey, Origin};
use super::packer::Packer;
use super::table_set::TableSet;
use crate::about_all::AboutAll;
use crate::direction::Direction;
use crate::field::{Field, Name};
use crate::five_minutes;
use crate::period::{Interval, Minute};
use crate::table::{FoldRoom, Table, ValueKey};

/// The sum of any number of blocks: counters by direction and name.
#[derive(Clone, Debug)]
pub struct Tables {
    /// By direction, then by field.
    tables: [Table; TABLES],
    /// By direction.
    about_all: [AboutAll; Direction::ALL.len()],
}

const TABLES: usize = Direction::ALL.len() * Field::STORED.len();

impl Tables {
    /// No counters.
    #[must_use]
    pub fn new() -> Self {
        Self { tables: std::array::from_fn(|_| Table::default()), about_all: Default::default() }
    }

    /// Adds to one counter. A value that the field cannot have, such as protocol 256, is added to `other`.
    pub fn add(&mut self, direction: Direction, name: Name, counters: Counters) {
        let table = self.table_mut(direction, name.field);
        match ValueKey::of(name) {
            Some(key) => {
                table.add(key, counters);
            }
            None => table.add_other(counters),
        }
    }

    /// Adds to the `other` of a table.
    pub fn add_other(&mut self, direction: Direction, field: Field, counters: Counters) {
        self.table_mut(direction, field).add_other(counters);
    }

    /// Adds the wanted tables of a block.
    ///
    /// # Errors
    /// When the content of the block is damaged or of an unknown version; then nothing of it was added.
    pub fn merge(&mut self, block: &Block, wanted: TableSet) -> Result<(), BlockError> {
        self.add_block(block, wanted, None)
    }

    /// The same; `all` of a minute is also added to its 5 minutes.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn merge_five_minutes(&mut self, block: &Block, wanted: TableSet) -> Result<(), BlockError> {
        self.add_block(block, wanted, five_minutes::of_minutes(&block.key))
    }

    fn add_block(&mut self, block: &Block, wanted: TableSet, first: Option<Minute>) -> Result<(), BlockError> {
        let decoded = decode(&block.key, &block.content, wanted);
        for (direction, field, rows) in decoded.map_err(|fault| BlockError { key: block.key, fault })? {
            self.table_mut(direction, field).merge(&rows);
            if field == Field::All {
                self.note(direction, rows.about_all);
                if let Some(first) = first {
                    let all = rows.sum();
                    self.table_mut(direction, Field::FiveMinutes).add(ValueKey::Short(first.number()), all);
                }
            }
        }
        Ok(())
    }

    /// One counter; `None` if it is missing, which does not mean zero if the table is [`truncated`](Self::truncated).
    #[must_use]
    pub fn get(&self, direction: Direction, name: Name) -> Option<Counters> {
        self.table(direction, name.field).get(ValueKey::of(name)?)
    }

    /// All counters, sorted by field, then by direction, then by value: IPv4 addresses come before IPv6 addresses.
    pub fn rows(&self) -> impl Iterator<Item = (Direction, Name, Counters)> + '_ {
        Field::STORED.into_iter().flat_map(move |field| self.rows_of(field))
    }

    /// The counters of one field, in the order of [`rows`](Self::rows).
    pub fn rows_of(&self, field: Field) -> impl Iterator<Item = (Direction, Name, Counters)> + '_ {
        Direction::ALL.into_iter().flat_map(move |direction| {
            let mut rows = Vec::new();
            self.table(direction, field).each(|key, counters| rows.push((key, counters)));
            rows.sort_unstable_by_key(|(key, _)| *key);
            rows.into_iter().map(move |(key, counters)| (direction, Name { field, value: key.value(field) }, counters))
        })
    }

    /// The counters that a limit folded.
    #[must_use]
    pub fn other(&self, direction: Direction, field: Field) -> Counters {
        self.table(direction, field).other()
    }

    /// Whether a limit folded names of a table, so that names may be missing and counters may be too low.
    #[must_use]
    pub fn truncated(&self, direction: Direction, field: Field) -> bool {
        self.table(direction, field).truncated()
    }

    /// What is counted in a direction under no name of a field: what a limit folded, and what was counted while the
    /// field was not. With the values of the field it adds up to `all`, whose table has to be merged too.
    #[must_use]
    pub fn unnamed(&self, direction: Direction, field: Field) -> Counters {
        let mut unnamed = self.other(direction, field);
        if !self.about_all(direction).complete.contains(field) {
            let mut left = self.get(direction, Name::ALL).unwrap_or_default();
            left.subtract(unnamed);
            self.table(direction, field).each(|_, counters| left.subtract(counters));
            unnamed.add(left);
        }
        unnamed
    }

    /// Whether names of a field may be missing in a direction and counters may be too low, because a limit folded some
    /// or because the field was not counted all the time.
    #[must_use]
    pub fn is_partial(&self, direction: Direction, field: Field) -> bool {
        self.truncated(direction, field) || !self.about_all(direction).complete.contains(field)
    }

    /// Whether a field was counted at all.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        Direction::ALL.into_iter().any(|direction| !self.table(direction, field).is_empty())
    }

    /// The metadata of `all` in a direction.
    #[must_use]
    pub fn about_all(&self, direction: Direction) -> AboutAll {
        self.about_all.get(direction as usize).copied().unwrap_or_default()
    }

    /// Adds to the metadata of `all` in a direction.
    pub fn note(&mut self, direction: Direction, about: AboutAll) {
        if let Some(known) = self.about_all.get_mut(direction as usize) {
            known.add(about);
        }
    }

    /// The number of counters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(Table::is_empty)
    }

    /// Keeps the largest counters of each table by bytes (among equals, those with the smallest values) and folds
    /// the rest into [`other`](Self::other).
    pub fn fold(&mut self, limit: usize) {
        let mut room = FoldRoom::default();
        for table in &mut self.tables {
            table.fold(limit, &mut room);
        }
    }

    /// The blocks of these tables, in the order of their parts. Equal tables make equal blocks; empty tables make
    /// none.
    #[must_use]
    pub fn blocks(
        &self,
        interval: Interval,
        sender: IpAddr,
        prefix: Prefix,
        writer: WriterId,
        origin: Origin,
    ) -> Vec<Block> {
        let key = BlockKey { interval, sender, prefix, writer, origin, part: 0, tables: TableSet::EMPTY };
        let (mut packer, mut blocks) = (Packer::default(), Vec::new());
        for (direction, field) in TableSet::ALL.iter() {
            let mut rows = self.table(direction, field).rows();
            rows.about_all = self.about_all(direction);
            packer.push(direction, field, &rows);
        }
        packer.finish(key, &mut blocks);
        blocks
    }

    #[expect(clippy::indexing_slicing, reason = "there is a table for every direction and field")]
    fn table(&self, direction: Direction, field: Field) -> &Table {
        &self.tables[direction as usize * Field::STORED.len() + field.position()]
    }

    #[expect(clippy::indexing_slicing, reason = "there is a table for every direction and field")]
    fn table_mut(&mut self, direction: Direction, field: Field) -> &mut Table {
        &mut self.tables[direction as usize * Field::STORED.len() + field.position()]
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal when they hold equal counters, whatever the order in which they were added.
impl PartialEq for Tables {
    fn eq(&self, other: &Self) -> bool {
        self.about_all == other.about_all
            && self.tables.iter().zip(&other.tables).all(|(table, other)| table.rows() == other.rows())
    }
}

impl Eq for Tables {}
