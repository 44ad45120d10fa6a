//! The REST interface of `netflow serve`: its socket, its keys and its certificate.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use api::{Api, Offer, Signatures};
use socket2::SockRef;
use storage::Store;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

use crate::commands::doctor::Resident;
use crate::config::Config;
use crate::configured_store::NONCES;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::keys::{self, KeySource, Keys};
use crate::tls;

/// The length of the queue of connections to accept.
const BACKLOG: u32 = 1024;

/// Whether a socket may be bound to an address that this host does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// At a start: at boot, addresses may come later.
    Allowed,
    /// At a reload: the interface that works is kept.
    Refused,
}

/// The socket that the service manager passed for this address, or a new one.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn listener(address: SocketAddr, passed: Option<StdListener>) -> io::Result<TcpListener> {
    let Some(passed) = passed else {
        if matches!(udp::is_here(address), Ok(false)) {
            tracing::warn!(%address, "this host does not have this address yet, serving the REST interface there as soon as it has");
        }
        return bind(address, Missing::Allowed);
    };
    passed.set_nonblocking(true)?;
    TcpListener::from_std(passed)
}

/// A new socket at an address on which this process does not listen.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn bind(address: SocketAddr, missing: Missing) -> io::Result<TcpListener> {
    // Without SO_REUSEPORT: fails when another process listens there.
    if address.port() != 0 {
        socket(address, missing)?.bind(address)?;
    }
    bind_beside(address, missing)
}

/// The same while this process listens on an overlapping address: 127.0.0.1:8080 and 0.0.0.0:8080.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn bind_beside(address: SocketAddr, missing: Missing) -> io::Result<TcpListener> {
    let socket = socket(address, missing)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn socket(address: SocketAddr, missing: Missing) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if missing == Missing::Allowed {
        let reference = SockRef::from(&socket);
        match address {
            SocketAddr::V4(_) => reference.set_freebind_v4(true)?,
            SocketAddr::V6(_) => reference.set_freebind_v6(true)?,
        }
    }
    Ok(socket)
}

/// The keys of the REST interface; logs where they are, never the keys.
///
/// # Errors
/// When keys cannot be read or are invalid.
pub(super) fn keys(config: &Config) -> Result<api::Keys, Failure> {
    let keys = Keys::load(&config.admin, &config.data_dir).or_exit(ExitCode::Store)?;
    match &keys.source {
        KeySource::Configuration => tracing::info!("using the keys in the configuration for the REST interface"),
        KeySource::File { path, made: false } => {
            tracing::info!("using the keys in {} for the REST interface", path.display())
        }
        KeySource::File { path, made: true } => {
            tracing::info!("generated keys for the REST interface in {}", path.display());
        }
    }
    let more = match &config.admin.keys_file {
        Some(path) => keys::named(path).or_exit(ExitCode::Config)?,
        None => Vec::new(),
    };
    let is_plain = config.admin.tls.certificate.is_none() && !config.http.listen.ip().is_loopback();
    if config.admin.signature != Signatures::Strict && is_plain {
        tracing::warn!(
            "version-1 signatures are enabled on a non-loopback address without TLS ({}): requests can be replayed; set \
             admin.signature = \"strict\" or a certificate in [admin.tls], or use a proxy with TLS",
            config.http.listen
        );
    }
    let keys = api::Keys::new(keys.auth.expose(), keys.sign.expose()).or_exit(ExitCode::Config)?;
    Ok(keys.with(more).accepting(config.admin.signature))
}

/// The REST interface to this store.
///
/// # Errors
/// When the file of used nonces cannot be read or written.
pub(super) fn interface(
    config: &Config,
    store: Arc<dyn Store>,
    keys: api::Keys,
    senders_changed: Arc<Notify>,
) -> Result<Api, Failure> {
    let nonces = config.data_dir.join(NONCES);
    Api::new(store, keys, senders_changed)
        .with_nonce_file(&nonces)
        .with_context(|| format!("cannot use the file of nonces {}", nonces.display()))
        .or_exit(ExitCode::Store)
}

/// The interface with its reloadable settings.
fn configured(interface: Api, config: &Config) -> Api {
    let interface = interface.keeping(config.keep().periods).stating(Arc::new(config.stated()));
    let interface = interface.examined_by(Arc::new(Resident::new(config)));
    let interface =
        if config.http.web { interface.with_web().trusting(config.http.trusted_proxies.clone()) } else { interface };
    let interface = if config.metrics.names { interface.with_named_metrics() } else { interface };
    if config.admin.open_metrics { interface } else { interface.with_signed_metrics() }
}

/// The routes and the certificate, read from its files now.
///
/// # Errors
/// When the certificate or its key cannot be used.
pub(super) fn offer(interface: Api, config: &Config) -> anyhow::Result<Offer> {
    let tls = tls::server(&config.admin.tls)?;
    for warning in tls::warnings(config, SystemTime::now()) {
        tracing::warn!("{warning}");
    }
    Ok(configured(interface, config).offer(tls))
}

/// Logs where the interface and its page are.
pub(super) fn log_addresses(config: &Config, address: SocketAddr) {
    tracing::info!("serving {}", url(config, address));
    if config.http.web {
        tracing::info!("web interface at {}/ (netflow web prints a link that logs in)", config.url_at(address));
    }
}

/// The URL of the interface.
fn url(config: &Config, address: SocketAddr) -> String {
    format!("{}://{address}", if config.admin.tls.certificate.is_some() { "https" } else { "http" })
}
