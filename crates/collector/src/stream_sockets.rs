//! Options of TCP sockets: those of BMP sessions and of export connections.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A router that has nothing to send may be silent for days. The kernel asks it for a sign of life when it has been silent for
/// this long, and after some more without an answer, the connection is lost: two minutes in all.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

/// A listening socket. `beside`: this process listens on an overlapping address, such as `0.0.0.0` with the same port.
pub(crate) fn listen(address: SocketAddr, beside: bool) -> io::Result<TcpListener> {
    // Without SO_REUSEPORT first: this fails when another process listens there.
    if !beside && address.port() != 0 {
        socket(address)?.bind(&address.into())?;
    }
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    match address {
        // At boot, addresses may come later.
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    Ok(socket)
}

/// Makes an accepted connection ready: reads return at once, and a router that is gone is noticed.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    SockRef::from(stream).set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_RETRIES))
}
