//! How often a client may fail to authenticate: a burst, then a rate. Valid credentials are never delayed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::party::network;

/// The failures that a client may have at first, and those that it regains each second.
const BURST: f64 = 1000.0;
const PER_SECOND: f64 = 10.0;
/// The number of clients with an account of their own; the rest share one.
const CLIENTS: usize = 4096;

/// The failures of each client.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Account>>);

#[derive(Clone, Copy, Debug)]
struct Account {
    left: f64,
    at: Instant,
}

impl Account {
    fn left_at(self, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST)
    }
}

impl Failures {
    /// Notes a failure; `false` when the client has had too many.
    pub(super) fn note(&self, client: Option<IpAddr>, now: Instant) -> bool {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = client.map_or(SHARED, network);
        if accounts.len() >= CLIENTS && !accounts.contains_key(&client) {
            accounts.retain(|_, account| account.left_at(now) < BURST);
            if accounts.len() >= CLIENTS {
                client = SHARED;
            }
        }
        let account = accounts.entry(client).or_insert(Account { left: BURST, at: now });
        let left = account.left_at(now);
        let allowed = left >= 1.0;
        *account = Account { left: if allowed { left - 1.0 } else { left }, at: now };
        allowed
    }
}

/// The shared account.
const SHARED: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_burst_then_a_rate_for_each_client() {
        let (failures, start) = (Failures::default(), Instant::now());
        let allowed = |client, at| (0..2000).filter(|_| failures.note(client, at)).count();
        assert_eq!(allowed(address("192.0.2.1"), start), 1000);
        assert_eq!(allowed(address("192.0.2.2"), start), 1000);
        assert_eq!(allowed(address("192.0.2.1"), start + Duration::from_secs(2)), 20);
        assert_eq!(allowed(address("192.0.2.1"), start + Duration::from_secs(3600)), 1000);
        assert_eq!(allowed(address("2001:db8::1"), start), 1000);
        assert_eq!(allowed(address("2001:db8::2"), start), 0, "the same network");
    }

    #[test]
    fn the_table_is_bounded() {
        let (failures, start) = (Failures::default(), Instant::now());
        for number in 0..10_000_u32 {
            failures.note(Some(IpAddr::V4((0x0a00_0000 + number).into())), start);
        }
        assert!(failures.0.lock().unwrap().len() <= CLIENTS + 1);
        // Accounts with a full burst make room.
        failures.note(address("192.0.2.1"), start + Duration::from_secs(3600));
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }
}
