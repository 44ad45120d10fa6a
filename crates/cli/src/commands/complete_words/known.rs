//! What the collector knows: its senders, their prefixes and tags, networks, readers of its log, and addresses that send without being registered.
#![expect(clippy::indexing_slicing, reason = "a missing part of a JSON value indexes to null")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flow::SenderSelection;
use serde_json::Value;

use crate::client::{Client, Connection};
use crate::commands::ask::{number, sent_by_unknown, text};
use crate::config::Config;

/// How long a person who presses Tab waits for the collector, whatever is asked for.
const PATIENCE: Duration = Duration::from_millis(300);

/// The words of the command line, from which it follows which collector is asked about what.
pub(super) struct Known {
    words: Vec<String>,
    until: Instant,
    /// The registered senders, when they were asked for.
    senders: OnceLock<Vec<Value>>,
}

/// Words, each with its description.
type Described = Vec<(String, String)>;

impl Known {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self { words, until: Instant::now() + PATIENCE, senders: OnceLock::new() }
    }

    /// The value of an option that selects a collector.
    fn option(&self, name: &str) -> Option<&str> {
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix(name) {
                Some("") => return words.next().map(String::as_str),
                Some(rest) if rest.starts_with('=') => return rest.get(1..),
                _ => {}
            }
        }
        None
    }

    /// The entries of a list of the collector; none without an answer in time.
    fn list(&self, path: &str) -> Vec<Value> {
        let left = self.until.saturating_duration_since(Instant::now());
        let answer = || {
            let config = Config::load(self.option("--config").map(Path::new), std::env::vars_os()).ok()?.config;
            let option = |name, variable| {
                let chosen = self.option(name).map(str::to_owned).or_else(|| std::env::var(variable).ok());
                chosen.filter(|chosen| !chosen.is_empty())
            };
            let [url, keys, ca] = [("--url", "NETFLOW_URL"), ("--keys", "NETFLOW_KEYS"), ("--ca", "NETFLOW_CA")]
                .map(|(name, variable)| option(name, variable));
            let connection = Connection::of(url, keys.map(Into::into), ca.map(Into::into));
            Client::with_patience(&connection, &config, left).ok()?.ask("GET", path, "").ok()
        };
        match (!left.is_zero()).then(answer).flatten() {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        }
    }

    fn registered(&self) -> &[Value] {
        self.senders.get_or_init(|| self.list("/senders"))
    }

    /// The registered senders, with their names.
    pub(super) fn senders(&self) -> Described {
        self.registered().iter().map(|sender| (text(&sender["ip"]), text(&sender["name"]))).collect()
    }

    /// Addresses that send without being registered.
    pub(super) fn unregistered(&self) -> Described {
        let described = |unknown: &Value| {
            let datagrams = number(&unknown["datagrams"]);
            (text(&unknown["address"]), format!("sends {}, not registered ({datagrams})", sent_by_unknown(unknown)))
        };
        self.list("/unknown").iter().map(described).collect()
    }

    /// The tags of senders.
    pub(super) fn tags(&self) -> Described {
        let tags = self.tags_with_counts().into_iter();
        tags.map(|(tag, senders)| (format!("tag:{tag}"), format!("{senders} senders"))).collect()
    }

    /// The tags of senders as `netflow senders set` takes them.
    pub(super) fn tags_as_settings(&self) -> Described {
        let tags = self.tags_with_counts().into_iter();
        let mut words: Described =
            tags.map(|(tag, senders)| (format!("tags={tag}"), format!("{senders} senders"))).collect();
        words.push(("tags=".to_owned(), String::new()));
        words
    }

    fn tags_with_counts(&self) -> BTreeMap<String, usize> {
        let mut tags = BTreeMap::new();
        for sender in self.registered() {
            for tag in sender["tags"].as_array().into_iter().flatten() {
                *tags.entry(text(tag)).or_default() += 1;
            }
        }
        tags
    }

    /// The prefixes of the senders before the word that is completed, or of all.
    pub(super) fn prefixes(&self) -> Described {
        let senders = self.registered();
        let before = self.words.iter().rev().skip(1);
        let mut named = before.filter_map(|word| word.parse::<SenderSelection>().ok()?.single());
        let named = named.next().map(|address| address.to_string());
        let of = senders.iter().filter(|sender| named.as_ref().is_none_or(|named| sender["ip"] == named.as_str()));
        let mut prefixes: BTreeMap<String, usize> = BTreeMap::new();
        for prefix in of.flat_map(|sender| sender["prefixes"].as_array().into_iter().flatten()) {
            *prefixes.entry(format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"]))).or_default() += 1;
        }
        let described = |(prefix, senders)| match senders {
            1 => (prefix, String::new()),
            senders => (prefix, format!("{senders} senders")),
        };
        prefixes.into_iter().map(described).collect()
    }

    /// The readers of the log.
    pub(super) fn readers(&self) -> Described {
        let described = |reader: &Value| {
            let is_paused = !reader["paused"].is_null();
            (text(&reader["name"]), if is_paused { "paused".to_owned() } else { String::new() })
        };
        self.list("/readers").iter().map(described).collect()
    }

    /// The networks, with their names.
    pub(super) fn networks(&self) -> Described {
        self.list("/networks").iter().map(|network| (text(&network["prefix"]), text(&network["name"]))).collect()
    }

    /// The names, customers and tags of networks.
    pub(super) fn words_of_networks(&self) -> Described {
        let mut words = BTreeMap::new();
        for network in self.list("/networks") {
            let prefix = text(&network["prefix"]);
            words.insert(text(&network["name"]), prefix);
            words.insert(text(&network["customer"]), "a customer".to_owned());
            for tag in network["tags"].as_array().into_iter().flatten() {
                words.insert(text(tag), "a tag of networks".to_owned());
            }
        }
        words.into_iter().filter(|(word, _)| !word.is_empty()).collect()
    }
}
