//! What is shown of the BMP sessions: published by their thread, read at any time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flow::Timestamp;
use view::{Bmp, BmpRouter, Counter, Gauge, Refusals, RefusedSession};

use super::sessions::MOST_SESSIONS;
use crate::lock::locked;

/// The refused addresses that are remembered.
const MOST_REFUSED: usize = 64;

/// Refusals are logged once in this time, of all addresses together.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Why a session is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unregistered,
    TooEarly,
    TooMany,
}

impl Refusal {
    const fn name(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::TooEarly => "too_early",
            Self::TooMany => "too_many",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Unregistered => "the router is not registered under this address (netflow senders add)",
            Self::TooEarly => "its last session ended by an error less than a minute ago",
            Self::TooMany => "there are as many sessions as are possible",
        }
    }
}

/// The state that is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Nothing is shown before the first one.
    has_listened: bool,
    listening: Vec<SocketAddr>,
    memory: usize,
    routers: BTreeMap<IpAddr, BmpRouter>,
    /// The one refused last is the last.
    refused: Vec<RefusedSession>,
    refusals: Refusals,
    logged: Option<Instant>,
}

impl Shown {
    /// Publishes everything but the refusals.
    pub(super) fn all(&self, listening: Vec<SocketAddr>, routers: Vec<BmpRouter>, memory: usize) {
        let mut state = locked(&self.0);
        state.has_listened |= !listening.is_empty();
        state.listening = listening;
        state.memory = memory;
        state.routers = routers.into_iter().map(|router| (router.address, router)).collect();
    }

    /// Publishes a router.
    pub(super) fn router(&self, router: BmpRouter) {
        locked(&self.0).routers.insert(router.address, router);
    }

    /// Counts a refused session, and logs it unless another one was logged just before.
    pub(super) fn refused(&self, address: IpAddr, reason: Refusal, now: Timestamp) {
        let mut state = locked(&self.0);
        let known = state.refused.iter().position(|refused| refused.address == address);
        let count = 1 + known.map_or(0, |known| state.refused.remove(known).count);
        if state.refused.len() >= MOST_REFUSED {
            state.refused.remove(0);
        }
        state.refused.push(RefusedSession { address, reason: reason.name(), count, last: now });
        let Refusals { unregistered, too_early, too_many } = &mut state.refusals;
        *match reason {
            Refusal::Unregistered => unregistered,
            Refusal::TooEarly => too_early,
            Refusal::TooMany => too_many,
        } += 1;
        if state.logged.is_none_or(|logged| logged.elapsed() >= LOGGED_EVERY) {
            state.logged = Some(Instant::now());
            let total = state.refusals.unregistered + state.refusals.too_early + state.refusals.too_many;
            drop(state);
            tracing::warn!(total, "refused a BMP session of {address}: {}", reason.explanation());
        }
    }

    /// A router, if it has had a session.
    pub(crate) fn router_of(&self, address: IpAddr) -> Option<BmpRouter> {
        locked(&self.0).routers.get(&address).cloned()
    }

    /// The name that a router has given itself.
    pub(crate) fn name_of(&self, address: IpAddr) -> Option<String> {
        locked(&self.0).routers.get(&address)?.name.clone()
    }

    /// What `/status` shows; `None` if the collector has never listened for BMP sessions.
    pub(crate) fn view(&self) -> Option<Bmp> {
        let state = locked(&self.0);
        let routers: Vec<BmpRouter> = state.routers.values().cloned().collect();
        state.has_listened.then(|| Bmp {
            listening: state.listening.clone(),
            bytes: routers.iter().map(|router| router.bytes).sum(),
            bytes_limit: state.memory as u64,
            routers,
            refused: state.refused.iter().rev().copied().collect(),
            refusals: state.refusals,
        })
    }
}

/// The counters of all sessions.
pub(crate) fn counters(bmp: &Bmp) -> [Counter; 6] {
    let sum = |value: fn(&BmpRouter) -> u64| bmp.routers.iter().map(value).sum();
    let Refusals { unregistered, too_early, too_many } = bmp.refusals;
    let refused = [(Refusal::Unregistered, unregistered), (Refusal::TooEarly, too_early), (Refusal::TooMany, too_many)];
    [
        Counter {
            name: "bmp_refused_sessions",
            help: "BMP sessions that were refused",
            values: refused.map(|(refusal, count)| (Some(("reason", refusal.name())), count)).to_vec(),
        },
        Counter::plain("bmp_sessions", "BMP sessions that have begun", sum(|router| router.sessions)),
        Counter::plain("bmp_session_errors", "BMP sessions that ended by an error", sum(|router| router.errors)),
        Counter::plain("bmp_messages", "Messages of BMP sessions", sum(|router| router.received.messages)),
        Counter::plain("bmp_announced_routes", "Routes announced and kept", sum(|router| router.received.announced)),
        Counter::plain("bmp_withdrawn_routes", "Routes withdrawn", sum(|router| router.received.withdrawn)),
    ]
}

/// What all routers have.
#[expect(clippy::cast_precision_loss, reason = "routes need no more than 53 bits")]
pub(crate) fn gauges(bmp: &Bmp) -> [Gauge; 4] {
    let gauge = |name, help, value: u64| Gauge { name, help, value: value as f64, limit: None };
    let sum = |value: fn(&BmpRouter) -> u64| bmp.routers.iter().map(value).sum();
    let open = sum(|router| router.session.is_some().into());
    let sessions = gauge("bmp_open_sessions", "BMP sessions that are open", open);
    let bytes = gauge("bmp_bytes", "Memory of the routes of all routers, about", bmp.bytes);
    [
        Gauge { limit: Some(MOST_SESSIONS as f64), ..sessions },
        gauge("bmp_routes", "Routes of all routers", sum(|router| router.routes)),
        gauge("bmp_stale_routes", "Routes whose session or peer is down", sum(|router| router.stale_routes)),
        Gauge { limit: Some(bmp.bytes_limit as f64), ..bytes },
    ]
}
