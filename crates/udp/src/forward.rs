//! Forwarding: datagrams that others have sent are sent to one more destination, from a port of this host, or from the
//! address and port that they came from.
//!
//! To keep the source, the socket is a raw one for UDP (raw(7)): a UDP socket would have to be bound to each source port,
//! and would receive there what is not for it. The kernel still makes the IP header with IP_TRANSPARENT, and fragments what
//! is longer than the MTU, which it refuses for sockets with IP_HDRINCL. This file adds the UDP header.
#![expect(unsafe_code, reason = "sendmmsg and poll have no safe wrapper that fits")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::socket_option::{allow_any_source, allow_fragments};
use crate::source_address::Control;

/// The most datagrams in a system call.
const BATCH: usize = 64;
/// The send buffer that the kernel is asked for, in octets; it grants at most net.core.wmem_max.
const SEND_BUFFER: usize = 1 << 20;
/// Nothing is read from these sockets.
const RECEIVE_BUFFER: usize = 4096;
/// Octets of a UDP header (RFC 768).
const UDP_HEADER: usize = 8;

/// A socket that forwards datagrams to one destination, without waiting for room in its buffer.
#[derive(Debug)]
pub struct Forwarder {
    socket: Socket,
    destination: SocketAddr,
    keeps_source: bool,
}

/// A datagram to forward.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'p> {
    /// Where it came from.
    pub source: SocketAddr,
    /// The UDP payload.
    pub payload: &'p [u8],
}

impl Forwarder {
    /// Opens a socket. `keeps_source` sends each datagram from the address and port that it came from, which needs
    /// CAP_NET_RAW; its source must be of the family of the destination.
    ///
    /// # Errors
    /// The kernel's: `PermissionDenied` without the capability.
    pub fn open(destination: SocketAddr, keeps_source: bool) -> io::Result<Self> {
        let kind = if keeps_source { Type::RAW } else { Type::DGRAM };
        let socket = Socket::new(Domain::for_address(destination), kind, Some(Protocol::UDP))?;
        if keeps_source {
            // A raw socket gets a copy of every datagram that this host receives, until it is connected.
            socket.attach_filter(&[SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0)])?;
            allow_any_source(socket.as_fd(), destination)?;
            // "Too large for a link" would be reported to the source, not to this host.
            allow_fragments(socket.as_fd(), destination)?;
        }
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        Ok(Self { socket, destination, keeps_source })
    }

    /// Chooses the route, and without the source of the datagrams, the address to send from. Must be called before the first
    /// datagram.
    ///
    /// # Errors
    /// If there is no route at present.
    pub fn connect(&self) -> io::Result<()> {
        let mut destination = self.destination;
        if self.keeps_source {
            // Raw sockets have no ports, and IPv6 refuses one.
            destination.set_port(0);
        }
        self.socket.connect(&destination.into())
    }

    /// Whether it can send a datagram with this source.
    #[must_use]
    pub fn carries(destination: SocketAddr, keeps_source: bool, source: IpAddr) -> bool {
        !keeps_source || destination.is_ipv4() == source.is_ipv4()
    }

    /// Sends at least one datagram; returns how many.
    ///
    /// # Errors
    /// The kernel's, and nothing was sent: `WouldBlock` if there is no room now; `ConnectionRefused` and other ICMP errors
    /// about an earlier datagram; or an error of the first one.
    pub fn send(&self, datagrams: &[Forwarded<'_>]) -> io::Result<usize> {
        let datagrams = datagrams.get(..BATCH).unwrap_or(datagrams);
        let mut controls = [Control::EMPTY; BATCH];
        let mut heads = [[0_u8; UDP_HEADER]; BATCH];
        // SAFETY: plain C structs for which all zeroes is a valid value (null pointers, no lengths).
        let (mut pieces, mut headers) = unsafe {
            (
                MaybeUninit::<[[libc::iovec; 2]; BATCH]>::zeroed().assume_init(),
                MaybeUninit::<[libc::mmsghdr; BATCH]>::zeroed().assume_init(),
            )
        };
        let buffers = headers.iter_mut().zip(&mut pieces).zip(heads.iter_mut().zip(&mut controls));
        for (datagram, ((header, pieces), (head, control))) in datagrams.iter().zip(buffers) {
            let header = &mut header.msg_hdr;
            let payload = piece(datagram.payload.as_ptr(), datagram.payload.len());
            if self.keeps_source {
                *head = udp_header(datagram, self.destination);
                *pieces = [piece(head.as_ptr(), head.len()), payload];
                control.name_source(datagram.source.ip(), header);
            } else {
                *pieces = [payload, piece(std::ptr::null(), 0)];
            }
            header.msg_iov = pieces.as_mut_ptr();
            header.msg_iovlen = pieces.len() as _;
        }
        // SAFETY: the first `datagrams.len()` headers point at pieces and control buffers of the arrays above, each piece at
        // a head in them or a payload that is borrowed until the call returns, all with their true sizes; sendmmsg writes to
        // nothing but `msg_len`.
        let sent = unsafe {
            libc::sendmmsg(
                self.socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                datagrams.len() as libc::c_uint,
                libc::MSG_NOSIGNAL as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Waits until there is room to send, or the time has passed. A signal ends the wait too.
    pub fn wait(&self, timeout: Duration) {
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut polled = libc::pollfd { fd: self.socket.as_fd().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: the pointer is to one pollfd, which is borrowed exclusively until the call returns.
        unsafe { libc::poll(&raw mut polled, 1, milliseconds) };
    }
}

/// Octets that the kernel only reads.
fn piece(start: *const u8, length: usize) -> libc::iovec {
    libc::iovec { iov_base: start.cast_mut().cast(), iov_len: length }
}

/// The UDP header of a forwarded datagram, with its checksum (RFC 768; RFC 8200, section 8.1).
fn udp_header(datagram: &Forwarded<'_>, destination: SocketAddr) -> [u8; UDP_HEADER] {
    let ([source_high, source_low], [port_high, port_low]) =
        (datagram.source.port().to_be_bytes(), destination.port().to_be_bytes());
    // A payload that was received in a datagram fits into one.
    let length = (UDP_HEADER + datagram.payload.len()) as u16;
    let [length_high, length_low] = length.to_be_bytes();
    let pseudo = u64::from(libc::IPPROTO_UDP as u16) + u64::from(length);
    let sum = pseudo
        + sum_of_address(datagram.source.ip())
        + sum_of_address(destination.ip())
        + u64::from(datagram.source.port())
        + u64::from(destination.port())
        + u64::from(length)
        + sum_of(datagram.payload);
    let [checksum_high, checksum_low] = checksum(sum).to_be_bytes();
    [source_high, source_low, port_high, port_low, length_high, length_low, checksum_high, checksum_low]
}

fn sum_of_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => sum_of(&address.octets()),
        IpAddr::V6(address) => sum_of(&address.octets()),
    }
}

/// The sum of all 16-bit words; an odd octet at the end is the high one of a word.
fn sum_of(octets: &[u8]) -> u64 {
    let mut words = octets.chunks_exact(2);
    let sum: u64 = words.by_ref().map(|word| u64::from(word.try_into().map_or(0, u16::from_be_bytes))).sum();
    sum + words.remainder().first().map_or(0, |last| u64::from(*last) << 8)
}

/// The complement of the sum in 16 bits; 0 would mean that there is none.
fn checksum(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        checksum => checksum,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn receiver(address: &str) -> UdpSocket {
        let receiver = UdpSocket::bind(address).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        receiver
    }

    fn forward(forwarder: &Forwarder, datagrams: &[Forwarded<'_>]) {
        let mut rest = datagrams;
        while !rest.is_empty() {
            match forwarder.send(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => forwarder.wait(Duration::from_secs(1)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn datagrams_arrive_whole_and_in_order_from_one_port_of_this_host() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let receiver = receiver(address);
            let forwarder = Forwarder::open(receiver.local_addr().unwrap(), false).unwrap();
            forwarder.connect().unwrap();
            let payloads: Vec<Vec<u8>> = (0..80_u8).map(|number| vec![number; 11 * usize::from(number)]).collect();
            let datagrams: Vec<_> =
                payloads.iter().map(|payload| Forwarded { source: "192.0.2.1:5".parse().unwrap(), payload }).collect();
            forward(&forwarder, &datagrams);
            let (mut buffer, mut sources) = ([0; 2048], Vec::new());
            for payload in &payloads {
                let (length, source) = receiver.recv_from(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], payload);
                sources.push(source);
            }
            sources.dedup();
            assert_eq!(sources, [forwarder.socket.local_addr().unwrap().as_socket().unwrap()]);
        }
    }

    /// Needs CAP_NET_RAW; the tests of the program are run as root.
    #[test]
    fn datagrams_of_any_length_keep_address_and_port() {
        for (address, source) in [("127.0.0.1:0", "192.0.2.1:2055"), ("[::1]:0", "[2001:db8::1]:2055")] {
            let receiver = receiver(address);
            let forwarder = match Forwarder::open(receiver.local_addr().unwrap(), true) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return eprintln!("NOT RUN: CAP_NET_RAW is needed");
                }
                opened => opened.unwrap(),
            };
            forwarder.connect().unwrap();
            let source: SocketAddr = source.parse().unwrap();
            let mut buffer = vec![0; 65_535];
            // The loopback interface has an MTU of 65,536.
            for length in [0, 1, 2, 1463, 65_000] {
                let payload: Vec<u8> = (0..length).map(|index| (index * 7 % 256) as u8).collect();
                forward(&forwarder, &[Forwarded { source, payload: &payload }]);
                let (length, from) = receiver.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..length], from), (&payload[..], source));
            }
        }
    }

    #[test]
    fn without_a_listener_the_error_is_about_an_earlier_datagram() {
        let taken = receiver("127.0.0.1:0");
        let forwarder = Forwarder::open(taken.local_addr().unwrap(), false).unwrap();
        forwarder.connect().unwrap();
        drop(taken);
        let datagram = Forwarded { source: "192.0.2.1:5".parse().unwrap(), payload: b"lost" };
        let results: Vec<_> = (0..4).map(|_| forwarder.send(&[datagram]).map_err(|error| error.kind())).collect();
        let refused = Err(io::ErrorKind::ConnectionRefused);
        assert_eq!(results, [Ok(1), refused, Ok(1), refused]);
    }

    /// The example of RFC 1071, section 3, and the edges.
    #[test]
    fn checksums_are_those_of_the_rfc() {
        assert_eq!(sum_of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x2_ddf0);
        assert_eq!(checksum(0x2_ddf0), 0x220d);
        assert_eq!(sum_of(&[1, 2, 3]), 0x0102 + 0x0300);
        assert_eq!((checksum(0xffff), checksum(0)), (0xffff, 0xffff));
    }
}
