//! What a flusher makes sure of while its store loses requests, answers and what it had accepted, and while other
//! collectors take it for gone: every period has every flow once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod lost_answers;
mod promises;
mod proxy;
mod random_runs;
