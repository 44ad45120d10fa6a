//! The routes of a router from its BMP session: octets go in, a table that answers the longest match comes out.
//!
//! There are no sockets, threads or clocks here. A [`Rib`] has the routes of one router and outlives its sessions; a
//! [`Session`] reads one connection into it; a [`Snapshot`] answers which AS an address is in.
//!
//! ```
//! # use bmp::{Limits, Rib, Session};
//! # use flow::Timestamp;
//! let mut rib = Rib::new(Limits::default());
//! let mut session = Session::new();
//! // Initiation, in two parts.
//! let now = Timestamp::from_seconds(1_795_960_800);
//! session.receive(&mut rib, &[3, 0, 0, 0], now)?;
//! session.receive(&mut rib, &[6, 4], now)?;
//! let snapshot = rib.snapshot();
//! assert!(snapshot.longest_match([192, 0, 2, 1].into()).is_none());
//! rib.session_ended(now);
//! # Ok::<(), bmp::SessionError>(())
//! ```
//!
//! Read are RFC 7854 (BMP version 3), RFC 8671 (Adj-RIB-Out, which is not kept), RFC 9069 (Loc-RIB),
//! draft-ietf-grow-bmp-tlv (version 4), and of BGP the unicast routes of IPv4 and IPv6 with their AS paths.
//!
//! | file | what it does |
//! | --- | --- |
//! | `session` | one connection: messages at any cut of the stream, peers that are up |
//! | `message`, `open`, `update`, `path` | from octets to messages, capabilities, prefixes, AS paths |
//! | `rib` | the tables of a router: limits, stale routes, which table counts |
//! | `table`, `paths` | the routes of one table; the different AS paths |
//! | `compile`, `snapshot` | choosing among routes; ranges of addresses for look-ups |

mod compile;
mod error;
mod family;
mod limits;
mod message;
mod octets;
mod open;
mod path;
mod paths;
mod rib;
mod session;
mod snapshot;
mod table;
mod update;

pub use error::{Limited, Problem, SessionError};
pub use limits::Limits;
pub use message::{Kind, Table};
pub use path::{Path, Segment};
pub use rib::{Rib, Route};
pub use session::{Counts, Session};
pub use snapshot::Snapshot;
