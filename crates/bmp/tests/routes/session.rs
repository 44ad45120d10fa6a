//! What messages mean, and what ends a session.
use crate::support::{Router, START, network, networks_of};
use bmp::{Counts, Kind, Limited, Limits, Problem, Rib, Session, Table};
use testing::bmp::{
    AS_CONFED_SEQUENCE, AS_SEQUENCE, AS_SET, FLAG_A, FLAG_L, FLAG_O, Peer, RD_INSTANCE, Update, initiation, message,
    mirroring, open, peer_down, peer_up, route_monitoring, route_monitoring_v4, segment, short_segment, statistics,
    termination,
};

const PEER: Peer = Peer::new(1, 64501);

#[test]
fn a_route_answers_for_its_addresses_until_it_is_withdrawn() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[64501, 64502], &["198.51.100.0/24", "203.0.113.128/25"]);
    router.announce(&PEER, &[64501, 64503], &["2001:db8::/32"]);
    let snapshot = router.rib.snapshot();
    let path = snapshot.longest_match([198, 51, 100, 255].into()).unwrap();
    assert_eq!((path.origin(), path.peer()), (Some(64502), Some(64501)));
    assert_eq!(router.path("::ffff:203.0.113.128"), "64501 64502");
    assert_eq!(router.path("203.0.113.127"), "");
    assert_eq!(router.path("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), "64501 64503");
    assert_eq!(router.path("2001:db9::"), "");
    router.withdraw(&PEER, &["198.51.100.0/24"]);
    router.withdraw(&PEER, &["2001:db8::/32"]);
    assert_eq!((router.path("198.51.100.255"), router.path("2001:db8::")), (String::new(), String::new()));
    assert_eq!(router.routes(), ["203.0.113.128/25 64501 64502"]);
    assert!(snapshot.longest_match([198, 51, 100, 255].into()).is_some(), "a snapshot does not change");
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let networks = networks_of(&["192.0.2.0/24", "198.51.100.0/24"]);
    let stream = [
        initiation(),
        peer_up(&PEER, &open(64501, &[])),
        route_monitoring(&PEER, &Update::new().path(&[64501, 64502]).announce(&networks).octets()),
        statistics(&PEER),
        route_monitoring(&PEER, &Update::new().withdraw(&networks[..1]).octets()),
        termination(),
        b"what follows is not read".to_vec(),
    ]
    .concat();
    let mut whole = None;
    for size in 1..=stream.len() {
        let (mut rib, mut session) = (Rib::new(Limits::default()), Session::new());
        stream.chunks(size).for_each(|part| session.receive(&mut rib, part, START).unwrap());
        assert!(session.is_terminated());
        assert_eq!(session.system_name(), Some("r1"));
        let routes: Vec<String> = rib.routes().map(|route| format!("{route:?}")).collect();
        let result = (routes, *session.counts());
        assert_eq!(whole.get_or_insert_with(|| result.clone()), &result, "in parts of {size}");
    }
    let (routes, counts) = whole.unwrap();
    assert_eq!(routes.len(), 1);
    assert_eq!((counts.messages, counts.announced, counts.withdrawn, counts.statistics), (6, 2, 1, 1));
}

#[test]
fn an_origin_is_unknown_if_it_is_a_set_or_no_as() {
    let mut router = Router::with_peers(&[PEER]);
    for (number, (segments, origin, shown)) in [
        (segment(AS_SEQUENCE, &[1, 2, 3]), Some(3), "1 2 3"),
        ([segment(AS_SEQUENCE, &[1, 2]), segment(AS_SET, &[3, 4])].concat(), None, "1 2 {3,4}"),
        ([segment(AS_SET, &[3, 4]), segment(AS_SEQUENCE, &[1, 2])].concat(), Some(2), "{3,4} 1 2"),
        (segment(AS_SEQUENCE, &[1, 0]), None, "1 0"),
        (segment(AS_SEQUENCE, &[1, 23456]), None, "1 23456"),
        (segment(AS_SEQUENCE, &[1, u32::MAX]), Some(u32::MAX), "1 4294967295"),
        ([segment(AS_CONFED_SEQUENCE, &[65001]), segment(AS_SEQUENCE, &[7, 8])].concat(), Some(8), "(65001) 7 8"),
        (segment(AS_CONFED_SEQUENCE, &[65001]), Some(64501), "(65001)"),
        (vec![], Some(64501), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let first = [10, 0, number as u8, 0];
        let update = Update::new().attribute(0x40, 2, &segments).announce(&[(first.into(), 24)]);
        router.update(&PEER, &update);
        let snapshot = router.rib.snapshot();
        let path = snapshot.longest_match(first.into()).unwrap();
        assert_eq!((path.origin(), path.to_string().as_str()), (origin, shown));
    }
    let snapshot = router.rib.snapshot();
    let peer = |last: u8| snapshot.longest_match([10, 0, last, 0].into()).unwrap().peer();
    assert_eq!([0, 2, 6, 7, 8].map(peer), [Some(1), None, Some(7), None, None]);
}

#[test]
fn numbers_of_two_octets_are_completed_from_as4_path() {
    let peer = PEER.with(FLAG_A);
    let mut router = Router::with_peers(&[PEER]);
    let short = |asns: &[u16]| short_segment(AS_SEQUENCE, asns);
    let long = |asns: &[u32]| segment(AS_SEQUENCE, asns);
    for (number, (as_path, as4_path, shown)) in [
        (short(&[64501, 23456, 7]), Some(long(&[200_000, 7])), "64501 200000 7"),
        (short(&[64501, 23456]), None, "64501 23456"),
        // RFC 6793: longer than AS_PATH, and so not used.
        (short(&[64501, 7]), Some(long(&[1, 2, 3])), "64501 7"),
        (short(&[64501, 7]), Some(vec![9, 9, 9]), "64501 7"),
        (
            [short(&[64501, 5]), short_segment(AS_SET, &[6, 23456])].concat(),
            Some(segment(AS_SET, &[6, 200_000])),
            "64501 5 {6,200000}",
        ),
        (
            [short_segment(AS_CONFED_SEQUENCE, &[65001]), short(&[23456])].concat(),
            Some(long(&[200_000])),
            "(65001) 200000",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let first = [10, 0, number as u8, 0];
        let update = Update::new().attribute(0x40, 2, &as_path);
        let update = as4_path.into_iter().fold(update, |update, as4_path| update.attribute(0xc0, 17, &as4_path));
        router.update(&peer, &update.announce(&[(first.into(), 24)]));
        assert_eq!(router.path(&format!("10.0.{number}.1")), shown);
    }
    // Without the flag, AS4_PATH has no meaning.
    let update = Update::new().path(&[1, 2]).attribute(0xc0, 17, &long(&[9]));
    router.update(&PEER, &update.announce(&[network("10.1.0.0/24")]));
    assert_eq!(router.path("10.1.0.1"), "1 2");
}

#[test]
fn several_paths_for_a_prefix_are_kept_and_the_preferred_one_answers() {
    let mut router = Router::with_peers(&[]);
    router.send(&peer_up(&PEER, &open(64501, &[1, 2])));
    let announce = |identifier, path: &[u32], preference, network_| {
        Update::new().numbered(identifier).path(path).preference(preference).announce(&[network(network_)])
    };
    for family in ["192.0.2.0/24", "2001:db8::/48"] {
        let address = family.split('/').next().unwrap();
        router.update(&PEER, &announce(1, &[1, 2], 100, family));
        router.update(&PEER, &announce(2, &[3], 100, family));
        router.update(&PEER, &announce(3, &[4, 5, 6], 50, family));
        assert_eq!(router.path(address), "3", "the shortest");
        router.update(&PEER, &announce(3, &[4, 5, 6], 200, family));
        assert_eq!(router.path(address), "4 5 6", "the one with the highest local preference");
        let withdraw = Update::new().numbered(3).withdraw(&[network(family)]);
        router.update(&PEER, &withdraw);
        assert_eq!(router.path(address), "3");
    }
    assert_eq!(router.rib.len(), 4);
}

#[test]
fn version_4_is_read_with_the_capabilities_of_a_message() {
    let mut router = Router::with_peers(&[PEER]);
    let update = Update::new().numbered(7).path(&[1, 2]).announce(&[network("192.0.2.0/24")]);
    let add_path = [69, 4, 0, 1, 1, 3];
    router.send(&route_monitoring_v4(&PEER, &[(3, b"global"), (1, &add_path), (0x8001, b"")], &update.octets()));
    assert_eq!(router.path("192.0.2.1"), "1 2");
    assert_eq!(router.rib.routes().next().unwrap().path_identifier, 7);
    let update = Update::new().path(&[3]).announce(&[network("192.0.2.0/25")]);
    router.send(&route_monitoring_v4(&PEER, &[], &update.octets()));
    assert_eq!(router.path("192.0.2.1"), "3");
}

#[test]
fn what_is_not_kept_is_counted() {
    let mut router = Router::with_peers(&[PEER]);
    let routes = Update::new().path(&[64501]).announce(&[network("192.0.2.0/24")]);
    let vrf = Peer { kind: RD_INSTANCE, distinguisher: 7, ..PEER };
    router.send(&peer_up(&vrf, &open(64501, &[])));
    router.update(&vrf, &routes);
    router.update(&PEER.with(FLAG_O), &routes);
    router.update(&Peer::new(2, 64502), &routes);
    router.update(&Peer { kind: 9, ..PEER }, &routes);
    router.send(&statistics(&PEER));
    router.send(&mirroring(&PEER, &routes.octets()));
    router.send(&message(77, b"later"));
    // EVPN, and a withdrawal of VPN routes.
    router.update(&PEER, &Update::new().path(&[1]).attribute(0x80, 14, &[0, 25, 70, 4, 192, 0, 2, 1, 0, 9, 9]));
    router.update(&PEER, &Update::new().attribute(0x80, 15, &[0, 1, 128, 1]));
    assert_eq!(router.rib.len(), 0);
    let counts = *router.session.counts();
    let expected = Counts {
        messages: counts.messages,
        octets: counts.octets,
        statistics: 1,
        mirrored: 1,
        other_messages: 1,
        adj_rib_out: 1,
        other_instance: 3,
        peer_not_up: 1,
        other_family: 2,
        peers_up: 1,
        ..Counts::default()
    };
    assert_eq!((counts, counts.messages), (expected, 12));
}

#[test]
fn a_vrf_is_kept_instead_if_its_distinguisher_is_given() {
    let vrf = Peer { kind: RD_INSTANCE, distinguisher: 7, ..PEER };
    let mut router = Router::with_limits(Limits { distinguisher: 7, ..Limits::default() }, &[PEER, vrf]);
    router.announce(&PEER, &[1], &["192.0.2.0/24"]);
    router.announce(&vrf, &[2], &["192.0.2.0/24"]);
    assert_eq!(router.routes(), ["192.0.2.0/24 2"]);
}

#[test]
fn loc_rib_takes_precedence_over_post_policy_and_that_over_pre_policy() {
    let (post, loc_rib) = (PEER.with(FLAG_L), Peer::loc_rib(64500));
    let mut router = Router::with_peers(&[PEER, loc_rib]);
    router.announce(&PEER, &[1], &["192.0.2.0/24", "192.0.2.0/25"]);
    assert_eq!(router.path("192.0.2.1"), "1");
    router.announce(&post, &[2], &["192.0.2.0/24"]);
    assert_eq!(router.path("192.0.2.200"), "2");
    assert_eq!(router.path("192.0.2.1"), "1", "the table after the policy is incomplete");
    router.end_of_rib(&post);
    assert_eq!(router.path("192.0.2.1"), "2");
    router.announce(&PEER, &[1], &["192.0.2.0/26"]);
    assert_eq!(router.session.counts().superseded, 1);
    router.announce(&loc_rib, &[3, 4], &["192.0.2.0/24"]);
    assert_eq!(router.path("192.0.2.1"), "3 4");
    router.end_of_rib(&loc_rib);
    assert_eq!(router.tables(), [Table::LocRib]);
    router.announce(&post, &[2], &["192.0.2.0/24"]);
    assert_eq!(router.tables(), [Table::LocRib]);
    // A family that Loc-RIB does not have is still from the peers.
    router.announce(&post, &[2], &["2001:db8::/32"]);
    assert_eq!(router.path("2001:db8::1"), "2");
}

#[test]
fn without_loc_rib_the_router_must_send_the_ignored_routes_again() {
    let loc_rib = Peer::loc_rib(64500);
    let mut router = Router::with_peers(&[PEER, loc_rib]);
    router.announce(&loc_rib, &[3], &["192.0.2.0/24"]);
    router.announce(&PEER, &[1], &["192.0.2.0/24"]);
    let error = router.try_send(&peer_down(&loc_rib)).unwrap_err();
    assert_eq!((error.problem, error.kind), (Problem::LocRibEnded, Kind::PeerDown));
    assert_eq!(router.path("192.0.2.1"), "3", "until the peers have sent their routes");
}

#[test]
fn a_default_route_answers_for_no_address() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["0.0.0.0/0", "128.0.0.0/1"]);
    router.announce(&PEER, &[1], &["::/0", "8000::/1"]);
    assert_eq!(router.rib.len(), 4);
    assert_eq!(
        ["1.1.1.1", "200.0.0.1", "2001:db8::1", "9000::"].map(|address| router.path(address)),
        ["", "1", "", "1"]
    );
}

#[test]
fn routes_without_a_valid_path_count_as_withdrawn() {
    let mut router = Router::with_peers(&[PEER]);
    let prefixes = [network("192.0.2.0/24"), network("198.51.100.0/24")];
    let empty_segment = Update::new().attribute(0x40, 2, &[2, 0]);
    let unknown_segment = Update::new().attribute(0x40, 2, &segment(7, &[1]));
    let overrun = Update::new().attribute(0x40, 2, &[2, 9, 0, 0, 0, 1]);
    for malformed in [Update::new(), empty_segment, unknown_segment, overrun] {
        router.update(&PEER, &Update::new().path(&[1]).announce(&prefixes));
        router.update(&PEER, &malformed.announce(&prefixes[..1]));
        assert_eq!(router.routes(), ["198.51.100.0/24 1"]);
    }
    assert_eq!(router.session.counts().malformed_path, 4);
}

#[test]
fn attributes_that_are_not_needed_cannot_be_wrong() {
    let mut router = Router::with_peers(&[PEER]);
    let update = [4, 7, 8, 16, 32, 35, 40, 128, 255]
        .iter()
        .fold(Update::new().path(&[1, 2]), |update, kind| update.attribute(0xc0, *kind, &[1, 2, 3]));
    router.update(&PEER, &update.announce(&networks_of(&["192.0.2.0/24", "224.0.0.0/4"])));
    assert_eq!(router.path("192.0.2.1"), "1 2");
}

#[test]
fn bits_after_the_length_of_a_prefix_have_no_meaning() {
    let mut router = Router::with_peers(&[PEER]);
    router.announce(&PEER, &[1], &["10.255.255.255/9"]);
    router.announce(&PEER, &[1], &["2001:db8:ffff::/33"]);
    assert_eq!(router.routes(), ["10.128.0.0/9 1", "2001:db8:8000::/33 1"]);
}

#[test]
fn a_malformed_message_ends_the_session_with_its_place() {
    let update = |octets: &[u8]| route_monitoring(&PEER, octets);
    let bgp = |body: &[u8]| [&[0xff; 16][..], &(body.len() as u16 + 19).to_be_bytes(), &[2], body].concat();
    for (octets, kind, offset, problem) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), Kind::Unknown, 0, "71 is no version of BMP"),
        (vec![2, 0, 0, 0, 6, 4], Kind::Unknown, 0, "2 is no version of BMP"),
        (vec![3, 0, 0, 0, 5, 4], Kind::Unknown, 1, "a length of 5 octets, where 6 to 1048576 are allowed"),
        (vec![3, 0, 0x10, 0, 1, 0], Kind::Unknown, 1, "a length of 1048577 octets"),
        (message(0, &[0; 41]), Kind::RouteMonitoring, 36, "the header of the peer is cut off"),
        (message(3, &[0; 50]), Kind::PeerUp, 48, "the addresses of the session is cut off"),
        (peer_up(&PEER, &bgp(&[0, 0, 0, 0])), Kind::PeerUp, 86, "the type of the BGP message is 2, where 1 (OPEN)"),
        (update(&open(1, &[])), Kind::RouteMonitoring, 66, "the type of the BGP message is 1, where 2 (UPDATE)"),
        (update(&bgp(&[0, 9, 1])), Kind::RouteMonitoring, 69, "the withdrawn routes is cut off"),
        (update(&bgp(&[0, 0, 0, 3, 0x40, 2, 9])), Kind::RouteMonitoring, 74, "a path attribute is cut off"),
        (update(&bgp(&[0, 1, 33, 0, 0])), Kind::RouteMonitoring, 69, "the length of a prefix is 33, where 0 to 32"),
        (update(&bgp(&[0, 2, 32, 1, 0, 0])), Kind::RouteMonitoring, 70, "a prefix is cut off"),
        (update(&bgp(&[0, 0, 0, 0, 24, 198, 51, 100, 99])), Kind::RouteMonitoring, 75, "the length of a prefix is 99"),
        (message(4, &[0, 1, 0]), Kind::Initiation, 8, "the information about the router is cut off"),
    ] {
        let mut router = Router::with_peers(&[PEER]);
        router.announce(&PEER, &[1], &["192.0.2.0/24"]);
        let error = router.try_send(&octets).unwrap_err();
        assert_eq!((error.number, error.kind, error.offset), (4, kind, offset), "{error}");
        assert!(error.problem.to_string().contains(problem), "{error}");
        assert_eq!(router.try_send(&initiation()).unwrap_err(), error, "a session cannot be used any more");
        assert_eq!(router.path("192.0.2.1"), "1", "what was received before is kept");
    }
    let mut session = Session::new();
    let error = session.receive(&mut Rib::new(Limits::default()), &statistics(&PEER), START).unwrap_err();
    let shown = "message 1 (statistics report), octet 6: a session must begin with an initiation message";
    assert!(error.to_string().starts_with(shown), "{error}");
}

#[test]
fn limits_end_the_session() {
    let announce = |path: &[u32], prefixes: &[&str]| {
        route_monitoring(&PEER, &Update::new().path(path).announce(&networks_of(prefixes)).octets())
    };
    let limited = |limits: Limits, messages: &[Vec<u8>]| {
        let mut router = Router::with_limits(limits, &[PEER]);
        let (last, first) = messages.split_last().unwrap();
        first.iter().for_each(|message| router.send(message));
        let error = router.try_send(last).unwrap_err();
        match error.problem {
            Problem::TooMany { what, .. } => what,
            other => panic!("{other}"),
        }
    };
    let limits = Limits { routes: 2, ..Limits::default() };
    let messages = [
        announce(&[1], &["10.0.0.0/8", "11.0.0.0/8"]),
        announce(&[2], &["10.0.0.0/8"]),
        announce(&[1], &["12.0.0.0/8"]),
    ];
    assert_eq!(limited(limits, &messages), Limited::Routes);
    let limits = Limits { paths: 1, ..Limits::default() };
    assert_eq!(limited(limits, &[announce(&[1], &["10.0.0.0/8"]), announce(&[2], &["11.0.0.0/8"])]), Limited::Paths);
    let limits = Limits { path_octets: 1000, ..Limits::default() };
    assert_eq!(limited(limits, &[announce(&[7; 250], &["10.0.0.0/8"])]), Limited::PathOctets);
    let limits = Limits { tables: 1, ..Limits::default() };
    assert_eq!(limited(limits, &[peer_up(&Peer::new(2, 2), &open(2, &[]))]), Limited::Tables);
}

#[test]
fn paths_without_routes_make_room_for_others() {
    let mut router = Router::with_limits(Limits { paths: 2, ..Limits::default() }, &[PEER]);
    for number in 0..1000 {
        router.announce(&PEER, &[1, number], &["192.0.2.0/24"]);
        assert_eq!(router.rib.paths(), 1);
        assert_eq!(router.path("192.0.2.1"), format!("1 {number}"));
    }
    router.withdraw(&PEER, &["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!((router.rib.len(), router.rib.paths()), (0, 0));
}

#[test]
fn the_as_of_the_router_before_a_path_that_a_peer_announced_is_ignored() {
    let mut router = Router::with_peers(&[]);
    let up = peer_up(&PEER, &open(64500, &[]));
    router.send(&up);
    router.announce(&PEER, &[64500, 64501, 7], &["192.0.2.0/24"]);
    router.announce(&PEER, &[64501, 64500, 7], &["198.51.100.0/24"]);
    assert_eq!(router.routes(), ["192.0.2.0/24 64501 7", "198.51.100.0/24 64501 64500 7"]);
    let inner = Peer::new(9, 64500);
    router.send(&peer_up(&inner, &open(64500, &[])));
    router.announce(&inner, &[64500, 8], &["203.0.113.0/24"]);
    assert_eq!(router.path("203.0.113.1"), "64500 8", "a peer of the same AS announces what it was announced");
}

#[test]
fn loc_rib_needs_no_emulated_peer() {
    let mut router = Router::with_peers(&[]);
    router.announce(&Peer::loc_rib(64500), &[7], &["192.0.2.0/24"]);
    assert_eq!((router.path("192.0.2.1").as_str(), router.session.peers()), ("7", 1));
}
