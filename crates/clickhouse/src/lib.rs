//! Flows in ClickHouse, over its HTTP interface.
//!
//! | file | content |
//! | --- | --- |
//! | [`table`] | **the table**: its columns, those of a flow and those of our identity, and how it is created |
//! | `schema` | whether the table is as it must be |
//! | `writer` | **flush by flush, each flow once** |
//! | `part` | what one insert has |
//! | `native` | rows as a block of ClickHouse's own format |
//! | `statements` | the SQL of the writer |
//! | `client` | requests with bound parameters to one of several hosts; nothing waits without a bound |
//! | `connection` | how connections come about, so that their errors differ from those of requests |
//! | [`TableScan`] | **questions about flows**, as the archive answers them |
//! | `settings` | where ClickHouse is, and who we are |
//! | `error` | what keeps flows from ClickHouse, and what to do |
//!
//! Not here: the log, filters, and the words of questions.

mod client;
mod connection;
mod error;
mod native;
mod part;
mod questions;
mod schema;
mod settings;
mod statements;
pub mod table;
mod writer;

pub use client::{Answer, Client, Request};
pub use error::Error;
pub use questions::TableScan;
pub use settings::{Compression, Settings};
pub use writer::{Sent, Writer};
