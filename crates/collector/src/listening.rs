//! Sockets for all addresses, and which thread reads which of them.
//!
//! A socket that the service manager passed is read by one thread, and none of our own is bound beside it: what waits in
//! ours is lost at a restart, what waits in a passed one is there for the next collector. So an address takes as many
//! passed sockets (`ReusePort=yes`) as threads are to read there.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use udp::{PassedSockets, Socket};

use crate::start::{Settings, StartError};

/// The sockets of each address: those that were passed, or else one for each thread.
pub(crate) fn listen(settings: &mut Settings) -> Result<Vec<Vec<Socket>>, StartError> {
    let passed = std::mem::take(&mut settings.passed);
    let mut bound = adopt(settings, passed)?;
    for address in &settings.listen {
        // The passed ones are there first: one that takes both families would be in the way of binding the other.
        if bound.iter().flatten().any(|socket| socket.serves(*address)) {
            continue;
        }
        match udp::bind(*address, settings.threads, settings.receive_buffer) {
            Ok(sockets) => bound.push(sockets),
            // A host without IPv6 has no [::] to bind; its IPv4 addresses serve it well.
            Err(error)
                if lacks_family(&error) && settings.listen.iter().any(SocketAddr::is_ipv4) && address.is_ipv6() =>
            {
                tracing::warn!(%address, %error, "this host has no IPv6; not receiving there");
            }
            Err(error) => return Err(StartError::Listen { address: *address, error }),
        }
    }
    let granted = bound.iter().flatten().map(Socket::receive_buffer).min().ok_or(StartError::NoAddress)?;
    if granted < settings.receive_buffer {
        tracing::warn!(
            granted,
            asked = settings.receive_buffer,
            "the kernel caps the receive buffer, so that bursts may be dropped; mend it with: sysctl -w net.core.rmem_max={}",
            settings.receive_buffer
        );
    }
    Ok(bound)
}

/// The passed sockets of each address that has some.
fn adopt(settings: &Settings, passed: Vec<UdpSocket>) -> Result<Vec<Vec<Socket>>, StartError> {
    let mut passed = PassedSockets { datagrams: passed, ..PassedSockets::default() };
    let mut adopted = Vec::new();
    for address in &settings.listen {
        let sockets = passed.take_datagrams(*address);
        if sockets.is_empty() {
            continue;
        }
        let sockets = udp::adopt(sockets, settings.receive_buffer)
            .map_err(|error| StartError::Listen { address: *address, error })?;
        let dropped = sockets.iter().map(Socket::dropped_before).fold(0, u32::wrapping_add);
        tracing::info!(%address, sockets = sockets.len(), dropped, "the sockets were passed; so many datagrams were dropped there before this start");
        adopted.push(sockets);
    }
    match passed.datagrams.first().map(UdpSocket::local_addr) {
        Some(Ok(address)) => Err(StartError::Passed(address)),
        _ => Ok(adopted),
    }
}

fn lacks_family(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Where they receive, each address once.
pub(crate) fn addresses(by_address: &[Vec<Socket>]) -> Vec<SocketAddr> {
    by_address.iter().filter_map(|sockets| sockets.first()).map(Socket::address).collect()
}

/// From the sockets of each address to the sockets of each thread. Addresses with few sockets begin at different threads.
pub(crate) fn per_thread(by_address: Vec<Vec<Socket>>, threads: usize) -> Vec<Vec<Socket>> {
    let mut by_thread: Vec<Vec<Socket>> = (0..threads).map(|_| Vec::new()).collect();
    let placed = by_address.into_iter().enumerate().flat_map(|(address, sockets)| {
        let first = if sockets.len() < threads { address } else { 0 };
        sockets.into_iter().enumerate().map(move |(number, socket)| (first + number, socket))
    });
    for (place, socket) in placed {
        if let Some(sockets) = by_thread.get_mut(place % threads.max(1)) {
            sockets.push(socket);
        }
    }
    by_thread
}
