//! `netflow series`: one counter over time, or the largest values of a field (`split`).

mod split;

use std::io::Write;

use flow::{PrefixSelection, SenderSelection};
use serde_json::Value;

use super::rates::{Measured, RateOf};
use super::{
    Naming, Zone, about, ask, counter, counters, duration, named, number, percent_of_speed, print, print_remarks,
    print_senders, report_future, text, value_name,
};
use crate::amounts::{self, Unit};
use crate::client::{Client, Connection, target};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;
use crate::table::{Cell, Format, Table, sparkline};

/// The query.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow series 192.0.2.1 172.16.1.0/24
  netflow series 192.0.2.1 172.16.1.0/24 --name proto:udp --step minute --from 2026-11-23T05:00Z --to 2026-11-23T06:00Z
  netflow series 192.0.2.1 172.16.1.0/24 --step minute --last 15m --unit packets
  netflow series 192.0.2.1 172.16.1.0/24 --step month --from 2026-01-01 --csv
  netflow series 192.0.2.1 172.16.1.0/24 --step day --from 2026-11-01 --tz Europe/Berlin
  netflow series tag:edge 172.16.1.0/24 --last 7d
  netflow series all all --step day
  netflow series all 172.16.1.0/24 --field remoteas -n 5 --direction in,out
  netflow series all 172.16.1.0/24 --field ownport --values https,22 --csv")]
pub(crate) struct Arguments {
    /// The address of the sender; or several with commas, tag:NAME, or all: their counters are added up
    sender: SenderSelection,
    /// One of its prefixes; or several with commas, the name, customer or tag of networks, or all: they are added up
    prefix: PrefixSelection,
    /// The counter: all, or a value of a field such as proto:tcp, dstport:443 or srcip:192.0.2.1
    #[arg(long, default_value = "all", value_parser = counter)]
    name: String,
    /// Instead of one counter: the largest values of a field such as srcip, or of an end: remoteip, remoteport, remoteas, remotecountry, ownip, ownport, ownas, owncountry
    #[arg(long, conflicts_with = "name")]
    field: Option<String>,
    /// With --field: number of values, 1 to 50 [default: 10]
    #[arg(short, long, value_name = "N", requires = "field")]
    number: Option<u32>,
    /// With --field: which values are the largest [default: what --unit measures]
    #[arg(long, requires = "field", value_parser = ["bytes", "pkts", "flows"])]
    by: Option<String>,
    /// With --field: these values instead of the largest, with commas
    #[arg(long, requires = "field", conflicts_with_all = ["number", "by"])]
    values: Option<String>,
    /// Direction relative to the prefix, or several with commas; in:local and out:local are traffic between your own networks [default: all four]
    #[arg(long, value_delimiter = ',', value_parser = ["in", "out", "in:local", "out:local"])]
    direction: Vec<String>,
    /// Start with the step that contains this time, such as 2026-11-23T05:01Z, 2026-11-23, 14:00, yesterday or -2h [default: a day before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "last")]
    from: Option<String>,
    /// End with the step that contains the minute before this time [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// This time before the end, such as 15m, 1h or 7d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    last: Option<String>,
    /// Length of a step
    #[arg(long, default_value = "hour", value_parser = ["minute", "hour", "day", "month"])]
    step: String,
    #[command(flatten)]
    rate: RateOf,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Queries and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let (format, naming) = (arguments.format, arguments.naming);
    arguments.zone.check_times([&arguments.from, &arguments.to])?;
    let (path, selection) = about("series", &arguments.sender);
    let is_split = arguments.field.is_some();
    let measured = arguments.rate.measured(arguments.by.as_deref());
    let by = arguments.by.or_else(|| (is_split && arguments.values.is_none()).then(|| measured.key().to_owned()));
    let rates = if format.csv { arguments.rate.for_programs() } else { Some(measured) };
    let parameters = [
        selection,
        ("prefix", Some(arguments.prefix.to_string())),
        ("name", Some(arguments.name).filter(|_| !is_split)),
        ("field", arguments.field),
        ("n", arguments.number.map(|number| number.to_string())),
        ("by", by),
        ("values", arguments.values),
        ("direction", Some(arguments.direction.join(",")).filter(|directions| !directions.is_empty())),
        ("from", arguments.from),
        ("to", arguments.to),
        ("last", arguments.last),
        ("tz", arguments.zone.tz),
        ("step", Some(arguments.step)),
        naming.parameter(format),
    ];
    let client = Client::new(&arguments.connection, config)?;
    let answer = ask(&client, "GET", &target(&path, &parameters), "")?;
    if is_split {
        print(format, &answer, |answer| {
            if format.csv { split::rows(answer, naming, rates) } else { split::table(answer, measured) }
        })?;
    } else {
        print(format, &answer, |answer| if format.csv { rows(answer, rates) } else { table(answer, measured) })?;
        if !format.json && !format.csv {
            output::print(|out| {
                write!(out, "{}", charts(&answer, measured))?;
                // A name in the question is shown with its number.
                if value_name(&answer).is_some() { writeln!(out, "\n{}", named(&answer)) } else { Ok(()) }
            })?;
        }
    }
    print_senders(format, &answer)?;
    print_remarks(format, &answer)?;
    report_future(&answer);
    Ok(ExitCode::Success)
}

/// The directions of an answer; none when it has only gaps.
fn directions(answer: &Value) -> Vec<&str> {
    let points = answer["points"].as_array().into_iter().flatten();
    let counted = points.filter_map(|point| point["counters"].as_object()).next();
    // A map sorts by name; this is the usual order.
    let all = ["in", "out", "in:local", "out:local"];
    all.into_iter().filter(|direction| counted.is_some_and(|counted| counted.contains_key(*direction))).collect()
}

/// For people: mean rates of each step, and the share of the speed of the interface.
fn table(answer: &Value, measured: Measured) -> Table {
    let mut headings = vec!["start", "direction", "mean", "bytes", "pkts", "flows"];
    let of_points = answer["points"].as_array().into_iter().flatten();
    let mut counted =
        of_points.filter_map(|point| point["counters"].as_object()).flat_map(|counters| counters.values());
    let has_speed = counted.any(|of| !of["percentOfSpeed"].is_null());
    headings.extend(has_speed.then_some("% of speed"));
    steps(answer, &headings, is_gap, |of, seconds| {
        let [bytes, packets, flows] = counters(of);
        let speed = has_speed.then(|| percent_of_speed(of));
        [measured.cell(of, seconds), bytes, packets, flows].into_iter().chain(speed).collect()
    })
}

/// For programs.
fn rows(answer: &Value, rates: Option<Measured>) -> Table {
    let headings = ["start", "direction", "bytes", "pkts", "flows"].into_iter().chain(rates.map(Measured::heading));
    steps(
        answer,
        &headings.collect::<Vec<_>>(),
        |_| false,
        |of, seconds| counters(of).into_iter().chain(rates.map(|measured| measured.cell(of, seconds))).collect(),
    )
}

fn is_gap(point: &Value) -> bool {
    point["counters"].is_null()
}

/// A row for each step and direction, and for each gap; one for consecutive steps that are to be together.
fn steps(
    answer: &Value,
    headings: &[&str],
    is_together: impl Fn(&Value) -> bool,
    cells: impl Fn(&Value, u64) -> Vec<Cell>,
) -> Table {
    let mut table = Table::new(headings);
    let points = answer["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    for points in points.chunk_by(|one, next| is_together(one) && is_together(next)) {
        let Some(point) = points.first() else { continue };
        let start = text(&point["start"]);
        if is_gap(point) {
            let steps = if points.len() > 1 { format!("{} steps without data", points.len()) } else { String::new() };
            let mut row = vec![Cell::Text(start), Cell::Text(steps)];
            row.resize(headings.len(), Cell::Gap);
            table.push(row);
            continue;
        }
        for direction in directions(answer) {
            let of = &point["counters"][direction];
            // Local traffic is rare: no row without any.
            if direction.ends_with("local") && number(&of["flows"]) == 0 {
                continue;
            }
            let first = [start.clone(), direction.to_owned()].map(Cell::Text).into_iter();
            table.push(first.chain(cells(of, number(&point["seconds"]))).collect());
        }
    }
    table
}

/// A sparkline of the rates of each direction.
fn charts(answer: &Value, measured: Measured) -> String {
    let points = answer["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = String::new();
    for direction in directions(answer) {
        // In thousandths: steps differ in length.
        let rate = |point: &Value| {
            let counted = point["counters"][direction][measured.key()].as_u64()?;
            let unit = Unit { factor: measured.unit(1).factor * 1000, ..measured.unit(number(&point["seconds"])) };
            Some(u64::try_from(amounts::whole(counted, unit)).unwrap_or(u64::MAX))
        };
        let rates: Vec<_> = points.iter().map(rate).collect();
        let peak = rates.iter().flatten().copied().max().unwrap_or(0);
        if peak > 0 {
            let peak = amounts::amount(peak, Unit { factor: 1, ..measured.unit(1000) });
            lines.push_str(&format!("\n{direction:9} {}  peak {peak}", sparkline(&rates)));
        }
    }
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines
}
