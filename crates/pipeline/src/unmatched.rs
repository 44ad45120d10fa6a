//! A sample of the networks of an exporter's flows that match no monitored prefix. It shows an operator who has
//! registered the wrong prefixes which ones would match. Only some flows are sampled, and never under the lock that
//! decoding needs.

use std::net::{IpAddr, Ipv4Addr};

use flow::Prefix;
use view::UnmatchedNetwork;

/// Number of networks kept.
const NETWORKS: usize = 64;
/// Number of networks shown.
const NETWORKS_SHOWN: usize = 16;
/// All flows are sampled until this many have arrived, then one in this many.
const SAMPLED: u64 = 256;

/// The sample of one exporter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unmatched {
    networks: Vec<UnmatchedNetwork>,
    flows: u64,
}

/// How many flows of a datagram to sample, from the number of flows before and after it.
pub(crate) const fn due(before: u64, after: u64) -> usize {
    if before < SAMPLED {
        usize::MAX
    } else if before / SAMPLED == after / SAMPLED {
        0
    } else {
        1
    }
}

impl Unmatched {
    /// Notes a flow.
    pub(crate) fn note(&mut self, source: IpAddr, destination: IpAddr) {
        self.flows += 1;
        if let Some(network) = self.network(source) {
            network.from += 1;
        }
        if let Some(network) = self.network(destination) {
            network.to += 1;
        }
    }

    /// The entry for an address. A new one replaces the network with the fewest flows. Counts are lower bounds, and
    /// busy networks are not evicted.
    fn network(&mut self, address: IpAddr) -> Option<&mut UnmatchedNetwork> {
        if address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            return None;
        }
        let network = network_of(address)?;
        let new = UnmatchedNetwork { network, from: 0, to: 0 };
        if let Some(place) = self.networks.iter().position(|known| known.network == network) {
            return self.networks.get_mut(place);
        }
        if self.networks.len() < NETWORKS {
            self.networks.reserve_exact(NETWORKS - self.networks.len());
            self.networks.push(new);
            return self.networks.last_mut();
        }
        let fewest = self.networks.iter_mut().min_by_key(|known| known.from + known.to)?;
        *fewest = new;
        Some(fewest)
    }

    /// The sample with its busiest networks, the busiest first.
    pub(crate) fn busiest(&self) -> view::Unmatched {
        let mut networks = self.networks.clone();
        networks.sort_by_key(|known| (std::cmp::Reverse(known.from + known.to), known.network));
        networks.truncate(NETWORKS_SHOWN);
        view::Unmatched { sampled: self.flows, networks }
    }
}

fn network_of(address: IpAddr) -> Option<Prefix> {
    let (first, length) = match address {
        IpAddr::V4(address) => (IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !0xff)), 24),
        IpAddr::V6(address) => (IpAddr::V6((address.to_bits() & !((1 << 80) - 1)).into()), 48),
    };
    Prefix::new(first, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_the_numbers_of_flows_from_and_to_them() {
        let mut unmatched = Unmatched::default();
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        unmatched.note(of("192.0.2.7"), of("2001:db8:0:7::9"));
        unmatched.note(of("192.0.2.9"), of("192.0.2.200"));
        unmatched.note(of("0.0.0.0"), of("192.0.2.1"));
        let view::Unmatched { sampled: flows, networks } = unmatched.busiest();
        let shown: Vec<_> = networks.iter().map(|it| (it.network.to_string(), it.from, it.to)).collect();
        assert_eq!(
            (flows, shown.as_slice()),
            (3, [("192.0.2.0/24".into(), 2, 2), ("2001:db8::/48".into(), 0, 1)].as_slice())
        );
    }

    #[test]
    fn a_flood_of_addresses_does_not_evict_the_busy_network() {
        let mut unmatched = Unmatched::default();
        for number in 0..10_000_u32 {
            let stranger = Ipv4Addr::from_bits(0x0a00_0000 + number * 256);
            unmatched.note(stranger.into(), Ipv4Addr::new(192, 0, 2, 1).into());
        }
        let networks = unmatched.busiest().networks;
        assert_eq!((networks.len(), networks[0].to), (NETWORKS_SHOWN, 10_000));
        assert_eq!(unmatched.networks.len(), NETWORKS);
    }

    #[test]
    fn the_first_flows_are_all_sampled_and_later_one_in_many() {
        assert_eq!([due(0, 30), due(255, 285)], [usize::MAX; 2]);
        assert_eq!([due(500, 530), due(520, 550)], [1, 0]);
    }
}
