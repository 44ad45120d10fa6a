//! Who a request is from. Everything that is limited is shared between parties, so that none of them uses up what the
//! others need.

use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest, Sha256};

/// Identifies a key, also across a reload; reveals nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId(u64);

impl KeyId {
    /// The id of the key with this authKey.
    pub(crate) fn of(auth_key: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(auth_key).into();
        let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Self(u64::from_be_bytes(*first))
    }
}

/// The part of the network that belongs to one client: with IPv6, that is its whole /64.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match flow::canonical(client) {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
