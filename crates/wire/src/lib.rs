//! Bytes to flow records, and back. Every export protocol has its file; nothing here does I/O or reads a clock.
//!
//! A [`Session`] decodes the datagrams of one exporter address. It keeps what the exporter announced before: templates,
//! samplers, sequence numbers. Each record goes to a closure as soon as it is read. Decoding never fails as a whole:
//! [`Decoded`] reports what could not be read, next to the records that could.
//!
//! Imports point one way: `session` → protocols → `exporter_state` → what it consists of → ground. No files import each
//! other.
//!
//! | file | content |
//! | --- | --- |
//! | `session` | **the way of a datagram**: to the file of its protocol, with the state of its exporter |
//! | [`netflow_v1`], [`netflow_v5`], [`netflow_v6`], [`netflow_v7`] | fixed formats as structs; `fixed_record` has what they share |
//! | [`netflow_v8`] | the fourteen aggregation schemes as rows of one table |
//! | [`netflow_v9`], [`ipfix`] | formats with templates; they share `set` (framing) and `data_set` (records) |
//! | [`framing`] | the messages of a connection or file |
//! | [`sflow`], [`sampled_packet`] | samples of packets, and the headers of sampled packets |
//! | `announcements` | what an exporter has announced, as octets that outlive the process |
//! | `exporter_state` | everything that decoding remembers of an exporter; the rows after `session_rules` are its parts |
//! | `connection_states` | the same of each of its connections |
//! | `ports` | **whose entries displace whose**: which source ports have standing |
//! | `session_rules` | **what follows from the transport**: scope of the state, withdrawals, lifetime of templates |
//! | `template_store` | the templates of an exporter: scope, look-up, limits |
//! | `sampling` | sampling rates from options data |
//! | `type_information` | names and types of elements that exporters describe (RFC 5610) |
//! | `options` | the newest options record of each scope |
//! | `interfaces` | names of interfaces in options records |
//! | `pending` | data sets whose template is missing |
//! | `sequence`, `stream` | losses by sequence numbers: the streams of an exporter, and the numbers of one |
//! | `restart` | whether an exporter has restarted |
//! | `template`, `templated_record` | a template; the fields of a record that it describes |
//! | `booking` | **the rule table**: which element of a record is counted when several mean nearly the same |
//! | `ambiguity` | what the operator of an exporter has to decide, and how often it matters |
//! | `connections` | connections that are reported more than once, by sums |
//! | `plan` | a template compiled by that table; reading a record for accounting |
//! | [`information_element`], [`value`], [`structured_data`] | the registry, from octets to values, lists inside fields |
//! | `version`, [`datagram`], `field_specifier`, `sequence_number`, [`record`], [`error`], `decoded`, [`cursor`] | ground: what goes in, what comes out, and the reader that all decoders use |
//! | `row`, `row_plan` | a record as a row of all columns; a template compiled for that |
//! | [`row_writer`] | rows as IPFIX messages: the reverse |
//! | `icmp`, [`json`] | type and code of ICMP; a record as JSON |
//! | `message_writer` | NetFlow v9 and IPFIX messages that the collector writes |
//! | [`encode`] | flow records to datagrams, for tests and load |
//!
//! To add a protocol: its file, a line in `version` and `session`, a row in `sequence` if it numbers, captures in the
//! corpus. To count another element: its row in `booking`.

mod ambiguity;
mod announcements;
mod booked;
mod booking;
mod connection_states;
mod connections;
pub mod cursor;
mod data_set;
pub mod datagram;
mod decoded;
pub mod encode;
pub mod error;
mod exporter_state;
mod field_specifier;
mod fixed_record;
pub mod framing;
mod icmp;
pub mod information_element;
mod inner_ends;
mod interfaces;
pub mod ipfix;
pub mod json;
mod message_writer;
pub mod netflow_v1;
pub mod netflow_v5;
pub mod netflow_v6;
pub mod netflow_v7;
pub mod netflow_v8;
pub mod netflow_v9;
mod options;
mod pending;
mod plan;
mod ports;
pub mod record;
mod restart;
mod row;
mod row_plan;
pub mod row_writer;
pub mod sampled_packet;
mod sampling;
mod sequence;
mod sequence_number;
mod session;
mod session_rules;
mod set;
pub mod sflow;
mod stream;
pub mod structured_data;
mod template;
mod template_store;
mod templated_record;
mod type_information;
pub mod value;
mod version;

pub use columns::Row;

pub use ambiguity::{Ambiguities, ReadOptions};
pub use announcements::AnnouncementsError;
pub use connections::ConnectionCounts;
pub use datagram::{Datagram, Message};
pub use decoded::Decoded;
pub use error::{DecodeError, ErrorKind};
pub use exporter_state::SessionLimits;
pub use field_specifier::{FIRST_TEMPLATE_ID, FieldSpecifier, Numbering, TemplateKind, VARIABLE_LENGTH};
pub use interfaces::StatedInterface;
pub use pending::{PendingBudget, PendingLimits, Waiting};
pub use record::{ElementId, Field, FieldName, Record, RecordKind, Value};
pub use sampling::{AppliedRate, AppliedStatement, Implausible, ImplausibleRate, Sampler, Scope};
pub use sequence::{Arrivals, StreamKey, Unit};
pub use sequence_number::{DataSource, Numbered, SequenceNumber};
pub use session::Session;
pub use stream::{Arrival, Stream};
pub use template::Template;
pub use template_store::{KnownTemplate, TemplateLimits};
pub use version::protocol_of;
