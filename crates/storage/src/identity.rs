//! The identity of a collector, on its own disk whatever its store is: its writer and the epoch.
//!
//! Blocks differ in writer, epoch and sequence, so no two processes may ever be the same writer in the same
//! epoch. The identity is one row of an SQLite file (`sqlite.rs`; with the embedded store it is the store's own file).
//! The process that has it holds a lock on `<file>.lock` until it ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flow::{Counted, Timestamp, WriterId};
use rusqlite::{Connection, OptionalExtension};

use crate::{StoreError, sqlite};

/// The greatest epoch that comes from a clock, in the year 2072. Later ones are counted.
const LATEST_BY_CLOCK: u32 = 0xC000_0000;

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

    /// The flushes that are counted in this file: in the spool, or in the embedded store. The transaction that made them
    /// durable recorded them too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn counted(&self) -> Result<Vec<Counted>, StoreError> {
        sqlite::counted(&self.connection)
    }

    /// Begins the next epoch. It is durable when this returns, and greater than `known`, the newest one in the journal and
    /// in the store: the file may be older than both. It is also at least the second of the start, so that it is greater
    /// than those of later runs of which neither this file nor the journal knows, while the store cannot be asked.
    ///
    /// # Errors
    /// When it is not durable: then no block may be written.
    pub fn next_epoch(&mut self, known: u32, now: Timestamp) -> Result<u32, StoreError> {
        // A clock far in the future must not use up the epochs.
        let by_clock = u32::try_from(now.seconds()).unwrap_or(u32::MAX).min(LATEST_BY_CLOCK);
        let next =
            "UPDATE identity SET epoch = max(max(epoch, ?1) + 1, ?2) WHERE max(epoch, ?1) < 4294967295 RETURNING epoch";
        let epoch = self.connection.query_row(next, [known, by_clock], |row| row.get(0)).optional()?;
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

/// Keeps collectors off the file and its directory, until the returned value is dropped.
///
/// # Errors
/// [`StoreError::Config`] when a collector runs, or the lock file cannot be written.
pub fn lock(path: &Path) -> Result<File, StoreError> {
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
        assert_eq!(first.next_epoch(0, Timestamp::EPOCH).unwrap(), 1);
        drop(first);
        let mut second = Identity::open(&path).unwrap();
        assert_eq!(second.writer(), writer);
        assert_eq!(second.next_epoch(0, Timestamp::EPOCH).unwrap(), 2);
        assert_ne!(Identity::open(&folder.path().join("other")).unwrap().writer(), writer);
    }

    #[test]
    fn an_epoch_that_the_store_or_the_journal_knows_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(&folder.path().join("state")).unwrap();
        let mut next = |known| identity.next_epoch(known, Timestamp::EPOCH);
        assert_eq!(next(7).unwrap(), 8);
        assert_eq!(next(7).unwrap(), 9);
        assert!(matches!(next(u32::MAX), Err(StoreError::Config(_))), "an epoch after the last one");
        assert_eq!(next(u32::MAX - 1).unwrap(), u32::MAX);
        assert!(matches!(next(0), Err(StoreError::Config(_))));
    }

    #[test]
    fn a_restored_file_does_not_repeat_an_epoch_that_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        // Closing the last connection writes the write-ahead log to the file.
        drop(Identity::open(&path).unwrap());
        std::fs::copy(&path, folder.path().join("backup")).unwrap();
        let mut identity = Identity::open(&path).unwrap();
        let after_backup = identity.next_epoch(0, Timestamp::from_seconds(1_800_000_000)).unwrap();
        drop(identity);
        let mut restored = Identity::open(&folder.path().join("backup")).unwrap();
        assert!(restored.next_epoch(0, Timestamp::from_seconds(1_800_000_001)).unwrap() > after_backup);
        // Whatever the clock does.
        let later = restored.next_epoch(0, Timestamp::from_seconds(u64::from(u32::MAX) + 1)).unwrap();
        assert_eq!(restored.next_epoch(0, Timestamp::from_seconds(1_800_000_002)).unwrap(), later + 1);
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
