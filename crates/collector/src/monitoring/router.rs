//! The routes of one router, its session, and how that ends.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bmp::{Counts, Limits, Problem, Rib, Session, SessionError, Snapshot};
use flow::Timestamp;
use view::{BmpReceived, BmpRouter, BmpSession, EndedSession};

use crate::origins::Origins;

/// After an error, the next session of the router is accepted this much later: it would send its whole table again, to end
/// at the same message.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(60);

/// Sessions that begin and end are logged for a router once in this time; errors always.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// How a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The router closed the connection.
    #[error("the router closed the connection")]
    Closed,
    /// The router announced the end.
    #[error("the router ended the session")]
    Terminated,
    /// The router has begun another one.
    #[error("the router began another session")]
    Replaced,
    /// The connection is of no more use.
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
    /// A message cannot be read, or exceeds a limit.
    #[error("{0}")]
    Message(SessionError),
    /// The memory is used up.
    #[error(
        "{used} octets of routes are more than {whose} may have: monitor one table of the router, preferably Loc-RIB, or raise bmp.memory ({limit})"
    )]
    Memory {
        /// What would be used.
        used: usize,
        /// `one router` or `all routers`.
        whose: &'static str,
        /// The setting.
        limit: usize,
    },
    /// Its router is no longer registered.
    #[error("the router is no longer registered")]
    Unregistered,
    /// The address is no longer listened on.
    #[error("the collector no longer listens on its address")]
    NotListening,
}

impl End {
    /// See [`EndedSession::kind`].
    const fn kind(&self) -> &'static str {
        match self {
            Self::Closed | Self::Terminated => "closed",
            Self::Replaced => "replaced",
            Self::Lost(_) => "lost",
            Self::Message(SessionError { problem: Problem::TooMany { .. }, .. }) | Self::Memory { .. } => "limit",
            Self::Message(_) => "malformed",
            Self::Unregistered | Self::NotListening => "removed",
        }
    }

    const fn is_error(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Memory { .. })
    }
}

/// The limits of a router within this memory for all routers.
pub(super) fn limits(memory: usize) -> Limits {
    // Everything is checked once more for what it takes; these keep one message from exceeding that by much.
    let routes = memory / 2 / ROUTE_OCTETS;
    Limits { routes, paths: routes, path_octets: memory / 2, ..Limits::default() }
}

/// A route in its table alone.
const ROUTE_OCTETS: usize = 40;

/// A connection and what was read of it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// The configured address that it was accepted at.
    pub(super) accepted_at: SocketAddr,
    session: Session,
    since: Timestamp,
}

/// A router that has had a session since the start.
pub(super) struct Router {
    address: IpAddr,
    /// For the routes of all routers, in octets.
    memory: usize,
    rib: Rib,
    pub(super) connection: Option<Connection>,
    /// What was published last.
    published: Option<Arc<Snapshot>>,
    /// What sessions have received that are over.
    received: Counts,
    name: Option<String>,
    ranges: usize,
    sessions: u64,
    errors: u64,
    ended: Option<EndedSession>,
    /// Until then, no session is accepted.
    paused_until: Option<Instant>,
    logged: Option<Instant>,
}

impl Router {
    pub(super) fn new(address: IpAddr, memory: usize) -> Self {
        Self {
            address,
            memory,
            rib: Rib::new(limits(memory)),
            connection: None,
            published: None,
            received: Counts::default(),
            name: None,
            ranges: 0,
            sessions: 0,
            errors: 0,
            ended: None,
            paused_until: None,
            logged: None,
        }
    }

    pub(super) fn set_memory(&mut self, memory: usize) {
        self.memory = memory;
        self.rib.set_limits(limits(memory));
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn begin(&mut self, stream: TcpStream, accepted_at: SocketAddr, now: Timestamp) {
        self.end(&End::Replaced, now);
        self.sessions += 1;
        if self.may_log() {
            tracing::info!("the BMP session of {} began", self.address);
        }
        self.connection = Some(Connection { stream, accepted_at, session: Session::new(), since: now });
    }

    /// Reads once what has arrived. Returns how the session ended, if it did.
    pub(super) fn read(&mut self, buffer: &mut [u8], now: Timestamp) -> Option<End> {
        let Connection { stream, session, .. } = self.connection.as_mut()?;
        match stream.read(buffer) {
            Ok(0) => Some(End::Closed),
            Ok(count) => {
                let octets = buffer.get(..count).unwrap_or_default();
                match session.receive(&mut self.rib, octets, now) {
                    Err(error) => Some(End::Message(error)),
                    Ok(()) => session.is_terminated().then_some(End::Terminated),
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            Err(error) => Some(End::Lost(error)),
        }
    }

    /// Ends its session, if it has one. Its routes are stale from now on.
    pub(super) fn end(&mut self, end: &End, now: Timestamp) {
        let Some(Connection { session, .. }) = self.connection.take() else { return };
        self.received.add(session.counts());
        self.name = session.system_name().map(str::to_owned).or(self.name.take());
        self.rib.session_ended(now);
        if end.is_error() {
            self.errors += 1;
            self.paused_until = Some(Instant::now() + PAUSE_AFTER_ERROR);
            tracing::warn!("the BMP session of {} ended by an error: {end}", self.address);
        } else if self.may_log() {
            tracing::info!("the BMP session of {} ended: {end}", self.address);
        }
        self.ended = Some(EndedSession { at: now, kind: end.kind(), reason: end.to_string() });
    }

    fn may_log(&mut self) -> bool {
        let may = self.logged.is_none_or(|logged| logged.elapsed() >= LOGGED_EVERY);
        if may {
            self.logged = Some(Instant::now());
        }
        may
    }

    /// What it takes in memory, nearly.
    pub(super) fn octets(&self) -> usize {
        self.rib.octets() + self.connection.as_ref().map_or(0, |connection| connection.session.buffered())
    }

    /// Forgets its stale routes.
    pub(super) fn forget_stale(&mut self) {
        self.rib.forget_stale();
    }

    /// Publishes its routes if they have changed. Returns what was published before, which others may still use.
    pub(super) fn publish(&mut self, origins: &Origins, now: Timestamp) -> Option<Arc<Snapshot>> {
        self.rib.expire(now);
        let snapshot = self.rib.snapshot();
        if self.rib.is_empty() {
            let published = self.withdraw(origins)?;
            if self.connection.is_none() {
                // Also frees what its lists take.
                self.rib = Rib::new(limits(self.memory));
            }
            return Some(published);
        }
        if self.published.as_ref().is_some_and(|published| Arc::ptr_eq(published, &snapshot)) {
            return None;
        }
        self.ranges = snapshot.ranges();
        origins.set_routes(self.address, Some(&snapshot));
        self.published.replace(snapshot)
    }

    /// From now on, it has no routes for others.
    pub(super) fn withdraw(&mut self, origins: &Origins) -> Option<Arc<Snapshot>> {
        let published = self.published.take()?;
        self.ranges = 0;
        origins.set_routes(self.address, None);
        Some(published)
    }

    pub(super) fn shown(&self) -> BmpRouter {
        let session = self.connection.as_ref().map(|connection| &connection.session);
        let mut received = self.received;
        session.into_iter().for_each(|session| received.add(session.counts()));
        let number = |count: usize| count as u64;
        BmpRouter {
            address: self.address,
            name: session.and_then(Session::system_name).map(str::to_owned).or_else(|| self.name.clone()),
            session: self.connection.as_ref().map(|Connection { session, since, .. }| BmpSession {
                since: *since,
                peers: number(session.peers()),
                complete_tables: session.counts().tables_complete,
            }),
            routes: number(self.rib.len()),
            stale_routes: number(self.rib.stale()),
            paths: number(self.rib.paths()),
            ranges: number(self.ranges),
            bytes: number(self.octets()),
            received: shown_counts(&received),
            sessions: self.sessions,
            errors: self.errors,
            ended: self.ended.clone(),
        }
    }
}

fn shown_counts(counts: &Counts) -> BmpReceived {
    BmpReceived {
        messages: counts.messages,
        bytes: counts.octets,
        announced: counts.announced,
        withdrawn: counts.withdrawn,
        superseded: counts.superseded,
        malformed_paths: counts.malformed_path,
        other_instance: counts.other_instance,
        adj_rib_out: counts.adj_rib_out,
        peer_not_up: counts.peer_not_up,
        other_family: counts.other_family,
    }
}
