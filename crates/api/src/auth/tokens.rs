//! Secrets that the collector has given out, each instead of a key: sessions and tickets. Only their digests are kept, so
//! finding one takes no time that depends on how much of a guess is right.
//!
//! A key that a reload removes or changes in any way ends what was given out for it. Each key has a share of its own, in
//! which the one that was used least recently makes room.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::keys::{Key, KeyMark, Keys};
use super::signature::hex;
use crate::error::Error;

/// Tokens of one kind.
#[derive(Debug)]
pub(super) struct Tokens {
    /// How long one is valid after it was given out or used.
    lifetime: Duration,
    /// The most of a key.
    share: usize,
    table: Mutex<HashMap<[u8; 32], Held>>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    key: KeyMark,
    used: Instant,
}

impl Tokens {
    pub(super) fn new(lifetime: Duration, share: usize) -> Self {
        Self { lifetime, share, table: Mutex::default() }
    }

    /// A new one for one of these keys: 64 hexadecimal digits.
    pub(super) fn issue(&self, key: &Key, keys: &Keys, now: Instant) -> Result<String, Error> {
        let token = hex(&random::<32>()?);
        let mark = key.mark();
        let mut table = self.lock();
        table.retain(|_, held| self.is_valid(*held, now) && keys.marked(held.key).is_some());
        let own = || table.iter().filter(|(_, held)| held.key == mark);
        if own().count() >= self.share
            && let Some(oldest) = own().min_by_key(|(_, held)| held.used).map(|(digest, _)| *digest)
        {
            table.remove(&oldest);
        }
        table.insert(digest(&token), Held { key: mark, used: now });
        Ok(token)
    }

    /// The key of a token, which is used by that.
    pub(super) fn key<'k>(&self, token: &str, keys: &'k Keys, now: Instant) -> Option<&'k Key> {
        let mut table = self.lock();
        let held = table.get_mut(&digest(token)).filter(|held| self.is_valid(**held, now))?;
        let key = keys.marked(held.key)?;
        held.used = now;
        Some(key)
    }

    /// The key of a token, which is not valid any more.
    pub(super) fn take<'k>(&self, token: &str, keys: &'k Keys, now: Instant) -> Option<&'k Key> {
        let held = self.lock().remove(&digest(token)).filter(|held| self.is_valid(*held, now))?;
        keys.marked(held.key)
    }

    fn is_valid(&self, held: Held, now: Instant) -> bool {
        now.saturating_duration_since(held.used) < self.lifetime
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Held>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Random octets that cannot be guessed.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| {
        tracing::error!(%error, "cannot get random numbers");
        Error::Internal
    })?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::super::keys::Role;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn keys() -> Keys {
        Keys::new("a", "s").unwrap().with([Key::new("other", "b", "s").unwrap()])
    }

    fn find<'k>(keys: &'k Keys, auth_key: &str) -> &'k Key {
        keys.find(auth_key.as_bytes()).unwrap().0
    }

    #[test]
    fn a_token_is_valid_until_it_was_not_used_for_its_lifetime() {
        let (tokens, keys, start) = (Tokens::new(12 * HOUR, 10), keys(), Instant::now());
        let token = tokens.issue(find(&keys, "b"), &keys, start).unwrap();
        let name = |after| tokens.key(&token, &keys, start + after).map(Key::name);
        assert_eq!(token.len(), 64);
        assert_eq!(name(11 * HOUR), Some("other"));
        assert_eq!(name(23 * HOUR - Duration::from_secs(1)), Some("other"));
        assert_eq!(name(35 * HOUR), None);
        assert!(tokens.key("other", &keys, start).is_none() && tokens.key("", &keys, start).is_none());
    }

    #[test]
    fn a_token_is_taken_once() {
        let (tokens, keys, start) = (Tokens::new(HOUR, 10), keys(), Instant::now());
        let issue = || tokens.issue(find(&keys, "a"), &keys, start).unwrap();
        let [first, second] = [issue(), issue()];
        assert!(tokens.take(&first, &keys, start).is_some());
        assert!(tokens.take(&first, &keys, start).is_none() && tokens.key(&first, &keys, start).is_none());
        assert!(tokens.take(&second, &keys, start + HOUR).is_none(), "its time has passed");
    }

    #[test]
    fn a_key_that_changes_in_any_way_ends_its_tokens_and_no_others() {
        let (tokens, keys, start) = (Tokens::new(HOUR, 10), keys(), Instant::now());
        let issue = |auth_key| tokens.issue(find(&keys, auth_key), &keys, start).unwrap();
        let [of_a, of_b] = ["a", "b"].map(issue);
        let sender = || Some(vec!["192.0.2.1".parse().unwrap()]);
        for changed in [
            Key::new("other", "b", "t").unwrap(),
            Key::new("other", "b", "s").unwrap().limited(Role::Read, None),
            Key::new("other", "b", "s").unwrap().limited(Role::Admin, sender()),
            Key::new("other", "b", "s").unwrap().limited(Role::Admin, Some(Vec::new())),
            Key::new("other", "c", "s").unwrap(),
        ] {
            let reloaded = Keys::new("a", "s").unwrap().with([changed]);
            assert!(tokens.key(&of_b, &reloaded, start).is_none());
            assert!(tokens.key(&of_a, &reloaded, start).is_some());
        }
        let renamed = Keys::new("a", "s").unwrap().with([Key::new("renamed", "b", "s").unwrap()]);
        assert!(tokens.key(&of_b, &renamed, start).is_some(), "it permits the same");
        // Tokens of removed keys are forgotten.
        let one = Keys::new("a", "s").unwrap();
        tokens.issue(find(&one, "a"), &one, start).unwrap();
        assert_eq!(tokens.lock().len(), 2);
    }

    #[test]
    fn a_key_has_a_bounded_share_and_ends_only_its_own() {
        let (tokens, keys, start) = (Tokens::new(HOUR, 3), keys(), Instant::now());
        let other = tokens.issue(find(&keys, "b"), &keys, start).unwrap();
        let at = |seconds| start + Duration::from_secs(seconds);
        let issued: Vec<_> =
            (1..=3).map(|seconds| tokens.issue(find(&keys, "a"), &keys, at(seconds)).unwrap()).collect();
        assert!(tokens.key(&issued[0], &keys, at(4)).is_some());
        tokens.issue(find(&keys, "a"), &keys, at(5)).unwrap();
        let valid: Vec<_> = issued.iter().map(|token| tokens.key(token, &keys, at(5)).is_some()).collect();
        assert_eq!(valid, [true, false, true], "the one that was used least recently makes room");
        assert!(tokens.key(&other, &keys, at(5)).is_some());
        tokens.issue(find(&keys, "a"), &keys, at(7200)).unwrap();
        assert_eq!(tokens.lock().len(), 1, "those whose time has passed are forgotten");
    }
}
