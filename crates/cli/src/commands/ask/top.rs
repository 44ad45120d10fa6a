//! `netflow top`: the top values of a field.

use accounting::field::Field;
use clap::builder::PossibleValuesParser;
use flow::{PrefixSelection, SenderSelection};
use serde_json::Value;

use super::rates::{Measured, RateOf};
use super::{
    Naming, Zone, about, ask, counters, named, number, percent_of_speed, print, print_remarks, print_senders,
    report_future, text, value_name,
};
use crate::client::{Client, Connection, target};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;
use crate::table::{Cell, Format, Table, duration, grouped};

/// The query.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow top 192.0.2.1 172.16.1.0/24
  netflow top 192.0.2.1 172.16.1.0/24 --field dstport --direction out --by flows -n 5
  netflow top 192.0.2.1 172.16.1.0/24 --unit packets --last 15m
  netflow top 192.0.2.1 172.16.1.0/24 --from 2026-11-23 --to 2026-11-24 --csv
  netflow top 192.0.2.1 172.16.1.0/24 --from 'yesterday 14:00' --to 'yesterday 15:00' --tz Europe/Berlin
  netflow top all 172.16.1.0/24 --field srcas --last 1d
  netflow top 192.0.2.1,192.0.2.2 172.16.1.0/24
  netflow top all customer-a --field dstport

One field at a time is counted for years. Every flow is in the archive for some days: netflow flows groups by several
fields and by interfaces, and has filters:
  netflow flows --last 1h --by srcip,dstport 'dst port 443'")]
pub(crate) struct Arguments {
    /// The address of the sender; or several with commas, tag:NAME, or all: their counters are added up
    sender: SenderSelection,
    /// One of its prefixes; or several with commas, the name, customer or tag of networks, or all: they are added up
    prefix: PrefixSelection,
    /// Group by this field
    #[arg(long, default_value = "srcip", value_parser = fields())]
    field: String,
    /// Direction relative to the prefix; in:local and out:local are traffic between your own networks
    #[arg(long, default_value = "in", value_parser = ["in", "out", "in:local", "out:local"])]
    direction: String,
    /// Start time, such as 2026-11-23T05:01Z, 2026-11-23, 14:00, yesterday or -2h [default: an hour before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "last")]
    from: Option<String>,
    /// End time, exclusive [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// This time before the end, such as 15m, 1h or 7d
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    last: Option<String>,
    /// Number of rows, 1 to 1000
    #[arg(short, long, default_value_t = 20, value_name = "N")]
    number: u32,
    /// Sort by [default: what --unit measures]
    #[arg(long, value_parser = ["bytes", "pkts", "flows"])]
    by: Option<String>,
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

/// All fields but `all`.
fn fields() -> PossibleValuesParser {
    PossibleValuesParser::new(Field::ALL.into_iter().skip(1).map(Field::name))
}

/// Queries and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments {
        sender,
        prefix,
        field,
        direction,
        from,
        to,
        last,
        number,
        by,
        rate,
        naming,
        zone,
        format,
        connection,
    } = arguments;
    zone.check_times([&from, &to])?;
    let (path, selection) = about("top", &sender);
    let measured = rate.measured(by.as_deref());
    let by = by.unwrap_or_else(|| measured.key().to_owned());
    let asked = |direction: &str, number: u32| {
        target(
            &path,
            &[
                selection.clone(),
                ("prefix", Some(prefix.to_string())),
                ("field", Some(field.clone())),
                ("direction", Some(direction.to_owned())),
                ("from", from.clone()),
                ("to", to.clone()),
                ("last", last.clone()),
                ("tz", zone.tz.clone()),
                ("n", Some(number.to_string())),
                ("by", Some(by.clone())),
                naming.parameter(format),
            ],
        )
    };
    let client = Client::new(&connection, config)?;
    let answer = ask(&client, "GET", &asked(&direction, number), "")?;
    let rates = rate.for_programs();
    print(format, &answer, |answer| if format.csv { rows(answer, naming, rates) } else { table(answer, measured) })?;
    if answer["total"]["flows"] == 0 && !format.json && !direction.ends_with(":local") {
        let local = format!("{direction}:local");
        report_local(&local, &ask(&client, "GET", &asked(&local, 1), "")?);
    }
    print_senders(format, &answer)?;
    print_remarks(format, &answer)?;
    report_future(&answer);
    Ok(ExitCode::Success)
}

/// A prefix around others seems to have no traffic where all of it is local.
fn report_local(direction: &str, answer: &Value) {
    let flows = match number(&answer["total"]["flows"]) {
        0 => return,
        1 => "1 flow is".to_owned(),
        flows => format!("{} flows are", grouped(flows)),
    };
    output::report(format_args!(
        "{flows} of this time local, between your own networks: --direction {direction} shows them (docs/networks.md)"
    ));
}

/// For people: the rows add up to the total, also as they are rounded.
fn table(answer: &Value, measured: Measured) -> Table {
    let seconds = number(&answer["seconds"]);
    let mean = format!("mean over {}", duration(seconds));
    let mut headings = vec!["name", mean.as_str(), "share", "bytes", "pkts", "flows"];
    let has_speed = answer["rows"].as_array().into_iter().flatten().any(|row| !row["percentOfSpeed"].is_null());
    headings.extend(has_speed.then_some("% of speed"));
    let mut table = Table::new(&headings);
    let mut push = |name: String, of: &Value| {
        let mut row = vec![Cell::Text(name), measured.cell(of, seconds), Cell::Share(number(&of[measured.key()]))];
        row.extend(counters(of));
        row.extend(has_speed.then(|| percent_of_speed(of)));
        table.push(row);
    };
    answer["rows"].as_array().into_iter().flatten().for_each(|row| push(named(row), row));
    let rest = number(&answer["rest"]["names"]);
    if rest > 0 {
        push(format!("{rest} more"), &answer["rest"]);
    }
    if answer["truncated"] == true {
        push("other".to_owned(), &answer["other"]);
    }
    push("total".to_owned(), &answer["total"]);
    table.add_up(0);
    table
}

/// For programs: the rows alone.
fn rows(answer: &Value, naming: Naming, rates: Option<Measured>) -> Table {
    let headings = ["name", "value_name", "bytes", "pkts", "flows"];
    let has_heading = |heading: &&str| naming.names || *heading != "value_name";
    let headings = headings.into_iter().filter(has_heading).chain(rates.map(Measured::heading));
    let mut table = Table::new(&headings.collect::<Vec<_>>());
    for of in answer["rows"].as_array().into_iter().flatten() {
        let value = naming.names.then(|| Cell::Text(value_name(of).unwrap_or_default().to_owned()));
        let rate = rates.map(|measured| measured.cell(of, number(&answer["seconds"])));
        table.push([Cell::Text(text(&of["name"]))].into_iter().chain(value).chain(counters(of)).chain(rate).collect());
    }
    table
}
