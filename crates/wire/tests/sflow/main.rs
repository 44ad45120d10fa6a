//! sFlow datagrams that are put together here, word by word from the specifications and apart from the decoder.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod datagrams;
mod version_4;
mod version_5;
