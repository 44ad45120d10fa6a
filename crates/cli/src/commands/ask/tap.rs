//! `netflow tap`: the flows of a running collector as they arrive. `tap/line.rs` formats a line.

mod line;

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::anyhow;
use flow::Timestamp;
use serde_json::Value;

use super::super::interrupt::Interrupt;
use super::{Naming, Zone};
use crate::client::{Client, Connection, target};
use crate::color;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output::{self, Output};
use crate::table::grouped;
use line::Layout;

/// Which flows, and how many.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Filters consist of words of tcpdump and nfdump; docs/filter.md has all of them:
  [src|dst] host ADDRESS    [src|dst] net PREFIX    [src|dst] port NUMBER|NAME    [src|dst] as NUMBER
  tcp, udp, proto NAME|NUMBER    [in|out] if NUMBER    flags SA    vlan NUMBER    tos NUMBER    duration > 10s
  bytes > 1k    packets > NUMBER    bps > 1m    (also < >= <= = !=)    WORD in [VALUE, VALUE]
  and, or, not, parentheses
Bytes and packets are compared as exported, not multiplied by the sampling rate.

Examples:
  netflow tap
  netflow tap --exporter 192.0.2.1 'net 172.16.1.0/24 and not port 443'
  netflow tap -c 100 --json tcp and bytes '>' 1000000")]
pub(crate) struct Arguments {
    /// Only flows of this router
    #[arg(long, visible_alias = "router", value_name = "IP")]
    exporter: Option<IpAddr>,
    /// Stop after N flows
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    zone: Zone,
    /// A filter, such as: src net 10.0.0.0/8 and not port 53
    filter: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Lines that are read ahead.
const AHEAD: usize = 1024;
/// The status for an address that is not registered.
const NOT_FOUND: u16 = 404;
/// How often to check for a signal while no line comes.
const LOOK: Duration = Duration::from_millis(100);

/// Prints flows until the limit, a signal or the end of the collector.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { exporter, count, json, naming, zone, filter, connection } = arguments;
    let filter = Some(filter.join(" ")).filter(|filter| !filter.is_empty());
    // People read lines.
    let names = (naming.names || !json).then(|| "1".to_owned());
    let parameters =
        [("exporter", exporter.map(|exporter| exporter.to_string())), ("filter", filter), ("names", names)];
    let target = target("/tap", &parameters);
    let interrupt = Interrupt::watch().or_exit(ExitCode::Failure)?;
    let client = Client::new(&connection, config)?;
    if let Some(exporter) = exporter {
        report_unregistered(&client, exporter)?;
    }
    let lines = client.lines(&target)?;
    let (sender, ahead) = sync_channel(AHEAD);
    // A running read cannot be cancelled: this thread may end only with the process.
    std::thread::spawn(move || {
        for line in lines {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut shown = Shown {
        out: Output::new(),
        layout: (!json).then(|| Layout::new(color::is_wanted(&io::stdout()))),
        zone: zone.read()?,
        flows: 0,
        dropped: 0,
        limit: count.unwrap_or(u64::MAX),
    };
    let followed = shown.follow(&ahead, &interrupt);
    output::report(format_args!("{} flows shown, {} dropped", grouped(shown.flows), grouped(shown.dropped)));
    let has_collector_ended = matches!(followed, Ok(false));
    shown.out.end(followed.map(drop))?;
    if has_collector_ended {
        return Err(Failure::new(ExitCode::Unreachable, anyhow!("the collector closed the connection")));
    }
    Ok(ExitCode::Success)
}

/// Flows of an unregistered router are not decoded: nothing would ever be printed.
fn report_unregistered(client: &Client, exporter: IpAddr) -> Result<(), Failure> {
    if client.exchange("GET", &format!("/senders/{exporter}"), "")?.status == NOT_FOUND {
        output::report(format_args!(
            "netflow: {exporter} is not registered, so that it has no flows to show: netflow senders lists the registered \
             routers, netflow senders add {exporter} registers it"
        ));
    }
    Ok(())
}

/// The output, and what was printed so far.
struct Shown {
    out: Output,
    /// `None` to print JSON.
    layout: Option<Layout>,
    /// Of the times in lines; `None` for UTC.
    zone: Option<accounting::zone::Zone>,
    flows: u64,
    dropped: u64,
    limit: u64,
}

impl Shown {
    /// Returns whether the limit or a signal ended it, rather than the collector.
    fn follow(&mut self, lines: &Receiver<io::Result<String>>, interrupt: &Interrupt) -> io::Result<bool> {
        if let Some(layout) = &self.layout {
            writeln!(self.out, "{}", layout.heading())?;
        }
        while self.flows < self.limit && !interrupt.came() {
            let line = match lines.try_recv() {
                Ok(line) => line,
                Err(_) => {
                    self.out.flush()?;
                    match lines.recv_timeout(LOOK) {
                        Ok(line) => line,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return Ok(false),
                    }
                }
            };
            // A broken connection ends the lines like a closed one.
            let Ok(line) = line else { return Ok(false) };
            self.show(&line)?;
        }
        self.out.flush()?;
        Ok(true)
    }

    fn show(&mut self, line: &str) -> io::Result<()> {
        let Ok(mut value) = serde_json::from_str::<Value>(line) else { return Ok(()) };
        match value["dropped"].as_u64() {
            Some(dropped) if dropped == self.dropped => return Ok(()),
            Some(dropped) => self.dropped = dropped,
            None => self.flows += 1,
        }
        match &mut self.layout {
            None => writeln!(self.out, "{line}"),
            Some(layout) => {
                let received = value["received"].as_str().zip(self.zone.as_ref());
                let received =
                    received.and_then(|(time, zone)| Some(zone.display_time(zone.time(time, Timestamp::EPOCH).ok()?)));
                if let Some(received) = received {
                    value["received"] = received.into();
                }
                self.out.write_all(layout.lines(&value).as_bytes())
            }
        }
    }
}
