//! Decoded flows as they come, for whoever looks on. Looking on never slows down counting: what an onlooker cannot take
//! in time is dropped and counted.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `filter` | the language that says which flows are asked for |
//! | `taps` | who looks on, and the bounded way from the threads that count to them |
//!
//! What a flow looks like on the wire is `wire`'s matter, how it is shown that of `api` and `cli`.

pub mod filter;
mod taps;

pub use filter::Filter;
pub use taps::{Details, Full, Seen, Tap, Tapped, Taps};
