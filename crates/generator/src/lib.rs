//! Synthetic load: export datagrams of random flows, sent at a chosen rate, with exact totals. For tests, measurements,
//! and operators who want to know what their machine can handle (`netflow generate`).
//!
//! Everything but the time follows from the seed: the same [`Load`] always makes the same flows in the same datagrams.
//! So counters by name are not kept while sending: the flows are generated again afterwards.
//!
//! | file | what it contains |
//! | --- | --- |
//! | [`load`] | [`Load`]: what to send, and the errors of invalid loads |
//! | [`traffic`] | random flows |
//! | `datagram` | encoding of flows in each protocol, and the octets that change when a datagram is sent again |
//! | [`generator`](mod@generator) | [`Generator`]: a sequence of datagrams, without sockets and clocks |
//! | [`totals`] | the totals: overall, by exporter, by name |
//! | [`transmission`] | sending datagrams at a rate |
//! | [`connections`] | sending them over export connections, each stream over its own |
//! | `random` | random numbers from a seed |

pub mod connections;
mod datagram;
pub mod generator;
pub mod load;
mod random;
pub mod totals;
pub mod traffic;
pub mod transmission;

pub use connections::ExportConnections;
pub use generator::{Generated, Generator};
pub use load::{Load, LoadError};
pub use totals::{NameKey, Names, Totals};
pub use traffic::{Popularity, Traffic};
pub use transmission::{Pace, Transport, transmit, transmit_over};
