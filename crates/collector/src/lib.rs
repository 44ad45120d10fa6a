//! From sockets to blocks: the six steps of a datagram.
//!
//! | step | file | what happens |
//! | --- | --- | --- |
//! | 1 receive | `listening`, `receiver` | sockets, bound or passed; threads that read sockets in batches and drive one shard each |
//! | 2 admit | [`admission`] | which senders are registered, as an immutable snapshot |
//! | 3-5 decode, attribute, tally | [`shard`] | **the loop**: no allocation, no clock, no I/O |
//! | 6 commit | [`flusher`] | tallies become numbered blocks in the store; roll-up; retention |
//!
//! What all shards know of each exporter is in [`exporters`] (its counts in `heard`, a sample of flows that match no
//! prefix in `unmatched`), who sends without being registered in [`unknown`]. What
//! senders announced before a restart comes back from [`remembered`].
//! [`start`](start()) puts the pieces together for sockets, [`replay`] for captures; [`Change`] is what a collector can be
//! told while it runs; [`pulse`] tells whether its threads still turn; [`status`] counts what became of everything, and [`ledgers`] tells at every flush whether that
//! balances.
//!
//! **Invariant:** a shard never waits for a store and never reads a clock; it is driven alike by sockets and captures.

pub mod admission;
mod change;
pub mod exporters;
pub mod flusher;
mod heard;
pub mod journal;
pub mod journalled;
pub mod ledgers;
mod listening;
pub mod pulse;
mod receiver;
pub mod remembered;
pub mod replay;
pub mod shard;
mod start;
pub mod status;
mod tapped;
pub mod unknown;
mod unmatched;

pub use change::{Change, Prepared};
pub use start::{Collector, Settings, StartError, start};
