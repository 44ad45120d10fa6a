//! `netflow decode`: prints the flow records of captures and IPFIX files, decoded as by the collector, as one line of JSON each, or as
//! totals. Nothing is stored; senders need not be registered.

mod summary;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use capture::{Capture, CaptureError, Statistics, UdpDatagram};
use clap::Args;
use flow::Exporter;
use summary::Summary;
use wire::{Datagram, PendingBudget, Session, SessionLimits};

use super::ipfix_files::SentBy;
use super::own_records::{OwnRecords, ended_connection};
use super::progress::Progress;
use crate::exit_code::{ExitCode, Failure};
use crate::output::{self, Output};
use crate::table::count_of;

/// The most exporters whose templates are kept; those of others are valid in their own datagram only.
const EXPORTER_LIMIT: usize = 65_536;

/// The options of `netflow decode`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netflow decode capture.pcap | jq 'select(.flow.destinationPort == 53)'
  netflow decode --port 2055 --summary monday.pcap tuesday.pcap
  netflow decode --summary flows.ipfix
  tcpdump -i eth0 -w - udp port 2055 | netflow decode -")]
pub(crate) struct Arguments {
    /// Captures (pcap, pcapng) or IPFIX files, in order of time; - is standard input
    ///
    /// Templates of one capture are valid in the next; those of an IPFIX file are valid in that file.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Decode only datagrams to this UDP port; can be repeated [default: every port]
    ///
    /// Messages of IPFIX files have no port, and are all decoded.
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<u16>,

    /// Print one JSON object of totals instead of one line per record
    #[arg(long)]
    summary: bool,
}

/// Decodes all files. An unreadable one is reported, and the others are decoded.
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
    /// Its errors are those of the output.
    fn run(&mut self) -> io::Result<()> {
        for (place, path) in self.arguments.files.iter().enumerate() {
            match self.decode_file(path, place) {
                Ok(statistics) => report(path, statistics),
                Err(FileError::Output(error)) => return Err(error),
                Err(FileError::Input(error)) => {
                    output::report(format_args!("netflow: {}: {error}", path.display()));
                    self.code = ExitCode::Input;
                }
            }
        }
        if let Some(datagrams) = self.summary.without_export() {
            output::report(format_args!(
                "netflow: none of {} is NetFlow, IPFIX or sFlow: decode reads what routers export, not other traffic",
                count_of(datagrams, "datagram")
            ));
            self.code = ExitCode::Input;
        }
        if self.arguments.summary {
            let summary = std::mem::take(&mut self.summary).finish(self.sessions.iter());
            serde_json::to_writer_pretty(&mut self.output, &summary)?;
            writeln!(self.output)?;
        } else if let Some(losses) = self.summary.losses() {
            output::report(format_args!("netflow: {losses}; see --summary"));
        }
        Ok(())
    }

    fn decode_file(&mut self, path: &Path, place: usize) -> Result<Statistics, FileError> {
        let mut capture =
            if path == Path::new("-") { Capture::from_reader(io::stdin())? } else { Capture::open(path)? };
        let sent_by = SentBy::of(&capture, Ipv4Addr::UNSPECIFIED.into(), place);
        let has_ports = capture.has_addresses();
        let ports = &self.arguments.ports;
        // Lines on a terminal are progress enough.
        let is_seen = !self.arguments.summary && io::stdout().is_terminal();
        let (mut progress, mut read, mut own) = (Progress::new(), 0_u64, OwnRecords::default());
        while let Some(datagram) = capture.next()? {
            if let Some(ended) = ended_connection(&datagram) {
                self.sessions.of(ended.address).end_connection(ended.port);
            }
            if own.has(&datagram) {
                continue;
            }
            read += 1;
            if !is_seen {
                progress.show(|| format!("{read} datagrams of {} read", path.display()));
            }
            if ports.is_empty() || !has_ports || ports.contains(&datagram.destination.port()) {
                self.decode(&datagram, sent_by.exporter(&datagram)).map_err(FileError::Output)?;
            }
        }
        progress.clear();
        own.report(path);
        Ok(capture.statistics())
    }

    fn decode(&mut self, datagram: &UdpDatagram<'_>, exporter: Exporter) -> io::Result<()> {
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

/// Why a file was decoded only in part.
enum FileError {
    Input(CaptureError),
    Output(io::Error),
}

impl From<CaptureError> for FileError {
    fn from(error: CaptureError) -> Self {
        Self::Input(error)
    }
}

/// The decoder state of each exporter address.
struct Sessions {
    known: HashMap<IpAddr, Session>,
    /// For addresses beyond the limit.
    beyond_limit: Session,
    budget: PendingBudget,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            beyond_limit: Session::new(SessionLimits::default()),
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
        self.beyond_limit = new();
        &mut self.beyond_limit
    }

    fn iter(&self) -> impl Iterator<Item = (IpAddr, &Session)> {
        self.known.iter().map(|(address, session)| (*address, session))
    }
}

/// Reports packets of a file that should have been datagrams but were not.
fn report(path: &Path, statistics: Statistics) {
    let path = path.display();
    let warn = |what: &str, count: u64| {
        if count > 0 {
            output::report(format_args!("netflow: {path}: {what}: {count}"));
        }
    };
    warn("packets truncated by the capture (use tcpdump -s 0)", statistics.truncated);
    warn("packets with inconsistent headers", statistics.damaged);
    warn("packets with an unknown link layer", statistics.unknown_link_layer);
    warn("datagrams with missing or overlapping fragments", statistics.incomplete);
    if statistics.datagrams == 0 {
        output::report(format_args!("netflow: {path} contains no UDP datagrams"));
    }
}
