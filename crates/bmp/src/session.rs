//! One connection of a router: from a stream of octets, cut anywhere, to messages, and from these to routes.

use std::collections::BTreeMap;
use std::mem;

use flow::Timestamp;

use crate::error::{Fault, Limited, Problem, SessionError};
use crate::family::Each;
use crate::message::{HEADER, Header, Kind, Monitored, Peer, PeerHeader, Table};
use crate::octets::Octets;
use crate::open::{AddPath, Open};
use crate::rib::{ApplyError, Rib};
use crate::update::Update;

/// What a session has received. Everything that is not kept has a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages of all types.
    pub messages: u64,
    /// Octets of these messages.
    pub octets: u64,
    /// Routes that were announced and kept.
    pub announced: u64,
    /// Routes that were withdrawn.
    pub withdrawn: u64,
    /// Statistics reports; not read.
    pub statistics: u64,
    /// Route mirroring messages; not read.
    pub mirrored: u64,
    /// Messages of other types; not read.
    pub other_messages: u64,
    /// Messages about Adj-RIB-Out; not kept.
    pub adj_rib_out: u64,
    /// Messages about another instance of the router, such as a VRF, or about a peer of an unknown type; not kept.
    pub other_instance: u64,
    /// Messages with routes of a peer that is not up; not kept.
    pub peer_not_up: u64,
    /// Messages with prefixes of other families than unicast IPv4 and IPv6; not kept.
    pub other_family: u64,
    /// Announced routes that were not kept, because the router also sends a better table.
    pub superseded: u64,
    /// Announced routes whose AS path is missing or malformed; they count as withdrawn.
    pub malformed_path: u64,
    /// Markers of the end of a table (End-of-RIB).
    pub tables_complete: u64,
    /// Peers that came up, and those that went down.
    pub peers_up: u64,
    /// See `peers_up`.
    pub peers_down: u64,
}

/// A connection of a router, from its first octet to its last.
#[derive(Debug, Default)]
pub struct Session {
    /// The beginning of a message of which the rest is missing.
    part: Vec<u8>,
    /// The peers that are up.
    peers: BTreeMap<Peer, UpPeer>,
    counts: Counts,
    system_name: Option<String>,
    is_terminated: bool,
    error: Option<SessionError>,
}

/// What the router and a peer that is up have agreed upon.
#[derive(Clone, Copy, Debug, Default)]
struct UpPeer {
    /// For which families prefixes have the number of their path before them.
    is_numbered: Each<bool>,
    /// The AS of the router.
    router: u32,
}

impl Counts {
    /// Adds what another session has received.
    pub const fn add(&mut self, other: &Self) {
        let Self {
            messages,
            octets,
            announced,
            withdrawn,
            statistics,
            mirrored,
            other_messages,
            adj_rib_out,
            other_instance,
            peer_not_up,
            other_family,
            superseded,
            malformed_path,
            tables_complete,
            peers_up,
            peers_down,
        } = other;
        self.messages += *messages;
        self.octets += *octets;
        self.announced += *announced;
        self.withdrawn += *withdrawn;
        self.statistics += *statistics;
        self.mirrored += *mirrored;
        self.other_messages += *other_messages;
        self.adj_rib_out += *adj_rib_out;
        self.other_instance += *other_instance;
        self.peer_not_up += *peer_not_up;
        self.other_family += *other_family;
        self.superseded += *superseded;
        self.malformed_path += *malformed_path;
        self.tables_complete += *tables_complete;
        self.peers_up += *peers_up;
        self.peers_down += *peers_down;
    }
}

impl Session {
    /// Before the first octet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next octets of the connection, received now, into the routes of the router. They may end anywhere. After the
    /// end of the connection, call [`Rib::session_ended`].
    ///
    /// # Errors
    /// If a message is malformed or exceeds a limit. The connection is then of no more use: every later call returns the same
    /// error. Everything before that message has been applied.
    pub fn receive(&mut self, rib: &mut Rib, mut octets: &[u8], now: Timestamp) -> Result<(), SessionError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        while !self.is_terminated {
            let limit = rib.limits.message;
            let Some(length) = self.next_length(&mut octets, limit)? else { return Ok(()) };
            if self.part.is_empty() {
                let Some((message, rest)) = octets.split_at_checked(length) else {
                    self.part.extend(octets);
                    return Ok(());
                };
                octets = rest;
                self.message(rib, message, now)?;
            } else {
                self.fill(&mut octets, length);
                if self.part.len() < length {
                    return Ok(());
                }
                let message = mem::take(&mut self.part);
                self.message(rib, &message, now)?;
            }
        }
        Ok(())
    }

    /// What it has received.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many peers are up, Loc-RIB included.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// The octets of a message of which the rest is missing.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.part.capacity()
    }

    /// The name that the router has given itself.
    #[must_use]
    pub fn system_name(&self) -> Option<&str> {
        self.system_name.as_deref()
    }

    /// The router has announced the end of the session: the connection can be closed.
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        self.is_terminated
    }

    /// The length of the message that begins in `part`, or in `octets`. `None` if its header is incomplete.
    fn next_length(&mut self, octets: &mut &[u8], limit: usize) -> Result<Option<usize>, SessionError> {
        if !self.part.is_empty() {
            self.fill(octets, HEADER);
        }
        let begun = if self.part.is_empty() { *octets } else { &self.part };
        if begun.len() < HEADER {
            if self.part.is_empty() {
                self.part.extend(*octets);
            }
            return Ok(None);
        }
        let header = Header::read(&mut Octets::new(begun), limit);
        header.map(|header| Some(header.length)).map_err(|fault| self.end(Kind::Unknown, fault))
    }

    /// Moves octets to the part until it has this length.
    fn fill(&mut self, octets: &mut &[u8], length: usize) {
        let missing = length.saturating_sub(self.part.len()).min(octets.len());
        let (next, rest) = octets.split_at_checked(missing).unwrap_or((octets, &[]));
        self.part.extend(next);
        *octets = rest;
    }

    /// The session is over.
    fn end(&mut self, kind: Kind, fault: Fault) -> SessionError {
        let Fault { at: offset, problem } = fault;
        let error = SessionError { number: self.counts.messages + 1, kind, offset, problem };
        self.part = Vec::new();
        self.error = Some(error.clone());
        error
    }

    fn message(&mut self, rib: &mut Rib, message: &[u8], now: Timestamp) -> Result<(), SessionError> {
        let mut octets = Octets::new(message);
        let header = Header::read(&mut octets, rib.limits.message).map_err(|fault| self.end(Kind::Unknown, fault))?;
        let read = if self.counts.messages == 0 && header.kind != Kind::Initiation {
            Err(octets.fault(Problem::NotInitiated))
        } else {
            self.body(rib, &header, octets, now)
        };
        read.map_err(|fault| self.end(header.kind, fault))?;
        self.counts.messages += 1;
        self.counts.octets += message.len() as u64;
        Ok(())
    }

    fn body(&mut self, rib: &mut Rib, header: &Header, mut octets: Octets<'_>, now: Timestamp) -> Result<(), Fault> {
        match header.kind {
            Kind::Initiation => self.initiation(octets),
            Kind::Termination => {
                self.is_terminated = true;
                Ok(())
            }
            Kind::Statistics => {
                self.counts.statistics += 1;
                Ok(())
            }
            Kind::RouteMirroring => {
                self.counts.mirrored += 1;
                Ok(())
            }
            Kind::Other(_) | Kind::Unknown => {
                self.counts.other_messages += 1;
                Ok(())
            }
            Kind::PeerUp | Kind::PeerDown | Kind::RouteMonitoring => {
                let peer = PeerHeader::read(&mut octets)?;
                let Some(peer) = peer.filter(|peer| peer.distinguisher == rib.limits.distinguisher) else {
                    self.counts.other_instance += 1;
                    return Ok(());
                };
                match header.kind {
                    Kind::PeerUp => self.peer_up(rib, &peer, octets, now),
                    Kind::PeerDown => self.peer_down(rib, &peer, octets, now),
                    _ => self.routes(rib, &peer, header.version, octets, now),
                }
            }
        }
    }

    fn initiation(&mut self, mut octets: Octets<'_>) -> Result<(), Fault> {
        const WHAT: &str = "the information about the router";
        const SYSTEM_NAME: u16 = 2;
        const LONGEST: usize = 255;
        while !octets.is_empty() {
            let kind = octets.u16(WHAT)?;
            let value = octets.counted(2, WHAT)?.rest();
            if kind == SYSTEM_NAME {
                let name = String::from_utf8_lossy(value.get(..LONGEST).unwrap_or(value));
                self.system_name = Some(name.into_owned());
            }
        }
        Ok(())
    }

    fn peer_up(
        &mut self,
        rib: &mut Rib,
        header: &PeerHeader,
        mut octets: Octets<'_>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        // The address and port of the router, and the port of the peer.
        octets.part(20, "the addresses of the session")?;
        let offered = Open::read(&mut octets)?;
        let received = Open::read(&mut octets)?.add_path;
        let mut is_numbered = offered.add_path.received_from(received);
        if header.peer.is_loc_rib {
            // Both messages are the same (RFC 9069, section 4.4). Each family may come up by itself.
            let before = self.peers.get(&header.peer).copied().unwrap_or_default().is_numbered;
            let alone = received.alone();
            is_numbered = Each { v4: alone.v4 || before.v4, v6: alone.v6 || before.v6 };
        }
        let limit = rib.limits.tables;
        if self.peers.len() >= limit && !self.peers.contains_key(&header.peer) {
            return Err(octets.fault(Problem::TooMany { what: Limited::Tables, limit }));
        }
        self.peers.insert(header.peer, UpPeer { is_numbered, router: offered.asn });
        self.counts.peers_up += 1;
        rib.peer_up(header.peer, now);
        Ok(())
    }

    fn peer_down(
        &mut self,
        rib: &mut Rib,
        header: &PeerHeader,
        octets: Octets<'_>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.peers.remove(&header.peer);
        self.counts.peers_down += 1;
        rib.peer_down(header.peer, now).map_err(|problem| octets.fault(problem))
    }

    fn routes(
        &mut self,
        rib: &mut Rib,
        header: &PeerHeader,
        version: u8,
        octets: Octets<'_>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if header.table == Table::Out {
            self.counts.adj_rib_out += 1;
            return Ok(());
        }
        let peer = match self.peers.get(&header.peer) {
            Some(peer) => *peer,
            // GoBGP announces no emulated peer, although RFC 9069, section 5.1, demands it.
            None if header.peer.is_loc_rib => *self.peers.entry(header.peer).or_default(),
            None => {
                self.counts.peer_not_up += 1;
                return Ok(());
            }
        };
        let monitored = Monitored::read(version, octets)?;
        let update = Update::read(monitored.update, monitored.add_path.map_or(peer.is_numbered, AddPath::alone))?;
        self.counts.other_family += u64::from(update.has_other_family);
        let applied = rib.apply(header, peer.router, &update, now).map_err(|error| match error {
            ApplyError::Fault(fault) => fault,
            ApplyError::Problem(problem) => octets.fault(problem),
        })?;
        self.counts.announced += applied.announced;
        self.counts.withdrawn += applied.withdrawn;
        self.counts.superseded += applied.ignored;
        self.counts.malformed_path += applied.malformed;
        self.counts.tables_complete += u64::from(update.end_of_rib.is_some());
        Ok(())
    }
}
