//! Networks of the operator: a prefix with a name, a customer, tags and an AS, and the senders that count it.
//!
//! A network shows as words, which stores keep: `192.0.2.0/24 name=office customer=customer-a tags=edge as=64500 senders=all`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Prefix, PrefixError, SelectionError, SenderSelection, SenderWord, Tag};

/// A network of the operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Its addresses. It is no default route.
    pub prefix: Prefix,
    /// What it is called.
    pub name: Option<Tag>,
    /// Whose it is.
    pub customer: Option<Tag>,
    /// Further words that select it, sorted, each once.
    pub tags: Vec<Tag>,
    /// The AS that its addresses belong to.
    pub asn: Option<u32>,
    /// The senders that count the prefix, in addition to their own prefixes.
    pub senders: CountedBy,
}

/// The senders that count the prefix of a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CountedBy {
    /// None: the network only has a name.
    Nobody,
    /// Those that these words select.
    Selected(SenderSelection),
}

/// Why a network is refused. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The prefix contains all addresses.
    #[error("{0} contains all addresses, so it is no network of yours")]
    DefaultRoute(Prefix),
    /// A word is none.
    #[error(
        "{key} is '{value}'; it must be a letter followed by at most {most} letters, digits, '-', '_' and '.', such as customer-a",
        most = Tag::LONGEST - 1
    )]
    Word {
        /// What has this word.
        key: &'static str,
        /// The given word.
        value: String,
    },
    /// The AS number is none.
    #[error("as is '{0}'; it must be an AS number from 1 to 4294967294")]
    As(String),
    /// The selection of senders is none.
    #[error("senders: {0}, or none")]
    Senders(#[from] SelectionError),
    /// There is no such word in the text form.
    #[error("'{0}' is none of name, customer, tags, as and senders with a value, such as name=office")]
    Form(String),
}

impl NetworkError {
    /// The key of the network that is wrong.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Prefix(_) | Self::DefaultRoute(_) | Self::Form(_) => "prefix",
            Self::Word { key, .. } => key,
            Self::As(_) => "as",
            Self::Senders(_) => "senders",
        }
    }
}

/// The words of a network beside its prefix.
pub const NETWORK_KEYS: [&str; 5] = ["name", "customer", "tags", "as", "senders"];

impl Network {
    /// A network without words, which all senders count.
    ///
    /// # Errors
    /// If the prefix is a default route.
    pub fn new(prefix: Prefix) -> Result<Self, NetworkError> {
        if prefix.is_default_route() {
            return Err(NetworkError::DefaultRoute(prefix));
        }
        let senders = CountedBy::Selected(SenderSelection::all());
        Ok(Self { prefix, name: None, customer: None, tags: Vec::new(), asn: None, senders })
    }

    /// Sets one of [`NETWORK_KEYS`]; lists have commas.
    ///
    /// # Errors
    /// If the value is not allowed, or there is no such key.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), NetworkError> {
        match key {
            "name" => self.name = Some(word("name", value)?),
            "customer" => self.customer = Some(word("customer", value)?),
            "tags" => {
                let words = value.split(',').filter(|word| !word.is_empty());
                self.tags = words.map(|text| word("tags", text)).collect::<Result<_, _>>()?;
                self.tags.sort_unstable();
                self.tags.dedup();
            }
            "as" => {
                let number = value.parse().ok().filter(|number| (1..u32::MAX).contains(number));
                self.asn = Some(number.ok_or_else(|| NetworkError::As(short(value)))?);
            }
            "senders" if value == "none" => self.senders = CountedBy::Nobody,
            "senders" => self.senders = CountedBy::Selected(value.parse()?),
            _ => return Err(NetworkError::Form(short(&format!("{key}={value}")))),
        }
        Ok(())
    }

    /// Whether a word selects it: its name, its customer, or one of its tags.
    #[must_use]
    pub fn is_called(&self, word: &str) -> bool {
        self.words().any(|known| known.as_str() == word)
    }

    /// All words that select it.
    pub fn words(&self) -> impl Iterator<Item = &Tag> {
        self.name.iter().chain(&self.customer).chain(&self.tags)
    }

    /// What it is called beside its addresses: its name with the customer, or one of both.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        match (self.name, self.customer) {
            (Some(name), Some(customer)) if name != customer => Some(format!("{name} ({customer})")),
            (name, customer) => name.or(customer).map(|word| word.to_string()),
        }
    }

    /// Whether a sender counts it.
    #[must_use]
    pub fn is_counted_by(&self, address: IpAddr, tags: &[Tag]) -> bool {
        match &self.senders {
            CountedBy::Nobody => false,
            CountedBy::Selected(selection) => selection.words().iter().any(|word| word.selects(address, tags)),
        }
    }
}

/// A word that a filter can have in the place of an address.
fn word(key: &'static str, value: &str) -> Result<Tag, NetworkError> {
    let is_allowed = value.starts_with(|first: char| first.is_ascii_alphabetic());
    let read = value.parse().ok().filter(|_| is_allowed);
    read.ok_or_else(|| NetworkError::Word { key, value: short(value) })
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)?;
        if let Some(name) = self.name {
            write!(f, " name={name}")?;
        }
        if let Some(customer) = self.customer {
            write!(f, " customer={customer}")?;
        }
        if !self.tags.is_empty() {
            let tags: Vec<_> = self.tags.iter().map(Tag::as_str).collect();
            write!(f, " tags={}", tags.join(","))?;
        }
        if let Some(asn) = self.asn {
            write!(f, " as={asn}")?;
        }
        write!(f, " senders={}", self.senders)
    }
}

impl fmt::Display for CountedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("none"),
            Self::Selected(selection) => selection.fmt(f),
        }
    }
}

impl CountedBy {
    /// Its words, as a list has them.
    #[must_use]
    pub fn words(&self) -> &[SenderWord] {
        match self {
            Self::Nobody => &[],
            Self::Selected(selection) => selection.words(),
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let mut words = text.split(' ');
        let mut network = Self::new(words.next().unwrap_or_default().parse()?)?;
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| NetworkError::Form(short(word)))?;
            network.set(key, value)?;
        }
        Ok(network)
    }
}

/// The networks of the operator at one moment, each prefix once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Sorted by prefix.
    networks: Vec<Network>,
    /// The lengths of IPv4 prefixes, then those of IPv6 prefixes, the longest first.
    lengths: [Vec<u8>; 2],
}

impl Networks {
    /// The networks by prefix, ascending.
    #[must_use]
    pub fn all(&self) -> &[Network] {
        &self.networks
    }

    /// The network of exactly this prefix.
    #[must_use]
    pub fn get(&self, prefix: Prefix) -> Option<&Network> {
        let index = self.networks.binary_search_by_key(&prefix, |network| network.prefix).ok()?;
        self.networks.get(index)
    }

    /// The innermost network around an address.
    #[must_use]
    pub fn around(&self, address: IpAddr) -> Option<&Network> {
        self.within(address, 0)
    }

    /// The innermost network around a whole prefix.
    #[must_use]
    pub fn around_prefix(&self, prefix: Prefix) -> Option<&Network> {
        let host = if prefix.is_ipv4() { 32 } else { 128 };
        self.within(prefix.address(), host - prefix.length())
    }

    /// The innermost network around an address with at least this many host bits.
    fn within(&self, address: IpAddr, host_bits: u8) -> Option<&Network> {
        let address = crate::canonical(address);
        let [v4, v6] = &self.lengths;
        let (lengths, host) = if address.is_ipv4() { (v4, 32) } else { (v6, 128) };
        let lengths = lengths.iter().filter(|length| **length <= host - host_bits);
        lengths.filter_map(|length| self.get(Prefix::around(address, *length)?)).next()
    }

    /// The prefixes of the networks that a word selects.
    pub fn called<'n>(&'n self, word: &'n str) -> impl Iterator<Item = Prefix> + use<'n> {
        self.networks.iter().filter(move |network| network.is_called(word)).map(|network| network.prefix)
    }

    /// What the innermost network around an address is called.
    #[must_use]
    pub fn label(&self, address: IpAddr) -> Option<String> {
        self.around(address)?.label()
    }

    /// The prefixes that a sender counts: its own ones, and those of networks. Sorted, each once.
    #[must_use]
    pub fn counted(&self, own: &[Prefix], address: IpAddr, tags: &[Tag]) -> Vec<Prefix> {
        let counted = self.networks.iter().filter(|network| network.is_counted_by(address, tags));
        let mut prefixes: Vec<Prefix> = counted.map(|network| network.prefix).chain(own.iter().copied()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }
}

/// Of networks with the same prefix, the first counts.
impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut networks: Vec<Network> = networks.into_iter().collect();
        networks.sort_by_key(|network| network.prefix);
        networks.dedup_by_key(|network| network.prefix);
        let lengths = [true, false].map(|is_ipv4| {
            let of_family = networks.iter().map(|network| network.prefix).filter(|it| it.is_ipv4() == is_ipv4);
            let mut lengths: Vec<u8> = of_family.map(|prefix| prefix.length()).collect();
            lengths.sort_unstable_by(|one, other| other.cmp(one));
            lengths.dedup();
            lengths
        });
        Self { networks, lengths }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn a_network_is_read_back_from_its_words() {
        for text in [
            "192.0.2.0/24 senders=all",
            "192.0.2.0/24 name=office customer=customer-a tags=edge,site-a as=64500 senders=tag:edge,192.0.2.1",
            "2001:db8::/32 customer=a senders=none",
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        let network: Network = "10.0.0.0/8 tags=b,a,b".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8 tags=a,b senders=all");
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_would_be_one() {
        let refused = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        assert_eq!(
            refused("192.0.2.1/24"),
            "192.0.2.1 is not the first address of its /24: did you mean 192.0.2.0/24?"
        );
        assert_eq!(refused("::/0"), "::/0 contains all addresses, so it is no network of yours");
        assert_eq!(
            refused("10.0.0.0/8 name=10"),
            "name is '10'; it must be a letter followed by at most 31 letters, digits, '-', '_' and '.', such as customer-a"
        );
        assert_eq!(refused("10.0.0.0/8 as=0"), "as is '0'; it must be an AS number from 1 to 4294967294");
        assert!(refused("10.0.0.0/8 senders=edge").starts_with("senders: 'edge' selects no sender: use all"));
        assert_eq!(
            refused("10.0.0.0/8 office"),
            "'office' is none of name, customer, tags, as and senders with a value, such as name=office"
        );
    }

    #[test]
    fn an_address_is_in_the_innermost_network_of_its_family() {
        let networks = networks(&[
            "10.0.0.0/8 name=all",
            "10.1.0.0/16 name=office customer=a",
            "10.1.2.3/32 customer=b",
            "2001:db8::/32 name=six",
        ]);
        let label = |address: &str| networks.label(address.parse().unwrap());
        for (address, expected) in [
            ("10.2.0.1", Some("all")),
            ("10.1.0.1", Some("office (a)")),
            ("10.1.2.3", Some("b")),
            ("::ffff:10.1.2.3", Some("b")),
            ("2001:db8::1", Some("six")),
            ("11.0.0.1", None),
            ("a00::", None),
        ] {
            assert_eq!(label(address).as_deref(), expected, "{address}");
        }
        let around = |prefix: &str| networks.around_prefix(prefix.parse().unwrap()).map(|it| it.prefix.to_string());
        assert_eq!(around("10.1.0.0/16").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(around("10.0.0.0/15").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(around("8.0.0.0/6"), None);
    }

    #[test]
    fn a_word_selects_networks_by_name_customer_and_tag() {
        let networks =
            networks(&["10.0.0.0/8 name=a", "11.0.0.0/8 customer=a", "12.0.0.0/8 tags=a", "13.0.0.0/8 name=b"]);
        let called: Vec<String> = networks.called("a").map(|prefix| prefix.to_string()).collect();
        assert_eq!(called, ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"]);
        assert_eq!(networks.called("c").count(), 0);
    }

    #[test]
    fn a_sender_counts_its_own_prefixes_and_the_networks_that_select_it() {
        let networks = networks(&["10.0.0.0/8", "11.0.0.0/8 senders=tag:edge", "12.0.0.0/8 senders=none"]);
        let (address, own) = (IpAddr::from([192, 0, 2, 1]), ["10.0.0.0/8", "9.0.0.0/8"].map(|it| it.parse().unwrap()));
        let counted = |tags: &[Tag]| {
            let counted = networks.counted(&own, address, tags);
            counted.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(counted(&[]), ["9.0.0.0/8", "10.0.0.0/8"]);
        assert_eq!(counted(&["edge".parse().unwrap()]), ["9.0.0.0/8", "10.0.0.0/8", "11.0.0.0/8"]);
    }
}
