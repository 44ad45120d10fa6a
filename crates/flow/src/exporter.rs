//! Who sends: an exporter is known by the source address of its datagrams (RFC 7011, section 2: Exporter).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The transport address that a datagram came from. The address says whose it is; the port only tells apart
/// export processes behind one address, because templates of the same port are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exporter {
    /// Source address, canonical: never an IPv4-mapped IPv6 address.
    pub address: IpAddr,
    /// Source UDP port.
    pub port: u16,
}

impl Exporter {
    /// An exporter by address and port; an IPv4-mapped IPv6 address becomes the IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address: canonical(address), port }
    }
}

impl From<SocketAddr> for Exporter {
    fn from(socket: SocketAddr) -> Self {
        Self::new(socket.ip(), socket.port())
    }
}

impl fmt::Display for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// The address as operators write it: `::ffff:192.0.2.1`, which a dual-stack socket reports, is `192.0.2.1`.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:2055".parse().unwrap();
        assert_eq!(Exporter::from(mapped).to_string(), "192.0.2.1:2055");
        let native: SocketAddr = "[2001:db8::1]:2055".parse().unwrap();
        assert_eq!(Exporter::from(native).to_string(), "[2001:db8::1]:2055");
    }
}
