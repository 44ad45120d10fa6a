//! A live, lossy stream of decoded flows for subscribers. It never slows down counting: a flow that a subscriber has no room
//! for is dropped and counted.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `filter` | the filter of a subscriber |
//! | `taps` | subscribers and their bounded queues |
//!
//! `wire` decodes the flows; the crate `filter` has the language of filters; `api` and `cli` show the flows.

mod filter;
mod taps;

pub use filter::{Filter, MOST_TESTS};
pub use taps::{Details, Full, Seen, Tap, Tapped, Taps};
