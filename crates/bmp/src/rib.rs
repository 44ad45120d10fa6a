//! The tables of one router. They outlive its sessions, so that a session that ends and begins again changes no answer that
//! was right.
//!
//! - The routes of a session or of a peer that went down are *stale*. They go when the peer has announced its table again
//!   (End-of-RIB), or after [`Limits::stale`] (as RFC 4724, section 4.2, has it for BGP). Until then they answer where there
//!   is no other route of the same kind of table.
//! - Of several kinds of tables, Loc-RIB takes precedence over what peers announced after the policy, and that over what
//!   they announced before it. Once the better table has begun, routes of the worse are ignored; once it is complete, they
//!   are forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use flow::{Prefix, Timestamp};

use crate::compile::Changed;
use crate::error::{Limited, Problem};
use crate::family::{Family, Network};
use crate::limits::Limits;
use crate::message::{Peer, PeerHeader, Table};
use crate::path::{Path, PathAttributes, Scratch};
use crate::paths::{PathId, Paths};
use crate::snapshot::Snapshot;
use crate::table::TableRoutes;
use crate::update::{Networks, Update};

/// A table of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableKey {
    pub(crate) table: Table,
    pub(crate) peer: Peer,
}

/// What a route takes: about 40 octets in its table, and as many in the snapshot.
const ROUTE_OCTETS: usize = 80;
/// What the list of chunks and of those that have changed take.
const CHUNKS_OCTETS: usize = 640 << 10;

const LOC_RIB: TableKey = TableKey { table: Table::LocRib, peer: Peer::LOC_RIB };

/// The routes of one router.
#[derive(Debug)]
pub struct Rib {
    pub(crate) limits: Limits,
    pub(crate) tables: BTreeMap<TableKey, TableRoutes>,
    pub(crate) paths: Paths,
    routes: usize,
    scratch: Scratch,
    pub(crate) changed: Changed,
    pub(crate) current: Arc<Snapshot>,
    /// Routes of peers that are up are missing because of Loc-RIB.
    has_ignored: bool,
}

/// A route as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Route<'r> {
    /// Its prefix.
    pub prefix: Prefix,
    /// Its path.
    pub path: &'r Path,
    /// Which table it is in.
    pub table: Table,
    /// The peer that announced it; `::` for Loc-RIB.
    pub peer: IpAddr,
    /// The number of the path, if the peer sends several for a prefix.
    pub path_identifier: u32,
    /// Its session or its peer went down and has not announced it again.
    pub is_stale: bool,
}

/// What became of the prefixes of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied {
    pub(crate) announced: u64,
    pub(crate) withdrawn: u64,
    /// Announced, but the table is not kept because there is a better one.
    pub(crate) ignored: u64,
    /// Announced with an AS path that is missing or malformed, and therefore withdrawn (RFC 7606).
    pub(crate) malformed: u64,
}

impl Rib {
    /// Without routes.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            tables: BTreeMap::new(),
            paths: Paths::default(),
            routes: 0,
            scratch: Scratch::default(),
            changed: Changed::default(),
            current: Arc::default(),
            has_ignored: false,
        }
    }

    /// How many routes are kept, of all tables, including stale ones.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.routes
    }

    /// Whether no route is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.routes == 0
    }

    /// How many of them are stale.
    #[must_use]
    pub fn stale(&self) -> usize {
        self.tables.values().map(|table| table.stale(Family::V4) + table.stale(Family::V6)).sum()
    }

    /// How many different AS paths they have.
    #[must_use]
    pub fn paths(&self) -> usize {
        self.paths.len()
    }

    /// The octets that its routes and their snapshot take in memory, nearly. While a snapshot is compiled, the one before it
    /// takes up to a fifth of that again.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.routes * ROUTE_OCTETS + self.paths.octets() + if self.is_empty() { 0 } else { CHUNKS_OCTETS }
    }

    /// Sets the limits. Routes beyond the new ones stay until more are announced.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// All routes, by table.
    pub fn routes(&self) -> impl Iterator<Item = Route<'_>> {
        self.tables.iter().flat_map(move |(key, table)| {
            let route = move |first: IpAddr, length: u8, path_identifier, path, is_stale| {
                let prefix = Prefix::new(first, length.into()).ok()?;
                let path = &**self.paths.get(path)?;
                Some(Route { prefix, path, table: key.table, peer: key.peer.address, path_identifier, is_stale })
            };
            let v4 = table.v4.iter().filter_map(move |(key, path, is_stale)| {
                let first = std::net::Ipv4Addr::from_bits(key.number()).into();
                route(first, key.length, key.path_identifier, path, is_stale)
            });
            let v6 = table.v6.iter().filter_map(move |(key, path, is_stale)| {
                let first = std::net::Ipv6Addr::from_bits(key.number()).into();
                route(first, key.length, key.path_identifier, path, is_stale)
            });
            v4.chain(v6)
        })
    }

    /// The connection of the session ended, in whatever way. Its routes are stale from now on.
    pub fn session_ended(&mut self, now: Timestamp) {
        let keys: Vec<TableKey> = self.tables.keys().copied().collect();
        keys.iter().for_each(|key| self.down(key, now));
        self.has_ignored = false;
        self.remove_empty();
    }

    /// Forgets the stale routes whose time has passed. To be called now and then, such as before [`Self::snapshot`].
    pub fn expire(&mut self, now: Timestamp) {
        let is_due = |table: &TableRoutes| table.grace_until.is_some_and(|until| until <= now);
        let due: Vec<TableKey> = self.tables.iter().filter(|(_, table)| is_due(table)).map(|(key, _)| *key).collect();
        for key in due {
            if let Some(table) = self.tables.get_mut(&key) {
                table.settle();
            }
            Family::BOTH.into_iter().for_each(|family| self.complete(&key, family));
        }
        self.remove_empty();
    }

    pub(crate) fn peer_up(&mut self, peer: Peer, now: Timestamp) {
        // Loc-RIB comes up once for each family, if there are several emulated peers (RFC 9069, section 6.1.1).
        let is_again = !peer.is_loc_rib;
        for key in tables_of(peer) {
            if is_again {
                self.down(&key, now);
            }
            if let Some(table) = self.tables.get_mut(&key) {
                table.up(now, self.limits.stale);
            }
        }
    }

    /// The routes of a table become stale, so that those of others may be better.
    fn down(&mut self, key: &TableKey, now: Timestamp) {
        let has_others = self.tables.len() > 1;
        let Some(table) = self.tables.get_mut(key).filter(|table| table.is_up) else { return };
        if has_others {
            table.v4.iter().for_each(|(key, ..)| self.changed.v4.prefix(key.first(), key.length));
            table.v6.iter().for_each(|(key, ..)| self.changed.v6.prefix(key.first(), key.length));
        }
        table.down(now, self.limits.stale);
    }

    pub(crate) fn peer_down(&mut self, peer: Peer, now: Timestamp) -> Result<(), Problem> {
        tables_of(peer).iter().for_each(|key| self.down(key, now));
        self.remove_empty();
        if peer.is_loc_rib && self.has_ignored { Err(Problem::LocRibEnded) } else { Ok(()) }
    }

    /// Applies an UPDATE of a peer that is up. `router` is the AS of the router.
    pub(crate) fn apply(
        &mut self,
        header: &PeerHeader,
        router: u32,
        update: &Update<'_>,
        now: Timestamp,
    ) -> Result<Applied, ApplyError> {
        let key = TableKey { table: header.table, peer: header.peer };
        self.table(key, now)?;
        let mut applied = Applied::default();
        for networks in update.withdrawn.into_iter().flatten() {
            applied.withdrawn += self.withdraw(key, networks)?;
        }
        for networks in update.announced.into_iter().flatten().filter(|networks| !networks.is_empty()) {
            let family = networks.family();
            let path = self.read_path(header, router, update)?;
            if let Some(table) = self.tables.get_mut(&key) {
                *table.has_begun.get_mut(family) = true;
            }
            let kept = path.filter(|_| !self.is_superseded(&key, family));
            if let Some(kept) = kept {
                let count = self.announce(key, networks, kept);
                self.paths.release(kept);
                applied.announced += count?;
            } else {
                path.into_iter().for_each(|path| self.paths.release(path));
                // Its earlier route, if any, is replaced by one that is not kept.
                let count = self.withdraw(key, networks)?;
                *if path.is_some() { &mut applied.ignored } else { &mut applied.malformed } += count;
            }
        }
        if let Some(family) = update.end_of_rib
            && let Some(table) = self.tables.get_mut(&key)
            // FRR ends a table that its peer, with which it has just connected, has not begun. What is stale then remains.
            && *table.has_begun.get(family)
        {
            *table.is_complete.get_mut(family) = true;
            self.complete(&key, family);
        }
        self.check_routes()?;
        Ok(applied)
    }

    /// Makes sure that the table exists and is up.
    fn table(&mut self, key: TableKey, now: Timestamp) -> Result<(), Problem> {
        if let Some(table) = self.tables.get_mut(&key) {
            // Loc-RIB may be announced after it went down, without coming up: its routes must become stale again at the end.
            if !table.is_up {
                table.up(now, self.limits.stale);
            }
            return Ok(());
        }
        let limit = self.limits.tables;
        if self.tables.len() >= limit {
            self.forget_stale();
        }
        if self.tables.len() >= limit {
            return Err(Problem::TooMany { what: Limited::Tables, limit });
        }
        let mut table = TableRoutes::default();
        table.up(now, self.limits.stale);
        self.tables.insert(key, table);
        Ok(())
    }

    /// The path of the announced routes, which has one user: the message. `None` if it is missing or malformed.
    fn read_path(&mut self, header: &PeerHeader, router: u32, update: &Update<'_>) -> Result<Option<PathId>, Problem> {
        let Some(as_path) = update.as_path else { return Ok(None) };
        let read = PathAttributes {
            as_path,
            as4_path: update.as4_path.filter(|_| header.has_short_paths),
            is_short: header.has_short_paths,
            preference: update.local_preference,
        };
        if self.scratch.read(read, header.asn, router).is_err() {
            return Ok(None);
        }
        if let Ok(path) = self.paths.take(&self.scratch, &self.limits) {
            return Ok(Some(path));
        }
        self.forget_stale();
        let path = self.paths.take(&self.scratch, &self.limits);
        path.map(Some).map_err(|(what, limit)| Problem::TooMany { what, limit })
    }

    fn announce(&mut self, key: TableKey, networks: Networks<'_>, path: PathId) -> Result<u64, ApplyError> {
        let Self { tables, paths, changed, routes, .. } = self;
        let has_others = tables.len() > 1;
        let Some(table) = tables.get_mut(&key) else { return Ok(0) };
        let mut count = 0;
        for network in networks {
            let network = network?;
            if is_mapped(&network) {
                continue;
            }
            let before = match network.family {
                Family::V4 => table.v4.insert(&network, path),
                Family::V6 => table.v6.insert(&network, path),
            };
            paths.take_again(path);
            count += 1;
            let is_changed = before.is_none_or(|(before, was_stale)| before != path || was_stale && has_others);
            match before {
                Some((before, _)) => paths.release(before),
                None => *routes += 1,
            }
            if is_changed {
                changed.prefix(&network);
            }
        }
        Ok(count)
    }

    fn withdraw(&mut self, key: TableKey, networks: Networks<'_>) -> Result<u64, ApplyError> {
        let Self { tables, paths, changed, routes, .. } = self;
        let Some(table) = tables.get_mut(&key) else { return Ok(0) };
        let mut count = 0;
        for network in networks {
            let network = network?;
            let before = match network.family {
                Family::V4 => table.v4.remove(&network),
                Family::V6 => table.v6.remove(&network),
            };
            if let Some(before) = before {
                paths.release(before);
                changed.prefix(&network);
                *routes -= 1;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Whether a better table has begun.
    fn is_superseded(&mut self, key: &TableKey, family: Family) -> bool {
        let has_begun = |key| self.tables.get(&key).is_some_and(|table| *table.has_begun.get(family));
        match key.table {
            Table::LocRib | Table::Out => false,
            _ if has_begun(LOC_RIB) => {
                self.has_ignored = true;
                true
            }
            Table::PostPolicy => false,
            Table::PrePolicy => has_begun(TableKey { table: Table::PostPolicy, ..*key }),
        }
    }

    /// The table has all routes of the family: what is stale goes, and what is worse.
    fn complete(&mut self, key: &TableKey, family: Family) {
        self.sweep(key, family, false);
        if let Some(table) = self.tables.get_mut(key) {
            table.swept();
        }
        let is_complete = |table: &TableRoutes| *table.is_complete.get(family) && *table.has_begun.get(family);
        if !self.tables.get(key).is_some_and(is_complete) {
            return;
        }
        let worse: Vec<TableKey> = match key.table {
            Table::LocRib => self.tables.keys().filter(|other| **other != *key).copied().collect(),
            Table::PostPolicy => vec![TableKey { table: Table::PrePolicy, ..*key }],
            Table::PrePolicy | Table::Out => return,
        };
        for worse in worse {
            let is_up = self.tables.get(&worse).is_some_and(|table| table.is_up);
            let removed = self.sweep(&worse, family, true);
            self.has_ignored |= key.table == Table::LocRib && is_up && removed > 0;
        }
    }

    /// Removes the stale routes of a table, or all.
    fn sweep(&mut self, key: &TableKey, family: Family, all: bool) -> usize {
        let Self { tables, paths, changed, routes, .. } = self;
        let Some(table) = tables.get_mut(key) else { return 0 };
        let before = *routes;
        match family {
            Family::V4 => table.v4.sweep(all, |key, path| {
                paths.release(path);
                changed.v4.prefix(key.first(), key.length);
                *routes -= 1;
            }),
            Family::V6 => table.v6.sweep(all, |key, path| {
                paths.release(path);
                changed.v6.prefix(key.first(), key.length);
                *routes -= 1;
            }),
        }
        before - *routes
    }

    /// Makes room: removes all stale routes.
    pub fn forget_stale(&mut self) {
        let keys: Vec<TableKey> = self.tables.keys().copied().collect();
        for key in keys {
            for family in Family::BOTH {
                self.sweep(&key, family, false);
            }
        }
        self.remove_empty();
    }

    fn remove_empty(&mut self) {
        self.tables.retain(|_, table| table.is_up || table.len() > 0);
    }

    fn check_routes(&mut self) -> Result<(), Problem> {
        let limit = self.limits.routes;
        if self.routes > limit {
            self.forget_stale();
        }
        if self.routes > limit { Err(Problem::TooMany { what: Limited::Routes, limit }) } else { Ok(()) }
    }
}

/// What keeps an UPDATE from being applied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ApplyError {
    /// It is malformed.
    Fault(crate::error::Fault),
    /// There is too much of something.
    Problem(Problem),
}

impl From<crate::error::Fault> for ApplyError {
    fn from(fault: crate::error::Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Problem> for ApplyError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn tables_of(peer: Peer) -> [TableKey; 3] {
    [Table::LocRib, Table::PostPolicy, Table::PrePolicy].map(|table| TableKey { table, peer })
}

/// A prefix of IPv4 addresses as IPv6 addresses (RFC 4291, section 2.5.5.2), which no router forwards to.
const fn is_mapped(network: &Network) -> bool {
    matches!(network.family, Family::V6) && network.length >= 96 && network.first >> 32 == 0xffff
}
