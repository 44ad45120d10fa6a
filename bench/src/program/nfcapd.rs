//! nfcapd (nfdump) decodes flows and writes its own records to files. It does not count; nfdump sums its files
//! afterwards.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use flow::Counters;

use super::{Finished, Program, Reported, Running, Setup, receive_buffer};
use crate::process::{Process, sockets};

pub(crate) struct Nfcapd {
    /// Options beside those that it needs here.
    pub(crate) options: &'static [&'static str],
}

impl Program for Nfcapd {
    fn name(&self) -> String {
        ["nfcapd"].iter().chain(self.options).copied().collect::<Vec<_>>().join(" ")
    }

    fn start(&self, setup: &Setup<'_>) -> anyhow::Result<Box<dyn Running>> {
        let files = setup.directory.join("files");
        std::fs::create_dir(&files)?;
        let mut command = Command::new("nfcapd");
        command.args(self.options).args([
            "-b",
            "127.0.0.1",
            "-p",
            &setup.port.to_string(),
            "-B",
            &receive_buffer().to_string(),
            "-w",
        ]);
        let mut process = Process::start(command.arg(&files), setup.directory)?;
        process.wait_for("its socket", || sockets(setup.port).ok().filter(|sockets| sockets.count > 0))?;
        Ok(Box::new(RunningNfcapd { process, files }))
    }
}

struct RunningNfcapd {
    process: Process,
    files: PathBuf,
}

impl Running for RunningNfcapd {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Finished> {
        // It completes its file when it stops.
        let processor_seconds = self.process.end()?;
        let output = Command::new("nfdump").arg("-R").arg(&self.files).arg("-I").output()?;
        let sums = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = |key: &str| {
            let line = sums.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.trim().parse().ok()).with_context(|| format!("nfdump -I has no '{key}': {sums}"))
        };
        let counted = Counters { bytes: number("Bytes:")?, packets: number("Packets:")?, flows: number("Flows:")? };
        Ok(Finished { counted: Reported::All(counted), processor_seconds })
    }
}
