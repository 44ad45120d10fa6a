//! The open export connections of all threads, their bounds, and what is shown of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use flow::{Exporter, Timestamp};
use rustix::process::{Resource, getrlimit};
use view::{
    Counter, EndedExportConnection, ExportConnection, ExportConnectionCounts, ExportConnections, Gauge,
    ListeningAddress, RefusedExportConnection, TlsOfConnection,
};

use super::encryption::TlsFailure;
use super::end::End;
use super::refusal::Refusal;
use crate::lock::locked;

/// The connections at a time, of all senders together.
const MOST: usize = 1024;

/// The connections at a time of routers that have yet to register themselves.
const MOST_UNDECIDED: usize = 64;

/// A sender may begin this many connections at once, and then one each [`BEGUN_EVERY`]. By default, exporters begin one a minute
/// (RFC 7011, section 10.4.4).
const BEGUN_AT_ONCE: u32 = 32;
const BEGUN_EVERY: Duration = Duration::from_secs(1);

/// The refused addresses that are remembered.
const MOST_REFUSED: usize = 64;

/// Refusals are logged once in this time, of all addresses together; beginnings and ends once for each sender, errors
/// apart, and an error of another kind than the last end always.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// The table; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Table(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Nothing is shown before the first one.
    has_listened: bool,
    listening: Vec<ListeningAddress>,
    limit: usize,
    per_sender: usize,
    open: BTreeMap<(IpAddr, u16), Arc<Open>>,
    senders: BTreeMap<IpAddr, OfSender>,
    /// The one refused last is the last.
    refused: Vec<RefusedExportConnection>,
    refusals: BTreeMap<&'static str, u64>,
    refusal_logged: Option<Instant>,
    ends: BTreeMap<&'static str, u64>,
    /// Of connections that have ended.
    messages: u64,
    octets: u64,
}

/// What is remembered of a sender that has had a connection.
#[derive(Debug)]
struct OfSender {
    ended: Option<EndedExportConnection>,
    /// How many connections it may begin at once, as of then.
    room: u32,
    room_at: Instant,
    logged: Option<Instant>,
    error_logged: Option<Instant>,
}

/// A connection that is open. Its thread counts here.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) exporter: Exporter,
    /// The address that it was accepted at.
    pub(super) listening: SocketAddr,
    since: Timestamp,
    /// Whether its exporter has to be verified first.
    is_encrypted: bool,
    /// Whether its sender has been registered.
    pub(super) is_registered: AtomicBool,
    /// Set when the handshake is complete.
    pub(super) tls: OnceLock<TlsOfConnection>,
    messages: AtomicU64,
    octets: AtomicU64,
    /// When the last message was received, in nanoseconds; 0 before the first one.
    last: AtomicU64,
}

impl Open {
    pub(super) fn new(exporter: Exporter, listening: SocketAddr, since: Timestamp, is_registered: bool) -> Self {
        Self {
            exporter,
            listening,
            since,
            is_encrypted: false,
            is_registered: AtomicBool::new(is_registered),
            tls: OnceLock::new(),
            messages: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// The same with TLS.
    pub(super) fn encrypted(self) -> Self {
        Self { is_encrypted: true, ..self }
    }

    /// Whether it is more than a handshake.
    fn is_accepted(&self) -> bool {
        !self.is_encrypted || self.tls.get().is_some()
    }

    /// Counts messages. Only the thread of the connection does so.
    pub(super) fn count(&self, messages: u64, octets: u64, last: Timestamp) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.octets.fetch_add(octets, Ordering::Relaxed);
        self.last.store(last.nanoseconds(), Ordering::Relaxed);
    }

    fn shown(&self) -> ExportConnection {
        let last = Timestamp::from_nanoseconds(self.last.load(Ordering::Relaxed));
        ExportConnection {
            port: self.exporter.port,
            listening: self.listening,
            tls: self.tls.get().cloned(),
            since: self.since,
            last: (last != Timestamp::EPOCH).then_some(last),
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.octets.load(Ordering::Relaxed),
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
        Self::new(descriptors.unwrap_or(usize::MAX))
    }
}

impl Table {
    /// For a process that may have this many descriptors, which others need too.
    fn new(descriptors: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            has_listened: false,
            listening: Vec::new(),
            limit: MOST.min(descriptors / 4),
            per_sender: 0,
            open: BTreeMap::new(),
            senders: BTreeMap::new(),
            refused: Vec::new(),
            refusals: Refusal::ALL
                .iter()
                .map(|refusal| refusal.name())
                .chain(TlsFailure::KINDS)
                .map(|kind| (kind, 0))
                .collect(),
            refusal_logged: None,
            ends: End::kinds().map(|kind| (kind, 0)).collect(),
            messages: 0,
            octets: 0,
        })))
    }

    /// Publishes the addresses that are listened on.
    pub(super) fn set_listening(&self, listening: Vec<ListeningAddress>) {
        let mut state = locked(&self.0);
        state.has_listened |= !listening.is_empty();
        state.listening = listening;
    }

    pub(super) fn set_per_sender(&self, per_sender: usize) {
        locked(&self.0).per_sender = per_sender;
    }

    /// Adds a connection, if there is room for it.
    pub(super) fn begin(&self, open: Open) -> Result<Arc<Open>, Refusal> {
        let mut state = locked(&self.0);
        let Exporter { address, port, .. } = open.exporter;
        let of_sender = state.open.range((address, u16::MIN)..=(address, u16::MAX)).count();
        let undecided = || state.open.values().filter(|open| !open.is_registered.load(Ordering::Relaxed)).count();
        let refusal = match () {
            () if state.open.contains_key(&(address, port)) => Some(Refusal::SamePort),
            () if of_sender >= state.per_sender => Some(Refusal::TooManyOfSender),
            () if state.open.len() >= state.limit => Some(Refusal::TooMany),
            () if !open.is_registered.load(Ordering::Relaxed) && undecided() >= MOST_UNDECIDED => {
                Some(Refusal::TooMany)
            }
            () => None,
        };
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let now = Instant::now();
        let sender = state.senders.entry(address).or_insert_with(|| OfSender::new(now));
        if !sender.takes_room(now) {
            return Err(Refusal::TooOften);
        }
        let is_logged = may_log(&mut sender.logged, now);
        let open = Arc::new(open);
        state.open.insert((address, port), Arc::clone(&open));
        drop(state);
        if is_logged {
            tracing::info!("the export connection of {} began, at {}", open.exporter, open.listening);
        }
        Ok(open)
    }

    /// Counts a refused connection, and logs it unless another one was logged just before.
    pub(super) fn refused(&self, address: IpAddr, reason: Refusal, now: Timestamp) {
        let mut state = locked(&self.0);
        state.refuse(address, reason.name(), now);
        if may_log(&mut state.refusal_logged, Instant::now()) {
            let total: u64 = state.refusals.values().sum();
            drop(state);
            tracing::warn!(total, "refused an export connection of {address}: {}", reason.explanation());
        }
    }

    /// Removes a connection. One that was not accepted was refused.
    pub(super) fn end(&self, open: &Open, end: &End, now: Timestamp) {
        let mut state = locked(&self.0);
        let Exporter { address, port, .. } = open.exporter;
        state.open.remove(&(address, port));
        match open.is_accepted() {
            true => *state.ends.entry(end.kind()).or_default() += 1,
            false => state.refuse(address, end.kind(), now),
        }
        let connection = open.shown();
        state.messages += connection.messages;
        state.octets += connection.bytes;
        let messages = connection.messages;
        let at = Instant::now();
        let sender = state.senders.entry(address).or_insert_with(|| OfSender::new(at));
        let is_other = sender.ended.as_ref().is_none_or(|last| last.kind != end.kind());
        let ended = EndedExportConnection { connection, at: now, kind: end.kind(), reason: end.to_string() };
        sender.ended = Some(ended);
        let is_due = may_log(if end.is_error() { &mut sender.error_logged } else { &mut sender.logged }, at);
        let is_logged = is_due || end.is_error() && is_other;
        drop(state);
        let exporter = open.exporter;
        match (is_logged, end.is_error()) {
            (false, _) => {}
            (true, _) if matches!(end, End::Unverified(_)) => {
                tracing::warn!("refused the export connection of {exporter}: {end}");
            }
            (true, true) => tracing::warn!(messages, "the export connection of {exporter} ended by an error: {end}"),
            (true, false) => tracing::info!(messages, "the export connection of {exporter} ended: {end}"),
        }
    }

    /// Forgets the senders that are no longer registered and have no connection.
    pub(super) fn retain(&self, is_registered: impl Fn(&IpAddr) -> bool) {
        let State { open, senders, .. } = &mut *locked(&self.0);
        senders.retain(|address, _| {
            is_registered(address) || open.range((*address, u16::MIN)..=(*address, u16::MAX)).next().is_some()
        });
    }

    /// The open connections of an exporter, by port.
    pub(crate) fn open_of(&self, address: IpAddr) -> Vec<ExportConnection> {
        let state = locked(&self.0);
        state.open.range((address, u16::MIN)..=(address, u16::MAX)).map(|(_, open)| open.shown()).collect()
    }

    /// The last connection of an exporter that has ended.
    pub(crate) fn ended_of(&self, address: IpAddr) -> Option<EndedExportConnection> {
        locked(&self.0).senders.get(&address)?.ended.clone()
    }

    /// What `/status` shows; `None` if the collector has never listened for export connections.
    pub(crate) fn view(&self) -> Option<ExportConnections> {
        let state = locked(&self.0);
        let (messages, octets) =
            state.open.values().fold((state.messages, state.octets), |(messages, octets), open| {
                let shown = open.shown();
                (messages + shown.messages, octets + shown.bytes)
            });
        let by_reason =
            |counts: &BTreeMap<&'static str, u64>| counts.iter().map(|(name, count)| (*name, *count)).collect();
        state.has_listened.then(|| ExportConnections {
            listening: state.listening.clone(),
            open: state.open.len() as u64,
            limit: state.limit as u64,
            limit_per_sender: state.per_sender as u64,
            refused: state.refused.iter().rev().copied().collect(),
            counts: ExportConnectionCounts {
                accepted: state.accepted(),
                refused: by_reason(&state.refusals),
                ended: by_reason(&state.ends),
                messages,
                bytes: octets,
            },
        })
    }
}

impl State {
    /// How many connections were accepted: those that are open, and those that have ended.
    fn accepted(&self) -> u64 {
        let open = self.open.values().filter(|open| open.is_accepted()).count();
        open as u64 + self.ends.values().sum::<u64>()
    }

    fn refuse(&mut self, address: IpAddr, reason: &'static str, now: Timestamp) {
        let known = self.refused.iter().position(|refused| refused.address == address);
        let count = 1 + known.map_or(0, |known| self.refused.remove(known).count);
        if self.refused.len() >= MOST_REFUSED {
            self.refused.remove(0);
        }
        self.refused.push(RefusedExportConnection { address, reason, count, last: now });
        *self.refusals.entry(reason).or_default() += 1;
    }
}

impl OfSender {
    const fn new(now: Instant) -> Self {
        Self { ended: None, room: BEGUN_AT_ONCE, room_at: now, logged: None, error_logged: None }
    }

    /// Whether it may begin another connection, which is counted.
    fn takes_room(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.room_at);
        let more = u32::try_from(passed.as_secs() / BEGUN_EVERY.as_secs()).unwrap_or(u32::MAX);
        if more > 0 {
            self.room = self.room.saturating_add(more).min(BEGUN_AT_ONCE);
            self.room_at = now;
        }
        let has_room = self.room > 0;
        self.room = self.room.saturating_sub(1);
        has_room
    }
}

/// Whether to log, if it was logged last then.
fn may_log(logged: &mut Option<Instant>, now: Instant) -> bool {
    let may = logged.is_none_or(|logged| now.saturating_duration_since(logged) >= LOGGED_EVERY);
    if may {
        *logged = Some(now);
    }
    may
}

/// The counters of all connections.
pub(crate) fn counters(shown: &ExportConnections) -> [Counter; 5] {
    let counts = &shown.counts;
    let by_reason = |name, help, values: &[(&'static str, u64)]| Counter {
        name,
        help,
        values: values.iter().map(|(reason, count)| (Some(("reason", *reason)), *count)).collect(),
    };
    [
        Counter::plain(
            "export_connections_accepted",
            "Export connections that were accepted, and have completed their TLS handshake",
            counts.accepted,
        ),
        by_reason(
            "export_connections_refused",
            "Export connections that were refused, or whose TLS handshake failed",
            &counts.refused,
        ),
        by_reason("export_connections_ended", "Export connections that have ended", &counts.ended),
        Counter::plain("export_connections_messages", "Messages of export connections", counts.messages),
        Counter::plain("export_connections_bytes", "Size of the messages of export connections", counts.bytes),
    ]
}

/// How many connections are open.
#[expect(clippy::cast_precision_loss, reason = "there are few")]
pub(crate) fn gauge(shown: &ExportConnections) -> Gauge {
    let help = "Export connections that are open";
    Gauge { name: "export_connections", help, value: shown.open as f64, limit: Some(shown.limit as f64) }
}
