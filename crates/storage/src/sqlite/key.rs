//! The small numbers that stand for writers and series in the rows of blocks.

use std::collections::HashMap;
use std::net::IpAddr;

use accounting::block::WriterId;
use flow::Prefix;
use rusqlite::{Connection, OptionalExtension};

use crate::StoreError;

/// The numbers of series that transactions before have found. Rows of series are never deleted, so they hold.
#[derive(Debug, Default)]
pub(super) struct KnownSeries(HashMap<(IpAddr, Prefix), i64>);

/// The numbers that were needed so far in one transaction, made where there were none.
pub(super) struct Numbers<'c> {
    connection: &'c Connection,
    writers: HashMap<WriterId, i64>,
    known: &'c mut KnownSeries,
    /// Made in this transaction, which may yet fail: the next one finds them.
    made: HashMap<(IpAddr, Prefix), i64>,
}

impl<'c> Numbers<'c> {
    pub(super) fn new(connection: &'c Connection, known: &'c mut KnownSeries) -> Self {
        Self { connection, writers: HashMap::new(), known, made: HashMap::new() }
    }

    pub(super) fn writer(&mut self, writer: WriterId) -> Result<i64, StoreError> {
        if let Some(id) = self.writers.get(&writer) {
            return Ok(*id);
        }
        let id = match find_writer(self.connection, writer)? {
            Some(id) => id,
            None => {
                let mut insert = self.connection.prepare_cached("INSERT INTO writer (writer) VALUES (?1)")?;
                insert.insert([writer.0.cast_signed()])?
            }
        };
        self.writers.insert(writer, id);
        Ok(id)
    }

    pub(super) fn series(&mut self, sender: IpAddr, prefix: Prefix) -> Result<i64, StoreError> {
        let series = (sender, prefix);
        if let Some(id) = self.known.0.get(&series).or_else(|| self.made.get(&series)) {
            return Ok(*id);
        }
        if let Some(id) = find_series(self.connection, sender, prefix)? {
            self.known.0.insert(series, id);
            return Ok(id);
        }
        let mut insert = self.connection.prepare_cached("INSERT INTO series (sender, prefix) VALUES (?1, ?2)")?;
        let id = insert.insert((sender.to_string(), prefix.to_string()))?;
        self.made.insert(series, id);
        Ok(id)
    }
}

/// The number of a writer; `None` when nothing of it was ever stored.
pub(super) fn find_writer(connection: &Connection, writer: WriterId) -> Result<Option<i64>, StoreError> {
    let mut find = connection.prepare_cached("SELECT id FROM writer WHERE writer = ?1")?;
    Ok(find.query_row([writer.0.cast_signed()], |row| row.get(0)).optional()?)
}

/// The number of a sender's prefix; `None` when nothing of it was ever stored.
pub(super) fn find_series(connection: &Connection, sender: IpAddr, prefix: Prefix) -> Result<Option<i64>, StoreError> {
    let mut find = connection.prepare_cached("SELECT id FROM series WHERE sender = ?1 AND prefix = ?2")?;
    Ok(find.query_row((sender.to_string(), prefix.to_string()), |row| row.get(0)).optional()?)
}
