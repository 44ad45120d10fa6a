//! Bytes to flow records, and back. Every export protocol has its file; nothing here does I/O or reads a clock.
//!
//! A datagram goes in together with what its exporter has told before ([`Session`]: templates, samplers, sequence
//! numbers); each record comes out through a closure, as it is met. Decoding never fails as a whole: it returns what
//! it could not read beside the records that it could ([`Decoded`]).
//!
//! | file | what is in it |
//! | --- | --- |
//! | `session` | **the way of a datagram**: version by content, then the protocol's file; what is remembered of an exporter |
//! | [`datagram`], [`record`], [`error`], `decoded` | what goes in and what comes out |
//! | [`netflow_v1`], [`netflow_v5`], [`netflow_v6`], [`netflow_v7`] | fixed formats as structs; what they share is in `fixed_record` |
//! | [`netflow_v8`] | the fourteen aggregation schemes as rows of one table |
//! | [`netflow_v9`], [`ipfix`] | formats with templates; what they share: `set` (framing), `data_set` (records) |
//! | [`sflow`], [`sampled_packet`] | samples of packets, and the heads of packets in them |
//! | `template`, `template_store` | a template, and all templates of an exporter: scope, look-up, limits |
//! | `booking` | **the rule table**: which element of a record is booked when several say nearly the same |
//! | `plan` | a template compiled by that table; reading a record for accounting |
//! | `sampling`, `sequence`, `restart` | sampling rates told by options, losses by sequence numbers, exporters that start again |
//! | `type_information` | names and types of elements that exporters tell (RFC 5610) |
//! | `options` | what an exporter tells about itself: the newest options record of each scope |
//! | `pending` | data sets that wait for their template |
//! | `announcements` | what an exporter has announced, as octets that outlive the process |
//! | [`information_element`], [`value`], [`structured_data`] | the registry, from octets to values, lists inside fields |
//! | [`json`] | a record as JSON |
//! | [`encode`] | flow records to datagrams, for tests and load |
//! | [`cursor`] | the reader that all decoders use: it cannot panic |
//!
//! To add a protocol: its file, a line in `session`, a row in `sequence` if it numbers, captures in the corpus. To add
//! an element that is booked: its row in `booking`.

mod announcements;
mod booking;
pub mod cursor;
mod data_set;
pub mod datagram;
mod decoded;
pub mod encode;
pub mod error;
mod fixed_record;
pub mod information_element;
pub mod ipfix;
pub mod json;
pub mod netflow_v1;
pub mod netflow_v5;
pub mod netflow_v6;
pub mod netflow_v7;
pub mod netflow_v8;
pub mod netflow_v9;
mod options;
mod pending;
mod plan;
pub mod record;
mod restart;
pub mod sampled_packet;
mod sampling;
mod sequence;
mod session;
mod set;
pub mod sflow;
pub mod structured_data;
mod template;
mod template_store;
mod type_information;
pub mod value;

pub use announcements::AnnouncementsError;
pub use datagram::{Datagram, Message};
pub use decoded::Decoded;
pub use error::{DecodeError, ErrorKind};
pub use pending::{PendingBudget, PendingLimits, Waiting};
pub use record::{ElementId, Field, FieldName, Record, RecordKind, Value};
pub use sampling::Sampler;
pub use sequence::{Arrival, Arrivals, Stream, StreamKey, Unit};
pub use session::{Session, SessionLimits};
pub use template::{FIRST_TEMPLATE_ID, FieldSpecifier, Numbering, Template, TemplateKind, VARIABLE_LENGTH};
pub use template_store::{KnownTemplate, TemplateLimits};
