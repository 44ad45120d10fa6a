//! The stores, and how to reach those on the network.

use std::path::PathBuf;

use super::Secret;

/// Where senders and blocks are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// A SQLite file in the data directory.
    Sqlite,
    /// The servers of `redis`.
    Redis,
    /// The nodes of `cassandra`.
    Cassandra,
}

impl Storage {
    /// Whether this build of netflow has it; SQLite is in every build.
    pub(crate) const fn is_built(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Redis => cfg!(feature = "redis"),
            Self::Cassandra => cfg!(feature = "cassandra"),
        }
    }
}

/// The connection to Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redis {
    /// `hosts`: the server, nodes of the cluster, or sentinels, each `host` or `host:port`.
    pub(crate) hosts: Vec<String>,
    /// `master`: the name of the master that sentinels watch; `None` (empty in the file) if they monitor only one.
    pub(crate) master: Option<String>,
    /// `user` and so on
    pub(crate) access: Access,
    /// `namespace`: the first part of all keys.
    pub(crate) namespace: String,
}

/// The connection to Cassandra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cassandra {
    /// `hosts`: some nodes, each `host` or `host:port`.
    pub(crate) hosts: Vec<String>,
    /// `datacenter`: the one to ask; `None` (empty in the file) if there is only one.
    pub(crate) datacenter: Option<String>,
    /// `user` and so on
    pub(crate) access: Access,
    /// `keyspace`: created at the start if missing.
    pub(crate) keyspace: String,
    /// `keyspaceConfig`: its replication, when it is created.
    pub(crate) keyspace_config: String,
}

/// Credentials and TLS of servers on the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// `user`; `None` (empty in the file) for none.
    pub(crate) user: Option<String>,
    /// `password`; `None` (empty in the file) for none.
    pub(crate) password: Option<Secret>,
    /// `tls`: whether to use TLS and verify certificates.
    pub(crate) tls: bool,
    /// `tlsAuthority`: the CA certificates, a PEM file; `None` (empty in the file) for the system trust store.
    pub(crate) tls_authority: Option<PathBuf>,
}
