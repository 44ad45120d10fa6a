//! From the first octet of a frame to its IP header: link headers, VLAN tags, LLC/SNAP, PPP and MPLS.

use super::{Headers, Inside, LinkAddresses, LinkType};
use crate::cursor::Cursor;

pub(super) mod ether_type {
    //! EtherTypes that lead to an IP header.
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    pub(in super::super) const CUSTOMER_TAG: u16 = 0x8100;
    pub(in super::super) const SERVICE_TAG: u16 = 0x88a8;
    /// Tags of switches older than IEEE 802.1ad.
    pub(in super::super) const OLD_SERVICE_TAGS: [u16; 2] = [0x9100, 0x9200];
    pub(in super::super) const MPLS: u16 = 0x8847;
    pub(in super::super) const MPLS_MULTICAST: u16 = 0x8848;
    pub(in super::super) const PPPOE_SESSION: u16 = 0x8864;
    pub(in super::super) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    /// Below this the field is the length of an LLC frame (IEEE 802.3, section 3.2.6).
    pub(in super::super) const SMALLEST: u16 = 0x0600;
}

/// More tags or labels than any network stacks; a packet with more is not read further.
const MAXIMUM_STACK: usize = 16;

/// LLC service access point that says: SNAP follows.
const SNAP: u8 = 0xaa;

impl Headers {
    pub(super) fn read_link<'a>(&mut self, link: LinkType, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        match link {
            LinkType::Ethernet => {
                self.read_addresses(&mut octets)?;
                let ether_type = octets.u16()?;
                self.read_ether_type(ether_type, octets)
            }
            // Frame control, then addresses.
            LinkType::TokenBus | LinkType::Fddi => {
                octets.skip(1)?;
                self.read_addresses(&mut octets)?;
                self.read_llc(octets)
            }
            LinkType::TokenRing => self.read_token_ring(octets),
            LinkType::FrameRelay => self.read_frame_relay(octets),
            LinkType::Ppp => self.read_ppp(octets),
            LinkType::Llc => self.read_llc(octets),
            LinkType::Wireless => self.read_wireless(octets),
            LinkType::Mpls => {
                self.ether_type = Some(ether_type::MPLS);
                self.read_mpls(octets)
            }
            LinkType::Ip => self.read_ip(octets),
        }
    }

    /// Passes over VLAN tags to what they tag.
    pub(super) fn read_ether_type<'a>(&mut self, first: u16, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        let mut value = first;
        for _ in 0..MAXIMUM_STACK {
            if !is_tag(value) {
                return self.read_payload(value, octets);
            }
            let id = octets.u16()? & 0x0fff;
            if self.vlan.is_none() {
                self.vlan = Some(id);
            } else if self.inner_vlan.is_none() {
                self.inner_vlan = Some(id);
            }
            value = octets.u16()?;
        }
        None
    }

    fn read_payload<'a>(&mut self, value: u16, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        if value < ether_type::SMALLEST {
            return self.read_llc(octets);
        }
        self.ether_type = Some(value);
        match value {
            ether_type::IPV4 | ether_type::IPV6 => self.read_ip(octets),
            ether_type::MPLS | ether_type::MPLS_MULTICAST => self.read_mpls(octets),
            // Version and type, code, session id, length (RFC 2516, section 4); then a PPP protocol number.
            ether_type::PPPOE_SESSION => {
                octets.skip(6)?;
                self.read_ppp(octets)
            }
            _ => None,
        }
    }

    fn read_addresses(&mut self, octets: &mut Cursor<'_>) -> Option<()> {
        let destination = octets.array()?;
        let source = octets.array()?;
        self.link = Some(LinkAddresses { source, destination });
        Some(())
    }

    /// IEEE 802.5: access control, frame control, addresses, and a routing field when the first bit of the source
    /// address says so.
    fn read_token_ring<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        octets.skip(2)?;
        self.read_addresses(&mut octets)?;
        if let Some(LinkAddresses { source: [first, ..], .. }) = &mut self.link
            && *first & 0x80 != 0
        {
            *first &= 0x7f;
            let [length, ..] = octets.array::<2>()?;
            octets.skip(usize::from(length & 0x1f).checked_sub(2)?)?;
        }
        self.read_llc(octets)
    }

    /// IEEE 802.11, section 9.2: data frames that are not encrypted continue with LLC.
    fn read_wireless<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        const DATA: u8 = 2;
        let [kind, flags, _, _] = octets.array()?;
        let (subtype, kind) = (kind >> 4, kind >> 2 & 0x3);
        let encrypted = flags & 0x40 != 0;
        let [first, second, third] = [octets.array()?, octets.array()?, octets.array()?];
        octets.skip(2)?;
        let (destination, source) = match flags & 0x3 {
            0 => (first, second),
            // To the distribution system.
            1 => (third, second),
            // From the distribution system.
            2 => (first, third),
            // Between access points: the source is in a fourth address.
            _ => (third, octets.array()?),
        };
        self.link = Some(LinkAddresses { source, destination });
        // Of the data frames, the subtypes with this bit have no body.
        if kind != DATA || subtype & 0x4 != 0 || encrypted {
            return None;
        }
        let quality_of_service = subtype & 0x8 != 0;
        if quality_of_service {
            octets.skip(2)?;
            let high_throughput_control = flags & 0x80 != 0;
            if high_throughput_control {
                octets.skip(4)?;
            }
        }
        self.read_llc(octets)
    }

    fn read_llc<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        // Destination and source service access point, control, and for SNAP the organisation and its protocol.
        let [SNAP, SNAP, _] = octets.array()? else { return None };
        match octets.array()? {
            // RFC 1042, and IEEE 802.1H bridge tunnels.
            [0, 0, 0 | 0xf8] => {
                let value = octets.u16()?;
                // A length cannot follow here: that would be LLC within LLC without end.
                if value < ether_type::SMALLEST { None } else { self.read_ether_type(value, octets) }
            }
            _ => None,
        }
    }

    fn read_ppp<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        match octets.rest() {
            // Address and control of RFC 1662, which may be left out.
            [0xff, 0x03, ..] => octets.skip(2)?,
            // Unicast and multicast of Cisco's HDLC, which continues with an EtherType.
            [0x0f | 0x8f, 0x00, ..] => {
                octets.skip(2)?;
                let value = octets.u16()?;
                return if value < ether_type::SMALLEST { None } else { self.read_ether_type(value, octets) };
            }
            _ => {}
        }
        // Protocol numbers may be compressed to one octet, which then is odd (RFC 1661, section 6.5).
        let protocol = match octets.u8()? {
            odd if odd & 1 == 1 => u16::from(odd),
            high => u16::from_be_bytes([high, octets.u8()?]),
        };
        match protocol {
            0x0021 => self.read_payload(ether_type::IPV4, octets),
            0x0057 => self.read_payload(ether_type::IPV6, octets),
            0x0281 => self.read_payload(ether_type::MPLS, octets),
            0x0283 => self.read_payload(ether_type::MPLS_MULTICAST, octets),
            _ => None,
        }
    }

    fn read_frame_relay<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        // The last octet of the address has its lowest bit set; two to four octets exist.
        let mut last = false;
        for _ in 0..4 {
            if octets.u8()? & 1 == 1 {
                last = true;
                break;
            }
        }
        if !last {
            return None;
        }
        match octets.rest() {
            // Unnumbered information, then a network layer protocol id, perhaps behind a pad (RFC 2427, section 3).
            [0x03, rest @ ..] => {
                let pad = usize::from(rest.first() == Some(&0));
                octets.skip(1 + pad)?;
                match octets.u8()? {
                    0xcc => self.read_payload(ether_type::IPV4, octets),
                    0x8e => self.read_payload(ether_type::IPV6, octets),
                    // SNAP: three octets of organisation, then an EtherType.
                    0x80 => match octets.array()? {
                        [0, 0, 0] => {
                            let value = octets.u16()?;
                            if value < ether_type::SMALLEST { None } else { self.read_ether_type(value, octets) }
                        }
                        _ => None,
                    },
                    _ => None,
                }
            }
            _ => {
                let value = octets.u16()?;
                if value < ether_type::SMALLEST { None } else { self.read_ether_type(value, octets) }
            }
        }
    }

    /// The stack says where it ends but not what it carries: the first nibble behind it does, for IP (RFC 4928).
    pub(super) fn read_mpls<'a>(&mut self, mut octets: Cursor<'a>) -> Option<Inside<'a>> {
        for _ in 0..MAXIMUM_STACK {
            let entry = octets.u32()?;
            self.mpls_label.get_or_insert(entry >> 12);
            let bottom = entry & 0x100 != 0;
            if bottom {
                return self.read_ip(octets);
            }
        }
        None
    }
}

fn is_tag(value: u16) -> bool {
    matches!(value, ether_type::CUSTOMER_TAG | ether_type::SERVICE_TAG) || ether_type::OLD_SERVICE_TAGS.contains(&value)
}
