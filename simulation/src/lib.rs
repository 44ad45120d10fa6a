//! A simulation of a collector. The collector's code is real; exporters, the network, the clock, the journal's disk and
//! a failing store are simulated. One number, the seed, determines all events, so that a failing run can be repeated.
//!
//! | file | content |
//! | --- | --- |
//! | [`world`] | one run: the events and their order; its files are `network`, `changes`, `crashes`, `damage`, `strangers` and `faults` |
//! | `process` | the running collector |
//! | [`exporter`] | exporters, which send datagrams of identifiable flows |
//! | [`terms`] | what flows are counted by: registered prefixes, and settings |
//! | [`oracle`] | which flows must be counted, and which may be |
//! | `readers` | readers of the log: what they have read must be what was counted |
//! | `audit` | compares the stored counters with the oracle |
//!
//! The journal's disk, which fails and loses power, and the random numbers from the seed are in `testing`.
//!
//! Not simulated: sockets and threads (`cli/tests/end_to_end` uses real ones), and SQLite's own writing, which is
//! trusted to keep what it has committed.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a simulation that cannot continue has failed"
)]

mod audit;
pub mod exporter;
pub mod oracle;
mod process;
mod readers;
pub mod terms;
pub mod world;

pub use world::{Run, simulate, simulate_with};
