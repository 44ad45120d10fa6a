//! Flows in Kafka: each is a record whose value is a protobuf message (goflow2's, and more) or an object of JSON, whose key is the
//! exporter, and whose headers have its identity. Brokers have acknowledged it before the reader of the log goes past it, so that
//! it is there at least once; its identity is the same each time.
//!
//! The producer is our own, for the cost of a flow and because it can then wait for nothing without a bound:
//! docs/decisions has the figures of the crates that were tried.

mod cluster;
mod connection;
mod error;
pub mod flow_message;
mod identity;
mod json;
mod lz4;
mod messages;
mod partition;
mod producer;
mod record_batch;
mod sasl;
mod settings;
mod varint;

pub use error::Error;
pub use identity::Identity;
pub use producer::{Producer, Sent};
pub use record_batch::Compression;
pub use sasl::{Login, Mechanism};
pub use settings::{Format, Settings};
