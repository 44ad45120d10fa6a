//! What an agent has to be asked with. Secrets are not shown by `Debug`.

use std::fmt;
use std::sync::Arc;

use crate::crypto;

/// RFC 3414, section 11.2.
const SHORTEST_PASSWORD: usize = 8;
/// Of a user name (RFC 3411, `SnmpAdminString`), and of what else is sent.
const LONGEST: usize = 32;
const LONGEST_COMMUNITY: usize = 255;

/// How to ask an agent.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// SNMPv2c with this community.
    Community(String),
    /// SNMPv3 as this user.
    User(Arc<User>),
}

/// A user of SNMPv3 with authentication and privacy.
#[derive(PartialEq, Eq)]
pub struct User {
    pub(crate) name: String,
    pub(crate) authentication: Authentication,
    pub(crate) privacy: Privacy,
    /// Of the passwords, before they are bound to an agent: this takes a million octets of hashing.
    pub(crate) authentication_key: Vec<u8>,
    pub(crate) privacy_key: Vec<u8>,
}

/// The hash function of the authentication (RFC 3414, RFC 7860).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// HMAC-SHA-96
    Sha1,
    /// HMAC-128-SHA-224
    Sha224,
    /// HMAC-192-SHA-256
    Sha256,
    /// HMAC-256-SHA-384
    Sha384,
    /// HMAC-384-SHA-512
    Sha512,
}

/// The cipher of the privacy (RFC 3826, and the same with a longer key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// AES-128
    Aes128,
    /// AES-256. There is no standard of how to lengthen shorter keys; with SHA-256 or longer they are long enough.
    Aes256,
}

/// What is wrong with an access. It shows no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Nothing in the community, or too much.
    #[error("the community has no octets or more than 255")]
    Community,
    /// Nothing in the name of the user, or too much.
    #[error("the user name has no octets or more than 32")]
    User,
    /// A password is too short.
    #[error("the password for {0} has fewer than 8 characters")]
    Password(&'static str),
    /// The key of the hash is too short for the cipher.
    #[error("AES-256 needs SHA-256, SHA-384 or SHA-512: shorter keys are lengthened differently by each vendor")]
    ShortKey,
}

impl Authentication {
    /// All, with their names in configurations.
    pub const ALL: [(&'static str, Self); 5] = [
        ("SHA-1", Self::Sha1),
        ("SHA-224", Self::Sha224),
        ("SHA-256", Self::Sha256),
        ("SHA-384", Self::Sha384),
        ("SHA-512", Self::Sha512),
    ];
}

impl Privacy {
    /// All, with their names in configurations.
    pub const ALL: [(&'static str, Self); 2] = [("AES-128", Self::Aes128), ("AES-256", Self::Aes256)];
}

impl Access {
    /// SNMPv2c.
    ///
    /// # Errors
    /// If the community is empty or too long.
    pub fn community(community: &str) -> Result<Self, AccessError> {
        let fits = (1..=LONGEST_COMMUNITY).contains(&community.len());
        fits.then(|| Self::Community(community.to_owned())).ok_or(AccessError::Community)
    }

    /// SNMPv3 with a password for each of authentication and privacy.
    ///
    /// # Errors
    /// If the name is empty or too long, a password too short, or the hash for the cipher.
    pub fn user(
        name: &str,
        (authentication, authentication_password): (Authentication, &str),
        (privacy, privacy_password): (Privacy, &str),
    ) -> Result<Self, AccessError> {
        if !(1..=LONGEST).contains(&name.len()) {
            return Err(AccessError::User);
        }
        for (what, password) in [("authentication", authentication_password), ("privacy", privacy_password)] {
            if password.len() < SHORTEST_PASSWORD {
                return Err(AccessError::Password(what));
            }
        }
        if privacy == Privacy::Aes256 && matches!(authentication, Authentication::Sha1 | Authentication::Sha224) {
            return Err(AccessError::ShortKey);
        }
        let key = |password: &str| crypto::key_of_password(authentication, password.as_bytes());
        Ok(Self::User(Arc::new(User {
            name: name.to_owned(),
            authentication,
            privacy,
            authentication_key: key(authentication_password),
            privacy_key: key(privacy_password),
        })))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Community(_) => f.write_str("Community(hidden)"),
            Self::User(user) => user.fmt(f),
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({:?}, {:?}, {:?}, hidden)", self.name, self.authentication, self.privacy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_secret() {
        let user =
            Access::user("netflow", (Authentication::Sha256, "geheimnis"), (Privacy::Aes128, "geheimnis")).unwrap();
        let shown = format!("{:?} {user:?}", Access::community("geheim").unwrap());
        assert_eq!(shown, "Community(hidden) User(\"netflow\", Sha256, Aes128, hidden)");
    }

    #[test]
    fn what_no_agent_accepts_is_refused() {
        let user =
            |name: &str, hash, cipher, password| Access::user(name, (hash, "long enough"), (cipher, password)).err();
        let (sha, aes) = (Authentication::Sha1, Privacy::Aes128);
        assert_eq!(Access::community("").err(), Some(AccessError::Community));
        assert_eq!(Access::community(&"c".repeat(256)).err(), Some(AccessError::Community));
        assert_eq!(user("", sha, aes, "long enough"), Some(AccessError::User));
        assert_eq!(user("n", sha, aes, "short"), Some(AccessError::Password("privacy")));
        assert_eq!(user("n", sha, Privacy::Aes256, "long enough"), Some(AccessError::ShortKey));
        assert_eq!(user("n", Authentication::Sha512, Privacy::Aes256, "long enough"), None);
    }
}
