//! Orders to a thread that waits for sockets: a channel, and a socket that wakes it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

/// Where orders are given.
#[derive(Debug)]
pub(super) struct Orders<T> {
    orders: Sender<T>,
    waker: UnixStream,
}

/// Where they arrive.
#[derive(Debug)]
pub(super) struct Ordered<T> {
    ordered: Receiver<T>,
    woken: UnixStream,
}

/// Both ends.
pub(super) fn orders<T>() -> io::Result<(Orders<T>, Ordered<T>)> {
    let (woken, waker) = UnixStream::pair()?;
    woken.set_nonblocking(true)?;
    waker.set_nonblocking(true)?;
    let (orders, ordered) = channel();
    Ok((Orders { orders, waker }, Ordered { ordered, woken }))
}

impl<T> Orders<T> {
    /// A thread that has died is reported by the stop.
    pub(super) fn give(&self, order: T) {
        let _ = self.orders.send(order);
        // If the pipe is full, the thread will wake up anyway.
        let _ = (&self.waker).write(&[0]);
    }
}

impl<T> Ordered<T> {
    /// The next order, if there is one.
    ///
    /// # Errors
    /// If there is none at present, or there can be none any more.
    pub(super) fn next(&self) -> Result<T, TryRecvError> {
        self.ordered.try_recv()
    }

    /// Makes the socket unreadable until the next order.
    pub(super) fn reset(&self) {
        let mut octets = [0; 64];
        while (&self.woken).read(&mut octets).is_ok_and(|count| count == octets.len()) {}
    }
}

impl<T> AsFd for Ordered<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}
