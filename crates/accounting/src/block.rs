//! Blocks: tables of counters that never change once written. The only thing a store keeps of flows.
//!
//! A block holds one or more *tables*; a table is all counters of one field in one direction. Its key says which tables it
//! holds, so that a reader asks only for the blocks that it needs: many small tables share one block (a quiet prefix costs
//! one row a flush), a large table has blocks of its own.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `key` | what identifies a block |
//! | `table_set` | which tables a block holds |
//! | `fault` | why a block cannot be read |
//! | `tables` | decoded blocks, which can be summed |
//! | `sums` | what tables add up to, without their names |
//! | `packer` | which tables share a block |
//! | `row_range` | the part of a table that is in one block |
//! | `encoding`, `decoding` | the bytes of a block |

mod decoding;
mod encoding;
mod fault;
mod key;
mod packer;
mod row_range;
mod sums;
mod table_set;
mod tables;

pub use crate::about_all::AboutAll;
pub use fault::{BlockError, BlockFault};
pub use key::{Block, BlockKey, Origin, WriterId};
pub(crate) use packer::Packer;
pub use sums::{Fingerprint, Sums, TableSum};
pub use table_set::TableSet;
pub use tables::Tables;

#[cfg(test)]
mod tests;
