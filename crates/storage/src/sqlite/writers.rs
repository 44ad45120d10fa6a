//! Writers, and the identity of the one that this file belongs to, as rows.

use accounting::block::WriterId;
use accounting::period::Minute;
use accounting::watermarks::Watermarks;
use async_trait::async_trait;
use flow::FlushNumber;
use rusqlite::Connection;

use super::Sqlite;
use super::key::{KnownSeries, Numbers};
use super::registry::{nanoseconds, timestamp};
use crate::{Presence, StoreError, WriterState, Writers};

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
