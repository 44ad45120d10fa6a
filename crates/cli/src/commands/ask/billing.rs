//! `netflow billing`: what a prefix used in a month.

use std::io::{self, Write};

use accounting::period::Period;
use flow::{Prefix, SenderSelection};
use serde_json::Value;

use super::{Naming, Zone, about, ask, number, print, print_remarks, text};
use crate::client::{Client, Connection, target};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use crate::table::{Cell, Format, Table, count_of, printable};

/// The query.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow billing 192.0.2.1 172.16.1.0/24
  netflow billing 192.0.2.1 172.16.1.0/24 --month 2026-10 --csv
  netflow billing 192.0.2.1 172.16.1.0/24 --local exclude --tz Europe/Berlin
  netflow billing tag:edge 172.16.1.0/24 --month 2026-10")]
pub(crate) struct Arguments {
    /// The address of the sender; or several with commas, tag:NAME, or all: their counters are added up
    sender: SenderSelection,
    /// One of its prefixes
    prefix: Prefix,
    /// The month, such as 2026-10 [default: the current month]
    #[arg(long)]
    month: Option<String>,
    /// Whether traffic between own networks counts
    #[arg(long, default_value = "include", value_parser = ["include", "exclude"])]
    local: String,
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Queries and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { sender, prefix, month, local, zone, naming, format, connection } = arguments;
    if let Some(month) = &month {
        zone.of_dates()?.date(Period::Month, month).or_exit(ExitCode::CommandLine)?;
    }
    let client = Client::new(&connection, config)?;
    let (path, selection) = about("billing", &sender);
    let parameters = [
        selection,
        ("prefix", Some(prefix.to_string())),
        ("month", month),
        ("tz", zone.tz),
        ("local", Some(local)),
        naming.parameter(format),
    ];
    let answer = ask(&client, "GET", &target(&path, &parameters), "")?;
    print(format, &answer, if format.csv { rows } else { table })?;
    if !format.json && !format.csv {
        if !answer["bySender"].is_null() {
            output::print(|out| {
                writeln!(out)?;
                by_sender(&answer).write(false, out)
            })?;
        }
        output::print(|out| write_basis(&answer, out))?;
    }
    print_remarks(format, &answer)?;
    Ok(ExitCode::Success)
}

/// What the amounts are based on: samples, losses, and the method of the percentile.
fn write_basis(answer: &Value, out: &mut impl Write) -> io::Result<()> {
    let samples = &answer["samples"];
    let (count, expected) = (number(&samples["count"]), number(&samples["expected"]));
    writeln!(out)?;
    if let Some(network) = answer["network"].as_str() {
        writeln!(out, "network: {}", printable(network))?;
    }
    writeln!(out, "time zone: {}", text(&answer["tz"]))?;
    writeln!(out, "{count} of {expected} samples of 5 minutes")?;
    let missing = REASONS.iter().map(|(key, reason)| (number(&samples[*key]), reason)).filter(|(count, _)| *count > 0);
    for (count, reason) in missing {
        writeln!(out, "{count} missing: {reason}")?;
    }
    let gaps = samples["missing"].as_array().map_or(&[][..], Vec::as_slice);
    for gap in gaps.iter().take(SHOWN_GAPS) {
        writeln!(out, "  {} to {}: {}", text(&gap["from"]), text(&gap["to"]), reason(gap))?;
    }
    if gaps.len() > SHOWN_GAPS {
        writeln!(out, "  and {} more; --json and --csv have all of them", gaps.len() - SHOWN_GAPS)?;
    }
    write_absent(samples, out)?;
    write_losses(&answer["lost"], out)?;
    writeln!(out, "{}", text(&answer["method"]))
}

/// Of several senders: which of them are missing in samples, and when.
fn write_absent(samples: &Value, out: &mut impl Write) -> io::Result<()> {
    let absent = samples["absent"].as_array().map_or(&[][..], Vec::as_slice);
    if !absent.is_empty() {
        writeln!(out, "{} partial: without some of the senders", number(&samples["partial"]))?;
    }
    for part in absent.iter().take(SHOWN_GAPS) {
        writeln!(out, "  {} to {}: without {}", text(&part["from"]), text(&part["to"]), absent_senders(part))?;
    }
    if absent.len() > SHOWN_GAPS {
        writeln!(out, "  and {} more; --json and --csv have all of them", absent.len() - SHOWN_GAPS)?;
    }
    Ok(())
}

fn absent_senders(part: &Value) -> String {
    let mut senders: Vec<String> = part["senders"].as_array().into_iter().flatten().map(text).collect();
    let more = number(&part["more"]);
    if more > 0 {
        senders.push(format!("{more} more"));
    }
    senders.join(", ")
}

fn write_losses(lost: &Value, out: &mut impl Write) -> io::Result<()> {
    let percent = |share: &Value| share.as_f64().unwrap_or_default() * 100.0;
    for share in lost["shares"].as_array().into_iter().flatten() {
        let (lost, received) = (number(&share["lost"]), number(&share["received"]));
        let sent = lost.saturating_add(received);
        writeln!(out, "{:.4} % lost: {lost} of {sent} {}", percent(&share["share"]), text(&share["unit"]))?;
    }
    if let Some(worst) = lost["worst"].as_str() {
        let (samples, share) = (number(&lost["samples"]), percent(&lost["worstShare"]));
        writeln!(out, "losses in {}, the largest {share:.4} % in that of {worst}", count_of(samples, "sample"))?;
    }
    if lost.is_null() {
        writeln!(out, "losses unknown: nothing is known to have arrived from the sender")?;
    }
    Ok(())
}

/// The reasons of missing samples: as keys of the answer, and in words.
const REASONS: [(&str, &str); 3] =
    [("collectorNotRunning", "collector not running"), ("exporterSilent", "exporter silent"), ("notKept", "not kept")];

/// The number of gaps that are printed for people.
const SHOWN_GAPS: usize = 20;

fn reason(gap: &Value) -> String {
    let key = text(&gap["reason"]);
    REASONS.iter().find(|(known, _)| *known == key).map_or(key, |(_, reason)| (*reason).to_owned())
}

/// For programs, with the basis of the amounts in each row.
fn rows(answer: &Value) -> Table {
    let samples = &answer["samples"];
    let gaps = samples["missing"].as_array().into_iter().flatten();
    let gaps: Vec<String> =
        gaps.map(|gap| format!("{}/{} {}", text(&gap["from"]), text(&gap["to"]), reason(gap))).collect();
    let lost = |unit: &str| {
        let mut shares = answer["lost"]["shares"].as_array().into_iter().flatten();
        let share = shares.find(|share| share["unit"] == unit).and_then(|share| share["share"].as_f64());
        share.map_or(Cell::Gap, |share| Cell::Text(share.to_string()))
    };
    let count = |key: &str| Cell::Count(number(&samples[key]));
    let mut columns = vec![
        ("samples", count("count")),
        ("expected", count("expected")),
        ("collector not running", count("collectorNotRunning")),
        ("exporter silent", count("exporterSilent")),
        ("not kept", count("notKept")),
        ("lost datagrams", lost("datagrams")),
        ("lost records", lost("records")),
        ("gaps", Cell::Text(gaps.join("; "))),
    ];
    if let Some(absent) = samples["absent"].as_array() {
        let absent = absent
            .iter()
            .map(|part| format!("{}/{} {}", text(&part["from"]), text(&part["to"]), absent_senders(part)))
            .collect::<Vec<_>>();
        columns.extend([("partial", count("partial")), ("absent", Cell::Text(absent.join("; ")))]);
    }
    table_with(answer, columns)
}

/// What each of several senders has in a bill.
fn by_sender(answer: &Value) -> Table {
    let mut table = Table::new(&["sender", "direction", "bytes", "average", "95th percentile", "samples"]);
    for of in answer["bySender"].as_array().into_iter().flatten() {
        for direction in ["in", "out"] {
            let usage = &of[direction];
            table.push(vec![
                Cell::Text(text(&of["sender"])),
                Cell::Text(direction.to_owned()),
                Cell::Bytes(number(&usage["bytes"])),
                Cell::BitsPerSecond(number(&usage["averageBitsPerSecond"])),
                usage["percentile95BitsPerSecond"].as_u64().map_or(Cell::Gap, Cell::BitsPerSecond),
                Cell::Count(number(&of["samples"]["count"])),
            ]);
        }
    }
    table
}

fn table(answer: &Value) -> Table {
    table_with(answer, Vec::new())
}

/// The usage in both directions, and in each row further columns.
fn table_with(answer: &Value, more: Vec<(&'static str, Cell)>) -> Table {
    let mut headings = vec!["month", "direction", "bytes", "pkts", "flows", "average", "95th percentile"];
    headings.extend(more.iter().map(|(heading, _)| *heading));
    let mut table = Table::new(&headings);
    for direction in ["in", "out"] {
        let usage = &answer[direction];
        let percentile = usage["percentile95BitsPerSecond"].as_u64();
        let mut row = vec![
            Cell::Text(text(&answer["month"])),
            Cell::Text(direction.to_owned()),
            Cell::Bytes(number(&usage["bytes"])),
            Cell::Count(number(&usage["pkts"])),
            Cell::Count(number(&usage["flows"])),
            Cell::BitsPerSecond(number(&usage["averageBitsPerSecond"])),
            percentile.map_or(Cell::Gap, Cell::BitsPerSecond),
        ];
        row.extend(more.iter().map(|(_, cell)| cell.clone()));
        table.push(row);
    }
    table
}
