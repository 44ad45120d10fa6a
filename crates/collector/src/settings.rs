//! What a collector is started with.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pipeline::Rules;
use udp::Steering;

use crate::keep::Keep;

/// What a collector is told at its start.
#[derive(Debug)]
pub struct Settings {
    /// Where to receive; any protocol at any of them.
    pub listen: Vec<SocketAddr>,
    /// Sockets that are bound already: each is used in place of binding the address that it is bound to.
    pub passed: Vec<UdpSocket>,
    /// How many threads receive and count.
    pub threads: usize,
    /// Which thread gets which datagrams.
    pub steering: Steering,
    /// Octets of receive buffer to ask for, for each socket.
    pub receive_buffer: usize,
    /// How often what was counted is stored.
    pub flush_interval: Duration,
    /// How flows are counted.
    pub rules: Rules,
    /// How long blocks are kept.
    pub keep: Keep,
}
