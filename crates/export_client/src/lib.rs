//! Export connections from the side of an exporter: IPFIX messages to a collector over TCP, plain or with TLS (RFC 7011,
//! section 10.4). For `netflow generate`, `netflow replay`, and measurements.
//!
//! A connection blocks its thread while the collector does not read. What messages mean is left to others.
//!
//! | file | what it contains |
//! | --- | --- |
//! | [`connection`] | [`ExportConnection`]: opens, sends, ends |
//! | `stream` | the octets of a connection, plain or encrypted |
//! | [`error`](mod@error) | why a connection is not opened, or ends |

pub mod connection;
pub mod error;
mod stream;

pub use connection::{Encryption, Ending, ExportConnection, Target};
pub use error::{Error, Reason};
