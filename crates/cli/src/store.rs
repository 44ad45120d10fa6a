//! The store that is configured, and what of the configuration the commands that fill it have in common.
//!
//! Whatever the store, there is one SQLite file under the data directory: it is the embedded store, and it is where a
//! collector remembers who it is and what a store on the network has not accepted yet.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use accounting::block::WriterId;
use accounting::tally::TallyLimits;
use anyhow::Context;
use collector::flusher::Keep;
use journal::Journal;
use journal::disk::Directory;
use pipeline::Rules;
use storage::cassandra::{Cassandra, CassandraSettings};
use storage::redis::{Redis, RedisSettings};
use storage::spool::Spool;
use storage::sqlite::Sqlite;
use storage::{Store, StoreError};
use wire::{PendingLimits, SessionLimits, TemplateLimits};

use crate::config::{Config, Storage};

/// About how many octets a name takes: 20 to 90, with the room that its table keeps free.
const NAME_OCTETS: usize = 64;

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
        Storage::Redis => Ok(Arc::new(Redis::open(redis_settings(config))?)),
        Storage::Cassandra => Ok(Arc::new(Cassandra::open(cassandra_settings(config))?)),
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

fn redis_settings(config: &Config) -> RedisSettings {
    let Config { redis, .. } = config;
    RedisSettings {
        hosts: redis.hosts.clone(),
        username: redis.access.user.clone(),
        password: redis.access.password.as_ref().map(|password| password.expose().to_owned()),
        tls: redis.access.tls,
        authority: redis.access.tls_authority.clone(),
        master: redis.master.clone(),
        namespace: redis.namespace.clone(),
    }
}

fn cassandra_settings(config: &Config) -> CassandraSettings {
    let Config { cassandra, .. } = config;
    CassandraSettings {
        hosts: cassandra.hosts.clone(),
        username: cassandra.access.user.clone(),
        password: cassandra.access.password.as_ref().map(|password| password.expose().to_owned()),
        keyspace: cassandra.keyspace.clone(),
        keyspace_config: cassandra.keyspace_config.clone(),
        datacenter: cassandra.datacenter.clone(),
        tls: cassandra.access.tls,
        authority: cassandra.access.tls_authority.clone(),
        keep: config.keep().periods,
    }
}

impl Config {
    /// How flows are counted.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            scale_samples: self.netflow.calculate_samples,
            clock_limit: self.clock_limit,
            session: SessionLimits {
                templates: TemplateLimits { lifetime: self.netflow.template_lifetime, ..TemplateLimits::default() },
                pending: PendingLimits { age: self.netflow.template_wait, ..PendingLimits::default() },
            },
            tally: TallyLimits { names: self.server.name_memory / NAME_OCTETS, ..TallyLimits::default() },
        }
    }

    /// How much the journal may hold, and how surely.
    pub(crate) fn journal_settings(&self) -> journal::Settings {
        journal::Settings { sync: self.journal.sync, limit_bytes: self.journal.max_bytes as u64 }
    }

    /// How long blocks are kept.
    pub(crate) fn keep(&self) -> Keep {
        let kept = &self.retention;
        Keep { periods: [kept.minutes, kept.hours, kept.days, kept.months, kept.years] }
    }

    /// How many threads receive and count.
    pub(crate) fn threads(&self) -> usize {
        self.server.cores.or_else(|| thread::available_parallelism().ok()).map_or(1, usize::from)
    }
}
