//! What waits in a socket to be read, and what did not find room there (SO_MEMINFO, socket(7)).
#![expect(unsafe_code, reason = "SO_MEMINFO has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The receive queue of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// What waits, in octets of the kernel's memory: about 2300 for a datagram of 1500 octets.
    pub octets: u32,
    /// How much may wait, in the same unit.
    pub limit: u32,
    /// Datagrams that had to be dropped since the socket was opened, maybe before this process; wraps at 2^32.
    pub dropped: u32,
}

const OCTETS: usize = libc::SK_MEMINFO_RMEM_ALLOC as usize;
const LIMIT: usize = libc::SK_MEMINFO_RCVBUF as usize;
const DROPPED: usize = libc::SK_MEMINFO_DROPS as usize;

/// The queue of a socket just now.
pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<Queue> {
    let mut counts = [0_u32; DROPPED + 1];
    let mut length = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets into the array, which is as long as that.
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
