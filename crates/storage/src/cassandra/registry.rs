//! Senders and writers as rows.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use accounting::block::WriterId;
use accounting::period::Minute;
use flow::{Prefix, Timestamp};

use super::Cassandra;
use crate::{Sender, StoreError, WriterState};

/// Address, whether it is registered, prefixes, nanoseconds of its last datagram. A datagram that met a removal may
/// leave a row that is not registered.
type SenderRow = (String, Option<bool>, Option<BTreeSet<String>>, Option<i64>);

/// Address, whether it is registered, what it has announced.
type TemplateRow = (String, Option<bool>, Option<Vec<u8>>);

/// Writer, epoch, nanoseconds, watermarks.
type WriterRow = (i64, i64, i64, i64, i64, i64, i64);

impl Cassandra {
    pub(super) async fn all_senders(&self) -> Result<Vec<Sender>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<SenderRow> = self.link.rows(&statements.senders, ()).await?;
        let senders = rows.into_iter().filter_map(|row| sender_of(row).transpose());
        let mut senders = senders.collect::<Result<Vec<_>, _>>()?;
        senders.sort_unstable_by_key(|sender| sender.address);
        Ok(senders)
    }

    pub(super) async fn one_sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<SenderRow> = self.link.rows(&statements.sender, (address.to_string(),)).await?;
        rows.into_iter().next().map_or(Ok(None), sender_of)
    }

    pub(super) async fn register(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        self.link.execute(&statements.add_prefixes, (texts(prefixes), address.to_string())).await
    }

    pub(super) async fn unregister(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        if self.one_sender(address).await?.is_none() {
            return Ok(false);
        }
        let statements = self.link.statements().await?;
        self.link.execute(&statements.remove_prefixes, (texts(prefixes), address.to_string())).await?;
        Ok(true)
    }

    pub(super) async fn forget(&self, address: IpAddr) -> Result<bool, StoreError> {
        let there = self.one_sender(address).await?.is_some();
        let statements = self.link.statements().await?;
        self.link.execute(&statements.delete_sender, (address.to_string(),)).await?;
        Ok(there)
    }

    /// The time of the datagram is the time of the write, so that the newest wins whatever the order.
    pub(super) async fn touch(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let touched = self.link.each(last.to_vec(), |(address, time)| async move {
            let nanoseconds = nanoseconds(time);
            self.link.execute(&statements.touch_sender, (nanoseconds / 1_000, nanoseconds, address.to_string())).await
        });
        touched.await?;
        Ok(())
    }

    pub(super) async fn remember_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        for (address, announcements) in announced {
            self.link.execute(&statements.put_templates, (announcements.as_slice(), address.to_string())).await?;
        }
        Ok(())
    }

    pub(super) async fn known_templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<TemplateRow> = self.link.rows(&statements.templates, ()).await?;
        let known = rows.into_iter().filter_map(|(address, registered, announcements)| {
            Some(parsed(&address).map(|address| (address, announcements))).filter(|_| registered == Some(true))
        });
        known.filter_map(|row| row.map(|(address, known)| Some((address, known?))).transpose()).collect()
    }

    pub(super) async fn known_writers(&self) -> Result<Vec<WriterState>, StoreError> {
        let statements = self.link.statements().await?;
        let rows: Vec<WriterRow> = self.link.rows(&statements.writers, ()).await?;
        let mut writers = rows.into_iter().map(writer_of).collect::<Result<Vec<_>, _>>()?;
        // The table sorts by signed numbers.
        writers.sort_unstable_by_key(|state| state.writer);
        Ok(writers)
    }

    pub(super) async fn remember_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        let statements = self.link.statements().await?;
        let [minutes, hours, days, months] = state.rolled_up.map(|minute| i64::from(minute.0));
        let (writer, epoch) = (state.writer.0.cast_signed(), i64::from(state.epoch));
        let row = (writer, epoch, nanoseconds(state.seen), minutes, hours, days, months);
        self.link.execute(&statements.put_writer, row).await
    }
}

fn sender_of((address, registered, prefixes, last): SenderRow) -> Result<Option<Sender>, StoreError> {
    if registered != Some(true) {
        return Ok(None);
    }
    let prefixes = prefixes.unwrap_or_default();
    let mut prefixes = prefixes.iter().map(|prefix| parsed(prefix)).collect::<Result<Vec<Prefix>, _>>()?;
    prefixes.sort_unstable();
    let last = last.map(|last| Timestamp::from_nanoseconds(u64::try_from(last).unwrap_or(0)));
    Ok(Some(Sender { address: parsed(&address)?, prefixes, last }))
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

fn texts(prefixes: &[Prefix]) -> BTreeSet<String> {
    prefixes.iter().map(Prefix::to_string).collect()
}

/// An address or prefix that was stored as text.
pub(super) fn parsed<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("'{text}' is no address or prefix")))
}

/// Times behind the year 2262 count as its end.
fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.nanoseconds()).unwrap_or(i64::MAX)
}
