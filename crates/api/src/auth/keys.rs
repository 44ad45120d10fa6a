//! Authorisation: named keys, each with a role and, if limited, the senders that it is valid for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::Method;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::signature::Signature;
use crate::error::Error;
use crate::party::{KeyId, Party};

/// What a key permits. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Read,
    /// Register senders, and add and remove their prefixes.
    Write,
    /// Remove senders.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// As settings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// Routes that limit their answers to the senders of the key.
const LIMITED: [&str; 14] = [
    "/",
    "/tap",
    "/events",
    "/session",
    "/session/ticket",
    "/senders",
    "/exporters",
    "/flows",
    "/flows/top",
    "/flows/series",
    "/stats",
    "/top",
    "/series",
    "/billing",
];

/// Whether a POST to this path only reads.
pub(super) fn is_stats(path: &str) -> bool {
    path == "/stats" || path.starts_with("/stats/")
}

/// Whether a path is about the session of the key itself, so that every key may do with it what it wants.
fn is_session(path: &str) -> bool {
    path == "/session" || path == "/session/ticket"
}

/// Identifies a key with everything that it permits: after any change it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyMark([u8; 32]);

/// A pair of keys with its permissions. Debug output and logs never show it.
#[derive(Clone)]
pub struct Key {
    name: String,
    id: KeyId,
    auth_key: Box<[u8]>,
    /// The HMAC of the authKey: what most requests of version 1 carry.
    pub(super) signed_auth_key: Signature,
    /// The signKey, ready to sign.
    pub(super) sign: Hmac<Sha256>,
    role: Role,
    /// `None` for all.
    senders: Option<KeySenders>,
}

/// The senders that a limited key is valid for.
#[derive(Clone, Debug)]
pub(crate) struct KeySenders(Arc<[IpAddr]>);

/// A key that protects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is empty")]
pub struct EmptyKey(pub String);

impl Key {
    /// A key that permits everything.
    ///
    /// # Errors
    /// When the authKey or the signKey is empty.
    pub fn new(name: &str, auth_key: &str, sign_key: &str) -> Result<Self, EmptyKey> {
        let empty = |key: &str| EmptyKey(format!("{name}.{key}"));
        if auth_key.is_empty() {
            return Err(empty("authKey"));
        }
        if sign_key.is_empty() {
            return Err(empty("signKey"));
        }
        // HMAC takes keys of any length; the error type is for other MACs.
        let sign = Hmac::<Sha256>::new_from_slice(sign_key.as_bytes()).map_err(|_| empty("signKey"))?;
        let signed_auth_key = sign.clone().chain_update(auth_key).finalize().into_bytes().into();
        let (id, auth_key) = (KeyId::of(auth_key.as_bytes()), auth_key.as_bytes().into());
        Ok(Self { name: name.to_owned(), id, auth_key, signed_auth_key, sign, role: Role::Admin, senders: None })
    }

    /// The same key with fewer permissions.
    #[must_use]
    pub fn limited(self, role: Role, senders: Option<Vec<IpAddr>>) -> Self {
        Self { role, senders: senders.map(|senders| KeySenders(senders.into())), ..self }
    }

    /// Its name in the log.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What distinguishes it from other keys.
    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    /// The party of requests with this key.
    pub(super) fn party(&self) -> Party {
        if self.role == Role::Admin && self.senders.is_none() { Party::Admin(self.id) } else { Party::Key(self.id) }
    }

    /// Its authKey.
    pub(crate) fn auth_key(&self) -> &[u8] {
        &self.auth_key
    }

    /// Refuses what the key does not permit.
    pub(crate) fn permit(&self, method: &Method, path: &str, removes_sender: bool) -> Result<(), Error> {
        let needed = match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Role::Read,
            Method::POST if is_stats(path) => Role::Read,
            _ if is_session(path) => Role::Read,
            _ if path.starts_with("/readers/") => Role::Admin,
            Method::DELETE if removes_sender => Role::Admin,
            _ => Role::Write,
        };
        if self.role < needed {
            return Err(Error::Forbidden(format!(
                "this needs a key with the role {}; the key that signed has the role {}",
                needed.name(),
                self.role.name()
            )));
        }
        let Some(KeySenders(senders)) = &self.senders else { return Ok(()) };
        let asked = path.trim_start_matches('/').split_once('/').and_then(|(_, sender)| sender.parse().ok());
        if LIMITED.contains(&path) || asked.is_some_and(|sender| senders.contains(&flow::canonical(sender))) {
            return Ok(());
        }
        Err(forbidden(senders))
    }

    /// Its mark.
    pub(super) fn mark(&self) -> KeyMark {
        // The HMAC is of both keys.
        let senders = self.senders.iter().flat_map(|KeySenders(senders)| senders.iter());
        let mut digest = Sha256::new_with_prefix(self.signed_auth_key).chain_update(self.role.name());
        digest.update([u8::from(self.senders.is_some())]);
        senders.for_each(|sender| digest.update(sender.to_string() + ","));
        KeyMark(digest.finalize().into())
    }

    /// What it permits.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The senders that it is valid for; `None` is all.
    pub(crate) fn senders(&self) -> Option<KeySenders> {
        self.senders.clone()
    }
}

impl KeySenders {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<IpAddr> {
        self.0.to_vec()
    }

    /// Whether the sender is one of them.
    pub(crate) fn include(&self, sender: IpAddr) -> bool {
        self.0.contains(&sender)
    }

    /// The sender, when it is one of them.
    pub(crate) fn permit(&self, sender: IpAddr) -> Result<IpAddr, Error> {
        if self.0.contains(&sender) { Ok(sender) } else { Err(forbidden(&self.0)) }
    }
}

fn forbidden(senders: &[IpAddr]) -> Error {
    let senders: Vec<_> = senders.iter().map(ToString::to_string).collect();
    Error::Forbidden(format!("the key that signed is valid for these senders only: {}", senders.join(", ")))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, hidden)", self.name)
    }
}

/// Which signatures are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Both versions.
    #[default]
    Compat,
    /// Version 1 only for requests that change nothing.
    CompatRead,
    /// Version 2 only.
    Strict,
}

/// The keys of the interface.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Vec<Key>,
    pub(super) signatures: Signatures,
}

impl Keys {
    /// One key that permits everything, with signatures of both versions.
    ///
    /// # Errors
    /// When the authKey or the signKey is empty.
    pub fn new(auth_key: &str, sign_key: &str) -> Result<Self, EmptyKey> {
        Ok(Self { keys: vec![Key::new("admin", auth_key, sign_key)?], signatures: Signatures::default() })
    }

    /// With more keys.
    #[must_use]
    pub fn with(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// With other signatures.
    #[must_use]
    pub fn accepting(self, signatures: Signatures) -> Self {
        Self { signatures, ..self }
    }

    /// The key with this authKey, and whether there is one: without one it is another key, so that the work is the same.
    /// The time that it takes reveals nothing of any key.
    pub(super) fn find(&self, auth_key: &[u8]) -> Option<(&Key, Choice)> {
        let (mut found, mut known) = (0, Choice::from(0));
        for (index, key) in (0_u32..).zip(&self.keys) {
            let equal = key.auth_key.ct_eq(auth_key);
            found.conditional_assign(&index, equal);
            known |= equal;
        }
        self.keys.get(found as usize).map(|key| (key, known))
    }

    /// The key with this name.
    pub(super) fn named(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The key with this mark.
    pub(super) fn marked(&self, mark: KeyMark) -> Option<&Key> {
        self.keys.iter().find(|key| key.mark() == mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_show_and_are_not_empty() {
        assert_eq!(format!("{:?}", Key::new("grafana", "auth", "sign").unwrap()), "Key(grafana, hidden)");
        assert_eq!(Keys::new("", "sign").unwrap_err().to_string(), "admin.authKey is empty");
        assert_eq!(Keys::new("auth", "").unwrap_err().to_string(), "admin.signKey is empty");
    }

    #[test]
    fn roles_and_senders_limit_what_a_key_permits() {
        let key = |role, senders: Option<&str>| {
            let senders = senders.map(|sender| vec![sender.parse().unwrap()]);
            Key::new("k", "a", "s").unwrap().limited(role, senders)
        };
        let may = |key: &Key, method, path, removes| key.permit(&method, path, removes).is_ok();
        let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
        for (role, expected) in [
            (Role::Read, [true, true, false, false, false]),
            (Role::Write, [true, true, true, true, false]),
            (Role::Admin, [true; 5]),
        ] {
            let key = key(role, None);
            let allowed = [
                may(&key, get.clone(), "/senders", false),
                may(&key, post.clone(), "/stats/10.0.0.1", false) && may(&key, post.clone(), "/stats", false),
                may(&key, put.clone(), "/senders/10.0.0.1", false),
                may(&key, delete.clone(), "/senders/10.0.0.1", false),
                may(&key, delete.clone(), "/senders/10.0.0.1", true)
                    && may(&key, post.clone(), "/readers/archive/pause", false),
            ];
            assert!(may(&key, delete.clone(), "/session", true) && may(&key, post.clone(), "/session/ticket", false));
            assert_eq!(allowed, expected, "{role:?}");
        }
        let limited = key(Role::Admin, Some("10.0.0.1"));
        for path in [
            "/",
            "/tap",
            "/events",
            "/session",
            "/session/ticket",
            "/senders",
            "/exporters",
            "/flows",
            "/flows/top",
            "/flows/series",
            "/top",
            "/series",
            "/billing",
            "/senders/10.0.0.1",
            "/top/10.0.0.1",
            "/series/::ffff:10.0.0.1",
        ] {
            assert!(may(&limited, get.clone(), path, false), "{path}");
        }
        assert!(may(&limited, post.clone(), "/stats", false) && !may(&limited, post.clone(), "/stats/10.0.0.2", false));
        for path in [
            "/senders/",
            "/senders/10.0.0.2",
            "/exporters/10.0.0.2",
            "/unknown",
            "/status",
            "/top/10.0.0.1/x",
            "/flows/",
            "/flows/all",
            "//10.0.0.2",
        ] {
            assert!(!may(&limited, get.clone(), path, false), "{path}");
        }
    }
}
