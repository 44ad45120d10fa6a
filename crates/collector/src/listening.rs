//! The sockets of all addresses, and their distribution over the threads.
//!
//! A socket passed by the service manager is read by one thread, and no other is bound beside it: a restart loses the
//! datagrams queued in a socket of our own, but not those in a passed one. So for several threads to read an address, as
//! many sockets must be passed (`ReusePort=yes`).

use std::io;
use std::net::{SocketAddr, UdpSocket};

use udp::{PassedSockets, Socket};

use crate::settings::Settings;
use crate::start_error::StartError;

/// An address on which the collector receives.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The configured addresses that it serves: its own, or the one with port 0. A passed socket of both families serves
    /// two.
    pub(crate) configured: Vec<SocketAddr>,
    /// The bound address.
    pub(crate) bound: SocketAddr,
    /// Whether its sockets were passed by the service manager, which keeps them open.
    pub(crate) is_passed: bool,
}

/// The sockets of an address.
pub(crate) type Bound = (Place, Vec<Socket>);

/// The sockets of each address: those that were passed, else one for each thread.
pub(crate) fn listen(settings: &mut Settings) -> Result<Vec<Bound>, StartError> {
    let passed = std::mem::take(&mut settings.passed);
    let mut bound = adopt(settings, passed)?;
    for address in &settings.reloadable.listen {
        // The passed ones are there first: one that takes both families would be in the way of binding the other.
        let serves = |(_, sockets): &&mut Bound| sockets.iter().any(|socket| socket.serves(*address));
        if let Some((place, _)) = bound.iter_mut().find(serves) {
            place.configured.push(*address);
        } else {
            bound.extend(open(*address, settings, &[])?);
        }
    }
    let granted = bound.iter().flat_map(|(_, sockets)| sockets).map(Socket::receive_buffer).min();
    let granted = granted.ok_or(StartError::NoAddress)?;
    if granted < settings.receive_buffer {
        tracing::warn!(
            granted,
            asked = settings.receive_buffer,
            "the kernel limits the receive buffer, so bursts may be dropped; to raise the limit: sysctl -w net.core.rmem_max={}",
            settings.receive_buffer
        );
    }
    Ok(bound)
}

/// Binds an additional address; `None` if this host has no IPv6.
pub(crate) fn open(address: SocketAddr, settings: &Settings, there: &[Place]) -> Result<Option<Bound>, StartError> {
    // Two families never overlap: [::] is bound for IPv6 alone.
    let overlaps = |Place { bound, .. }: &Place| {
        let everywhere = bound.ip().is_unspecified() || address.ip().is_unspecified();
        everywhere && bound.port() == address.port() && bound.is_ipv4() == address.is_ipv4()
    };
    let bind = match there.iter().any(overlaps) {
        true => udp::bind_beside,
        false => udp::bind,
    };
    match bind(address, settings.threads, settings.steering, settings.receive_buffer) {
        Ok(sockets) => {
            let bound = sockets.first().map_or(address, Socket::address);
            if matches!(udp::is_here(address), Ok(false)) {
                tracing::warn!(%address, "this host does not have this address yet, receiving there as soon as it has");
            }
            Ok(Some((Place { configured: vec![address], bound, is_passed: false }, sockets)))
        }
        // A host without IPv6 has no [::] to bind; its IPv4 addresses serve it well.
        Err(error)
            if lacks_family(&error)
                && settings.reloadable.listen.iter().any(SocketAddr::is_ipv4)
                && address.is_ipv6() =>
        {
            tracing::warn!(%address, %error, "this host has no IPv6, not receiving there");
            Ok(None)
        }
        Err(error) => Err(StartError::Listen { address, error }),
    }
}

/// The passed sockets, by address.
fn adopt(settings: &Settings, passed: Vec<UdpSocket>) -> Result<Vec<Bound>, StartError> {
    let mut passed = PassedSockets { datagrams: passed, ..PassedSockets::default() };
    let mut adopted = Vec::new();
    for address in &settings.reloadable.listen {
        let sockets = passed.take_datagrams(*address);
        if sockets.is_empty() {
            continue;
        }
        let sockets = udp::adopt(sockets, settings.steering, settings.receive_buffer)
            .map_err(|error| StartError::Listen { address: *address, error })?;
        let dropped = sockets.iter().map(Socket::dropped_before).fold(0, u32::wrapping_add);
        tracing::info!(%address, sockets = sockets.len(), "using sockets from systemd; datagrams dropped while down: {dropped}");
        adopted.push((Place { configured: Vec::new(), bound: *address, is_passed: true }, sockets));
    }
    match passed.datagrams.first().map(UdpSocket::local_addr) {
        Some(Ok(address)) => Err(StartError::Passed(address)),
        _ => Ok(adopted),
    }
}

/// Whether this host lacks the family of the address.
pub(crate) fn lacks_family(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Distributes the sockets of each address over the threads. Addresses with few sockets begin at different threads.
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
