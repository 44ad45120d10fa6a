//! Sockets that the service manager opened and keeps open (sd_listen_fds(3)): datagrams that arrive while no collector
//! runs wait in them for the next one.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::SockRef;

/// Sockets that were passed to this process and are not in use yet.
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// Bound UDP sockets, in the order of the service manager.
    pub datagrams: Vec<UdpSocket>,
    /// Listening TCP sockets.
    pub streams: Vec<TcpListener>,
    /// Connections that an earlier process has given to the service manager under the name [`Self::KEPT`].
    pub kept: Vec<TcpStream>,
}

impl PassedSockets {
    /// The name of connections that the service manager keeps for the next process (FDNAME of sd_notify(3)).
    pub const KEPT: &str = "export-connection";

    /// Takes the sockets that were passed to this process: none when it was started without, and none on the second call.
    /// Child processes do not inherit them. Call it before any thread starts, because it removes `LISTEN_FDS` and
    /// `LISTEN_PID` from the environment.
    ///
    /// # Errors
    /// When a descriptor is neither a bound UDP socket nor a listening TCP socket, nor a connection that was kept.
    pub fn take() -> io::Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut descriptors = ListenFd::from_env();
        let mut passed = Self::default();
        for index in 0..descriptors.len() {
            let refused = |_| {
                let what = format!("socket {} of LISTEN_FDS is neither UDP nor a listening TCP socket", index + 1);
                io::Error::new(io::ErrorKind::InvalidInput, what)
            };
            if let Ok(socket) = descriptors.take_udp_socket(index) {
                passed.datagrams.extend(socket);
            } else if let Some(socket) = descriptors.take_tcp_listener(index).map_err(refused)? {
                // `listenfd` accepts a connected socket as well.
                match (SockRef::from(&socket).is_listener()?, names.get(index)) {
                    (true, _) => passed.streams.push(socket),
                    (false, Some(&Self::KEPT)) => passed.kept.push(TcpStream::from(OwnedFd::from(socket))),
                    (false, _) => return Err(refused(io::ErrorKind::InvalidInput.into())),
                }
            }
        }
        Ok(passed)
    }

    /// Removes and returns the UDP sockets that are bound to this address.
    pub fn take_datagrams(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        self.datagrams.extract_if(.., |socket| socket.local_addr().is_ok_and(|at| at == address)).collect()
    }

    /// Removes and returns the TCP socket that listens at this address.
    pub fn take_stream(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let position = self.streams.iter().position(|socket| socket.local_addr().is_ok_and(|at| at == address))?;
        Some(self.streams.remove(position))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::process::Command;

    use super::*;

    #[test]
    fn sockets_are_found_by_their_address() {
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (receiving, serving) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let mut passed = PassedSockets { datagrams: vec![udp], streams: vec![tcp], ..PassedSockets::default() };
        assert!(passed.take_datagrams("127.0.0.2:1".parse().unwrap()).is_empty());
        assert_eq!(passed.take_datagrams(receiving).len(), 1);
        assert!(passed.take_stream(receiving).is_none());
        assert!(passed.take_stream(serving).is_some());
        assert!(passed.datagrams.is_empty() && passed.streams.is_empty());
    }

    /// The part of the next test that runs in a process of its own; in any other, nothing was passed.
    #[test]
    fn child() {
        let shown = match PassedSockets::take() {
            Ok(passed) => format!("{} UDP, {} TCP", passed.datagrams.len(), passed.streams.len()),
            Err(error) => error.to_string(),
        };
        let again = PassedSockets::take().unwrap();
        assert!(again.datagrams.is_empty() && again.streams.is_empty());
        println!("passed: {shown}.");
    }

    /// Starts a process with these descriptors as numbers 3 and 4, and returns what it takes.
    fn taken(third: OwnedFd, fourth: OwnedFd) -> String {
        let this = std::env::current_exe().unwrap();
        let script =
            "LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" --exact --nocapture socket_activation::tests::child 3<&0 4<&2";
        let output = Command::new("sh").args(["-c", script]).arg(this).stdin(third).stderr(fourth).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn udp_and_listening_tcp_sockets_are_taken_and_anything_else_is_refused() {
        let udp = || OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap());
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let both = taken(udp(), listener.into());
        assert!(both.contains("passed: 1 UDP, 1 TCP."), "{both}");
        for stranger in [connected.into(), OwnedFd::from(file)] {
            let refused = taken(udp(), stranger);
            assert!(refused.contains("passed: socket 2 of LISTEN_FDS is neither"), "{refused}");
        }
    }
}
