//! From octets to answers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod model;
mod session;
mod stale;
mod support;
