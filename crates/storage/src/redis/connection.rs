//! Connections: to one server, to all masters of a cluster, or to the master that sentinels name; made when needed, and
//! made again after a failure.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, TlsCertificates,
};
use tokio::sync::{Mutex, OnceCell};

use super::RedisSettings;
use crate::StoreError;

const CONNECT: Duration = Duration::from_secs(3);
const RESPOND: Duration = Duration::from_secs(15);

/// How many requests are on their way at the same time.
const UNDER_WAY: usize = 128;

/// The way to the server, to all masters of a cluster, or to the master that sentinels know.
pub(super) struct Link {
    settings: RedisSettings,
    certificates: TlsCertificates,
    addresses: Vec<ConnectionAddr>,
    made: OnceCell<Made>,
}

enum Made {
    Cluster(ClusterConnection),
    Master(Box<Mutex<Master>>),
}

/// The server that is written to, as far as known.
struct Master {
    /// `None` where the configured hosts are servers: the one that is no replica is the master.
    sentinels: Option<SentinelClient>,
    connection: Option<MultiplexedConnection>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("hosts", &self.settings.hosts).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(settings: RedisSettings) -> Result<Self, StoreError> {
        let addresses: Result<Vec<_>, _> = settings.hosts.iter().map(|host| address(host, settings.tls)).collect();
        let addresses = addresses?;
        if addresses.is_empty() {
            return Err(StoreError::Config("redis.hosts names no host".into()));
        }
        let root_cert = match &settings.authority {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| StoreError::config(path.display(), error))?),
        };
        if settings.tls {
            // Fails when the program has chosen a provider already: then that one is used.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let certificates = TlsCertificates { client_tls: None, root_cert };
        Ok(Self { settings, certificates, addresses, made: OnceCell::new() })
    }

    /// One command.
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        Ok(match self.made().await? {
            Made::Cluster(connection) => command.query_async(&mut connection.clone()).await?,
            Made::Master(master) => {
                let mut connection = self.master(master).await?;
                let answer = command.query_async(&mut connection).await;
                drop_connection_after_failover(master, answer).await?
            }
        })
    }

    /// Commands about one key, sent together.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        Ok(match self.made().await? {
            Made::Cluster(connection) => pipeline.query_async(&mut connection.clone()).await?,
            Made::Master(master) => {
                let mut connection = self.master(master).await?;
                let answer = pipeline.query_async(&mut connection).await;
                drop_connection_after_failover(master, answer).await?
            }
        })
    }

    /// Many pipelines at a time; their answers are of no interest, but all of them have succeeded.
    pub(super) async fn run(&self, pipelines: Vec<Pipeline>) -> Result<(), StoreError> {
        let sent = stream::iter(pipelines).map(|pipeline| async move { self.pipeline::<()>(&pipeline).await });
        sent.buffer_unordered(UNDER_WAY).try_collect().await
    }

    /// Something for each of many items, in their order, many at a time.
    pub(super) async fn each<I, T, F>(&self, items: I, ask: impl FnMut(I::Item) -> F) -> Result<Vec<T>, StoreError>
    where
        I: IntoIterator,
        F: Future<Output = Result<T, StoreError>>,
    {
        stream::iter(items).map(ask).buffered(UNDER_WAY).try_collect().await
    }

    async fn made(&self) -> Result<&Made, StoreError> {
        self.made.get_or_try_init(|| self.make()).await
    }

    /// Asks the first server that answers what it is.
    async fn make(&self) -> Result<Made, StoreError> {
        let mut last = None;
        for address in &self.addresses {
            match self.make_by(address).await {
                Ok(made) => return Ok(made),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Config("redis.hosts names no host".into())))
    }

    async fn make_by(&self, address: &ConnectionAddr) -> Result<Made, StoreError> {
        let mut connection = self.connect(address).await?;
        let sentinels = match information(&mut connection, "server", "redis_mode").await?.as_deref() {
            Some("cluster") => return self.make_cluster().await,
            Some("sentinel") => Some(self.sentinels(self.master_name(&mut connection).await?)?),
            _ => {
                warn_of_eviction(&mut connection).await;
                None
            }
        };
        Ok(Made::Master(Box::new(Mutex::new(Master { sentinels, connection: None }))))
    }

    async fn connect(&self, address: &ConnectionAddr) -> Result<MultiplexedConnection, StoreError> {
        let information = self.information(address)?;
        let client = if self.settings.tls {
            Client::build_with_tls(information, self.certificates.clone())?
        } else {
            Client::open(information)?
        };
        Ok(client.get_multiplexed_async_connection_with_config(&configuration()).await?)
    }

    /// The first of the servers that is a master; a replica when there is none, which can be read at least.
    async fn find_master(&self) -> Result<MultiplexedConnection, StoreError> {
        let (mut replica, mut last) = (None, None);
        for address in &self.addresses {
            let found = async {
                let mut connection = self.connect(address).await?;
                let role = information(&mut connection, "replication", "role").await?;
                Ok::<_, StoreError>((connection, role))
            };
            match found.await {
                Ok((connection, role)) if role.as_deref() == Some("slave") => replica = replica.or(Some(connection)),
                Ok((connection, _)) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        match (replica, last) {
            (Some(replica), _) => Ok(replica),
            (None, Some(error)) => Err(error),
            (None, None) => Err(StoreError::Config("redis.hosts names no host".into())),
        }
    }

    async fn make_cluster(&self) -> Result<Made, StoreError> {
        let nodes: Result<Vec<ConnectionInfo>, _> = self.addresses.iter().map(|node| self.information(node)).collect();
        let mut builder =
            ClusterClient::builder(nodes?).connection_timeout(CONNECT).response_timeout(RESPOND).retries(3);
        if self.settings.tls {
            builder = builder.certs(self.certificates.clone());
        }
        Ok(Made::Cluster(builder.build()?.get_async_connection().await?))
    }

    async fn master_name(&self, sentinel: &mut MultiplexedConnection) -> Result<String, StoreError> {
        if let Some(name) = &self.settings.master {
            return Ok(name.clone());
        }
        let masters: Vec<std::collections::HashMap<String, String>> =
            redis::cmd("SENTINEL").arg("MASTERS").query_async(sentinel).await?;
        let names: Vec<String> = masters.into_iter().filter_map(|mut master| master.remove("name")).collect();
        match names.as_slice() {
            [name] => Ok(name.clone()),
            _ => Err(StoreError::Config(
                format!(
                    "the sentinels watch over {} masters ({}): choose one with redis.master",
                    names.len(),
                    names.join(", ")
                )
                .into(),
            )),
        }
    }

    fn sentinels(&self, name: String) -> Result<SentinelClient, StoreError> {
        let server = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(self.addresses.clone(), name, server)?;
        if let Some(username) = &self.settings.username {
            builder = builder.set_client_to_redis_username(username).set_client_to_sentinel_username(username);
        }
        if let Some(password) = &self.settings.password {
            builder = builder.set_client_to_redis_password(password).set_client_to_sentinel_password(password);
        }
        if self.settings.tls {
            builder = builder
                .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
                .set_client_to_redis_certificates(self.certificates.clone())
                .set_client_to_sentinel_tls_mode(redis::TlsMode::Secure)
                .set_client_to_sentinel_certificates(self.certificates.clone());
        }
        Ok(builder.build()?)
    }

    async fn master(&self, master: &Mutex<Master>) -> Result<MultiplexedConnection, StoreError> {
        let mut master = master.lock().await;
        if let Some(connection) = &master.connection {
            return Ok(connection.clone());
        }
        let connection = match &mut master.sentinels {
            Some(sentinels) => sentinels.get_async_connection_with_config(&configuration()).await?,
            None => self.find_master().await?,
        };
        master.connection = Some(connection.clone());
        Ok(connection)
    }

    fn information(&self, address: &ConnectionAddr) -> Result<ConnectionInfo, StoreError> {
        let mut login = RedisConnectionInfo::default();
        if let Some(username) = &self.settings.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.settings.password {
            login = login.set_password(password);
        }
        Ok(address.clone().into_connection_info()?.set_redis_settings(login))
    }
}

fn configuration() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(RESPOND))
}

/// Drops the connection after an error that another master would not have given, so that the next request looks for the
/// master again. A master that became a replica keeps its connections, and refuses every write with `READONLY`.
async fn drop_connection_after_failover<T>(
    master: &Mutex<Master>,
    answer: Result<T, RedisError>,
) -> Result<T, RedisError> {
    if let Err(error) = &answer
        && (error.is_unrecoverable_error() || error.is_io_error() || error.code() == Some("READONLY"))
    {
        master.lock().await.connection = None;
    }
    answer
}

/// A line of the answer to `INFO`.
async fn information(
    connection: &mut MultiplexedConnection,
    section: &str,
    name: &str,
) -> Result<Option<String>, RedisError> {
    let text: String = redis::cmd("INFO").arg(section).query_async(connection).await?;
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(values.next().map(|value| value.trim().to_owned()))
}

/// A server that evicts keys when it is full loses what was acknowledged.
async fn warn_of_eviction(connection: &mut MultiplexedConnection) {
    // Some services forbid the question: then there is nothing to warn of.
    let policy = information(connection, "memory", "maxmemory_policy").await.ok().flatten();
    if let Some(policy) = policy
        && policy != "noeviction"
    {
        tracing::warn!(policy, "Redis deletes keys when its memory is full: set maxmemory-policy to noeviction");
    }
}

/// `host`, `host:port`, `[2001:db8::1]:6379` or a bare IPv6 address.
fn address(host: &str, tls: bool) -> Result<ConnectionAddr, StoreError> {
    const PORT: u16 = 6379;
    let wrong = || StoreError::Config(format!("'{host}' in redis.hosts is not of the form host or host:port").into());
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) => (name, PORT),
        Some((name, port)) => (name, port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or_else(wrong)?),
        None => match host.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, port.parse().map_err(|_| wrong())?),
            _ => (host, PORT),
        },
    };
    if name.is_empty() || name.contains(['/', '@', ' ']) {
        return Err(wrong());
    }
    let host = name.to_owned();
    Ok(if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    })
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::EmptySentinelList, _)
            | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => Self::Config(error.into()),
            (ErrorKind::UnexpectedReturnType, _) | (_, Some("WRONGTYPE")) => Self::Corrupt(error.into()),
            // Unreachable, loading, failing over, out of memory, slots on the move: try again.
            _ => Self::Retry(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for (text, host, port) in [
            ("localhost", "localhost", 6379),
            ("redis.example:7000", "redis.example", 7000),
            ("192.0.2.1", "192.0.2.1", 6379),
            ("2001:db8::1", "2001:db8::1", 6379),
            ("[2001:db8::1]", "2001:db8::1", 6379),
            ("[2001:db8::1]:7000", "2001:db8::1", 7000),
        ] {
            assert_eq!(address(text, false).unwrap(), ConnectionAddr::Tcp(host.to_owned(), port), "{text}");
        }
        for text in ["", ":6379", "host:", "host:port", "host:70000", "[::1]x", "redis://host", "user@host"] {
            assert!(matches!(address(text, false), Err(StoreError::Config(_))), "{text}");
        }
    }
}
