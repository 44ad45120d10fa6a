//! `netflow doctor`: asks the running collector, and this machine, why a router is or is not counted. Each finding has a
//! name, what shows it, and what to type; docs/troubleshooting.md tells of every one. Nothing is changed.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `doctor/answers.rs` | what the collector answers, or why it does not |
//! | `doctor/collecting.rs` | the collector as a whole: store, kernel drops |
//! | `doctor/router.rs` | whether anything comes from a router, and from which address |
//! | `doctor/traffic.rs` | what is wrong with what comes |
//! | `doctor/machine.rs` | sockets and firewall of this machine |
//! | `doctor/finding.rs` | a finding, as it is shown |
#![expect(clippy::indexing_slicing, reason = "what is not there in a JSON value indexes to null")]

mod answers;
mod collecting;
mod finding;
mod machine;
mod router;
mod traffic;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;

use serde_json::{Value, json};

use answers::{Answers, address_of, by_address};
use finding::{Bold, Finding};

use super::ask::{moment, number};
use crate::client::{Client, Connection};
use crate::color;
use crate::commands::progress::Waiting;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;

/// How many routers are looked at when none is named.
const ROUTERS: usize = 200;

/// Whom to look at.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow doctor
  netflow doctor 192.0.2.1
  netflow doctor --json | jq '.findings[].finding'")]
pub(crate) struct Arguments {
    /// A router, by the address that its datagrams come from [default: all that are registered or send]
    router: Option<IpAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What was found.
struct Report {
    url: String,
    findings: Vec<Finding>,
    /// The routers that were looked at, with what `GET /exporters` tells of them.
    routers: Vec<(IpAddr, Option<Value>)>,
    /// How many routers were not looked at.
    left_out: usize,
}

/// Asks, looks and prints; the exit code says whether something was found.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { router, json, connection } = arguments;
    let client = Client::new(&connection, config)?;
    let waiting = Waiting::show("looking");
    let report = examine(&client, config, router.map(flow::canonical))?;
    drop(waiting);
    output::print(|out| if json { report.write_json(out) } else { report.write(out) })?;
    Ok(if report.findings.is_empty() { ExitCode::Success } else { ExitCode::Findings })
}

fn examine(client: &Client, config: &Config, router: Option<IpAddr>) -> Result<Report, Failure> {
    let mut report = Report { url: client.url().to_owned(), findings: Vec::new(), routers: Vec::new(), left_out: 0 };
    let answers = match Answers::gather(client, config) {
        Ok(answers) => answers,
        Err(finding) => {
            report.findings.push(finding);
            return Ok(report);
        }
    };
    let here = machine::is_here(client.url());
    collecting::examine(&answers, config, here, &mut report.findings);
    let mut addresses = routers(&answers, router);
    report.left_out = addresses.len().saturating_sub(ROUTERS);
    addresses.truncate(ROUTERS);
    for address in addresses {
        let heard = if by_address(&answers.exporters, "address", address).is_some() {
            let answer = client.exchange("GET", &format!("/exporters/{address}"), "")?;
            serde_json::from_str(&answer.body).ok().filter(|_| answer.status < 300)
        } else {
            None
        };
        router::examine(&answers, address, heard.as_ref(), here, &mut report.findings);
        report.routers.push((address, heard));
    }
    Ok(report)
}

/// The one that was named, or all that are registered or send.
fn routers(answers: &Answers, named: Option<IpAddr>) -> Vec<IpAddr> {
    if let Some(named) = named {
        return vec![named];
    }
    let senders = answers.senders.iter().flatten().filter_map(|sender| address_of(sender, "ip"));
    let heard = answers.exporters.iter().filter_map(|exporter| address_of(exporter, "address"));
    let mut routers: Vec<_> = senders.chain(heard).collect::<BTreeSet<_>>().into_iter().collect();
    let strangers = answers.unknown.iter().filter_map(|unknown| address_of(unknown, "address"));
    let strangers: Vec<_> = strangers.filter(|stranger| !routers.contains(stranger)).collect();
    routers.extend(strangers);
    routers
}

impl Report {
    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let routers: Vec<_> = self.routers.iter().map(|(address, _)| address).collect();
        let report = json!({
            "collector": self.url, "findings": self.findings, "routers": routers, "leftOut": self.left_out
        });
        writeln!(out, "{report}")
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let bold = Bold(color::is_wanted(&io::stdout()));
        let of = |router| self.findings.iter().filter(move |finding| finding.router() == router);
        let general = of(None).count();
        let state = if general == 0 { "well" } else { "not well" };
        writeln!(out, "{}", bold.of(&format!("collector at {}: {state}", self.url)))?;
        of(None).try_for_each(|finding| finding.write(bold, out))?;
        for (address, heard) in &self.routers {
            let findings: Vec<_> = of(Some(*address)).collect();
            writeln!(out, "\n{}", bold.of(&heading(*address, heard.as_ref(), findings.len())))?;
            findings.into_iter().try_for_each(|finding| finding.write(bold, out))?;
        }
        if self.left_out > 0 {
            writeln!(out, "\n{} more routers were not looked at: name one", self.left_out)?;
        }
        match self.findings.len() {
            0 => writeln!(out, "\nnothing is wrong"),
            1 => writeln!(out, "\n1 finding; docs/troubleshooting.md tells more, by the names in brackets"),
            many => writeln!(out, "\n{many} findings; docs/troubleshooting.md tells more, by the names in brackets"),
        }
    }
}

/// One line of what comes from a router.
fn heading(address: IpAddr, heard: Option<&Value>, findings: usize) -> String {
    let state = if findings == 0 { "counted" } else { "look here" };
    let Some(heard) = heard.filter(|heard| !heard["last"].is_null()) else { return format!("{address}: {state}") };
    let protocols: Vec<_> =
        heard["protocols"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let flows = &heard["counters"]["flows"];
    format!(
        "{address}: {state} ({}; {} flows counted, {} match no prefix; last heard {})",
        protocols.join(", "),
        number(&flows["matched"]),
        number(&flows["unmatched"]),
        moment(&heard["last"])
    )
}
