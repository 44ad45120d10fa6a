//! `senders`: routers that are registered without a request.

use std::num::NonZero;

use flow::Prefix;
use storage::Sender;

use super::tables::Stated;

/// Routers that are registered without a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Senders {
    /// `known`: those that the configuration states.
    pub(crate) known: Vec<Stated<Sender>>,
    /// `accept`: routers in these ranges register themselves.
    pub(crate) accept: Vec<Prefix>,
    /// `acceptLimit`: the most routers that do.
    pub(crate) accept_limit: Option<NonZero<usize>>,
}

impl Default for Senders {
    fn default() -> Self {
        Self { known: Vec::new(), accept: Vec::new(), accept_limit: NonZero::new(1000) }
    }
}
