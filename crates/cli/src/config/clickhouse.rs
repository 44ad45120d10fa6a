//! The settings of the stream of flows to ClickHouse.

use clickhouse::Compression;

use super::Access;

/// Where flows are sent, a reader of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clickhouse {
    /// `hosts`: servers, each `host` or `host:port`; empty for no stream.
    pub(crate) hosts: Vec<String>,
    /// `database`: it must exist.
    pub(crate) database: String,
    /// `table`: it is created if it is missing.
    pub(crate) table: String,
    /// `compression`: of inserts.
    pub(crate) compression: Compression,
    /// `user` and so on
    pub(crate) access: Access,
}

impl Clickhouse {
    /// The name of the reader of the log.
    pub(crate) const READER: &str = "clickhouse";

    /// Whether flows are sent.
    pub(crate) const fn is_on(&self) -> bool {
        !self.hosts.is_empty()
    }
}

impl Default for Clickhouse {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            database: "default".to_owned(),
            table: "flows".to_owned(),
            compression: Compression::default(),
            access: Access::default(),
        }
    }
}
