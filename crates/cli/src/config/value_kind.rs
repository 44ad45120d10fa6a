//! The kinds of values: how each is read, written, and described in the reference. A new key is a row in
//! [`super::reference`]; only a new kind of value needs a line here.

use std::net::SocketAddr;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use accounting::field::{Field, FieldSet};
use collector::ForwardTarget;
use flow::sender_settings::NAMES;
use flow::{Network, Prefix};
use interfaces::Known;
use origin::{Order, Source};
use storage::Sender;
use storage::sender_words::SENDER_KEYS;

use super::tables::{self, Stated};
use super::value::{Misfit, Value};
use super::{Secret, forward, unit};

/// A value in the configuration, by its kind, to read or to show.
pub(crate) enum ValueKind<'a> {
    /// One of several words.
    Choice(&'a mut dyn Choice),
    /// `true` or `false`.
    Switch(&'a mut bool),
    /// A whole number; 0 is `None`.
    Count(&'a mut Option<NonZero<usize>>, RangeInclusive<usize>),
    /// A duration, such as `10s`.
    Duration(&'a mut Duration, RangeInclusive<Duration>),
    /// A duration, or a word for `None`.
    DurationOr(&'a mut Option<Duration>, &'static str, RangeInclusive<Duration>),
    /// A size in bytes, such as `8MiB`.
    Size(&'a mut usize, RangeInclusive<usize>),
    /// Text that is not empty.
    Text(&'a mut String),
    /// Text; empty is `None`.
    TextOrNone(&'a mut Option<String>),
    /// Text that is never shown; empty is `None`.
    Secret(&'a mut Option<Secret>),
    /// A file or directory.
    Path(&'a mut PathBuf),
    /// A file or directory; empty is `None`.
    PathOrNone(&'a mut Option<PathBuf>),
    /// Files, up to a number of them; may be empty.
    Paths(&'a mut Vec<PathBuf>, usize),
    /// Who is asked for an AS, in which order.
    Order(&'a mut Order),
    /// An address with a port.
    Address(&'a mut SocketAddr),
    /// Addresses with ports; may be empty.
    Addresses(&'a mut Vec<SocketAddr>),
    /// Names or addresses, each with or without a port.
    Hosts(&'a mut Vec<String>),
    /// Prefixes; may be empty.
    Prefixes(&'a mut Vec<Prefix>),
    /// Ranges of addresses of routers; may be empty.
    Ranges(&'a mut Vec<Prefix>),
    /// Interfaces of routers; may be empty.
    Interfaces(&'a mut Vec<Known>),
    /// Networks with names, each a table.
    Networks(&'a mut Vec<Stated<Network>>),
    /// Senders, each a table.
    Senders(&'a mut Vec<Stated<Sender>>),
    /// Collectors that get copies of datagrams, each a table.
    ForwardTargets(&'a mut Vec<ForwardTarget>),
    /// Fields that flows are counted by.
    Fields(&'a mut FieldSet),
}

impl ValueKind<'_> {
    /// Sets it.
    ///
    /// # Errors
    /// Why the value is not allowed; then nothing has changed.
    pub(super) fn read(self, value: &Value) -> Result<(), Misfit> {
        match self {
            Self::Choice(place) => place.choose(value),
            Self::Switch(place) => put(place, value.boolean()),
            Self::Count(place, range) => put(place, value.whole_number(range).map(NonZero::new)),
            Self::Duration(place, range) => put(place, value.duration(&range)),
            Self::DurationOr(place, none, range) => put(place, value.duration_or(none, &range)),
            Self::Size(place, range) => put(place, value.size(&range)),
            Self::Text(place) => put(place, value.filled_text().map(str::to_owned)),
            Self::TextOrNone(place) => put(place, value.text_or_none()),
            Self::Secret(place) => put(place, value.text_or_none().map(|text| text.map(Secret::new))),
            Self::Path(place) => put(place, value.filled_text().map(PathBuf::from)),
            Self::PathOrNone(place) => put(place, value.text_or_none().map(|text| text.map(PathBuf::from))),
            Self::Paths(place, most) => put(place, value.paths(most)),
            Self::Order(place) => put(place, value.order()),
            Self::Address(place) => put(place, value.address()),
            Self::Addresses(place) => put(place, value.list(Value::address)),
            Self::Hosts(place) => put(place, value.list(Value::host)),
            Self::Prefixes(place) => put(place, value.list(Value::prefix)),
            Self::Ranges(place) => put(place, value.list(Value::range)),
            Self::Interfaces(place) => put(place, value.list(Value::interface)),
            Self::Networks(place) => put(place, tables::networks(value)),
            Self::Senders(place) => put(place, tables::senders(value)),
            Self::ForwardTargets(place) => put(place, forward::targets(value)),
            Self::Fields(place) => {
                let fields = Field::ALL.map(|field| (field.name(), field));
                put(place, value.list(|field| field.one_of(&fields)).map(FieldSet::from_iter))
            }
        }
    }

    /// The value as written in a file, which is also JSON; `None` for a secret that is set.
    pub(super) fn literal(&self) -> Option<String> {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        Some(match self {
            Self::Choice(place) => quoted(place.chosen()),
            Self::Switch(place) => place.to_string(),
            Self::Count(place, _) => place.map_or(0, NonZero::get).to_string(),
            Self::Duration(place, _) => quoted(&unit::show_duration(**place)),
            Self::DurationOr(place, none, _) => quoted(&place.map_or_else(|| (*none).to_owned(), unit::show_duration)),
            Self::Size(place, _) => quoted(&unit::show_size(**place)),
            Self::Text(place) => quoted(place),
            Self::TextOrNone(place) => quoted(place.as_deref().unwrap_or_default()),
            Self::Secret(place) => place.is_none().then(|| quoted(""))?,
            Self::Path(place) => quoted(&place.to_string_lossy()),
            Self::PathOrNone(place) => quoted(&place.as_deref().unwrap_or("".as_ref()).to_string_lossy()),
            Self::Paths(place, _) => list(place.iter().map(|path| quoted(&path.to_string_lossy())).collect()),
            Self::Order(place) => list(place.iter().map(|source| quoted(source.name())).collect()),
            Self::Address(place) => quoted(&place.to_string()),
            Self::Addresses(place) => list(place.iter().map(|address| quoted(&address.to_string())).collect()),
            Self::Hosts(place) => list(place.iter().map(|host| quoted(host)).collect()),
            Self::Prefixes(place) | Self::Ranges(place) => {
                list(place.iter().map(|prefix| quoted(&prefix.to_string())).collect())
            }
            Self::Interfaces(place) => list(place.iter().map(|known| quoted(&known.to_string())).collect()),
            Self::Senders(place) => list(place.iter().map(|sender| tables::show_sender(&sender.value)).collect()),
            Self::Networks(place) => list(place.iter().map(|network| tables::show_network(&network.value)).collect()),
            Self::ForwardTargets(place) => list(place.iter().map(forward::show).collect()),
            Self::Fields(place) => list(place.iter().skip(1).map(|field| quoted(field.name())).collect()),
        })
    }

    /// The allowed values, for the reference.
    pub(super) fn form(&self) -> String {
        let range = |least: String, most: String| format!("{least} to {most}");
        let times = |times: &RangeInclusive<Duration>| {
            range(unit::show_duration(*times.start()), unit::show_duration(*times.end()))
        };
        match self {
            Self::Choice(place) => super::value::alternatives(&place.names()),
            Self::Switch(_) => "true or false".to_owned(),
            Self::Count(_, counts) => range(counts.start().to_string(), counts.end().to_string()),
            Self::Duration(_, range) => times(range),
            Self::DurationOr(_, none, range) => format!("{}, or \"{none}\"", times(range)),
            Self::Size(_, sizes) => range(unit::show_size(*sizes.start()), unit::show_size(*sizes.end())),
            Self::Text(_) => "a string".to_owned(),
            Self::TextOrNone(_) | Self::Secret(_) => "a string; empty = unset".to_owned(),
            Self::Path(_) => "a path".to_owned(),
            Self::PathOrNone(_) => "a path; empty = unset".to_owned(),
            Self::Paths(_, most) => format!("a list of up to {most} paths; may be empty"),
            Self::Order(_) => {
                format!("a list of {}", Source::ALL.map(Source::name).join(", "))
            }
            Self::Address(_) => "<address>:<port>".to_owned(),
            Self::Addresses(_) => "a list of <address>:<port>; may be empty".to_owned(),
            Self::Hosts(_) => "a list of <host> or <host>:<port>".to_owned(),
            Self::Prefixes(_) => "a list of <address>/<length>; may be empty".to_owned(),
            Self::Ranges(_) => "a list of <address>/<length>, at least /8 or for IPv6 /32; may be empty".to_owned(),
            Self::Interfaces(_) => {
                "a list of <router> <index> <name> [<speed>|-] [<description>]; may be empty".to_owned()
            }
            Self::Senders(_) => {
                format!("tables with address, and any of {}, {}", SENDER_KEYS.join(", "), NAMES.join(", "))
            }
            Self::Networks(_) => "tables with prefix, and any of name, customer, tags, as, senders".to_owned(),
            Self::ForwardTargets(_) => "tables with address, and any of exporters, source".to_owned(),
            Self::Fields(_) => {
                let names: Vec<_> = Field::ALL.into_iter().skip(1).map(Field::name).collect();
                format!("a list of {}", names.join(", "))
            }
        }
    }
}

fn put<T>(place: &mut T, value: Result<T, Misfit>) -> Result<(), Misfit> {
    value.map(|value| *place = value)
}

/// A value that is one of several words; an enum gets it from its [`Words`].
pub(crate) trait Choice {
    /// All words.
    fn names(&self) -> Vec<&'static str>;
    /// The current word.
    fn chosen(&self) -> &'static str;
    /// Sets it to one of the words.
    fn choose(&mut self, value: &Value) -> Result<(), Misfit>;
}

/// The words of an enum.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// Each word and its value.
    const WORDS: &'static [(&'static str, Self)];
    /// Other words that are read.
    const ALIASES: &'static [(&'static str, Self)] = &[];
}

impl<T: Words> Choice for T {
    fn names(&self) -> Vec<&'static str> {
        T::WORDS.iter().map(|(name, _)| *name).collect()
    }

    fn chosen(&self) -> &'static str {
        T::WORDS.iter().find(|(_, choice)| choice == self).map_or("", |(name, _)| name)
    }

    fn choose(&mut self, value: &Value) -> Result<(), Misfit> {
        let alias = value.text().ok().and_then(|text| T::ALIASES.iter().find(|(name, _)| *name == text));
        put(self, alias.map_or_else(|| value.one_of(T::WORDS), |(_, choice)| Ok(*choice)))
    }
}
