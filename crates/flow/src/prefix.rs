//! Monitored prefixes. They are strict on purpose: `172.16.1.5/24` is refused with a suggestion, because it may mean a host
//! or a network, and a silent guess would produce wrong numbers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::canonical;

/// An IPv4 or IPv6 prefix whose host bits are zero. Shows as `172.16.1.0/24` or `2001:db8::/32` (RFC 5952).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(IpNet);

/// Why a text is not a prefix. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The text is not of the form `<address>/<length>`.
    #[error("'{0}' is not a prefix: write <address>/<length>, such as 172.16.1.0/24 or 2001:db8::/32")]
    Form(String),
    /// The length is longer than the address family allows.
    #[error("prefix length {length} of {address} is out of range: it is 0 to {limit}")]
    Length {
        /// The given address.
        address: IpAddr,
        /// The given length.
        length: u64,
        /// The longest length of this address family.
        limit: u8,
    },
    /// The address has bits set after the length.
    #[error("{address} is not the first address of its /{length}: did you mean {meant}?")]
    HostBits {
        /// The given address.
        address: IpAddr,
        /// The given length.
        length: u8,
        /// The prefix of that length that contains the address.
        meant: Prefix,
    },
}

impl Prefix {
    /// `::/128`: the address that no packet has.
    pub const UNSPECIFIED: Self = Self(IpNet::new_assert(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128));

    /// The prefix of this first address and length.
    ///
    /// # Errors
    /// If the length is out of range or the address is not the first one of its prefix.
    pub fn new(address: IpAddr, length: u64) -> Result<Self, PrefixError> {
        let address = canonical(address);
        let limit = if address.is_ipv4() { 32 } else { 128 };
        let out_of_range = || PrefixError::Length { address, length, limit };
        let short = u8::try_from(length).map_err(|_| out_of_range())?;
        let net = IpNet::new(address, short).map_err(|_| out_of_range())?;
        let meant = Self(net.trunc());
        if meant.address() == address {
            Ok(meant)
        } else {
            Err(PrefixError::HostBits { address, length: short, meant })
        }
    }

    /// The prefix of this length around an address; `None` if its family has no such length.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Option<Self> {
        IpNet::new(canonical(address), length).ok().map(|net| Self(net.trunc()))
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// The length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether it is an IPv4 prefix.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.address().is_ipv4()
    }

    /// Whether it is an IPv6 prefix.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.address().is_ipv6()
    }

    /// Whether it is 0.0.0.0/0 or ::/0.
    #[must_use]
    pub fn is_default_route(&self) -> bool {
        self.length() == 0
    }

    /// The fewest prefixes that contain the same addresses.
    #[must_use]
    pub fn aggregated(prefixes: &[Self]) -> Vec<Self> {
        let networks = prefixes.iter().map(|prefix| prefix.0).collect();
        IpNet::aggregate(&networks).into_iter().map(Self).collect()
    }

    /// Whether the prefix contains the address. An address of the other family is never in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let form = || PrefixError::Form(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        // Rust parses `+8` as a number.
        if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        Self::new(address.parse().map_err(|_| form())?, length.parse().map_err(|_| form())?)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_first_address_of_a_prefix_only() {
        assert_eq!("172.16.1.0/24".parse::<Prefix>().unwrap().to_string(), "172.16.1.0/24");
        assert_eq!("2001:DB8:0::/32".parse::<Prefix>().unwrap().to_string(), "2001:db8::/32");
        assert_eq!("0.0.0.0/0".parse::<Prefix>().unwrap().length(), 0);
        assert_eq!("::1/128".parse::<Prefix>().unwrap().length(), 128);
        let refused = "172.16.1.5/24".parse::<Prefix>().unwrap_err();
        assert_eq!(refused.to_string(), "172.16.1.5 is not the first address of its /24: did you mean 172.16.1.0/24?");
    }

    #[test]
    fn an_invalid_length_or_form_is_an_error_that_names_it() {
        let message = |text: &str| text.parse::<Prefix>().unwrap_err().to_string();
        assert_eq!(message("10.0.0.0/33"), "prefix length 33 of 10.0.0.0 is out of range: it is 0 to 32");
        assert_eq!(message("2001:db8::/129"), "prefix length 129 of 2001:db8:: is out of range: it is 0 to 128");
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "/8",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.0/99999999999999999999",
        ] {
            assert!(matches!(text.parse::<Prefix>(), Err(PrefixError::Form(_))), "{text}");
        }
    }

    #[test]
    fn families_do_not_match_each_other() {
        let all: Prefix = "::/0".parse().unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        assert!(!all.contains("192.0.2.1".parse().unwrap()));
    }
}
