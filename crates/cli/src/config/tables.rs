//! Lists of tables: networks with names, and senders.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use flow::network::NETWORK_KEYS;
use flow::sender_settings::NAMES;
use flow::{CountedBy, Network, Setting, Tag};
use serde_json::json;
use storage::Sender;
use storage::sender_words::SENDER_KEYS;

use super::value::{Member, Misfit, Value};

/// What a table states, and where it does.
#[derive(Clone, Debug)]
pub(crate) struct Stated<T> {
    /// What it states.
    pub(crate) value: T,
    /// The file with the line, or the variable.
    pub(crate) place: String,
    /// Where the table begins in the file.
    pub(super) at: usize,
}

/// Wherever it is stated.
impl<T: PartialEq> PartialEq for Stated<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Stated<T> {}

/// The networks of a list of tables, or of a variable.
pub(super) fn networks(value: &Value) -> Result<Vec<Stated<Network>>, Misfit> {
    let networks = tables(value, "network", network)?;
    once(&networks, |network| network.prefix)?;
    Ok(networks)
}

/// The senders of a list of tables, or of a variable.
pub(super) fn senders(value: &Value) -> Result<Vec<Stated<Sender>>, Misfit> {
    let senders = tables(value, "sender", sender)?;
    once(&senders, |sender| sender.address)?;
    Ok(senders)
}

/// Tables, or texts with semicolons.
fn tables<T>(
    value: &Value,
    what: &str,
    table: fn(&Value) -> Result<Stated<T>, Misfit>,
) -> Result<Vec<Stated<T>>, Misfit>
where
    T: FromStr<Err: Display>,
{
    let Some(text) = value.variable() else { return value.list(table) };
    let texts = text.split(';').map(str::trim).filter(|text| !text.is_empty());
    let read = |text: &str| {
        let read = text.parse().map_err(|error| value.misfit(format!("has a wrong {what}: {error}")))?;
        Ok(Stated { value: read, place: String::new(), at: 0 })
    };
    texts.map(read).collect()
}

fn sender(value: &Value) -> Result<Stated<Sender>, Misfit> {
    let members = value.table()?;
    let address = required(value, members, "address")?;
    let text = in_table(address, address.value.text())?;
    let mut sender = Sender::at(text).map_err(|error| misfit(address, error))?;
    for member in members.iter().filter(|member| member.name != "address") {
        if !SENDER_KEYS.iter().chain(&NAMES).any(|key| *key == member.name) {
            let others: Vec<&str> = ["address"].into_iter().chain(SENDER_KEYS).collect();
            return Err(unknown(member, &others, &NAMES));
        }
        let words = in_table(member, member.value.words())?;
        sender.set(&member.name, &words).map_err(|error| misfit(member, error))?;
    }
    Ok(Stated { value: sender, place: String::new(), at: value.span.start })
}

fn network(value: &Value) -> Result<Stated<Network>, Misfit> {
    let members = value.table()?;
    let prefix = required(value, members, "prefix")?;
    let mut network = Network::new(prefix.value.prefix()?).map_err(|error| misfit(prefix, error))?;
    for member in members.iter().filter(|member| member.name != "prefix") {
        if !NETWORK_KEYS.contains(&member.name.as_str()) {
            return Err(unknown(member, &["prefix"], &NETWORK_KEYS));
        }
        let words = in_table(member, member.value.words())?;
        let words = if member.name == "senders" && words.is_empty() { "none".to_owned() } else { words };
        network.set(&member.name, &words).map_err(|error| misfit(member, error))?;
    }
    Ok(Stated { value: network, place: String::new(), at: value.span.start })
}

/// The key that a table must have.
pub(super) fn required<'v>(value: &Value, members: &'v [Member], name: &str) -> Result<&'v Member, Misfit> {
    let found = members.iter().find(|member| member.name == name);
    found.ok_or_else(|| value.misfit(format!("has a table without {name}")))
}

pub(super) fn unknown(member: &Member, first: &[&str], more: &[&str]) -> Misfit {
    let keys: Vec<&str> = first.iter().chain(more).copied().collect();
    let message = format!("has a table with the unknown key '{}'; its keys are {}", member.name, keys.join(", "));
    Misfit { span: member.span.clone(), message }
}

fn misfit(member: &Member, error: impl Display) -> Misfit {
    Misfit { span: member.value.span.clone(), message: format!("has a wrong {}: {error}", member.name) }
}

/// Adds the name of a member to the error of its value.
pub(super) fn in_table<T>(member: &Member, read: Result<T, Misfit>) -> Result<T, Misfit> {
    read.map_err(|error| Misfit { message: format!("has a wrong {}: it {}", member.name, error.message), ..error })
}

/// Refuses two tables of the same thing.
fn once<T, K: PartialEq + Display>(tables: &[Stated<T>], key: impl Fn(&T) -> K) -> Result<(), Misfit> {
    for (index, table) in tables.iter().enumerate() {
        let of = key(&table.value);
        if tables.iter().take(index).any(|before| key(&before.value) == of) {
            let span: Range<usize> = table.at..table.at;
            return Err(Misfit { span, message: format!("has {of} twice: write all about it into one table") });
        }
    }
    Ok(())
}

/// A network as an inline table.
pub(super) fn show_network(network: &Network) -> String {
    let Network { prefix, name, customer, tags, asn, senders } = network;
    let mut members = vec![member("prefix", text(prefix))];
    members.extend(name.iter().map(|name| member("name", text(name))));
    members.extend(customer.iter().map(|customer| member("customer", text(customer))));
    if !tags.is_empty() {
        members.push(member("tags", texts(tags.iter().map(Tag::to_string))));
    }
    members.extend(asn.iter().map(|number| member("as", number.to_string())));
    if *senders != everybody() {
        members.push(member("senders", texts(senders.words().iter().map(ToString::to_string))));
    }
    format!("{{ {} }}", members.join(", "))
}

/// A sender as an inline table.
pub(super) fn show_sender(sender: &Sender) -> String {
    let Sender { address, prefixes, settings, tags, name, certificate_name, .. } = sender;
    let mut members = vec![member("address", text(address))];
    members.extend(name.iter().map(|name| member("name", text(name))));
    if !prefixes.is_empty() {
        members.push(member("prefixes", texts(prefixes.iter().map(ToString::to_string))));
    }
    if !tags.is_empty() {
        members.push(member("tags", texts(tags.iter().map(Tag::to_string))));
    }
    members.extend(certificate_name.iter().map(|name| member("certificateName", text(name))));
    members.extend(settings.changed().map(|setting| match setting {
        Setting::SamplingRate(_) => member(setting.name(), setting.value()),
        _ => member(setting.name(), text(&setting.value())),
    }));
    format!("{{ {} }}", members.join(", "))
}

fn everybody() -> CountedBy {
    CountedBy::Selected(flow::SenderSelection::all())
}

pub(super) fn member(name: &str, value: String) -> String {
    format!("{name} = {value}")
}

pub(super) fn text(value: &impl Display) -> String {
    json!(value.to_string()).to_string()
}

pub(super) fn texts(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.map(|value| json!(value).to_string()).collect();
    format!("[{}]", values.join(", "))
}
