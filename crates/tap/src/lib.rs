//! A live, lossy stream of decoded flows for subscribers. It never slows down counting: a flow that a subscriber has no room
//! for is dropped and counted.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `filter` | the filter language |
//! | `taps` | subscribers and their bounded queues |
//!
//! `wire` decodes the flows; `api` and `cli` show them.

pub mod filter;
mod taps;

pub use filter::Filter;
pub use taps::{Details, Full, Seen, Tap, Tapped, Taps};
