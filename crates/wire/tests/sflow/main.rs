//! sFlow datagrams that are built here, word by word from the specifications and independently of the decoder.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod datagrams;
mod rows;
mod version_4;
mod version_5;
