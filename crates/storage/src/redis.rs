//! Redis 7 and its relatives as a store: one server, a cluster, or a master found through sentinels. Which of them an
//! address is, the server itself says.
//!
//! Layout (`N` is the namespace, `netflow` unless configured otherwise; text in braces is the hash tag, so that all
//! commands about one place go to one node of a cluster):
//! - `N:block:{<sender> <prefix> <period> <start>}`: hash of blocks; a field is tables, writer, epoch, sequence and part,
//!   26 octets, the highest first (`redis/key.rs`); the value is the content. With the tables in the field, a read asks
//!   only for the values that it needs.
//! - `N:intervals:{<writer> <period>}`: sorted set of the starts for which a writer has blocks.
//! - `N:groups:{<writer> <period> <start>}`: set of `<sender> <prefix>` for which a writer has blocks there.
//! - `N:senders`: hash; field `<address>` = nanoseconds of its last datagram in twenty digits, or nothing; field
//!   `<address> <prefix>` = nothing.
//! - `N:templates`: hash; field `<address>` = what that sender has announced, as docs/storage.md describes it.
//! - `N:writers`: hash; field `<writer>` = epoch, nanoseconds of `seen`, the four watermarks.
//!
//! Starts and watermarks are minutes since 1970, writers sixteen hexadecimal digits.
//!
//! A put is plain `HSET`s, repeated as often as needed. Redis answers before a disk or a replica has it (unless
//! configured otherwise): a failover loses what it had accepted a moment before; the collector puts that again. No key
//! expires by itself: old blocks are deleted by [`Store::expire`] when they are rolled up, so that nothing is lost however
//! long all collectors are away.

mod blocks;
mod connection;
mod key;
mod registry;

use std::net::IpAddr;
use std::path::PathBuf;

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::{Interval, Minute, Period};
use async_trait::async_trait;
use flow::{Prefix, Timestamp};

use self::connection::Link;
use crate::selection::merged;
use crate::{Retention, Selection, Sender, Store, StoreError, WriterState};

/// How to reach a Redis.
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
    /// PEM file of the authority to check them against, in place of the system's.
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

#[async_trait]
impl Store for Redis {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        self.all_senders().await
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        Ok(self.all_senders().await?.into_iter().find(|sender| sender.address == address))
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.register(address, prefixes).await
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        self.unregister(address, prefixes).await
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        self.forget(address).await
    }

    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        self.touch(last).await
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        self.remember_templates(announced).await
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        self.known_templates().await
    }

    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.put(blocks).await
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.read(&merged(selections), None).await
    }

    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.read(&merged(selections), Some(writer)).await
    }

    async fn missing(&self, keys: &[BlockKey]) -> Result<Vec<BlockKey>, StoreError> {
        self.absent(keys).await
    }

    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        self.groups_of(writer, interval).await
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        Ok(self.intervals_of(writer, period, from, None, Some(1)).await?.pop())
    }

    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        self.intervals_of(writer, period, from, Some(before), None).await
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        self.delete(keys).await
    }

    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        let known = self.known_writers().await?;
        let bounded = retention.bounded(known.iter().find(|state| state.writer == writer));
        self.delete_before(writer, bounded).await
    }

    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        self.known_writers().await
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        self.remember_writer(state).await
    }
}
