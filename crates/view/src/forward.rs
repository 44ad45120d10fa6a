//! The collectors that get copies of datagrams.

use std::net::SocketAddr;

use serde::Serialize;
use utoipa::ToSchema;

/// A collector that gets copies of datagrams, and how many. `received` is the sum of `sent`, of `dropped` and of `waiting`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardTarget {
    /// Its address.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// The source address of the copies: `collector`, or `exporter` if they keep theirs.
    pub source: &'static str,
    /// Prefixes of the exporters whose datagrams it gets; empty for all.
    pub exporters: Vec<String>,
    /// Datagrams received for it since it is configured, at most since the start.
    pub received: u64,
    /// Those of them that were handed to the kernel.
    pub sent: u64,
    /// Those of them that were not.
    pub dropped: ForwardDrops,
    /// Those of them that are queued.
    pub waiting: u64,
    /// The memory of the queue, in bytes.
    pub waiting_bytes: u64,
    /// Its limit; beyond it datagrams are dropped.
    pub waiting_bytes_limit: u64,
    /// How often the target has answered that nothing receives there (ICMP), at least.
    pub refusals: u64,
    /// How long ago a datagram was dropped; null if none was.
    pub dropped_seconds_ago: Option<u64>,
    /// How long ago the target last answered that nothing receives there; null if never.
    pub refused_seconds_ago: Option<u64>,
    /// The last error of the kernel; null if there was none.
    pub last_error: Option<String>,
}

/// Datagrams that were not forwarded, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardDrops {
    /// The queue was full, or the collector stopped.
    pub queue_full: u64,
    /// The kernel refused to send them.
    pub failed: u64,
    /// With the source `exporter`: the exporter has an address of the other family than the target.
    pub other_family: u64,
}
