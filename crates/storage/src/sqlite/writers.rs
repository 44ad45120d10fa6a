//! Writers, and the identity of the one that this file belongs to, as rows.

use accounting::period::Minute;
use accounting::watermarks::Watermarks;
use async_trait::async_trait;
use flow::{Counted, FlushNumber, WriterId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::Sqlite;
use super::key::{KnownSeries, Numbers};
use super::registry::{nanoseconds, timestamp};
use crate::{Presence, Progress, StoreError, WriterState, Writers};

#[async_trait]
impl Writers for Sqlite {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        self.read(writers).await
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        let state = *state;
        self.write(move |connection| put_writer(connection, &state)).await
    }

    async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError> {
        let (known, state) = (*known, *state);
        self.write(move |connection| {
            let stored = writers(connection)?.into_iter().find(|stored| stored.writer == state.writer);
            let replaceable = stored.is_some_and(|stored| stored == known || stored == state);
            if replaceable {
                put_writer(connection, &state)?;
            }
            Ok(replaceable)
        })
        .await
    }

    // `put_flushed` has nothing to do: a flush is here as a whole or not at all, and notes itself.

    async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        self.read(|connection| {
            let own = durable(connection)?;
            let flushed = |writer| own.filter(|(own, _)| *own == writer).map(|(_, number)| number);
            Ok(writers(connection)?
                .into_iter()
                .map(|state| Progress { state, flushed: flushed(state.writer) })
                .collect())
        })
        .await
    }
}

pub(super) fn writers(connection: &Connection) -> Result<Vec<WriterState>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT writer, epoch, seen_nanoseconds, minutes_rolled_up, hours_rolled_up, days_rolled_up, months_rolled_up
         FROM writer WHERE epoch IS NOT NULL",
    )?;
    let rows = select.query_map([], |row| {
        Ok(WriterState {
            writer: WriterId(row.get::<_, i64>(0)?.cast_unsigned()),
            epoch: row.get(1)?,
            presence: Presence::of_stored(timestamp(row.get(2)?)),
            watermarks: Watermarks::new([row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?].map(Minute::new)),
        })
    })?;
    let mut writers = rows.collect::<Result<Vec<_>, _>>()?;
    writers.sort_unstable_by_key(|state| state.writer);
    Ok(writers)
}

fn put_writer(connection: &Connection, state: &WriterState) -> Result<(), StoreError> {
    let id = Numbers::new(connection, &mut KnownSeries::default()).writer(state.writer)?;
    let [minutes, hours, days, months] = state.watermarks.to_array().map(Minute::number);
    let mut update = connection.prepare_cached(
        "UPDATE writer SET epoch = ?2, seen_nanoseconds = ?3, minutes_rolled_up = ?4, hours_rolled_up = ?5,
         days_rolled_up = ?6, months_rolled_up = ?7 WHERE id = ?1",
    )?;
    update.execute((id, state.epoch, nanoseconds(state.presence.stored()), minutes, hours, days, months))?;
    Ok(())
}

/// The writer that this file belongs to, and its newest flush that is durable; `None` before the first one.
fn durable(connection: &Connection) -> Result<Option<(WriterId, FlushNumber)>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT writer, durable_epoch, durable_sequence FROM identity WHERE durable_epoch > 0")?;
    let row = |row: &Row<'_>| {
        let number = FlushNumber { epoch: row.get(1)?, sequence: row.get::<_, i64>(2)?.cast_unsigned() };
        Ok((WriterId(row.get::<_, i64>(0)?.cast_unsigned()), number))
    };
    Ok(select.query_row([], row).optional()?)
}

/// Writes down that a flush of the writer that this file belongs to is durable with this transaction. Flushes of others
/// leave nothing.
pub(crate) fn note_durable(connection: &Connection, writer: WriterId, number: FlushNumber) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE identity SET durable_epoch = ?2, durable_sequence = ?3
         WHERE writer = ?1 AND (durable_epoch, durable_sequence) < (?2, ?3)",
    )?;
    update.execute((writer.0.cast_signed(), number.epoch, number.sequence.cast_signed()))?;
    Ok(())
}

/// Records that these flushes are counted with this transaction.
pub(crate) fn note_counted(connection: &Connection, counted: &[Counted]) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO counted (writer, epoch, sequence) VALUES (?1, ?2, ?3)
         ON CONFLICT (writer, epoch) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
    )?;
    for Counted { writer, newest } in counted {
        insert.execute((writer.0.cast_signed(), newest.epoch, newest.sequence.cast_signed()))?;
    }
    Ok(())
}

/// All flushes that are counted in this file.
pub(crate) fn counted(connection: &Connection) -> Result<Vec<Counted>, StoreError> {
    let mut select = connection.prepare_cached("SELECT writer, epoch, sequence FROM counted ORDER BY writer, epoch")?;
    let rows = select.query_map([], |row| {
        let writer = WriterId(row.get::<_, i64>(0)?.cast_unsigned());
        let newest = FlushNumber { epoch: row.get(1)?, sequence: row.get::<_, i64>(2)?.cast_unsigned() };
        Ok(Counted { writer, newest })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
