//! Blocks: tables of counters that never change once written. Stores keep nothing else of flows.
//!
//! A block holds one or more *tables*; a table is all counters of one field in one direction. Its key lists its
//! tables, so that a reader fetches only the blocks that it needs. Many small tables share one block (a quiet prefix
//! costs one row a flush); a large table has blocks of its own.
//!
//! | file | what it contains |
//! | --- | --- |
//! | `key` | what identifies a block |
//! | `table_set` | which tables a block holds |
//! | `fault` | errors of damaged blocks |
//! | `tables` | decoded blocks, which add up |
//! | `sums` | the sums of tables, without names |
//! | `packer` | distribution of tables over blocks |
//! | `row_range` | the part of a table in one block |
//! | `encoding`, `decoding` | the octets of a block |

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
pub use flow::WriterId;
pub use key::{Block, BlockKey, Origin};
pub(crate) use packer::Packer;
pub use sums::{Fingerprint, Sums, TableSum, all_in};
pub use table_set::TableSet;
pub use tables::Tables;

#[cfg(test)]
mod tests;
