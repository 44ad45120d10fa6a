//! Where a flow goes, seen from a monitored prefix.

/// The direction of a flow, seen from a monitored prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Its destination is in the prefix, its source in no monitored prefix.
    In,
    /// Its source is in the prefix, its destination in no monitored prefix.
    Out,
    /// Its destination is in the prefix, its source in a monitored prefix too.
    InLocal,
    /// Its source is in the prefix, its destination in a monitored prefix too.
    OutLocal,
}

impl Direction {
    /// All directions, in the order of their declaration; `direction as usize` indexes it.
    pub const ALL: [Self; 4] = [Self::In, Self::Out, Self::InLocal, Self::OutLocal];

    /// The name of the direction in the REST interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::InLocal => "in:local",
            Self::OutLocal => "out:local",
        }
    }
}
