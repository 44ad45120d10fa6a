//! The bodies and seeds of the robustness tests, for cargo-fuzz: what a fuzzer calls is what CI calls.

#[path = "../../crates/wire/tests/robustness/bodies.rs"]
pub mod bodies;
#[path = "../../crates/wire/tests/robustness/seeds.rs"]
pub mod seeds;
