//! Binding sockets: for each listen address one socket a thread, all on the same port (SO_REUSEPORT).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockRef, Type};

use crate::{receive, steer};

/// A bound UDP socket, non-blocking.
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    receive_buffer: usize,
}

impl Socket {
    /// Where it is bound, with the port that the kernel chose where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Octets of receive buffer that the kernel granted, which may be less than was asked for.
    #[must_use]
    pub const fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Binds `threads` sockets to one address; the kernel gives all datagrams of one source address to the same socket, so
/// that what a thread has learnt about an exporter (its templates) is where its data arrive.
///
/// # Errors
/// When the address cannot be bound. An address that another program has bound is refused, although SO_REUSEPORT alone
/// would let both share it and each lose half of the traffic.
pub fn bind(address: SocketAddr, threads: usize, receive_buffer: usize) -> io::Result<Vec<Socket>> {
    // Without SO_REUSEPORT: fails when somebody else is there, whoever set what options.
    if address.port() != 0 {
        try_bind(address)?;
    }
    let first = bind_one(address, receive_buffer)?;
    let address = first.address;
    if threads > 1 {
        steer::by_source_address(first.as_fd(), address.is_ipv6(), threads)?;
    }
    let mut sockets = vec![first];
    for _ in 1..threads {
        sockets.push(bind_one(address, receive_buffer)?);
    }
    Ok(sockets)
}

/// Whether an address could be bound now; it is not kept.
///
/// # Errors
/// When it cannot be bound.
pub fn try_bind(address: SocketAddr) -> io::Result<()> {
    open(address, false).map(drop)
}

fn bind_one(address: SocketAddr, receive_buffer: usize) -> io::Result<Socket> {
    let socket = open(address, true)?;
    let reference = SockRef::from(&socket);
    // The kernel caps this at net.core.rmem_max without saying so; root may exceed the cap.
    reference.set_recv_buffer_size(receive_buffer)?;
    receive::raise_receive_buffer(socket.as_fd(), receive_buffer);
    receive::ask_for_times_and_drops(socket.as_fd())?;
    // Linux reports twice the usable size (socket(7), SO_RCVBUF).
    let receive_buffer = reference.recv_buffer_size()? / 2;
    let address = socket.local_addr()?;
    Ok(Socket { socket, address, receive_buffer })
}

fn open(address: SocketAddr, share: bool) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // So that 0.0.0.0 and [::] can both be bound, and an IPv4 exporter never shows as an IPv6 address.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
