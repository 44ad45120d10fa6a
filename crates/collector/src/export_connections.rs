//! Export connections: TCP connections, plain or with TLS, over which exporters send IPFIX messages (RFC 7011, section 10.4).

mod shown;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;

pub(crate) use self::shown::{Shown, counters, gauge};

/// The settings of export connections.
#[derive(Clone, Debug)]
pub struct ExportConnectionSettings {
    /// The addresses to accept connections without TLS at; none is the default.
    pub tcp: Vec<SocketAddr>,
    /// Where TLS is required; `None` is nowhere.
    pub tls: Option<TlsSettings>,
    /// How many connections a sender may have at a time.
    pub per_sender: usize,
}

/// The settings of export connections with TLS.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The addresses to accept connections with TLS at.
    pub listen: Vec<SocketAddr>,
    /// The certificates: those shown to exporters, and what those of exporters are verified against.
    pub server: Arc<ServerConfig>,
}

impl Default for ExportConnectionSettings {
    fn default() -> Self {
        Self { tcp: Vec::new(), tls: None, per_sender: 16 }
    }
}
