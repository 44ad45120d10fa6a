//! The names of AS, which only a running program knows: it reads them from files.

use std::fmt::Debug;

/// What AS are called, at one moment: within an answer, an AS has one name.
pub trait AsNames: Debug + Send + Sync {
    /// The name of the AS with this number.
    fn of_as(&self, asn: u32) -> Option<&str>;
}

/// No names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAsNames;

impl AsNames for NoAsNames {
    fn of_as(&self, _: u32) -> Option<&str> {
        None
    }
}
