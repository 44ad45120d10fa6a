//! Maps the configuration to the settings of the collector, the journal and the stores. Nothing else does.

use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use accounting::period::PerPeriod;
use accounting::tally::TallySettings;
use collector::{BmpSettings, DnsSettings, ExportConnectionSettings, Keep, Origins, Reloadable, Settings};
use pipeline::Rules;
use storage::Stated;
#[cfg(feature = "cassandra")]
use storage::cassandra::CassandraSettings;
#[cfg(feature = "redis")]
use storage::redis::RedisSettings;
use wire::{PendingLimits, SessionLimits, TemplateLimits};

use super::Secret;
use super::{Archive, Clickhouse, Config, DAY, Kafka};
use crate::tls;

/// Where brokers listen if nothing else is stated.
const KAFKA_PORT: u16 = 9092;
/// Where ClickHouse's HTTP interface listens if nothing else is stated: without and with TLS.
const CLICKHOUSE_PORTS: [u16; 2] = [8123, 8443];

/// Approximate memory of a name: 20 to 90 bytes, with the free room of its table.
const NAME_OCTETS: usize = 64;

impl Config {
    /// The settings to start a collector with, except sockets passed by the service manager.
    ///
    /// # Errors
    /// If the files of `netflow.tls` cannot be used.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            passed: Vec::new(),
            passed_streams: Vec::new(),
            kept_connections: Vec::new(),
            threads: self.threads(),
            steering: self.server.steering,
            receive_buffer: self.server.receive_buffer,
            origins: self.origins(),
            reloadable: self.reloadable()?,
        })
    }

    /// The sources of AS numbers, before their owners know any.
    fn origins(&self) -> Origins {
        let origins = Origins::default();
        origins.set_order(self.origins.order);
        origins
    }

    /// The settings that a reload can change.
    ///
    /// # Errors
    /// If the files of `netflow.tls` cannot be used.
    pub(crate) fn reloadable(&self) -> anyhow::Result<Reloadable> {
        Ok(Reloadable {
            listen: self.listen(),
            forward: self.forward.targets.clone(),
            rules: self.rules(),
            stated: Arc::new(self.stated()),
            flush_interval: self.flush_interval,
            first_flush: self.first_flush,
            keep: self.keep(),
            journal: self.journal_settings(),
            spool_bytes: self.spool.max_bytes as u64,
            bmp: BmpSettings { listen: self.bmp.listen.clone(), memory: self.bmp.memory },
            export_connections: ExportConnectionSettings {
                tcp: self.netflow.tcp.listen.clone(),
                tls: tls::exporters(&self.netflow.tls)?,
                ..ExportConnectionSettings::default()
            },
            counted_prefixes: self.metrics.prefixes.map_or(0, NonZero::get),
        })
    }

    /// Where datagrams are received; each address takes every protocol.
    pub(crate) fn listen(&self) -> Vec<SocketAddr> {
        self.netflow.listen.iter().chain(&self.sflow.listen).copied().collect()
    }

    /// How flows are counted.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            scale_samples: self.netflow.calculate_samples,
            clock_limit: self.clock_limit,
            session: SessionLimits {
                templates: TemplateLimits { lifetime: self.netflow.template_lifetime, ..TemplateLimits::default() },
                pending: PendingLimits { age: self.netflow.template_wait, ..PendingLimits::default() },
            },
            tally: TallySettings {
                fields: self.accounting.fields,
                names: self.server.name_memory / NAME_OCTETS,
                ..TallySettings::default()
            },
        }
    }

    /// What DNS is asked for.
    pub(crate) fn dns(&self) -> DnsSettings {
        DnsSettings { named: self.senders.dns_names, servers: self.senders.dns_servers.clone() }
    }

    /// The networks and senders of the configuration.
    pub(crate) fn stated(&self) -> Stated {
        let networks = self.networks.named.iter().map(|stated| (stated.value.clone(), stated.place.clone()));
        let senders = self.senders.known.iter().map(|stated| (stated.value.clone(), stated.place.clone()));
        Stated {
            own: self.networks.own.clone(),
            networks: networks.collect(),
            senders: senders.collect(),
            accept: self.senders.accept.clone(),
            accept_limit: self.senders.accept_limit.map_or(0, NonZero::get),
        }
    }

    /// The names of the readers of the log.
    pub(crate) fn log_readers(&self) -> Vec<&'static str> {
        let readers = [
            (Archive::READER, self.archive.enabled),
            (Kafka::READER, self.kafka.is_on()),
            (Clickhouse::READER, self.clickhouse.is_on()),
        ];
        readers.into_iter().filter_map(|(reader, is_on)| is_on.then_some(reader)).collect()
    }

    /// How to reach Kafka, and what to send.
    ///
    /// # Errors
    /// If the CA certificates cannot be read.
    pub(crate) fn kafka_settings(&self) -> anyhow::Result<kafka::Settings> {
        let Kafka { brokers, topic, format, compression, mechanism, access } = &self.kafka;
        let tls = access.tls.then(|| tls::client(access.tls_authority.as_deref(), "kafka.tlsAuthority"));
        let login = |user: &String| kafka::Login {
            user: user.clone(),
            password: exposed(access.password.as_ref()).unwrap_or_default(),
            mechanism: *mechanism,
        };
        Ok(kafka::Settings {
            brokers: brokers.iter().map(|broker| with_port(broker, KAFKA_PORT)).collect(),
            topic: topic.clone(),
            format: *format,
            compression: *compression,
            login: access.user.as_ref().map(login),
            tls: tls.transpose()?,
        })
    }

    /// How to reach ClickHouse, and the table there.
    ///
    /// # Errors
    /// If the CA certificates cannot be read.
    pub(crate) fn clickhouse_settings(&self) -> anyhow::Result<clickhouse::Settings> {
        let Clickhouse { hosts, database, table, access, .. } = &self.clickhouse;
        let [plain, encrypted] = CLICKHOUSE_PORTS;
        let port = if access.tls { encrypted } else { plain };
        let authorities =
            access.tls.then(|| tls::authorities(access.tls_authority.as_deref(), "clickhouse.tlsAuthority"));
        Ok(clickhouse::Settings {
            hosts: hosts.iter().map(|host| with_port(host, port)).collect(),
            authorities: authorities.transpose()?,
            database: database.clone(),
            table: table.clone(),
            user: access.user.clone(),
            password: exposed(access.password.as_ref()),
        })
    }

    /// What the archive keeps.
    pub(crate) fn archive_retention(&self) -> archive::Retention {
        let days = u32::try_from(self.archive.keep.as_secs() / DAY).unwrap_or(u32::MAX);
        let percent = self.archive.free_percent.map_or(0, |percent| u8::try_from(percent.get()).unwrap_or(u8::MAX));
        let reserve = archive::Reserve { percent };
        archive::Retention { days, bytes: self.archive.max_bytes as u64, reserve }
    }

    /// The size limit and the sync policy of the journal.
    pub(crate) fn journal_settings(&self) -> journal::Settings {
        journal::Settings { sync: self.journal.sync, limit_bytes: self.journal.max_bytes as u64 }
    }

    /// How long blocks are kept.
    pub(crate) fn keep(&self) -> Keep {
        let kept = &self.retention;
        Keep { periods: PerPeriod::new([kept.minutes, kept.hours, kept.days, kept.months, kept.years]) }
    }

    /// How many threads receive and count.
    fn threads(&self) -> usize {
        self.server.cores.or_else(|| thread::available_parallelism().ok()).map_or(1, usize::from)
    }

    /// How to reach Redis.
    #[cfg(feature = "redis")]
    pub(crate) fn redis_settings(&self) -> RedisSettings {
        let Self { redis, .. } = self;
        RedisSettings {
            hosts: redis.hosts.clone(),
            username: redis.access.user.clone(),
            password: exposed(redis.access.password.as_ref()),
            tls: redis.access.tls,
            authority: redis.access.tls_authority.clone(),
            master: redis.master.clone(),
            namespace: redis.namespace.clone(),
        }
    }

    /// How to reach Cassandra, and how long it keeps blocks.
    #[cfg(feature = "cassandra")]
    pub(crate) fn cassandra_settings(&self) -> CassandraSettings {
        let Self { cassandra, .. } = self;
        CassandraSettings {
            hosts: cassandra.hosts.clone(),
            username: cassandra.access.user.clone(),
            password: exposed(cassandra.access.password.as_ref()),
            keyspace: cassandra.keyspace.clone(),
            keyspace_config: cassandra.keyspace_config.clone(),
            datacenter: cassandra.datacenter.clone(),
            tls: cassandra.access.tls,
            authority: cassandra.access.tls_authority.clone(),
            keep: self.keep().periods,
        }
    }
}

/// The host with a port. An IPv6 address without brackets has none.
fn with_port(host: &str, port: u16) -> String {
    let is_stated = host.rsplit_once(':').is_some_and(|(name, _)| !name.contains(':') || name.ends_with(']'));
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) if is_stated => host.to_owned(),
        Err(_) => format!("{host}:{port}"),
    }
}

fn exposed(secret: Option<&Secret>) -> Option<String> {
    secret.map(|secret| secret.expose().to_owned())
}
