//! Sockets that the service manager opened and holds (sd_listen_fds(3)): what arrives while no collector runs waits in
//! them for the next one.
#![expect(unsafe_code, reason = "descriptors that were inherited have no safe wrapper")]

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Type;

/// The first descriptor that is passed (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

/// Sockets that were passed and nobody has taken yet.
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// Bound UDP sockets, in the order of the service manager.
    pub datagrams: Vec<UdpSocket>,
    /// Listening TCP sockets.
    pub streams: Vec<TcpListener>,
}

impl PassedSockets {
    /// Takes the sockets that were passed to this process: none when it was started without, and none when it has taken
    /// them before.
    ///
    /// # Errors
    /// When something was passed that is neither a bound UDP socket nor a listening TCP socket.
    pub fn take() -> io::Result<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
        let count = number("LISTEN_FDS").filter(|_| number("LISTEN_PID") == Some(std::process::id())).unwrap_or(0);
        if count == 0 || TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Self::default());
        }
        let mut passed = Self::default();
        for descriptor in (FIRST..).take(count as usize) {
            passed.add(take_descriptor(descriptor)?)?;
        }
        Ok(passed)
    }

    fn add(&mut self, descriptor: OwnedFd) -> io::Result<()> {
        let number = descriptor.as_raw_fd();
        let socket = socket2::Socket::from(descriptor);
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        match (socket.r#type(), address) {
            (Ok(Type::DGRAM), Some(_)) => self.datagrams.push(socket.into()),
            (Ok(Type::STREAM), Some(_)) if socket.is_listener()? => self.streams.push(socket.into()),
            _ => {
                let what = format!("descriptor {number} is neither a UDP socket nor a listening TCP socket");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        }
        Ok(())
    }

    /// Takes out the UDP sockets that are bound to this address.
    pub fn take_datagrams(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        self.datagrams.extract_if(.., |socket| socket.local_addr().is_ok_and(|at| at == address)).collect()
    }

    /// Takes out the TCP socket that listens at this address.
    pub fn take_stream(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let position = self.streams.iter().position(|socket| socket.local_addr().is_ok_and(|at| at == address))?;
        Some(self.streams.remove(position))
    }
}

/// The socket behind an inherited descriptor, which children do not inherit any more.
fn take_descriptor(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call looks at the number only and says whether it is open; it borrows nothing.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        let error = io::Error::last_os_error();
        return Err(io::Error::new(error.kind(), format!("descriptor {descriptor} of LISTEN_FDS: {error}")));
    }
    // SAFETY: it is open, the service manager says by LISTEN_PID that it is meant for this very process, and only the
    // first call of `PassedSockets::take` comes here, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(descriptors: impl IntoIterator<Item = OwnedFd>) -> io::Result<PassedSockets> {
        let mut passed = PassedSockets::default();
        descriptors.into_iter().try_for_each(|descriptor| passed.add(descriptor))?;
        Ok(passed)
    }

    #[test]
    fn sockets_are_told_apart_and_found_by_their_address() {
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (receiving, serving) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let mut passed = passed([udp.into(), tcp.into()]).unwrap();
        assert!(passed.take_datagrams("127.0.0.2:1".parse().unwrap()).is_empty());
        assert_eq!(passed.take_datagrams(receiving).len(), 1);
        assert!(passed.take_stream(receiving).is_none());
        assert!(passed.take_stream(serving).is_some());
        assert!(passed.datagrams.is_empty() && passed.streams.is_empty());
    }

    #[test]
    fn what_is_no_socket_that_can_be_served_is_refused() {
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let connected = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| std::net::TcpStream::connect(listener.local_addr().unwrap()))
            .unwrap();
        for descriptor in [file, connected.into()] {
            let number = descriptor.as_raw_fd();
            let refused = passed([descriptor]).unwrap_err().to_string();
            assert!(refused.contains(&format!("descriptor {number} is neither")), "{refused}");
        }
    }
}
