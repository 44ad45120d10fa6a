//! Link layers: the headers before the IP packet of a frame. Numbers are LINKTYPE values of the tcpdump registry, in
//! which one layer can have several.

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkLayer {
    /// The address family in 4 octets, as the capturing system numbers it, in its own byte order or (`LOOP`) in network
    /// order.
    Loopback,
    Ethernet,
    /// Nothing: the frame is an IP packet.
    RawIp,
    LinuxCooked,
    LinuxCooked2,
}

impl LinkLayer {
    pub(crate) fn from_number(number: u16) -> Option<Self> {
        match number {
            0 | 108 => Some(Self::Loopback),
            1 => Some(Self::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Self::RawIp),
            113 => Some(Self::LinuxCooked),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }

    /// The content of a frame after the link layer.
    pub(crate) fn strip(self, frame: &[u8]) -> Network<'_> {
        match self {
            Self::RawIp => Network::Ip(frame),
            Self::Loopback => loopback(frame),
            Self::Ethernet => match frame.split_at_checked(12) {
                Some((_addresses, rest)) => ethertype(rest),
                None => Network::CutOff,
            },
            // The EtherType is last, after type, address length and address.
            Self::LinuxCooked => match frame.split_at_checked(14) {
                Some((_, rest)) => ethertype(rest),
                None => Network::CutOff,
            },
            // The EtherType is first, before 18 octets of interface and address.
            Self::LinuxCooked2 => match (frame.first_chunk::<2>(), frame.split_at_checked(20)) {
                (Some(&kind), Some((_, rest))) => payload(u16::from_be_bytes(kind), rest),
                _ => Network::CutOff,
            },
        }
    }
}

/// The content of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network<'a> {
    /// An IP packet, perhaps followed by padding.
    Ip(&'a [u8]),
    /// Something else, such as ARP.
    Other,
    /// The frame ends before its content is known.
    CutOff,
}

fn ethertype(rest: &[u8]) -> Network<'_> {
    match rest.split_first_chunk::<2>() {
        Some((&kind, rest)) => payload(u16::from_be_bytes(kind), rest),
        None => Network::CutOff,
    }
}

fn payload(mut ethertype: u16, mut rest: &[u8]) -> Network<'_> {
    loop {
        match ethertype {
            0x0800 | 0x86dd => return Network::Ip(rest),
            // Any number of VLAN tags (IEEE 802.1Q, 802.1ad, and the numbers used before the latter).
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => match rest.split_first_chunk::<4>() {
                Some((&[_, _, high, low], inner)) => {
                    ethertype = u16::from_be_bytes([high, low]);
                    rest = inner;
                }
                None => return Network::CutOff,
            },
            _ => return Network::Other,
        }
    }
}

fn loopback(frame: &[u8]) -> Network<'_> {
    let Some((&family, rest)) = frame.split_first_chunk::<4>() else { return Network::CutOff };
    // The file may come from a system of the other byte order, but no family is above 255.
    match u32::from_be_bytes(family).min(u32::from_le_bytes(family)) {
        // AF_INET, then AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS.
        2 | 10 | 24 | 28 | 30 => Network::Ip(rest),
        _ => Network::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_vlan_tags_is_skipped() {
        let mut frame = vec![0; 12];
        for tag in [0x88a8_0001_u32, 0x8100_0002, 0x9100_0fff] {
            frame.extend(tag.to_be_bytes());
        }
        frame.extend([0x08, 0x00, 0x45]);
        assert_eq!(LinkLayer::Ethernet.strip(&frame), Network::Ip(&[0x45]));
        for length in 0..frame.len() - 1 {
            assert_eq!(LinkLayer::Ethernet.strip(&frame[..length]), Network::CutOff, "{length}");
        }
    }

    #[test]
    fn other_protocols_are_not_taken_for_ip() {
        let mut arp = vec![0; 12];
        arp.extend([0x08, 0x06, 0, 1]);
        assert_eq!(LinkLayer::Ethernet.strip(&arp), Network::Other);
        assert_eq!(LinkLayer::Loopback.strip(&[0, 0, 0, 7, 0x45]), Network::Other);
        assert_eq!(LinkLayer::Loopback.strip(&[2, 0, 0, 0, 0x45]), Network::Ip(&[0x45]));
        assert_eq!(LinkLayer::Loopback.strip(&[0, 0, 0, 30, 0x60]), Network::Ip(&[0x60]));
    }
}
