//! Senders, and what they have announced, as rows.

use std::net::IpAddr;
use std::str::FromStr;

use async_trait::async_trait;
use flow::{Prefix, Setting, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, remarks};
use crate::registrations::{Part, PartKind};
use crate::{Registry, Remark, Remarks, Sender, StoreError};

#[async_trait]
impl Registry for Sqlite {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        self.read(senders).await
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        self.read(move |connection| sender(connection, address)).await
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        let prefixes = prefixes.to_vec();
        self.write(move |connection| add_prefixes(connection, address, &prefixes)).await
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        let prefixes = prefixes.to_vec();
        self.write(move |connection| remove_prefixes(connection, address, &prefixes)).await
    }

    async fn set(&self, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        let settings = settings.to_vec();
        self.write(move |connection| set(connection, address, &settings)).await
    }

    async fn replace(&self, address: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        let (start, parts) = (kind.start(), parts.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.write(move |connection| {
            add_prefixes(connection, address, &[])?;
            replace(connection, address, &start, parts)
        })
        .await
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        self.write(move |connection| remove_sender(connection, address)).await
    }

    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        let last = last.to_vec();
        self.write(move |connection| touch_senders(connection, &last)).await
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        let announced = announced.to_vec();
        self.write(move |connection| put_templates(connection, &announced)).await
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        self.read(|connection| templates(connection, "")).await
    }

    async fn remarks(&self, address: IpAddr) -> Result<Vec<Remark>, StoreError> {
        self.read(move |connection| remarks::of(connection, address)).await
    }

    async fn all_remarks(&self) -> Result<Remarks, StoreError> {
        self.read(remarks::all).await
    }

    async fn put_remarks(&self, remarks: &Remarks) -> Result<(), StoreError> {
        let remarks = remarks.clone();
        self.write(move |connection| {
            remarks.iter().try_for_each(|(sender, remarks)| remarks::put(connection, *sender, remarks))
        })
        .await
    }
}

fn senders(connection: &Connection) -> Result<Vec<Sender>, StoreError> {
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
            senders.push(Sender::new(address, last));
        }
        if let Some(sender) = senders.last_mut()
            && row.get_ref(2)? != ValueRef::Null
        {
            sender.add(row.get::<_, String>(2)?.parse()?);
        }
    }
    senders.iter_mut().for_each(|sender| sender.prefixes.sort_unstable());
    senders.sort_unstable_by_key(|sender| sender.address);
    Ok(senders)
}

fn sender(connection: &Connection, address: IpAddr) -> Result<Option<Sender>, StoreError> {
    let text = address.to_string();
    let mut select = connection.prepare_cached("SELECT last_nanoseconds FROM sender WHERE address = ?1")?;
    let Some(last) = select.query_row([&text], |row| row.get::<_, Option<i64>>(0)).optional()? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached("SELECT prefix FROM sender_prefix WHERE address = ?1")?;
    let mut rows = select.query([&text])?;
    let mut sender = Sender::new(address, last.map(timestamp));
    while let Some(row) = rows.next()? {
        sender.add(row.get::<_, String>(0)?.parse()?);
    }
    sender.prefixes.sort_unstable();
    Ok(Some(sender))
}

fn add_prefixes(connection: &Connection, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
    let address = address.to_string();
    connection.prepare_cached("INSERT OR IGNORE INTO sender (address) VALUES (?1)")?.execute([&address])?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO sender_prefix (address, prefix) VALUES (?1, ?2)")?;
    for prefix in prefixes {
        insert.execute((&address, prefix.to_string()))?;
    }
    Ok(())
}

fn set(connection: &Connection, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
    add_prefixes(connection, address, &[])?;
    for setting in settings {
        let value = (!setting.is_default()).then(|| setting.to_string());
        replace(connection, address, &format!("{}=", setting.name()), value)?;
    }
    Ok(())
}

/// Replaces what begins in this way.
fn replace(
    connection: &Connection,
    address: IpAddr,
    start: &str,
    values: impl IntoIterator<Item = String>,
) -> Result<(), StoreError> {
    let address = address.to_string();
    let mut delete = connection
        .prepare_cached("DELETE FROM sender_prefix WHERE address = ?1 AND substr(prefix, 1, length(?2)) = ?2")?;
    delete.execute((&address, start))?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO sender_prefix (address, prefix) VALUES (?1, ?2)")?;
    for value in values {
        insert.execute((&address, value))?;
    }
    Ok(())
}

fn remove_prefixes(connection: &Connection, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
    let address = address.to_string();
    let mut delete = connection.prepare_cached("DELETE FROM sender_prefix WHERE address = ?1 AND prefix = ?2")?;
    for prefix in prefixes {
        delete.execute((&address, prefix.to_string()))?;
    }
    Ok(connection.prepare_cached("SELECT 1 FROM sender WHERE address = ?1")?.exists([&address])?)
}

fn remove_sender(connection: &Connection, address: IpAddr) -> Result<bool, StoreError> {
    let address = address.to_string();
    connection.prepare_cached("DELETE FROM sender_prefix WHERE address = ?1")?.execute([&address])?;
    Ok(connection.prepare_cached("DELETE FROM sender WHERE address = ?1")?.execute([&address])? > 0)
}

fn touch_senders(connection: &Connection, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE sender SET last_nanoseconds = max(ifnull(last_nanoseconds, 0), ?2) WHERE address = ?1",
    )?;
    for (address, time) in last {
        update.execute((address.to_string(), nanoseconds(*time)))?;
    }
    Ok(())
}

/// Stores what senders have announced, registered or not: the journal may have data of those that were removed. Deletes it if
/// they have announced nothing.
pub(crate) fn keep_announced(connection: &Connection, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
    let mut replace = connection
        .prepare_cached("INSERT OR REPLACE INTO sender_templates (address, announcements) VALUES (?1, ?2)")?;
    let mut delete = connection.prepare_cached("DELETE FROM sender_templates WHERE address = ?1")?;
    for (address, announcements) in announced {
        let address = address.to_string();
        match announcements.as_slice() {
            [] => delete.execute([address])?,
            announcements => replace.execute((address, announcements))?,
        };
    }
    Ok(())
}

fn put_templates(connection: &Connection, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
    let mut replace = connection.prepare_cached(
        "INSERT OR REPLACE INTO sender_templates (address, announcements)
         SELECT address, ?2 FROM sender WHERE address = ?1",
    )?;
    for (address, announcements) in announced {
        replace.execute((address.to_string(), announcements))?;
    }
    Ok(())
}

/// Those that fulfil a condition.
pub(crate) fn templates(connection: &Connection, condition: &str) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
    let select = format!("SELECT address, announcements FROM sender_templates {condition}");
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query([])?;
    let mut templates = Vec::new();
    while let Some(row) = rows.next()? {
        templates.push((parsed(row, 0)?, row.get(1)?));
    }
    Ok(templates)
}

/// A column that holds the text of an address or prefix.
pub(crate) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| StoreError::Corrupt(format!("'{text}' is no address or prefix").into()))
}

/// SQLite's integers are signed: times after the year 2262 count as its end.
pub(crate) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.nanoseconds()).unwrap_or(i64::MAX)
}

pub(crate) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanoseconds(u64::try_from(nanoseconds).unwrap_or(0))
}
