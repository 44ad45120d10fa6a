//! The vocabulary of all other crates: flows, their exporters, their times, and their fates.
//!
//! There is no I/O here, no clock, and no knowledge of wire formats or stores.
//!
//! | file | what it names |
//! | --- | --- |
//! | [`exporter`] | exporters: transport, address and port; canonical addresses |
//! | [`origin`] | where an end of a flow belongs: its country, and which source has its AS number |
//! | [`protocol`] | the export protocols by version |
//! | [`timestamp`] | points in time, nanoseconds since the Unix epoch |
//! | [`prefix`] | monitored prefixes, strict about host bits |
//! | [`prefix_selection`] | of which prefixes a question is |
//! | [`network`] | networks of the operator: prefixes with names |
//! | [`sender_settings`] | what an operator states about one sender |
//! | [`sender_name`] | what a router is called |
//! | [`sender_selection`] | of which senders a question is |
//! | [`tag`] | words by which an operator groups senders |
//! | [`record`] | the flow record that accounting counts |
//! | [`flush`] | writers, their flushes, and which of these are counted |
//! | [`durations`] | how long something took, as a histogram |
//! | [`fate`] | what became of a datagram and of a flow: every reason has a name |

pub mod certificate_name;
pub mod durations;
pub mod exporter;
pub mod fate;
pub mod flush;
pub mod network;
pub mod origin;
pub mod prefix;
pub mod prefix_selection;
pub mod protocol;
pub mod record;
pub mod sender_name;
pub mod sender_selection;
pub mod sender_settings;
pub mod tag;
pub mod timestamp;

pub use certificate_name::{CertificateName, CertificateNameError};
pub use durations::Durations;
pub use exporter::{Exporter, Transport, canonical};
pub use fate::{DatagramFate, Fate, FlowFate, Tallied};
pub use flush::{Counted, FlushNumber, WriterId};
pub use network::{CountedBy, Network, NetworkError, Networks};
pub use origin::{AsSource, Country};
pub use prefix::{Prefix, PrefixError};
pub use prefix_selection::{PrefixSelection, PrefixSelectionError, PrefixWord};
pub use protocol::Protocol;
pub use record::{Counters, FLOW_LIMIT, FlowRecord, ObservedAt, Sampling, SamplingSource};
pub use sender_name::{SenderName, SenderNameError};
pub use sender_selection::{SelectionError, SenderSelection, SenderWord};
pub use sender_settings::{SenderSettings, Setting, SettingError};
pub use tag::{Tag, TagError};
pub use timestamp::Timestamp;
