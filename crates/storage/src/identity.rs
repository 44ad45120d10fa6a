//! The identity of a collector, on its own disk whatever its store is: its writer and the epoch.
//!
//! Blocks differ in writer, epoch and sequence, so no two processes may ever be the same writer in the same
//! epoch. The identity is one row of an SQLite file (`sqlite.rs`; with the embedded store it is the store's own file).
//! The process that has it holds a lock on `<file>.lock` until it ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use accounting::block::WriterId;
use flow::FlushNumber;
use rusqlite::{Connection, OptionalExtension};

use crate::{StoreError, sqlite};

/// The identity of this process as a writer of blocks. No other process has it while this value lives.
#[derive(Debug)]
pub struct Identity {
    connection: Connection,
    writer: WriterId,
    /// The lock ends with the file.
    _lock: File,
}

impl Identity {
    /// Takes the identity in this file; makes file and identity when there is none.
    ///
    /// # Errors
    /// [`StoreError::Config`] when another process has it, or when the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let connection = sqlite::open(path)?;
        let writer = match find(&connection)? {
            Some(writer) => writer,
            None => make(&connection)?,
        };
        Ok(Self { connection, writer, _lock: lock })
    }

    /// The writer.
    #[must_use]
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// The newest flush of this writer that is durable on this machine: in the spool, or in the embedded store. The
    /// transaction that made the flush durable also wrote this number. Flushes come in the order of their numbers, so all
    /// earlier ones were durable too, except one that was given up. A flush that counted nothing, and that no segment of
    /// the journal belongs to, may leave no number.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn durable(&self) -> Result<Option<FlushNumber>, StoreError> {
        Ok(sqlite::durable(&self.connection)?.map(|(_, number)| number))
    }

    /// Begins the next epoch, the first one is 1. It is durable when this returns.
    ///
    /// # Errors
    /// When it is not durable: then no block may be written.
    pub fn next_epoch(&mut self) -> Result<u32, StoreError> {
        self.next_epoch_after(0)
    }

    /// Begins an epoch after the newest one that a store knows of this writer, so that a state file restored from a
    /// backup does not repeat an epoch.
    ///
    /// # Errors
    /// As [`next_epoch`](Self::next_epoch).
    pub fn next_epoch_after(&mut self, known: u32) -> Result<u32, StoreError> {
        let next = "UPDATE identity SET epoch = max(epoch, ?1) + 1 WHERE max(epoch, ?1) < 4294967295 RETURNING epoch";
        let epoch = self.connection.query_row(next, [known], |row| row.get(0)).optional()?;
        epoch.ok_or_else(|| StoreError::Config("this writer has used up its epochs: remove its state file".into()))
    }
}

fn find(connection: &Connection) -> Result<Option<WriterId>, StoreError> {
    let found = connection.query_row("SELECT writer FROM identity", [], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found.map(|writer| WriterId(writer.cast_unsigned())))
}

fn make(connection: &Connection) -> Result<WriterId, StoreError> {
    let writer = getrandom::u64().map_err(|error| StoreError::config("no random number for a new identity", error))?;
    connection.execute("INSERT INTO identity (only_one, writer, epoch) VALUES (1, ?1, 0)", [writer.cast_signed()])?;
    Ok(WriterId(writer))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let config = |error: std::io::Error| StoreError::config(name.display(), error);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
    let mut file = options.open(&name).map_err(config)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(config(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message: the other process may not have written it yet.
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::Config(
                format!(
                    "{} is in use by another collector{}{}: two of them need two data directories",
                    path.display(),
                    if holder.is_empty() { "" } else { ", " },
                    holder.trim_end()
                )
                .into(),
            ));
        }
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(config)?;
    writeln!(file, "process {}", std::process::id()).map_err(config)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_lasts_and_each_start_begins_an_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut first = Identity::open(&path).unwrap();
        let writer = first.writer();
        assert_eq!(first.next_epoch().unwrap(), 1);
        drop(first);
        let mut second = Identity::open(&path).unwrap();
        assert_eq!(second.writer(), writer);
        assert_eq!(second.next_epoch().unwrap(), 2);
        assert_ne!(Identity::open(&folder.path().join("other")).unwrap().writer(), writer);
    }

    #[test]
    fn an_epoch_that_the_store_knows_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(&folder.path().join("state")).unwrap();
        assert_eq!(identity.next_epoch_after(7).unwrap(), 8);
        assert_eq!(identity.next_epoch_after(7).unwrap(), 9);
        assert!(
            matches!(identity.next_epoch_after(u32::MAX), Err(StoreError::Config(_))),
            "an epoch after the last one"
        );
        assert_eq!(identity.next_epoch_after(u32::MAX - 1).unwrap(), u32::MAX);
        assert!(matches!(identity.next_epoch(), Err(StoreError::Config(_))));
    }

    #[test]
    fn a_second_process_with_the_identity_is_refused_and_shown_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = Identity::open(&path).unwrap();
        let message = match Identity::open(&path) {
            Err(error @ StoreError::Config(_)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(first);
        Identity::open(&path).unwrap();
    }
}
