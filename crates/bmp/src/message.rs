//! The messages of BMP: the common header, the header of a peer, and where the message of BGP is (RFC 7854, RFC 9069,
//! draft-ietf-grow-bmp-tlv for version 4). What BGP messages contain is read in `open` and `update`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Fault, Problem};
use crate::octets::Octets;
use crate::open::AddPath;

/// The length of the header that every message has.
pub(crate) const HEADER: usize = 6;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Routes of a peer.
    RouteMonitoring,
    /// Counters of a peer.
    Statistics,
    /// The session with a peer ended.
    PeerDown,
    /// The session with a peer is established.
    PeerUp,
    /// The session of BMP begins.
    Initiation,
    /// The session of BMP ends.
    Termination,
    /// A copy of a message of BGP.
    RouteMirroring,
    /// A type that none of the documents above has.
    Other(u8),
    /// Its header was not read.
    Unknown,
}

impl From<u8> for Kind {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::RouteMonitoring,
            1 => Self::Statistics,
            2 => Self::PeerDown,
            3 => Self::PeerUp,
            4 => Self::Initiation,
            5 => Self::Termination,
            6 => Self::RouteMirroring,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RouteMonitoring => f.write_str("route monitoring"),
            Self::Statistics => f.write_str("statistics report"),
            Self::PeerDown => f.write_str("peer down"),
            Self::PeerUp => f.write_str("peer up"),
            Self::Initiation => f.write_str("initiation"),
            Self::Termination => f.write_str("termination"),
            Self::RouteMirroring => f.write_str("route mirroring"),
            Self::Other(number) => write!(f, "type {number}"),
            Self::Unknown => f.write_str("header"),
        }
    }
}

/// The common header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) version: u8,
    /// The octets of the message, including this header.
    pub(crate) length: usize,
    pub(crate) kind: Kind,
}

impl Header {
    /// `limit` is the longest message.
    pub(crate) fn read(octets: &mut Octets<'_>, limit: usize) -> Result<Self, Fault> {
        const WHAT: &str = "the common header";
        let before = *octets;
        let version = octets.u8(WHAT)?;
        if !(3..=4).contains(&version) {
            return Err(before.fault(Problem::Version(version)));
        }
        let fault = |length| octets.fault(Problem::Length { length, limit });
        let length = octets.clone().u32(WHAT)?;
        let valid = usize::try_from(length).ok().filter(|length| (HEADER..=limit).contains(length));
        let valid = valid.ok_or_else(|| fault(length))?;
        octets.u32(WHAT)?;
        Ok(Self { version, length: valid, kind: octets.u8(WHAT)?.into() })
    }
}

/// Which peer a message is about. The flags of its header are no part of it: one message about the peer has the flag of
/// the policy, and the next does not (RFC 8671, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer {
    /// It is the emulated peer of Loc-RIB, and no neighbour.
    pub(crate) is_loc_rib: bool,
    pub(crate) address: IpAddr,
}

impl Peer {
    pub(crate) const LOC_RIB: Self = Self { is_loc_rib: true, address: IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
}

/// Which of the router's tables a route is in, the one to use first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The routes that the router uses (RFC 9069).
    LocRib,
    /// What a peer announced, after the policy of the router (Adj-RIB-In).
    PostPolicy,
    /// What a peer announced, before the policy of the router (Adj-RIB-In).
    PrePolicy,
    /// What the router announces to a peer (Adj-RIB-Out); not kept.
    Out,
}

/// The header of a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerHeader {
    pub(crate) peer: Peer,
    pub(crate) table: Table,
    /// The instance of the router: 0 is the global one, others are VRFs.
    pub(crate) distinguisher: u64,
    /// The peer's AS, or that of the router for Loc-RIB.
    pub(crate) asn: u32,
    /// AS paths have numbers of two octets.
    pub(crate) has_short_paths: bool,
}

const FLAG_V: u8 = 0x80;
const FLAG_L: u8 = 0x40;
const FLAG_A: u8 = 0x20;
const FLAG_O: u8 = 0x10;
const TYPE_LOC_RIB: u8 = 3;

impl PeerHeader {
    /// `None` for a peer type that none of the documents above has.
    pub(crate) fn read(octets: &mut Octets<'_>) -> Result<Option<Self>, Fault> {
        const WHAT: &str = "the header of the peer";
        let kind = octets.u8(WHAT)?;
        let flags = octets.u8(WHAT)?;
        let distinguisher = octets.u64(WHAT)?;
        let address: [u8; 16] = octets.array(WHAT)?;
        let asn = octets.u32(WHAT)?;
        // The peer's BGP identifier and a time.
        octets.part(12, WHAT)?;
        if kind > TYPE_LOC_RIB {
            return Ok(None);
        }
        // It has other flags and no address.
        if kind == TYPE_LOC_RIB {
            let table = Table::LocRib;
            return Ok(Some(Self { peer: Peer::LOC_RIB, table, distinguisher, asn, has_short_paths: false }));
        }
        let has = |flag| flags & flag != 0;
        let [.., a, b, c, d] = address;
        let address = if has(FLAG_V) { Ipv6Addr::from(address).into() } else { Ipv4Addr::new(a, b, c, d).into() };
        let table = match () {
            () if has(FLAG_O) => Table::Out,
            () if has(FLAG_L) => Table::PostPolicy,
            () => Table::PrePolicy,
        };
        let peer = Peer { is_loc_rib: false, address };
        Ok(Some(Self { peer, table, distinguisher, asn, has_short_paths: has(FLAG_A) }))
    }
}

/// The message of BGP in a route monitoring message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monitored<'a> {
    pub(crate) update: Octets<'a>,
    /// Of this message alone; it takes precedence over that of the peer.
    pub(crate) add_path: Option<AddPath>,
}

impl<'a> Monitored<'a> {
    pub(crate) fn read(version: u8, mut octets: Octets<'a>) -> Result<Self, Fault> {
        const WHAT: &str = "an element of the message";
        const STATELESS_PARSING: u16 = 1;
        const BGP_MESSAGE: u16 = 4;
        if version == 3 {
            return Ok(Self { update: octets, add_path: None });
        }
        let (mut update, mut add_path) = (None, None);
        while !octets.is_empty() {
            let kind = octets.u16(WHAT)?;
            let length = octets.u16(WHAT)?;
            let _index = octets.u16(WHAT)?;
            let value = octets.part(length.into(), WHAT)?;
            match kind {
                STATELESS_PARSING => add_path = AddPath::of_capabilities(value)?.or(add_path),
                BGP_MESSAGE => update = Some(value),
                // Names of tables, marks of paths, and what vendors add.
                _ => {}
            }
        }
        let update = update.ok_or_else(|| octets.fault(Problem::Short { what: "a message without UPDATE" }))?;
        Ok(Self { update, add_path })
    }
}
