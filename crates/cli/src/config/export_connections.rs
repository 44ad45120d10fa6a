//! The settings of export connections: connections over which exporters send IPFIX.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Tls;

/// IPFIX over TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetflowTcp {
    /// `listen`: the listen addresses.
    pub(crate) listen: Vec<SocketAddr>,
}

/// IPFIX over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetflowTls {
    /// `listen`: the listen addresses.
    pub(crate) listen: Vec<SocketAddr>,
    /// `certificate` and `key`: those of the collector.
    pub(crate) own: Tls,
    /// `ca`: a PEM file with the authorities that sign the certificates of exporters; `None` (empty in the file) for none.
    pub(crate) ca: Option<PathBuf>,
}
