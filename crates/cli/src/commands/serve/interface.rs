//! The REST interface of `netflow serve`: its socket, its keys and its certificate.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use api::{Api, Offer, Signatures};
use storage::Store;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

use crate::config::Config;
use crate::configured_store::NONCES;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::keys::{self, KeySource, Keys};
use crate::tls;

/// The length of the queue of connections to accept.
const BACKLOG: u32 = 1024;

/// The socket that the service manager passed for this address, or a new one.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn listener(address: SocketAddr, passed: Option<StdListener>) -> io::Result<TcpListener> {
    let Some(passed) = passed else { return bind(address) };
    passed.set_nonblocking(true)?;
    TcpListener::from_std(passed)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // Without SO_REUSEPORT: fails when another process listens there.
    if address.port() != 0 {
        socket(address)?.bind(address)?;
    }
    bind_beside(address)
}

/// As a new [`listener`], while this process listens on an overlapping address: 127.0.0.1:8080 and 0.0.0.0:8080.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn bind_beside(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
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
    let interface = interface.keeping(config.keep().periods);
    if config.admin.open_metrics { interface } else { interface.with_signed_metrics() }
}

/// The routes and the certificate, read from its files now.
///
/// # Errors
/// When the certificate or its key cannot be used.
pub(super) fn offer(interface: Api, config: &Config) -> anyhow::Result<Offer> {
    let tls = tls::server(&config.admin.tls)?;
    for warning in tls::warnings(&config.admin.tls, SystemTime::now()) {
        tracing::warn!("{warning}");
    }
    Ok(configured(interface, config).offer(tls))
}

/// The URL of the interface.
pub(super) fn url(config: &Config, address: SocketAddr) -> String {
    format!("{}://{address}", if config.admin.tls.certificate.is_some() { "https" } else { "http" })
}
