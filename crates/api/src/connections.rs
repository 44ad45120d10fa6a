//! The limit on open connections, and which one is closed for a new one.
//!
//! Strangers can open connections and stay silent, or send half a header and stop; with timeouts alone, a few thousand of
//! those would keep everyone else out for seconds. So a connection that does not carry an authenticated request counts
//! as idle, and the one that has been idle longest is closed for a new one. Work is never interrupted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All open connections of a listener.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The ticket of the next connection that begins to wait: tickets order by age.
    next_ticket: u64,
    /// Idle connections, and how to signal that they must close.
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// The number that carry an authenticated request.
    working: usize,
}

impl Table {
    fn wait(&mut self, leave: Arc<Notify>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, leave);
        ticket
    }
}

/// One open connection; clones are the same connection. Its place is free when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    connections: Arc<Connections>,
    ticket: AtomicU64,
    leave: Arc<Notify>,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, table: Mutex::default() })
    }

    /// Seats a new connection; when all places are taken, the longest idle one is closed for it. `None` when all of them
    /// are working.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Connection> {
        let mut table = self.lock();
        if table.waiting.len() + table.working >= self.limit {
            let (_, leave) = table.waiting.pop_first()?;
            leave.notify_one();
        }
        let leave = Arc::new(Notify::new());
        let ticket = AtomicU64::new(table.wait(Arc::clone(&leave)));
        drop(table);
        Some(Connection(Arc::new(Seat { connections: Arc::clone(self), ticket, leave })))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No method leaves the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Returns when this connection must close.
    pub(crate) async fn must_close(&self) {
        self.0.leave.notified().await;
    }

    /// Makes this connection a working one until the guard is dropped.
    pub(crate) fn work(&self) -> Working {
        let mut table = self.0.connections.lock();
        let seated = table.waiting.remove(&self.0.ticket.load(Ordering::Relaxed)).is_some();
        table.working += usize::from(seated);
        Working { connection: self.clone(), seated }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.lock().waiting.remove(&self.ticket.load(Ordering::Relaxed));
    }
}

/// While it lives, its connection is not closed for another.
#[derive(Debug)]
pub(crate) struct Working {
    connection: Connection,
    /// Whether it had a place: it may have lost it a moment before.
    seated: bool,
}

impl Drop for Working {
    fn drop(&mut self) {
        if self.seated {
            let seat = &self.connection.0;
            let mut table = seat.connections.lock();
            table.working -= 1;
            seat.ticket.store(table.wait(Arc::clone(&seat.leave)), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn leaves(connection: &Connection) -> bool {
        pin!(connection.must_close()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn the_one_that_has_waited_longest_gives_way() {
        let connections = Connections::new(2);
        let (first, second) = (connections.open().unwrap(), connections.open().unwrap());
        let third = connections.open().unwrap();
        assert!(leaves(&first) && !leaves(&second) && !leaves(&third));
        drop(first.work());
        let _fourth = connections.open().unwrap();
        assert!(leaves(&second) && !leaves(&third), "one that must close has lost its place");
    }

    #[test]
    fn work_is_never_interrupted_and_counts_as_new_afterwards() {
        let connections = Connections::new(2);
        let (first, second) = (connections.open().unwrap(), connections.open().unwrap());
        let (one, other) = (first.work(), second.work());
        assert!(connections.open().is_none());
        drop(other);
        drop(one);
        let _third = connections.open().unwrap();
        assert!(leaves(&second) && !leaves(&first));
    }

    #[test]
    fn a_closed_connection_leaves_its_place() {
        let connections = Connections::new(1);
        for _ in 0..3 {
            let connection = connections.open().unwrap();
            drop(connection.work());
            assert!(!leaves(&connection));
        }
        let table = connections.lock();
        assert!(table.waiting.is_empty() && table.working == 0);
    }
}
