//! `netflow senders`: who is registered, with which prefixes.

use std::net::IpAddr;

use clap::Subcommand;
use flow::Prefix;
use serde_json::{Value, json};

use super::{ask, moment, number, print, text};
use crate::client::{Client, Connection};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure};
use crate::output;
use crate::table::{Cell, Format, Table};

/// What to do, and with which collector.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow senders
  netflow senders show 192.0.2.1
  netflow senders add 192.0.2.1 172.16.1.0/24 2001:db8::/32
  netflow senders remove 192.0.2.1 2001:db8::/32
  netflow senders remove 192.0.2.1 --entirely")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    connection: Connection,
}

/// What can be done with senders.
#[derive(Debug, Subcommand)]
enum Action {
    /// Lists all of them; this is what it does when nothing is said
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Shows one of them
    Show {
        /// The sender, by its address
        sender: IpAddr,
        #[command(flatten)]
        format: Format,
    },
    /// Registers a sender, or adds prefixes to one
    Add {
        /// The sender, by the address that its datagrams come from
        sender: IpAddr,
        /// The prefixes to count for
        #[arg(required = true)]
        prefixes: Vec<Prefix>,
    },
    /// Removes prefixes of a sender, or the sender; what was counted stays
    #[command(
        override_usage = "netflow senders remove <SENDER> <PREFIXES>...\n       netflow senders remove <SENDER> --entirely"
    )]
    Remove {
        /// The sender, by its address
        sender: IpAddr,
        #[command(flatten)]
        what: Removed,
    },
}

/// What is removed of a sender: one of the two.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Removed {
    /// The prefixes to remove
    prefixes: Vec<Prefix>,
    /// Remove the sender with all of its prefixes
    #[arg(long)]
    entirely: bool,
}

/// Does it.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.connection, config)?;
    let shown = Format { json: false, csv: false };
    let (format, answer) = match arguments.action.unwrap_or(Action::List { format: shown }) {
        Action::List { format } => (format, ask(&client, "GET", "/senders", "")?),
        Action::Show { sender, format } => (format, ask(&client, "GET", &format!("/senders/{sender}"), "")?),
        Action::Add { sender, prefixes } => {
            (shown, ask(&client, "PUT", &format!("/senders/{sender}"), &body(&prefixes))?)
        }
        Action::Remove { sender, what: Removed { entirely: true, .. } } => {
            ask(&client, "DELETE", &format!("/senders/{sender}"), "")?;
            output::print_line(format_args!("{sender} is removed; what was counted stays"))?;
            return Ok(ExitCode::Success);
        }
        Action::Remove { sender, what: Removed { prefixes, .. } } => {
            (shown, ask(&client, "DELETE", &format!("/senders/{sender}"), &body(&prefixes))?)
        }
    };
    print(format, &answer, table)?;
    Ok(ExitCode::Success)
}

fn body(prefixes: &[Prefix]) -> String {
    let prefix = |prefix: &Prefix| json!({"prefix": prefix.address(), "prefixLen": prefix.length()});
    json!({"prefixes": prefixes.iter().map(prefix).collect::<Vec<_>>()}).to_string()
}

/// One line for each prefix.
fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["sender", "last datagram", "prefix"]);
    let senders = answer.as_array().map_or_else(|| std::slice::from_ref(answer), Vec::as_slice);
    for sender in senders {
        let last = if sender["last"].is_null() { "never".to_owned() } else { moment(&sender["last"]) };
        let prefixes = sender["prefixes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut push = |prefix| {
            table.push(vec![Cell::Text(text(&sender["ip"])), Cell::Text(last.clone()), Cell::Text(prefix)]);
        };
        if prefixes.is_empty() {
            push("none".to_owned());
        }
        for prefix in prefixes {
            push(format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"])));
        }
    }
    table
}
