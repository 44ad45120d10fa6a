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

mod change;
pub mod flusher;
mod flusher_thread;
pub mod journaled_shard;
mod keep;
mod kernel_drops;
pub mod ledgers;
mod listening;
mod lock;
pub mod pulse;
mod receiver;
pub mod replay;
pub mod restore_templates;
pub mod senders;
mod settings;
mod start;
mod start_error;
pub mod status;
mod stop_error;
mod view;

pub use change::{Change, Prepared};
pub use keep::Keep;
pub use settings::Settings;
pub use start::{Collector, start};
pub use start_error::StartError;
pub use stop_error::StopError;
