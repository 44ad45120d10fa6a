//! Who the collector is to a broker: SASL PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// A user of brokers.
#[derive(Clone)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How it is shown.
    pub mechanism: Mechanism,
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, mechanism, .. } = self;
        f.debug_struct("Login").field("user", user).field("mechanism", mechanism).finish_non_exhaustive()
    }
}

/// How a password is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mechanism {
    /// As it is: only over TLS.
    Plain,
    /// SCRAM-SHA-256: the broker does not learn the password.
    Scram256,
    /// SCRAM-SHA-512.
    #[default]
    Scram512,
}

impl Mechanism {
    /// All.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Scram256, Self::Scram512];

    /// The name in the registry of IANA.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram256 => "SCRAM-SHA-256",
            Self::Scram512 => "SCRAM-SHA-512",
        }
    }
}

/// More rounds are a broker's nonsense: it would keep the processor busy.
const MOST_ROUNDS: u32 = 1_000_000;

impl Login {
    /// The message of PLAIN.
    pub(crate) fn plain(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.user, self.password).into_bytes()
    }
}

/// The client of SCRAM: two messages out, two in.
#[derive(Debug)]
pub(crate) struct Scram<'l> {
    login: &'l Login,
    nonce: String,
    /// What the server has to prove in its last message.
    proof: Vec<u8>,
}

impl<'l> Scram<'l> {
    /// Begins, with a random text without commas.
    pub(crate) const fn new(login: &'l Login, nonce: String) -> Self {
        Self { login, nonce, proof: Vec::new() }
    }

    /// The first message.
    pub(crate) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.bare()).into_bytes()
    }

    fn bare(&self) -> String {
        let user = self.login.user.replace('=', "=3D").replace(',', "=2C");
        format!("n={user},r={}", self.nonce)
    }

    /// The second message, from the first one of the server. `None` if that is nonsense.
    pub(crate) fn second(&mut self, server: &[u8]) -> Option<Vec<u8>> {
        let server = str::from_utf8(server).ok()?;
        let part = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt) = (part("r=")?, STANDARD.decode(part("s=")?).ok()?);
        let rounds: u32 = part("i=")?.parse().ok()?;
        if !nonce.starts_with(&self.nonce) || !(1..=MOST_ROUNDS).contains(&rounds) {
            return None;
        }
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server},{without_proof}", self.bare());
        let salted = self.salted(&salt, rounds)?;
        let client_key = self.mac(&salted, b"Client Key")?;
        let signature = self.mac(&self.hash(&client_key), signed.as_bytes())?;
        self.proof = self.mac(&self.mac(&salted, b"Server Key")?, signed.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        Some(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// Whether the last message of the server proves that it knows the password.
    pub(crate) fn is_proven(&self, server: &[u8]) -> bool {
        let proof = str::from_utf8(server).ok().and_then(|text| text.split(',').next()?.strip_prefix("v="));
        let proof = proof.and_then(|proof| STANDARD.decode(proof).ok()).unwrap_or_default();
        !self.proof.is_empty() && bool::from(proof.ct_eq(&self.proof))
    }

    /// `Hi` of RFC 5802: PBKDF2 with one block.
    fn salted(&self, salt: &[u8], rounds: u32) -> Option<Vec<u8>> {
        let key = self.login.password.as_bytes();
        let mut last = self.mac(key, &[salt, &1_u32.to_be_bytes()].concat())?;
        let mut salted = last.clone();
        for _ in 1..rounds {
            last = self.mac(key, &last)?;
            salted.iter_mut().zip(&last).for_each(|(octet, other)| *octet ^= other);
        }
        Some(salted)
    }

    fn mac(&self, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        // Keys of any length are taken.
        Some(match self.login.mechanism {
            Mechanism::Scram512 => {
                Hmac::<Sha512>::new_from_slice(key).ok()?.chain_update(message).finalize().into_bytes().to_vec()
            }
            Mechanism::Scram256 | Mechanism::Plain => {
                Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(message).finalize().into_bytes().to_vec()
            }
        })
    }

    fn hash(&self, octets: &[u8]) -> Vec<u8> {
        match self.login.mechanism {
            Mechanism::Scram512 => Sha512::digest(octets).to_vec(),
            Mechanism::Scram256 | Mechanism::Plain => Sha256::digest(octets).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_rfc_7677_is_answered_as_there() {
        let login = Login { user: "user".into(), password: "pencil".into(), mechanism: Mechanism::Scram256 };
        let mut scram = Scram::new(&login, "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".as_slice();
        let second = String::from_utf8(scram.second(server).unwrap()).unwrap();
        assert!(second.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{second}");
        assert!(scram.is_proven(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.is_proven(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.is_proven(b"e=other-error"));
    }

    #[test]
    fn a_server_that_has_not_seen_the_first_message_is_not_answered() {
        let login = Login { user: "user".into(), password: "pencil".into(), mechanism: Mechanism::Scram512 };
        for server in
            ["r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295", ""]
        {
            assert_eq!(Scram::new(&login, "nonce".into()).second(server.as_bytes()), None, "{server}");
        }
        assert!(!Scram::new(&login, "nonce".into()).is_proven(b"v="), "nothing is proven before the second message");
    }

    #[test]
    fn the_password_is_not_shown() {
        let login = Login { user: "user".into(), password: "pencil".into(), mechanism: Mechanism::Plain };
        assert!(!format!("{login:?}").contains("pencil"));
        assert_eq!(login.plain(), b"\0user\0pencil");
    }
}
