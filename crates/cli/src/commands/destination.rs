//! The destination of datagrams: `--to HOST:PORT`.

use std::net::{SocketAddr, ToSocketAddrs};

/// The address of `HOST:PORT`, a name or an address. Prefers IPv4, where most collectors listen.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    let form = "write HOST:PORT, such as 127.0.0.1:2055, collector.example:2055 or [2001:db8::1]:2055";
    let addresses: Vec<_> = text.to_socket_addrs().map_err(|error| format!("{error}: {form}"))?.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| format!("the name has no address: {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_and_others_rejected() {
        assert_eq!(parse("127.0.0.1:2055"), Ok("127.0.0.1:2055".parse().unwrap()));
        assert_eq!(parse("[::1]:2055"), Ok("[::1]:2055".parse().unwrap()));
        assert!(parse("127.0.0.1").unwrap_err().contains("HOST:PORT"));
    }
}
