//! `netflow readers`: the readers of the log of a running collector, such as the archive and the stream to Kafka.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Zone, ask, moment, number, print, text};
use crate::amounts::{Unit, amount};
use crate::client::{Client, Connection};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;
use crate::table::{Cell, Format, Table, duration, grouped};

/// The action, and which collector.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow readers
  netflow readers --json | jq '.[] | {name, unreadFlushes, lastError}'
  netflow readers pause archive
  netflow readers resume archive
  netflow readers reset kafka --to oldest
  netflow readers reset kafka --to newest --yes")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Time zone of times: an IANA name such as Europe/Berlin, or an offset such as +05:30 [default: UTC]
    #[arg(long, env = "NETFLOW_TZ", value_name = "ZONE", allow_hyphen_values = true, global = true)]
    tz: Option<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// An action on readers.
#[derive(Debug, Subcommand)]
enum Action {
    /// List all readers, with how far each lags and what it has lost (default)
    List,
    /// Pause a reader, also over restarts: what it has not read stays in the log, up to log.maxBytes
    Pause {
        /// The name of the reader
        reader: String,
    },
    /// Let a paused reader continue where it was
    Resume {
        /// The name of the reader
        reader: String,
    },
    /// Let a reader hand on again everything that the log has, or skip it
    ///
    /// To the oldest: Kafka gets flows again with the same identities; the archive and ClickHouse leave out what they have. The log has
    /// only what another reader has not read yet. To the newest: what is skipped is lost for this reader, and counted.
    Reset {
        /// The name of the reader
        reader: String,
        /// The place in the log
        #[arg(long, value_enum)]
        to: Place,
        /// Skip what the reader has not read; required with --to newest
        #[arg(long)]
        yes: bool,
    },
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    /// The oldest flush in the log: the reader hands on again what it has already read
    Oldest,
    /// After the newest flush: the reader skips what it has not read
    Newest,
}

/// Acts and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.connection, config)?;
    let format = arguments.format;
    let order = |reader: &str, order: &str, body: &str| {
        ask(&client, "POST", &format!("/readers/{}/{order}", in_path(reader)), body)
    };
    let mut answer = match arguments.action.unwrap_or(Action::List) {
        Action::List => ask(&client, "GET", "/readers", "")?,
        Action::Pause { reader } => order(&reader, "pause", "")?,
        Action::Resume { reader } => order(&reader, "resume", "")?,
        Action::Reset { reader, to: Place::Newest, yes: false } => return Err(refusal(&client, &reader)?),
        Action::Reset { reader, to, .. } => {
            let to = if to == Place::Oldest { "oldest" } else { "newest" };
            let answer = order(&reader, "reset", &json!({ "to": to }).to_string())?;
            print_reset(format, &reader, &answer)?;
            return Ok(ExitCode::Success);
        }
    };
    if !format.json {
        Zone { tz: arguments.tz }.show_times(&mut answer)?;
    }
    if !format.json && !format.csv && answer.as_array().is_some_and(Vec::is_empty) {
        return output::print_line(
            "the log has no readers: archive.enabled, kafka.brokers and clickhouse.hosts add one",
        )
        .map(|()| ExitCode::Success);
    }
    print(format, &answer, table)?;
    Ok(ExitCode::Success)
}

/// The error that shows what would be lost.
fn refusal(client: &Client, reader: &str) -> Result<Failure, Failure> {
    let readers = ask(client, "GET", "/readers", "")?;
    let found = readers.as_array().into_iter().flatten().find(|found| found["name"] == reader);
    let Some(found) = found else {
        let error = anyhow::anyhow!("there is no reader of the log called {reader} (netflow readers lists them)");
        return Ok(Failure::new(ExitCode::Refused, error));
    };
    let lost = part_of_log(&found["unreadFlushes"], &found["unreadBytes"]);
    Ok(Failure::new(
        ExitCode::Refused,
        anyhow::anyhow!("nothing is skipped: {reader} would lose {lost}; add --yes to skip it"),
    ))
}

fn print_reset(format: Format, reader: &str, answer: &Value) -> Result<(), Failure> {
    if format.json || format.csv {
        return print(format, answer, |answer| {
            let mut table = Table::new(&["reader", "to", "flushes", "bytes"]);
            let counts = ["flushes", "bytes"].map(|key| Cell::Count(number(&answer[key])));
            table.push(
                [Cell::Text(reader.to_owned()), Cell::Text(text(&answer["to"]))].into_iter().chain(counts).collect(),
            );
            table
        });
    }
    let part = part_of_log(&answer["flushes"], &answer["bytes"]);
    let does = if answer["to"] == "oldest" { "reads again" } else { "skips" };
    output::print_line(format_args!("{reader} {does} {part} of the log"))
}

/// Flushes with their size.
fn part_of_log(flushes: &Value, bytes: &Value) -> String {
    let (flushes, size) = (number(flushes), amount(number(bytes), Unit::BYTES));
    format!("{} {} ({size})", grouped(flushes), if flushes == 1 { "flush" } else { "flushes" })
}

/// A name as a part of a path.
fn in_path(name: &str) -> String {
    let octet = |octet: u8| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(octet).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(octet).collect()
}

/// One row for each reader.
fn table(answer: &Value) -> Table {
    let readers = answer.as_array().map_or_else(|| std::slice::from_ref(answer), Vec::as_slice);
    let mut table =
        Table::new(&["reader", "state", "unread flushes", "unread", "age", "lost", "skipped", "last error"]);
    for reader in readers {
        let [count, bytes] = [Cell::Count, Cell::Bytes].map(|cell| move |key: &str| cell(number(&reader[key])));
        let age = duration(number(&reader["unreadSeconds"]));
        table.push(vec![
            Cell::Text(text(&reader["name"])),
            Cell::Text(state(reader)),
            count("unreadFlushes"),
            bytes("unreadBytes"),
            Cell::Text(age),
            bytes("forcedOutBytes"),
            bytes("skippedBytes"),
            Cell::Text(text(&reader["lastError"])),
        ]);
    }
    table
}

/// What a reader does.
fn state(reader: &Value) -> String {
    if !reader["paused"].is_null() {
        return format!("paused since {}", moment(&reader["paused"]));
    }
    match reader["failingSeconds"].as_u64() {
        Some(seconds) => format!("fails for {}", duration(seconds)),
        None if reader["skipping"] == true => "skips".to_owned(),
        None => "reads".to_owned(),
    }
}
