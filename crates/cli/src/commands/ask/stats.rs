//! `netflow stats`: totals of one date, or of several.

use accounting::period::Period;
use flow::{Prefix, SenderSelection};
use serde_json::{Value, json};

use super::{
    Naming, Zone, about, ask, counter, counters, named, print, print_remarks, print_senders, text, value_name,
};
use crate::client::{Client, Connection, target};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use crate::table::{Cell, Format, Table};

/// The query.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow stats 192.0.2.1 172.16.1.0/24 2026
  netflow stats 192.0.2.1 172.16.1.0/24 2026-10 2026-11 --name all --name proto:tcp
  netflow stats 192.0.2.1 172.16.1.0/24 '2026-11-23 05' '2026-11-23 05:01'
  netflow stats 192.0.2.1 172.16.1.0/24 2026-11-23 --tz Europe/Berlin
  netflow stats all 172.16.1.0/24 2026-11")]
pub(crate) struct Arguments {
    /// The address of the sender; or several with commas, tag:NAME, or all: their counters are added up
    sender: SenderSelection,
    /// One of its prefixes
    prefix: Prefix,
    /// A year, month, day, hour or minute: 2026, 2026-11, 2026-11-23, '2026-11-23 05', '2026-11-23 05:01'
    #[arg(required = true, value_name = "DATE")]
    dates: Vec<String>,
    /// The counter: all, or a value of a field such as proto:tcp, dstport:443 or srcip:192.0.2.1; can be repeated
    #[arg(long = "name", default_value = "all", value_name = "NAME", value_parser = counter)]
    names: Vec<String>,
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
    let Arguments { sender, prefix, dates, names, naming, zone, format, connection } = arguments;
    let mut periods = serde_json::Map::new();
    for date in dates {
        // The form determines the period.
        let (period, key) = match date.len() {
            0..=4 => (Period::Year, "years"),
            5..=7 => (Period::Month, "months"),
            8..=10 => (Period::Day, "days"),
            11..=13 => (Period::Hour, "hours"),
            _ => (Period::Minute, "minutes"),
        };
        zone.of_dates()?.date(period, &date).or_exit(ExitCode::CommandLine)?;
        let asked = periods.entry(key).or_insert_with(|| json!([]));
        if let Value::Array(asked) = asked {
            asked.push(json!({ date: names }));
        }
    }
    let question = json!({ prefix.to_string(): periods });
    let client = Client::new(&connection, config)?;
    let body = serde_json::to_string(&question).or_exit(ExitCode::Failure)?;
    let (path, selection) = about("stats", &sender);
    let parameters = [selection, ("tz", zone.tz), naming.parameter(format)];
    let answer = ask(&client, "POST", &target(&path, &parameters), &body)?;
    print(format, &answer, |answer| table(answer, format, naming))?;
    let of_prefix = &answer[prefix.to_string()];
    print_senders(format, of_prefix)?;
    print_remarks(format, of_prefix)?;
    if !format.json && rows(&answer).next().is_none() {
        let senders = sender.single().map_or_else(|| "senders".to_owned(), |sender| format!("senders show {sender}"));
        output::report(format_args!(
            "no data for {prefix} at these dates; netflow {senders} lists the monitored prefixes"
        ));
    }
    Ok(ExitCode::Success)
}

/// Each row with its date. Of several senders, a prefix also has lists that contain no dates.
fn rows(answer: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let periods = answer.as_object().into_iter().flatten().filter_map(|(_, periods)| periods.as_object());
    let dates = periods.flatten().filter(|(key, _)| !matches!(key.as_str(), "senders" | "remarks"));
    let dates = dates.flat_map(|(_, dates)| dates.as_array().into_iter().flatten());
    let of_dates = dates.filter_map(Value::as_object).flatten();
    of_dates.flat_map(|(date, rows)| rows.as_array().into_iter().flatten().map(move |row| (date, row)))
}

fn table(answer: &Value, format: Format, naming: Naming) -> Table {
    let has_value_name = format.csv && naming.names;
    let headings = ["date", "name", "value_name", "direction", "bytes", "pkts", "flows"];
    let has_heading = |heading: &&str| has_value_name || *heading != "value_name";
    let mut table = Table::new(&headings.into_iter().filter(has_heading).collect::<Vec<_>>());
    for (date, row) in rows(answer) {
        let name = if format.csv { text(&row["name"]) } else { named(row) };
        let mut cells = vec![Cell::Text(date.clone()), Cell::Text(name)];
        cells.extend(has_value_name.then(|| Cell::Text(value_name(row).unwrap_or_default().to_owned())));
        cells.push(Cell::Text(text(&row["direction"])));
        cells.extend(counters(row));
        table.push(cells);
    }
    table
}
