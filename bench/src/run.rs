//! One run: start a program, send a load, wait until it is idle, stop it, and read what it counted.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use generator::{Generator, Pace, Totals};

use crate::process::{own_processor_seconds, sockets};
use crate::program::{Program, Reported, Setup};

/// The result of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What the generator sent.
    pub(crate) sent: Totals,
    /// The duration of the load.
    pub(crate) duration: Duration,
    /// What the program counted.
    pub(crate) counted: Reported,
    /// Datagrams dropped by the kernel.
    pub(crate) drops: u64,
    /// Processor time from the start of the load to the end of the program. Seconds.
    pub(crate) processor_seconds: f64,
    /// Processor time that the generator used meanwhile.
    pub(crate) generator_seconds: f64,
    /// Octets.
    pub(crate) peak_memory: u64,
}

impl Outcome {
    /// Flows a second sent.
    pub(crate) fn offered(&self) -> f64 {
        self.sent.all.flows as f64 / self.duration.as_secs_f64()
    }

    /// Processor time for a million counted flows. Seconds.
    pub(crate) fn cost(&self) -> f64 {
        self.processor_seconds * 1e6 / (self.sent.all.flows as f64 * self.share_counted())
    }

    /// Whether everything that was sent was counted.
    pub(crate) fn is_right(&self) -> bool {
        let Totals { datagrams, all, .. } = self.sent;
        match self.counted {
            Reported::All(counted) => counted == all,
            Reported::Volume { bytes, packets, held_back } => {
                let missing = all.flows as f64 * (1.0 - self.share_counted());
                bytes <= all.bytes && packets <= all.packets && missing <= held_back as f64
            }
            Reported::Datagrams(counted) => counted == datagrams,
        }
    }

    /// The share of the load that was counted, 0 to 1.
    pub(crate) fn share_counted(&self) -> f64 {
        match self.counted {
            Reported::All(counted) => counted.flows as f64 / self.sent.all.flows as f64,
            Reported::Volume { packets, .. } => packets as f64 / self.sent.all.packets as f64,
            Reported::Datagrams(counted) => counted as f64 / self.sent.datagrams as f64,
        }
    }
}

/// The addresses of a load's exporters.
pub(crate) fn exporters(generator: &Generator) -> Vec<Ipv4Addr> {
    let load = generator.load();
    (0..load.exporters).map(|exporter| load.source(exporter).unwrap_or(Ipv4Addr::LOCALHOST)).collect()
}

/// Sends a load to a program. Works on a copy of the generator, so that each run starts with the first datagram.
pub(crate) fn run(program: &dyn Program, generator: &Generator, pace: Pace) -> anyhow::Result<Outcome> {
    run_in(tempfile::tempdir()?.path(), program, generator, pace)
}

/// The same in a directory, where the program leaves its files.
pub(crate) fn run_in(
    directory: &Path,
    program: &dyn Program,
    generator: &Generator,
    pace: Pace,
) -> anyhow::Result<Outcome> {
    let port = free_port()?;
    let exporters = exporters(generator);
    let mut running = program.start(&Setup { directory, port, exporters: &exporters })?;
    let opened = program.transport().open(generator.load(), port)?;
    running.process().wait_until_idle(port)?;
    let before = running.process().processor_seconds();
    let mut generator = generator.clone();
    let (begun, own) = (Instant::now(), own_processor_seconds());
    opened.send(&mut generator, pace)?;
    let (duration, generator_seconds) = (begun.elapsed(), own_processor_seconds() - own);
    running.process().wait_until_idle(port)?;
    let drops = sockets(port)?.drops;
    let peak_memory = running.process().peak_memory();
    let finished = running.finish()?;
    Ok(Outcome {
        sent: generator.totals().clone(),
        duration,
        counted: finished.counted,
        drops,
        processor_seconds: finished.processor_seconds - before,
        generator_seconds,
        peak_memory,
    })
}

/// A port on 127.0.0.1 that is free for UDP and for TCP.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = udp.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address.port());
        }
    }
}
