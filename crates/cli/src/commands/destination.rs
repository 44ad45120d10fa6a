//! The destination of what commands send: `--to HOST:PORT`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, anyhow};

/// A collector: a name or an address, and a port if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// As written, without brackets.
    pub(super) host: String,
    port: Option<u16>,
}

const FORM: &str = "write HOST:PORT, such as 127.0.0.1:2055, collector.example:2055 or [2001:db8::1]:2055";

/// What `--to` names. Only export connections have a default port.
pub(super) fn parse(text: &str) -> Result<Destination, String> {
    let of = |host: &str, port| Destination { host: host.to_owned(), port };
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(of(&address.ip().to_string(), Some(address.port())));
    }
    if address.parse::<IpAddr>().is_ok() {
        return Ok(of(address, None));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.contains(':') => {
            Ok(of(host, Some(port.parse().map_err(|_| FORM)?)))
        }
        None if !text.is_empty() => Ok(of(text, None)),
        _ => Err(FORM.to_owned()),
    }
}

impl Destination {
    /// This machine.
    pub(super) fn local(port: Option<u16>) -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port }
    }

    /// The address, with this port if none is written. Prefers IPv4, where most collectors listen.
    ///
    /// # Errors
    /// When there is no port, or the name has no address.
    pub(super) fn address(&self, default_port: Option<u16>) -> anyhow::Result<SocketAddr> {
        let port = self.port.or(default_port).ok_or_else(|| anyhow!("--to {} has no port: {FORM}", self.host))?;
        let addresses = (self.host.as_str(), port).to_socket_addrs();
        let addresses: Vec<_> = addresses.with_context(|| format!("--to {}: {FORM}", self.host))?.collect();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| anyhow!("--to {}: the name has no address", self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_and_others_rejected() {
        let address = |text, default_port| parse(text).unwrap().address(default_port).unwrap().to_string();
        assert_eq!(address("127.0.0.1:2055", None), "127.0.0.1:2055");
        assert_eq!(address("[::1]:2055", Some(4739)), "[::1]:2055");
        assert_eq!(address("localhost:2055", Some(4739)), "127.0.0.1:2055");
        for (text, host) in
            [("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("::1", "[::1]"), ("localhost", "127.0.0.1")]
        {
            assert_eq!(address(text, Some(4739)), format!("{host}:4739"));
            let error = parse(text).unwrap().address(None).unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
        for text in ["", ":2055", "host:", "host:70000", "a:b:2055"] {
            assert!(parse(text).unwrap_err().contains("HOST:PORT"), "{text}");
        }
    }
}
