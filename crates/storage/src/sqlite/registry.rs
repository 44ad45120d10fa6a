//! Senders, their templates, and writers as rows.

use std::net::IpAddr;
use std::str::FromStr;

use accounting::block::WriterId;
use accounting::period::Minute;
use flow::{FlushNumber, Prefix, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::key::{KnownSeries, Numbers};
use crate::{Sender, StoreError, WriterState};

pub(super) fn senders(connection: &Connection) -> Result<Vec<Sender>, StoreError> {
    // Both tables are in the order of addresses: they are read side by side.
    let mut select = connection.prepare_cached(
        "SELECT address, last_nanoseconds, prefix FROM sender LEFT JOIN sender_prefix USING (address)
         ORDER BY address",
    )?;
    let mut rows = select.query([])?;
    let mut senders: Vec<Sender> = Vec::new();
    while let Some(row) = rows.next()? {
        let address = parsed(row, 0)?;
        if senders.last().is_none_or(|sender| sender.address != address) {
            let last = row.get::<_, Option<i64>>(1)?.map(timestamp);
            senders.push(Sender { address, prefixes: Vec::new(), last });
        }
        if let Some(sender) = senders.last_mut()
            && row.get_ref(2)? != ValueRef::Null
        {
            sender.prefixes.push(parsed(row, 2)?);
        }
    }
    senders.iter_mut().for_each(|sender| sender.prefixes.sort_unstable());
    senders.sort_unstable_by_key(|sender| sender.address);
    Ok(senders)
}

pub(super) fn sender(connection: &Connection, address: IpAddr) -> Result<Option<Sender>, StoreError> {
    let text = address.to_string();
    let mut select = connection.prepare_cached("SELECT last_nanoseconds FROM sender WHERE address = ?1")?;
    let Some(last) = select.query_row([&text], |row| row.get::<_, Option<i64>>(0)).optional()? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached("SELECT prefix FROM sender_prefix WHERE address = ?1")?;
    let mut rows = select.query([&text])?;
    let mut prefixes = Vec::new();
    while let Some(row) = rows.next()? {
        prefixes.push(parsed(row, 0)?);
    }
    prefixes.sort_unstable();
    Ok(Some(Sender { address, prefixes, last: last.map(timestamp) }))
}

pub(super) fn add_prefixes(connection: &Connection, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
    let address = address.to_string();
    connection.prepare_cached("INSERT OR IGNORE INTO sender (address) VALUES (?1)")?.execute([&address])?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO sender_prefix (address, prefix) VALUES (?1, ?2)")?;
    for prefix in prefixes {
        insert.execute((&address, prefix.to_string()))?;
    }
    Ok(())
}

pub(super) fn remove_prefixes(
    connection: &Connection,
    address: IpAddr,
    prefixes: &[Prefix],
) -> Result<bool, StoreError> {
    let address = address.to_string();
    let mut delete = connection.prepare_cached("DELETE FROM sender_prefix WHERE address = ?1 AND prefix = ?2")?;
    for prefix in prefixes {
        delete.execute((&address, prefix.to_string()))?;
    }
    Ok(connection.prepare_cached("SELECT 1 FROM sender WHERE address = ?1")?.exists([&address])?)
}

pub(super) fn remove_sender(connection: &Connection, address: IpAddr) -> Result<bool, StoreError> {
    let address = address.to_string();
    connection.prepare_cached("DELETE FROM sender_prefix WHERE address = ?1")?.execute([&address])?;
    connection.prepare_cached("DELETE FROM sender_templates WHERE address = ?1")?.execute([&address])?;
    Ok(connection.prepare_cached("DELETE FROM sender WHERE address = ?1")?.execute([&address])? > 0)
}

pub(super) fn touch_senders(connection: &Connection, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE sender SET last_nanoseconds = max(ifnull(last_nanoseconds, 0), ?2) WHERE address = ?1",
    )?;
    for (address, time) in last {
        update.execute((address.to_string(), nanoseconds(*time)))?;
    }
    Ok(())
}

pub(super) fn put_templates(connection: &Connection, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
    let mut replace = connection
        .prepare_cached("INSERT OR REPLACE INTO sender_templates SELECT address, ?2 FROM sender WHERE address = ?1")?;
    for (address, announcements) in announced {
        replace.execute((address.to_string(), announcements))?;
    }
    Ok(())
}

pub(crate) fn templates(connection: &Connection) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
    let mut select = connection.prepare_cached("SELECT address, announcements FROM sender_templates")?;
    let mut rows = select.query([])?;
    let mut templates = Vec::new();
    while let Some(row) = rows.next()? {
        templates.push((parsed(row, 0)?, row.get(1)?));
    }
    Ok(templates)
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
            seen: timestamp(row.get(2)?),
            rolled_up: [Minute(row.get(3)?), Minute(row.get(4)?), Minute(row.get(5)?), Minute(row.get(6)?)],
        })
    })?;
    let mut writers = rows.collect::<Result<Vec<_>, _>>()?;
    writers.sort_unstable_by_key(|state| state.writer);
    Ok(writers)
}

pub(super) fn put_writer(connection: &Connection, state: &WriterState) -> Result<(), StoreError> {
    let id = Numbers::new(connection, &mut KnownSeries::default()).writer(state.writer)?;
    let [minutes, hours, days, months] = state.rolled_up.map(|minute| minute.0);
    let mut update = connection.prepare_cached(
        "UPDATE writer SET epoch = ?2, seen_nanoseconds = ?3, minutes_rolled_up = ?4, hours_rolled_up = ?5,
         days_rolled_up = ?6, months_rolled_up = ?7 WHERE id = ?1",
    )?;
    update.execute((id, state.epoch, nanoseconds(state.seen), minutes, hours, days, months))?;
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

/// A column that holds the text of an address or prefix.
pub(crate) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| StoreError::Corrupt(format!("'{text}' is no address or prefix")))
}

/// SQLite's integers are signed: times behind the year 2262 count as its end.
fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.nanoseconds()).unwrap_or(i64::MAX)
}

fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanoseconds(u64::try_from(nanoseconds).unwrap_or(0))
}
