//! Sending: `sendmmsg` with a source address for each datagram, so that one socket can stand for many exporters.
#![expect(unsafe_code, reason = "sendmmsg has no safe wrapper that takes a source address for each datagram")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

use crate::source_address::Control;

/// A UDP socket with one destination.
#[derive(Debug)]
pub struct Sender {
    socket: UdpSocket,
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'p> {
    /// The source address, which must belong to this machine; `None` for the kernel's choice.
    pub source: Option<Ipv4Addr>,
    /// The UDP payload.
    pub payload: &'p [u8],
}

impl Sender {
    /// Opens a socket for this destination, on a port that the kernel chooses.
    ///
    /// # Errors
    /// When the destination has no route, or no socket can be opened.
    pub fn new(destination: SocketAddr) -> io::Result<Self> {
        let unspecified: SocketAddr = if destination.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }
            .parse()
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        let socket = UdpSocket::bind(unspecified)?;
        socket.connect(destination)?;
        Ok(Self { socket })
    }

    /// The source address of datagrams without their own.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends all of them. A destination without a listener is not an error: a network drops datagrams silently as well.
    ///
    /// # Errors
    /// The kernel's for the first datagram that it refuses, for example because the source is not an address of this
    /// machine; the earlier ones are sent.
    pub fn send(&self, datagrams: &[Outgoing<'_>]) -> io::Result<()> {
        let mut rest = datagrams;
        while !rest.is_empty() {
            match self.send_some(rest) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                // About an earlier datagram; the kernel has not tried this one.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends at least one datagram; returns how many.
    fn send_some(&self, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        let mut controls = vec![Control::EMPTY; datagrams.len()];
        let mut pieces: Vec<_> = datagrams
            .iter()
            .map(|datagram| libc::iovec {
                // The kernel only reads it.
                iov_base: datagram.payload.as_ptr().cast_mut().cast(),
                iov_len: datagram.payload.len(),
            })
            .collect();
        let mut headers: Vec<_> = datagrams
            .iter()
            .zip(&mut pieces)
            .zip(&mut controls)
            .map(|((datagram, piece), control)| header(datagram.source, piece, control))
            .collect();
        // SAFETY: each header points at a piece and a control buffer of these vectors, each piece at a payload that is
        // borrowed until the call returns, all with their true sizes; sendmmsg writes to nothing but `msg_len`.
        let sent = unsafe {
            libc::sendmmsg(
                self.socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_NOSIGNAL as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// A header for one datagram, with its source in a control message.
fn header(source: Option<Ipv4Addr>, piece: &mut libc::iovec, control: &mut Control) -> libc::mmsghdr {
    // SAFETY: a plain C struct for which all zeroes is a valid value (null pointers, no lengths).
    let mut header = unsafe { MaybeUninit::<libc::mmsghdr>::zeroed().assume_init() };
    header.msg_hdr.msg_iov = piece;
    header.msg_hdr.msg_iovlen = 1;
    if let Some(source) = source {
        control.name_source(source.into(), &mut header.msg_hdr);
    }
    header
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn receiver(address: &str) -> UdpSocket {
        let receiver = UdpSocket::bind(address).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        receiver
    }

    fn arrives(receiver: &UdpSocket) -> (SocketAddr, Vec<u8>) {
        let mut buffer = [0; 2048];
        let (length, from) = receiver.recv_from(&mut buffer).unwrap();
        (from, buffer[..length].to_vec())
    }

    #[test]
    fn datagrams_arrive_in_order_each_from_its_own_source() {
        let receiver = receiver("127.0.0.1:0");
        let sender = Sender::new(receiver.local_addr().unwrap()).unwrap();
        let sources = [None, Some(Ipv4Addr::new(127, 0, 0, 9)), Some(Ipv4Addr::new(127, 200, 1, 2)), None];
        let payloads: Vec<Vec<u8>> = (0..4).map(|number| vec![number; 300 * usize::from(number)]).collect();
        let datagrams = sources.iter().zip(&payloads).map(|(source, payload)| Outgoing { source: *source, payload });
        sender.send(&datagrams.collect::<Vec<_>>()).unwrap();
        let own = sender.address().unwrap();
        for (source, payload) in sources.iter().zip(&payloads) {
            let (from, arrived) = arrives(&receiver);
            let expected = source.map_or(own, |source| SocketAddr::new(source.into(), own.port()));
            assert_eq!((from, &arrived), (expected, payload));
        }
    }

    #[test]
    fn ipv6_datagrams_have_the_source_that_the_kernel_chooses() {
        let receiver = receiver("[::1]:0");
        let sender = Sender::new(receiver.local_addr().unwrap()).unwrap();
        sender.send(&[Outgoing { source: None, payload: b"six" }]).unwrap();
        assert_eq!(arrives(&receiver), (sender.address().unwrap(), b"six".to_vec()));
    }

    #[test]
    fn a_destination_without_a_listener_is_not_an_error() {
        let taken = receiver("127.0.0.1:0");
        let sender = Sender::new(taken.local_addr().unwrap()).unwrap();
        drop(taken);
        for _ in 0..5 {
            sender.send(&[Outgoing { source: None, payload: b"lost" }; 3]).unwrap();
        }
    }

    #[test]
    fn a_source_of_another_machine_is_refused() {
        let receiver = receiver("127.0.0.1:0");
        let sender = Sender::new(receiver.local_addr().unwrap()).unwrap();
        let stranger = Outgoing { source: Some(Ipv4Addr::new(192, 0, 2, 1)), payload: b"x" };
        assert!(sender.send(&[stranger]).is_err());
    }
}
