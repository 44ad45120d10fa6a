//! Sessions and peers that end and begin again: no answer that was right becomes wrong.
use crate::support::Router;
use bmp::Limits;
use testing::bmp::{FLAG_L, Peer, open, peer_down, peer_up};

const PEER: Peer = Peer::loc_rib(64500);
const LIMIT: u64 = 300;

#[test]
fn routes_of_a_session_that_ended_answer_until_the_next_one_has_sent_all() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]);
    router.end_of_rib(&PEER);
    router.reconnect(&[PEER]);
    assert_eq!((router.path("192.0.2.1"), router.rib.stale()), ("1".to_owned(), 3));
    router.announce(&PEER, &[2], &["192.0.2.0/24"]);
    router.announce(&PEER, &[1], &["198.51.100.0/24"]);
    router.withdraw(&PEER, &["203.0.113.0/24"]);
    let paths = ["192.0.2.1", "198.51.100.1", "203.0.113.1"].map(|address| router.path(address));
    assert_eq!((paths, router.rib.stale()), (["2", "1", ""].map(str::to_owned), 0));
    router.reconnect(&[PEER]);
    router.announce(&PEER, &[1], &["198.51.100.0/24"]);
    assert_eq!(router.path("192.0.2.1"), "2");
    router.end_of_rib(&PEER);
    assert_eq!((router.path("192.0.2.1"), router.path("198.51.100.1")), (String::new(), "1".to_owned()));
    assert_eq!((router.rib.len(), router.rib.paths()), (1, 1));
}

#[test]
fn routes_of_a_session_that_ended_go_after_the_limit() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["192.0.2.0/24"]);
    router.announce(&PEER, &[1], &["2001:db8::/32"]);
    router.rib.session_ended(router.now);
    router.pass(LIMIT - 1);
    assert_eq!((router.path("192.0.2.1").as_str(), router.path("2001:db8::").as_str()), ("1", "1"));
    router.pass(1);
    assert_eq!((router.path("192.0.2.1").as_str(), router.path("2001:db8::").as_str()), ("", ""));
    assert_eq!((router.rib.len(), router.rib.paths()), (0, 0));
}

#[test]
fn routes_that_follow_the_end_of_a_peer_become_stale_with_the_session() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["192.0.2.0/24"]);
    router.send(&peer_down(&PEER));
    router.announce(&PEER, &[2], &["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!((router.rib.len(), router.rib.stale()), (2, 0));
    router.rib.session_ended(router.now);
    assert_eq!((router.rib.len(), router.rib.stale()), (2, 2));
    router.pass(LIMIT);
    assert_eq!((router.rib.len(), router.rib.paths()), (0, 0));
}

#[test]
fn a_router_without_end_of_rib_has_the_limit_again_after_it_is_back() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["192.0.2.0/24", "198.51.100.0/24"]);
    router.pass(LIMIT - 10);
    router.rib.session_ended(router.now);
    router.pass(LIMIT - 10);
    router.reconnect(&[PEER]);
    router.announce(&PEER, &[1], &["198.51.100.0/24"]);
    router.pass(LIMIT - 1);
    assert_eq!(router.path("192.0.2.1"), "1");
    router.pass(1);
    assert_eq!((router.path("192.0.2.1").as_str(), router.path("198.51.100.1").as_str()), ("", "1"));
}

#[test]
fn a_router_that_flaps_does_not_keep_stale_routes_for_longer() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["192.0.2.0/24"]);
    let mut seconds = 0;
    while router.path("192.0.2.1") == "1" {
        router.reconnect(&[PEER]);
        router.pass(10);
        seconds += 10;
        assert!(seconds <= 2 * LIMIT, "after {seconds} s");
    }
    assert_eq!(seconds, 2 * LIMIT);
}

#[test]
fn another_peer_answers_for_one_that_is_down() {
    let (one, other) = (Peer::new(1, 64501).with(FLAG_L), Peer::new(2, 64502).with(FLAG_L));
    let mut router = Router::with_peers(&[one, other]);
    router.announce(&one, &[64501, 7], &["192.0.2.0/24", "198.51.100.0/24"]);
    router.announce(&other, &[64502, 8, 7], &["192.0.2.0/24"]);
    assert_eq!(router.path("192.0.2.1"), "64501 7");
    router.send(&peer_down(&one));
    assert_eq!(router.path("192.0.2.1"), "64502 8 7");
    assert_eq!(router.origin("198.51.100.1"), Some(7), "no other peer has it");
    router.send(&peer_up(&one, &open(64501, &[])));
    router.announce(&one, &[64501, 7], &["192.0.2.0/24"]);
    assert_eq!(router.path("192.0.2.1"), "64501 7");
    router.end_of_rib(&one);
    assert_eq!(router.path("198.51.100.1"), "");
}

#[test]
fn a_peer_that_is_up_again_without_having_been_down_has_announced_nothing_yet() {
    let peer = Peer::new(1, 64501);
    let mut router = Router::with_peers(&[peer]);
    router.announce(&peer, &[64501], &["192.0.2.0/24"]);
    router.send(&peer_up(&peer, &open(64501, &[])));
    assert_eq!((router.path("192.0.2.1").as_str(), router.rib.stale()), ("64501", 1));
    router.end_of_rib(&peer);
    assert_eq!(router.path("192.0.2.1"), "64501", "the table that ends was not begun");
    router.pass(LIMIT);
    assert_eq!(router.path("192.0.2.1"), "");
}

#[test]
fn routes_of_a_peer_that_is_never_up_again_go_and_leave_nothing() {
    let peers: Vec<Peer> = (1..=10).map(|last| Peer::new(last, u32::from(last))).collect();
    let mut router = Router::with_peers(&peers);
    peers.iter().for_each(|peer| router.announce(peer, &[peer.asn], &["192.0.2.0/24"]));
    peers.iter().for_each(|peer| router.send(&peer_down(peer)));
    router.pass(LIMIT);
    assert_eq!((router.rib.len(), router.rib.paths(), router.session.peers()), (0, 0, 0));
}

#[test]
fn a_better_table_after_a_reconnection_replaces_the_stale_one_when_it_is_complete() {
    let peer = Peer::new(1, 64501).with(FLAG_L);
    let mut router = Router::with_peers(&[peer]);
    router.announce(&peer, &[64501, 7], &["192.0.2.0/24", "198.51.100.0/24"]);
    router.reconnect(&[peer, PEER]);
    router.announce(&PEER, &[64502, 7], &["192.0.2.0/24"]);
    assert_eq!((router.path("192.0.2.1").as_str(), router.path("198.51.100.1").as_str()), ("64502 7", "64501 7"));
    router.end_of_rib(&PEER);
    assert_eq!(router.path("198.51.100.1"), "");
}

#[test]
fn stale_routes_make_room_before_a_limit_ends_the_session() {
    let mut router = Router::with_limits(Limits { routes: 2, paths: 2, ..Limits::default() }, &[PEER]);
    router.announce(&PEER, &[1], &["192.0.2.0/24"]);
    router.announce(&PEER, &[2], &["198.51.100.0/24"]);
    router.reconnect(&[PEER]);
    router.announce(&PEER, &[3], &["10.0.0.0/8"]);
    router.announce(&PEER, &[4], &["11.0.0.0/8"]);
    assert_eq!(router.routes(), ["10.0.0.0/8 3", "11.0.0.0/8 4"]);
}
