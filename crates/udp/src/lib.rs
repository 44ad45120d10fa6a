//! UDP sockets for a collector: bound for several threads, read in batches of many datagrams a system call, with the
//! kernel's own receive times and its count of datagrams that it had to drop. And for a load: written in batches.
//!
//! Nearly all unsafe code is in this crate: `recvmmsg`, `sendmmsg`, `poll` and one socket option that no safe library
//! offers in a form that fits (docs/decisions/0002-udp-receive.md). Nothing here knows what a datagram means.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`socket`] | binding: one socket for each thread and address, receive buffer, family |
//! | [`receive`] | `recvmmsg` into reused buffers, receive times, drop counts, waiting |
//! | [`send`] | `sendmmsg` with a source address for each datagram |
//! | [`passed`] | sockets that the service manager holds over restarts |
//! | [`queue`] | what waits in the kernel, what it had to drop |
//! | [`steer`] | which of the sockets of one address the kernel gives a datagram to |

pub mod passed;
pub mod queue;
pub mod receive;
pub mod send;
pub mod socket;
pub mod steer;

pub use passed::PassedSockets;
pub use queue::Queue;
pub use receive::{Batch, Received, SocketSet};
pub use send::{Outgoing, Sender};
pub use socket::{DropCount, Socket, adopt, bind, bind_beside, try_bind};
pub use steer::Steering;
