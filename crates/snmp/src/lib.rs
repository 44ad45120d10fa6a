//! Asks the SNMP agents of routers what the routers and their interfaces are called: SNMPv2c (RFC 3416) and SNMPv3 with
//! authentication and privacy (RFC 3414, RFC 7860, RFC 3826). It reads, and never writes to an agent.
//!
//! | file | what it has |
//! | --- | --- |
//! | `ber` | tags, lengths and values (X.690) |
//! | `oid` | names of objects, and those that are asked for |
//! | `pdu` | requests and responses |
//! | `access` | what an agent has to be asked with: a community, or a user with passwords |
//! | `crypto` | keys of passwords, authentication, privacy |
//! | `message` | a PDU in the message of a version, and the state that SNMPv3 needs for it |
//! | `conversation` | requests to one agent, repeated until it answers or patience ends |
//! | `survey` | everything that is asked of one router |
//!
//! **Invariant:** whatever an agent answers, the time, the requests and the memory of a survey are bounded.
//!
//! Not here: which routers are asked, when, and with which access (`collector`, `cli`).

mod access;
mod ber;
mod conversation;
mod crypto;
mod message;
mod oid;
mod pdu;
mod survey;

pub use access::{Access, AccessError, Authentication, Privacy, User};
pub use conversation::{AskError, Patience};
pub use message::Messages;
pub use survey::{Survey, survey};
