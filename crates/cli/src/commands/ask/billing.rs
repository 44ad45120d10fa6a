//! `netflow billing`: what a prefix used in a month.

use std::io::{self, Write};
use std::net::IpAddr;

use flow::Prefix;
use serde_json::Value;

use super::{ask, number, print, text};
use crate::client::{Client, Connection, target};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;
use crate::table::{Cell, Format, Table};

/// The query.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow billing 192.0.2.1 172.16.1.0/24
  netflow billing 192.0.2.1 172.16.1.0/24 --month 2026-10 --csv
  netflow billing 192.0.2.1 172.16.1.0/24 --local exclude")]
pub(crate) struct Arguments {
    /// The address of the sender
    sender: IpAddr,
    /// One of its prefixes
    prefix: Prefix,
    /// The month, such as 2026-10 [default: the current month]
    #[arg(long)]
    month: Option<String>,
    /// Whether traffic between own networks counts
    #[arg(long, default_value = "include", value_parser = ["include", "exclude"])]
    local: String,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Queries and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { sender, prefix, month, local, format, connection } = arguments;
    let client = Client::new(&connection, config)?;
    let parameters = [("prefix", Some(prefix.to_string())), ("month", month), ("local", Some(local))];
    let answer = ask(&client, "GET", &target(&format!("/billing/{sender}"), &parameters), "")?;
    print(format, &answer, table)?;
    if !format.json && !format.csv {
        output::print(|out| write_basis(&answer, out))?;
    }
    Ok(ExitCode::Success)
}

/// What the amounts are based on: samples, losses, and the method of the percentile.
fn write_basis(answer: &Value, out: &mut impl Write) -> io::Result<()> {
    let samples = &answer["samples"];
    let (count, expected) = (number(&samples["count"]), number(&samples["expected"]));
    writeln!(out, "\n{count} of {expected} samples of 5 minutes")?;
    for share in answer["lost"]["shares"].as_array().into_iter().flatten() {
        let (lost, received) = (number(&share["lost"]), number(&share["received"]));
        let percent = share["share"].as_f64().unwrap_or_default() * 100.0;
        writeln!(out, "{percent:.4} % lost: {lost} of {} {}", lost.saturating_add(received), text(&share["unit"]))?;
    }
    writeln!(out, "{}", text(&answer["method"]))
}

fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["month", "direction", "bytes", "pkts", "flows", "average", "95th percentile"]);
    for direction in ["in", "out"] {
        let usage = &answer[direction];
        let percentile = usage["percentile95BitsPerSecond"].as_u64();
        table.push(vec![
            Cell::Text(text(&answer["month"])),
            Cell::Text(direction.to_owned()),
            Cell::Bytes(number(&usage["bytes"])),
            Cell::Count(number(&usage["pkts"])),
            Cell::Count(number(&usage["flows"])),
            Cell::BitsPerSecond(number(&usage["averageBitsPerSecond"])),
            percentile.map_or(Cell::Gap, Cell::BitsPerSecond),
        ]);
    }
    table
}
