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
use collector::Local;
use journal::Journal;
use journal::disk::Directory;
#[cfg(feature = "cassandra")]
use storage::cassandra::Cassandra;
use storage::known_senders::KnownSenders;
#[cfg(feature = "redis")]
use storage::redis::Redis;
use storage::spool::Spool;
use storage::sqlite::Sqlite;
use storage::{Store, StoreError};

use crate::config::{Config, Storage};
use crate::restoration;

/// The name of the SQLite file.
pub(crate) const DATABASE: &str = "netflow.sqlite";
/// The name of the directory with the segments of the journal.
pub(crate) const JOURNAL: &str = "journal";
/// The name of the file with the used nonces of the REST interface.
pub(crate) const NONCES: &str = "nonces";

/// Creates the data directory, for its owner only, unless it exists.
///
/// # Errors
/// When it cannot be created.
pub(crate) fn make_directory(directory: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("cannot create the data directory {} (dataDir)", directory.display()))
}

/// The SQLite file in the data directory.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.data_dir.join(DATABASE)
}

/// Opens the store that is configured.
///
/// # Errors
/// When it cannot be opened, or this build does not have it; nothing was changed then.
pub(crate) fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    restoration::refuse_unfinished(&config.data_dir)?;
    match config.storage {
        Storage::Sqlite => {
            let path = path(config);
            Ok(Arc::new(in_file(&path, Sqlite::open(&path))?))
        }
        #[cfg(feature = "redis")]
        Storage::Redis => Ok(Arc::new(Redis::open(config.redis_settings())?)),
        #[cfg(feature = "cassandra")]
        Storage::Cassandra => Ok(Arc::new(Cassandra::open(config.cassandra_settings())?)),
        #[cfg(not(all(feature = "redis", feature = "cassandra")))]
        not_built => Err(anyhow::anyhow!(unsupported(not_built))),
    }
}

/// Adds the file to an error of opening it.
pub(crate) fn in_file<T>(path: &Path, opened: Result<T, StoreError>) -> anyhow::Result<T> {
    opened.map_err(|error| match error {
        // Names it already.
        StoreError::Config(_) => error.into(),
        error => anyhow::Error::from(error).context(path.display().to_string()),
    })
}

/// The error for a store that this build does not have.
pub(crate) fn unsupported(storage: Storage) -> String {
    let name = storage.name();
    format!("storage = \"{name}\": this build of netflow has no {name} support; build it with --features {name}")
}

/// What a collector keeps on its own disk for a store on the network; `None` for the embedded store, which is there itself.
///
/// # Errors
/// When a file cannot be opened.
pub(crate) fn local(config: &Config, writer: WriterId, is_reachable: bool) -> Result<Option<Local>, StoreError> {
    match config.storage {
        Storage::Sqlite => Ok(None),
        Storage::Redis | Storage::Cassandra => {
            let spool = Spool::open(&path(config), writer, config.spool.max_bytes as u64)?;
            let senders = KnownSenders::open(&path(config), &name(config))?;
            Ok(Some(Local { spool, senders, is_reachable }))
        }
    }
}

/// The name of the configured store for [`KnownSenders`]: its hosts may be replaced.
fn name(config: &Config) -> String {
    let within = match config.storage {
        Storage::Sqlite => "",
        Storage::Redis => &config.redis.namespace,
        Storage::Cassandra => &config.cassandra.keyspace,
    };
    format!("{}:{within}", config.storage.name())
}

/// How long a store that expires blocks on its own keeps minutes, rolled up or not.
pub(crate) fn shortest_life(config: &Config) -> Option<Duration> {
    match config.storage {
        #[cfg(feature = "cassandra")]
        Storage::Cassandra => Some(config.retention.minutes?.saturating_add(storage::cassandra::SPARE)),
        _ => None,
    }
}

/// The journal of datagrams whose flows are not durable yet.
///
/// # Errors
/// When its directory cannot be created or read.
pub(crate) fn journal(config: &Config, writer: WriterId) -> anyhow::Result<Arc<Journal>> {
    let path = config.data_dir.join(JOURNAL);
    let opened = Directory::open(&path)
        .and_then(|directory| Journal::open(Box::new(directory), writer, config.journal_settings()))
        .and_then(|journal| journal.keep_for(&config.log_readers(), config.log.max_bytes as u64).map(|()| journal));
    opened.with_context(|| format!("cannot open the journal {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_not_built_in_is_an_error_that_names_the_feature() {
        for storage in [Storage::Redis, Storage::Cassandra].into_iter().filter(|storage| !storage.is_built()) {
            let config = Config { storage, ..Config::default() };
            let error = open(&config).map(drop).unwrap_err().to_string();
            let name = storage.name();
            let expected = format!("this build of netflow has no {name} support; build it with --features {name}");
            assert_eq!(error, format!("storage = \"{name}\": {expected}"));
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        std::fs::write(path(&config), "garbage, and more of it than SQLite's header takes".repeat(50)).unwrap();
        let error = format!("{:#}", open(&config).map(drop).unwrap_err());
        assert!(error.starts_with(&format!("{}: ", path(&config).display())), "{error}");
    }
}
