//! UDP sockets: bound once for each thread, read and written in batches of many datagrams per system call, with the
//! kernel's receive times and drop counts.
//!
//! Nearly all unsafe code of the workspace is in this crate: `recvmmsg`, `sendmmsg`, `poll` and socket options for which
//! no safe library has a form that fits (docs/decisions/0002-udp-receive.md). Nothing here interprets a payload.
//!
//! | file | contents |
//! | --- | --- |
//! | [`socket`] | binding: one socket for each thread and address, receive buffer, address family |
//! | [`receive`] | `recvmmsg` into reused buffers, receive times, drop counts, polling |
//! | `socket_option` | options of sockets |
//! | [`send`] | `sendmmsg` with a source address for each datagram |
//! | [`forward`] | `sendmmsg` of datagrams of others, with their source address and port if wanted |
//! | `source_address` | the source address of a datagram that is sent |
//! | [`socket_activation`] | sockets that the service manager keeps open over restarts |
//! | [`queue`] | length of the kernel's receive queue, and drops |
//! | [`steer`] | which socket of an address gets a datagram |

pub mod forward;
pub mod queue;
pub mod receive;
pub mod send;
pub mod socket;
pub mod socket_activation;
mod socket_option;
mod source_address;
pub mod steer;

pub use forward::{Forwarded, Forwarder};
pub use queue::Queue;
pub use receive::{Batch, Received, SocketSet};
pub use send::{Outgoing, Sender};
pub use socket::{DropCount, Socket, adopt, bind, bind_beside, is_here, try_bind};
pub use socket_activation::PassedSockets;
pub use steer::Steering;
