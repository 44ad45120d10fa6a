//! The sessions in which routers send their routes (BMP).

use std::net::{IpAddr, SocketAddr};

use flow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::json;

/// The listener for BMP sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bmp {
    /// The addresses that it listens on.
    #[schema(value_type = Vec<String>)]
    pub listening: Vec<SocketAddr>,
    /// The memory that all routes take, about, in bytes.
    pub bytes: u64,
    /// Limit of `bytes`: `bmp.memory`.
    pub bytes_limit: u64,
    /// The routers that have had a session since the start, by address.
    pub routers: Vec<BmpRouter>,
    /// The sessions that were refused, the last of each address, the most recent first, at most 64.
    pub refused: Vec<RefusedSession>,
    /// How many sessions were refused since the start.
    #[serde(skip)]
    #[schema(ignore)]
    pub refusals: Refusals,
}

/// How many sessions were refused since the start, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// The address is not registered.
    pub unregistered: u64,
    /// The last session of the router ended by an error less than a minute before.
    pub too_early: u64,
    /// There were as many sessions as are possible.
    pub too_many: u64,
}

/// The routes of a router and its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BmpRouter {
    /// Its address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The name that it has given itself; null if none.
    pub name: Option<String>,
    /// Its session; null if it has none.
    pub session: Option<BmpSession>,
    /// Its routes, of all its tables.
    pub routes: u64,
    /// Those of them that were announced before their session or peer went down, and not again.
    pub stale_routes: u64,
    /// The different AS paths of its routes.
    pub paths: u64,
    /// The ranges of addresses that are attributed by them.
    pub ranges: u64,
    /// The memory that its routes take, about, in bytes.
    pub bytes: u64,
    /// What its sessions have sent since the start.
    pub received: BmpReceived,
    /// How many sessions have begun since the start.
    pub sessions: u64,
    /// How many of them ended by an error.
    pub errors: u64,
    /// How its last session ended that is over; null if none is.
    pub ended: Option<EndedSession>,
}

/// A session that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BmpSession {
    /// When it began, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// The peers of the router that are up, with Loc-RIB.
    pub peers: u64,
    /// How many tables the router has marked as complete (End-of-RIB), IPv4 and IPv6 apart.
    pub complete_tables: u64,
}

/// What sessions of a router have sent since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BmpReceived {
    /// Messages.
    pub messages: u64,
    /// Their size.
    pub bytes: u64,
    /// Routes announced and kept.
    pub announced: u64,
    /// Routes withdrawn.
    pub withdrawn: u64,
    /// Routes announced and not kept, because the router also sends a better table.
    pub superseded: u64,
    /// Routes announced with a malformed AS path, or with none; they count as withdrawn.
    pub malformed_paths: u64,
    /// Messages about a VRF, which is not kept.
    pub other_instance: u64,
    /// Messages about what the router announces to its peers (Adj-RIB-Out), which is not kept.
    pub adj_rib_out: u64,
    /// Messages with routes of a peer that the router has not announced as up; not kept.
    pub peer_not_up: u64,
    /// Messages with prefixes that are not unicast IPv4 or IPv6; not kept.
    pub other_family: u64,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedSession {
    /// When, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// `closed` by the router; `replaced` by another session of the router; `lost`, the connection; `malformed`, a message;
    /// `limit`, more routes than may be; `removed`, the registration or the listener.
    pub kind: &'static str,
    /// Why; of a message, which and where.
    pub reason: String,
}

/// A session that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedSession {
    /// Whose it was.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Why: `unregistered`, `too_early` (less than a minute after an error), or `too_many` sessions.
    pub reason: &'static str,
    /// How many of this address were refused since it was first noticed; a lower bound.
    pub count: u64,
    /// When, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub last: Timestamp,
}
