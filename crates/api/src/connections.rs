//! The open connections, as places that parties share.
//!
//! Strangers can open connections and stay silent, or send half a head and stop; with timeouts alone, a few thousand of
//! those would keep everyone else out for seconds. And one key can send more requests at a time than there are places. So
//! a connection belongs to the key that signed its last request, or to a stranger, and [`Places`] decides who gives way
//! to a new one. It only carries work while it carries a signed request.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::party::{Party, network};
use crate::places::{Place, Places, Taken, Use};

/// All open connections of a listener.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Arc<Places>,
    /// Including those that were notified to close and have not done so yet.
    open: AtomicUsize,
    most_open: usize,
    closed: Notify,
}

/// One open connection; clones are the same connection. Its place is free when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    connections: Arc<Connections>,
    place: Place,
    leave: Arc<Notify>,
}

impl Connections {
    /// A quarter of the places is kept for strangers: for clients that have not yet sent their key, and for those of
    /// `/healthz`, `/readyz` and `/metrics`.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let places = Places::new(limit, limit.div_ceil(4));
        // A few may close while others are opened already.
        let most_open = limit + limit.div_ceil(8);
        Arc::new(Self { places, open: AtomicUsize::new(0), most_open, closed: Notify::new() })
    }

    /// Returns when another connection can be opened. For one caller.
    pub(crate) async fn room(&self) {
        while self.open.load(Ordering::Relaxed) >= self.most_open {
            self.closed.notified().await;
        }
    }

    /// Seats the new connection of a client; another closes for it when all places are taken.
    pub(crate) fn open(self: &Arc<Self>, client: IpAddr) -> Connection {
        let leave = Arc::new(Notify::new());
        let place = self.places.take(Party::Stranger(network(client)), 1, Use::Idle, Arc::clone(&leave));
        self.open.fetch_add(1, Ordering::Relaxed);
        Connection(Arc::new(Seat { connections: Arc::clone(self), place, leave }))
    }

    /// Closes a connection although there are places left, and returns when one has closed; `false` without any. For one
    /// caller.
    pub(crate) async fn make_room(&self) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        let leaves = self.places.make_room();
        while leaves && self.open.load(Ordering::Relaxed) >= open {
            self.closed.notified().await;
        }
        leaves
    }

    pub(crate) fn taken(&self) -> Taken {
        self.places.taken()
    }
}

impl Connection {
    /// Returns when this connection must close.
    pub(crate) async fn must_close(&self) {
        self.0.leave.notified().await;
    }

    /// The signal to close it.
    pub(crate) fn leave(&self) -> Arc<Notify> {
        Arc::clone(&self.0.leave)
    }

    /// Makes this connection one that works for the owner of a key, until the guard is dropped.
    pub(crate) fn work(&self, party: Party) -> Working {
        self.0.place.assign(party, Use::Work);
        Working(self.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.closed.notify_one();
    }
}

/// While it lives, its connection is at work.
#[derive(Debug)]
pub(crate) struct Working(Connection);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.0.place.reuse(Use::Idle);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::party::KeyId;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn is_ready(future: impl Future) -> bool {
        matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }

    fn leaves(connection: &Connection) -> bool {
        is_ready(connection.must_close())
    }

    fn key(name: &str) -> Party {
        Party::Key(KeyId::of(name.as_bytes()))
    }

    #[test]
    fn a_connection_that_has_worked_belongs_to_its_key_and_counts_as_new() {
        let connections = Connections::new(4);
        let open = || connections.open(CLIENT);
        let [first, second, third, fourth] = [open(), open(), open(), open()];
        let (one, other) = (first.work(key("a")), second.work(key("a")));
        drop((other, one));
        let _fifth = open();
        assert!(leaves(&third), "strangers first");
        let _sixth = open();
        assert!(leaves(&fourth), "of these the oldest");
        let _working = first.work(key("a"));
        let _seventh = open();
        assert!(!leaves(&first) && !leaves(&second), "strangers had more than the one place that is kept for them");
    }

    #[test]
    fn a_key_that_works_on_all_connections_makes_room_for_others() {
        let connections = Connections::new(4);
        let greedy: Vec<_> = (0..4).map(|_| connections.open(CLIENT)).collect();
        let _working: Vec<_> = greedy.iter().map(|connection| connection.work(key("greedy"))).collect();
        let other = connections.open(CLIENT);
        assert!(leaves(&greedy[3]));
        let _working = other.work(key("other"));
        let _probe = connections.open(CLIENT);
        assert!(leaves(&greedy[2]) && !leaves(&other) && !leaves(&greedy[0]) && !leaves(&greedy[1]));
    }

    #[test]
    fn those_that_were_notified_to_close_count_until_they_have_closed() {
        let connections = Connections::new(8);
        let mut open: Vec<_> = (0..9).map(|_| connections.open(CLIENT)).collect();
        assert!(leaves(&open[0]) && !is_ready(connections.room()), "nine are open");
        assert!(!is_ready(connections.make_room()) && leaves(&open[1]));
        open.remove(1);
        assert!(is_ready(connections.room()));
        open.clear();
        assert!(is_ready(connections.make_room()), "there is none to close");
        assert_eq!(connections.taken().places, 0);
    }
}
