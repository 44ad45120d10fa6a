//! What the interfaces of routers are called: name, description and speed of an SNMP index, kept by time, so that an index
//! that is renumbered at a reboot does not mix two interfaces.
//!
//! | file | what it has |
//! | --- | --- |
//! | `details` | what an interface is called, and who says so |
//! | `known` | an interface as the operator writes it: `192.0.2.1 5 ge-0/0/1 10G to the exchange` |
//! | `history` | what was valid from when to when, of all routers |
//! | `file` | the history in a file, which survives restarts |
//!
//! Not here: where the details come from (`wire` reads options data, `collector` asks SNMP agents), and clocks.

mod details;
mod file;
mod history;
mod known;

pub use details::{Details, Source};
pub use file::{FileError, load, read, save, write};
pub use history::{History, MOST_INTERFACES, MOST_SPANS, Observation, Span};
pub use known::{Known, KnownError, Speed};
