//! `netflow replay`: sends the datagrams of captures to a collector, as tcpreplay and nfreplay do. Payloads are unchanged, but
//! source addresses cannot be kept: each exporter of the captures gets a source port of this machine, over TCP and TLS with a
//! connection, which the report lists.

mod message;
mod report;
mod route;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use capture::{Capture, UdpDatagram};
use clap::Args;
use flow::Timestamp;

use self::report::{Counts, Report};
use self::route::{Connections, Outcome, Route, Sockets};
use super::destination::{self, Destination};
use super::interrupt::Interrupt;
use super::own_records::OwnRecords;
use super::progress::Progress;
use super::transport::{Patience, TransportOptions};
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;

/// The end of its help.
pub(crate) const EXAMPLES: &str = "\
Datagrams are sent from the address of this machine: register that one. Export times are not changed; flows that are too
old are counted at their receive time. Over TCP and TLS only IPFIX can be sent. To count captures with their own times and sources, without a collector, use
netflow import.

Examples:
  As fast as possible, only datagrams to port 2055:
    netflow replay capture.pcap --to 127.0.0.1:2055 --port 2055
  With the gaps of the capture:
    netflow replay capture.pcap --to collector.example:2055 --realtime
  A hundred datagrams per second:
    netflow replay capture.pcap --to 127.0.0.1:2055 --rate 100
  IPFIX over TCP, to port 4739:
    netflow replay capture.pcap --to collector.example --tcp";

/// What scripts get that are older than `netflow import`, which was called `replay`.
const NOWHERE: &str = "netflow replay sends the files to a collector: name it with --to HOST:PORT. To count them without one, \
                       use netflow import";

/// The longest sleep, to react to Ctrl-C in time.
const LONGEST_NAP: Duration = Duration::from_millis(50);

/// The options of `netflow replay`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Captures (pcap, pcapng) or IPFIX files, in this order; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The collector; must be given. Over TCP and TLS the port may be missing
    #[arg(long, value_name = "HOST:PORT", value_parser = destination::parse)]
    to: Option<Destination>,
    /// Send only datagrams captured with this destination UDP port; can be repeated [default: every port]
    ///
    /// Messages of IPFIX files have no port, and are all sent.
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

    #[command(flatten)]
    transport: TransportOptions,
}

/// Sends all files, until the end or Ctrl-C, then prints what was sent and from where.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let to = arguments.to.as_ref().ok_or_else(|| Failure::new(ExitCode::CommandLine, anyhow!(NOWHERE)))?;
    let (options, interrupt) = (&arguments.transport, Interrupt::watch().or_exit(ExitCode::Failure)?);
    let transport = options.transport();
    let address = to.address(transport.default_port()).or_exit(ExitCode::CommandLine)?;
    let route = match transport.is_connection() {
        true => Route::Connections(Connections::to(options.target(to)?, options, Patience::new(&interrupt, None))),
        false => Route::Udp(Sockets::to(address)),
    };
    let mut transmission = Transmission {
        arguments,
        interrupt: &interrupt,
        progress: Progress::new(),
        route,
        begun: Instant::now(),
        first: None,
        taken: 0,
        counts: Counts::default(),
    };
    let sent = arguments.files.iter().try_for_each(|path| transmission.send_file(path));
    // Also after an error: what was read before it is sent.
    let ended = transmission.route.end();
    let sent = sent.and(ended);
    transmission.progress.clear();
    let Transmission { route, begun, counts, .. } = &transmission;
    let (seconds, exporters) = (begun.elapsed().as_secs_f64(), route.exporters().or_exit(ExitCode::Failure)?);
    let report = Report { to: address, transport, seconds, counts, exporters };
    output::print_line(if arguments.json { report.json() } else { report.text() })?;
    let are_all_sent = counts.report_the_rest();
    sent.map(|()| if are_all_sent { ExitCode::Success } else { ExitCode::Input })
}

struct Transmission<'a> {
    arguments: &'a Arguments,
    interrupt: &'a Interrupt,
    progress: Progress,
    route: Route<'a>,
    begun: Instant,
    /// When the first datagram was captured.
    first: Option<Timestamp>,
    /// Datagrams, sent or not.
    taken: u64,
    counts: Counts,
}

impl Transmission<'_> {
    fn send_file(&mut self, path: &Path) -> Result<(), Failure> {
        let unreadable = || format!("{}: everything before this was sent", path.display());
        let capture = if path == Path::new("-") { Capture::from_reader(io::stdin()) } else { Capture::open(path) };
        let mut capture = capture.with_context(|| path.display().to_string()).or_exit(ExitCode::Input)?;
        // Messages of IPFIX files have no ports to choose by.
        let ports = if capture.has_addresses() { self.arguments.ports.as_slice() } else { &[] };
        let mut own = OwnRecords::default();
        while let Some(datagram) = capture.next().with_context(unreadable).or_exit(ExitCode::Input)? {
            if own.has(&datagram) || !ports.is_empty() && !ports.contains(&datagram.destination.port()) {
                continue;
            }
            self.wait_until_due(datagram.received)?;
            if self.interrupt.came() {
                break;
            }
            self.send(&datagram)?;
        }
        self.progress.clear();
        own.report(path);
        if capture.has_addresses() { Ok(()) } else { self.route.end_file() }
    }

    /// Sleeps until the next datagram is due, or a signal arrives.
    fn wait_until_due(&mut self, captured: Timestamp) -> Result<(), Failure> {
        let first = *self.first.get_or_insert(captured);
        let due = match self.arguments.rate {
            Some(rate) => Duration::from_secs_f64(self.taken as f64 / f64::from(rate)),
            None if self.arguments.realtime => {
                Duration::from_nanos(captured.nanoseconds().saturating_sub(first.nanoseconds()))
            }
            None => Duration::ZERO,
        };
        let mut is_flushed = false;
        while let Some(left) = due.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero()) {
            if self.interrupt.came() {
                break;
            }
            if !is_flushed {
                self.route.flush()?;
                is_flushed = true;
            }
            self.progress.show(|| format!("{} datagrams sent", self.counts.sent));
            thread::sleep(left.min(LONGEST_NAP));
        }
        Ok(())
    }

    fn send(&mut self, datagram: &UdpDatagram<'_>) -> Result<(), Failure> {
        self.progress.show(|| format!("{} datagrams sent", self.counts.sent));
        self.taken += 1;
        match self.route.send(datagram)? {
            Outcome::Unsendable(reason) => {
                *self.counts.not_sent.entry((datagram.source, reason)).or_default() += 1;
                return Ok(());
            }
            Outcome::Sent => {}
            Outcome::SentShortened => self.counts.shortened += 1,
        }
        self.counts.sent += 1;
        Ok(())
    }
}
