//! From a datagram to counters: admit, decode, attribute, tally. No clock, no store, no I/O: datagrams and their times
//! are arguments, so that sockets, captures, the journal and the simulation drive the same code.
//!
//! | step | file | content |
//! | --- | --- | --- |
//! | 2 admit | `admission` | the registered senders, as an immutable snapshot |
//! | 3-5 decode, attribute, tally | `shard` | **the loop**: no allocation, no clock, no I/O |
//! | the same, of relays | `relayed` | datagrams that are counted for the exporters that they name |
//!
//! | file | content |
//! | --- | --- |
//! | `decoder` | the records of datagrams once more, for readers of the log |
//! | `exporters` | the table of registered exporters with their sessions, shared by all shards |
//! | `exporter_stats` | statistics of one exporter: counts, clock, sampling rates |
//! | `arrivals_by_minute` | what arrived from one exporter and what was lost, by minute, for the flushes |
//! | `exporter_detail` | the decoding state of one exporter, for the REST interface |
//! | `origins` | AS numbers and countries of flows: looked up, or as they were booked |
//! | `as_sources` | from which sources the AS numbers of an exporter's flows are |
//! | `booked_origins` | what was found of a datagram, as octets beside it |
//! | `rate_changes` | changes of its sampling rates |
//! | `unmatched` | a sample of the flows outside every monitored prefix |
//! | `unknown` | the busiest unregistered addresses |
//! | `publish` | decoded flows to open taps |
//! | `counts`, `sealed` | the fates of datagrams and flows as numbers; the result of a cut, for the flusher |
//!
//! **Invariant:** a shard never waits for a store and never reads a clock.

mod admission;
mod arrivals_by_minute;
mod as_sources;
mod booked_origins;
mod counts;
mod decoder;
mod exporter_detail;
mod exporter_stats;
mod exporters;
mod lock;
mod origins;
mod publish;
mod rate_changes;
mod relayed;
mod sealed;
mod shard;
mod unknown;
mod unmatched;

pub use admission::{Admission, Admitted, Registered, Registration, Snapshot};
pub use counts::Counts;
pub use decoder::{Decoder, Logged};
pub use exporter_detail::LISTED;
pub use exporters::{Exporters, StatedInterfaces, TableSizes, is_valid};
pub use origins::PublishedSources;
pub use sealed::Sealed;
pub use shard::{Again, Booked, Rules, Shard};
