//! Receiving: `recvmmsg` into buffers that are allocated once, with the receive time and drop count of each datagram.
#![expect(unsafe_code, reason = "recvmmsg and poll have no safe wrapper that keeps control messages")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, SystemTime};

use flow::Timestamp;

use crate::Socket;

/// The longest UDP payload, so no datagram is truncated. Only the pages that datagrams touch become resident.
const PAYLOAD: usize = 65_535;
/// Room for SCM_TIMESTAMPNS and SO_RXQ_OVFL.
const CONTROL: usize = 64;

/// Buffers for one call of `recvmmsg`, reused by the next.
pub struct Batch {
    payloads: Box<[u8]>,
    controls: Box<[Control]>,
    addresses: Box<[libc::sockaddr_storage]>,
    pieces: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    filled: usize,
    now: Timestamp,
}

/// Aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL]);

// SAFETY: the raw pointers in `pieces` and `headers` point into the boxes of the same Batch. The boxes move with it, and
// only the kernel follows the pointers, during `receive`, which borrows the Batch exclusively.
unsafe impl Send for Batch {}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Received<'b> {
    /// Its source address.
    pub source: SocketAddr,
    /// When the kernel received it.
    pub received: Timestamp,
    /// Datagrams that this socket dropped since it was bound. `None` when the kernel did not attach the count. Wraps at
    /// 2^32.
    pub dropped: Option<u32>,
    /// The UDP payload.
    pub payload: &'b [u8],
}

impl Batch {
    /// Allocates buffers for this many datagrams per call.
    #[must_use]
    pub fn new(datagrams: usize) -> Self {
        // SAFETY: these are plain C structs for which all zeroes is a valid value (null pointers, lengths of 0).
        let (address, piece, header) = unsafe {
            (
                MaybeUninit::<libc::sockaddr_storage>::zeroed().assume_init(),
                MaybeUninit::<libc::iovec>::zeroed().assume_init(),
                MaybeUninit::<libc::mmsghdr>::zeroed().assume_init(),
            )
        };
        Self {
            payloads: vec![0; datagrams * PAYLOAD].into(),
            controls: vec![Control([0; CONTROL]); datagrams].into(),
            addresses: vec![address; datagrams].into(),
            pieces: vec![piece; datagrams].into(),
            headers: vec![header; datagrams].into(),
            filled: 0,
            now: Timestamp::EPOCH,
        }
    }

    /// Reads queued datagrams, at most as many as the batch has buffers. `Ok(0)` when the queue is empty.
    ///
    /// # Errors
    /// The kernel's, except for `WouldBlock` and `Interrupted`, which are `Ok(0)`.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.filled = 0;
        self.point_headers_at_buffers();
        // SAFETY: each header points at a payload, a control buffer and an address of this Batch with their true
        // sizes, and the exclusive borrow of the Batch lasts until the call returns.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                // An ICMP error for a datagram that this socket did not send; irrelevant to receiving.
                io::ErrorKind::ConnectionRefused => Ok(0),
                _ => Err(error),
            };
        };
        self.filled = count;
        self.now = SystemTime::now().into();
        Ok(count)
    }

    /// The kernel overwrites the lengths in the headers, so each call sets them again.
    fn point_headers_at_buffers(&mut self) {
        let payloads = self.payloads.chunks_exact_mut(PAYLOAD);
        let buffers = payloads.zip(&mut self.controls).zip(&mut self.addresses);
        for ((header, piece), ((payload, control), address)) in
            self.headers.iter_mut().zip(&mut self.pieces).zip(buffers)
        {
            piece.iov_base = payload.as_mut_ptr().cast();
            piece.iov_len = payload.len();
            header.msg_len = 0;
            header.msg_hdr.msg_name = (&raw mut *address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            header.msg_hdr.msg_flags = 0;
        }
    }

    /// The datagrams of the last call, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let buffers = self.payloads.chunks_exact(PAYLOAD).zip(&self.addresses);
        self.headers.iter().zip(buffers).take(self.filled).filter_map(|(header, (payload, address))| {
            let (received, dropped) = read_control(&header.msg_hdr);
            Some(Received {
                source: socket_address(address)?,
                received: received.unwrap_or(self.now),
                dropped,
                payload: payload.get(..header.msg_len as usize)?,
            })
        })
    }
}

/// The receive time and the drop count that the kernel attached to a datagram.
fn read_control(header: &libc::msghdr) -> (Option<Timestamp>, Option<u32>) {
    let (mut received, mut dropped) = (None, None);
    // SAFETY: the kernel filled msg_control and set msg_controllen to the length that it filled. CMSG_FIRSTHDR and
    // CMSG_NXTHDR stay inside it, and each payload is read unaligned, in the size that the kernel documents for its type.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = message.as_ref() {
            match (control.cmsg_level, control.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned();
                    received = Some(Timestamp::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32));
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    dropped = Some(libc::CMSG_DATA(message).cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    (received, dropped)
}

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: by its family this is a sockaddr_in, which is smaller than the storage and no more strictly aligned.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(address), u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::new(IpAddr::V6(address), u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}

/// The sockets of one thread. `polled` holds only their numbers, in the same order.
#[derive(Debug)]
pub struct SocketSet {
    sockets: Vec<Socket>,
    polled: Vec<libc::pollfd>,
}

impl SocketSet {
    /// A set of these sockets.
    #[must_use]
    pub fn new(sockets: Vec<Socket>) -> Self {
        let descriptor = |socket: &Socket| socket.as_fd().as_raw_fd();
        let polled =
            sockets.iter().map(|s| libc::pollfd { fd: descriptor(s), events: libc::POLLIN, revents: 0 }).collect();
        Self { sockets, polled }
    }

    /// Adds a socket.
    pub fn add(&mut self, socket: Socket) {
        self.polled.push(libc::pollfd { fd: socket.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 });
        self.sockets.push(socket);
    }

    /// Removes and returns the socket at this position; later positions shift down by one.
    pub fn remove(&mut self, index: usize) -> Option<Socket> {
        (index < self.sockets.len()).then(|| {
            self.polled.remove(index);
            self.sockets.remove(index)
        })
    }

    /// All sockets.
    #[must_use]
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// Waits until a socket is readable or the timeout expires. Returns the readable sockets with their positions.
    ///
    /// # Errors
    /// The kernel's; a signal ends the wait without an error.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<impl Iterator<Item = (usize, &Socket)>> {
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        for polled in &mut self.polled {
            polled.revents = 0;
        }
        // SAFETY: pointer and length are those of the array, which is borrowed exclusively until the call returns.
        let count = unsafe { libc::poll(self.polled.as_mut_ptr(), self.polled.len() as libc::nfds_t, milliseconds) };
        if count < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let ready = self.sockets.iter().zip(&self.polled).enumerate();
        Ok(ready.filter(|(_, (_, polled))| polled.revents != 0).map(|(index, (socket, _))| (index, socket)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::{DropCount, Steering, bind};

    fn drain(sockets: Vec<Socket>, batch: &mut Batch, expected: usize) -> Vec<(usize, SocketAddr, Vec<u8>)> {
        let mut set = SocketSet::new(sockets);
        let mut got = Vec::new();
        while got.len() < expected {
            let before = got.len();
            for (index, socket) in set.wait(Duration::from_secs(60)).unwrap() {
                batch.receive(socket).unwrap();
                got.extend(batch.iter().map(|d| (index, d.source, d.payload.to_vec())));
            }
            assert!(got.len() > before, "nothing arrived: {before} of {expected}");
        }
        got
    }

    #[test]
    fn datagrams_arrive_whole_with_source_and_time() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let sockets = bind(address.parse().unwrap(), 1, Steering::Source, 1 << 20).unwrap();
            let sender = UdpSocket::bind(address).unwrap();
            let before: Timestamp = SystemTime::now().into();
            for length in [0, 1, 1464, 40_000] {
                sender.send_to(&vec![7; length], sockets[0].address()).unwrap();
            }
            let mut batch = Batch::new(3);
            let got = drain(sockets, &mut batch, 4);
            assert_eq!(got.iter().map(|d| d.2.len()).collect::<Vec<_>>(), [0, 1, 1464, 40_000]);
            assert!(got.iter().all(|d| d.1 == sender.local_addr().unwrap()));
            for received in batch.iter().map(|d| d.received) {
                assert!(received.abs_diff(before) < Duration::from_secs(60), "{received}");
            }
        }
    }

    #[test]
    fn one_source_address_always_reaches_the_same_thread() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 4, Steering::Source, 1 << 20).unwrap();
        let mut batch = Batch::new(16);
        let mut thread_of = std::collections::BTreeMap::new();
        for host in 1..=8u8 {
            for _ in 0..4 {
                let sender = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
                sender.send_to(b"x", sockets[0].address()).unwrap();
            }
        }
        for (index, source, _) in drain(sockets, &mut batch, 32) {
            assert_eq!(*thread_of.entry(source.ip()).or_insert(index), index, "{source}");
        }
        assert_eq!(thread_of.values().collect::<std::collections::BTreeSet<_>>().len(), 4, "all threads are used");
    }

    #[test]
    fn one_source_can_be_spread_over_all_threads() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 4, Steering::Spread, 1 << 20).unwrap();
        let (sender, address) = (UdpSocket::bind("127.0.0.1:0").unwrap(), sockets[0].address());
        let mut counts = [0; 4];
        for _ in 0..10 {
            (0..40).for_each(|_| assert_eq!(sender.send_to(b"x", address).unwrap(), 1));
        }
        for (index, ..) in drain(sockets, &mut Batch::new(16), 400) {
            counts[index] += 1;
        }
        // Each has 100 with a standard deviation of 9.
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_queue_has_its_length_and_its_drops() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 1, Steering::Source, 4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(sockets[0].queue().unwrap().octets, 0);
        (0..200).for_each(|_| assert_eq!(sender.send_to(&[0; 1400], sockets[0].address()).unwrap(), 1400));
        let queue = sockets[0].queue().unwrap();
        assert!(queue.octets > 1400 && queue.limit > 4096, "{queue:?}");
        let read = Batch::new(256).receive(&sockets[0]).unwrap();
        assert_eq!(queue.dropped as usize, 200 - read);
    }

    #[test]
    fn the_kernels_drops_are_counted() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 1, Steering::Source, 4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = 200;
        for _ in 0..sent {
            sender.send_to(&[0; 1400], sockets[0].address()).unwrap();
        }
        let mut batch = Batch::new(256);
        let read = batch.receive(&sockets[0]).unwrap();
        // The count is known before another datagram carries it.
        assert_eq!(DropCount::of(&sockets[0]).read().unwrap(), Some(sent - read as u32));
        sender.send_to(b"carries the count", sockets[0].address()).unwrap();
        assert_eq!(batch.receive(&sockets[0]).unwrap(), 1);
        assert_eq!(batch.iter().next().unwrap().dropped, Some(sent - read as u32));
    }

    #[test]
    fn an_address_in_use_is_refused() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), 2, Steering::Source, 1 << 16).unwrap();
        let refused = bind(taken[0].address(), 2, Steering::Source, 1 << 16).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }
}
