//! Random flows. One endpoint of each is in a prefix; the other is outside or, for a percentage of them, also in a
//! prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{Counters, FlowRecord, Prefix, Protocol, Sampling, SamplingSource, Timestamp};

use crate::random::Random;

/// The properties of flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Prefixes that contain one endpoint of each flow. They get addresses in turn.
    pub prefixes: Vec<Prefix>,
    /// The number of distinct addresses inside the prefixes, and of those outside. Fewer if a prefix is smaller.
    pub addresses: u32,
    /// The number of networks (/24) that the IPv4 addresses outside are in, [all over](Traffic::network) a quarter of the address
    /// space; 0 if the addresses are next to each other. At most 2^18.
    pub networks: u32,
    /// The number of distinct client ports.
    pub client_ports: u16,
    /// The number of external autonomous systems. Each network has one, or each address if there are no networks.
    pub autonomous_systems: u16,
    /// The number of interfaces of an exporter. An address is always reached through the same one.
    pub interfaces: u16,
    /// IP protocols, all equally likely. sFlow samples are always UDP.
    pub protocols: Vec<u8>,
    /// Percentage of IPv6 flows.
    pub ipv6_percent: u8,
    /// Percentage of flows with both endpoints in the prefixes.
    pub local_percent: u8,
    /// Percentage of flows with random addresses and ports, as in an attack; see [`Traffic::is_random`].
    pub random_percent: u8,
    /// The distribution of addresses.
    pub popularity: Popularity,
}

/// A distribution of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Popularity {
    /// Uniform, which is the hardest on caches.
    #[default]
    Even,
    /// A few have most of the traffic, as in real networks: each doubling of the rank has the same share.
    Zipf,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            prefixes: [(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8), (IpAddr::V6(INSIDE_IPV6), 32)]
                .into_iter()
                .filter_map(|(address, length)| Prefix::new(address, length).ok())
                .collect(),
            addresses: 1000,
            networks: 0,
            client_ports: 28_000,
            autonomous_systems: 500,
            interfaces: 24,
            protocols: vec![6, 17],
            ipv6_percent: 0,
            local_percent: 0,
            random_percent: 0,
            popularity: Popularity::Even,
        }
    }
}

/// The default IPv6 prefix of monitored addresses.
const INSIDE_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
/// Prefixes of the other endpoint: private addresses (RFC 1918), documentation (RFC 9637).
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
const OUTSIDE_IPV6: Ipv6Addr = Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0);
/// Random sources are in 64.0.0.0/3, which contains no private or documentation prefix, and in 3ffe::/16.
const RANDOM: u32 = Ipv4Addr::new(64, 0, 0, 0).to_bits();
const RANDOM_COUNT: u32 = 1 << 29;
const RANDOM_IPV6: u16 = 0x3ffe;

/// Networks are at the beginnings of equal parts of 128.0.0.0/2, as many of which as fit.
const NETWORKS: u32 = Ipv4Addr::new(128, 0, 0, 0).to_bits();
const NETWORK_BITS: u32 = 18;
const NETWORK_DISTANCE_BITS: u32 = 30 - NETWORK_BITS;
/// Odd, so that each number has another place; no neighbours are near each other.
const NETWORK_STEP: u32 = 0x9e37_79b1;

const SERVER_PORTS: [u16; 4] = [443, 80, 53, 22];
const FIRST_CLIENT_PORT: u16 = 1024;
/// The AS of the prefixes; external ones are numbered from 1.
const INSIDE_AS: u32 = 64_500;
/// Octets of the headers of a sampled frame in the encoder's sFlow samples.
const FRAME_LENGTHS: (u32, u32) = (64, 1518);
/// One packet of this many is sampled.
pub(crate) const SFLOW_SAMPLING_RATE: u32 = 256;
const UDP: u8 = 17;

impl Traffic {
    /// The first address of a network, by its number. Its other ones follow; up to 4096 after it belong to no other network.
    #[must_use]
    pub const fn network(number: u32) -> Ipv4Addr {
        let place = number.wrapping_mul(NETWORK_STEP) & ((1 << NETWORK_BITS) - 1);
        Ipv4Addr::from_bits(NETWORKS + (place << NETWORK_DISTANCE_BITS))
    }

    /// Whether an address is a random source, which appears only a few times.
    #[must_use]
    pub fn is_random(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => (RANDOM..RANDOM + RANDOM_COUNT).contains(&address.to_bits()),
            IpAddr::V6(address) => address.segments().first() == Some(&RANDOM_IPV6),
        }
    }
}

/// One endpoint of a flow.
struct End {
    address: IpAddr,
    autonomous_system: u32,
    interface: u32,
}

/// A sequence of flows. The same seed makes the same flows.
#[derive(Clone, Debug)]
pub(crate) struct Flows {
    random: Random,
    traffic: Traffic,
    sampled: bool,
    inside_ipv4: Vec<Prefix>,
    inside_ipv6: Vec<Prefix>,
}

impl Flows {
    pub(crate) fn new(traffic: &Traffic, protocol: Protocol, seed: u64) -> Self {
        let (inside_ipv4, inside_ipv6) = traffic.prefixes.iter().partition(|prefix| prefix.address().is_ipv4());
        let sampled = protocol == Protocol::SflowV5;
        Self { random: Random::new(seed), traffic: traffic.clone(), sampled, inside_ipv4, inside_ipv6 }
    }

    /// The next flow. Its export time is not set.
    pub(crate) fn next(&mut self) -> FlowRecord {
        let ipv6 = self.random.percent(self.traffic.ipv6_percent);
        let inside = self.inside(ipv6);
        let attack = self.random.percent(self.traffic.random_percent);
        let other = if attack {
            self.anywhere(ipv6)
        } else if self.random.percent(self.traffic.local_percent) {
            self.inside(ipv6)
        } else {
            self.outside(ipv6)
        };
        let server = SERVER_PORTS.get(self.random.below(4) as usize).copied().unwrap_or_default();
        let client = if attack {
            self.random.below(1 << 16) as u16
        } else {
            FIRST_CLIENT_PORT.wrapping_add(self.random.below(self.traffic.client_ports.into()) as u16)
        };
        let counted = self.counted();
        let record = FlowRecord {
            source: other.address,
            destination: inside.address,
            // A sampled header has no AS.
            source_as: if self.sampled { 0 } else { other.autonomous_system },
            destination_as: if self.sampled { 0 } else { inside.autonomous_system },
            input_interface: other.interface,
            output_interface: inside.interface,
            source_port: client,
            destination_port: server,
            ..counted
        };
        // Attacks are always incoming.
        if attack || self.random.below(2) == 0 { record } else { record.reversed() }
    }

    fn counted(&mut self) -> FlowRecord {
        let empty = FlowRecord::empty(Timestamp::EPOCH);
        if self.sampled {
            let (shortest, longest) = FRAME_LENGTHS;
            let bytes = u64::from(shortest + self.random.below(longest - shortest + 1));
            let sampling = Sampling::of_packets(SFLOW_SAMPLING_RATE, SamplingSource::Record);
            return FlowRecord { protocol: UDP, forward: Counters { bytes, packets: 1, flows: 1 }, sampling, ..empty };
        }
        let protocols = &self.traffic.protocols;
        let protocol = protocols.get(self.random.below(protocols.len() as u32) as usize).copied().unwrap_or(UDP);
        let packets = u64::from(1 + self.random.below(1000));
        let bytes = packets * u64::from(40 + self.random.below(1461));
        FlowRecord { protocol, forward: Counters { bytes, packets, flows: 1 }, ..empty }
    }

    fn index(&mut self) -> u32 {
        match self.traffic.popularity {
            Popularity::Even => self.random.below(self.traffic.addresses),
            Popularity::Zipf => self.random.rank(self.traffic.addresses),
        }
    }

    /// An address in the prefixes, with its AS and interface.
    fn inside(&mut self, ipv6: bool) -> End {
        let index = self.index();
        let prefixes = if ipv6 { &self.inside_ipv6 } else { &self.inside_ipv4 };
        let count = prefixes.len().max(1);
        let prefix = prefixes.get(index as usize % count);
        let address = prefix.map_or(IpAddr::V4(OUTSIDE), |prefix| host(prefix, index / count as u32));
        End { address, autonomous_system: INSIDE_AS, interface: self.interface(index) }
    }

    fn interface(&self, index: u32) -> u32 {
        1 + index % u32::from(self.traffic.interfaces)
    }

    fn outside(&mut self, ipv6: bool) -> End {
        let index = self.index();
        let (address, holder) = if ipv6 {
            (IpAddr::V6(Ipv6Addr::from_bits(OUTSIDE_IPV6.to_bits() + u128::from(index))), index)
        } else if self.traffic.networks == 0 {
            (IpAddr::V4(Ipv4Addr::from_bits(OUTSIDE.to_bits() + index % (1 << 20))), index)
        } else {
            let (network, host) = (index % self.traffic.networks, index / self.traffic.networks);
            (IpAddr::V4(Ipv4Addr::from_bits(Traffic::network(network).to_bits() | host & 0xff)), network)
        };
        let autonomous_system = 1 + holder % u32::from(self.traffic.autonomous_systems);
        End { address, autonomous_system, interface: self.interface(index) }
    }

    fn anywhere(&mut self, ipv6: bool) -> End {
        let address = if ipv6 {
            let [a, b, c, d, ..] = self.random.next().to_be_bytes().map(u16::from);
            IpAddr::V6(Ipv6Addr::new(RANDOM_IPV6, a, b, c, d, 0, 0, 1))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(RANDOM + self.random.below(RANDOM_COUNT)))
        };
        End { address, autonomous_system: 0, interface: 1 }
    }
}

/// The address of this number in a prefix; numbers wrap at its end.
fn host(prefix: &Prefix, index: u32) -> IpAddr {
    match prefix.address() {
        IpAddr::V4(first) => {
            let room = 1_u64 << (32 - u32::from(prefix.length()).min(32));
            IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | (u64::from(index) % room) as u32))
        }
        IpAddr::V6(first) => {
            let bits = 128 - u32::from(prefix.length()).min(128);
            let mask = if bits >= 32 { u32::MAX } else { (1 << bits) - 1 };
            IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | u128::from(index & mask)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn flows(traffic: &Traffic) -> Vec<FlowRecord> {
        let mut flows = Flows::new(traffic, Protocol::NetflowV9, 7);
        (0..20_000).map(|_| flows.next()).collect()
    }

    #[test]
    fn addresses_fall_into_the_prefixes_and_are_as_many_as_asked_for() {
        let prefixes: Vec<Prefix> =
            ["192.0.2.0/25", "198.51.100.0/24", "2001:db8::/120"].map(|prefix| prefix.parse().unwrap()).into();
        let traffic = Traffic { prefixes: prefixes.clone(), addresses: 100, ipv6_percent: 30, ..Traffic::default() };
        let made = flows(&traffic);
        let within = |address| prefixes.iter().any(|prefix| prefix.contains(address));
        assert!(made.iter().all(|flow| within(flow.source) != within(flow.destination)));
        let distinct: HashSet<_> = made.iter().map(|flow| flow.source).collect();
        // A hundred of each family inside, and a hundred outside.
        assert_eq!(distinct.len(), 400);
        assert!(distinct.iter().all(|address| !Traffic::is_random(*address)));
        let ipv6 = made.iter().filter(|flow| flow.source.is_ipv6()).count();
        assert!((5_500..6_500).contains(&ipv6), "{ipv6}");
    }

    #[test]
    fn networks_are_apart_and_have_one_as_each() {
        let traffic = Traffic { addresses: 1000, networks: 300, autonomous_systems: 300, ..Traffic::default() };
        let made = flows(&traffic).into_iter().filter(|flow| flow.source_as != INSIDE_AS);
        let ases: HashSet<_> = made.map(|flow| (flow.source.to_string(), flow.source_as)).collect();
        assert_eq!(ases.len(), 1000);
        for (address, asn) in ases {
            let network = Traffic::network(asn - 1).octets();
            assert!(address.starts_with(&format!("{}.{}.{}.", network[0], network[1], network[2])), "{address}");
        }
        let all: HashSet<_> = (0..1 << NETWORK_BITS).map(Traffic::network).collect();
        assert_eq!(all.len(), 1 << NETWORK_BITS);
    }

    #[test]
    fn shares_are_kept() {
        let inside: Prefix = "10.0.0.0/8".parse().unwrap();
        let made = flows(&Traffic { local_percent: 20, random_percent: 50, ..Traffic::default() });
        let random = made.iter().filter(|flow| Traffic::is_random(flow.source)).count();
        assert!((9_500..10_500).contains(&random), "{random}");
        let local =
            made.iter().filter(|flow| inside.contains(flow.source) && inside.contains(flow.destination)).count();
        assert!((1_700..2_300).contains(&local), "{local}");
    }

    #[test]
    fn the_same_seed_makes_the_same_flows() {
        assert_eq!(flows(&Traffic::default()), flows(&Traffic::default()));
    }
}
