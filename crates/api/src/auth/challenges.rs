//! The nonces that a login signs. A stranger who asks for one leaves nothing behind: a nonce contains its time and proves by
//! an HMAC that this process made it.
//!
//! It begins with a word, so that a false collector gets no signature of something else: neither an authKey, nor a body, nor
//! the lines of version 2 begin like that.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::signature::{hex, parse_hex};
use super::tokens::random;
use crate::error::Error;

/// How a nonce begins.
const WORD: &str = "login-";
/// How long it is valid.
const LIFETIME_SECONDS: u64 = 60;

/// Nonces of this process.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    secret: OnceLock<Hmac<Sha256>>,
}

impl Challenges {
    /// A nonce at this time since the process started: `login-` and 64 hexadecimal digits, of 8 octets of time, 8 random ones
    /// and 16 of the HMAC.
    pub(super) fn issue(&self, uptime: u64) -> Result<String, Error> {
        let content: [u8; 16] = concat(uptime.to_be_bytes(), random::<8>()?);
        let proof = self.proof(&content)?;
        Ok(format!("{WORD}{}", hex(&concat::<16, 16, 32>(content, proof))))
    }

    /// Whether this process made the nonce a short time ago.
    pub(super) fn accept(&self, nonce: &str, uptime: u64) -> Result<bool, Error> {
        let octets = nonce.strip_prefix(WORD).filter(|digits| !digits.bytes().any(|digit| digit.is_ascii_uppercase()));
        let Some(octets) = octets.and_then(parse_hex) else { return Ok(false) };
        let (content, proof) = octets.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let (made, _) = content.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let age = uptime.checked_sub(u64::from_be_bytes(*made));
        let is_own = bool::from(self.proof(content)?.ct_eq(proof));
        Ok(is_own && age.is_some_and(|age| age < LIFETIME_SECONDS))
    }

    fn proof(&self, content: &[u8; 16]) -> Result<[u8; 16], Error> {
        let secret = match self.secret.get() {
            Some(secret) => secret,
            None => {
                let new = Hmac::new_from_slice(&random::<32>()?).map_err(|_| Error::Internal)?;
                self.secret.get_or_init(|| new)
            }
        };
        let full: [u8; 32] = secret.clone().chain_update(content).finalize().into_bytes().into();
        Ok(*full.first_chunk().unwrap_or(&[0; 16]))
    }
}

/// The octets of both.
fn concat<const A: usize, const B: usize, const ALL: usize>(first: [u8; A], second: [u8; B]) -> [u8; ALL] {
    let mut all = [0; ALL];
    all.iter_mut().zip(first.into_iter().chain(second)).for_each(|(to, from)| *to = from);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_accepted_for_a_minute_by_the_process_that_made_it() {
        let (challenges, other) = (Challenges::default(), Challenges::default());
        let nonce = challenges.issue(1000).unwrap();
        let accepts = |nonce: &str, uptime| challenges.accept(nonce, uptime).unwrap();
        assert!(accepts(&nonce, 1000) && accepts(&nonce, 1059));
        assert!(!accepts(&nonce, 1060) && !accepts(&nonce, 999));
        assert!(!other.accept(&nonce, 1000).unwrap());
        assert_ne!(challenges.issue(1000).unwrap(), nonce);
    }

    #[test]
    fn nothing_else_is_accepted() {
        let challenges = Challenges::default();
        let nonce = challenges.issue(10).unwrap();
        assert!(nonce.starts_with("login-") && nonce.len() == 70);
        for place in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[place] = if forged[place] == b'0' { b'1' } else { b'0' };
            assert!(!challenges.accept(std::str::from_utf8(&forged).unwrap(), 10).unwrap(), "{place}");
        }
        for text in ["", "login-", &nonce[6..], &nonce[..69], &format!("{nonce}0"), &nonce.to_uppercase()] {
            assert!(!challenges.accept(text, 10).unwrap(), "{text}");
        }
        let upper = format!("login-{}", nonce[6..].to_uppercase());
        assert!(upper == nonce || !challenges.accept(&upper, 10).unwrap(), "it would be a second nonce");
    }
}
