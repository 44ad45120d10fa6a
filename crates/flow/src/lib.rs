//! The vocabulary that every other crate speaks: what a flow is, who exported it, when, and what became of it.
//!
//! There is no I/O here, no clock, and no knowledge of any wire format or store.
//!
//! | file | what it names |
//! | --- | --- |
//! | [`exporter`] | exporters: transport, address and port; canonical addresses |
//! | [`protocol`] | the export protocols by version |
//! | [`timestamp`] | points in time, nanoseconds since the Unix epoch |
//! | [`prefix`] | monitored prefixes, strict about host bits |
//! | [`record`] | the flow record that accounting counts |
//! | [`flush`] | the number of a flush |
//! | [`durations`] | how long something took, as a histogram |
//! | [`fate`] | what became of a datagram and of a flow: every reason has a name |

pub mod durations;
pub mod exporter;
pub mod fate;
pub mod flush;
pub mod prefix;
pub mod protocol;
pub mod record;
pub mod timestamp;

pub use durations::Durations;
pub use exporter::{Exporter, Transport, canonical};
pub use fate::{DatagramFate, Fate, FlowFate, Tallied};
pub use flush::FlushNumber;
pub use prefix::{Prefix, PrefixError};
pub use protocol::Protocol;
pub use record::{Counters, FlowRecord, Sampling, SamplingSource};
pub use timestamp::Timestamp;
