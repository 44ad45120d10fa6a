//! `netflow store export`: prints counters as lines of CSV or JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use accounting::period::{Minute, Period};
use accounting::query::parse_interval;
use accounting::range::Range;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use flow::{Prefix, canonical};
use serde::Serialize;
use storage::export::{Export, Exported, ExportedRow, Request};
use storage::{Store, StoreError};

use super::address::{self, Address};
use crate::commands::ask::Zone;
use crate::commands::progress::Progress;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output::{self, Output};

/// The options of `netflow store export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netflow store export --period hour --sender 192.0.2.1 --from 2026-03 --to 2026-03 > march.csv
  netflow store export --period hour --tz Europe/Berlin --from 2026-03-29 --to 2026-03-29
  netflow store export --period day --format jsonl | jq 'select(.name == \"all\")'")]
pub(crate) struct Arguments {
    /// The period of the counters
    #[arg(long, default_value = "day", value_parser = period())]
    period: Period,

    /// Only this sender
    #[arg(long, value_name = "IP")]
    sender: Option<IpAddr>,

    /// Only exactly this prefix
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<Prefix>,

    /// Only intervals that begin at or after this date, such as 2026, 2026-03, 2026-03-05 or "2026-03-05 14:30"
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<String>,

    /// Only intervals that begin before the end of this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<String>,

    #[command(flatten)]
    zone: Zone,

    /// The format of lines
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,

    /// As --format jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// The store to read [default: the configured one]
    #[arg(long, value_name = "STORE", long_help = format!("The store to read [default: the configured one]\n\n{}", address::HELP))]
    store: Option<Address>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Comma-separated values, with a heading
    Csv,
    /// One JSON object per line
    Jsonl,
}

fn period() -> impl TypedValueParser<Value = Period> {
    PossibleValuesParser::new(Period::ALL.map(Period::name))
        .map(|name| Period::ALL.into_iter().find(|period| period.name() == name).unwrap_or(Period::Day))
}

/// A date of any period.
fn date(text: &str) -> Result<String, &'static str> {
    let is_date = Period::ALL.into_iter().any(|period| parse_interval(period, text).is_ok());
    let problem =
        "write YYYY, YYYY-MM, YYYY-MM-DD, \"YYYY-MM-DD hh\" or \"YYYY-MM-DD hh:mm\" (UTC, unless --tz is another zone)";
    if is_date { Ok(text.to_owned()) } else { Err(problem) }
}

/// The minutes of a date in a zone.
fn minutes(zone: &accounting::zone::Zone, date: Option<&String>) -> Option<Range> {
    let date = date?;
    Period::ALL.into_iter().find_map(|period| zone.date(period, date).ok())
}

/// Prints all lines.
pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let address = arguments.store.clone().unwrap_or_else(|| Address::configured(config));
    let store = address.open_to_read(config).or_exit(ExitCode::Store)?;
    let (mut output, mut damaged) = (Output::new(), 0);
    let zone = arguments.zone.of_dates()?;
    let written = match export(store.as_ref(), arguments, &zone, &mut output, &mut damaged).await {
        Ok(()) => Ok(()),
        Err(ExportError::Output(error)) => Err(error),
        Err(ExportError::Store(error)) => return Err(Failure::new(ExitCode::Store, error)),
    };
    output.end(written)?;
    Ok(if damaged == 0 { ExitCode::Success } else { ExitCode::Damage })
}

/// Writes all lines; counts unreadable blocks.
async fn export(
    store: &dyn Store,
    arguments: &Arguments,
    zone: &accounting::zone::Zone,
    output: &mut Output,
    damaged: &mut usize,
) -> Result<(), ExportError> {
    let request = Request {
        period: arguments.period,
        from: minutes(zone, arguments.from.as_ref()).map_or(Minute::EPOCH, |date| date.from),
        before: minutes(zone, arguments.to.as_ref()).map_or(Minute::MAX, |date| date.to),
        sender: arguments.sender.map(canonical),
        prefix: arguments.prefix,
    };
    let mut progress = Progress::new();
    let format = if arguments.json { Format::Jsonl } else { arguments.format };
    if matches!(format, Format::Csv) {
        writeln!(output, "start,sender,prefix,direction,name,bytes,packets,flows,bytes_variance,packets_variance")?;
    }
    // As of all commands, times in JSON are UTC.
    let shown_in = if matches!(format, Format::Csv) { zone } else { &accounting::zone::Zone::UTC };
    let mut export = Export::new(store, request);
    while let Some(exported) = export.next().await? {
        for error in &exported.totals.damaged {
            progress.clear();
            output::report(format_args!("netflow: skipped: {error}"));
            *damaged += 1;
        }
        for row in exported.rows() {
            write(output, format, &Line::new(&exported, &row, shown_in))?;
        }
        progress.show(|| format!("{} {} exported", exported.interval.period.name(), exported.interval));
    }
    Ok(())
}

/// One line; the keys of the JSON object are the names of the columns.
#[derive(Serialize)]
struct Line {
    /// When the interval begins.
    start: String,
    sender: IpAddr,
    prefix: String,
    direction: &'static str,
    name: String,
    bytes: u64,
    packets: u64,
    flows: u64,
    /// Of `all`, how far sampled flows may be off (docs/storage.md). As text: JSON readers round large numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_variance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets_variance: Option<String>,
    /// Whether a counter is 2^64 - 1, where sums end. CSV has no column for it, because that number is the mark.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
}

impl Line {
    fn new(exported: &Exported, row: &ExportedRow, zone: &accounting::zone::Zone) -> Self {
        Self {
            start: zone.display(exported.interval.start),
            sender: exported.sender,
            prefix: exported.prefix.to_string(),
            direction: row.direction.name(),
            name: row.name.to_string(),
            bytes: row.counters.bytes,
            packets: row.counters.packets,
            flows: row.counters.flows,
            bytes_variance: row.variance.map(|variance| variance.bytes.to_string()),
            packets_variance: row.variance.map(|variance| variance.packets.to_string()),
            saturated: row.counters.is_saturated(),
        }
    }
}

fn write(output: &mut impl Write, format: Format, line: &Line) -> io::Result<()> {
    match format {
        // No value contains a comma, a quote or a line end.
        Format::Csv => {
            let Line { start, sender, prefix, direction, name, bytes, packets, flows, .. } = line;
            let (of_bytes, of_packets) = (line.bytes_variance.as_deref(), line.packets_variance.as_deref());
            let (of_bytes, of_packets) = (of_bytes.unwrap_or_default(), of_packets.unwrap_or_default());
            write!(output, "{start},{sender},{prefix},{direction},{name},{bytes},{packets},{flows},")?;
            writeln!(output, "{of_bytes},{of_packets}")
        }
        Format::Jsonl => {
            serde_json::to_writer(&mut *output, line)?;
            writeln!(output)
        }
    }
}

/// Why an export ended early.
enum ExportError {
    Store(StoreError),
    Output(io::Error),
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
