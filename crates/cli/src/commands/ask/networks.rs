//! `netflow networks`: your networks, with their names.

use std::fmt;
use std::str::FromStr;

use clap::Subcommand;
use flow::network::NETWORK_KEYS;
use flow::{Network, Prefix};
use serde_json::{Map, Value, json};

use super::{ask, print, print_removed, text};
use crate::client::{Client, Connection};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::table::{Cell, Format, Table};

/// The action, and which collector.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow networks
  netflow networks show 192.0.2.0/24
  netflow networks add 192.0.2.0/24 name=office customer=customer-a tags=site-a,lab as=64500
  netflow networks add 2001:db8::/32 name=lab senders=tag:edge,198.51.100.1
  netflow networks add 198.51.100.0/24 name=transit senders=none
  netflow networks remove 192.0.2.0/24")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// An action on networks.
#[derive(Debug, Subcommand)]
enum Action {
    /// List all networks (default)
    List,
    /// Show one network
    Show {
        /// The prefix of the network
        prefix: Prefix,
    },
    /// Add a network, or replace all that is known of it
    Add {
        /// The prefix of the network
        prefix: Prefix,
        /// name, customer, tags, as (its AS), senders (those that count it: all, which is the default, none, addresses, or tag:NAME);
        /// lists have commas
        #[arg(value_name = "NAME=VALUE")]
        words: Vec<Word>,
    },
    /// Remove a network; stored data is kept
    Remove {
        /// The prefix of the network
        prefix: Prefix,
    },
}

/// A key of a network with its value.
#[derive(Clone, Debug)]
struct Word {
    key: &'static str,
    value: String,
}

/// A text is no word of a network.
#[derive(Debug, thiserror::Error)]
struct WordError(String);

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is none of {} with a value, such as name=office", self.0, NETWORK_KEYS.join(", "))
    }
}

impl FromStr for Word {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let known = text.split_once('=').and_then(|(name, value)| {
            let key = NETWORK_KEYS.into_iter().find(|key| *key == name)?;
            Some(Self { key, value: value.to_owned() })
        });
        known.ok_or_else(|| WordError(text.chars().take(80).collect()))
    }
}

/// Acts and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.connection, config)?;
    let format = arguments.format;
    let answer = match arguments.action.unwrap_or(Action::List) {
        Action::List => ask(&client, "GET", "/networks", "")?,
        Action::Show { prefix } => ask(&client, "GET", &format!("/networks/{prefix}"), "")?,
        Action::Add { prefix, words } => ask(&client, "PUT", &format!("/networks/{prefix}"), &body(prefix, &words)?)?,
        Action::Remove { prefix } => {
            ask(&client, "DELETE", &format!("/networks/{prefix}"), "")?;
            print_removed(format, &prefix)?;
            return Ok(ExitCode::Success);
        }
    };
    print(format, &answer, table)?;
    Ok(ExitCode::Success)
}

/// The body of a request; a wrong word is an error before it is sent.
fn body(prefix: Prefix, words: &[Word]) -> Result<String, Failure> {
    let mut network = Network::new(prefix).or_exit(ExitCode::CommandLine)?;
    for Word { key, value } in words {
        network.set(key, value).or_exit(ExitCode::CommandLine)?;
    }
    let Network { name, customer, tags, asn, senders, .. } = network;
    let mut members = Map::new();
    let mut put = |key: &str, value: Value| drop(members.insert(key.to_owned(), value));
    name.iter().for_each(|name| put("name", json!(name.to_string())));
    customer.iter().for_each(|customer| put("customer", json!(customer.to_string())));
    put("tags", tags.iter().map(ToString::to_string).collect());
    asn.iter().for_each(|number| put("as", json!(number)));
    put("senders", senders.words().iter().map(ToString::to_string).collect());
    Ok(Value::Object(members).to_string())
}

/// One row for each network.
fn table(answer: &Value) -> Table {
    let networks = answer.as_array().map_or_else(|| std::slice::from_ref(answer), Vec::as_slice);
    let mut table = Table::new(&["network", "name", "customer", "tags", "AS", "senders", "from"]);
    for network in networks {
        let list = |key: &str| network[key].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(",");
        let senders = Some(list("senders")).filter(|senders| !senders.is_empty()).unwrap_or_else(|| "none".to_owned());
        let number = network["as"].as_u64().map(|number| number.to_string()).unwrap_or_default();
        let [prefix, name, customer, from] =
            ["prefix", "name", "customer", "configuration"].map(|key| text(&network[key]));
        let row = [prefix, name, customer, list("tags"), number, senders, from];
        table.push(row.map(Cell::Text).into());
    }
    table
}
