//! The upper limit: a process that reads datagrams like the collector and only counts them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use udp::{Batch, SocketSet};

use super::{Finished, Program, Reported, Running, Setup, receive_buffer};
use crate::process::{Process, sockets};

pub(crate) struct ReceiveOnly;

impl Program for ReceiveOnly {
    fn name(&self) -> String {
        "receive only".into()
    }

    fn start(&self, setup: &Setup<'_>) -> anyhow::Result<Box<dyn Running>> {
        let count = setup.directory.join("count");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["receive-only", &setup.port.to_string()]).arg(&count);
        let mut process = Process::start(&mut command, setup.directory)?;
        process.wait_for("its socket", || sockets(setup.port).ok().filter(|sockets| sockets.count > 0))?;
        Ok(Box::new(RunningReceiveOnly { process, count }))
    }
}

struct RunningReceiveOnly {
    process: Process,
    count: PathBuf,
}

impl Running for RunningReceiveOnly {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Finished> {
        std::fs::write(asked(&self.count), "")?;
        let count = self.process.wait_for("its count", || std::fs::read_to_string(&self.count).ok())?;
        let datagrams = count.trim().parse().context("no count")?;
        Ok(Finished { counted: Reported::Datagrams(datagrams), processor_seconds: self.process.end()? })
    }
}

/// The file that asks for the count.
fn asked(count: &Path) -> PathBuf {
    count.with_extension("asked")
}

/// Reads datagrams until the process is stopped. Once it is asked, and no datagram is left, it writes their count to a file.
pub(crate) fn receive_only(port: u16, file: &Path) -> anyhow::Result<()> {
    let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let mut sockets = SocketSet::new(udp::bind(address, 1, udp::Steering::default(), receive_buffer() as usize)?);
    let mut batch = Batch::new(64);
    let mut datagrams = 0_u64;
    loop {
        // Before waiting: what arrived until then is then read.
        let is_asked = asked(file).exists();
        let mut came = 0;
        for (_, socket) in sockets.wait(Duration::from_millis(100))? {
            came += batch.receive(socket)?;
        }
        datagrams += came as u64;
        if came == 0 && is_asked {
            // The file appears with its content.
            let written = file.with_extension("written");
            std::fs::write(&written, datagrams.to_string())?;
            std::fs::rename(written, file)?;
        }
    }
}
