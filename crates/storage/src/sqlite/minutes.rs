//! Where the blocks of minutes are: `minute_block`, appended flush by flush, or among the coarser ones in `block`, where
//! older programs put them. A minute of a writer is in one of the two, so that no block is there twice.

use std::collections::BTreeMap;

use accounting::block::{BlockKey, Origin};
use accounting::period::{Minute, Period};
use rusqlite::{Connection, OptionalExtension};

use crate::{Retention, StoreError};

/// The flushes that were needed so far in one transaction.
pub(super) struct FlushedMinutes<'c> {
    connection: &'c Connection,
    /// By writer, minute and origin; `None` for a minute in `block`.
    known: BTreeMap<(i64, Minute, Origin), Option<i64>>,
}

impl<'c> FlushedMinutes<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, known: BTreeMap::new() }
    }

    /// The number of what a flush has counted of a minute, made where there is none: a block has to follow. `None` for a block
    /// that belongs into `block`.
    pub(super) fn number(&mut self, writer: i64, key: &BlockKey) -> Result<Option<i64>, StoreError> {
        if key.interval.period != Period::Minute {
            return Ok(None);
        }
        let minute = (writer, key.interval.start, key.origin);
        if let Some(number) = self.known.get(&minute) {
            return Ok(*number);
        }
        let number = self.find_or_make(minute)?;
        self.known.insert(minute, number);
        Ok(number)
    }

    fn find_or_make(&self, (writer, start, origin): (i64, Minute, Origin)) -> Result<Option<i64>, StoreError> {
        let found = find(self.connection, writer, start, origin)?;
        if found.is_some() {
            return Ok(found);
        }
        let mut older = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM block WHERE period = 0 AND writer = ?1 AND start = ?2)")?;
        if older.query_row((writer, start.number()), |row| row.get(0))? {
            return Ok(None);
        }
        let (epoch, sequence) = origin.numbers();
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO flushed_minute (writer, start, epoch, sequence) VALUES (?1, ?2, ?3, ?4)")?;
        Ok(Some(insert.insert((writer, start.number(), epoch, sequence.cast_signed()))?))
    }
}

fn find(connection: &Connection, writer: i64, start: Minute, origin: Origin) -> Result<Option<i64>, StoreError> {
    let (epoch, sequence) = origin.numbers();
    let mut find = connection.prepare_cached(
        "SELECT id FROM flushed_minute WHERE writer = ?1 AND start = ?2 AND epoch = ?3 AND sequence = ?4",
    )?;
    let row = (writer, start.number(), epoch, sequence.cast_signed());
    Ok(find.query_row(row, |row| row.get(0)).optional()?)
}

/// Deletes the block with this key, if it is in `minute_block`.
pub(super) fn delete(connection: &Connection, writer: i64, series: i64, key: &BlockKey) -> Result<(), StoreError> {
    if key.interval.period != Period::Minute {
        return Ok(());
    }
    let Some(flush) = find(connection, writer, key.interval.start, key.origin)? else { return Ok(()) };
    let mut delete = connection
        .prepare_cached("DELETE FROM minute_block WHERE flush = ?1 AND series = ?2 AND part = ?3 AND tables = ?4")?;
    delete.execute((flush, series, key.part, key.tables.bits().cast_signed()))?;
    let mut delete_empty = connection.prepare_cached(
        "DELETE FROM flushed_minute WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM minute_block WHERE flush = ?1)",
    )?;
    delete_empty.execute([flush])?;
    Ok(())
}

/// Deletes the oldest flushes of minutes until about this many blocks are gone; returns how many are. Fewer mean that no
/// more are left.
pub(super) fn delete_before(
    connection: &Connection,
    writer: i64,
    retention: Retention,
    most: u64,
) -> Result<u64, StoreError> {
    if retention.period != Period::Minute {
        return Ok(0);
    }
    let mut oldest = connection.prepare_cached(
        "SELECT id FROM flushed_minute WHERE writer = ?1 AND start < ?2 ORDER BY start, epoch, sequence LIMIT 1",
    )?;
    let mut delete_blocks = connection.prepare_cached("DELETE FROM minute_block WHERE flush = ?1")?;
    let mut delete_flush = connection.prepare_cached("DELETE FROM flushed_minute WHERE id = ?1")?;
    let mut gone = 0;
    while gone < most {
        let row = (writer, retention.before.number());
        let Some(flush) = oldest.query_row(row, |row| row.get::<_, i64>(0)).optional()? else { break };
        gone += u64::try_from(delete_blocks.execute([flush])?).unwrap_or(u64::MAX);
        delete_flush.execute([flush])?;
    }
    Ok(gone)
}
