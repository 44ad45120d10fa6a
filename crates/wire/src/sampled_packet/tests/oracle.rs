//! `etherparse` reads cut packets as well, in another way than we do: what it finds in generated packets, whole, cut or
//! with octets changed, we must find too, and the same.

use etherparse::{
    IpHeaders, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header, Ipv6RawExtHeader, LaxNetSlice, LaxSlicedPacket,
    LinkSlice, PacketBuilder, TransportSlice, VlanHeader, VlanId, ip_number,
};
use proptest::prelude::*;

use super::*;

/// What a packet is built of.
#[derive(Clone, Debug)]
struct Recipe {
    vlans: Vec<u16>,
    ip: IpRecipe,
    transport: TransportRecipe,
    payload: Vec<u8>,
}

#[derive(Clone, Debug)]
enum IpRecipe {
    V4 { source: [u8; 4], destination: [u8; 4], options: usize, offset: u16, more: bool },
    V6 { source: [u8; 16], destination: [u8; 16], extensions: Vec<usize> },
}

#[derive(Clone, Debug)]
enum TransportRecipe {
    Udp(u16, u16),
    Tcp(u16, u16),
    Icmp,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>(), 0..=10_usize, prop_oneof![Just(0_u16), 1..100_u16], any::<bool>())
        .prop_map(|(source, destination, options, offset, more)| IpRecipe::V4 {
            source,
            destination,
            options,
            offset,
            more,
        });
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>(), proptest::collection::vec(0..4_usize, 0..=3))
        .prop_map(|(source, destination, extensions)| IpRecipe::V6 { source, destination, extensions });
    let transport = prop_oneof![
        (any::<u16>(), any::<u16>()).prop_map(|(source, destination)| TransportRecipe::Udp(source, destination)),
        (any::<u16>(), any::<u16>()).prop_map(|(source, destination)| TransportRecipe::Tcp(source, destination)),
        Just(TransportRecipe::Icmp),
    ];
    let vlans = proptest::collection::vec(0..4096_u16, 0..=2);
    (vlans, prop_oneof![v4, v6], transport, proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(vlans, ip, transport, payload)| Recipe { vlans, ip, transport, payload })
}

impl Recipe {
    fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let id = |vlan: u16| VlanId::try_new(vlan).unwrap();
        let ip = self.ip.headers();
        let builder = match *self.vlans.as_slice() {
            [one] => builder
                .vlan(VlanHeader::Single(etherparse::SingleVlanHeader { vlan_id: id(one), ..Default::default() }))
                .ip(ip),
            [outer, inner] => builder.double_vlan(id(outer), id(inner)).ip(ip),
            _ => builder.ip(ip),
        };
        match self.transport {
            TransportRecipe::Udp(source, destination) => {
                builder.udp(source, destination).write(&mut out, &self.payload).unwrap();
            }
            TransportRecipe::Tcp(source, destination) => {
                builder.tcp(source, destination, 1, 2).syn().write(&mut out, &self.payload).unwrap();
            }
            TransportRecipe::Icmp if matches!(self.ip, IpRecipe::V4 { .. }) => {
                builder.icmpv4_echo_request(1, 2).write(&mut out, &self.payload).unwrap();
            }
            TransportRecipe::Icmp => {
                builder.icmpv6_echo_request(1, 2).write(&mut out, &self.payload).unwrap();
            }
        }
        out
    }
}

impl IpRecipe {
    fn headers(&self) -> IpHeaders {
        match self {
            Self::V4 { source, destination, options, offset, more } => {
                let mut header = Ipv4Header::new(0, 64, ip_number::UDP, *source, *destination).unwrap();
                header.options = vec![1; options * 4].as_slice().try_into().unwrap();
                header.fragment_offset = (*offset).try_into().unwrap();
                header.more_fragments = *more;
                IpHeaders::Ipv4(header, Ipv4Extensions::default())
            }
            Self::V6 { source, destination, extensions } => {
                let header =
                    Ipv6Header { source: *source, destination: *destination, hop_limit: 64, ..Default::default() };
                let mut chain = Ipv6Extensions::default();
                let raw = || Ipv6RawExtHeader::new_raw(ip_number::UDP, &[0; 6]).unwrap();
                for extension in extensions {
                    match extension {
                        0 => chain.hop_by_hop_options = Some(raw()),
                        1 => chain.destination_options = Some(raw()),
                        2 => {
                            chain.routing = Some(etherparse::Ipv6RoutingExtensions {
                                routing: raw(),
                                final_destination_options: None,
                            });
                        }
                        _ => chain.auth = Some(etherparse::IpAuthHeader::new(ip_number::UDP, 1, 2, &[0; 12]).unwrap()),
                    }
                }
                IpHeaders::Ipv6(header, chain)
            }
        }
    }
}

/// What `etherparse` found is what we found. It stops at extension headers out of order and at fragments, and wants
/// transport headers whole; there we may know more.
fn compare(frame: &[u8], changed: bool) -> Result<(), TestCaseError> {
    let ours = SampledPacket::parse(LinkType::Ethernet, frame).outer;
    let Ok(theirs) = LaxSlicedPacket::from_ethernet(frame) else {
        prop_assert!(ours.ip.is_none());
        return Ok(());
    };
    if let Some(LinkSlice::Ethernet2(link)) = &theirs.link {
        let link = LinkAddresses { source: link.source(), destination: link.destination() };
        prop_assert_eq!(ours.link, Some(link));
    }
    let vlans = theirs.vlan_ids();
    if let Some(vlan) = vlans.first() {
        prop_assert_eq!(ours.vlan, Some(vlan.value()));
    }
    // They believe the version before the EtherType.
    let announced = match theirs.net {
        Some(LaxNetSlice::Ipv4(_)) => Some(0x0800),
        Some(LaxNetSlice::Ipv6(_)) => Some(0x86dd),
        _ => return Ok(()),
    };
    if ours.ether_type != announced {
        prop_assert!(changed && ours.ip.is_none());
        return Ok(());
    }
    let (protocol, fragment) = match &theirs.net {
        Some(LaxNetSlice::Ipv4(net)) => {
            let header = net.header();
            let addresses = (header.source_addr().into(), header.destination_addr().into());
            prop_assert_eq!(super::addresses(&ours), Some(addresses));
            prop_assert_eq!(ours.ip.unwrap().total_length, u32::from(header.total_len()));
            prop_assert_eq!(ours.ip.unwrap().protocol, header.protocol().0);
            prop_assert_eq!(ours.ip.unwrap().fragment_offset, header.fragments_offset().value());
            (header.protocol(), header.fragments_offset().value() != 0)
        }
        Some(LaxNetSlice::Ipv6(net)) => {
            let header = net.header();
            let addresses = (header.source_addr().into(), header.destination_addr().into());
            prop_assert_eq!(super::addresses(&ours), Some(addresses));
            let protocol = net.payload().ip_number;
            if theirs.stop_err.is_none() && !changed {
                prop_assert_eq!(ours.ip.unwrap().protocol, protocol.0);
            }
            (protocol, false)
        }
        _ => return Ok(()),
    };
    if fragment {
        prop_assert_eq!(ours.ports, None);
    }
    let ports = match &theirs.transport {
        // An IPv4 authentication header is opened by them and not by us.
        _ if protocol == ip_number::AUTH => return Ok(()),
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
        Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
        Some(TransportSlice::Icmpv4(icmp)) => {
            prop_assert_eq!(ours.icmp, Some((icmp.type_u8(), icmp.code_u8())));
            return Ok(());
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            prop_assert_eq!(ours.icmp, Some((icmp.type_u8(), icmp.code_u8())));
            return Ok(());
        }
        _ => return Ok(()),
    };
    prop_assert_eq!(ours.ports, Some(ports));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_packets_are_read_as_etherparse_reads_them(recipe in recipe()) {
        compare(&recipe.build(), false)?;
    }

    #[test]
    fn cut_packets_are_read_as_etherparse_reads_them(recipe in recipe(), keep in 0.0..1.0_f64) {
        let mut frame = recipe.build();
        frame.truncate((frame.len() as f64 * keep) as usize);
        compare(&frame, false)?;
    }

    #[test]
    fn changed_packets_are_read_as_etherparse_reads_them(
        recipe in recipe(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = recipe.build();
        for (place, octet) in changes {
            let place = place.index(frame.len());
            frame[place] = octet;
        }
        compare(&frame, true)?;
    }

    #[test]
    fn nothing_that_is_sent_breaks_the_parser(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        for link in [
            LinkType::Ethernet, LinkType::TokenBus, LinkType::TokenRing, LinkType::Fddi, LinkType::FrameRelay,
            LinkType::Ppp, LinkType::Llc, LinkType::Wireless, LinkType::Mpls, LinkType::Ip,
        ] {
            let parsed = SampledPacket::parse(link, &octets);
            prop_assert!(parsed.outer.ports.is_none() || parsed.outer.ip.is_some());
        }
    }
}
