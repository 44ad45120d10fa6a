//! `netflow selfcheck`: whether the ledgers of a running collector balance.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::{Value, json};

use super::{number, print, text};
use crate::client::{Client, Connection};
use crate::commands::progress::Waiting;
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::table::{Cell, Format, Table};

/// How long to wait for a flush; collectors flush every few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two queries.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The output format, and which collector.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Waits for the next flush, so that everything received until now is included. To verify stored data, use netflow store
check.

Examples:
  netflow selfcheck
  netflow selfcheck --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Queries, prints, and checks.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.connection, config)?;
    let waiting = Waiting::show("waiting for the collector's next flush");
    let status = flushed(&client)?;
    drop(waiting);
    let answer = json!({"ledgersChecked": status["ledgersChecked"], "ledgers": status["ledgers"]});
    print(arguments.format, &answer, table)?;
    let balance = ledgers(&answer).iter().all(|ledger| ledger["difference"] == 0);
    Ok(if balance { ExitCode::Success } else { ExitCode::Unbalanced })
}

/// The status of the collector after its next flush.
fn flushed(client: &Client) -> Result<Value, Failure> {
    let begun = Instant::now();
    let first = client.ask("GET", "/status", "")?;
    loop {
        let status = client.ask("GET", "/status", "")?;
        if status["ledgersChecked"] != first["ledgersChecked"] {
            return Ok(status);
        }
        if begun.elapsed() > PATIENCE {
            let last = status["ledgersChecked"].as_str().unwrap_or("its start");
            let error = anyhow!("the collector has not flushed since {last}: see its log");
            return Err(Failure::new(ExitCode::Failure, error));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn ledgers(answer: &Value) -> &[Value] {
    answer["ledgers"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// One line for each ledger.
fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["ledger", "left side", "count", "right side", "count", "verdict"]);
    for ledger in ledgers(answer) {
        let (sides, difference) = (&ledger["sides"], ledger["difference"].as_i64().unwrap_or_default());
        let verdict = match (difference, number(&ledger["violations"])) {
            (0, 0) => "ok".to_owned(),
            (0, 1) => "ok, was off once".to_owned(),
            (0, violations) => format!("ok, was off {violations} times"),
            (difference, _) => format!("off by {difference}"),
        };
        table.push(vec![
            Cell::Text(text(&ledger["name"])),
            Cell::Text(text(&sides[0])),
            Cell::Count(number(&ledger["left"])),
            Cell::Text(text(&sides[1])),
            Cell::Count(number(&ledger["right"])),
            Cell::Text(verdict),
        ]);
    }
    table
}
