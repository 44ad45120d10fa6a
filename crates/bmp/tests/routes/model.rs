//! Random routes, compared with the simplest form of what is meant; and mutated sessions, which must end in an error or in
//! a consistent table.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::support::{Router, START};
use bmp::{Limits, Rib, Session};
use testing::bmp::{
    Network, Peer, Update, full_table, initiation, open, peer_down, peer_up, route_monitoring, route_monitoring_v4,
    termination,
};
use testing::{Random, mutate};

/// An address near others: few bits differ, at both ends of chunks too.
fn address(random: &mut Random, is_ipv4: bool) -> IpAddr {
    let high = *random.pick(&[0x0a0, 0x0a1, 0x7ff, 0x800, 0xfff]);
    if is_ipv4 {
        let low = *random.pick(&[0, 0xf_ffff, random.clone().below(1 << 20)]) as u32;
        return Ipv4Addr::from_bits(high << 20 | (low ^ random.below(4) as u32)).into();
    }
    let middle = u128::from(*random.pick(&[0, u64::MAX >> 12, 1 << 51]));
    let low = u128::from(*random.pick(&[0, 1, 2, u64::MAX]));
    Ipv6Addr::from_bits(u128::from(high) << 116 | middle << 64 | low).into()
}

fn truncated((address, length): Network) -> Network {
    let address = match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from_bits(address.to_bits() & !u32::MAX.checked_shr(length.into()).unwrap_or(0)).into()
        }
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::MAX.checked_shr(length.into()).unwrap_or(0)).into()
        }
    };
    (address, length)
}

fn expected(routes: &BTreeMap<Network, u32>, address: IpAddr) -> Option<u32> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    (1..=bits).rev().find_map(|length| routes.get(&truncated((address, length))).copied())
}

#[test]
fn the_longest_match_of_random_tables_is_right_after_each_change() {
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let peer = Peer::new(1, 64501);
        let mut router = Router::with_peers(&[peer]);
        let mut routes = BTreeMap::<Network, u32>::new();
        for step in 0..40 {
            for _ in 0..random.below(8) {
                let is_ipv4 = random.once_in(2);
                let length = if is_ipv4 { random.below(33) } else { random.below(129) } as u8;
                let network = truncated((address(&mut random, is_ipv4), length));
                if random.once_in(3) {
                    routes.remove(&network);
                    router.update(&peer, &Update::new().withdraw(&[network]));
                } else {
                    let origin = 1 + random.below(5) as u32;
                    routes.insert(network, origin);
                    router.update(&peer, &Update::new().path(&[64501, origin]).announce(&[network]));
                }
            }
            assert_eq!(router.rib.len(), routes.len());
            let snapshot = router.rib.snapshot();
            for _ in 0..200 {
                let is_ipv4 = random.once_in(2);
                let address = address(&mut random, is_ipv4);
                let found = snapshot.longest_match(address).and_then(bmp::Path::origin);
                assert_eq!(found, expected(&routes, address), "seed {seed}, step {step}, {address}");
            }
        }
        let withdrawn: Vec<Network> = routes.keys().copied().collect();
        withdrawn.iter().for_each(|network| router.update(&peer, &Update::new().withdraw(&[*network])));
        assert_eq!((router.rib.paths(), router.rib.snapshot().ranges()), (0, 0));
    }
}

#[test]
fn a_full_table_answers_as_a_plain_map() {
    let peer = Peer::loc_rib(64500);
    let mut router = Router::with_peers(&[peer]);
    let mut routes = BTreeMap::new();
    for group in full_table(20_000, 5) {
        router.update(&peer, &Update::new().path(&group.path).announce(&group.networks));
        routes.extend(group.networks.iter().map(|network| (*network, *group.path.last().unwrap())));
    }
    assert_eq!(router.rib.len(), 20_000);
    let snapshot = router.rib.snapshot();
    for (first, _) in routes.keys() {
        let found = snapshot.longest_match(*first).and_then(bmp::Path::origin);
        assert_eq!(found, expected(&routes, *first), "{first}");
    }
}

/// Sessions of all kinds of messages.
fn sessions() -> Vec<Vec<Vec<u8>>> {
    let (peer, loc_rib) = (Peer::new(1, 64501), Peer::loc_rib(64500));
    let mut sessions = Vec::new();
    for (seed, add_path) in [(1, vec![]), (2, vec![1, 2])] {
        let identifier = (!add_path.is_empty()).then_some(9);
        let begin = |identifier: Option<u32>| {
            identifier.map_or_else(Update::new, |identifier| Update::new().numbered(identifier))
        };
        let mut messages = vec![initiation()];
        for peer in [peer, loc_rib] {
            messages.push(peer_up(&peer, &open(peer.asn, &add_path)));
            for group in full_table(60, seed) {
                let update = begin(identifier).path(&group.path).announce(&group.networks).octets();
                messages.push(route_monitoring(&peer, &update));
                messages.push(route_monitoring_v4(&peer, &[(3, b"t")], &update));
                messages.push(route_monitoring(&peer, &begin(identifier).withdraw(&group.networks[..1]).octets()));
            }
            messages.push(route_monitoring(&peer, &Update::new().octets()));
            messages.push(peer_down(&peer));
        }
        messages.push(termination());
        sessions.push(messages);
    }
    sessions
}

#[test]
fn mutated_sessions_end_in_an_error_or_in_a_consistent_table() {
    let rounds = std::env::var("NETFLOW_ROBUSTNESS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100);
    let sessions = sessions();
    let mut random = Random::new(1);
    let (mut complete, mut ended) = (0, 0);
    for _ in 0..rounds {
        let mut messages = random.pick(&sessions).clone();
        for _ in 0..=random.below(3) {
            let other = random.pick(&sessions).concat();
            let place = random.index(messages.len());
            let message = &mut messages[place];
            mutate(&mut random, message, &other);
            // Usually with its true length: the next messages are then read.
            if message.len() >= 6 && !random.once_in(4) {
                let length = message.len() as u32;
                message[1..5].copy_from_slice(&length.to_be_bytes());
            }
        }
        let limits = Limits { routes: 100, paths: 50, tables: 4, message: 1 << 14, ..Limits::default() };
        let (mut rib, mut session) = (Rib::new(limits), Session::new());
        let size = 1 + random.index(3000);
        let result = messages.concat().chunks(size).try_for_each(|part| session.receive(&mut rib, part, START));
        *if result.is_ok() { &mut complete } else { &mut ended } += 1;
        consistent(&mut rib);
        rib.session_ended(START);
        consistent(&mut rib);
        rib.expire(START.saturating_add(Limits::default().stale));
        assert_eq!((rib.len(), rib.paths(), rib.snapshot().ranges()), (0, 0, 0));
    }
    assert!(complete > rounds / 20 && ended > rounds / 20, "{complete} complete, {ended} ended");
}

/// Every route that is kept is found, as long as no other is longer.
fn consistent(rib: &mut Rib) {
    let snapshot = rib.snapshot();
    assert_eq!(rib.routes().count(), rib.len());
    assert!(rib.paths() <= rib.len() && rib.stale() <= rib.len());
    for route in rib.routes().filter(|route| route.prefix.length() > 0) {
        assert!(snapshot.longest_match(route.prefix.address()).is_some(), "{route:?}");
    }
}
