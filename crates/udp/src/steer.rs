//! Which socket of an address gets a datagram: a program of three instructions that the kernel runs for each datagram.
//! The kernel's own choice hashes addresses and ports: it would spread an exporter over as many threads as it has ports,
//! whatever the configuration asks for.
#![expect(unsafe_code, reason = "SO_ATTACH_REUSEPORT_CBPF has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Offset of the network header in classic BPF (linux/filter.h: SKF_NET_OFF).
const NETWORK_HEADER: u32 = -0x0010_0000_i32 as u32;
/// Offsets of the source address, of its last 32 bits for IPv6 (RFC 791, RFC 8200).
const IPV4_SOURCE: u32 = 12;
const IPV6_SOURCE_END: u32 = 8 + 12;

/// A random number, read like a field of the packet (linux/filter.h: SKF_AD_OFF, SKF_AD_RANDOM).
const RANDOM: u32 = (-0x1000_i32 + 56) as u32;

/// How datagrams are distributed among the sockets of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Steering {
    /// All datagrams of a source address go to the same socket, so that one thread reads them in order.
    #[default]
    Source,
    /// Each datagram goes to a random socket, so that all threads share the load of a single source, out of order.
    Spread,
}

/// Attaches a program to a group of sockets that returns the last 32 bits of the source address, or a random number,
/// modulo the number of sockets. Needs no capability (socket(7), SO_ATTACH_REUSEPORT_CBPF).
pub(crate) fn steer(socket: BorrowedFd<'_>, steering: Steering, ipv6: bool, sockets: usize) -> io::Result<()> {
    let offset = match steering {
        Steering::Source if ipv6 => NETWORK_HEADER + IPV6_SOURCE_END,
        Steering::Source => NETWORK_HEADER + IPV4_SOURCE,
        Steering::Spread => RANDOM,
    };
    let modulus = u32::try_from(sockets).map_err(|_| io::ErrorKind::InvalidInput)?;
    let instruction = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset),
        instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, modulus),
        instruction(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the option takes a sock_fprog, and pointer and size are those of one. The kernel copies the program before
    // the call returns, and both outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
