//! The contract over the store in memory.

#[macro_use]
#[path = "contract/clauses.rs"]
mod clauses;
#[macro_use]
#[path = "contract/registrations.rs"]
mod registrations;

use storage::Memory;

async fn empty() -> (Memory, ()) {
    (Memory::default(), ())
}

contract!(empty);
registrations_contract!(empty);
