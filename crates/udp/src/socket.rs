//! Binding: for each listen address one socket per thread, all on the same port (SO_REUSEPORT); or adopting sockets that
//! another process has bound.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

use socket2::{Domain, Protocol, SockRef, Type};

use crate::queue::{self, Queue};
use crate::socket_option;
use crate::steer::{Steering, steer};

/// A bound UDP socket, non-blocking.
#[derive(Debug)]
pub struct Socket {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    receive_buffer: usize,
    dropped_before: u32,
}

impl Socket {
    /// The address it is bound to, with the port that the kernel chose if 0 was requested.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it receives datagrams that are sent to an address. A socket bound to `[::]` may receive IPv4 as well.
    #[must_use]
    pub fn serves(&self, address: SocketAddr) -> bool {
        let takes_both = || SockRef::from(self.socket.as_ref()).only_v6().is_ok_and(|only| !only);
        let anywhere = |address: SocketAddr| address.ip().is_unspecified();
        let all_of_port = self.address.port() == address.port() && anywhere(self.address) && anywhere(address);
        self.address == address || all_of_port && self.address.is_ipv6() && takes_both()
    }

    /// Size of the receive buffer that the kernel granted, in octets; it may be less than requested.
    #[must_use]
    pub const fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Length of the receive queue, and drops.
    ///
    /// # Errors
    /// The kernel's.
    pub fn queue(&self) -> io::Result<Queue> {
        queue::of(self.as_fd())
    }

    /// Datagrams that an adopted socket dropped before it was adopted; wraps at 2^32, as [`crate::Received::dropped`].
    #[must_use]
    pub const fn dropped_before(&self) -> u32 {
        self.dropped_before
    }
}

/// Reads the drop count of a socket from any thread, also when no datagram arrives.
#[derive(Debug)]
pub struct DropCount(Weak<UdpSocket>);

impl DropCount {
    /// The drop count of this socket, without keeping it open.
    #[must_use]
    pub fn of(socket: &Socket) -> Self {
        Self(Arc::downgrade(&socket.socket))
    }

    /// Drops since the socket was opened; wraps at 2^32, as [`crate::Received::dropped`]. `None` once it is closed.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self) -> io::Result<Option<u32>> {
        self.0.upgrade().map(|socket| queue::of(socket.as_fd()).map(|queue| queue.dropped)).transpose()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Binds `threads` sockets to one address; the kernel distributes datagrams among them.
///
/// # Errors
/// When the address cannot be bound. An address that another program has bound is refused: SO_REUSEPORT alone would let
/// both share it, and each would lose half of the traffic.
pub fn bind(address: SocketAddr, threads: usize, steering: Steering, receive_buffer: usize) -> io::Result<Vec<Socket>> {
    // Without SO_REUSEPORT this fails when the port is in use, whatever options the other socket has.
    if address.port() != 0 {
        try_bind(address)?;
    }
    bind_beside(address, threads, steering, receive_buffer)
}

/// As [`bind`], for an address that overlaps with sockets of this process that are about to close (the same port of one
/// address and of the unspecified one). Does not detect another program of the same user on that port.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind_beside(
    address: SocketAddr,
    threads: usize,
    steering: Steering,
    receive_buffer: usize,
) -> io::Result<Vec<Socket>> {
    let first = bind_one(address, receive_buffer)?;
    let address = first.address;
    if threads > 1 {
        steer(first.as_fd(), steering, address.is_ipv6(), threads)?;
    }
    let mut sockets = vec![first];
    for _ in 1..threads {
        sockets.push(bind_one(address, receive_buffer)?);
    }
    Ok(sockets)
}

/// Checks that an address can be bound now, and releases it again.
///
/// # Errors
/// When it cannot be bound.
pub fn try_bind(address: SocketAddr) -> io::Result<()> {
    open(address, false).map(drop)
}

/// Whether this host has the address of this socket address now. Sockets are also bound to others, and receive when the host
/// has them.
///
/// # Errors
/// When no socket can be made.
pub fn is_here(address: SocketAddr) -> io::Result<bool> {
    match UdpSocket::bind(SocketAddr::new(address.ip(), 0)) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(false),
        bound => bound.map(|_| true),
    }
}

/// Adopts sockets that are bound to one address, with the datagrams in their queues. Several sockets form a
/// SO_REUSEPORT group, in the order in which they were bound.
///
/// # Errors
/// When the kernel refuses an option.
pub fn adopt(sockets: Vec<UdpSocket>, steering: Steering, receive_buffer: usize) -> io::Result<Vec<Socket>> {
    let sockets: Vec<Socket> =
        sockets.into_iter().map(|socket| prepare(socket, receive_buffer)).collect::<io::Result<_>>()?;
    if let [first, _, ..] = sockets.as_slice() {
        steer(first.as_fd(), steering, first.address.is_ipv6(), sockets.len())?;
    }
    Ok(sockets)
}

fn bind_one(address: SocketAddr, receive_buffer: usize) -> io::Result<Socket> {
    prepare(open(address, true)?, receive_buffer)
}

fn prepare(socket: UdpSocket, receive_buffer: usize) -> io::Result<Socket> {
    socket.set_nonblocking(true)?;
    let reference = SockRef::from(&socket);
    // The kernel silently caps this at net.core.rmem_max; root may exceed the cap.
    reference.set_recv_buffer_size(receive_buffer)?;
    socket_option::raise_receive_buffer(socket.as_fd(), receive_buffer);
    socket_option::ask_for_times_and_drops(socket.as_fd())?;
    // Linux reports twice the usable size (socket(7), SO_RCVBUF).
    let receive_buffer = reference.recv_buffer_size()? / 2;
    let address = socket.local_addr()?;
    let dropped_before = queue::of(socket.as_fd())?.dropped;
    Ok(Socket { socket: Arc::new(socket), address, receive_buffer, dropped_before })
}

fn open(address: SocketAddr, share: bool) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // So that 0.0.0.0 and [::] can both be bound, and an IPv4 exporter never appears as an IPv6 address.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(share)?;
    match socket.bind(&address.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && !address.ip().is_unspecified() => {
            // It receives as soon as the host has the address (ip(7), IP_FREEBIND): at boot, addresses may come later.
            match address {
                SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
                SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
            }
            socket.bind(&address.into())?;
        }
        bound => bound?,
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_the_host_has_not_yet_is_bound() {
        for (address, has) in [("192.0.2.1:0", false), ("127.0.0.1:0", true)] {
            let address = address.parse().unwrap();
            assert_eq!(is_here(address).unwrap(), has);
            let sockets = bind(address, 2, Steering::Source, 1 << 16).unwrap();
            let port = sockets[0].address().port();
            assert_eq!(sockets[1].address(), SocketAddr::new(address.ip(), port));
            let taken = bind(sockets[0].address(), 2, Steering::Source, 1 << 16).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn a_socket_of_both_families_serves_both() {
        for (only_v6, serves_v4) in [(false, true), (true, false)] {
            let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
            socket.set_only_v6(only_v6).unwrap();
            socket.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            let adopted = adopt(vec![socket.into()], Steering::Source, 1 << 16).unwrap().remove(0);
            let at = |text: &str| SocketAddr::new(text.parse().unwrap(), adopted.address().port());
            assert!(adopted.serves(at("::")) && !adopted.serves(at("127.0.0.1")));
            assert_eq!(adopted.serves(at("0.0.0.0")), serves_v4);
        }
    }
}
