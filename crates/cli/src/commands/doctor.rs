//! `netflow doctor`: diagnoses from the collector's answers and from this machine why a router's flows are (not) counted.
//! Each finding has a name, evidence and a fix; docs/troubleshooting.md documents all of them. It changes nothing.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `doctor/answers.rs` | the answers of the collector, or why there are none |
//! | `doctor/collecting.rs` | the collector as a whole: store, kernel drops |
//! | `doctor/archive.rs` | the archive of flows |
//! | `doctor/origins.rs` | files with AS numbers, and from where the AS numbers of a router are |
//! | `doctor/forward.rs` | forwarding to other collectors |
//! | `doctor/bmp.rs` | the sessions in which routers send their routes |
//! | `doctor/export_connections.rs` | the TCP connections over which exporters send IPFIX |
//! | `doctor/router.rs` | whether a router sends, and from which address |
//! | `doctor/sampling.rs` | which sampling rate applies to which records, and what is wrong with it |
//! | `doctor/traffic.rs` | problems of the datagrams of a router |
//! | `doctor/machine.rs` | sockets and firewall of this machine |
//! | `doctor/pairing.rs` | which unregistered address may belong to which silent router |
//! | `doctor/finding.rs` | a finding and its output |
//! | `doctor/groups.rs` | findings that many routers share, as a table |
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value indexes to null")]

mod answers;
mod archive;
mod bmp;
mod booking;
mod collecting;
mod export_connections;
mod finding;
mod forward;
mod groups;
mod machine;
mod origins;
mod pairing;
mod router;
mod sampling;
mod traffic;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::IpAddr;

use api::{Examine, ExaminedAnswers};
use serde_json::{Value, json};

use answers::{Answers, address_of, by_address};
use finding::{Bold, Finding};
use pairing::Pairs;

use super::ask::{Zone, moment, number};
use crate::client::{Client, Connection};
use crate::color;
use crate::commands::progress::Waiting;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;
use crate::table::count_of;

/// How many routers are examined when none is named.
const ROUTERS: usize = 200;

/// Which router.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow doctor
  netflow doctor 192.0.2.1
  netflow doctor --all
  netflow doctor --json | jq '.findings[].finding'")]
pub(crate) struct Arguments {
    /// A router, by the source address of its datagrams [default: every router that is registered or sends]
    router: Option<IpAddr>,
    /// Print every finding of every router, also those that many routers share
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    connection: Connection,
}

/// The result.
#[derive(Default)]
struct Report {
    url: String,
    findings: Vec<Finding>,
    /// The examined routers, with their `GET /exporters/<address>`.
    routers: Vec<(IpAddr, Option<Value>)>,
    /// How many routers were not examined.
    left_out: usize,
    /// Whether the collector has files with AS numbers.
    has_origin_files: bool,
}

/// Examines and prints; the exit code is `Findings` when there are any.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { router, all, json, zone, connection } = arguments;
    let client = Client::new(&connection, config)?;
    let waiting = Waiting::show("examining");
    let report = examine(&client, config, router.map(flow::canonical), &zone)?;
    drop(waiting);
    output::print(|out| if json { report.write_json(out) } else { report.write(all, out) })?;
    Ok(if report.findings.is_empty() { ExitCode::Success } else { ExitCode::Findings })
}

fn examine(client: &Client, config: &Config, router: Option<IpAddr>, zone: &Zone) -> Result<Report, Failure> {
    let mut report = Report { url: client.url().to_owned(), ..Report::default() };
    let mut answers = match Answers::gather(client, config) {
        Ok(answers) => answers,
        Err(finding) => {
            report.findings.push(finding);
            return Ok(report);
        }
    };
    answers.show_times(zone)?;
    let here = machine::is_here(client.url());
    report.examine(&answers, (config, here), router, |address| {
        let answer = client.exchange("GET", &format!("/exporters/{address}"), "")?;
        let mut heard = serde_json::from_str(&answer.body).ok().filter(|_| answer.status < 300);
        heard.iter_mut().try_for_each(|heard| zone.show_times(heard))?;
        Ok(heard)
    })?;
    Ok(report)
}

/// The doctor of a running collector, for its own REST interface. It examines no sockets and no firewall of the machine.
#[derive(Debug)]
pub(crate) struct Resident {
    config: Config,
}

impl Resident {
    /// For a collector with this configuration.
    pub(crate) fn new(config: &Config) -> Self {
        Self { config: config.clone() }
    }
}

impl Examine for Resident {
    fn examine(&self, answers: ExaminedAnswers, detail: &dyn Fn(IpAddr) -> Option<Value>) -> Vec<api::Finding> {
        let mut report = Report::default();
        let ExaminedAnswers { status, senders, exporters, unknown } = answers;
        let answers = Answers { status, senders, exporters, unknown };
        let Ok(()) =
            report.examine(&answers, (&self.config, false), None, |address| Ok::<_, Infallible>(detail(address)));
        report.findings.into_iter().map(api::Finding::from).collect()
    }
}

/// The named one, or every one that is registered or sends.
fn routers(answers: &Answers, named: Option<IpAddr>) -> Vec<IpAddr> {
    if let Some(named) = named {
        return vec![named];
    }
    let senders = answers.senders.iter().flatten().filter_map(|sender| address_of(sender, "ip"));
    let heard = answers.exporters.iter().filter_map(|exporter| address_of(exporter, "address"));
    let mut routers: Vec<_> = senders.chain(heard).collect::<BTreeSet<_>>().into_iter().collect();
    let unregistered = answers.unknown.iter().filter_map(|unknown| address_of(unknown, "address"));
    let unregistered: Vec<_> = unregistered.filter(|address| !routers.contains(address)).collect();
    routers.extend(unregistered);
    routers
}

impl Report {
    /// Examines all of the collector, and one router or every one; `detail` is what `GET /exporters/<address>` answers.
    fn examine<E>(
        &mut self,
        answers: &Answers,
        (config, here): (&Config, bool),
        router: Option<IpAddr>,
        detail: impl Fn(IpAddr) -> Result<Option<Value>, E>,
    ) -> Result<(), E> {
        collecting::examine(answers, config, here, &mut self.findings);
        archive::examine(answers, &mut self.findings);
        origins::examine(answers, &mut self.findings);
        self.has_origin_files = answers.status["originFiles"].is_object();
        bmp::examine(answers, &mut self.findings);
        forward::examine(answers, &mut self.findings);
        let mut addresses = routers(answers, router);
        self.left_out = addresses.len().saturating_sub(ROUTERS);
        addresses.truncate(ROUTERS);
        let pairs = Pairs::of(answers);
        for address in addresses {
            let is_heard = by_address(&answers.exporters, "address", address).is_some();
            let heard = if is_heard { detail(address)? } else { None };
            router::examine((answers, &pairs), address, heard.as_ref(), here, &mut self.findings);
            bmp::examine_router(answers, address, &mut self.findings);
            export_connections::examine_router(answers, address, heard.as_ref(), &mut self.findings);
            self.routers.push((address, heard));
        }
        Ok(())
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let routers: Vec<_> = self.routers.iter().map(|(address, _)| address).collect();
        let report = json!({
            "collector": self.url, "findings": self.findings, "routers": routers, "leftOut": self.left_out
        });
        writeln!(out, "{report}")
    }

    fn write(&self, all: bool, out: &mut impl Write) -> io::Result<()> {
        let bold = Bold(color::is_wanted(&io::stdout()));
        let of = |router| self.findings.iter().filter(move |finding| finding.router() == router);
        let general = of(None).count();
        let state = if general == 0 { "OK" } else { "PROBLEM" };
        writeln!(out, "{}", bold.of(&format!("collector at {}: {state}", self.url)))?;
        of(None).try_for_each(|finding| finding.write(bold, out))?;
        let groups = groups::groups(&self.findings, all);
        groups.iter().try_for_each(|group| group.write(bold, out))?;
        let is_in_group = |finding: &&Finding| groups.iter().any(|group| group.is_of(finding));
        for (address, heard) in &self.routers {
            let (shared, own): (Vec<_>, Vec<_>) = of(Some(*address)).partition(is_in_group);
            if own.is_empty() && !shared.is_empty() {
                continue;
            }
            writeln!(out, "\n{}", bold.of(&heading(*address, heard.as_ref(), own.len())))?;
            let applied = heard.as_ref().map(sampling::applied).unwrap_or_default();
            applied.iter().try_for_each(|line| writeln!(out, "  sampling  {line}"))?;
            let connections = heard.as_ref().map(export_connections::lines).unwrap_or_default();
            connections.iter().try_for_each(|(label, line)| writeln!(out, "  {label:8}  {line}"))?;
            let shares = heard.as_ref().and_then(|heard| origins::shares(heard, self.has_origin_files));
            shares.iter().try_for_each(|line| writeln!(out, "  as        {line}"))?;
            own.into_iter().try_for_each(|finding| finding.write(bold, out))?;
        }
        if self.left_out > 0 {
            writeln!(out, "\n{} not examined: name one", count_of(self.left_out as u64, "more router"))?;
        }
        let problems = count_of(self.findings.len() as u64, "problem");
        match self.findings.len() {
            0 => writeln!(out, "\nno problems found"),
            _ => writeln!(out, "\n{problems} found; docs/troubleshooting.md explains each under the name in brackets"),
        }?;
        if groups.is_empty() { Ok(()) } else { writeln!(out, "--all prints each of them by itself") }
    }
}

/// One line about a router.
fn heading(address: IpAddr, heard: Option<&Value>, findings: usize) -> String {
    let state = if findings == 0 { "OK" } else { "PROBLEM" };
    let Some(heard) = heard.filter(|heard| !heard["last"].is_null()) else { return format!("{address}: {state}") };
    let protocols: Vec<_> =
        heard["protocols"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let flows = &heard["counters"]["flows"];
    format!(
        "{address}: {state} ({}; {} flows counted, {} outside every monitored prefix; last datagram {})",
        protocols.join(", "),
        number(&flows["matched"]),
        number(&flows["unmatched"]),
        moment(&heard["last"])
    )
}
