//! Blocks as rows.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use accounting::block::{Block, BlockKey, Origin, TableSet, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use async_trait::async_trait;
use flow::{FlushNumber, Prefix};
use rusqlite::{Connection, Row};

use super::key::{KnownSeries, Numbers, find_series, find_writer};
use super::minutes::{self, FlushedMinutes};
use super::pauses::Pauses;
use super::registry::parsed;
use super::writers::{note_durable, writers};
use super::{Sqlite, lock};
use crate::selection::merged;
use crate::{Blocks, Retention, Selection, StoreError};

/// About how many blocks [`expire`] deletes in one transaction: all of a flush together.
const EXPIRED_AT_ONCE: u64 = 10_000;

/// The longest content in a row of its block. With its key it is below the 1,002 octets of a row that SQLite keeps on one page
/// of 4 KiB in tables that are clustered by a key.
const MOST_INLINE: usize = 900;

#[async_trait]
impl Blocks for Sqlite {
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let (blocks, series) = (blocks.to_vec(), Arc::clone(&self.series));
        self.write(move |connection| put(connection, &mut lock(&series), &blocks)).await
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let selections = merged(selections);
        self.read(move |connection| read(connection, &selections, None)).await
    }

    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let selections = merged(selections);
        self.read(move |connection| read(connection, &selections, Some(writer))).await
    }

    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        self.read(move |connection| groups(connection, writer, interval)).await
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        self.read(move |connection| first_interval(connection, writer, period, from)).await
    }

    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        self.read(move |connection| intervals(connection, writer, period, from, before)).await
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.write(move |connection| delete(connection, &keys)).await
    }

    async fn forget_writer(&self, writer: WriterId) -> Result<(), StoreError> {
        for period in Period::ALL {
            let all = Retention { period, before: Minute::MAX };
            while self.write(move |connection| delete_before(connection, writer, all)).await? >= EXPIRED_AT_ONCE {}
        }
        Ok(())
    }

    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        // In pieces, so that no flush is blocked by a long deletion.
        let mut gone = 0;
        loop {
            let more = self.write(move |connection| expire(connection, writer, retention)).await?;
            gone += more;
            if more < EXPIRED_AT_ONCE {
                return Ok(gone);
            }
        }
    }

    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError> {
        self.read(expired).await
    }

    async fn put_expired(&self, before: PerPeriod<Minute>) -> Result<(), StoreError> {
        self.write(move |connection| {
            before.iter().try_for_each(|(period, before)| note_expired(connection, period, *before))
        })
        .await
    }
}

pub(super) fn put(connection: &Connection, known: &mut KnownSeries, blocks: &[Block]) -> Result<(), StoreError> {
    let mut numbers = Numbers::new(connection, known);
    let mut flushes = FlushedMinutes::new(connection);
    let mut minutes: Vec<(i64, i64, &Block)> = Vec::with_capacity(blocks.len());
    let mut newest: BTreeMap<WriterId, FlushNumber> = BTreeMap::new();
    for block in blocks {
        let key = &block.key;
        if let Origin::Flush(number) = key.origin {
            newest.entry(key.writer).and_modify(|newest| *newest = number.max(*newest)).or_insert(number);
        }
        let (writer, series) = (numbers.writer(key.writer)?, numbers.series(key.sender, key.prefix)?);
        match flushes.number(writer, key)? {
            Some(flush) => minutes.push((flush, series, block)),
            None => put_block(connection, writer, series, block)?,
        }
    }
    // In the order of the table: then they are appended.
    minutes.sort_by_key(|(flush, series, _)| (*flush, *series));
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO minute_block (flush, series, part, tables, content, large)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (flush, series, Block { key, content }) in minutes {
        let (inline, large) = put_content(connection, content)?;
        insert.execute((flush, series, key.part, key.tables.bits().cast_signed(), inline, large))?;
    }
    for (writer, number) in newest {
        note_durable(connection, writer, number)?;
    }
    Ok(())
}

fn put_block(
    connection: &Connection,
    writer: i64,
    series: i64,
    Block { key, content }: &Block,
) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO block (period, writer, start, series, epoch, sequence, part, tables, content, large)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let Interval { period, start } = key.interval;
    let ((epoch, sequence), tables) = (key.origin.numbers(), key.tables.bits().cast_signed());
    let (start, sequence) = (start.number(), sequence.cast_signed());
    let (inline, large) = put_content(connection, content)?;
    insert.execute((period as u8, writer, start, series, epoch, sequence, key.part, tables, inline, large))?;
    Ok(())
}

/// What the row of a block has as its content, and the number of a large one beside it.
fn put_content<'c>(connection: &Connection, content: &'c [u8]) -> Result<(&'c [u8], Option<i64>), StoreError> {
    if content.len() <= MOST_INLINE {
        return Ok((content, None));
    }
    let mut insert = connection.prepare_cached("INSERT INTO large_content (content) VALUES (?1)")?;
    Ok((&[], Some(insert.insert([content])?)))
}

/// The blocks that the selections name, of one writer or of all of them.
fn read(connection: &Connection, selections: &[Selection], writer: Option<WriterId>) -> Result<Vec<Block>, StoreError> {
    let writers: Vec<(i64, WriterId)> = connection
        .prepare_cached("SELECT id, writer FROM writer")?
        .query_map([], |row| Ok((row.get(0)?, WriterId(row.get::<_, i64>(1)?.cast_unsigned()))))?
        .filter(|row| row.as_ref().map_or(true, |(_, id)| writer.is_none_or(|writer| writer == *id)))
        .collect::<Result<_, _>>()?;
    let mut select = connection.prepare_cached(
        "SELECT epoch, sequence, part, tables,
             coalesce((SELECT large_content.content FROM large_content WHERE id = large), content)
         FROM block WHERE period = ?1 AND writer = ?2 AND start = ?3 AND series = ?4 AND tables & ?5 != 0
         UNION ALL
         SELECT epoch, sequence, part, tables,
             coalesce((SELECT large_content.content FROM large_content WHERE id = large), content)
         FROM flushed_minute CROSS JOIN minute_block ON flush = flushed_minute.id
         WHERE ?1 = 0 AND writer = ?2 AND start = ?3 AND series = ?4 AND tables & ?5 != 0",
    )?;
    let mut found = Vec::new();
    let mut known = HashMap::new();
    let mut pauses = Pauses::default();
    for selection in selections {
        let series = match known.entry((selection.sender, selection.prefix)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(find_series(connection, selection.sender, selection.prefix)?),
        };
        let Some(series) = series else { continue };
        for (id, writer) in &writers {
            let Interval { period, start } = selection.interval;
            let tables = selection.tables.bits().cast_signed();
            let rows = select
                .query_map((period as u8, id, start.number(), series, tables), |row| block(row, *selection, *writer))?;
            for block in rows {
                found.push(block?);
                pauses.between_rows();
            }
        }
    }
    Ok(found)
}

fn block(row: &Row<'_>, selection: Selection, writer: WriterId) -> Result<Block, rusqlite::Error> {
    let (epoch, sequence) = (row.get(0)?, row.get::<_, i64>(1)?);
    let origin = Origin::of_numbers(epoch, sequence.cast_unsigned());
    let origin = origin.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, sequence))?;
    let key = BlockKey {
        interval: selection.interval,
        sender: selection.sender,
        prefix: selection.prefix,
        writer,
        origin,
        part: row.get(2)?,
        tables: TableSet::of_bits(row.get::<_, i64>(3)?.cast_unsigned()),
    };
    Ok(Block { key, content: row.get::<_, Vec<u8>>(4)?.into() })
}

fn groups(connection: &Connection, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
    let Some(writer) = find_writer(connection, writer)? else { return Ok(Vec::new()) };
    let mut select = connection.prepare_cached(
        "SELECT sender, prefix FROM series
         WHERE id IN (
             SELECT series FROM block WHERE period = ?1 AND writer = ?2 AND start = ?3
             UNION ALL
             SELECT series FROM flushed_minute CROSS JOIN minute_block ON flush = flushed_minute.id
             WHERE ?1 = 0 AND writer = ?2 AND start = ?3)",
    )?;
    let mut rows = select.query((interval.period as u8, writer, interval.start.number()))?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        groups.push((parsed(row, 0)?, parsed(row, 1)?));
    }
    // Text sorts otherwise than addresses do.
    groups.sort_unstable();
    Ok(groups)
}

fn first_interval(
    connection: &Connection,
    writer: WriterId,
    period: Period,
    from: Minute,
) -> Result<Option<Interval>, StoreError> {
    let Some(writer) = find_writer(connection, writer)? else { return Ok(None) };
    let mut select = connection.prepare_cached(
        "SELECT min(start) FROM (
             SELECT min(start) AS start FROM block WHERE period = ?1 AND writer = ?2 AND start >= ?3
             UNION ALL
             SELECT min(start) FROM flushed_minute WHERE ?1 = 0 AND writer = ?2 AND start >= ?3)",
    )?;
    let start: Option<u32> = select.query_row((period as u8, writer, from.number()), |row| row.get(0))?;
    Ok(start.map(|start| Interval { period, start: Minute::new(start) }))
}

fn intervals(
    connection: &Connection,
    writer: WriterId,
    period: Period,
    from: Minute,
    before: Minute,
) -> Result<Vec<Interval>, StoreError> {
    let Some(writer) = find_writer(connection, writer)? else { return Ok(Vec::new()) };
    // One step to the next start for each start: DISTINCT would visit every row.
    let mut select = connection.prepare_cached(
        "WITH RECURSIVE starts (start) AS (
             SELECT min(start) FROM block WHERE period = ?1 AND writer = ?2 AND start >= ?3
             UNION ALL
             SELECT (SELECT min(block.start) FROM block WHERE period = ?1 AND writer = ?2 AND block.start > starts.start)
             FROM starts WHERE starts.start < ?4)
         SELECT start FROM starts WHERE start < ?4
         UNION
         SELECT start FROM flushed_minute WHERE ?1 = 0 AND writer = ?2 AND start >= ?3 AND start < ?4
         ORDER BY start",
    )?;
    let starts = select.query_map((period as u8, writer, from.number(), before.number()), |row| row.get(0))?;
    let mut pauses = Pauses::default();
    let mut intervals = Vec::new();
    for start in starts {
        intervals.push(Interval { period, start: Minute::new(start?) });
        pauses.between_rows();
    }
    Ok(intervals)
}

fn delete(connection: &Connection, keys: &[BlockKey]) -> Result<(), StoreError> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM block WHERE period = ?1 AND writer = ?2 AND start = ?3 AND series = ?4
         AND epoch = ?5 AND sequence = ?6 AND part = ?7 AND tables = ?8",
    )?;
    for key in keys {
        let Some(writer) = find_writer(connection, key.writer)? else { continue };
        let Some(series) = find_series(connection, key.sender, key.prefix)? else { continue };
        let Interval { period, start } = key.interval;
        let (epoch, sequence) = key.origin.numbers();
        let tables = key.tables.bits().cast_signed();
        let row = (period as u8, writer, start.number(), series, epoch, sequence.cast_signed(), key.part, tables);
        delete.execute(row)?;
        minutes::delete(connection, writer, series, key)?;
    }
    Ok(())
}

/// Deletes about [`EXPIRED_AT_ONCE`] blocks; fewer mean that no more are left.
fn expire(connection: &Connection, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
    let known = writers(connection)?;
    let retention = retention.bounded(known.iter().find(|state| state.writer == writer));
    if let Some(last) = last_interval(connection, writer, retention)? {
        note_expired(connection, retention.period, last.end())?;
    }
    delete_before(connection, writer, retention)
}

/// The last interval of which blocks may go.
fn last_interval(
    connection: &Connection,
    writer: WriterId,
    Retention { period, before }: Retention,
) -> Result<Option<Interval>, StoreError> {
    let Some(writer) = find_writer(connection, writer)? else { return Ok(None) };
    let mut select = connection.prepare_cached(
        "SELECT max(start) FROM (
             SELECT max(start) AS start FROM block WHERE period = ?1 AND writer = ?2 AND start < ?3
             UNION ALL
             SELECT max(start) FROM flushed_minute WHERE ?1 = 0 AND writer = ?2 AND start < ?3)",
    )?;
    let start: Option<u32> = select.query_row((period as u8, writer, before.number()), |row| row.get(0))?;
    Ok(start.map(|start| Interval { period, start: Minute::new(start) }))
}

fn note_expired(connection: &Connection, period: Period, before: Minute) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO expired (period, until) VALUES (?1, ?2)
         ON CONFLICT (period) DO UPDATE SET until = max(until, excluded.until)",
    )?;
    insert.execute((period as u8, before.number()))?;
    Ok(())
}

fn expired(connection: &Connection) -> Result<PerPeriod<Minute>, StoreError> {
    let mut select = connection.prepare_cached("SELECT period, until FROM expired")?;
    let mut rows = select.query([])?;
    let mut expired = PerPeriod::default();
    while let Some(row) = rows.next()? {
        let number: u8 = row.get(0)?;
        if let Some(period) = Period::ALL.get(usize::from(number)) {
            expired[*period] = Minute::new(row.get(1)?);
        }
    }
    Ok(expired)
}

/// Deletes about [`EXPIRED_AT_ONCE`] blocks, rolled up or not.
fn delete_before(connection: &Connection, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
    let Some(writer) = find_writer(connection, writer)? else { return Ok(0) };
    let mut delete = connection.prepare_cached(
        "DELETE FROM block WHERE (period, writer, start, series, epoch, sequence, part, tables) IN (
             SELECT period, writer, start, series, epoch, sequence, part, tables FROM block
             WHERE period = ?1 AND writer = ?2 AND start < ?3 LIMIT ?4)",
    )?;
    let row = (retention.period as u8, writer, retention.before.number(), EXPIRED_AT_ONCE.cast_signed());
    let gone = u64::try_from(delete.execute(row)?).unwrap_or(u64::MAX);
    Ok(gone + minutes::delete_before(connection, writer, retention, EXPIRED_AT_ONCE - gone.min(EXPIRED_AT_ONCE))?)
}
