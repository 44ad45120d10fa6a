//! What the configuration states of networks and senders, together with what is registered: what is in force.
//!
//! The configuration takes precedence: a sender that it states is as it states it, whatever is registered under the address, and
//! so is the network of a prefix.

use std::net::IpAddr;

use flow::{Network, Networks, Prefix};

use crate::Sender;
use crate::registrations::{OPERATOR, RegisteredBy};

/// What the configuration states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// Own networks without names; they only decide what is local.
    pub own: Vec<Prefix>,
    /// Networks, each with its place in the configuration.
    pub networks: Vec<(Network, String)>,
    /// Senders, each with its place in the configuration.
    pub senders: Vec<(Sender, String)>,
    /// Routers in these ranges register themselves.
    pub accept: Vec<Prefix>,
    /// The most routers that do.
    pub accept_limit: usize,
}

/// What is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The senders by address, with all prefixes that they count.
    pub senders: Vec<Sender>,
    /// The networks of the operator.
    pub networks: Networks,
    /// The networks between which flows are local; `None` if these are the monitored prefixes of each sender.
    pub own: Option<Vec<Prefix>>,
}

impl Stated {
    /// Own networks alone.
    #[must_use]
    pub fn own(own: &[Prefix]) -> Self {
        Self { own: own.to_vec(), ..Self::default() }
    }

    /// What is in force with these registrations, which a store lists.
    #[must_use]
    pub fn with(&self, listed: Vec<Sender>) -> InForce {
        let (operator, mut senders): (Vec<Sender>, Vec<Sender>) =
            listed.into_iter().partition(|sender| sender.address == OPERATOR);
        let registered = operator.into_iter().flat_map(|operator| operator.networks);
        let networks: Networks = self.networks.iter().map(|(network, _)| network.clone()).chain(registered).collect();
        // What another collector, or a former configuration of this one, states.
        senders.retain(|sender| {
            sender.by != RegisteredBy::Configuration || self.place_of_sender(sender.address).is_some()
        });
        for (stated, _) in &self.senders {
            match senders.binary_search_by_key(&stated.address, |sender| sender.address) {
                Ok(index) => {
                    if let Some(registered) = senders.get_mut(index) {
                        *registered = Sender { last: registered.last, ..stated.clone() };
                    }
                }
                Err(index) => senders.insert(index, stated.clone()),
            }
        }
        for sender in &mut senders {
            sender.prefixes = networks.counted(&sender.prefixes, sender.address, &sender.tags);
        }
        let own = self.own.iter().copied().chain(networks.all().iter().map(|network| network.prefix));
        let mut own: Vec<Prefix> = own.collect();
        own.sort_unstable();
        own.dedup();
        InForce { senders, networks, own: (!own.is_empty()).then_some(own) }
    }

    /// The senders that are stated and not in the store, which needs them to keep what they announce.
    pub fn missing<'s>(&'s self, listed: &'s [Sender]) -> impl Iterator<Item = IpAddr> + 's {
        let is_listed = |address: IpAddr| listed.binary_search_by_key(&address, |sender| sender.address).is_ok();
        self.senders.iter().map(|(sender, _)| sender.address).filter(move |address| !is_listed(*address))
    }

    /// Whether a router at this address can register itself.
    #[must_use]
    pub fn accepts(&self, address: IpAddr) -> bool {
        self.accept.iter().any(|range| range.contains(address))
    }

    /// Where the configuration states a sender.
    #[must_use]
    pub fn place_of_sender(&self, address: IpAddr) -> Option<&str> {
        self.senders.iter().find(|(sender, _)| sender.address == address).map(|(_, place)| place.as_str())
    }

    /// Where the configuration states the network of a prefix.
    #[must_use]
    pub fn place_of_network(&self, prefix: Prefix) -> Option<&str> {
        self.networks.iter().find(|(network, _)| network.prefix == prefix).map(|(_, place)| place.as_str())
    }
}

#[cfg(test)]
mod tests {
    use flow::{Tag, Timestamp};

    use super::*;

    fn sender(host: u8, prefixes: &[&str]) -> Sender {
        let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        Sender { prefixes, ..Sender::new(IpAddr::from([192, 0, 2, host]), None) }
    }

    fn shown(senders: &[Sender]) -> Vec<String> {
        senders.iter().map(|sender| format!("{} {:?} {:?}", sender.address, sender.prefixes, sender.tags)).collect()
    }

    #[test]
    fn what_is_stated_takes_precedence_over_what_is_registered() {
        let edge: Tag = "edge".parse().unwrap();
        let stated = Stated {
            own: vec!["172.16.0.0/12".parse().unwrap()],
            networks: vec![("10.0.0.0/8 name=stated".parse().unwrap(), "line 1".into())],
            senders: vec![(Sender { tags: vec![edge], ..sender(2, &["11.0.0.0/8"]) }, "line 2".into())],
            ..Stated::default()
        };
        let networks = ["10.0.0.0/8 name=registered senders=none", "12.0.0.0/8 senders=tag:edge"];
        let operator =
            Sender { networks: networks.map(|text| text.parse().unwrap()).into(), ..Sender::new(OPERATOR, None) };
        let last = Some(Timestamp::from_seconds(7));
        let of_another = Sender { by: RegisteredBy::Configuration, ..sender(3, &[]) };
        let listed =
            vec![sender(1, &["13.0.0.0/8"]), Sender { last, ..sender(2, &["14.0.0.0/8"]) }, of_another, operator];
        let InForce { senders, networks, own } = stated.with(listed);
        assert_eq!(
            shown(&senders),
            ["192.0.2.1 [10.0.0.0/8, 13.0.0.0/8] []", "192.0.2.2 [10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8] [Tag(edge)]"]
        );
        assert_eq!(senders[1].last, last);
        assert_eq!(networks.label("10.0.0.1".parse().unwrap()).as_deref(), Some("stated"));
        let own: Vec<String> = own.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(own, ["10.0.0.0/8", "12.0.0.0/8", "172.16.0.0/12"]);
        assert_eq!(stated.place_of_sender(IpAddr::from([192, 0, 2, 2])), Some("line 2"));
        assert_eq!(stated.place_of_network("12.0.0.0/8".parse().unwrap()), None);
    }

    #[test]
    fn without_networks_each_sender_has_its_own() {
        let InForce { senders, own, .. } = Stated::default().with(vec![sender(1, &["10.0.0.0/8"])]);
        assert_eq!((shown(&senders).len(), own), (1, None));
    }
}
