//! The embedded store: one SQLite file that the usual `sqlite3` tools can read, back up and check.
//!
//! Layout (`sqlite/schema.rs` has it as SQL): `minute_block` has the blocks of minutes, flush by flush, so that a flush
//! appends; `flushed_minute` has the flushes of each minute. `block` has the coarser blocks, clustered by period, writer, start,
//! series, epoch, sequence, part and tables, and the minutes of older programs. Contents that do not fit a row of these are in
//! `large_content`; triggers delete them with their rows. `series` gives a sender and prefix a small
//! number, `writer` does so for a writer and keeps its state; rows of both are never deleted. `sender` and
//! `sender_prefix` are the registrations, `sender_templates` is what senders have announced, `identity` is the writer that
//! this file belongs to (`identity.rs`), `known_sender` is for a store on the network (`known_senders.rs`), `remark` and `last_terms` are about what counters
//! mean (`remarks.rs`, `last_terms.rs`). The view `blocks` shows all of it with times and addresses that people can read.
//!
//! The file is in WAL mode with `synchronous = FULL`: a commit is on disk before it is acknowledged. One connection
//! writes, each call in one transaction; up to `READERS` others read, each call from one snapshot, and neither blocks
//! the other. All of it happens on tokio's blocking threads. A file is made with mode 0600.

mod blocks;
mod error;
mod key;
mod minutes;
mod open_files;
mod pauses;
mod registry;
pub(crate) mod remarks;
mod schema;
mod writers;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use flow::{Counted, WriterId};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

pub(crate) use open_files::OpenFiles;
pub(crate) use registry::{keep_announced, nanoseconds, parsed, templates, timestamp};
pub(crate) use schema::{open, open_as_it_is};
pub(crate) use writers::{counted, note_counted, note_durable};

use self::key::KnownSeries;
use crate::{Flush, Store, StoreError};

/// How many reads run at the same time; others queue.
const READERS: usize = 4;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    files: OpenFiles,
    writer: Arc<Mutex<Connection>>,
    /// Connections that no read uses at the moment.
    readers: Arc<Mutex<Vec<Connection>>>,
    reading: Arc<Semaphore>,
    series: Arc<Mutex<KnownSeries>>,
}

impl Sqlite {
    /// Opens the file, or makes it; brings an older layout up to date.
    ///
    /// # Errors
    /// [`StoreError::Config`] when it cannot be opened, was written by a newer version, or is no store of ours: the file
    /// is then left as it is. [`StoreError::Corrupt`] when it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            files: OpenFiles::of(path),
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::default(),
            reading: Arc::new(Semaphore::new(READERS)),
            series: Arc::default(),
        })
    }

    /// Whether a file that is there has the layout of an older program, which [`open`](Self::open) would bring up to date;
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Config`] when it is no file of ours, or that of a newer program.
    pub fn is_older(path: &Path) -> Result<bool, StoreError> {
        schema::is_older(path)
    }

    /// Opens a file that is there, without ever writing to it; others may write to it meanwhile. What would write fails.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`StoreError::Config`] also when the file has the layout of an older program.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let writer = schema::open_read_only(path)?;
        Ok(Self {
            path: path.to_owned(),
            files: OpenFiles::of(path),
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::default(),
            reading: Arc::new(Semaphore::new(READERS)),
            series: Arc::default(),
        })
    }

    /// Runs the work in one transaction; it is durable when this returns `Ok`, in the file that has the name.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (writer, files) = (Arc::clone(&self.writer), self.files.clone());
        blocking(move || {
            let mut connection = lock(&writer);
            files.check()?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            // It may have been written to a file without a name.
            files.check()?;
            Ok(value)
        })
        .await
    }

    /// Runs the work on one snapshot of the store.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let turn = turn.map_err(|closed| StoreError::Reject(closed.into()))?;
        let readers = Arc::clone(&self.readers);
        let (path, files) = (self.path.clone(), self.files.clone());
        blocking(move || {
            // A caller that gives up does not end the read: the turn ends with the work.
            let _turn = turn;
            files.check()?;
            let idle = lock(&readers).pop();
            let mut connection = idle.map_or_else(|| schema::open_reader(&path), Ok)?;
            let snapshot = connection.transaction()?;
            let value = work(&snapshot)?;
            drop(snapshot);
            lock(&readers).push(connection);
            Ok(value)
        })
        .await
    }
}

/// A transaction that a panic interrupted has been rolled back, so the connection is as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(StoreError::Reject(stopped.into())))
}

#[async_trait]
impl Store for Sqlite {
    async fn put_flush(
        &self,
        writer: WriterId,
        flush: &Arc<Flush>,
        announced: &[(IpAddr, Vec<u8>)],
        counted: &[Counted],
    ) -> Result<(), StoreError> {
        let (flush, announced, series) = (Arc::clone(flush), announced.to_vec(), Arc::clone(&self.series));
        let counted = counted.to_vec();
        self.write(move |connection| {
            blocks::put(connection, &mut lock(&series), &flush.blocks)?;
            registry::keep_announced(connection, &announced)?;
            note_durable(connection, writer, flush.number)?;
            note_counted(connection, &counted)
        })
        .await
    }

    async fn counted(&self) -> Result<Vec<Counted>, StoreError> {
        self.read(counted).await
    }

    async fn put_counted(&self, counted: &[Counted]) -> Result<(), StoreError> {
        let counted = counted.to_vec();
        self.write(move |connection| note_counted(connection, &counted)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use accounting::watermarks::Watermarks;
    use flow::FlushNumber;

    use super::*;
    use crate::Registry;

    #[tokio::test]
    async fn a_read_whose_caller_gave_up_keeps_its_turn_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("store")).unwrap());
        let mut ends = Vec::new();
        for _ in 0..READERS {
            let (begun, begins) = mpsc::channel();
            let (end, ended) = mpsc::channel::<()>();
            let reading = Arc::clone(&store);
            let work = move |_: &Connection| {
                begun.send(()).unwrap();
                // An error is the end as well.
                let _ = ended.recv();
                Ok(())
            };
            let caller = tokio::spawn(async move { reading.read(work).await });
            tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
            caller.abort();
            assert!(caller.await.unwrap_err().is_cancelled());
            ends.push(end);
        }
        assert_eq!(store.reading.available_permits(), 0);
        drop(ends);
        store.read(|_| Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn templates_of_a_sender_that_was_removed_stay_until_a_flush_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("store")).unwrap();
        let (sender, template) = (IpAddr::from([192, 0, 2, 1]), vec![1, 2, 3]);
        let flush = async |sequence, announced: &[(IpAddr, Vec<u8>)]| {
            let number = FlushNumber { epoch: 1, sequence };
            let flush = Flush { number, watermarks: Watermarks::default(), blocks: Vec::new() };
            store.put_flush(WriterId(1), &Arc::new(flush), announced, &[]).await.unwrap();
            store.templates().await.unwrap()
        };
        store.add_prefixes(sender, &[]).await.unwrap();
        store.put_templates(&[(sender, template.clone())]).await.unwrap();
        assert!(store.remove_sender(sender).await.unwrap());
        assert_eq!(flush(1, &[]).await, [(sender, template.clone())]);
        let newer = vec![4];
        assert_eq!(flush(2, &[(sender, newer.clone())]).await, [(sender, newer)], "sealed before it was removed");
        assert_eq!(flush(3, &[(sender, vec![])]).await, []);
    }
}
