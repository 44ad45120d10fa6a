//! Options that a socket gets when it is bound, for which no safe library has a function.
#![expect(unsafe_code, reason = "SO_RXQ_OVFL and SO_RCVBUFFORCE have no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Asks the kernel for its receive time and drop count with each datagram.
pub(crate) fn ask_for_times_and_drops(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SO_TIMESTAMPNS, 1)?;
    set_option(socket, libc::SO_RXQ_OVFL, 1)
}

/// Asks for a receive buffer beyond net.core.rmem_max, which only root may have; nothing changes for other users.
pub(crate) fn raise_receive_buffer(socket: BorrowedFd<'_>, octets: usize) {
    if let Ok(octets) = libc::c_int::try_from(octets) {
        let _ = set_option(socket, libc::SO_RCVBUFFORCE, octets);
    }
}

fn set_option(socket: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: these options take an int, and the pointer and the size are those of one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
