//! Registrations with the number of their last change. By these a collector recognises that a store on the network has
//! lost some: emptied, or restored from an older snapshot. What each collector knows is in its
//! [`KnownSenders`](crate::known_senders).
//!
//! A change has a greater number than the one before, and about the milliseconds since 1970 of the store's clock. A
//! removal keeps its number for [`REMOVALS_KEPT`], so that a collector that was down meanwhile does not undo it. Programs
//! before 0.1 change registrations without a number: with equal numbers, the store is right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use flow::{
    CertificateName, CertificateNameError, Network, NetworkError, Prefix, PrefixError, SenderName, SenderNameError,
    Setting, Tag, TagError, Timestamp,
};

use crate::{Sender, StoreError};

/// How long the number of a removal is kept.
pub const REMOVALS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// The number of what has none, from when a store that numbers changes sees it first.
#[cfg(any(feature = "redis", feature = "cassandra"))]
pub(crate) const ADOPTED: u64 = 1;

/// What is registered of a sender. Shows as the prefix, as `name=value`, as `tag=word`, or as `network=` with its words. Programs
/// of before these parts read them as an unknown setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A monitored prefix.
    Prefix(Prefix),
    /// A setting that is not at its default.
    Setting(Setting),
    /// A tag.
    Tag(Tag),
    /// A network of the operator, which is of [`OPERATOR`].
    Network(Box<Network>),
    /// What it is called.
    Name(SenderName),
    /// The name that its certificate must have.
    CertificateName(CertificateName),
    /// Who has registered it, unless a request did.
    By(RegisteredBy),
    /// An address that no collector may register by itself, which is of [`OPERATOR`]: it was accepted, and then removed.
    Refused(IpAddr),
}

/// The address under which the networks of the operator are registered, as parts of a sender. No datagram has it as its
/// source, so it is no sender; networks have what senders have: numbered changes, copies, and what a collector knows of them.
pub const OPERATOR: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// How a tag begins as a part.
const TAG: &str = "tag=";
/// How a network begins as a part.
const NETWORK: &str = "network=";
/// How a name begins as a part.
const NAME: &str = "name=";
/// How the name of a certificate begins as a part.
const CERTIFICATE_NAME: &str = "certificateName=";
/// How the part begins that has who registered a sender.
const BY: &str = "by=";
/// How a refused address begins as a part.
const REFUSED: &str = "refused=";

/// Who has registered a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisteredBy {
    /// A request.
    #[default]
    Request,
    /// A collector, because the address is in `senders.accept`.
    Acceptance,
    /// A collector whose configuration states it. What the store has of it is only the time of its last datagram and what it
    /// has announced; other collectors, and this one after a change of its configuration, do not count it.
    Configuration,
}

impl RegisteredBy {
    const ALL: [Self; 3] = [Self::Request, Self::Acceptance, Self::Configuration];

    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Acceptance => "acceptance",
            Self::Configuration => "configuration",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// Parts that are replaced together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Its tags.
    Tags,
    /// Its name.
    Name,
    /// The name that its certificate must have.
    CertificateName,
    /// Who has registered it.
    By,
    /// The network of a prefix.
    Network(Prefix),
    /// Whether an address is refused.
    Refused(IpAddr),
}

impl PartKind {
    /// How such a part begins, and no other does.
    pub(crate) fn start(self) -> String {
        match self {
            Self::Tags => TAG.to_owned(),
            Self::Name => NAME.to_owned(),
            Self::CertificateName => CERTIFICATE_NAME.to_owned(),
            Self::By => BY.to_owned(),
            Self::Network(prefix) => format!("{NETWORK}{prefix} "),
            Self::Refused(address) => refused(address),
        }
    }
}

/// With an end, so that no address begins as another.
fn refused(address: IpAddr) -> String {
    format!("{REFUSED}{address};")
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::Setting(setting) => setting.fmt(f),
            Self::Tag(tag) => write!(f, "{TAG}{tag}"),
            Self::Network(network) => write!(f, "{NETWORK}{network}"),
            Self::Name(name) => write!(f, "{NAME}{name}"),
            Self::CertificateName(name) => write!(f, "{CERTIFICATE_NAME}{name}"),
            Self::By(by) => write!(f, "{BY}{}", by.name()),
            Self::Refused(address) => f.write_str(&refused(*address)),
        }
    }
}

impl FromStr for Part {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let part = if let Some(tag) = text.strip_prefix(TAG) {
            tag.parse().map(Self::Tag).map_err(|error: TagError| error.to_string())
        } else if let Some(network) = text.strip_prefix(NETWORK) {
            let network = network.parse().map(Box::new).map(Self::Network);
            network.map_err(|error: NetworkError| error.to_string())
        } else if let Some(name) = text.strip_prefix(NAME) {
            name.parse().map(Self::Name).map_err(|error: SenderNameError| error.to_string())
        } else if let Some(name) = text.strip_prefix(CERTIFICATE_NAME) {
            name.parse().map(Self::CertificateName).map_err(|error: CertificateNameError| error.to_string())
        } else if let Some(by) = text.strip_prefix(BY) {
            RegisteredBy::named(by).map(Self::By).ok_or_else(|| format!("'{text}' names no way to register"))
        } else if let Some(address) = text.strip_prefix(REFUSED) {
            let address = address.strip_suffix(';').and_then(|address| address.parse().ok());
            address.map(Self::Refused).ok_or_else(|| format!("'{text}' has no address"))
        } else if text.contains('=') {
            text.parse().map(Self::Setting).map_err(|error| error.to_string())
        } else {
            text.parse().map(Self::Prefix).map_err(|error: PrefixError| error.to_string())
        };
        part.map_err(|error| StoreError::Corrupt(format!("cannot read what is registered of a sender: {error}").into()))
    }
}

/// A sender, or a part of it.
pub type Entry = (IpAddr, Option<Part>);

/// Whether an entry is registered, and the number of its last change; 0 if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Whether it is registered.
    pub is_registered: bool,
    /// The number of the change that made it so.
    pub number: u64,
}

/// Everything that is registered or was removed lately. A sender is before its prefixes.
pub type Registrations = BTreeMap<Entry, Registration>;

/// What a collector knows, compared with what its store has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Of each entry the newer registration.
    pub current: Registrations,
    /// Those of which the store has no number as great.
    pub lost: Registrations,
    /// What differs in the store.
    pub differences: Differences,
}

/// How many registrations a store has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Senders that it does not have.
    pub senders: u64,
    /// Prefixes, settings and tags that it does not have.
    pub prefixes: u64,
    /// Senders, prefixes, settings and tags that it has although they were removed.
    pub removed: u64,
}

impl Differences {
    /// All of them.
    #[must_use]
    pub const fn sum(self) -> u64 {
        self.senders + self.prefixes + self.removed
    }

    const fn add(&mut self, (_, part): &Entry, is_registered: bool) {
        match (is_registered, part) {
            (true, None) => self.senders += 1,
            (true, Some(_)) => self.prefixes += 1,
            (false, _) => self.removed += 1,
        }
    }
}

/// Compares what a collector knows with what its store has.
#[must_use]
pub fn merge(known: &Registrations, stored: &Registrations) -> Merged {
    let mut merged = Merged::default();
    let entries: BTreeSet<&Entry> = known.keys().chain(stored.keys()).collect();
    // A sender comes before its prefixes.
    let mut sender = (None, Registration::default());
    for entry in entries {
        let [known, stored] = [known, stored].map(|of| of.get(entry).copied().unwrap_or_default());
        let mut newest = if known.number > stored.number { known } else { stored };
        match entry {
            (address, None) => sender = (Some(*address), newest),
            (address, Some(_)) => {
                let of = if sender.0 == Some(*address) { sender.1 } else { Registration::default() };
                if newest.is_registered && !of.is_registered {
                    // It ended with its sender, of which the collector or the store did not know that it had it.
                    newest = Registration { is_registered: false, number: newest.number.max(of.number) };
                }
            }
        }
        merged.current.insert(entry.clone(), newest);
        if newest.number > stored.number {
            merged.lost.insert(entry.clone(), newest);
            if newest.is_registered != stored.is_registered {
                merged.differences.add(entry, newest.is_registered);
            }
        }
    }
    merged
}

/// What settings change in the parts of a sender: of each setting the values that it does not have any more, and the one
/// that it has now, unless that is the default.
pub(crate) fn changes<'p>(parts: impl Iterator<Item = &'p Part>, settings: &[Setting]) -> BTreeMap<Part, bool> {
    let is_replaced = |part: &&Part| matches!(part, Part::Setting(old) if settings.iter().any(|setting| setting.name() == old.name() && setting != old));
    let removed = parts.filter(is_replaced).map(|part| (part.clone(), false));
    let added = settings.iter().filter(|setting| !setting.is_default()).map(|setting| (Part::Setting(*setting), true));
    removed.chain(added).collect()
}

/// What new parts of a kind change in the parts of a sender.
pub(crate) fn replacements<'p>(
    registered: impl Iterator<Item = &'p Part>,
    kind: PartKind,
    parts: &[Part],
) -> BTreeMap<Part, bool> {
    let start = kind.start();
    let is_replaced = |part: &&Part| part.to_string().starts_with(&start) && !parts.contains(part);
    let removed = registered.filter(is_replaced).map(|part| (part.clone(), false));
    removed.chain(parts.iter().map(|part| (part.clone(), true))).collect()
}

/// The registered senders, by address, without the times of their last datagrams.
#[must_use]
pub fn senders(registrations: &Registrations) -> Vec<Sender> {
    let mut senders: Vec<Sender> = Vec::new();
    for ((address, part), _) in registrations.iter().filter(|(_, registration)| registration.is_registered) {
        match (part, senders.last_mut()) {
            (None, _) => senders.push(Sender::new(*address, None)),
            (Some(part), Some(sender)) if sender.address == *address => sender.add(part.clone()),
            // Left of a sender that was removed.
            (Some(_), _) => {}
        }
    }
    senders
}

/// The registrations of senders whose changes have no numbers.
#[must_use]
pub fn unnumbered(senders: &[Sender]) -> Registrations {
    let registration = Registration { is_registered: true, number: 0 };
    let entries = senders.iter().flat_map(|sender| {
        let own = (sender.address, None);
        std::iter::once(own).chain(sender.parts().into_iter().map(|part| (sender.address, Some(part))))
    });
    entries.map(|entry| (entry, registration)).collect()
}

/// The least number of a removal that is still kept.
pub(crate) fn oldest_removal(now: Timestamp) -> u64 {
    now.saturating_sub(REMOVALS_KEPT).milliseconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(host: u8, prefix: Option<&str>) -> Entry {
        (IpAddr::from([192, 0, 2, host]), prefix.map(|prefix| prefix.parse().unwrap()))
    }

    const fn registered(number: u64) -> Registration {
        Registration { is_registered: true, number }
    }

    const fn removed(number: u64) -> Registration {
        Registration { is_registered: false, number }
    }

    #[test]
    fn of_each_entry_the_newer_registration_counts_and_with_equal_numbers_that_of_the_store() {
        for (known, stored, current) in [
            (Some(registered(5)), None, registered(5)),
            (Some(registered(5)), Some(removed(6)), removed(6)),
            (Some(registered(7)), Some(removed(6)), registered(7)),
            (Some(removed(7)), Some(registered(6)), removed(7)),
            // Changed by a program that does not number.
            (Some(registered(6)), Some(removed(6)), removed(6)),
            (Some(removed(6)), Some(registered(6)), registered(6)),
            (Some(registered(0)), None, removed(0)),
            (None, Some(registered(0)), registered(0)),
        ] {
            let of =
                |registration: Option<Registration>| registration.map(|it| (entry(1, None), it)).into_iter().collect();
            let merged = merge(&of(known), &of(stored));
            assert_eq!(merged.current, of(Some(current)), "{known:?} {stored:?}");
            let stored = stored.unwrap_or_default();
            let is_lost = known.unwrap_or_default().number > stored.number;
            assert_eq!(merged.lost, of(Some(current).filter(|_| is_lost)), "{known:?} {stored:?}");
            let differs = is_lost && current.is_registered != stored.is_registered;
            assert_eq!(merged.differences.sum(), u64::from(differs), "{known:?} {stored:?}");
        }
    }

    #[test]
    fn an_emptied_store_has_lost_senders_with_their_prefixes_and_removals() {
        let known = Registrations::from([
            (entry(1, None), registered(5)),
            (entry(1, Some("10.0.0.0/8")), registered(5)),
            (entry(1, Some("11.0.0.0/8")), registered(6)),
            (entry(2, None), removed(7)),
        ]);
        let Merged { current, lost, differences } = merge(&known, &Registrations::new());
        assert_eq!((&current, &lost), (&known, &known));
        assert_eq!(differences, Differences { senders: 1, prefixes: 2, removed: 0 });
        let [sender] = senders(&current).try_into().unwrap();
        assert_eq!(sender.prefixes, ["10.0.0.0/8", "11.0.0.0/8"].map(|prefix| prefix.parse().unwrap()));
    }

    #[test]
    fn prefixes_end_with_their_sender() {
        let known = [
            (entry(1, None), removed(9)),
            (entry(2, None), registered(3)),
            (entry(2, Some("10.0.0.0/8")), registered(4)),
        ];
        let stored = [
            (entry(1, None), registered(5)),
            (entry(1, Some("10.0.0.0/8")), registered(6)),
            (entry(2, None), removed(8)),
        ];
        let Merged { current, lost, differences } = merge(&known.into(), &stored.into());
        assert_eq!(senders(&current), []);
        // So that they do not return when the sender is registered again.
        let ended = [
            (entry(1, None), removed(9)),
            (entry(1, Some("10.0.0.0/8")), removed(9)),
            (entry(2, Some("10.0.0.0/8")), removed(8)),
        ];
        assert_eq!(lost, ended.into());
        assert_eq!(differences, Differences { senders: 0, prefixes: 0, removed: 2 });
    }
}
