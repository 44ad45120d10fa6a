//! What readers of the log do not get.

use crate::log::Position;

/// What a reader has lost because the log exceeded its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForcedOut {
    /// Segments.
    pub segments: u64,
    /// Their octets.
    pub octets: u64,
}

/// Flushes that a reader will not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub first: Position,
    /// The last of them.
    pub last: Position,
    /// Their segments.
    pub segments: u64,
    /// The octets of these.
    pub octets: u64,
    /// How many of the segments are in flushes that the disk could not read. The others were forced out of the log.
    pub unreadable: u64,
}

impl Lost {
    /// These flushes and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            segments: self.segments + other.segments,
            octets: self.octets + other.octets,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

impl ForcedOut {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self { segments: self.segments - before.segments, octets: self.octets - before.octets }
    }
}
