//! Cassandra 5, or ScyllaDB as far as its CQL is the same, as a store.
//!
//! Layout (`cassandra/schema.rs` has it as CQL; keyspace and tables are made at the first connection):
//! - `block_minute`, `block_hour`, `block_day`, `block_month`, `block_year`: one row for each block, in partitions by
//!   sender, prefix and start; clustered by writer, epoch, sequence, part and tables. A table for each period, because
//!   each has its own life time and so its own compaction windows.
//! - `interval`: the starts for which a writer has blocks, a partition for each writer and period.
//! - `series`: the senders and prefixes for which a writer has blocks, a partition for each writer, period and start.
//! - `sender` (with its prefixes, what it has announced, and in other rows the numbers of changes), `writer`, `flushed`,
//!   `expired`: each in one partition.
//! - `remark`: a remark each, a partition for each sender.
//!
//! Every statement is prepared and idempotent, and goes to a replica of its partition. Reads and writes are done at
//! LOCAL_QUORUM, so that a read sees every acknowledged write. Write times of blocks come from the client and only grow, so
//! that a block put again after its deletion stays. Senders and writers are changed by several collectors, whose clocks
//! differ: their statements have a condition, so that the servers bring them into one order (LOCAL_SERIAL: with several
//! data centres, the order within each).
//!
//! Old blocks are not deleted: rows are written with a time to live, [`SPARE`] longer than the retention, and go with
//! their whole compaction window. If no collector rolls up a writer for that long, its rows that are not rolled up are lost.

mod blocks;
mod changes;
mod connection;
mod error;
mod registry;
mod remarks;
mod schema;
#[cfg(feature = "cassandra-tls")]
mod tls;
mod writers;

use accounting::period::PerPeriod;
use std::path::PathBuf;
use std::time::Duration;

use self::connection::Link;
use crate::{Store, StoreError};

/// How much longer than configured blocks live: time to roll them up.
pub const SPARE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How to reach a cluster.
#[derive(Clone)]
pub struct CassandraSettings {
    /// `host` or `host:port` (9042 unless given) of some nodes; the others are found by them.
    pub hosts: Vec<String>,
    /// User, where there is one.
    pub username: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// The keyspace: letters, digits and underscores.
    pub keyspace: String,
    /// What follows `CREATE KEYSPACE <name>` if it does not exist yet: replication.
    pub keyspace_config: String,
    /// The data centre to ask, where there are several.
    pub datacenter: Option<String>,
    /// Encrypt, and check the certificates of the nodes (cargo feature `cassandra-tls`).
    pub tls: bool,
    /// PEM file of the authority to check them against; needed for TLS.
    pub authority: Option<PathBuf>,
    /// How long blocks are kept; `None` means forever.
    pub keep: PerPeriod<Option<Duration>>,
}

impl Default for CassandraSettings {
    /// One replica in keyspace `netflow` at `localhost`, kept forever.
    fn default() -> Self {
        Self {
            hosts: vec!["localhost".to_owned()],
            username: None,
            password: None,
            keyspace: "netflow".to_owned(),
            keyspace_config: "WITH REPLICATION = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
                .to_owned(),
            datacenter: None,
            tls: false,
            authority: None,
            keep: PerPeriod::default(),
        }
    }
}

/// A store in Cassandra.
#[derive(Debug)]
pub struct Cassandra {
    link: Link,
    keep: PerPeriod<Option<Duration>>,
}

impl Cassandra {
    /// A store that connects when it is first used, and again whenever connections are lost.
    ///
    /// # Errors
    /// [`StoreError::Config`] when the settings cannot be meant.
    pub fn open(settings: CassandraSettings) -> Result<Self, StoreError> {
        let keep = settings.keep;
        Ok(Self { link: Link::new(settings)?, keep })
    }
}

impl Store for Cassandra {}

impl std::fmt::Debug for CassandraSettings {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("CassandraSettings");
        shown.field("hosts", &self.hosts).field("keyspace", &self.keyspace).finish_non_exhaustive()
    }
}
