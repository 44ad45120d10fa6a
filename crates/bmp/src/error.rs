//! Why a session ends that the router has not ended.

use std::fmt;

use crate::message::Kind;

/// The message that ends a session, and why. No later message of the session can be read; its connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {number} ({kind}), octet {offset}: {problem}")]
pub struct SessionError {
    /// The number of the message in its session; the first is 1.
    pub number: u64,
    /// What kind of message it is.
    pub kind: Kind,
    /// The octet in the message at which reading stopped.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not a message of BMP.
    #[error("{0} is no version of BMP that is read (3, 4): is the router configured to send BMP to this port?")]
    Version(u8),
    /// Its length is shorter than its header, or longer than any message may be.
    #[error("a length of {length} octets, where 6 to {limit} are allowed")]
    Length {
        /// The length in its header.
        length: u32,
        /// The longest length that is read.
        limit: usize,
    },
    /// The session does not begin with an initiation message.
    #[error("a session must begin with an initiation message (RFC 7854, section 4.3)")]
    NotInitiated,
    /// A part of it ends before it is complete.
    #[error("{what} is cut off")]
    Short {
        /// The part.
        what: &'static str,
    },
    /// A part of it has another value than it can have.
    #[error("{what} is {value}, where {expected} is expected")]
    Value {
        /// The part.
        what: &'static str,
        /// What it is.
        value: u32,
        /// What it can be.
        expected: &'static str,
    },
    /// The session has more of something than is kept.
    #[error("more than {limit} {what}: monitor one table of the router, preferably Loc-RIB, or raise the limit")]
    TooMany {
        /// What is limited.
        what: Limited,
        /// The limit.
        limit: usize,
    },
    /// The router stopped monitoring Loc-RIB; the routes of its peers were ignored until now and must be sent again.
    #[error(
        "Loc-RIB is no longer monitored, and the routes of the peers were ignored: the router must send them again"
    )]
    LocRibEnded,
}

/// What a session may have a limited number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Tables of the router: Loc-RIB, and those of its peers.
    Tables,
    /// Routes of all peers.
    Routes,
    /// Different AS paths.
    Paths,
    /// Octets of all different AS paths.
    PathOctets,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tables => "tables of peers",
            Self::Routes => "routes",
            Self::Paths => "different AS paths",
            Self::PathOctets => "octets of AS paths",
        })
    }
}

/// A problem and its place in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}
