//! From a datagram to counters: admit, decode, attribute, tally. No clock, no store, no I/O: datagrams and their times
//! are arguments, so sockets, captures, the journal and the simulation drive the same code.
//!
//! | step | file | what happens |
//! | --- | --- | --- |
//! | 2 admit | `admission` | which senders are registered, as an immutable snapshot |
//! | 3-5 decode, attribute, tally | `shard` | **the loop**: no allocation, no clock, no I/O |
//!
//! | file | what all shards share |
//! | --- | --- |
//! | `exporters` | one table of the registered exporters, with their sessions |
//! | `exporter_stats` | what came from one exporter: counts, clock, sampling rates, losses of the month |
//! | `exporter_detail` | the decoding state of one exporter, as the interface shows it |
//! | `unmatched` | a sample of the flows that match no monitored prefix |
//! | `unknown` | the busiest addresses that send without being registered |
//! | `publish` | decoded flows to open taps |
//! | `counts`, `sealed` | what becomes of datagrams and flows; what a cut hands to the flusher |
//!
//! An enrichment step has one place: `Shard::take`, between `Exporter::decode` and `Tally::book`, over the flows of one
//! datagram; its tables are snapshots behind an `ArcSwap` as those of `admission` are.
//!
//! **Invariant:** a shard never waits for a store and never reads a clock.

mod admission;
mod counts;
mod exporter_detail;
mod exporter_stats;
mod exporters;
mod lock;
mod publish;
mod sealed;
mod shard;
mod unknown;
mod unmatched;

pub use admission::{Admission, Admitted, Snapshot};
pub use counts::Counts;
pub use exporters::{Exporters, TableSizes};
pub use sealed::Sealed;
pub use shard::{Rules, Shard};
