//! Bytes to flow records, and back. Every export protocol has its file; nothing here does I/O or reads a clock.
//!
//! A datagram goes in together with what its exporter has told before (`Session`: templates, samplers, sequence
//! numbers); each record comes out through a closure, as it is met. Decoding never fails as a whole: it returns what
//! it could not read beside the records that it could.

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
pub mod value;

pub use announcements::AnnouncementsError;
pub use datagram::{Datagram, Message};
pub use decoded::Decoded;
pub use error::{DecodeError, ErrorKind};
pub use pending::{PendingBudget, PendingLimits};
pub use record::{ElementId, Field, FieldName, Record, RecordKind, Value};
pub use sequence::{Arrival, Stream, StreamKey};
pub use session::{Session, SessionLimits};
pub use template::{FIRST_TEMPLATE_ID, FieldSpecifier, Numbering, Template, TemplateKind, VARIABLE_LENGTH};
pub use template_store::{KnownTemplate, TemplateLimits};
