//! Bytes to flow records, and back. Every export protocol has its file; nothing here does I/O or reads a clock.
//!
//! A datagram goes in together with what its exporter has told before (`Session`: templates, samplers, sequence
//! numbers); each record comes out through a closure, as it is met. Decoding never fails as a whole: it returns what
//! it could not read beside the records that it could.

pub mod cursor;
pub mod datagram;
pub mod error;
pub mod information_element;
pub mod json;
pub mod record;
pub mod structured_data;
pub mod value;

pub use datagram::{Datagram, Message};
pub use error::{DecodeError, ErrorKind};
pub use record::{ElementId, Field, FieldName, Record, RecordKind, Value};
