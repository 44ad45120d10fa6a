//! Writers as rows.

use accounting::block::WriterId;
use accounting::period::Minute;
use accounting::watermarks::Watermarks;
use async_trait::async_trait;
use flow::Timestamp;

use super::Cassandra;
use super::registry::nanoseconds;
use crate::{Presence, StoreError, WriterState, Writers};

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
