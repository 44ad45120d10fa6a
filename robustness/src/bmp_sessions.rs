//! Sessions of routers that send their routes by BMP.

use bmp::{Limits, Rib, Session};
use flow::Timestamp;
use testing::bmp::{
    FLAG_A, FLAG_L, Peer, Update, full_table, initiation, open, peer_down, peer_up, route_monitoring,
    route_monitoring_v4, short_segment, statistics, termination,
};

/// The octets of a connection, in one piece and in two.
pub fn session(input: &[u8]) {
    let now = Timestamp::from_seconds(1_795_960_800);
    let limits = Limits { message: 1 << 14, tables: 8, routes: 500, paths: 100, ..Limits::default() };
    let read = |parts: &[&[u8]]| {
        let (mut rib, mut session) = (Rib::new(limits.clone()), Session::new());
        let result = parts.iter().try_for_each(|part| session.receive(&mut rib, part, now));
        (rib, *session.counts(), result)
    };
    let (mut rib, counts, result) = read(&[input]);
    let (begin, end) = input.split_at(input.len() / 2);
    let (cut, cut_counts, cut_result) = read(&[begin, end]);
    assert_eq!((rib.len(), rib.paths(), counts, result), (cut.len(), cut.paths(), cut_counts, cut_result));
    assert_eq!(rib.routes().count(), rib.len());
    let snapshot = rib.snapshot();
    for route in rib.routes().filter(|route| route.prefix.length() > 0) {
        assert!(snapshot.longest_match(route.prefix.address()).is_some(), "{route:?} has no answer");
    }
    rib.session_ended(now);
    assert_eq!(rib.stale(), rib.len());
    rib.expire(now.saturating_add(limits.stale));
    assert_eq!((rib.len(), rib.paths(), rib.snapshot().ranges()), (0, 0, 0));
}

/// Sessions with messages of each kind.
pub fn sessions() -> Vec<Vec<u8>> {
    let peers = [Peer::new(1, 64501), Peer::new(2, 64502).with(FLAG_L), Peer::new(3, 64503), Peer::loc_rib(64500)];
    let sessions = [None, Some(7)].into_iter().flat_map(|identifier| peers.map(|peer| (identifier, peer)));
    sessions.map(|(identifier, peer)| of_peer(identifier, &peer)).collect()
}

fn of_peer(identifier: Option<u32>, peer: &Peer) -> Vec<u8> {
    let families: &[u16] = if identifier.is_some() { &[1, 2] } else { &[] };
    let update = || identifier.map_or_else(Update::new, |identifier| Update::new().numbered(identifier));
    let mut octets = [initiation(), peer_up(peer, &open(64500, families))].concat();
    for group in full_table(12, u64::from(peer.asn)) {
        let announced = update().path(&group.path).preference(100).announce(&group.networks).octets();
        octets.extend(route_monitoring(peer, &announced));
        octets.extend(route_monitoring_v4(peer, &[(3, b"t")], &announced));
        octets.extend(route_monitoring(peer, &update().withdraw(&group.networks[..1]).octets()));
        let short =
            update().attribute(0x40, 2, &short_segment(2, &[64501, 23456])).attribute(0xc0, 17, &[2, 1, 0, 3, 0, 0]);
        octets.extend(route_monitoring(&peer.with(FLAG_A), &short.announce(&group.networks).octets()));
    }
    octets.extend(route_monitoring(peer, &Update::new().octets()));
    octets.extend([statistics(peer), peer_down(peer), termination()].concat());
    octets
}
