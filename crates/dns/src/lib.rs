//! What addresses are called by DNS: one question of one type (PTR), and its answer.
//!
//! | file | what it has |
//! | --- | --- |
//! | `message` | the question and the answer as octets (RFC 1035) |
//! | `servers` | the servers of the machine, from resolv.conf(5) |
//! | `asking` | a question to some servers, repeated until one answers or patience ends |
//!
//! Not here: which addresses are asked about, how often, and what is remembered (`collector` does). Other files of names, such as
//! /etc/hosts, are not read.

mod asking;
mod message;
mod servers;

pub use asking::{AskError, Patience, ask};
pub use message::{Reading, question, read};
pub use servers::{PORT, of_machine, read_servers};
