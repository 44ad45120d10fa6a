//! The programs that are compared: how each is started, tuned, asked for its totals, and ended.

mod netflow;
mod nfacctd;
mod nfcapd;
mod receive_only;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use flow::Counters;

pub(crate) use netflow::{Netflow, Row, RunningNetflow};
pub(crate) use nfacctd::Nfacctd;
pub(crate) use nfcapd::Nfcapd;
pub(crate) use receive_only::{ReceiveOnly, receive_only};

use crate::process::Process;

/// All are asked to have the same receive buffer: what an ordinary user gets here, although ours could have more as root.
pub(crate) fn receive_buffer() -> u64 {
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    limit.trim().parse().unwrap_or(212_992)
}

/// Where a program is to run.
pub(crate) struct Place<'a> {
    /// A directory of its own.
    pub(crate) directory: &'a Path,
    /// The UDP port of 127.0.0.1 to receive at.
    pub(crate) port: u16,
    /// The exporters that will send.
    pub(crate) exporters: &'a [Ipv4Addr],
}

/// A program that receives flows.
pub(crate) trait Program {
    /// What it is, for the table.
    fn name(&self) -> String;

    /// The rate at which processor time is measured: all take it without loss. Flows a second.
    fn moderate_rate(&self, wanted: u64) -> u64 {
        wanted
    }

    /// Starts it; it receives when this returns.
    fn start(&self, place: &Place<'_>) -> anyhow::Result<Box<dyn Running>>;
}

/// A program that is running.
pub(crate) trait Running {
    /// Its process.
    fn process(&mut self) -> &mut Process;

    /// Ends it and reads what it has counted.
    fn finish(self: Box<Self>) -> anyhow::Result<Finished>;
}

/// What a program has counted, and used in all.
pub(crate) struct Finished {
    pub(crate) counted: Counted,
    /// Processor time up to its end. Seconds.
    pub(crate) processor_seconds: f64,
}

/// What a program says that it has counted; each counts what it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// Bytes, packets and flows.
    All(Counters),
    /// Bytes and packets; so many flows at most have arrived and will be counted with those that come next.
    Volume { bytes: u64, packets: u64, held_back: u64 },
    /// Datagrams.
    Datagrams(u64),
}

/// The netflow binary that was built with this one.
pub(crate) fn netflow_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("netflow");
    anyhow::ensure!(binary.exists(), "{} is not there: cargo build --release -p cli", binary.display());
    Ok(binary)
}
