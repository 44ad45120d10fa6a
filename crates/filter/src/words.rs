//! The words of filters. Every column has its own in the table of columns; those that mean two columns, or a derived value,
//! are here. The names of values are those of `columns`.

use columns::{COLUMNS, Id};
use names::Names;

use crate::quantity::Quantity;

/// What a word means: a value, or either of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    One(Quantity),
    Either(Quantity, Quantity),
}

impl Subject {
    pub(crate) fn quantities(self) -> impl Iterator<Item = Quantity> {
        let (first, second) = match self {
            Self::One(quantity) => (quantity, None),
            Self::Either(first, second) => (first, Some(second)),
        };
        std::iter::once(first).chain(second)
    }

    /// The first of them; both have the same form.
    pub(crate) const fn quantity(self) -> Quantity {
        match self {
            Self::One(quantity) | Self::Either(quantity, _) => quantity,
        }
    }
}

/// Phrases with one meaning.
pub(crate) struct Words {
    pub(crate) phrases: &'static [&'static str],
    pub(crate) subject: Subject,
}

const fn either(phrases: &'static [&'static str], first: Id, second: Id) -> Words {
    Words { phrases, subject: Subject::Either(Quantity::Column(first), Quantity::Column(second)) }
}

const fn one(phrases: &'static [&'static str], quantity: Quantity) -> Words {
    Words { phrases, subject: Subject::One(quantity) }
}

const fn column(phrases: &'static [&'static str], id: Id) -> Words {
    one(phrases, Quantity::Column(id))
}

/// The words beyond those of the table of columns.
pub(crate) static WORDS: [Words; 33] = [
    either(&["host", "ip", "net"], Id::SrcIp, Id::DstIp),
    column(&["src"], Id::SrcIp),
    column(&["dst"], Id::DstIp),
    either(&["port", "portrange"], Id::SrcPort, Id::DstPort),
    column(&["src portrange"], Id::SrcPort),
    column(&["dst portrange"], Id::DstPort),
    either(&["as"], Id::SrcAs, Id::DstAs),
    either(&["country"], Id::SrcCountry, Id::DstCountry),
    either(&["if"], Id::InIf, Id::OutIf),
    either(&["mask"], Id::SrcMask, Id::DstMask),
    either(&["mac", "ether host"], Id::SrcMac, Id::DstMac),
    either(&["vlan"], Id::SrcVlan, Id::DstVlan),
    either(&["vrf"], Id::InVrf, Id::OutVrf),
    either(&["nat ip", "xip"], Id::NatSrcIp, Id::NatDstIp),
    either(&["nat port", "xport"], Id::NatSrcPort, Id::NatDstPort),
    either(&["tun ip"], Id::InnerSrcIp, Id::InnerDstIp),
    either(&["tun port"], Id::InnerSrcPort, Id::InnerDstPort),
    column(&["src tun port"], Id::InnerSrcPort),
    column(&["dst tun port"], Id::InnerDstPort),
    column(&["router", "router ip"], Id::Exporter),
    column(&["next", "next hop"], Id::NextHop),
    column(&["bgpnext", "bgp next hop"], Id::BgpNextHop),
    column(&["ether proto"], Id::EtherType),
    column(&["in bytes"], Id::Bytes),
    column(&["in packets", "in pkts"], Id::Packets),
    column(&["out bytes"], Id::RevBytes),
    column(&["out packets", "out pkts"], Id::RevPackets),
    one(&["duration"], Quantity::Duration),
    one(&["bps"], Quantity::BitsPerSecond),
    one(&["pps"], Quantity::PacketsPerSecond),
    one(&["bpp"], Quantity::BytesPerPacket),
    one(&["dscp"], Quantity::Dscp),
    one(&["ecn"], Quantity::Ecn),
];

/// What the words of a column mean in filters.
pub(crate) const fn of_column(id: Id) -> Subject {
    Subject::One(match id {
        Id::Bytes => Quantity::Bytes,
        Id::Packets => Quantity::Packets,
        id => Quantity::Column(id),
    })
}

/// All phrases and their meanings.
pub(crate) fn phrases() -> impl Iterator<Item = (&'static str, Subject)> {
    let own = WORDS.iter().flat_map(|words| words.phrases.iter().map(|phrase| (*phrase, words.subject)));
    let columns = COLUMNS
        .iter()
        .flat_map(|column| column.words.iter().chain([&column.name]).map(|phrase| (*phrase, of_column(column.id))));
    own.chain(columns)
}

/// Signs of comparisons are not among them: the longest phrases have this many words.
pub(crate) const LONGEST_PHRASE: usize = 3;

/// Conditions that need no value.
pub(crate) const CONDITIONS: [(&[&str], &str); 4] = [
    (&["any"], "every flow"),
    (&["ipv4", "inet"], "an end has an IPv4 address other than 0.0.0.0"),
    (&["ipv6", "inet6"], "an end has an IPv6 address"),
    (&PROTOCOLS, "the protocol has this name"),
];

/// Names of IP protocols that are conditions on their own. All others follow `proto`: among them are words that mean something
/// else to many, such as `rdp`.
pub(crate) const PROTOCOLS: [&str; 20] = [
    "icmp", "igmp", "ipip", "tcp", "egp", "igp", "udp", "dccp", "rsvp", "gre", "esp", "ah", "icmp6", "icmpv6", "eigrp",
    "ospf", "pim", "vrrp", "l2tp", "sctp",
];

/// The names that values of this one have.
pub(crate) fn names_of(quantity: Quantity) -> Option<&'static Names> {
    if let Quantity::Column(id) = quantity { id.names() } else { None }
}

/// The TCP flags by their letters, as nfdump has them.
pub(crate) const FLAGS: [(char, u64); 8] =
    [('F', 0x01), ('S', 0x02), ('R', 0x04), ('P', 0x08), ('A', 0x10), ('U', 0x20), ('E', 0x40), ('C', 0x80)];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_phrase_has_two_meanings() {
        let mut known = HashSet::new();
        for (phrase, _) in phrases() {
            assert!(known.insert(phrase), "{phrase}");
            assert!(phrase.split(' ').count() <= LONGEST_PHRASE, "{phrase}");
        }
        for (names, _) in CONDITIONS {
            assert!(names.iter().all(|name| !known.contains(name)), "{names:?}");
        }
    }

    #[test]
    fn no_name_of_a_value_is_a_phrase_that_could_be_compared_with_it() {
        for named in columns::names::NAMED {
            for (name, _) in named.names().all() {
                // A word of a phrase would be read as the value before it could be compared.
                assert!(phrases().all(|(phrase, _)| phrase != *name), "{name}");
            }
        }
    }

    #[test]
    fn both_values_of_a_word_have_the_same_form() {
        for (phrase, subject) in phrases() {
            assert!(subject.quantities().all(|one| one.form() == subject.quantity().form()), "{phrase}");
            assert!(subject.quantities().all(|one| one.largest() == subject.quantity().largest()), "{phrase}");
        }
    }
}
