//! Opens the store that is configured, and what a collector keeps beside it on its own disk. What is done with a store on
//! the command line is in `commands/store`; how settings become those of a store, in `config/mapping`.
//!
//! Whatever the store, there is one SQLite file in the data directory: it is the embedded store, and it holds the identity
//! of the collector and the spool for a store on the network.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accounting::block::WriterId;
use anyhow::Context;
use journal::Journal;
use journal::disk::Directory;
use storage::cassandra::Cassandra;
use storage::redis::Redis;
use storage::spool::Spool;
use storage::sqlite::Sqlite;
use storage::{Store, StoreError};

use crate::config::{Config, Storage};

/// Makes the data directory, for its owner alone, when it is not there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_directory(directory: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("cannot make the data directory {} (dataDir)", directory.display()))
}

/// The file that holds everything: the collector's identity, senders and blocks.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.data_dir.join("netflow.sqlite")
}

/// Opens the store that is configured.
///
/// # Errors
/// When it cannot be opened; nothing was changed then.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    match config.storage {
        Storage::Sqlite => Ok(Arc::new(Sqlite::open(&path(config))?)),
        Storage::Redis => Ok(Arc::new(Redis::open(config.redis_settings())?)),
        Storage::Cassandra => Ok(Arc::new(Cassandra::open(config.cassandra_settings())?)),
    }
}

/// Where flushes wait for a store that is not on this machine's disk; `None` for the embedded store, which needs none.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn spool(config: &Config, writer: WriterId) -> Result<Option<Spool>, StoreError> {
    match config.storage {
        Storage::Sqlite => Ok(None),
        Storage::Redis | Storage::Cassandra => {
            Spool::open(&path(config), writer, config.spool.max_bytes as u64).map(Some)
        }
    }
}

/// How long the store keeps minutes, rolled up or not, where it drops them by itself.
pub(crate) fn shortest_life(config: &Config) -> Option<Duration> {
    let keep = config.retention.minutes.filter(|_| matches!(config.storage, Storage::Cassandra))?;
    Some(keep.saturating_add(storage::cassandra::SPARE))
}

/// Where what was received stands until it is durable.
///
/// # Errors
/// When its directory cannot be made or read.
pub(crate) fn journal(config: &Config) -> anyhow::Result<Arc<Journal>> {
    let path = config.data_dir.join("journal");
    let opened =
        Directory::open(&path).and_then(|directory| Journal::open(Box::new(directory), config.journal_settings()));
    opened.with_context(|| format!("cannot open the journal {}", path.display()))
}
