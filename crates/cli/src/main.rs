//! The netflow command.
fn main() {}
