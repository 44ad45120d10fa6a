//! Which unregistered address may belong to which silent registered router, and why.
//!
//! A router often sends from the address of an interface instead of the registered one. Two addresses belong together if
//! their names are equal, if they share a /24 or /64, or if the router monitors the prefix that the other is in: the first
//! of these that holds, and the longest prefix. Where that leaves a choice, all candidates are kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use flow::Prefix;
use serde_json::Value;

use super::answers::{Answers, address_of, by_address};
use super::router::is_silent;
use super::traffic::each;
use crate::commands::ask::{number, text};
use crate::table::printable;

/// Shorter monitored prefixes than these, of IPv4 and of IPv6, show no relation between two addresses.
const SHORTEST_MONITORED: [u8; 2] = [8, 32];

/// The candidates of all silent routers.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<Pair>);

/// A silent router, and an unregistered address that may be its own.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) silent: IpAddr,
    pub(super) sends: IpAddr,
    /// What relates them, for people.
    pub(super) why: String,
    rank: Rank,
}

/// How strong a relation is; the last is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The unregistered address is in a monitored prefix of this length.
    Monitored(u8),
    /// They share a /24 or /64, and this many bits.
    Network(u32),
    /// Their names are equal.
    Name,
}

impl Pairs {
    /// Compares every silent router with every unregistered address that sends.
    pub(super) fn of(answers: &Answers) -> Self {
        let mut related = Vec::new();
        for sender in answers.senders.iter().flatten() {
            let Some(silent) = address_of(sender, "ip") else { continue };
            if !is_silent(by_address(&answers.exporters, "address", silent)) {
                continue;
            }
            let monitored: Vec<Prefix> = each(&sender["prefixes"]).filter_map(prefix).collect();
            for unknown in &answers.unknown {
                let Some(sends) = address_of(unknown, "address") else { continue };
                if let Some((rank, why)) = relation(sender, silent, &monitored, unknown, sends) {
                    related.push(Pair { silent, sends, why, rank });
                }
            }
        }
        Self(strongest(related))
    }

    /// The candidates for a silent router; one if there is no doubt.
    pub(super) fn of_silent(&self, silent: IpAddr) -> impl Iterator<Item = &Pair> {
        self.0.iter().filter(move |pair| pair.silent == silent)
    }

    /// The silent routers that an unregistered address may belong to.
    pub(super) fn of_unknown(&self, sends: IpAddr) -> impl Iterator<Item = &Pair> {
        self.0.iter().filter(move |pair| pair.sends == sends)
    }
}

/// From the strongest relation to the weakest: those without an alternative are pairs, and their ends have no others. What is
/// left of an equally strong relation remains as alternatives.
fn strongest(mut related: Vec<Pair>) -> Vec<Pair> {
    related.sort_by_key(|pair| Reverse(pair.rank));
    let mut kept: Vec<Pair> = Vec::new();
    let (mut settled, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for level in related.chunk_by(|one, other| one.rank == other.rank) {
        let free: Vec<&Pair> =
            level.iter().filter(|pair| !settled.contains(&pair.silent) && !taken.contains(&pair.sends)).collect();
        let (mut of_silent, mut of_unknown) = (BTreeMap::new(), BTreeMap::new());
        for pair in &free {
            *of_silent.entry(pair.silent).or_insert(0_u32) += 1;
            *of_unknown.entry(pair.sends).or_insert(0_u32) += 1;
        }
        for pair in free {
            settled.insert(pair.silent);
            if of_silent.get(&pair.silent) == Some(&1) && of_unknown.get(&pair.sends) == Some(&1) {
                taken.insert(pair.sends);
            }
            kept.push(pair.clone());
        }
    }
    kept
}

/// The strongest relation of two addresses.
fn relation(
    sender: &Value,
    silent: IpAddr,
    monitored: &[Prefix],
    unknown: &Value,
    sends: IpAddr,
) -> Option<(Rank, String)> {
    let mut both = names(sender).flat_map(|registered| names(unknown).map(move |other| (registered, other)));
    if let Some((registered, other)) = both.find(|(registered, other)| is_same_name(registered, other)) {
        let why = format!("their names are equal: {} and {}", printable(registered), printable(other));
        return Some((Rank::Name, why));
    }
    if let Some(bits) = common_bits(silent, sends) {
        let length = if silent.is_ipv4() { 24 } else { 64 };
        return Some((Rank::Network(bits), format!("both are in the same /{length}")));
    }
    let [shortest_v4, shortest_v6] = SHORTEST_MONITORED;
    let is_narrow = |prefix: &&Prefix| {
        prefix.length() >= if prefix.address().is_ipv4() { shortest_v4 } else { shortest_v6 } && prefix.contains(sends)
    };
    let prefix = monitored.iter().filter(is_narrow).max_by_key(|prefix| prefix.length())?;
    Some((Rank::Monitored(prefix.length()), format!("{sends} is in {prefix}, which {silent} is to monitor")))
}

/// What a router is called by all that name it.
fn names(router: &Value) -> impl Iterator<Item = &str> {
    let others = each(&router["otherNames"]).filter_map(|other| other["name"].as_str());
    router["name"].as_str().into_iter().chain(others)
}

/// Whether two names are of one device: those of its interfaces often have labels before its own name.
fn is_same_name(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let (one, other) = (plain(one), plain(other));
    let (short, long) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    // A name of two labels may be a whole domain.
    let is_device = short.split('.').count() > 2;
    !short.is_empty()
        && (short == long
            || (is_device && long.strip_suffix(short.as_str()).is_some_and(|before| before.ends_with('.'))))
}

/// How many bits two addresses share, if they share a /24 or a /64.
fn common_bits(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros()).filter(|bits| *bits >= 24)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros()).filter(|bits| *bits >= 64)
        }
        _ => None,
    }
}

fn prefix(prefix: &Value) -> Option<Prefix> {
    format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"])).parse().ok()
}

/// The prefixes of a sender for a command line. Never a default route, which nobody should monitor unasked: it makes every
/// flow count twice.
pub(super) fn prefixes_of(sender: &Value) -> String {
    let prefixes = each(&sender["prefixes"]).filter_map(prefix).filter(|prefix| prefix.length() > 0);
    let prefixes: Vec<String> = prefixes.map(|prefix| prefix.to_string()).collect();
    if prefixes.is_empty() { "PREFIX...".to_owned() } else { prefixes.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sender(address: &str, prefixes: &[(&str, u8)], name: Option<&str>) -> Value {
        let prefixes: Vec<_> =
            prefixes.iter().map(|(prefix, length)| json!({"prefix": prefix, "prefixLen": length})).collect();
        json!({"ip": address, "prefixes": prefixes, "name": name})
    }

    fn pairs(senders: Vec<Value>, unknown: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
        let unknown = unknown.iter().map(|(address, name)| json!({"address": address, "name": name})).collect();
        let answers = Answers { status: Value::Null, senders: Some(senders), exporters: Vec::new(), unknown };
        Pairs::of(&answers).0.iter().map(|pair| (pair.silent.to_string(), pair.sends.to_string())).collect()
    }

    fn pair(silent: &str, sends: &str) -> (String, String) {
        (silent.to_owned(), sends.to_owned())
    }

    #[test]
    fn a_name_is_stronger_than_a_network_and_a_network_than_a_monitored_prefix() {
        let senders = vec![
            sender("192.0.2.1", &[("198.51.100.0", 24)], Some("edge1.example.net")),
            sender("192.0.2.2", &[("203.0.113.0", 24), ("0.0.0.0", 0)], None),
        ];
        // 192.0.2.9 is a neighbour of both; the names leave it to the second.
        let unknown =
            [("192.0.2.9", None), ("203.0.113.7", Some("xe-0-0-1.Edge1.example.net.")), ("10.0.0.1", Some(""))];
        let found = pairs(senders, &unknown);
        assert_eq!(found, [pair("192.0.2.1", "203.0.113.7"), pair("192.0.2.2", "192.0.2.9")]);
        let monitors = vec![sender("192.0.2.1", &[("203.0.113.0", 24), ("0.0.0.0", 0), ("10.0.0.0", 7)], None)];
        assert_eq!(pairs(monitors, &[("10.0.0.1", None), ("203.0.113.7", None)]), [pair("192.0.2.1", "203.0.113.7")]);
    }

    #[test]
    fn any_name_of_a_router_shows_which_one_it_is() {
        let mut silent = sender("192.0.2.1", &[], Some("Frankfurt"));
        silent["otherNames"] = json!([{"name": "lo0.edge1.example.net", "source": "dns"}]);
        let found = pairs(vec![silent], &[("203.0.113.7", Some("lo0.edge1.example.net"))]);
        assert_eq!(found, [pair("192.0.2.1", "203.0.113.7")]);
    }

    #[test]
    fn a_choice_remains_where_several_are_as_close() {
        let senders = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|address| sender(address, &[], None)).to_vec();
        let found = pairs(senders, &[("192.0.2.65", None), ("192.0.2.66", None), ("2001:db8::2", None)]);
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found.contains(&pair("2001:db8::1", "2001:db8::2")));
    }

    #[test]
    fn names_of_interfaces_are_of_their_device() {
        assert!(is_same_name("edge1.example.net", "EDGE1.example.net."));
        assert!(is_same_name("lo0.edge1.example.net", "edge1.example.net"));
        assert!(is_same_name("edge1", "edge1"));
        for (one, other) in [("example.net", "edge1.example.net"), ("edge1", "edge11"), ("", ""), ("1.a.b", "11.a.b")] {
            assert!(!is_same_name(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_default_route_is_never_proposed() {
        let both = sender("192.0.2.1", &[("0.0.0.0", 0), ("192.0.2.0", 24), ("::", 0)], None);
        assert_eq!(prefixes_of(&both), "192.0.2.0/24");
        assert_eq!(prefixes_of(&sender("192.0.2.1", &[("0.0.0.0", 0)], None)), "PREFIX...");
    }

    #[test]
    fn neighbours_are_of_one_network() {
        let same = |one: &str, other: &str| common_bits(one.parse().unwrap(), other.parse().unwrap()).is_some();
        assert!(same("192.0.2.1", "192.0.2.254") && same("2001:db8::1", "2001:db8::2:1"));
        assert!(
            !same("192.0.2.1", "192.0.3.1") && !same("2001:db8::1", "2001:db8:0:1::1") && !same("::1", "127.0.0.1")
        );
    }
}
