//! The settings of BMP sessions.

use std::net::SocketAddr;

/// Routes of routers, by BMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bmp {
    /// `listen`: the listen addresses.
    pub(crate) listen: Vec<SocketAddr>,
    /// `memory`: about how many octets all routes may take.
    pub(crate) memory: usize,
}

impl Default for Bmp {
    fn default() -> Self {
        Self { listen: Vec::new(), memory: 1024 * 1024 * 1024 }
    }
}
