//! What was counted for each monitored prefix since the start.

use std::net::IpAddr;

use flow::{Counters, Prefix};

/// What was counted for a monitored prefix of a router.
#[derive(Clone, Debug)]
pub struct PrefixCounters {
    /// The address of the router.
    pub router: IpAddr,
    /// The prefix.
    pub prefix: Prefix,
    /// The smallest monitored prefix of the same router around it, whose counters include these.
    pub within: Option<Prefix>,
    /// By the name of the direction.
    pub counters: Vec<(&'static str, Counters)>,
}
