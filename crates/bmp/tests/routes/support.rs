//! A router under test: its routes and its session.
use std::time::Duration;

use bmp::{Limits, Rib, Session, SessionError, Table};
use flow::Timestamp;
use testing::bmp::{Network, Peer, Update, initiation, open, peer_up, route_monitoring};

pub(crate) const START: Timestamp = Timestamp::from_seconds(1_795_960_800);

pub(crate) struct Router {
    pub(crate) rib: Rib,
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
}

impl Router {
    /// Its session has begun, and these peers are up.
    pub(crate) fn with_peers(peers: &[Peer]) -> Self {
        Self::with_limits(Limits::default(), peers)
    }

    pub(crate) fn with_limits(limits: Limits, peers: &[Peer]) -> Self {
        let mut router = Self { rib: Rib::new(limits), session: Session::new(), now: START };
        router.begin(peers);
        router
    }

    fn begin(&mut self, peers: &[Peer]) {
        self.send(&initiation());
        peers.iter().for_each(|peer| self.send(&peer_up(peer, &open(peer.asn, &[]))));
    }

    /// Its connection ends and another begins.
    pub(crate) fn reconnect(&mut self, peers: &[Peer]) {
        self.rib.session_ended(self.now);
        self.session = Session::new();
        self.begin(peers);
    }

    pub(crate) fn try_send(&mut self, octets: &[u8]) -> Result<(), SessionError> {
        self.session.receive(&mut self.rib, octets, self.now)
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.try_send(octets).unwrap();
    }

    pub(crate) fn update(&mut self, peer: &Peer, update: &Update) {
        self.send(&route_monitoring(peer, &update.octets()));
    }

    pub(crate) fn announce(&mut self, peer: &Peer, path: &[u32], networks: &[&str]) {
        self.update(peer, &Update::new().path(path).announce(&networks_of(networks)));
    }

    pub(crate) fn withdraw(&mut self, peer: &Peer, networks: &[&str]) {
        self.update(peer, &Update::new().withdraw(&networks_of(networks)));
    }

    pub(crate) fn end_of_rib(&mut self, peer: &Peer) {
        self.update(peer, &Update::new());
        self.update(peer, &Update::end_of_ipv6());
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
        self.rib.expire(self.now);
    }

    /// The path to an address, as text; empty if there is none.
    pub(crate) fn path(&mut self, address: &str) -> String {
        let snapshot = self.rib.snapshot();
        snapshot.longest_match(address.parse().unwrap()).map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn origin(&mut self, address: &str) -> Option<u32> {
        self.rib.snapshot().longest_match(address.parse().unwrap()).and_then(bmp::Path::origin)
    }

    /// Each route as `prefix path`, in order.
    pub(crate) fn routes(&self) -> Vec<String> {
        self.rib.routes().map(|route| format!("{} {}", route.prefix, route.path)).collect()
    }

    pub(crate) fn tables(&self) -> Vec<Table> {
        self.rib.routes().map(|route| route.table).collect()
    }
}

pub(crate) fn network(text: &str) -> Network {
    let (address, length) = text.split_once('/').unwrap();
    (address.parse().unwrap(), length.parse().unwrap())
}

pub(crate) fn networks_of(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| network(text)).collect()
}
