//! Why a collector could not start.

use std::io;
use std::net::SocketAddr;

use journal::Unreadable;
use storage::StoreError;

use crate::forwarding::ForwardError;

/// Why a collector could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot receive at {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's error.
        error: io::Error,
    },
    /// An address for BMP sessions could not be bound.
    #[error("cannot accept BMP sessions at {address} (bmp.listen): {error}")]
    ListenBmp {
        /// The address.
        address: SocketAddr,
        /// The kernel's error.
        error: io::Error,
    },
    /// An address for export connections could not be bound.
    #[error("cannot accept export connections at {address} (netflow.tcp.listen, netflow.tls.listen): {error}")]
    ListenExportConnections {
        /// The address.
        address: SocketAddr,
        /// The kernel's error.
        error: io::Error,
    },
    /// A target cannot be forwarded to.
    #[error("cannot forward to {address} (forward.targets): {error}")]
    Forward {
        /// The target.
        address: SocketAddr,
        /// Why.
        error: ForwardError,
    },
    /// A passed socket is bound to none of the addresses.
    #[error(
        "the socket of {0} was passed by the service manager, but neither netflow.listen nor sflow.listen names that address: use the same addresses for ListenDatagram= in the socket unit and in the configuration"
    )]
    Passed(SocketAddr),
    /// There is no address on which to receive.
    #[error("no address to receive at: netflow.listen and sflow.listen are both empty")]
    NoAddress,
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal of an earlier run cannot be read.
    #[error(transparent)]
    Journal(#[from] Unreadable),
}
