//! Options of sockets for which no safe library has a function.
#![expect(unsafe_code, reason = "these options have no safe wrapper")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Asks the kernel for its receive time and drop count with each datagram.
pub(crate) fn ask_for_times_and_drops(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
}

/// Asks for a receive buffer beyond net.core.rmem_max, which only root may have; nothing changes for other users.
pub(crate) fn raise_receive_buffer(socket: BorrowedFd<'_>, octets: usize) {
    if let Ok(octets) = libc::c_int::try_from(octets) {
        let _ = set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets);
    }
}

/// Lets a socket send from addresses that this host does not have (ip(7), IP_TRANSPARENT). Needs CAP_NET_RAW.
pub(crate) fn allow_any_source(socket: BorrowedFd<'_>, destination: SocketAddr) -> io::Result<()> {
    match destination {
        SocketAddr::V4(_) => set(socket, libc::SOL_IP, libc::IP_TRANSPARENT, 1),
        SocketAddr::V6(_) => set(socket, libc::SOL_IPV6, libc::IPV6_TRANSPARENT, 1),
    }
}

/// Lets IPv4 routers fragment what is sent (ip(7), IP_MTU_DISCOVER). IPv6 routers never do.
pub(crate) fn allow_fragments(socket: BorrowedFd<'_>, destination: SocketAddr) -> io::Result<()> {
    match destination {
        SocketAddr::V4(_) => set(socket, libc::SOL_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
        SocketAddr::V6(_) => Ok(()),
    }
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: these options take an int, and the pointer and the size are those of one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
