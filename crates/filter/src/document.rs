//! `docs/filter.md`, which `cargo run -p xtask -- filter` writes from the tables of words.

use std::fmt::Write as _;

use columns::COLUMNS;
use columns::names::NAMED;

use crate::quantity::{Form, Quantity};
use crate::words::{CONDITIONS, FLAGS, Subject, WORDS, of_column};
use crate::{DEEPEST, LONGEST_BYTES};

/// Filters and what they match. A test runs each of them.
pub const EXAMPLES: [(&str, &str); 29] = [
    ("host 192.0.2.1", "flows from or to this address"),
    ("src 192.0.2.1 and dst port 53", "what it asked name servers"),
    ("net 10/8 and not net 10.1.0.0/16", "a network without a part of it"),
    ("src net 2001:db8::/32", "what came from an IPv6 network"),
    ("tcp port 80", "TCP from or to port 80: short for `tcp and port 80`"),
    ("udp dst port ntp", "to time servers"),
    ("port in [80, 443, 8000-8099]", "any of these ports"),
    ("src portrange 1-1023", "from a well-known port"),
    ("proto gre or proto 50", "tunnels"),
    ("ip proto 6 or ip6 proto 58", "TCP of IPv4, and ICMP of IPv6"),
    ("ip in [192.0.2.0/24, 198.51.100.7, 2001:db8::1]", "any of these networks and addresses"),
    ("in if 5 and out if 7", "through the router from one interface to another"),
    ("if 5", "in or out by this interface"),
    ("as 64500", "the AS of either end"),
    ("dst as in [64500, 64501] and not src as 64500", "to these networks from others"),
    ("aspath 64500", "on the way through this AS, by BMP"),
    ("aspath 64500_64501 and not aspath = 64500_64501", "through one to the other, and further"),
    ("flags S and not flags AFRPU", "connections without an answer: SYN and no other flag"),
    ("icmp-type 8", "echo requests of ICMP"),
    ("bytes > 1g or packets >= 1m", "large flows"),
    ("duration > 10s and bps > 1m", "more than a megabit a second for more than 10 seconds"),
    ("bpp < 64", "small packets"),
    ("dscp 46", "expedited forwarding"),
    ("vlan 100 or mac 00:00:5e:00:53:01", "layer 2"),
    ("src mask 24 and next hop 192.0.2.254", "by the routing table"),
    ("router 192.0.2.9 and domain 3", "of one exporter and observation domain"),
    ("srcport = dstport and udp", "two columns compared"),
    ("start >= 2026-11-29T14:00 and end < 2026-11-29T15:00", "entirely within an hour, UTC"),
    ("kind = nat and natevent in [1, 4]", "events of address translation"),
];

const HEAD: &str = "\
# Filters

<!-- Written by `cargo run -p xtask -- filter` from crates/filter/src: change those files, not this one. -->

A filter selects flows. The words are those of tcpdump and nfdump where these have them, and there is one for every
column of a flow ([columns.md](columns.md)). Words are read in upper and lower case.

```text
[not] words [sign] value      words in [value, value ...]      words [sign] words
```

- **Signs:** `=` (also `==`, `is`, `eq`), `!=` (`ne`), `>` (`gt`), `<` (`lt`), `>=` (`ge`), `<=` (`le`). Without a sign,
  equal is meant. Addresses, countries and paths have no order.
- **Together:** `and`, `or`, `not`, `( )`; also `&&`, `||`, `!`. `not` binds strongest, then `and`.
- **Either end:** `port 53` matches if the source or the destination port is 53. `port != 53` is `not port 53`: neither is.
- **Counters** are as the exporter sent them, not multiplied by the sampling rate. `bytes` and `packets` are those of both
  directions of a record; `in bytes` is the first direction alone, `out bytes` the reverse.
- **Missing values** are 0, or `0.0.0.0`: `src as 0` also matches flows of which no AS is known.
- **Protocols:** the usual names, such as `tcp`, are conditions on their own, and need no `and` before `src`, `dst`, `host`,
  `net`, `port` and `portrange`. All others follow `proto`.
- **Flags:** `flags SA` matches if both are set, whatever the others are; `not flags SA` if neither is; `flags = SA` if these
  are set and no others.
- **Paths:** `aspath 64500_64501` matches if these follow one another in the AS path, `aspath = 64500_64501` if they are all of
  it. Members of a set count one after the other. `aspath 0` matches if no path is known.
- **Networks:** where an address is expected, a word can be the name, the customer or a tag of your
  [networks](networks.md): `src net customer-a`. It means the addresses that these have when the filter is read. Words of
  this page take precedence.
";

/// The document.
#[must_use]
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    let _ = writeln!(
        out,
        "\nA filter has at most {LONGEST_BYTES} octets and at most {DEEPEST} levels of nesting. The error of an invalid one has \
         the place,\nin characters from 1, what was expected there, and what may have been meant."
    );
    out.push_str("\n## Examples\n\n| filter | matches |\n| --- | --- |\n");
    for (filter, meaning) in EXAMPLES {
        let _ = writeln!(out, "| `{filter}` | {meaning} |");
    }
    words(&mut out);
    values(&mut out);
    out
}

fn words(out: &mut String) {
    out.push_str("\n## Words\n\n| words | mean | values |\n| --- | --- | --- |\n");
    for (names, meaning) in CONDITIONS {
        let _ = writeln!(out, "| {} | {meaning} | none |", list(names));
    }
    let derived =
        |quantity| Quantity::DERIVED.iter().find(|(known, _)| *known == quantity).map(|(_, formula)| *formula);
    for words in &WORDS {
        let meaning = match words.subject {
            Subject::One(quantity @ Quantity::Column(id)) if quantity.name() != id.column().name => {
                format!("the column `{}`", id.column().name)
            }
            Subject::One(quantity) => derived(quantity).map_or_else(|| column(quantity), str::to_owned),
            Subject::Either(first, second) => format!("{} or {}", column(first), column(second)),
        };
        let _ = writeln!(out, "| {} | {meaning} | {} |", list(words.phrases), form(words.subject.quantity()));
    }
    for known in &COLUMNS {
        let quantity = of_column(known.id).quantity();
        let meaning = derived(quantity).unwrap_or(known.meaning);
        let phrases: Vec<_> = [known.name].into_iter().chain(known.words.iter().copied()).collect();
        let _ = writeln!(out, "| {} | {meaning} | {} |", list(&phrases), form(quantity));
    }
}

fn values(out: &mut String) {
    let letters: Vec<_> = FLAGS.iter().map(|(letter, bit)| format!("`{letter}` {bit:#04x}")).collect();
    let _ = write!(
        out,
        "\n## Values\n\n\
         | values | written as |\n| --- | --- |\n\
         | number | digits, `0x` and hexadecimal digits; with `k`, `m`, `g`, `t` (1000, 1000², ...) or `ki`, `mi`, `gi`, `ti` (1024, \
         ...), such as `1.5m`; a range `1-1024`; a [name](#names-of-values) |\n\
         | duration | a number of milliseconds, or with `ms`, `s`, `m`, `h`, `d` |\n\
         | time | `2026-11-29`, `2026-11-29T14:00`, `2026-11-29T14:00:30.5Z`, always UTC; or milliseconds since 1970 |\n\
         | address | `192.0.2.1`, `2001:db8::1`; a prefix `10.0.0.0/8` or `10/8`, whose other bits are 0; a range \
         `192.0.2.1-192.0.2.9` |\n\
         | MAC | `00:00:5e:00:53:01` |\n\
         | path | AS numbers, `_` between those that follow one another: `64500`, `64500_64501`; 0 for none |\n\
         | flags | letters in any order: {}, `X` for the first six; or a number |\n",
        letters.join(", ")
    );
    out.push_str(
        "\n## Names of values\n\n\
         Counters (`dstport:https`) and answers with `names=1` ([rest.md](rest.md#names)) have the same names. If a number has\n\
         several names, answers have the first. Protocols have the names of IANA, but for better known ones; the names of ports\n\
         are those that operators meet.\n",
    );
    for named in NAMED {
        let columns: Vec<_> = named.columns.iter().map(|id| id.column().name).collect();
        let _ = write!(out, "\n**{}:**", list(&columns));
        for (index, (name, number)) in named.names().all().iter().enumerate() {
            let item = format!("{}`{name}` {number}", if index > 0 { ", " } else { " " });
            // A line of source is as long.
            let is_full = out.len() + item.len() - out.rfind('\n').unwrap_or_default() > 120;
            out.push_str(&if is_full { item.replacen(", ", ",\n", 1) } else { item });
        }
        out.push('\n');
    }
}

fn column(quantity: Quantity) -> String {
    format!("`{}`", quantity.name())
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn form(quantity: Quantity) -> &'static str {
    match quantity.form() {
        Form::Number => "number",
        Form::Milliseconds => "duration",
        Form::Time => "time",
        Form::Mac => "MAC",
        Form::Country => "country",
        Form::Flags => "flags",
        Form::Address => "address",
        Form::AsPath => "path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_in_the_table_of_words() {
        let document = markdown();
        for column in &COLUMNS {
            let row = format!("\n| `{}`", column.name);
            assert!(document.contains(&row), "{}", column.name);
        }
    }

    #[test]
    fn the_document_is_up_to_date() {
        let checked_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filter.md");
        let checked_in = std::fs::read_to_string(checked_in).unwrap();
        assert!(checked_in == markdown(), "docs/filter.md is out of date: run `make bless`");
    }
}
