//! The messages of a router's BMP session (RFC 7854, RFC 9069, draft-ietf-grow-bmp-tlv), for tests: written here, and not
//! with what reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Random;

/// A prefix: an address and a length in bits.
pub type Network = (IpAddr, u8);

/// Peer types (RFC 7854, section 4.2; RFC 9069).
pub const GLOBAL: u8 = 0;
/// A VRF.
pub const RD_INSTANCE: u8 = 1;
/// The table that the router uses.
pub const LOC_RIB: u8 = 3;

/// The address of the peer is an IPv6 address.
pub const FLAG_V: u8 = 0x80;
/// The routes are those after the policy.
pub const FLAG_L: u8 = 0x40;
/// AS paths have numbers of two octets.
pub const FLAG_A: u8 = 0x20;
/// The routes are those that the router sends to the peer.
pub const FLAG_O: u8 = 0x10;

/// A segment of an AS path with numbers in a certain order.
pub const AS_SEQUENCE: u8 = 2;
/// A segment of an AS path with numbers in no order.
pub const AS_SET: u8 = 1;
/// A segment of ASes within a confederation.
pub const AS_CONFED_SEQUENCE: u8 = 3;

/// What the header of a message contains about the peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The peer type.
    pub kind: u8,
    /// The peer flags.
    pub flags: u8,
    /// The instance: 0 is the global one.
    pub distinguisher: u64,
    /// The peer's address; unspecified for Loc-RIB.
    pub address: IpAddr,
    /// The peer's AS number.
    pub asn: u32,
}

impl Peer {
    /// A peer with an IPv4 address, whose routes are those before the policy.
    #[must_use]
    pub const fn new(last: u8, asn: u32) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        Self { kind: GLOBAL, flags: 0, distinguisher: 0, address, asn }
    }

    /// The emulated peer of Loc-RIB, of a router with this AS number.
    #[must_use]
    pub const fn loc_rib(asn: u32) -> Self {
        Self { kind: LOC_RIB, flags: 0, distinguisher: 0, address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), asn }
    }

    /// With these flags besides.
    #[must_use]
    pub const fn with(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    fn header(&self) -> Vec<u8> {
        let mut octets = vec![self.kind, self.flags | if self.address.is_ipv6() { FLAG_V } else { 0 }];
        octets.extend(self.distinguisher.to_be_bytes());
        octets.extend(address(self.address));
        octets.extend(self.asn.to_be_bytes());
        octets.extend([192, 0, 2, 99]);
        octets.extend([0; 8]);
        octets
    }
}

/// An address in 16 octets: an IPv4 address is the last four.
fn address(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()).to_be_bytes(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// A message of BMP version 3: the common header and a body.
#[must_use]
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    versioned(3, kind, body)
}

fn versioned(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![version];
    octets.extend((body.len() as u32 + 6).to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

/// The first message of a session.
#[must_use]
pub fn initiation() -> Vec<u8> {
    message(4, b"\x00\x01\x00\x04test\x00\x02\x00\x02r1")
}

/// The last message of a session, because the router shuts it down.
#[must_use]
pub fn termination() -> Vec<u8> {
    message(5, &[0, 1, 0, 2, 0, 0])
}

/// A report of two statistics.
#[must_use]
pub fn statistics(peer: &Peer) -> Vec<u8> {
    let counters = [&[0, 0, 0, 1], &[0, 0, 0, 4, 0, 0, 0, 7][..]].concat();
    message(1, &[peer.header(), counters].concat())
}

/// A copy of a message that a peer has sent.
#[must_use]
pub fn mirroring(peer: &Peer, bgp: &[u8]) -> Vec<u8> {
    let length = (bgp.len() as u16).to_be_bytes();
    message(6, &[&peer.header()[..], &[0, 0], &length, bgp].concat())
}

/// A session with a peer is up. Both sides have sent the same OPEN message.
#[must_use]
pub fn peer_up(peer: &Peer, open: &[u8]) -> Vec<u8> {
    let local = address(Ipv4Addr::new(192, 0, 2, 200).into());
    let ports = [0, 179, 0x80, 1];
    message(3, &[&peer.header()[..], &local, &ports, open, open].concat())
}

/// A session with a peer is down, for a reason that the router does not know.
#[must_use]
pub fn peer_down(peer: &Peer) -> Vec<u8> {
    message(2, &[&peer.header()[..], &[4]].concat())
}

/// Routes that a peer has announced or withdrawn.
#[must_use]
pub fn route_monitoring(peer: &Peer, update: &[u8]) -> Vec<u8> {
    message(0, &[&peer.header()[..], update].concat())
}

/// The same in version 4, where the message of BGP is one of several elements. The elements before it are given.
#[must_use]
pub fn route_monitoring_v4(peer: &Peer, before: &[(u16, &[u8])], update: &[u8]) -> Vec<u8> {
    let mut body = peer.header();
    for (kind, value) in before.iter().copied().chain([(4, update)]) {
        body.extend(kind.to_be_bytes());
        body.extend((value.len() as u16).to_be_bytes());
        body.extend([0, 0]);
        body.extend(value);
    }
    versioned(4, 0, &body)
}

fn bgp(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend((body.len() as u16 + 19).to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

/// An OPEN message with AS numbers of four octets, and with several paths for a prefix in both directions for these
/// families: 1 is IPv4, 2 is IPv6.
#[must_use]
pub fn open(asn: u32, add_path: &[u16]) -> Vec<u8> {
    let mut capabilities = vec![65, 4];
    capabilities.extend(asn.to_be_bytes());
    if !add_path.is_empty() {
        capabilities.extend([69, add_path.len() as u8 * 4]);
        add_path.iter().for_each(|family| capabilities.extend([0, *family as u8, 1, 3]));
    }
    let mut body = vec![4];
    body.extend(u16::try_from(asn).unwrap_or(23456).to_be_bytes());
    body.extend([0, 90, 192, 0, 2, 99, capabilities.len() as u8 + 2, 2, capabilities.len() as u8]);
    body.extend(capabilities);
    bgp(1, &body)
}

/// An UPDATE message.
#[derive(Clone, Debug, Default)]
pub struct Update {
    withdrawn: Vec<u8>,
    attributes: Vec<u8>,
    announced: Vec<u8>,
    path_identifier: Option<u32>,
}

impl Update {
    /// Without routes: the end of the table of IPv4.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this number before each prefix from now on, as sessions have that carry several paths for a prefix.
    #[must_use]
    pub fn numbered(mut self, path_identifier: u32) -> Self {
        self.path_identifier = Some(path_identifier);
        self
    }

    /// The end of the table of IPv6.
    #[must_use]
    pub fn end_of_ipv6() -> Self {
        Self::new().attribute(0x80, 15, &[0, 2, 1])
    }

    /// With an attribute: its flags, its type and its value.
    #[must_use]
    pub fn attribute(mut self, flags: u8, kind: u8, value: &[u8]) -> Self {
        let length = (value.len() as u16).to_be_bytes();
        self.attributes.extend([flags | 0x10, kind]);
        self.attributes.extend(length);
        self.attributes.extend(value);
        self
    }

    /// With the attributes of every route: the origin, the next hop, and an AS path of one sequence.
    #[must_use]
    pub fn path(self, asns: &[u32]) -> Self {
        let segments = if asns.is_empty() { vec![] } else { segment(AS_SEQUENCE, asns) };
        self.attribute(0x40, 1, &[0]).attribute(0x40, 2, &segments).attribute(0x40, 3, &[192, 0, 2, 1])
    }

    /// With the preference that the router gives it.
    #[must_use]
    pub fn preference(self, preference: u32) -> Self {
        self.attribute(0x40, 5, &preference.to_be_bytes())
    }

    /// With these prefixes announced, all of one family.
    #[must_use]
    pub fn announce(mut self, networks: &[Network]) -> Self {
        let (v4, v6) = self.split(networks);
        self.announced.extend(v4);
        if v6.is_empty() {
            return self;
        }
        let next_hop = Ipv6Addr::from_bits(0x2001_0db8 << 96 | 1).octets();
        self.attribute(0x80, 14, &[&[0, 2, 1, 16][..], &next_hop, &[0], &v6].concat())
    }

    /// With these prefixes withdrawn, all of one family.
    #[must_use]
    pub fn withdraw(mut self, networks: &[Network]) -> Self {
        let (v4, v6) = self.split(networks);
        self.withdrawn.extend(v4);
        if v6.is_empty() { self } else { self.attribute(0x80, 15, &[&[0, 2, 1][..], &v6].concat()) }
    }

    fn split(&self, networks: &[Network]) -> (Vec<u8>, Vec<u8>) {
        let (mut v4, mut v6) = (vec![], vec![]);
        for (network, length) in networks {
            let to = if network.is_ipv4() { &mut v4 } else { &mut v6 };
            to.extend(self.path_identifier.into_iter().flat_map(u32::to_be_bytes));
            to.push(*length);
            let octets = address(*network);
            let octets = if network.is_ipv4() { &octets[12..] } else { &octets[..] };
            to.extend(&octets[..usize::from(*length).div_ceil(8).min(octets.len())]);
        }
        (v4, v6)
    }

    /// The message as octets.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut body = (self.withdrawn.len() as u16).to_be_bytes().to_vec();
        body.extend(&self.withdrawn);
        body.extend((self.attributes.len() as u16).to_be_bytes());
        body.extend(&self.attributes);
        body.extend(&self.announced);
        bgp(2, &body)
    }
}

/// A segment of an AS path, with numbers of four octets.
#[must_use]
pub fn segment(kind: u8, asns: &[u32]) -> Vec<u8> {
    let mut octets = vec![kind, asns.len() as u8];
    octets.extend(asns.iter().flat_map(|asn| asn.to_be_bytes()));
    octets
}

/// A segment of an AS path, with numbers of two octets.
#[must_use]
pub fn short_segment(kind: u8, asns: &[u16]) -> Vec<u8> {
    let mut octets = vec![kind, asns.len() as u8];
    octets.extend(asns.iter().flat_map(|asn| asn.to_be_bytes()));
    octets
}

/// Routes that share a path, as a full table of the Internet has them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The AS path.
    pub path: Vec<u32>,
    /// The prefixes, all of one family.
    pub networks: Vec<Network>,
}

/// A table of this many routes, in the order of addresses: five of six are IPv4, six of ten of these are /24, and some
/// contain others. About 8 routes have the same path, and paths have 2 to 7 ASes.
pub fn full_table(routes: usize, seed: u64) -> impl Iterator<Item = Group> {
    let mut random = Random::new(seed);
    let (mut left, ipv6) = (routes, routes / 6);
    let (mut v4, mut v6) = (0x0100_0000_u64, 0x2001_0000_0000_u64);
    std::iter::from_fn(move || {
        let count = left.min(1 + random.index(13)).min(if left > ipv6 { left - ipv6 } else { left });
        let is_ipv4 = left > ipv6;
        left -= count;
        let networks =
            (0..count).map(|_| if is_ipv4 { next_ipv4(&mut random, &mut v4) } else { next_ipv6(&mut random, &mut v6) });
        let networks: Vec<Network> = networks.collect();
        let origin = 1000 + random.below(80_000) as u32;
        // Few ASes are on most paths, and most origins are reached by two.
        let via = origin + random.below(2) as u32;
        let mut path: Vec<u32> = (0..1 + origin % 6).map(|hop| 100 + (via >> hop) % (20 << hop)).collect();
        path.push(origin);
        (count > 0).then_some(Group { path, networks })
    })
}

fn next_ipv4(random: &mut Random, next: &mut u64) -> Network {
    let length = if random.below(10) < 6 { 24 } else { 18 + random.below(6) as u8 };
    let size = 1_u64 << (32 - length);
    let first = next.next_multiple_of(size);
    // A shorter prefix often contains the next ones.
    let step = if length < 22 && random.below(2) == 0 { 0 } else { size };
    *next = first + step + 256 * random.below(3) * u64::from(step > 0);
    if first == *next {
        // The next one is inside and longer.
        *next = first + 256;
    }
    (Ipv4Addr::from_bits(first as u32).into(), length)
}

/// Prefixes within the first 48 bits of addresses.
fn next_ipv6(random: &mut Random, next: &mut u64) -> Network {
    let length = *random.pick(&[48, 48, 48, 44, 40, 36, 32]);
    let size = 1_u64 << (48 - length);
    let first = next.next_multiple_of(size);
    *next = first + if random.below(3) == 0 { 1 } else { size };
    (Ipv6Addr::from_bits(u128::from(first) << 80).into(), length)
}
