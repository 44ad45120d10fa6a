//! The configuration: a TOML file, and environment variables, which override it. Names are those of the original where
//! it had them. `packaging/netflow.toml` and `docs/configuration.md` are generated from the table of all keys.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `config/reference.rs` | every key in one table, and how to find one by its name or the nearest to a wrong one |
//! | `config/key.rs` | what a key is |
//! | `config/tables.rs` | lists of tables, such as networks with names |
//! | `config/value_kind.rs` | the kinds of values: how each is read, written and described |
//! | `config/document.rs` | the table as a commented file, as Markdown and as a man page |
//! | `config/value.rs` | values as a file or a variable holds them, and how they become addresses, numbers, lists |
//! | `config/archive.rs` | the settings of the archive of flows |
//! | `config/registered.rs` | routers that are registered without a request |
//! | `config/bmp.rs` | the settings of BMP sessions |
//! | `config/export_connections.rs` | the settings of IPFIX over TCP and TLS |
//! | `config/http.rs` | the settings of the REST interface and the web interface |
//! | `config/unit.rs` | durations and sizes: `10s`, `7d`, `8MiB` |
//! | `config/source.rs` | a file or the environment to keys with values |
//! | `config/interface_settings.rs` | what interfaces of routers are called, and whose SNMP agents are asked |
//! | `config/mapping.rs` | what the collector, its journal and the stores get of it |
//! | `config/original.rs` | the settings of netflow.io, and what they are here |
//! | `config/hocon.rs` | the format of its files |
//! | `config/origin_settings.rs` | who is asked for the AS of an address |
//! | `config/stores.rs` | the stores and how to reach those on the network |
//! | `config/forward.rs` | other collectors that get copies of datagrams |
//! | `config/kafka.rs` | the stream of flows to Kafka |
//! | `config/queues.rs` | the settings of the spool, the log and the journal |
//! | `config/error.rs` | everything that is wrong, each with its place |

mod archive;
mod bmp;
mod clickhouse;
pub(crate) mod document;
mod error;
mod export_connections;
mod forward;
pub(crate) mod hocon;
mod http;
mod interface_settings;
mod kafka;
mod key;
mod mapping;
mod metrics;
mod origin_settings;
mod original;
mod queues;
mod reference;
mod registered;
mod source;
mod stores;
mod tables;
pub(crate) mod unit;
mod value;
mod value_kind;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use accounting::field::FieldSet;
use api::Signatures;
pub(crate) use archive::{Archive, Query};
pub(crate) use bmp::Bmp;
pub(crate) use clickhouse::Clickhouse;
pub(crate) use error::ConfigError;
use error::Problem;
pub(crate) use export_connections::{NetflowTcp, NetflowTls};
use flow::{Network, Prefix};
use forward::Forward;
pub(crate) use http::Http;
use interface_settings::InterfaceSettings;
pub(crate) use interface_settings::SnmpSettings;
use journal::Sync;
pub(crate) use kafka::Kafka;
pub(crate) use key::Key;
pub(crate) use metrics::Metrics;
pub(crate) use origin_settings::OriginSettings;
pub(crate) use original::import;
use queues::{Journal, Log, Spool};
pub(crate) use reference::KEYS;
use registered::Senders;
pub(crate) use source::{Origin, Origins};
pub(crate) use stores::{Access, Cassandra, Redis, Storage};
pub(crate) use tables::Stated;
use udp::Steering;

/// The file that is read when none is given, if it exists.
pub(crate) const DEFAULT_FILE: &str = "/etc/netflow/netflow.toml";

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `server`
    pub(crate) server: Server,
    /// `admin`
    pub(crate) admin: Admin,
    /// `http`
    pub(crate) http: Http,
    /// `metrics`
    pub(crate) metrics: Metrics,
    /// `netflow`
    pub(crate) netflow: Netflow,
    /// `sflow`
    pub(crate) sflow: Sflow,
    /// `accounting`
    pub(crate) accounting: Accounting,
    /// `networks`
    pub(crate) networks: Networks,
    /// `senders`
    pub(crate) senders: Senders,
    /// `origins`
    pub(crate) origins: OriginSettings,
    /// `interfaces`
    pub(crate) interfaces: InterfaceSettings,
    /// `snmp`
    pub(crate) snmp: SnmpSettings,
    /// `bmp`
    pub(crate) bmp: Bmp,
    /// `forward`
    pub(crate) forward: Forward,
    /// `retention`
    pub(crate) retention: Retention,
    /// `storage`: where senders and blocks are stored.
    pub(crate) storage: Storage,
    /// `redis`
    pub(crate) redis: Redis,
    /// `cassandra`
    pub(crate) cassandra: Cassandra,
    /// `spool`
    pub(crate) spool: Spool,
    /// `log`
    pub(crate) log: Log,
    /// `archive`
    pub(crate) archive: Archive,
    /// `kafka`
    pub(crate) kafka: Kafka,
    /// `clickhouse`
    pub(crate) clickhouse: Clickhouse,
    /// `journal`
    pub(crate) journal: Journal,
    /// `dataDir`: the directory for everything on disk; created if missing.
    pub(crate) data_dir: PathBuf,
    /// `flushInterval`: how often counters are stored.
    pub(crate) flush_interval: Duration,
    /// `firstFlush`: how long the first flows of a newly registered router wait to be stored.
    pub(crate) first_flush: Duration,
    /// `clockLimit`: how far an export time may differ from the receive time.
    pub(crate) clock_limit: Duration,
}

/// The process as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// `cores`: how many threads receive and count; `None` (0 in the file) for one on each core of the machine.
    pub(crate) cores: Option<NonZero<usize>>,
    /// `statuslog`: how often a line of rates is logged; `None` ("never" in the file) for not at all.
    pub(crate) statuslog: Option<Duration>,
    /// `logLevel`: how much is logged.
    pub(crate) log_level: LogLevel,
    /// `logFormat`: the form of the lines of the log.
    pub(crate) log_format: LogFormat,
    /// `steering`: which thread gets which datagrams.
    pub(crate) steering: Steering,
    /// `receiveBuffer`: octets that the kernel is asked to buffer for each socket.
    pub(crate) receive_buffer: usize,
    /// `nameMemory`: about how many octets the names that are counted under may take.
    pub(crate) name_memory: usize,
}

/// The form of the lines of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    /// A JSON object a line.
    Json,
}

/// The log level: this, and more severe ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// Failures.
    Error,
    /// Problems to look at.
    Warn,
    /// Events.
    Info,
    /// Steps.
    Debug,
    /// Everything.
    Trace,
}

/// Access to the REST interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    /// `authKey`; `None` (empty in the file) for a random one.
    pub(crate) auth_key: Option<Secret>,
    /// `signKey`; `None` (empty in the file) for a random one.
    pub(crate) sign_key: Option<Secret>,
    /// `keysFile`: more keys, with names and roles; `None` (empty in the file) for none.
    pub(crate) keys_file: Option<PathBuf>,
    /// `signature`: which signatures are accepted.
    pub(crate) signature: Signatures,
    /// `openMetrics`: whether `/metrics` needs no credentials.
    pub(crate) open_metrics: bool,
    /// `tls`
    pub(crate) tls: Tls,
}

/// What flows are counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accounting {
    /// `fields`: the fields beside `all`.
    pub(crate) fields: FieldSet,
}

/// The networks of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    /// `own`: flows between them are local; empty for the monitored prefixes of each sender.
    pub(crate) own: Vec<Prefix>,
    /// `named`: networks with names.
    pub(crate) named: Vec<Stated<Network>>,
}

/// A certificate of the collector, by which connections to it are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// `certificate`: a PEM file; `None` (empty in the file) for no TLS.
    pub(crate) certificate: Option<PathBuf>,
    /// `key`: its private key, a PEM file; `None` for no TLS.
    pub(crate) key: Option<PathBuf>,
}

/// NetFlow and IPFIX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Netflow {
    /// `listen`: the listen addresses.
    pub(crate) listen: Vec<SocketAddr>,
    /// `calculateSamples`: whether sampled bytes and packets are multiplied by the sampling rate.
    pub(crate) calculate_samples: bool,
    /// `templateLifetime`: how long a template is valid without being repeated; `None` ("forever" in the file) until
    /// the exporter restarts.
    pub(crate) template_lifetime: Option<Duration>,
    /// `templateWait`: how long data waits for its template.
    pub(crate) template_wait: Duration,
    /// `netflow.tcp`
    pub(crate) tcp: NetflowTcp,
    /// `netflow.tls`
    pub(crate) tls: NetflowTls,
}

/// sFlow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sflow {
    /// `listen`: the listen addresses.
    pub(crate) listen: Vec<SocketAddr>,
}

/// How long counters of each period are kept; `None` ("forever" in the file) is without limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// `minutes`
    pub(crate) minutes: Option<Duration>,
    /// `hours`
    pub(crate) hours: Option<Duration>,
    /// `days`
    pub(crate) days: Option<Duration>,
    /// `months`
    pub(crate) months: Option<Duration>,
    /// `years`
    pub(crate) years: Option<Duration>,
}

impl Default for Admin {
    fn default() -> Self {
        let signature = Signatures::Compat;
        Self { auth_key: None, sign_key: None, keys_file: None, signature, open_metrics: true, tls: Tls::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server {
                cores: None,
                statuslog: Some(Duration::from_secs(HOUR)),
                log_level: LogLevel::Info,
                log_format: LogFormat::Text,
                steering: Steering::Source,
                receive_buffer: 32 * 1024 * 1024,
                name_memory: 128 * 1024 * 1024,
            },
            admin: Admin::default(),
            http: Http::default(),
            metrics: Metrics::default(),
            netflow: Netflow {
                listen: everywhere(&[2055, 4739]),
                calculate_samples: true,
                template_lifetime: None,
                template_wait: Duration::from_secs(30 * MINUTE),
                tcp: NetflowTcp::default(),
                tls: NetflowTls::default(),
            },
            sflow: Sflow { listen: everywhere(&[6343]) },
            retention: Retention {
                minutes: Some(Duration::from_secs(7 * DAY)),
                hours: Some(Duration::from_secs(90 * DAY)),
                days: Some(Duration::from_secs(5 * YEAR)),
                months: None,
                years: None,
            },
            accounting: Accounting::default(),
            networks: Networks::default(),
            senders: Senders::default(),
            origins: OriginSettings::default(),
            interfaces: InterfaceSettings::default(),
            snmp: SnmpSettings::default(),
            bmp: Bmp::default(),
            forward: Forward::default(),
            storage: Storage::Sqlite,
            redis: Redis {
                hosts: vec!["localhost:6379".to_owned()],
                master: None,
                access: Access::default(),
                namespace: "netflow".to_owned(),
            },
            cassandra: Cassandra {
                hosts: vec!["localhost:9042".to_owned()],
                datacenter: None,
                access: Access::default(),
                keyspace: "netflow".to_owned(),
                keyspace_config: "WITH REPLICATION = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
                    .to_owned(),
            },
            spool: Spool { max_bytes: 2 * 1024 * 1024 * 1024 },
            log: Log { max_bytes: 4 * 1024 * 1024 * 1024 },
            archive: Archive {
                enabled: true,
                keep: Duration::from_secs(7 * DAY),
                max_bytes: 10 * 1024 * 1024 * 1024,
                free_percent: NonZero::new(10),
                query: Query::default(),
                query_memory: 4 * 1024 * 1024 * 1024,
            },
            kafka: Kafka::default(),
            clickhouse: Clickhouse::default(),
            journal: Journal { sync: Sync::default(), max_bytes: 1024 * 1024 * 1024 },
            data_dir: PathBuf::from("data"),
            flush_interval: Duration::from_secs(10 * SECOND),
            first_flush: Duration::from_secs(SECOND),
            clock_limit: Duration::from_secs(10 * MINUTE),
        }
    }
}

fn everywhere(ports: &[u16]) -> Vec<SocketAddr> {
    let addresses = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    ports.iter().flat_map(|port| addresses.map(|address| SocketAddr::new(address, *port))).collect()
}

/// Settings, and where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    /// The file that was read, if any.
    pub(crate) file: Option<PathBuf>,
    /// The origin of each setting.
    pub(crate) origins: Origins,
}

impl Loaded {
    /// A warning when everybody can read a secret in the file.
    pub(crate) fn exposed_secret(&self) -> Option<String> {
        let path = self.file.as_ref()?;
        let is_in_file = |key: &&Key| matches!(self.origins.get(key.name), Some(Origin::Line(_)));
        let secret = KEYS.iter().filter(is_in_file).find(|key| key.literal(&self.config).is_none())?;
        let mode = fs::metadata(path).ok()?.mode();
        let path = path.display();
        (mode & 0o007 != 0).then(|| format!("everybody can read {} in {path}: run chmod o-rwx {path}", secret.name))
    }
}

/// Questions would have no answers.
const NO_CLICKHOUSE: &str = "archive.query is \"clickhouse\", but no flows are sent to ClickHouse: set clickhouse.hosts too, or \
                             archive.query = \"local\"";

impl Config {
    /// Reads the given file, or [`DEFAULT_FILE`] if it exists; then the environment, whose variables are described at
    /// [`key::Key::variable`].
    ///
    /// # Errors
    /// All errors in the file and the environment.
    pub(crate) fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigError> {
        let file = path.map(Path::to_owned).or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        let mut problems = Vec::new();
        let (mut config, mut origins) = (Self::default(), Origins::new());
        if let Some(path) = &file {
            let text = fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
            source::apply_file(path, &text, &mut config, &mut origins, &mut problems);
        }
        source::apply_environment(environment, &mut config, &mut origins, &mut problems);
        if config.archive.query == Query::Clickhouse && !config.clickhouse.is_on() {
            problems.push(Problem::of_several(NO_CLICKHOUSE));
        }
        if problems.is_empty() { Ok(Loaded { config, file, origins }) } else { Err(ConfigError::new(problems)) }
    }
}

impl Config {
    /// This configuration after a reload of another: keys that are not live keep their values.
    pub(crate) fn with_live_of(&self, other: Self) -> Self {
        let Self { storage, redis, cassandra, data_dir, accounting, archive, kafka, clickhouse, .. } = self.clone();
        let Server { cores, steering, receive_buffer, name_memory, .. } = self.server;
        Self {
            server: Server { cores, steering, receive_buffer, name_memory, ..other.server },
            storage,
            redis,
            cassandra,
            data_dir,
            accounting,
            archive,
            kafka,
            clickhouse,
            // Cassandra expires blocks by a lifetime that is set when they are written.
            retention: if storage == Storage::Cassandra { self.retention.clone() } else { other.retention },
            ..other
        }
    }

    /// The URL of the REST interface of a collector with this configuration, from its own machine.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.http.listen)
    }

    /// The same for one that listens on this address.
    pub(crate) fn url_at(&self, mut address: SocketAddr) -> String {
        if address.ip().is_unspecified() {
            let loopback: IpAddr =
                if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        let scheme = if self.admin.tls.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }
}

/// Text that never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Hides a text.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to compare or sign with it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests;
