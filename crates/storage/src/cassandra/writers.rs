//! Writers as rows.

use accounting::block::WriterId;
use accounting::period::Minute;
use async_trait::async_trait;
use flow::Timestamp;

use super::Cassandra;
use super::registry::nanoseconds;
use crate::{StoreError, WriterState, Writers};

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
        let [minutes, hours, days, months] = state.rolled_up.map(|minute| i64::from(minute.0));
        let (writer, epoch) = (state.writer.0.cast_signed(), i64::from(state.epoch));
        let row = (writer, epoch, nanoseconds(state.seen), minutes, hours, days, months);
        self.link.execute(&statements.put_writer, row).await
    }
}

fn writer_of(row: WriterRow) -> Result<WriterState, StoreError> {
    let (writer, epoch, seen, minutes, hours, days, months) = row;
    let parse = || {
        let minute = |minute: i64| Some(Minute(minute.try_into().ok()?));
        Some(WriterState {
            writer: WriterId(writer.cast_unsigned()),
            epoch: epoch.try_into().ok()?,
            seen: Timestamp::from_nanoseconds(seen.try_into().ok()?),
            rolled_up: [minute(minutes)?, minute(hours)?, minute(days)?, minute(months)?],
        })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("{row:?} is no state of a writer")))
}
