//! The commands that query a running collector over its REST interface, and what they share.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `ask/senders.rs` | registered senders and their prefixes |
//! | `ask/networks.rs` | your networks |
//! | `ask/stats.rs` | totals of dates |
//! | `ask/top.rs` | the largest values of a field |
//! | `ask/series.rs` | one counter over time |
//! | `ask/rates.rs` | mean rates of counters |
//! | `ask/billing.rs` | what a prefix used in a month |
//! | `ask/readers.rs` | readers of the log |
//! | `ask/selfcheck.rs` | whether the ledgers balance |
//! | `ask/live.rs` | the full-screen live view |
//! | `ask/flows.rs` | archived flows |
//! | `ask/tap.rs` | flows as they arrive |
//! | `ask/curl.rs` | a signed request |
//! | `ask/web.rs` | a link that logs a browser in |
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value indexes to null")]

pub(crate) mod billing;
pub(crate) mod curl;
pub(crate) mod flows;
pub(crate) mod live;
pub(crate) mod networks;
mod rates;
pub(crate) mod readers;
pub(crate) mod selfcheck;
pub(crate) mod senders;
pub(crate) mod series;
pub(crate) mod stats;
pub(crate) mod tap;
pub(crate) mod top;
pub(crate) mod web;

use std::fmt::Display;
use std::io::Write;
use std::time::SystemTime;

use accounting::field::{Name, NameError};
use accounting::zone::ZoneError;
use flow::{SenderSelection, Timestamp};
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::progress::Waiting;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use crate::table::{Cell, Format, Table, count_of, printable};

/// The time zone of a query.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Zone {
    /// Time zone of dates: an IANA name such as Europe/Berlin, or an offset such as +05:30 [default: UTC]
    #[arg(long, env = "NETFLOW_TZ", value_name = "ZONE", allow_hyphen_values = true, value_parser = zone)]
    tz: Option<String>,
}

impl Zone {
    /// What is not about dates is asked without a zone: in the answer, this is the zone of its times, without fractions of
    /// seconds.
    pub(super) fn show_times(&self, answer: &mut Value) -> Result<(), Failure> {
        if let Some(zone) = self.read()? {
            show_times_in(&zone, answer);
        }
        Ok(())
    }

    /// The zone; `None` if there is none to show times in.
    fn read(&self) -> Result<Option<accounting::zone::Zone>, Failure> {
        self.tz.as_deref().map(str::parse).transpose().or_exit(ExitCode::CommandLine)
    }

    /// The zone of dates.
    pub(super) fn of_dates(&self) -> Result<accounting::zone::Zone, Failure> {
        Ok(self.read()?.unwrap_or(accounting::zone::Zone::UTC))
    }

    /// Refuses what is no time. The collector reads them again, by its own clock.
    fn check_times(&self, times: [&Option<String>; 2]) -> Result<(), Failure> {
        let zone = self.of_dates()?;
        let is_time = |text: &String| zone.time(text, SystemTime::now().into()).map(|_| ());
        times.into_iter().flatten().try_for_each(is_time).or_exit(ExitCode::CommandLine)
    }
}

fn zone(text: &str) -> Result<String, ZoneError> {
    text.parse::<accounting::zone::Zone>().map(|_| text.to_owned())
}

/// A length of time, as the collector reads it.
fn duration(text: &str) -> Result<String, &'static str> {
    let length = accounting::zone::duration(text).map(|_| text.to_owned());
    length.ok_or("write a number with s, m, h, d or w, such as 15m, 1h or 7d")
}

/// A counter, as the collector reads it.
fn counter(text: &str) -> Result<String, NameError> {
    text.parse::<Name>().map(|_| text.to_owned())
}

fn show_times_in(zone: &accounting::zone::Zone, value: &mut Value) {
    match value {
        Value::String(text) => {
            let is_time = |text: &str| text.len() >= "2026-11-23T05:01:30Z".len() && text.ends_with('Z');
            let time =
                Some(&*text).filter(|text| is_time(text)).and_then(|text| zone.time(text, Timestamp::EPOCH).ok());
            if let Some(time) = time {
                *text = zone.display_second(time);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| show_times_in(zone, value)),
        Value::Object(members) => members.values_mut().for_each(|value| show_times_in(zone, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether programs get names; people always do.
#[derive(clap::Args, Clone, Copy, Debug)]
struct Naming {
    /// Print the names of protocols, ports, AS and countries beside their numbers also with --json and --csv
    #[arg(id = "naming", long = "names")]
    names: bool,
}

impl Naming {
    /// The parameter of a request whose answer is printed in this format.
    fn parameter(self, format: Format) -> (&'static str, Option<String>) {
        ("names", (self.names || !(format.json || format.csv)).then(|| "1".to_owned()))
    }
}

/// Prints an answer in the requested format.
fn print(format: Format, answer: &Value, table: impl FnOnce(&Value) -> Table) -> Result<(), Failure> {
    output::print(|out| if format.json { writeln!(out, "{answer}") } else { table(answer).write(format.csv, out) })
}

/// Prints what was removed.
fn print_removed(format: Format, what: &impl Display) -> Result<(), Failure> {
    let removed = what.to_string();
    if !format.json && !format.csv {
        return output::print_line(format_args!("removed {removed}; its stored data is kept"));
    }
    print(format, &json!({ "removed": removed }), |_| {
        let mut table = Table::new(&["removed"]);
        table.push(vec![Cell::Text(removed.clone())]);
        table
    })
}

/// Sends a request; shows that it waits when that takes long.
fn ask(client: &Client, method: &str, target: &str, body: &str) -> Result<Value, Failure> {
    let _waiting = Waiting::show("waiting for the collector");
    client.ask(method, target, body)
}

/// The path of a question about these senders, and the parameter that selects them if they are a group.
fn about(route: &str, senders: &SenderSelection) -> (String, (&'static str, Option<String>)) {
    match senders.single() {
        Some(address) => (format!("/{route}/{address}"), ("sender", None)),
        None => (format!("/{route}"), ("sender", Some(senders.to_string()))),
    }
}

/// Prints for people which senders are added up in an answer, if it is about a group.
fn print_senders(format: Format, answer: &Value) -> Result<(), Failure> {
    let Some(senders) = answer["senders"].as_array().filter(|_| !format.json && !format.csv) else { return Ok(()) };
    let mut listed: Vec<String> = senders.iter().take(LISTED_SENDERS).map(text).collect();
    if senders.len() > LISTED_SENDERS {
        listed.push(format!("and {} more; --json lists all", senders.len() - LISTED_SENDERS));
    }
    let count = count_of(senders.len() as u64, "sender");
    output::print(|out| writeln!(out, "\nsum of {count}: {}", listed.join(", ")))
}

/// How many of the senders of an answer are printed for people.
const LISTED_SENDERS: usize = 10;

/// Prints when the meaning of the counters in an answer changed: after a table, or beside the rows of a program.
fn print_remarks(format: Format, answer: &Value) -> Result<(), Failure> {
    let remarks = answer["remarks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = remarks.iter().map(|remark| {
        let time = remark["time"].as_str().map(|time| format!(" {time}")).unwrap_or_default();
        format!("remark{time}: {}", text(&remark["text"]))
    });
    if format.csv {
        lines.for_each(output::report);
    } else if !format.json && !remarks.is_empty() {
        output::print(|out| {
            writeln!(out)?;
            lines.try_for_each(|line| writeln!(out, "{line}"))
        })?;
    }
    Ok(())
}

/// A note on a range that has not begun: its zeros are no answer.
fn future(from: &str) -> Option<String> {
    let begins: jiff::Timestamp = from.parse().ok()?;
    (begins > jiff::Timestamp::now()).then(|| format!("{from} is in the future: nothing is counted yet"))
}

/// Reports that the range of an answer has not begun.
fn report_future(answer: &Value) {
    if let Some(note) = answer["from"].as_str().and_then(future) {
        output::report(format_args!("netflow: {note}"));
    }
}

/// The three cells of counters.
fn counters(of: &Value) -> [Cell; 3] {
    [Cell::Bytes(number(&of["bytes"])), Cell::Count(number(&of["pkts"])), Cell::Count(number(&of["flows"]))]
}

/// The share of the speed of an interface that a counter takes, to a tenth.
fn percent_of_speed(of: &Value) -> Cell {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is small and positive")]
    of["percentOfSpeed"].as_f64().map_or(Cell::Gap, |percent| Cell::Tenths((percent * 10.0).round() as u64))
}

/// The name of a counter for people, with what its value is called: `dstport:443 (https)`. Routers name their interfaces as they
/// like.
fn named(of: &Value) -> String {
    let name = text(&of["name"]);
    match value_name(of) {
        Some(value) => format!("{name} ({})", printable(value)),
        None => name,
    }
}

/// What the value of a counter is called.
fn value_name(of: &Value) -> Option<&str> {
    of["names"].as_object()?.values().next()?.as_str()
}

/// The name of an IP protocol; its number if it has none.
fn protocol_name(number: u64) -> String {
    names::protocols().name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// A letter for each flag of TCP that is set, as nfdump shows them.
fn tcp_flags(set: u64) -> String {
    "CEUAPRSF".chars().zip((0..8).rev()).map(|(letter, bit)| if set >> bit & 1 == 1 { letter } else { '.' }).collect()
}

/// A whole number; 0 for any other value.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// A text; empty for any other value.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What an unregistered address sends: its protocol, or if that is unknown, the transport.
pub(super) fn sent_by_unknown(unknown: &Value) -> String {
    unknown["protocol"].as_str().map_or_else(|| text(&unknown["transport"]).to_uppercase(), str::to_owned)
}

/// A time in whole seconds; unchanged when it is not a time.
pub(super) fn moment(value: &Value) -> String {
    let text = text(value);
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_of_an_answer_are_shown_in_a_zone_and_nothing_else_changes() {
        let mut answer =
            json!([{"last": "2026-07-01T12:00:00.5Z", "name": "fooZ", "n": 5, "old": null}, "2026-01-01T12:00:00Z"]);
        let zone = |tz: &str| Zone { tz: Some(tz.to_owned()) };
        assert!(zone("Berlin").show_times(&mut answer).is_err());
        zone("Europe/Berlin").show_times(&mut answer).unwrap();
        let expected = json!([
            {"last": "2026-07-01T14:00:00+02:00", "name": "fooZ", "n": 5, "old": null}, "2026-01-01T13:00:00+01:00"
        ]);
        assert_eq!(answer, expected);
        assert_eq!(moment(&answer[1]), "2026-01-01T13:00:00+01:00");
    }
}
