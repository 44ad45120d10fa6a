//! `netflow replay`: sends the datagrams of captures to a collector, as tcpreplay and nfreplay do. Payloads are unchanged, but
//! source addresses cannot be kept: each exporter of the captures gets a source port of this machine, which the report lists.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use capture::{Capture, UdpDatagram};
use clap::Args;
use flow::Timestamp;
use serde_json::{Value, json};
use udp::{Outgoing, Sender};

use super::destination;
use super::interrupt::Interrupt;
use super::own_records::OwnRecords;
use super::progress::Progress;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;

/// The end of its help.
pub(crate) const EXAMPLES: &str = "\
Datagrams are sent from the address of this machine: register that one. Export times are not changed; flows that are too
old are counted at their receive time. To count captures with their own times and sources, without a collector, use
netflow import.

Examples:
  As fast as possible, only datagrams to port 2055:
    netflow replay capture.pcap --to 127.0.0.1:2055 --port 2055
  With the gaps of the capture:
    netflow replay capture.pcap --to collector.example:2055 --realtime
  A hundred datagrams per second:
    netflow replay capture.pcap --to 127.0.0.1:2055 --rate 100";

/// What scripts get that are older than `netflow import`, which was called `replay`.
const NOWHERE: &str = "netflow replay sends the files to a collector: name it with --to HOST:PORT. To count them without one, \
                       use netflow import";

/// The most exporters with a source port of their own; the others share one.
const PORTS: usize = 512;
/// The longest sleep, to react to Ctrl-C in time.
const LONGEST_NAP: Duration = Duration::from_millis(50);

/// The options of `netflow replay`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Captures (pcap, pcapng) or IPFIX files, in this order; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The collector; must be given
    #[arg(long, value_name = "HOST:PORT", value_parser = destination::parse)]
    to: Option<SocketAddr>,
    /// Send only datagrams captured with this destination UDP port; can be repeated [default: every port]
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<u16>,
    /// Datagrams per second [default: as fast as possible]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "realtime")]
    rate: Option<u32>,
    /// Keep the time between datagrams as captured
    #[arg(long)]
    realtime: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Sends all files, until the end or Ctrl-C, then prints what was sent and from where.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let to = arguments.to.ok_or_else(|| Failure::new(ExitCode::CommandLine, anyhow!(NOWHERE)))?;
    let mut transmission = Transmission {
        arguments,
        to,
        interrupt: Interrupt::watch().or_exit(ExitCode::Failure)?,
        progress: Progress::new(),
        sources: HashMap::new(),
        senders: Vec::new(),
        begun: Instant::now(),
        first: None,
        datagrams: 0,
    };
    let sent = arguments.files.iter().try_for_each(|path| transmission.send_file(path));
    transmission.progress.clear();
    let report = if arguments.json { transmission.json() } else { transmission.report() };
    output::print_line(report.or_exit(ExitCode::Failure)?)?;
    sent.map(|()| ExitCode::Success)
}

struct Transmission<'a> {
    arguments: &'a Arguments,
    to: SocketAddr,
    interrupt: Interrupt,
    progress: Progress,
    /// The index of the sender for each exporter of the captures, and the number of its datagrams.
    sources: HashMap<SocketAddr, (usize, u64)>,
    senders: Vec<Sender>,
    begun: Instant,
    /// When the first datagram was captured.
    first: Option<Timestamp>,
    datagrams: u64,
}

impl Transmission<'_> {
    fn send_file(&mut self, path: &Path) -> Result<(), Failure> {
        let unreadable = || format!("{}: everything before this was sent", path.display());
        let capture = if path == Path::new("-") { Capture::from_reader(io::stdin()) } else { Capture::open(path) };
        let mut capture = capture.with_context(|| path.display().to_string()).or_exit(ExitCode::Input)?;
        let mut own = OwnRecords::default();
        while let Some(datagram) = capture.next().with_context(unreadable).or_exit(ExitCode::Input)? {
            let ports = &self.arguments.ports;
            if own.has(&datagram) || !ports.is_empty() && !ports.contains(&datagram.destination.port()) {
                continue;
            }
            self.wait_until_due(datagram.received);
            if self.interrupt.came() {
                break;
            }
            self.send(&datagram).with_context(|| format!("cannot send to {}", self.to)).or_exit(ExitCode::Failure)?;
        }
        self.progress.clear();
        own.report(path);
        Ok(())
    }

    /// Sleeps until the next datagram is due, or a signal arrives.
    fn wait_until_due(&mut self, captured: Timestamp) {
        let first = *self.first.get_or_insert(captured);
        let due = match self.arguments.rate {
            Some(rate) => Duration::from_secs_f64(self.datagrams as f64 / f64::from(rate)),
            None if self.arguments.realtime => {
                Duration::from_nanos(captured.nanoseconds().saturating_sub(first.nanoseconds()))
            }
            None => Duration::ZERO,
        };
        while let Some(left) = due.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero()) {
            if self.interrupt.came() {
                return;
            }
            self.progress.show(|| format!("{} datagrams sent", self.datagrams));
            thread::sleep(left.min(LONGEST_NAP));
        }
    }

    fn send(&mut self, datagram: &UdpDatagram<'_>) -> io::Result<()> {
        if !self.sources.contains_key(&datagram.source) && self.senders.len() < PORTS {
            self.senders.push(Sender::new(self.to)?);
        }
        let newest = self.senders.len().saturating_sub(1);
        let (sender, count) = self.sources.entry(datagram.source).or_insert((newest, 0));
        *count += 1;
        self.datagrams += 1;
        self.progress.show(|| format!("{} datagrams sent", self.datagrams));
        let outgoing = Outgoing { source: None, payload: datagram.payload };
        self.senders.get(*sender).map_or(Ok(()), |sender| sender.send(&[outgoing]))
    }

    /// The exporters of the captures: their addresses there and here, and the number of their datagrams.
    fn exporters(&self) -> io::Result<Vec<(SocketAddr, SocketAddr, u64)>> {
        let mut sources: Vec<_> = self.sources.iter().collect();
        sources.sort_unstable();
        let used = sources.into_iter().filter_map(|(source, (sender, count))| {
            let sender = self.senders.get(*sender)?;
            Some(sender.address().map(|address| (*source, address, *count)))
        });
        used.collect()
    }

    fn report(&self) -> io::Result<String> {
        let mut report =
            format!("sent {} datagrams to {} in {:.1} s", self.datagrams, self.to, self.begun.elapsed().as_secs_f64());
        for (source, address, count) in self.exporters()? {
            report.push_str(&format!("\n  {count} of {source} from {address}"));
        }
        Ok(report)
    }

    fn json(&self) -> io::Result<String> {
        let exporter =
            |(source, address, count)| json!({ "captured": source, "sentFrom": address, "datagrams": count });
        let exporters: Vec<Value> = self.exporters()?.into_iter().map(exporter).collect();
        let seconds = self.begun.elapsed().as_secs_f64();
        let report = json!({ "to": self.to, "datagrams": self.datagrams, "seconds": seconds, "exporters": exporters });
        Ok(report.to_string())
    }
}
