//! One run: a program is started, gets a load, settles, is ended, and has to answer for what it got.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use generator::{Generator, Pace, Totals, transmit};

use crate::process::sockets;
use crate::program::{Counted, Place, Program};

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What was sent.
    pub(crate) sent: Totals,
    /// How long that took.
    pub(crate) duration: Duration,
    /// What was counted.
    pub(crate) counted: Counted,
    /// Datagrams that the kernel dropped.
    pub(crate) drops: u64,
    /// Processor time from before the load to the end. Seconds.
    pub(crate) processor_seconds: f64,
    /// Octets.
    pub(crate) peak_memory: u64,
}

impl Outcome {
    /// Flows a second that were sent.
    pub(crate) fn offered(&self) -> f64 {
        self.sent.all.flows as f64 / self.duration.as_secs_f64()
    }

    /// Processor seconds for a million flows that were counted.
    pub(crate) fn cost(&self) -> f64 {
        self.processor_seconds * 1e6 / (self.sent.all.flows as f64 * self.share_counted())
    }

    /// Whether everything that was sent was counted.
    pub(crate) fn is_right(&self) -> bool {
        let Totals { datagrams, all, .. } = self.sent;
        match self.counted {
            Counted::All(counted) => counted == all,
            Counted::Volume { bytes, packets, held_back } => {
                let missing = all.flows as f64 * (1.0 - self.share_counted());
                bytes <= all.bytes && packets <= all.packets && missing <= held_back as f64
            }
            Counted::Datagrams(counted) => counted == datagrams,
        }
    }

    /// Which share of what was sent was counted.
    pub(crate) fn share_counted(&self) -> f64 {
        match self.counted {
            Counted::All(counted) => counted.flows as f64 / self.sent.all.flows as f64,
            Counted::Volume { packets, .. } => packets as f64 / self.sent.all.packets as f64,
            Counted::Datagrams(counted) => counted as f64 / self.sent.datagrams as f64,
        }
    }
}

/// The addresses of a load's exporters.
pub(crate) fn exporters(generator: &Generator) -> Vec<Ipv4Addr> {
    let load = generator.load();
    (0..load.exporters).map(|exporter| load.source(exporter).unwrap_or(Ipv4Addr::LOCALHOST)).collect()
}

/// Sends a load at a program. The generator is a copy: each run begins with the first datagram.
pub(crate) fn run(program: &dyn Program, generator: &Generator, pace: Pace) -> anyhow::Result<Outcome> {
    let directory = tempfile::tempdir()?;
    let port = free_port()?;
    let exporters = exporters(generator);
    let mut running = program.start(&Place { directory: directory.path(), port, exporters: &exporters })?;
    running.process().settle(port)?;
    let before = running.process().processor_seconds();
    let mut generator = generator.clone();
    let begun = Instant::now();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    transmit(&mut generator, to, pace, &mut |_| ControlFlow::Continue(()))?;
    let duration = begun.elapsed();
    running.process().settle(port)?;
    let drops = sockets(port)?.drops;
    let peak_memory = running.process().peak_memory();
    let finished = running.finish()?;
    Ok(Outcome {
        sent: generator.totals().clone(),
        duration,
        counted: finished.counted,
        drops,
        processor_seconds: finished.processor_seconds - before,
        peak_memory,
    })
}

/// A UDP port of 127.0.0.1 that nobody uses.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
