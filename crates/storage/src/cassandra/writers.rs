//! Writers as rows.

use std::collections::BTreeMap;
use std::time::SystemTime;

use accounting::block::WriterId;
use accounting::period::Minute;
use accounting::watermarks::Watermarks;
use async_trait::async_trait;
use flow::{FlushNumber, Timestamp};

use super::Cassandra;
use super::registry::nanoseconds;
use crate::{Presence, Progress, StoreError, WriterState, Writers};

/// Writer, epoch, nanoseconds, watermarks.
type WriterRow = (i64, i64, i64, i64, i64, i64, i64);

#[async_trait]
impl Writers for Cassandra {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<WriterRow> = self.link.rows(&statements.writers, ()).await?;
        let mut writers = rows.into_iter().map(writer_of).collect::<Result<Vec<_>, _>>()?;
        // The table sorts by signed numbers.
        writers.sort_unstable_by_key(|state| state.writer);
        Ok(writers)
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let (epoch, seen, minutes, hours, days, months) = columns(state);
        let writer = state.writer.0.cast_signed();
        self.link.execute(&statements.put_writer, (epoch, seen, minutes, hours, days, months, writer)).await
    }

    async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError> {
        let statements = self.link.statements().await?;
        let (epoch, seen, minutes, hours, days, months) = columns(state);
        let writer = state.writer.0.cast_signed();
        let was = columns(known);
        let row = (epoch, seen, minutes, hours, days, months, writer, was.0, was.1, was.2, was.3, was.4, was.5);
        if self.link.execute_if(&statements.replace_writer, row).await? {
            return Ok(true);
        }
        Ok(self.writers().await?.contains(state))
    }

    async fn put_flushed(&self, writer: WriterId, number: FlushNumber) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let row = (writer.0.cast_signed(), i64::from(number.epoch), number.sequence.cast_signed());
        self.link.execute(&statements.put_flushed, row).await
    }

    async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        // In this order: what is rolled up in a state was flushed before it.
        let states = self.writers().await?;
        let statements = self.link.statements().await?;
        let rows: Vec<(i64, i64, i64)> = self.link.rows(&statements.flushed, ()).await?;
        let flushed = rows.into_iter().map(flushed_of).collect::<Result<BTreeMap<_, _>, _>>()?;
        let now = Timestamp::from(SystemTime::now());
        let noted = |state: WriterState| flushed.get(&state.writer).copied();
        Ok(states.into_iter().map(|state| Progress::of_stored(state, noted(state)).if_running(now)).collect())
    }
}

fn flushed_of(row: (i64, i64, i64)) -> Result<(WriterId, FlushNumber), StoreError> {
    let (writer, epoch, sequence) = row;
    let epoch = epoch.try_into().map_err(|_| StoreError::Corrupt(format!("{row:?} is no flush of a writer").into()))?;
    Ok((WriterId(writer.cast_unsigned()), FlushNumber { epoch, sequence: sequence.cast_unsigned() }))
}

/// Epoch, nanoseconds, watermarks.
fn columns(state: &WriterState) -> (i64, i64, i64, i64, i64, i64) {
    let [minutes, hours, days, months] = state.watermarks.to_array().map(|minute| i64::from(minute.number()));
    (state.epoch.into(), nanoseconds(state.presence.stored()), minutes, hours, days, months)
}

fn writer_of(row: WriterRow) -> Result<WriterState, StoreError> {
    let (writer, epoch, seen, minutes, hours, days, months) = row;
    let parse = || {
        let minute = |minute: i64| Some(Minute::new(minute.try_into().ok()?));
        Some(WriterState {
            writer: WriterId(writer.cast_unsigned()),
            epoch: epoch.try_into().ok()?,
            presence: Presence::of_stored(Timestamp::from_nanoseconds(seen.try_into().ok()?)),
            watermarks: Watermarks::new([minute(minutes)?, minute(hours)?, minute(days)?, minute(months)?]),
        })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("{row:?} is no state of a writer").into()))
}
