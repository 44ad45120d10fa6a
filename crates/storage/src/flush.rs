//! One flush of a collector: what was counted between two seals of its shards.

use accounting::block::Block;
use accounting::watermarks::Watermarks;
use flow::FlushNumber;

/// A flush with all its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Its number.
    pub number: FlushNumber,
    /// The watermarks of the writer by which the coarser blocks of the flush were decided.
    pub watermarks: Watermarks,
    /// Its minutes, and a block for each coarser interval that is rolled up over them.
    pub blocks: Vec<Block>,
}
