//! The source address of a datagram that is sent, as a control message (ip(7), IP_PKTINFO; RFC 3542, section 6.2).
#![expect(unsafe_code, reason = "control messages have no safe wrapper that is reused for many datagrams")]

use std::net::IpAddr;

/// Room for IPV6_PKTINFO, the larger one.
const CONTROL: usize = 40;

/// A buffer for the control message of a datagram, aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Control([u8; CONTROL]);

impl Control {
    /// An empty buffer.
    pub(crate) const EMPTY: Self = Self([0; CONTROL]);

    /// Writes a source address, and points a header at it. The header must not be used after this buffer.
    pub(crate) fn name_source(&mut self, source: IpAddr, header: &mut libc::msghdr) {
        match source {
            IpAddr::V4(address) => {
                let information = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: address.to_bits().to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                self.write(header, libc::IPPROTO_IP, libc::IP_PKTINFO, information);
            }
            IpAddr::V6(address) => {
                let information =
                    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: address.octets() }, ipi6_ifindex: 0 };
                self.write(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, information);
            }
        }
    }

    fn write<T>(&mut self, header: &mut libc::msghdr, level: libc::c_int, kind: libc::c_int, information: T) {
        const { assert!(size_of::<libc::cmsghdr>() + size_of::<T>() <= CONTROL) };
        let length = size_of::<T>() as libc::c_uint;
        *self = Self::EMPTY;
        header.msg_control = self.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute. The buffer is zeroed, aligned for cmsghdr, and at least
        // msg_controllen long, so CMSG_FIRSTHDR returns a header inside it with room for `information` after it.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(length) as _;
            // No reference to it: `information` is outside of the header.
            let message = libc::CMSG_FIRSTHDR(&raw const *header);
            if !message.is_null() {
                (*message).cmsg_level = level;
                (*message).cmsg_type = kind;
                (*message).cmsg_len = libc::CMSG_LEN(length) as _;
                libc::CMSG_DATA(message).cast::<T>().write_unaligned(information);
            }
        }
    }
}
