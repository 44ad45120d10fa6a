//! The embedded store: one SQLite file that the usual `sqlite3` tools can read, back up and check.
//!
//! Layout (`sqlite/schema.rs` has it as SQL): `block` has one row for each block, clustered by period, writer, start,
//! series, epoch, sequence, part and tables. The newest rows of a writer stand at the end of its range, so a flush
//! appends; everything that is asked of blocks is one short range of it. `series` gives a sender and prefix a small
//! number, `writer` does so for a writer and keeps its state; rows of both are never deleted. `sender` and
//! `sender_prefix` are the registrations, `sender_templates` is what senders have announced, `identity` is the writer that
//! this file belongs to (`state.rs`). The view `blocks` shows all of it with times and addresses that people can read.
//!
//! The file is in WAL mode with `synchronous = FULL`: a commit is on disk before it is acknowledged. One connection
//! writes, each call in one transaction; up to [`READERS`] others read, each call from one snapshot, and neither waits
//! for the other. All of it happens on tokio's blocking threads. A file is made with mode 0600.

mod blocks;
mod error;
mod key;
mod registry;
mod schema;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::{Interval, Minute, Period};
use async_trait::async_trait;
use flow::{Prefix, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

pub(crate) use registry::{note_durable, parsed, templates};
pub(crate) use schema::open;

use self::key::KnownSeries;
use crate::selection::merged;
use crate::spool::Flush;
use crate::{Retention, Selection, Sender, Store, StoreError, WriterState};

/// How many reads run at the same time; more wait for one of them.
const READERS: usize = 4;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    writer: Arc<Mutex<Connection>>,
    /// Connections that no read uses at the moment.
    readers: Arc<Mutex<Vec<Connection>>>,
    reading: Semaphore,
    series: Arc<Mutex<KnownSeries>>,
}

impl Sqlite {
    /// Opens the file, or makes it; brings an older layout up to date.
    ///
    /// # Errors
    /// [`StoreError::Config`] when it cannot be opened, was written by a newer version, or is no store of ours: the file
    /// is then left as it is. [`StoreError::Corrupt`] when it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            writer: Arc::new(Mutex::new(open(path)?)),
            readers: Arc::default(),
            reading: Semaphore::new(READERS),
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
        Ok(Self {
            path: path.to_owned(),
            writer: Arc::new(Mutex::new(schema::open_read_only(path)?)),
            readers: Arc::default(),
            reading: Semaphore::new(READERS),
            series: Arc::default(),
        })
    }

    /// Runs the work in one transaction; it is durable when this returns `Ok`.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let writer = Arc::clone(&self.writer);
        blocking(move || {
            let mut connection = lock(&writer);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
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
        let _turn = self.reading.acquire().await.map_err(|closed| StoreError::Retry(closed.to_string()))?;
        let readers = Arc::clone(&self.readers);
        let path = self.path.clone();
        blocking(move || {
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
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(StoreError::Retry(stopped.to_string())))
}

#[async_trait]
impl Store for Sqlite {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        self.read(registry::senders).await
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        self.read(move |connection| registry::sender(connection, address)).await
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        let prefixes = prefixes.to_vec();
        self.write(move |connection| registry::add_prefixes(connection, address, &prefixes)).await
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        let prefixes = prefixes.to_vec();
        self.write(move |connection| registry::remove_prefixes(connection, address, &prefixes)).await
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        self.write(move |connection| registry::remove_sender(connection, address)).await
    }

    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        let last = last.to_vec();
        self.write(move |connection| registry::touch_senders(connection, &last)).await
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        let announced = announced.to_vec();
        self.write(move |connection| registry::put_templates(connection, &announced)).await
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        self.read(registry::templates).await
    }

    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let (blocks, series) = (blocks.to_vec(), Arc::clone(&self.series));
        self.write(move |connection| blocks::put(connection, &mut lock(&series), &blocks)).await
    }

    async fn put_flush(
        &self,
        writer: WriterId,
        flush: &Arc<Flush>,
        announced: &[(IpAddr, Vec<u8>)],
    ) -> Result<(), StoreError> {
        let (flush, announced, series) = (Arc::clone(flush), announced.to_vec(), Arc::clone(&self.series));
        self.write(move |connection| {
            blocks::put(connection, &mut lock(&series), &flush.blocks)?;
            registry::put_templates(connection, &announced)?;
            note_durable(connection, writer, flush.number)
        })
        .await
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let selections = merged(selections);
        self.read(move |connection| blocks::read(connection, &selections, None)).await
    }

    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let selections = merged(selections);
        self.read(move |connection| blocks::read(connection, &selections, Some(writer))).await
    }

    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        self.read(move |connection| blocks::groups(connection, writer, interval)).await
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        self.read(move |connection| blocks::first_interval(connection, writer, period, from)).await
    }

    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        self.read(move |connection| blocks::intervals(connection, writer, period, from, before)).await
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.write(move |connection| blocks::delete(connection, &keys)).await
    }

    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        // In pieces, so that no flush waits for a long deletion.
        let mut gone = 0;
        loop {
            let more = self.write(move |connection| blocks::expire(connection, writer, retention)).await?;
            gone += more;
            if more < blocks::EXPIRED_AT_ONCE {
                return Ok(gone);
            }
        }
    }

    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        self.read(registry::writers).await
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        let state = *state;
        self.write(move |connection| registry::put_writer(connection, &state)).await
    }
}
