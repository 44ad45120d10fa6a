//! The words of filters. Every column has its own in the table of columns; those that mean two columns, or a derived value,
//! are here, and the names of values.

use columns::{COLUMNS, Id, RowKind};

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
pub(crate) static WORDS: [Words; 32] = [
    either(&["host", "ip", "net"], Id::SrcIp, Id::DstIp),
    column(&["src"], Id::SrcIp),
    column(&["dst"], Id::DstIp),
    either(&["port", "portrange"], Id::SrcPort, Id::DstPort),
    column(&["src portrange"], Id::SrcPort),
    column(&["dst portrange"], Id::DstPort),
    either(&["as"], Id::SrcAs, Id::DstAs),
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
    (&["tcp", "udp", "icmp", "..."], "the protocol has this name"),
];

/// IP protocols by name; the first name of a number is the one that is shown.
pub(crate) const PROTOCOLS: [(&str, u64); 20] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("dccp", 33),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("icmpv6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
];

/// Ports by the names of IANA's registry that operators type.
pub(crate) const SERVICES: [(&str, u64); 36] = [
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("dns", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-ssn", 139),
    ("imap", 143),
    ("snmp", 161),
    ("snmptrap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("isakmp", 500),
    ("syslog", 514),
    ("submission", 587),
    ("ldaps", 636),
    ("domain-s", 853),
    ("imaps", 993),
    ("pop3s", 995),
    ("openvpn", 1194),
    ("radius", 1812),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("sip", 5060),
    ("postgresql", 5432),
];

const DIRECTIONS: [(&str, u64); 2] = [("ingress", 1), ("egress", 2)];
const ETHER_TYPES: [(&str, u64); 4] = [("ipv4", 0x0800), ("arp", 0x0806), ("ipv6", 0x86dd), ("mpls", 0x8847)];
#[expect(clippy::indexing_slicing, reason = "runs at compile time, where a panic is a compile error")]
const KINDS: [(&str, u64); RowKind::ALL.len()] = {
    let mut names = [("", 0); RowKind::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = (RowKind::ALL[index].name(), RowKind::ALL[index] as u64);
        index += 1;
    }
    names
};

/// Names and their numbers.
pub(crate) type Names = &'static [(&'static str, u64)];

/// The names of values, of the columns that have some.
pub(crate) const NAMED: [(&[Id], Names); 5] = [
    (&[Id::Proto, Id::InnerProto], &PROTOCOLS),
    (&[Id::SrcPort, Id::DstPort, Id::InnerSrcPort, Id::InnerDstPort, Id::NatSrcPort, Id::NatDstPort], &SERVICES),
    (&[Id::Kind], &KINDS),
    (&[Id::Direction], &DIRECTIONS),
    (&[Id::EtherType], &ETHER_TYPES),
];

/// The names that values of this one have.
pub(crate) fn names(quantity: Quantity) -> Names {
    let Quantity::Column(id) = quantity else { return &[] };
    NAMED.iter().find(|(ids, _)| ids.contains(&id)).map_or(&[], |(_, names)| names)
}

/// The TCP flags by their letters, as nfdump has them.
pub(crate) const FLAGS: [(char, u64); 8] =
    [('F', 0x01), ('S', 0x02), ('R', 0x04), ('P', 0x08), ('A', 0x10), ('U', 0x20), ('E', 0x40), ('C', 0x80)];

/// The word that is most like one that is unknown, if any is.
pub(crate) fn nearest(typed: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    /// Distances take time with the length of a word.
    const LONGEST_TYPED: usize = 24;
    if typed.len() > LONGEST_TYPED {
        return None;
    }
    let typed = typed.to_lowercase();
    let distances = words.map(|word| (strsim::damerau_levenshtein(&typed, word), word));
    // Half of a short word is no likeness.
    let likely = distances.filter(|(distance, word)| *distance <= 2 && distance * 2 < word.len().max(3));
    likely.min_by_key(|(distance, word)| (*distance, !word.starts_with(&typed))).map(|(_, word)| word)
}

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
        for (ids, names) in NAMED {
            for (name, number) in names {
                assert!(phrases().all(|(phrase, _)| phrase != *name), "{name}");
                assert!(ids.iter().all(|id| *number <= id.column().kind.largest()), "{name}");
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

    #[test]
    fn a_word_with_a_slip_is_recognised() {
        let words = || ["proto", "port", "srcip", "as"].into_iter();
        assert_eq!(nearest("Prot", words()), Some("proto"));
        assert_eq!(nearest("scrip", words()), Some("srcip"));
        assert_eq!(nearest("x", words()), None);
        assert_eq!(nearest(&"x".repeat(5000), words()), None);
    }
}
