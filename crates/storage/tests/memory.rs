//! The contract over the store in memory.

#[macro_use]
#[path = "contract/clauses.rs"]
mod clauses;

use storage::Memory;

async fn empty() -> (Memory, ()) {
    (Memory::default(), ())
}

contract!(empty);
