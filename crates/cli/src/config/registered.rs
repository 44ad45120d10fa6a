//! `senders`: routers that are registered without a request, and how names of routers are found.

use std::net::SocketAddr;
use std::num::NonZero;

use collector::NamedByDns;
use flow::Prefix;
use storage::Sender;

use super::tables::Stated;

/// Routers that are registered without a request, and how names of routers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Senders {
    /// `known`: those that the configuration states.
    pub(crate) known: Vec<Stated<Sender>>,
    /// `accept`: routers in these ranges register themselves.
    pub(crate) accept: Vec<Prefix>,
    /// `acceptLimit`: the most routers that do.
    pub(crate) accept_limit: Option<NonZero<usize>>,
    /// `dnsNames`: the addresses that DNS is asked for a name of.
    pub(crate) dns_names: NamedByDns,
    /// `dnsServers`: the servers that are asked; empty for those of the machine.
    pub(crate) dns_servers: Vec<SocketAddr>,
}

impl Default for Senders {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            accept: Vec::new(),
            accept_limit: NonZero::new(1000),
            dns_names: NamedByDns::All,
            dns_servers: Vec::new(),
        }
    }
}
