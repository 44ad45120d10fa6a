//! Who a request is from. Everything that is limited is shared between parties, so that none of them uses up what the
//! others need.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::Api;
use crate::error::Error;

/// Who a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A client without a valid signature so far, by its [`network`].
    Stranger(IpAddr),
    /// The owner of a key.
    Key(KeyId),
    /// The owner of a key that permits everything.
    Admin(KeyId),
}

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

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

impl Party {
    pub(crate) fn is_stranger(self) -> bool {
        matches!(self, Self::Stranger(_))
    }

    pub(crate) fn is_admin(self) -> bool {
        matches!(self, Self::Admin(_))
    }

    pub(crate) fn key(self) -> Option<KeyId> {
        match self {
            Self::Stranger(_) => None,
            Self::Key(key) | Self::Admin(key) => Some(key),
        }
    }
}

/// Set by the authentication, which every route has passed.
impl FromRequestParts<Api> for Party {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Error> {
        parts.extensions.get().copied().ok_or(Error::Internal)
    }
}

/// The part of the network that belongs to one client: with IPv6, that is its whole /64.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match flow::canonical(client) {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
