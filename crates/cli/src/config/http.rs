//! The settings of the REST interface and of the web interface.

use std::net::{Ipv4Addr, SocketAddr};

use flow::Prefix;

/// The REST interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Http {
    /// `listen`: its listen address.
    pub(crate) listen: SocketAddr,
    /// `web`: whether the web interface is served there.
    pub(crate) web: bool,
    /// `trustedProxies`: the proxies that log users in.
    pub(crate) trusted_proxies: Vec<Prefix>,
}

impl Default for Http {
    fn default() -> Self {
        let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080);
        Self { listen, web: true, trusted_proxies: Vec::new() }
    }
}
