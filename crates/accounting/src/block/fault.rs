//! Why a block cannot be read.

use super::key::BlockKey;

/// Why a block cannot be read. Others still can be: report this one and serve the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block of {key}: {fault}")]
pub struct BlockError {
    /// Which block.
    pub key: BlockKey,
    /// What is wrong with it.
    pub fault: BlockFault,
}

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// Written by a newer program.
    #[error("its encoding has version {0}; this program reads versions 1 and 2: use the newer program that wrote it")]
    Version(u8),
    /// Written by a newer program.
    #[error("it holds a field that this program does not know: use the newer program that wrote it")]
    UnknownField,
    /// It ends too early.
    #[error("its content ends too early")]
    Truncated,
    /// Some bytes of it or of its key have changed since it was written.
    #[error("its checksum does not match its key and content")]
    Checksum,
    /// It holds other tables than its key (version 1; in version 2 the checksum covers the key).
    #[error("its content and its key name different tables")]
    Tables,
    /// The checksum matches, but no program writes such content.
    #[error("its content is malformed")]
    Malformed,
    /// It is not part of the interval that is being summed.
    #[error("it is not part of the interval that is being summed")]
    Misplaced,
}

impl BlockFault {
    /// Whether the block is not damaged, but this program is too old for it.
    #[must_use]
    pub const fn is_newer(self) -> bool {
        matches!(self, Self::Version(_) | Self::UnknownField)
    }
}
