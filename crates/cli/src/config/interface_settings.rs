//! What interfaces of routers are called.

use interfaces::Known;

/// `interfaces`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterfaceSettings {
    /// `known`: by the operator.
    pub(crate) known: Vec<Known>,
}
