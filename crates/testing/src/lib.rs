//! Support for tests, used as a dev-dependency only. Nothing here is part of the program.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`captures`] | where the third-party captures are |
//! | [`service`] | real Redis and Cassandra servers, started for one test |
//! | [`wait`] | waiting for an event, with a generous deadline |

#![expect(clippy::panic, clippy::expect_used, reason = "a test that cannot continue has failed")]

pub mod captures;
pub mod service;
pub mod wait;

pub use captures::captures;
pub use service::Service;
pub use wait::wait_for;
