//! What interfaces of routers are called, and whose SNMP agents are asked for it.

use std::path::PathBuf;
use std::time::Duration;

use interfaces::Known;

/// `interfaces`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterfaceSettings {
    /// `known`: by the operator.
    pub(crate) known: Vec<Known>,
}

/// `snmp`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnmpSettings {
    /// `agentsFile`: the agents with their credentials; `None` (empty in the file) to ask none.
    pub(crate) agents_file: Option<PathBuf>,
    /// `interval`: the time between two surveys of a router.
    pub(crate) interval: Duration,
}

impl Default for SnmpSettings {
    fn default() -> Self {
        Self { agents_file: None, interval: Duration::from_secs(15 * 60) }
    }
}
