//! `netflow flows`: questions about archived flows, to a running collector or to the files themselves.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `flows/words.rs` | from options to the words of a question, also from those of nfdump |
//! | `flows/window.rs` | windows of time as nfdump has them |
//! | `flows/grid.rs` | answers as rows of cells |
//! | `flows/ipfix.rs` | flows as an IPFIX file |
//! | `flows/notes.rs` | what an answer was read from, and what is missing |
//! | `flows/streamed.rs` | the answer of a collector, in lines |

mod grid;
pub(crate) mod ipfix;
mod notes;
mod streamed;
mod window;
mod words;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::SystemTime;

use anyhow::anyhow;
use archive::Scan;
use flow::Timestamp;
use questions::{Coverage, FlowRows, FlowSeries, FlowTop, MEMORY, RowsQuestion, SeriesQuestion, TopQuestion, Words};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::archive::Folder;
use crate::client::{Client, Connection};
use crate::commands::progress::Waiting;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use grid::Grid;
use words::{Asked, Kind};

/// A signal ends the process.
static NOT_CANCELLED: AtomicBool = AtomicBool::new(false);

/// The question.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --by and --every it prints flows, the newest first. With --by it prints groups of flows, with --every also their sums
in steps of time. Bytes, packets and flows are multiplied by the sampling rate, unless --sent is given.

Filters consist of words of tcpdump and nfdump: docs/filter.md. Columns are in docs/columns.md; addresses can be grouped by
the length of a prefix (srcip/24, or srcip/24/56 with that of IPv6), times by a step (received/5m).

The options -s, -A, -n, -t and -c of nfdump mean the same here.

Examples:
  netflow flows host 192.0.2.1
  netflow flows --last 1d --by srcip,dstport -n 10 'net 192.0.2.0/24 and proto tcp'
  netflow flows --from 2026-11-28T14:00 --to 2026-11-28T15:00 --by dstip/24 --sum packets
  netflow flows --every 5m --by proto --last 6h -o csv
  netflow flows --folder /backup/flows --last 7d --columns received,srcip,dstip,bytes -o json dst port 53
  netflow flows --exporter 192.0.2.1 --last 5m -n 10000 -o ipfix > flows.ipfix
  netflow flows -s srcip/bytes -n 10 -t 2026/11/28.14:00:00-2026/11/28.15:00:00")]
pub(crate) struct Arguments {
    /// Only flows of these routers
    #[arg(long, visible_alias = "router", value_name = "IP", value_delimiter = ',')]
    exporter: Vec<String>,
    /// Received at or after this time, such as 2026-11-23T05:01Z, 2026-11-23, 14:00, yesterday or -2h [default: an hour before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["last", "window"])]
    from: Option<String>,
    /// Received before this time [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "window")]
    to: Option<String>,
    /// Received in this time before the end, such as 15m, 1h or 7d
    #[arg(long, value_name = "DURATION", conflicts_with = "window")]
    last: Option<String>,
    /// Group by these columns, such as srcip,dstport
    #[arg(long, value_name = "COLUMNS")]
    by: Option<String>,
    /// The sum that groups are sorted by: bytes, packets, flows, or distinct
    #[arg(long, value_name = "SUM")]
    sum: Option<String>,
    /// Count different values of these columns in each group
    #[arg(long, value_name = "COLUMNS")]
    distinct: Option<String>,
    /// Number of flows or groups [default: 100 flows, 20 groups, 10 groups in steps]
    #[arg(short, long, value_name = "N")]
    number: Option<String>,
    /// Sums in steps of time, such as 5m
    #[arg(long, value_name = "STEP")]
    every: Option<String>,
    /// Which flows come first: newest or oldest
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// The columns of flows, or all
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,
    /// Continue with the flows after this cursor of an answer
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Counters as the exporter sent them, not multiplied by the sampling rate
    #[arg(long)]
    sent: bool,
    /// Print the names of values, such as those of protocols and ports, also with -o json, csv and parquet
    #[arg(long)]
    names: bool,
    /// The format of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// As -o json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    zone: super::Zone,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    habits: words::Habits,
    /// A filter, such as: src net 10.0.0.0/8 and not port 53
    filter: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, amounts with units
    Table,
    /// The answer as it is
    Json,
    /// Comma-separated values, unrounded
    Csv,
    /// A Parquet file on standard output
    Parquet,
    /// An IPFIX file (RFC 5655) of flows on standard output
    Ipfix,
}

/// Refuses to write a file of this kind to a terminal; `option` is what selects it.
pub(crate) fn refuse_terminal(kind: &str, option: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        let error = anyhow!("{kind} file is not for a terminal: write -o {option} > flows.{option}");
        return Err(Failure::new(ExitCode::Failure, error));
    }
    Ok(())
}

/// Asks and prints.
pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, Failure> {
    match arguments.format() {
        Format::Parquet => refuse_terminal("a Parquet", "parquet")?,
        Format::Ipfix => refuse_terminal("an IPFIX", "ipfix")?,
        Format::Table | Format::Json | Format::Csv => {}
    }
    let asked = words::read(arguments).or_exit(ExitCode::Refused)?;
    let source = match &arguments.folder.folder {
        Some(_) => Source::Files(arguments.folder.path(config)?),
        None => Source::Collector(Client::new(&arguments.connection, config)?),
    };
    match asked.kind {
        Kind::Rows => {
            let answer: Option<FlowRows> =
                source.answer(&asked, |words, now, scan| Ok(RowsQuestion::read(words, now)?.answer(scan)?))?;
            let Some(answer) = answer else { return Ok(ExitCode::Success) };
            if arguments.format() == Format::Ipfix {
                output::print(|out| ipfix::write(&answer, arguments, config.rules().clock_limit, out))?;
                notes::of_rows(&answer).iter().for_each(output::report);
                return Ok(verdict(&answer.coverage));
            }
            let has_columns = arguments.columns.is_some();
            print(
                arguments.format(),
                &answer,
                || Grid::of_rows(&answer, has_columns, asked.has_names),
                notes::of_rows(&answer),
            )
            .map(|()| verdict(&answer.coverage))
        }
        Kind::Top => {
            let answer: Option<FlowTop> =
                source.answer(&asked, |words, now, scan| Ok(TopQuestion::read(words, now)?.answer(scan)?))?;
            let Some(answer) = answer else { return Ok(ExitCode::Success) };
            print(arguments.format(), &answer, || Grid::of_top(&answer, asked.has_names), notes::of_top(&answer))
                .map(|()| verdict(&answer.coverage))
        }
        Kind::Series => {
            let answer: Option<FlowSeries> =
                source.answer(&asked, |words, now, scan| Ok(SeriesQuestion::read(words, now)?.answer(scan)?))?;
            let Some(answer) = answer else { return Ok(ExitCode::Success) };
            print(arguments.format(), &answer, || Grid::of_series(&answer, asked.has_names), notes::of_series(&answer))
                .map(|()| verdict(&answer.coverage))
        }
    }
}

/// Who is asked.
enum Source {
    Collector(Client),
    Files(std::path::PathBuf),
}

impl Source {
    /// `None` if nobody reads standard output any more.
    fn answer<A: DeserializeOwned>(
        &self,
        asked: &Asked,
        from_files: impl FnOnce(&Words<'_>, Timestamp, &Scan<'_>) -> anyhow::Result<A>,
    ) -> Result<Option<A>, Failure> {
        match self {
            Self::Collector(client) => streamed::ask(client, asked.kind.path(), &asked.words),
            Self::Files(folder) => {
                let _waiting = Waiting::show("reading files");
                let words = asked.words.iter().map(|(name, text)| (*name, text.as_str())).collect();
                from_files(&words, SystemTime::now().into(), &scan(folder)).map(Some).or_exit(ExitCode::Refused)
            }
        }
    }
}

/// The files of an archive, without a collector.
pub(crate) fn scan(folder: &Path) -> Scan<'_> {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    Scan { folder, open: None, octets: MEMORY, threads, cancelled: &NOT_CANCELLED, progress: None }
}

/// Prints an answer, and notes on it: beside what programs read, after what people do.
fn print(
    format: Format,
    answer: &impl Serialize,
    grid: impl FnOnce() -> Grid,
    notes: Vec<String>,
) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let answer = serde_json::to_string(answer).or_exit(ExitCode::Failure)?;
            return output::print_line(answer);
        }
        Format::Table => output::print(|out| {
            grid().table(false).write(false, out)?;
            writeln!(out)?;
            notes.iter().try_for_each(|note| writeln!(out, "{note}"))
        })?,
        Format::Csv => output::print(|out| grid().table(true).write(true, out))?,
        Format::Parquet => output::print(|out| grid().write_parquet(out))?,
        // Of groups, none is asked for (`words`).
        Format::Ipfix => {}
    }
    if format != Format::Table {
        notes.iter().for_each(output::report);
    }
    Ok(())
}

/// An answer without what cannot be read is not the whole one.
fn verdict(coverage: &Coverage) -> ExitCode {
    if coverage.left_out.is_empty() { ExitCode::Success } else { ExitCode::Damage }
}
