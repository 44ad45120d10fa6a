//! `netflow decode`: the flow records of capture files, decoded as the collector decodes them, one line of JSON for
//! each or one object of totals. Nothing is stored or counted, and senders need not be registered.

mod summary;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use capture::{Capture, CaptureError, Statistics, UdpDatagram};
use clap::Args;
use flow::Exporter;
use summary::Summary;
use wire::{Datagram, PendingBudget, Session, SessionLimits};

use super::progress::Progress;
use crate::exit_code::{ExitCode, Failure};
use crate::output::{self, Output};

/// So many exporter addresses are remembered; templates of further ones are used in their own datagram only.
const EXPORTER_LIMIT: usize = 65_536;

/// What can be said behind `netflow decode`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netflow decode capture.pcap | jq 'select(.flow.destinationPort == 53)'
  netflow decode --port 2055 --summary monday.pcap tuesday.pcap
  tcpdump -i eth0 -w - udp port 2055 | netflow decode -")]
pub(crate) struct Arguments {
    /// Capture files, pcap or pcapng, in the order of their time; - is standard input
    ///
    /// What an exporter announces in one file is known in the next.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Decode only datagrams to this UDP port; may be repeated [default: every port]
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<u16>,

    /// Print one JSON object of totals instead of one line for each record
    #[arg(long)]
    summary: bool,
}

/// Decodes all files. One that cannot be read is reported and costs none of the others.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut decoder = Decoder {
        arguments,
        output: Output::new(),
        sessions: Sessions::default(),
        summary: Summary::default(),
        lines: String::new(),
        code: ExitCode::Success,
    };
    let written = decoder.run();
    decoder.output.end(written)?;
    Ok(decoder.code)
}

struct Decoder<'a> {
    arguments: &'a Arguments,
    output: Output,
    sessions: Sessions,
    summary: Summary,
    lines: String,
    code: ExitCode,
}

impl Decoder<'_> {
    /// An error is one of the output.
    fn run(&mut self) -> io::Result<()> {
        for path in &self.arguments.files {
            match self.decode_file(path) {
                Ok(statistics) => report(path, statistics),
                Err(FileError::Output(error)) => return Err(error),
                Err(FileError::Input(error)) => {
                    output::report(format_args!("netflow: {}: {error}", path.display()));
                    self.code = ExitCode::Input;
                }
            }
        }
        if self.arguments.summary {
            let summary = std::mem::take(&mut self.summary).finish(self.sessions.iter());
            serde_json::to_writer_pretty(&mut self.output, &summary)?;
            writeln!(self.output)?;
        } else if let Some(losses) = self.summary.losses() {
            output::report(format_args!("netflow: {losses}; --summary tells which"));
        }
        Ok(())
    }

    fn decode_file(&mut self, path: &Path) -> Result<Statistics, FileError> {
        let mut capture =
            if path == Path::new("-") { Capture::from_reader(io::stdin())? } else { Capture::open(path)? };
        let ports = &self.arguments.ports;
        // Lines on a terminal show by themselves how far it has come.
        let is_seen = !self.arguments.summary && io::stdout().is_terminal();
        let (mut progress, mut read) = (Progress::new(), 0_u64);
        while let Some(datagram) = capture.next()? {
            read += 1;
            if !is_seen {
                progress.show(|| format!("{read} datagrams of {} read", path.display()));
            }
            if ports.is_empty() || ports.contains(&datagram.destination.port()) {
                self.decode(&datagram).map_err(FileError::Output)?;
            }
        }
        Ok(capture.statistics())
    }

    fn decode(&mut self, datagram: &UdpDatagram<'_>) -> io::Result<()> {
        let exporter = Exporter::from(datagram.source);
        let datagram = Datagram { exporter, received: datagram.received, payload: datagram.payload };
        let session = self.sessions.of(exporter.address);
        let (summary, lines) = (&mut self.summary, &mut self.lines);
        let decoded = if self.arguments.summary {
            session.decode(&datagram, &mut |record| summary.add_record(record))
        } else {
            session.decode(&datagram, &mut |record| {
                wire::json::write_json(record, lines);
                lines.push('\n');
            })
        };
        summary.add_datagram(&datagram, &decoded);
        self.output.write_all(self.lines.as_bytes())?;
        self.lines.clear();
        Ok(())
    }
}

/// Why a file was not decoded to its end.
enum FileError {
    Input(CaptureError),
    Output(io::Error),
}

impl From<CaptureError> for FileError {
    fn from(error: CaptureError) -> Self {
        Self::Input(error)
    }
}

/// What each exporter address has announced.
struct Sessions {
    known: HashMap<IpAddr, Session>,
    /// For datagrams of addresses beyond the limit.
    stranger: Session,
    budget: PendingBudget,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            stranger: Session::new(SessionLimits::default()),
            budget: PendingBudget::default(),
        }
    }
}

impl Sessions {
    fn of(&mut self, exporter: IpAddr) -> &mut Session {
        let new = || Session::with_budget(SessionLimits::default(), self.budget.clone());
        if self.known.len() < EXPORTER_LIMIT || self.known.contains_key(&exporter) {
            return self.known.entry(exporter).or_insert_with(new);
        }
        self.stranger = new();
        &mut self.stranger
    }

    fn iter(&self) -> impl Iterator<Item = (IpAddr, &Session)> {
        self.known.iter().map(|(address, session)| (*address, session))
    }
}

/// Says what of a file was no datagram although it should have been one.
fn report(path: &Path, statistics: Statistics) {
    let path = path.display();
    let warn = |what: &str, count: u64| {
        if count > 0 {
            output::report(format_args!("netflow: {path}: {what}: {count}"));
        }
    };
    warn("packets cut by the capture (tcpdump -s 0 keeps them whole)", statistics.truncated);
    warn("packets whose headers contradict themselves", statistics.damaged);
    warn("packets with a link layer that is not known", statistics.unknown_link_layer);
    warn("datagrams whose fragments are not all there or overlap", statistics.incomplete);
    if statistics.datagrams == 0 {
        output::report(format_args!("netflow: {path}: no UDP datagrams in it"));
    }
}
