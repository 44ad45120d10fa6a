//! The compared programs: how each is started, tuned, queried for its totals and stopped.

mod goflow2;
mod netflow;
mod nfacctd;
mod nfcapd;
mod receive_only;
mod tls;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use flow::Counters;

pub(crate) use goflow2::goflow2;
pub(crate) use netflow::{Client, CounterKey, Key, Netflow, RunningNetflow};
pub(crate) use nfacctd::Nfacctd;
pub(crate) use nfcapd::Nfcapd;
pub(crate) use receive_only::{ReceiveOnly, receive_only};
pub(crate) use tls::Tls;

use crate::process::Process;
use crate::transport::Transport;

/// The receive buffer that all programs use: the limit for an ordinary user, although our collector could get more as
/// root. Octets.
pub(crate) fn receive_buffer() -> u64 {
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    limit.trim().parse().unwrap_or(212_992)
}

/// Where a program runs.
pub(crate) struct Setup<'a> {
    /// A directory of its own.
    pub(crate) directory: &'a Path,
    /// The port on 127.0.0.1 to listen on.
    pub(crate) port: u16,
    /// The addresses of the exporters.
    pub(crate) exporters: &'a [Ipv4Addr],
}

/// A program that receives flows.
pub(crate) trait Program {
    /// Its name in the table.
    fn name(&self) -> String;

    /// The rate at which processor time is measured, which the program can handle without loss. Flows a second.
    fn moderate_rate(&self, wanted: u64) -> u64 {
        wanted
    }

    /// What carries a load to it.
    fn transport(&self) -> Transport {
        Transport::Udp
    }

    /// Starts the program. It is ready to receive when this returns.
    fn start(&self, setup: &Setup<'_>) -> anyhow::Result<Box<dyn Running>>;
}

/// A running program.
pub(crate) trait Running {
    /// Its process.
    fn process(&mut self) -> &mut Process;

    /// Stops the program and reads what it has counted.
    fn finish(self: Box<Self>) -> anyhow::Result<Finished>;
}

/// What a program has counted, and the resources that it has used.
pub(crate) struct Finished {
    pub(crate) counted: Reported,
    /// Processor time until its end. Seconds.
    pub(crate) processor_seconds: f64,
}

/// What a program reports to have counted. Not every program counts everything.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reported {
    /// Bytes, packets and flows.
    All(Counters),
    /// Bytes and packets. At most `held_back` flows have arrived but are counted only when more arrive.
    Volume { bytes: u64, packets: u64, held_back: u64 },
    /// Datagrams.
    Datagrams(u64),
}

/// The netflow binary next to this one.
pub(crate) fn netflow_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("netflow");
    anyhow::ensure!(binary.exists(), "{} does not exist: run cargo build --release -p cli", binary.display());
    Ok(binary)
}
