//! Errors of damaged blocks.

use super::key::BlockKey;

/// The error of a block that cannot be read. Others are not affected: report this one and serve the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block of {key}: {fault}")]
pub struct BlockError {
    /// The block.
    pub key: BlockKey,
    /// The reason.
    pub fault: BlockFault,
}

/// Why a block cannot be read.
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
    /// Its content or its key has changed since it was written.
    #[error("its checksum does not match its key and content")]
    Checksum,
    /// Its tables differ from those in its key (version 1; in version 2 the checksum covers the key).
    #[error("its content and its key name different tables")]
    Tables,
    /// The checksum matches, but the content is invalid.
    #[error("its content is malformed")]
    Malformed,
    /// It is not part of the interval being summed.
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
