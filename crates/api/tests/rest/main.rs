//! The REST interface over HTTP on loopback: a test of every sentence of its description.
//!
//! `server` starts one with a store in memory; `client` is a client that exposes the bytes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails the test"
)]

mod abuse;
mod billing;
mod client;
mod credentials;
mod document;
mod events;
mod fairness;
mod flow_streams;
mod flows;
mod groups;
mod headers;
mod interfaces;
mod networks;
mod openapi;
mod prefixes;
mod ranges;
mod readers;
mod remarks;
mod senders;
mod server;
mod sessions;
mod signatures;
mod split_series;
mod stats;
mod status;
mod tap;
mod transport;
mod web;
mod zones;
