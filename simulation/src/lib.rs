//! A collector's life in a world that is all simulated but for the code of the collector itself: exporters and the
//! network, the clock, the journal's disk, a store that fails. One number, the seed, decides everything that happens, so
//! a life that goes wrong can be lived again.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`world`] | the life: what happens in which order |
//! | `process` | the collector that it happens to |
//! | [`exporter`] | devices that send datagrams of flows, each flow with a name of its own |
//! | [`oracle`] | which flows have to be counted, and which may be |
//! | `audit` | what is counted in the end, beside what has to be |
//!
//! The journal's disk, which loses power and fails, and the numbers drawn from the seed are in `testing`.
//!
//! What is not simulated: sockets and threads (`cli/tests/end_to_end` has the real ones), and SQLite's own writing,
//! which is trusted to keep what it has committed.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a simulation that cannot go on has failed"
)]

mod audit;
pub mod exporter;
pub mod oracle;
mod process;
pub mod world;

pub use world::{Life, live, live_with};
