//! One flush of a collector: what was counted between two seals of its shards.

use accounting::block::Block;
use accounting::period::Minute;
use flow::FlushNumber;

/// A flush with all its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Its number.
    pub number: FlushNumber,
    /// How far the writer was rolled up when the coarser blocks of the flush were decided.
    pub decided: [Minute; 4],
    /// Its minutes, and a block for each coarser interval that is rolled up over them.
    pub blocks: Vec<Block>,
}
