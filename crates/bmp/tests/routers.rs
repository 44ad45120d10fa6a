//! Sessions of real routers: FRR's bgpd and GoBGP, each fed by ExaBGP over BGP. The table must equal what was announced.
//!
//! Without the programs (Debian packages `frr`, `gobgpd`, `exabgp`) the tests fail.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use bmp::{Limits, Rib, Session};
use flow::Timestamp;
use testing::bgp::{Feeder, Kind, Router};
use testing::wait::DEADLINE;

/// Prefixes and their paths.
type Table = BTreeMap<String, String>;

/// Accepts the connections of a router and reads them into its routes.
struct Receiver {
    listener: TcpListener,
    connection: Option<TcpStream>,
    session: Session,
    rib: Rib,
}

impl Receiver {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, connection: None, session: Session::new(), rib: Rib::new(Limits::default()) }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Reads for a short time.
    fn read(&mut self) {
        let mut octets = [0; 65536];
        let now = Timestamp::from(SystemTime::now());
        if let Ok((connection, _)) = self.listener.accept() {
            connection.set_nonblocking(false).unwrap();
            connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            self.end(now);
            (self.connection, self.session) = (Some(connection), Session::new());
        }
        let Some(connection) = &mut self.connection else {
            std::thread::sleep(Duration::from_millis(20));
            return;
        };
        match connection.read(&mut octets) {
            Ok(0) => self.end(now),
            Ok(count) => self.session.receive(&mut self.rib, &octets[..count], now).unwrap(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.end(now),
        }
    }

    fn end(&mut self, now: Timestamp) {
        if self.connection.take().is_some() {
            self.rib.session_ended(now);
        }
    }

    fn table(&self) -> Table {
        self.rib.routes().map(|route| (route.prefix.to_string(), route.path.to_string())).collect()
    }

    /// Reads until something is true.
    fn wait_for(&mut self, event: &str, router: &Router, mut holds: impl FnMut(&mut Self) -> bool) {
        let since = Instant::now();
        while !holds(self) {
            self.read();
            let (counts, log) = (self.session.counts(), || router.log());
            assert!(since.elapsed() < DEADLINE, "still waiting: {event}\n{counts:?}\n{:?}\n{}", self.table(), log());
        }
    }

    /// Every address of the table gets the answer that it must get.
    fn check_answers(&mut self, expected: &Table) {
        let snapshot = self.rib.snapshot();
        for (prefix, path) in expected {
            let address = prefix.split('/').next().unwrap().parse().unwrap();
            let found = snapshot.longest_match(address).unwrap_or_else(|| panic!("{prefix} has no answer"));
            assert_eq!(&found.to_string(), path, "{prefix}");
            let origin = path.rsplit(' ').next().unwrap().parse().ok();
            assert_eq!((found.origin(), found.peer()), (origin, Some(64501)), "{prefix}");
        }
    }
}

/// Routes of both families; a third of them share each path.
fn routes(count: u32) -> Table {
    let path = |number: u32| match number % 3 {
        0 => "64501 64510".to_owned(),
        1 => format!("64501 64511 {}", 200_000 + number / 30),
        _ => format!("64501 64512 64513 {}", 64_600 + number % 7),
    };
    let v4 = (0..count).map(|number| (format!("{}/24", Ipv4Addr::from_bits(0x0a00_0000 | number << 8)), path(number)));
    let v6 = (0..count).map(|number| {
        (format!("{}/48", Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number) << 80)), path(number))
    });
    v4.chain(v6).collect()
}

/// Announces, withdraws, changes; restarts the peer; restarts the session.
fn follow(kind: Kind) {
    let mut receiver = Receiver::new();
    let mut router = Router::start(kind, receiver.address());
    let mut feeder = Feeder::start(&router);
    let mut expected = routes(300);
    expected.iter().for_each(|(prefix, path)| feeder.announce(prefix, path));
    receiver.wait_for("all routes", &router, |receiver| receiver.table() == expected);
    receiver.check_answers(&expected);

    let withdrawn: Vec<String> = expected.keys().step_by(7).cloned().collect();
    withdrawn.iter().for_each(|prefix| feeder.withdraw(prefix));
    expected.retain(|prefix, _| !withdrawn.contains(prefix));
    let changed: Vec<String> = expected.keys().step_by(5).cloned().collect();
    for prefix in changed {
        feeder.announce(&prefix, "64501 64999");
        expected.insert(prefix, "64501 64999".to_owned());
    }
    receiver.wait_for("withdrawn and changed routes", &router, |receiver| receiver.table() == expected);
    receiver.check_answers(&expected);

    // The peer goes down and is up again with fewer routes.
    let downs = receiver.session.counts().peers_down;
    drop(feeder);
    receiver.wait_for("the peer to be down", &router, |receiver| receiver.session.counts().peers_down > downs);
    expected = routes(100);
    let mut feeder = Feeder::start(&router);
    expected.iter().for_each(|(prefix, path)| feeder.announce(prefix, path));
    receiver.wait_for("the routes after a flap", &router, |receiver| {
        let table = receiver.table();
        expected.iter().all(|(prefix, path)| table.get(prefix) == Some(path))
    });
    // FRR sends no End-of-RIB then: what was not announced again goes after the limit.
    receiver.rib.expire(Timestamp::from(SystemTime::now()).saturating_add(Limits::default().stale * 2));
    assert_eq!(receiver.table(), expected);
    receiver.check_answers(&expected);

    // The router restarts: until it has sent its table again, the answers are those from before.
    let to = receiver.address();
    router = router.restart(kind, to, || {
        receiver.wait_until_ended();
        receiver.check_answers(&expected);
        // Not before: GoBGP would withdraw its routes.
        drop(feeder);
    });
    let mut feeder = Feeder::start(&router);
    expected.iter().for_each(|(prefix, path)| feeder.announce(prefix, path));
    receiver.wait_for("the routes of the next session", &router, |receiver| {
        // When its peer is slow, a router has sent a complete table before it has these routes.
        if receiver.session.counts().tables_complete == 0 {
            receiver.check_answers(&expected);
        }
        receiver.rib.stale() == 0 && receiver.table() == expected
    });
}

impl Receiver {
    fn wait_until_ended(&mut self) {
        let since = Instant::now();
        while self.connection.is_some() {
            assert!(since.elapsed() < DEADLINE, "the connection of a router that is no more has not ended");
            self.read();
        }
    }
}

#[test]
fn the_table_of_frr_equals_what_was_announced() {
    follow(Kind::Frr);
}

#[test]
fn the_table_of_gobgp_equals_what_was_announced() {
    follow(Kind::Gobgp { policy: "post-policy" });
}

#[test]
fn the_loc_rib_of_gobgp_equals_what_was_announced() {
    follow(Kind::Gobgp { policy: "local-rib" });
}
