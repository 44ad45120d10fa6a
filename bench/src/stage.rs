//! Ours alone, with a load that is sent while something else is looked at.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use generator::{Generator, Pace, Totals, transmit};
use tempfile::TempDir;

use crate::process::sockets;
use crate::program::{Netflow, Place, RunningNetflow};
use crate::run::{exporters, free_port};

/// A running collector, and where it runs.
pub(crate) struct Stage {
    pub(crate) netflow: RunningNetflow,
    port: u16,
    _directory: TempDir,
}

impl Stage {
    /// Starts it, with the exporters of a load registered.
    pub(crate) fn set(netflow: &Netflow, generator: &Generator) -> anyhow::Result<Self> {
        Self::with(netflow, &exporters(generator))
    }

    /// Starts it, with these exporters registered.
    pub(crate) fn with(netflow: &Netflow, exporters: &[Ipv4Addr]) -> anyhow::Result<Self> {
        let (directory, port) = (tempfile::tempdir()?, free_port()?);
        let mut netflow = netflow.begin(&Place { directory: directory.path(), port, exporters })?;
        netflow.process.settle(port)?;
        Ok(Self { netflow, port, _directory: directory })
    }

    /// Sends a load, and waits until what arrived is counted. Returns what was sent, and how long that took.
    pub(crate) fn send(&mut self, generator: &mut Generator, pace: Pace) -> anyhow::Result<(Totals, Duration)> {
        let begun = Instant::now();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        transmit(generator, to, pace, &mut |_| ControlFlow::Continue(()))?;
        let duration = begun.elapsed();
        self.netflow.process.settle(self.port)?;
        Ok((generator.totals().clone(), duration))
    }

    /// Datagrams that the kernel dropped.
    pub(crate) fn drops(&self) -> anyhow::Result<u64> {
        Ok(sockets(self.port)?.drops)
    }
}
