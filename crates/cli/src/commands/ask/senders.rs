//! `netflow senders`: registered senders, their prefixes and settings.

mod import;

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::bail;
use clap::Subcommand;
use flow::sender_settings::NAMES;
use flow::{
    CertificateName, CertificateNameError, Prefix, SenderName, SenderNameError, Setting, SettingError, Tag, TagError,
};
use serde_json::{Value, json};

use super::{Zone, ask, moment, number, print, print_removed, text};
use crate::client::{Client, Connection};
use crate::config::Config;
use crate::exit_code::{ExitCode, Failure, OrExit};
use crate::output;
use crate::table::{Cell, Format, Table};

/// The action, and which collector.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  netflow senders
  netflow senders --json | jq -r '.[].ip'
  netflow senders show 192.0.2.1
  netflow senders add 192.0.2.1 172.16.1.0/24 2001:db8::/32
  netflow senders set 192.0.2.1 samplingRate=1000 flowDirection=ingress
  netflow senders set 192.0.2.1 samplingRate=announced
  netflow senders set 192.0.2.1 tags=edge,site-a name=edge-1
  netflow senders set 192.0.2.1 --certificate-name edge-1.example.net
  netflow senders remove 192.0.2.1 2001:db8::/32
  netflow senders remove 192.0.2.1 --entirely
  netflow senders import routers.txt --dry-run")]
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

/// An action on senders.
#[derive(Debug, Subcommand)]
enum Action {
    /// List all senders (default)
    List,
    /// Show one sender
    Show {
        /// The address of the sender
        sender: IpAddr,
    },
    /// Register a sender, or add prefixes to it
    Add {
        /// The source address of its datagrams
        sender: IpAddr,
        /// The prefixes to monitor, in addition to the networks that select it
        prefixes: Vec<Prefix>,
    },
    /// Change how a sender is counted, where its datagrams do not say (docs/protocols.md has the settings), or its tags
    Set {
        /// The address of the sender
        sender: IpAddr,
        /// samplingRate (a number or announced), flowDirection (both, ingress or egress), outCounters (same or reverse),
        /// natAddresses (reported or inside), tunnels (outer or inner), identity (source or agent); tags (words with
        /// commas, by which questions select senders, or nothing); name (what it is called, or nothing)
        #[arg(required_unless_present = "certificate_name", value_name = "NAME=VALUE")]
        settings: Vec<Change>,
        /// The DNS name that its certificate must have for an export connection with TLS; empty for any certificate of the
        /// authorities in netflow.tls.ca. The same as certificateName=NAME
        #[arg(long, value_name = "NAME", value_parser = certificate_name)]
        certificate_name: Option<Change>,
    },
    /// Register the routers of a file and add what it has: a line for each, such as "192.0.2.1 name=edge-1 prefixes=10.0.0.0/8
    /// tags=edge,site-a samplingRate=1000"
    ///
    /// Only the address is required. Lists have commas; empty lines and lines with # are skipped. If a line is wrong, nothing
    /// changes. What is not in the file stays as it is, so that a file can be imported again.
    Import {
        /// The file; - is the standard input
        file: PathBuf,
        /// Only show what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove prefixes of a sender, or the sender; stored data is kept
    #[command(
        override_usage = "netflow senders remove <SENDER> <PREFIXES>...\n       netflow senders remove <SENDER> --entirely"
    )]
    Remove {
        /// The address of the sender
        sender: IpAddr,
        #[command(flatten)]
        what: Removed,
    },
}

/// What is set.
#[derive(Clone, Debug)]
enum Change {
    Setting(Setting),
    Tags(Vec<Tag>),
    Name(Option<SenderName>),
    CertificateName(Option<CertificateName>),
}

const CERTIFICATE_NAME: &str = "certificateName";

/// Why nothing can be set.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Tag(#[from] TagError),
    #[error(transparent)]
    Name(#[from] SenderNameError),
    #[error(transparent)]
    CertificateName(#[from] CertificateNameError),
    #[error("there is no setting '{0}' of a sender; there are {names}, tags, name, certificateName", names = NAMES.join(", "))]
    Unknown(String),
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        match text.split_once('=') {
            Some(("tags", "")) => Ok(Self::Tags(Vec::new())),
            Some(("tags", tags)) => Ok(Self::Tags(tags.split(',').map(str::parse).collect::<Result<_, _>>()?)),
            Some(("name", "")) => Ok(Self::Name(None)),
            Some(("name", name)) => Ok(Self::Name(Some(name.parse()?))),
            Some((CERTIFICATE_NAME, "")) => Ok(Self::CertificateName(None)),
            Some((CERTIFICATE_NAME, name)) => Ok(Self::CertificateName(Some(name.parse()?))),
            _ => text.parse().map(Self::Setting).map_err(|error| match error {
                SettingError::Unknown(name) => ChangeError::Unknown(name),
                other => other.into(),
            }),
        }
    }
}

fn certificate_name(name: &str) -> Result<Change, ChangeError> {
    format!("{CERTIFICATE_NAME}={name}").parse()
}

impl Change {
    /// As a member of the body of a request.
    fn member(self) -> (String, Value) {
        match self {
            Self::Setting(setting) => (setting.name().to_owned(), setting.value().into()),
            Self::Name(name) => ("name".to_owned(), name.map(|name| name.to_string()).into()),
            Self::CertificateName(name) => (CERTIFICATE_NAME.to_owned(), name.map(|name| name.to_string()).into()),
            Self::Tags(tags) => ("tags".to_owned(), tags.iter().map(Tag::to_string).collect()),
        }
    }
}

/// Either prefixes, or the whole sender.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Removed {
    /// The prefixes to remove
    prefixes: Vec<Prefix>,
    /// Remove the sender with all of its prefixes
    #[arg(long)]
    entirely: bool,
}

/// Acts and prints.
pub(crate) fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.connection, config)?;
    let format = arguments.format;
    let mut answer = match arguments.action.unwrap_or(Action::List) {
        Action::List => ask(&client, "GET", "/senders", "")?,
        Action::Show { sender } => ask(&client, "GET", &format!("/senders/{sender}"), "")?,
        Action::Add { sender, prefixes } => ask(&client, "PUT", &format!("/senders/{sender}"), &body(&prefixes))?,
        Action::Set { sender, settings, certificate_name } => {
            let changes = settings.into_iter().chain(certificate_name);
            let body = Value::Object(changes.map(Change::member).collect()).to_string();
            ask(&client, "PUT", &format!("/senders/{sender}"), &body)?
        }
        Action::Import { file, dry_run } => return import::import(&client, &file, dry_run, format),
        Action::Remove { sender, what: Removed { entirely: true, .. } } => {
            ask(&client, "DELETE", &format!("/senders/{sender}"), "")?;
            print_removed(format, &sender)?;
            return Ok(ExitCode::Success);
        }
        Action::Remove { sender, what: Removed { prefixes, .. } } => {
            let path = format!("/senders/{sender}");
            all_there(&ask(&client, "GET", &path, "")?, &prefixes).or_exit(ExitCode::Refused)?;
            ask(&client, "DELETE", &path, &body(&prefixes))?
        }
    };
    if !format.json {
        Zone { tz: arguments.tz }.show_times(&mut answer)?;
    }
    print(format, &answer, table)?;
    warnings(&answer).for_each(output::report);
    Ok(ExitCode::Success)
}

/// Refuses to remove prefixes that the sender does not have, which the collector would ignore: it may be a wrong address.
fn all_there(sender: &Value, prefixes: &[Prefix]) -> anyhow::Result<()> {
    let has: Vec<String> = sender["prefixes"].as_array().into_iter().flatten().map(prefix_text).collect();
    let absent: Vec<String> = prefixes.iter().map(Prefix::to_string).filter(|prefix| !has.contains(prefix)).collect();
    if !absent.is_empty() {
        let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
        bail!("nothing is removed: {} is no prefix of {}; its prefixes: {has}", absent.join(", "), text(&sender["ip"]));
    }
    Ok(())
}

/// What the collector warns of after a change.
fn warnings(answer: &Value) -> impl Iterator<Item = String> {
    answer["warnings"].as_array().into_iter().flatten().map(|warning| format!("warning: {}", text(warning)))
}

fn prefix_text(prefix: &Value) -> String {
    format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"]))
}

fn body(prefixes: &[Prefix]) -> String {
    json!({"prefixes": prefixes_member(prefixes)}).to_string()
}

fn prefixes_member(prefixes: &[Prefix]) -> Value {
    prefixes.iter().map(|prefix| json!({"prefix": prefix.address(), "prefixLen": prefix.length()})).collect()
}

/// One row for each prefix. Names, their sources, settings and origins only if there are some.
fn table(answer: &Value) -> Table {
    let senders = answer.as_array().map_or_else(|| std::slice::from_ref(answer), Vec::as_slice);
    let more = |title, of: fn(&Value) -> String| (title, of, senders.iter().any(|sender| !of(sender).is_empty()));
    let [name, source] = [more("name", name), more("name from", name_source)];
    let [settings, origin] = [more("settings", settings), more("from", origin)];
    let column = |(title, _, is_shown): (&'static str, fn(&Value) -> String, bool)| is_shown.then_some(title);
    let cell = |(_, of, is_shown): (&'static str, fn(&Value) -> String, bool), sender| is_shown.then(|| of(sender));
    let titles = ["sender"].into_iter().chain(column(name)).chain(column(source)).chain(["last datagram", "prefix"]);
    let titles: Vec<&str> = titles.chain(column(settings)).chain(column(origin)).collect();
    let mut table = Table::new(&titles);
    for sender in senders {
        let last = if sender["last"].is_null() { "never".to_owned() } else { moment(&sender["last"]) };
        let prefixes = sender["prefixes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut push = |prefix| {
            let row = [text(&sender["ip"])].into_iter().chain(cell(name, sender)).chain(cell(source, sender));
            let row = row.chain([last.clone(), prefix]);
            let row = row.chain(cell(settings, sender)).chain(cell(origin, sender));
            table.push(row.map(Cell::Text).collect());
        };
        if prefixes.is_empty() {
            push("none".to_owned());
        }
        for prefix in prefixes {
            push(prefix_text(prefix));
        }
    }
    table
}

fn name(sender: &Value) -> String {
    sender["name"].as_str().unwrap_or_default().to_owned()
}

/// Who gave the name, unless the operator did.
fn name_source(sender: &Value) -> String {
    match sender["nameSource"].as_str() {
        None | Some("configured") => String::new(),
        Some(source) => source.to_owned(),
    }
}

/// What has registered it, unless a request did.
fn origin(sender: &Value) -> String {
    match sender["accepted"] == true {
        true => "senders.accept".to_owned(),
        false => sender["configuration"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The settings that are not at their defaults and the tags, as `netflow senders set` takes them.
fn settings(sender: &Value) -> String {
    let value = |name: &str| match &sender[name] {
        Value::Null => None,
        Value::String(value) => Some(format!("{name}={value}")),
        value => Some(format!("{name}={value}")),
    };
    let tags: Vec<String> = sender["tags"].as_array().into_iter().flatten().map(text).collect();
    let tags = (!tags.is_empty()).then(|| format!("tags={}", tags.join(",")));
    NAMES.into_iter().chain([CERTIFICATE_NAME]).filter_map(value).chain(tags).collect::<Vec<_>>().join(" ")
}
