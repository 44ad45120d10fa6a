//! Which argument of which command takes which words.

use accounting::field::Field;
use columns::COLUMNS;

use super::known::Known;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A registered sender.
    Sender,
    /// An address that sends without being registered.
    Unregistered,
    /// Registered senders: addresses, `tag:NAME`, or `all`.
    Senders,
    /// A prefix of the sender before it, or of any.
    Prefix,
    /// Prefixes, and words of networks.
    Prefixes,
    /// A network.
    Network,
    /// A setting of a sender, with its value.
    Setting,
    /// A word of a network.
    NetworkWord,
    /// A field to split by, or an end of flows.
    SeriesField,
    /// A counter: `all`, or a field and a value.
    Counter,
    /// Columns of flows.
    Columns,
    /// A path of the REST interface.
    Path,
    /// A reader of the log.
    Reader,
}

/// Settings of senders with the values that they take; a number follows after `=`.
const SETTINGS: [&str; 15] = [
    "samplingRate=",
    "samplingRate=announced",
    "flowDirection=both",
    "flowDirection=ingress",
    "flowDirection=egress",
    "outCounters=same",
    "outCounters=reverse",
    "natAddresses=reported",
    "natAddresses=inside",
    "tunnels=outer",
    "tunnels=inner",
    "identity=source",
    "identity=agent",
    "name=",
    "certificateName=",
];

/// The ends of flows, which `netflow series --field` takes beside the fields.
const ENDS: [&str; 8] =
    ["remoteip", "remoteport", "remoteas", "remotecountry", "ownip", "ownport", "ownas", "owncountry"];

impl Source {
    /// That of an argument, by the words of its command and its own name.
    pub(super) fn of(command: &str, argument: &str) -> Option<Self> {
        Some(match (command, argument) {
            ("senders add", "sender") => Self::Unregistered,
            ("senders show" | "senders set" | "senders remove", "sender") => Self::Sender,
            ("doctor", "router") | ("tap" | "flows", "exporter") | ("store export", "sender") => Self::Sender,
            ("senders set", "settings") => Self::Setting,
            ("senders add" | "senders remove", "prefixes") => Self::Prefix,
            ("networks show" | "networks add" | "networks remove", "prefix") => Self::Network,
            ("networks add", "words") => Self::NetworkWord,
            ("stats" | "top" | "series" | "billing", "sender") => Self::Senders,
            ("top" | "series", "prefix") => Self::Prefixes,
            ("stats" | "billing" | "generate" | "store export", "prefix") | ("generate", "names") => Self::Prefix,
            ("series", "field") => Self::SeriesField,
            ("series", "name") | ("stats", "names") => Self::Counter,
            ("flows", "by" | "distinct" | "columns") | ("archive export", "columns") => Self::Columns,
            ("curl", "path") => Self::Path,
            ("readers pause" | "readers resume" | "readers reset", "reader") => Self::Reader,
            _ => return None,
        })
    }

    /// Whether commas separate several words.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Senders | Self::Prefixes | Self::Columns)
    }

    /// All words, each with its description; the current one is what has been typed of it.
    pub(super) fn words(self, known: &Known, current: &str) -> Vec<(String, String)> {
        let plain = |words: &[&str]| words.iter().map(|word| ((*word).to_owned(), String::new())).collect::<Vec<_>>();
        match self {
            Self::Sender => known.senders(),
            Self::Unregistered => [known.unregistered(), known.senders()].concat(),
            Self::Senders => [known.senders(), known.tags(), plain(&["all"])].concat(),
            Self::Prefix => known.prefixes(),
            Self::Prefixes => [known.prefixes(), known.words_of_networks(), plain(&["all"])].concat(),
            Self::Network => known.networks(),
            Self::Setting => [plain(&SETTINGS), known.tags_as_settings()].concat(),
            Self::NetworkWord => {
                flow::network::NETWORK_KEYS.iter().map(|key| (format!("{key}="), String::new())).collect()
            }
            Self::SeriesField => [plain(&fields()), plain(&ENDS)].concat(),
            Self::Counter => counters(current),
            Self::Columns => COLUMNS.iter().map(|column| (column.name.to_owned(), column.meaning.to_owned())).collect(),
            Self::Path => paths(),
            Self::Reader => known.readers(),
        }
    }
}

/// All fields but `all`.
fn fields() -> Vec<&'static str> {
    Field::ALL.into_iter().skip(1).map(Field::name).collect()
}

/// Fields; once one is typed, also the names of its values.
fn counters(current: &str) -> Vec<(String, String)> {
    let named = |field: &str, names: &[&str]| {
        names.iter().map(|name| (format!("{field}:{name}"), String::new())).collect::<Vec<_>>()
    };
    match current.split_once(':') {
        Some(("proto", _)) => named("proto", &["tcp", "udp", "icmp", "ipv6-icmp", "gre", "esp"]),
        Some((field @ ("srcport" | "dstport"), _)) => named(field, &["https", "http", "dns", "ssh", "smtp", "ntp"]),
        Some(_) => Vec::new(),
        None => {
            let fields = fields().into_iter().map(|field| (format!("{field}:"), String::new()));
            std::iter::once(("all".to_owned(), String::new())).chain(fields).collect()
        }
    }
}

/// The paths of the REST interface up to their first variable part.
fn paths() -> Vec<(String, String)> {
    let document = api::openapi().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let paths = document.as_ref().and_then(|document| document.get("paths")?.as_object());
    let before_variable = |path: &String| path.split('{').next().unwrap_or_default().to_owned();
    let paths: std::collections::BTreeSet<_> =
        paths.into_iter().flatten().map(|(path, _)| before_variable(path)).collect();
    paths.into_iter().map(|path| (path, String::new())).collect()
}

#[cfg(test)]
mod tests {
    use flow::Setting;
    use flow::sender_settings::NAMES;

    use super::*;

    #[test]
    fn every_setting_of_a_sender_is_a_word_and_every_word_is_one() {
        for name in NAMES {
            assert!(SETTINGS.iter().any(|word| word.starts_with(&format!("{name}="))), "{name}");
        }
        for word in SETTINGS.iter().filter(|word| !word.ends_with('=')) {
            assert!(word.parse::<Setting>().is_ok(), "{word}");
        }
    }

    #[test]
    fn names_of_values_are_those_of_counters() {
        for field in ["proto", "srcport", "dstport"] {
            for (word, _) in counters(&format!("{field}:")) {
                let name = word.split_once(':').unwrap().1;
                let table = if field == "proto" { names::protocols() } else { names::ports() };
                assert!(table.number(name).is_some(), "{word}");
            }
        }
        assert_eq!(counters("").len(), Field::ALL.len());
    }

    #[test]
    fn every_source_is_of_an_argument_that_exists() {
        use clap::CommandFactory;
        fn arguments(command: &clap::Command, path: &str, found: &mut Vec<Source>) {
            found.extend(command.get_arguments().filter_map(|argument| Source::of(path, argument.get_id().as_str())));
            for below in command.get_subcommands() {
                arguments(below, format!("{path} {}", below.get_name()).trim_start(), found);
            }
        }
        let mut found = Vec::new();
        arguments(&crate::Arguments::command(), "", &mut found);
        assert_eq!(found.len(), 37, "{found:?}");
    }
}
