//! Addresses of stores on the command line. Everything else about a server, such as its password, is in the configuration.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use storage::{Sqlite, Store};

use crate::config::{Config, Storage};
use crate::{configured_store, restoration};

/// For the help of every option that takes an address.
pub(super) const HELP: &str = "\
sqlite:PATH is an SQLite file; redis:HOST[:PORT],... and cassandra:HOST[:PORT],... are servers, with user, password and TLS \
from the configuration; sqlite, redis or cassandra alone is the configured one";

/// The address of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// An SQLite file; `None` for the one in the data directory.
    Sqlite(Option<PathBuf>),
    /// Redis at these hosts; none for those of the configuration.
    Redis(Vec<String>),
    /// Cassandra at these hosts; none for those of the configuration.
    Cassandra(Vec<String>),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, place) = text.split_once(':').map_or((text, None), |(kind, place)| (kind, Some(place)));
        let wrong = || format!("'{text}' is not a store: write sqlite:PATH, redis:HOST or cassandra:HOST");
        // As a URL writes it: redis://HOST.
        let hosts = |place: Option<&str>| match place.map(|place| place.strip_prefix("//").unwrap_or(place)) {
            None => Ok(Vec::new()),
            Some(hosts) if hosts.split(',').any(|host| host.is_empty() || host.contains(['@', '/'])) => Err(wrong()),
            Some(hosts) => Ok(hosts.split(',').map(str::to_owned).collect()),
        };
        match (kind, place) {
            ("sqlite", Some("")) => Err(wrong()),
            ("sqlite", path) => Ok(Self::Sqlite(path.map(PathBuf::from))),
            ("redis", place) => hosts(place).map(Self::Redis),
            ("cassandra", place) => hosts(place).map(Self::Cassandra),
            _ => Err(wrong()),
        }
    }
}

impl Address {
    /// The store that the configuration names.
    pub(super) fn configured(config: &Config) -> Self {
        match config.storage {
            Storage::Sqlite => Self::Sqlite(None),
            Storage::Redis => Self::Redis(Vec::new()),
            Storage::Cassandra => Self::Cassandra(Vec::new()),
        }
    }

    /// Opens it for reading; a file must exist, and a collector may keep writing to it.
    ///
    /// # Errors
    /// When there is no such store.
    pub(super) fn open_to_read(&self, config: &Config) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Sqlite(path) => {
                let path = file(path.as_deref(), config);
                Ok(Arc::new(configured_store::in_file(&path, Sqlite::open_read_only(&path))?))
            }
            Self::Redis(_) | Self::Cassandra(_) => self.open_server(config),
        }
    }

    /// Opens it for writing; a missing file is created.
    ///
    /// # Errors
    /// When it cannot be opened; nothing was changed then.
    pub(super) fn open_to_write(&self, config: &Config) -> anyhow::Result<Arc<dyn Store>> {
        match self {
            Self::Sqlite(path) => {
                let path = file(path.as_deref(), config);
                restoration::refuse_unfinished(path.parent().unwrap_or(&path))?;
                Ok(Arc::new(configured_store::in_file(&path, Sqlite::open(&path))?))
            }
            Self::Redis(_) | Self::Cassandra(_) => self.open_server(config),
        }
    }

    fn open_server(&self, config: &Config) -> anyhow::Result<Arc<dyn Store>> {
        let mut config = config.clone();
        let (storage, configured, hosts) = match self {
            Self::Sqlite(_) => return configured_store::open(&config),
            Self::Redis(hosts) => (Storage::Redis, &mut config.redis.hosts, hosts),
            Self::Cassandra(hosts) => (Storage::Cassandra, &mut config.cassandra.hosts, hosts),
        };
        if !hosts.is_empty() {
            configured.clone_from(hosts);
        }
        config.storage = storage;
        configured_store::open(&config)
    }

    /// Whether both are certainly the same store.
    pub(super) fn is(&self, other: &Self, config: &Config) -> bool {
        match (self, other) {
            (Self::Sqlite(this), Self::Sqlite(other)) => {
                let [this, other] = [this, other].map(|path| file(path.as_deref(), config));
                this == other
                    || this.canonicalize().is_ok_and(|this| other.canonicalize().is_ok_and(|other| this == other))
            }
            _ => self == other,
        }
    }
}

fn file(path: Option<&Path>, config: &Config) -> PathBuf {
    path.map_or_else(|| configured_store::path(config), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_file_or_servers_or_what_is_configured() {
        let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        for (text, expected) in [
            ("sqlite", Address::Sqlite(None)),
            ("sqlite:/var/lib/netflow/netflow.sqlite", Address::Sqlite(Some("/var/lib/netflow/netflow.sqlite".into()))),
            ("sqlite:a:b", Address::Sqlite(Some("a:b".into()))),
            ("redis", Address::Redis(hosts(&[]))),
            ("redis:one", Address::Redis(hosts(&["one"]))),
            ("redis://one:6379,[2001:db8::1]:6380", Address::Redis(hosts(&["one:6379", "[2001:db8::1]:6380"]))),
            ("cassandra:one,two:9043", Address::Cassandra(hosts(&["one", "two:9043"]))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in
            ["", "sqlite:", "redis:", "redis:one,", "redis://user:secret@one", "cassandra:one/keyspace", "mysql:x"]
        {
            let message = text.parse::<Address>().unwrap_err();
            assert!(message.starts_with(&format!("'{text}' is not a store: write sqlite:PATH")), "{message}");
        }
    }

    #[test]
    fn one_store_under_two_names_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        std::fs::write(configured_store::path(&config), "").unwrap();
        let detour = Address::Sqlite(Some(folder.path().join("./netflow.sqlite")));
        assert!(Address::configured(&config).is(&detour, &config));
        assert!(!detour.is(&Address::Sqlite(Some(folder.path().join("other"))), &config));
        assert!(!detour.is(&Address::Redis(Vec::new()), &config));
    }
}
