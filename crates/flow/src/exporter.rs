//! Exporters: an exporter is known by the source address of its messages (RFC 7011, section 2).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a message came from. The address identifies the exporter; transport and port distinguish the export processes
/// at one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exporter {
    /// The transport protocol.
    pub transport: Transport,
    /// Source address, canonical: never an IPv4-mapped IPv6 address.
    pub address: IpAddr,
    /// Source port.
    pub port: u16,
}

/// The transport protocol of export messages. What a session may do follows from it: `wire::session_rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP: one message in each datagram.
    Udp,
    /// TCP, with or without TLS: messages one after the other, all of one exporting process.
    Tcp,
}

impl Exporter {
    /// An exporter that sends over UDP. An IPv4-mapped IPv6 address becomes the IPv4 address.
    #[must_use]
    pub fn udp(address: IpAddr, port: u16) -> Self {
        Self { transport: Transport::Udp, address: canonical(address), port }
    }

    /// An exporter that sends over a TCP connection from this port. An IPv4-mapped IPv6 address becomes the IPv4 address.
    #[must_use]
    pub fn tcp(address: IpAddr, port: u16) -> Self {
        Self { transport: Transport::Tcp, address: canonical(address), port }
    }
}

impl fmt::Display for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// The address as operators write it: `::ffff:192.0.2.1`, which a dual-stack socket reports, is `192.0.2.1`.
#[inline]
#[must_use]
pub const fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(Exporter::udp("::ffff:192.0.2.1".parse().unwrap(), 2055).to_string(), "192.0.2.1:2055");
        assert_eq!(Exporter::udp("2001:db8::1".parse().unwrap(), 2055).to_string(), "[2001:db8::1]:2055");
    }
}
