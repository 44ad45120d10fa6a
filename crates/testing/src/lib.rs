//! Support for tests, used as a dev-dependency only. Nothing here is part of the program.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`bgp`] | real routers that send BMP, and a peer that announces routes to them |
//! | [`bmp`] | messages of BMP sessions, and a full table of routes |
//! | [`captures`](mod@captures) | where the third-party captures are |
//! | [`datagrams`] | export datagrams that several tests send |
//! | [`disk`] | a disk in memory for the journal, which fails and loses power as planned |
//! | [`mmdb`] | MaxMind databases |
//! | [`mutation`] | mutated datagrams and files |
//! | [`name_server`] | a DNS server that answers, is silent, or is hostile |
//! | [`random`] | numbers drawn from a seed |
//! | [`service`] | real Redis and Cassandra servers, started for one test |
//! | [`snmpd`] | a real SNMP agent with the interfaces of this machine |
//! | [`wait`] | waiting for an event, with a generous deadline |

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot continue has failed"
)]

pub mod bgp;
pub mod bmp;
pub mod captures;
pub mod datagrams;
pub mod disk;
pub mod mmdb;
pub mod mutation;
pub mod name_server;
pub mod random;
pub mod service;
pub mod snmpd;
pub mod wait;

pub use captures::captures;
pub use mutation::mutate;
pub use random::Random;
pub use service::Service;
pub use wait::wait_for;
