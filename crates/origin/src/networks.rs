//! The AS numbers of the operator's own networks.

use std::net::IpAddr;

use flow::Prefix;

use crate::lookup_ipv4::Ipv4Lookup;
use crate::lookup_ipv6::Ipv6Lookup;
use crate::origin::Origin;
use crate::pieces::{Pieces, Range};

/// Which of the operator's networks have an AS number. It never changes: a new one replaces it.
#[derive(Clone, Debug)]
pub struct Networks {
    ipv4: Ipv4Lookup,
    ipv6: Ipv6Lookup,
    is_empty: bool,
}

impl Default for Networks {
    /// No networks.
    fn default() -> Self {
        Self::new([])
    }
}

impl Networks {
    /// Networks with their AS numbers, in any order. Of those that contain an address, the longest prefix counts. AS 0 is a
    /// hole in the networks around it: an address there has no AS of its own network.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = (Prefix, u32)>) -> Self {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for (prefix, asn) in networks {
            let (origin, length) = (Origin::new(asn, None), u32::from(prefix.length()));
            match prefix.address() {
                IpAddr::V4(address) => {
                    let first = address.to_bits();
                    ipv4.push(Range { first, last: first | u32::MAX.checked_shr(length).unwrap_or(0), origin });
                }
                IpAddr::V6(address) => {
                    let first = address.to_bits();
                    ipv6.push(Range { first, last: first | u128::MAX.checked_shr(length).unwrap_or(0), origin });
                }
            }
        }
        let is_empty = ipv4.is_empty() && ipv6.is_empty();
        Self { ipv4: Ipv4Lookup::new(&Pieces::new(ipv4)), ipv6: Ipv6Lookup::new(&Pieces::new(ipv6)), is_empty }
    }

    /// The AS number of the network that contains an address, which is [canonical](flow::canonical).
    #[inline]
    #[must_use]
    pub fn asn(&self, address: IpAddr) -> Option<u32> {
        let origin = match address {
            IpAddr::V4(address) => self.ipv4.get(address.to_bits()),
            IpAddr::V6(address) => self.ipv6.get(address.to_bits()),
        };
        origin.asn()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let prefixes = [
            ("10.0.0.0/8", 64500),
            ("10.1.0.0/16", 64501),
            ("10.1.2.3/32", 0),
            ("2001:db8::/32", 64502),
            ("::/0", 64503),
        ];
        let networks = Networks::new(prefixes.map(|(prefix, asn)| (prefix.parse().unwrap(), asn)));
        for (address, asn) in [
            ("10.9.9.9", Some(64500)),
            ("10.1.255.255", Some(64501)),
            ("10.1.2.3", None),
            ("11.0.0.0", None),
            ("2001:db8::1", Some(64502)),
            ("2001:db9::", Some(64503)),
        ] {
            assert_eq!(networks.asn(address.parse().unwrap()), asn, "{address}");
        }
        assert!(!networks.is_empty());
        assert!(Networks::default().is_empty());
        let all = Networks::new([("0.0.0.0/0".parse().unwrap(), 64500)]);
        assert_eq!(all.asn([255; 4].into()), Some(64500));
    }
}
