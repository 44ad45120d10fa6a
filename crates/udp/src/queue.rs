//! The receive queue of a socket: its length, its limit, and the datagrams that did not fit (SO_MEMINFO, socket(7)).
#![expect(unsafe_code, reason = "SO_MEMINFO has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The receive queue of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Length of the queue in octets of kernel memory: about 2300 for a datagram of 1500 octets.
    pub octets: u32,
    /// Its limit, in the same unit.
    pub limit: u32,
    /// Datagrams dropped since the socket was opened, which may be before this process started; wraps at 2^32.
    pub dropped: u32,
}

const OCTETS: usize = libc::SK_MEMINFO_RMEM_ALLOC as usize;
const LIMIT: usize = libc::SK_MEMINFO_RCVBUF as usize;
const DROPPED: usize = libc::SK_MEMINFO_DROPS as usize;

/// The current state of a socket's queue.
pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<Queue> {
    let mut counts = [0_u32; DROPPED + 1];
    let mut length = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets, which is the size of the array.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            counts.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let count = |index: usize| counts.get(index).copied().unwrap_or_default();
    Ok(Queue { octets: count(OCTETS), limit: count(LIMIT), dropped: count(DROPPED) })
}
