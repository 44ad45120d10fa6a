//! Our collector alone, with a load, for scenarios that measure something else meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use generator::{Generator, Pace, Totals, transmit};
use tempfile::TempDir;

use crate::process::sockets;
use crate::program::{Netflow, RunningNetflow, Setup};
use crate::run::{exporters, free_port};
use crate::stop::StopAtEnd;

/// A running collector with its port and directory.
pub(crate) struct LoadedCollector {
    pub(crate) netflow: RunningNetflow,
    port: u16,
    _directory: TempDir,
}

impl LoadedCollector {
    /// Starts a collector on which the exporters of a load are registered.
    pub(crate) fn start(netflow: &Netflow, generator: &Generator) -> anyhow::Result<Self> {
        Self::start_with_exporters(netflow, &exporters(generator))
    }

    /// Starts a collector on which these exporters are registered.
    pub(crate) fn start_with_exporters(netflow: &Netflow, exporters: &[Ipv4Addr]) -> anyhow::Result<Self> {
        let (directory, port) = (tempfile::tempdir()?, free_port()?);
        let mut netflow = netflow.start_collector(&Setup { directory: directory.path(), port, exporters })?;
        netflow.process.wait_until_idle(port)?;
        Ok(Self { netflow, port, _directory: directory })
    }

    /// Sends a load and waits until it is counted. Returns what was sent, and the duration of the load.
    pub(crate) fn send(&mut self, generator: &mut Generator, pace: Pace) -> anyhow::Result<(Totals, Duration)> {
        let begun = Instant::now();
        transmit(generator, self.receiving(), pace, &mut |_| ControlFlow::Continue(()))?;
        let duration = begun.elapsed();
        self.wait_until_idle()?;
        Ok((generator.totals().clone(), duration))
    }

    /// Waits until everything that was sent is counted, and archived as far as it is flushed.
    pub(crate) fn wait_until_idle(&mut self) -> anyhow::Result<()> {
        self.netflow.process.wait_until_idle(self.port)
    }

    /// Sends a load while `work` runs; `None` is the highest possible rate. Returns the result of `work`.
    pub(crate) fn beside_load<T>(
        &self,
        generator: &mut Generator,
        rate: Option<u64>,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let to = self.receiving();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let stop = &stop;
            let ended = StopAtEnd(stop);
            let flows = scope.spawn(move || {
                let mut proceed = |_: &_| match stop.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                transmit(generator, to, Pace { rate, ..Pace::default() }, &mut proceed)
            });
            let result = work();
            drop(ended);
            flows.join().map_err(|_| anyhow::anyhow!("the thread that sends flows has panicked"))??;
            result
        })
    }

    /// Where it receives datagrams.
    fn receiving(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Datagrams dropped by the kernel.
    pub(crate) fn drops(&self) -> anyhow::Result<u64> {
        Ok(sockets(self.port)?.drops)
    }
}
