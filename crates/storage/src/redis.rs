//! Redis 7 and its relatives as a store: one server, a cluster, or a master found through sentinels. The
//! server itself reports which of them it is.
//!
//! Layout (`N` is the namespace, `netflow` unless configured otherwise; text in braces is the hash tag, so that all
//! commands about one place go to one node of a cluster):
//! - `N:block:{<sender> <prefix> <period> <start>}`: hash of blocks; a field is tables, writer, epoch, sequence and part,
//!   26 octets or 30, the highest first (`redis/key.rs`); the value is the content. With the tables in the field, a read
//!   asks only for the values that it needs.
//! - `N:intervals:{<writer> <period>}`: sorted set of the starts for which a writer has blocks.
//! - `N:groups:{<writer> <period> <start>}`: set of `<sender> <prefix>` for which a writer has blocks there.
//! - `N:expired`: hash; field `<period>` = before which minute blocks of it have expired.
//! - `N:senders`: hash; field `<address>` = nanoseconds of its last datagram in twenty digits, or nothing; field
//!   `<address> <prefix>` = nothing.
//! - `{N:senders}:changes`: hash; the same fields = the number of their registration, or minus that of their removal
//!   (`redis/changes.rs`).
//! - `N:templates`: hash; field `<address>` = what that sender has announced, as docs/storage.md describes it.
//! - `N:remarks`: hash; field `<address>` = the remarks about that sender, a line each (`remarks.rs`).
//! - `N:writers`: hash; field `<writer>` = epoch, nanoseconds of when it was seen (2^64-1: an import), the four watermarks.
//! - `N:flushed`: hash; field `<writer>` = epoch and sequence of its newest flush of which all blocks are there.
//!
//! Starts and watermarks are minutes since 1970, writers sixteen hexadecimal digits.
//!
//! A put is plain `HSET`s, repeated as often as needed. Redis answers before a disk or a replica has it (unless
//! configured otherwise): a failover loses what it had accepted a moment before; the collector puts that again. No key
//! expires by itself: old blocks are deleted by [`Blocks::expire`](crate::Blocks::expire)
//! when they are rolled up, so that nothing is lost however long all collectors are stopped.

mod blocks;
mod changes;
mod connection;
mod key;
mod registry;
mod remarks;
mod writers;

use std::path::PathBuf;

use self::connection::Link;
use crate::{Store, StoreError};

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `host` or `host:port` of the server, of nodes of the cluster, or of sentinels; the port is 6379 (26379 is usual
    /// for sentinels) unless given.
    pub hosts: Vec<String>,
    /// ACL user, where there is one.
    pub username: Option<String>,
    /// Password, also for sentinels.
    pub password: Option<String>,
    /// Encrypt, and check the certificates of the servers.
    pub tls: bool,
    /// PEM file of the authority to check them against, instead of the system's.
    pub authority: Option<PathBuf>,
    /// Name of the master, where sentinels watch over several.
    pub master: Option<String>,
    /// First part of all keys.
    pub namespace: String,
}

impl Default for RedisSettings {
    /// Without encryption and password at `localhost`.
    fn default() -> Self {
        Self {
            hosts: vec!["localhost".to_owned()],
            username: None,
            password: None,
            tls: false,
            authority: None,
            master: None,
            namespace: "netflow".to_owned(),
        }
    }
}

/// A store in Redis.
#[derive(Debug)]
pub struct Redis {
    link: Link,
    namespace: String,
}

impl Redis {
    /// A store that connects when it is first used, and again whenever the connection is lost.
    ///
    /// # Errors
    /// [`StoreError::Config`] when the settings cannot be meant.
    pub fn open(settings: RedisSettings) -> Result<Self, StoreError> {
        let namespace = settings.namespace.clone();
        Ok(Self { link: Link::new(settings)?, namespace })
    }
}

impl Store for Redis {}
