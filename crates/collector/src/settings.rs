//! What a collector is started with, and which of it a reload can change.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use pipeline::Rules;
use storage::Stated;
use udp::Steering;

use crate::export_connections::ExportConnectionSettings;
use crate::forwarding::ForwardTarget;
use crate::keep::Keep;
use crate::monitoring::BmpSettings;
use crate::origins::Origins;

/// The settings of a start.
#[derive(Debug)]
pub struct Settings {
    /// Sockets that are bound already: each is used instead of binding its address.
    pub passed: Vec<UdpSocket>,
    /// Those that listen for export connections.
    pub passed_streams: Vec<TcpListener>,
    /// Export connections that an earlier run has left, between two messages.
    pub kept_connections: Vec<TcpStream>,
    /// The number of threads that receive and count.
    pub threads: usize,
    /// The distribution of datagrams over threads.
    pub steering: Steering,
    /// The requested receive buffer of each socket, in octets.
    pub receive_buffer: usize,
    /// The sources of AS numbers and countries. Their owners replace them at any time.
    pub origins: Origins,
    /// The settings that can change later.
    pub reloadable: Reloadable,
}

/// The settings that can change while a collector runs.
#[derive(Clone, Debug)]
pub struct Reloadable {
    /// Where to receive; each address takes any protocol.
    pub listen: Vec<SocketAddr>,
    /// The collectors that get copies of datagrams.
    pub forward: Vec<ForwardTarget>,
    /// How flows are counted.
    pub rules: Rules,
    /// Networks and senders of the configuration.
    pub stated: Arc<Stated>,
    /// The interval between flushes.
    pub flush_interval: Duration,
    /// How long the first flows of a newly registered prefix wait for a flush, if that is less.
    pub first_flush: Duration,
    /// How long blocks are kept.
    pub keep: Keep,
    /// Size limit and sync policy of the journal. A start takes a journal that was opened with them.
    pub journal: journal::Settings,
    /// The most octets of flushes that may wait for a store on the network.
    pub spool_bytes: u64,
    /// Where routers send their routes, and how much of them is kept.
    pub bmp: BmpSettings,
    /// Where exporters connect by TCP.
    pub export_connections: ExportConnectionSettings,
    /// The most monitored prefixes, over all routers, that are counted for metrics too.
    pub counted_prefixes: usize,
}

/// Settings for a test: listens on a free port, flushes never.
#[cfg(test)]
pub(crate) fn reloadable() -> Reloadable {
    let rules = Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: wire::SessionLimits::default(),
        tally: accounting::tally::TallySettings::default(),
    };
    Reloadable {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        forward: Vec::new(),
        rules,
        stated: Arc::default(),
        flush_interval: Duration::from_secs(3600),
        first_flush: Duration::from_secs(3600),
        keep: Keep::default(),
        journal: journal::Settings { sync: journal::Sync::Off, limit_bytes: 0 },
        spool_bytes: 0,
        bmp: BmpSettings::default(),
        export_connections: ExportConnectionSettings::default(),
        counted_prefixes: 0,
    }
}
