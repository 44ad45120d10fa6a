//! The table of columns.
//!
//! Names are what operators type: `srcip`, `dstport`. ClickHouse's are Akvorado's where it has the column, and the numbers
//! those of goflow2's protobuf message. A new column comes last: the order is that of files and of `Id`.

use crate::column::Source::{Datagram, Element, Field};
use crate::column::{Column, Kind, Source, Unit};

/// The version of the table. It grows when a column changes its name, type or meaning; new columns do not change it.
pub const SCHEMA: u32 = 2;

/// The oldest version whose files are still read. In version 1, countries were numbers.
pub const OLDEST_SCHEMA: u32 = 1;

/// An element of IANA's registry.
const fn iana(number: u16) -> Source {
    Element(0, number)
}

/// The element of the reverse direction (RFC 5103).
const fn reverse(number: u16) -> Source {
    Element(29305, number)
}

/// Declares the columns: the identifier, then the fields of [`Column`] in their order.
macro_rules! columns {
    ($(
        $id:ident $name:literal $kind:ident $unit:ident $meaning:literal
            from [$($source:expr),* $(,)?]
            as $clickhouse:literal $protobuf:expr, [$($word:literal),*];
    )*) => {
        /// A column, by its number in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Id {
            $(#[doc = $meaning] $id,)*
        }

        impl Id {
            /// All columns, in the order of the table.
            pub const ALL: [Self; COUNT] = [$(Self::$id),*];
        }

        /// How many columns there are.
        pub const COUNT: usize = [$(Id::$id),*].len();

        /// All columns.
        pub static COLUMNS: [Column; COUNT] = TABLE;

        pub(crate) const TABLE: [Column; COUNT] = [$(
            Column {
                id: Id::$id,
                name: $name,
                meaning: $meaning,
                kind: Kind::$kind,
                unit: Unit::$unit,
                sources: &[$($source),*],
                clickhouse: $clickhouse,
                protobuf: $protobuf,
                words: &[$($word),*],
            },
        )*];
    };
}

columns! {
    // The datagram.
    Received "received" Time Milliseconds "When the datagram was received."
        from [Datagram("time of receipt")]
        as "TimeReceived" Some(110), [];
    Exported "exported" Time Milliseconds "When the exporter sent the datagram, by its own clock. For sFlow, which has no time: when it was received."
        from [Datagram("export time")]
        as "TimeExported" None, [];
    Exporter "exporter" Address None "The address that the datagram came from."
        from [Datagram("source address")]
        as "ExporterAddress" Some(11), [];
    Domain "domain" U32 None "IPFIX observation domain, NetFlow v9 source ID, engine type and ID of NetFlow v5 to v8, sFlow sub-agent."
        from [Datagram("observation domain")]
        as "ObservationDomain" Some(70), [];
    Version "version" U8 None "The version of the protocol: 1, 5, 6, 7, 8, 9 for NetFlow, 10 for IPFIX, 22, 24, 25 for sFlow 2, 4, 5."
        from [Datagram("version")]
        as "ProtocolVersion" None, [];
    Kind "kind" U8 None "What the record is: 0 flow, 1 sampled packet, 2 NAT event, 3 block of NAT ports, 4 firewall event, 5 another event. Events have no counters."
        from [Datagram("kind of record")]
        as "Kind" None, [];

    // What was counted, as it was sent.
    Bytes "bytes" U64 Octets "Octets, as sent: not multiplied by the sampling rate. Of running totals, what is new. Of a sampled packet, the length of its frame."
        from [iana(1), iana(23), iana(231), iana(85), iana(352), iana(353), Field("sampled_header.frame_length"),
            Field("sampled_ethernet.length"), Field("sampled_ipv4.length"), Field("sampled_ipv6.length")]
        as "Bytes" Some(9), ["octets"];
    Packets "packets" U64 Packets "Packets, as sent; 1 for a sampled packet."
        from [iana(2), iana(24), iana(298), iana(86)]
        as "Packets" Some(10), ["pkts"];
    Flows "flows" U64 Flows "1, or the number of flows that the record aggregates; 0 for events."
        from [iana(3)]
        as "Flows" None, [];
    RevBytes "revbytes" U64 Octets "Octets of the reverse direction, of records that have both directions."
        from [reverse(1), reverse(23), iana(232), reverse(85), reverse(352), reverse(353)]
        as "ReverseBytes" None, [];
    RevPackets "revpackets" U64 Packets "Packets of the reverse direction."
        from [reverse(2), reverse(24), iana(299), reverse(86)]
        as "ReversePackets" None, [];
    Rate "rate" U32 None "The sampling rate: one packet of this many was sampled. 1 if nothing is known of sampling."
        from [iana(34), iana(50), iana(305), Datagram("header"), Datagram("options data"), Field("flow_sample.sampling_rate")]
        as "SamplingRate" Some(3), [];
    FlowRate "flowrate" U16 None "Where flows were sampled (RFC 7014): one flow of this many was reported. 0 otherwise. A factor of `rate`."
        from [Datagram("options data")]
        as "FlowSamplingRate" None, [];

    // The ends.
    SrcIp "srcip" Address None "Source address. Of a packet in a tunnel, that of the outer header."
        from [iana(8), iana(44), iana(27), iana(170), Field("packet.source_address"),
            Field("sampled_ipv4.src_ip"), Field("sampled_ipv6.src_ip")]
        as "SrcAddr" Some(6), ["src ip", "src host", "src net"];
    DstIp "dstip" Address None "Destination address. Of a packet in a tunnel, that of the outer header."
        from [iana(12), iana(45), iana(28), iana(169), Field("packet.destination_address"),
            Field("sampled_ipv4.dst_ip"), Field("sampled_ipv6.dst_ip")]
        as "DstAddr" Some(7), ["dst ip", "dst host", "dst net"];
    SrcPort "srcport" U16 None "Source port; 0 for ICMP."
        from [iana(7), iana(180), iana(182), Field("packet.source_port"),
            Field("sampled_ipv4.src_port"), Field("sampled_ipv6.src_port")]
        as "SrcPort" Some(21), ["src port"];
    DstPort "dstport" U16 None "Destination port; 0 for ICMP, whose type and code are in columns of their own."
        from [iana(11), iana(181), iana(183), Field("packet.destination_port"),
            Field("sampled_ipv4.dst_port"), Field("sampled_ipv6.dst_port")]
        as "DstPort" Some(22), ["dst port"];
    Proto "proto" U8 None "IP protocol number, such as 6 for TCP."
        from [iana(4), iana(193), Field("packet.protocol"), Field("sampled_ipv4.protocol"), Field("sampled_ipv6.protocol")]
        as "Proto" Some(20), [];
    SrcAs "srcas" U32 None "AS of the source, by which the flow was counted: what was looked up, else as sent."
        from [iana(16), Field("extended_gateway.src_as"), Field("extended_gateway.as")]
        as "SrcAS" Some(14), ["src as"];
    DstAs "dstas" U32 None "AS of the destination, by which the flow was counted."
        from [iana(17), Field("extended_gateway.dst_as_path"), Field("extended_gateway.as")]
        as "DstAS" Some(15), ["dst as"];
    SrcMask "srcmask" U8 Bits "Length of the source's prefix in the routing table."
        from [iana(9), iana(29), Field("extended_router.src_mask_len"), Field("extended_router.src_mask")]
        as "SrcNetMask" Some(16), ["src mask"];
    DstMask "dstmask" U8 Bits "Length of the destination's prefix in the routing table."
        from [iana(13), iana(30), Field("extended_router.dst_mask_len"), Field("extended_router.dst_mask")]
        as "DstNetMask" Some(17), ["dst mask"];

    // The way through the router.
    InIf "inif" U32 None "SNMP index of the input interface."
        from [iana(10), iana(252), Field("flow_sample.input_value"), Field("flow_sample.input")]
        as "InIf" Some(18), ["in if"];
    OutIf "outif" U32 None "SNMP index of the output interface."
        from [iana(14), iana(253), Field("flow_sample.output_value")]
        as "OutIf" Some(19), ["out if"];
    Direction "direction" U8 None "Where the exporter observed the flow: 1 at ingress, 2 at egress; 0 if it does not state it."
        from [iana(61)]
        as "FlowDirection" None, [];
    NextHop "nexthop" Address None "The next router."
        from [iana(15), iana(62), Field("extended_router.nexthop")]
        as "NextHop" Some(12), ["next ip"];
    BgpNextHop "bgpnexthop" Address None "The next router of BGP."
        from [iana(18), iana(63), Field("extended_gateway.nexthop")]
        as "BGPNextHop" Some(100), ["bgpnext ip"];
    NextAs "nextas" U32 None "The first AS on the way to the destination: as sent, else by BMP."
        from [iana(128), Field("extended_gateway.dst_as_path")]
        as "Dst1stAS" Some(13), [];
    InVrf "invrf" U32 None "Routing instance of the input interface."
        from [iana(234)]
        as "InVrf" None, ["in vrf"];
    OutVrf "outvrf" U32 None "Routing instance of the output interface."
        from [iana(235)]
        as "OutVrf" None, ["out vrf"];
    FwdStatus "fwdstatus" U8 None "Whether packets were forwarded, dropped or consumed (forwardingStatus), and why."
        from [iana(89)]
        as "ForwardingStatus" Some(24), ["fwdstat"];
    Sampler "sampler" U64 None "The sampler of the exporter that sampled the flow."
        from [iana(48), iana(302)]
        as "Sampler" None, [];

    // When.
    Start "start" Time Milliseconds "When the first packet was seen, by the exporter's clock; for events, when they happened."
        from [iana(152), iana(154), iana(156), iana(150), iana(22), iana(158), iana(323), iana(324), iana(325), iana(322)]
        as "TimeFlowStart" Some(111), [];
    End "end" Time Milliseconds "When the last packet was seen; for events, when they happened."
        from [iana(153), iana(155), iana(157), iana(151), iana(21), iana(159), iana(323), iana(324), iana(325), iana(322)]
        as "TimeFlowEnd" Some(112), [];
    EndReason "endreason" U8 None "Why the flow ended (flowEndReason): 1 idle, 2 active timeout, 3 end detected, 4 forced, 5 no room."
        from [iana(136)]
        as "FlowEndReason" None, [];

    // The packets.
    TcpFlags "tcpflags" U16 None "TCP flags of all packets, in the bits of the TCP header."
        from [iana(6), Field("packet.tcp_flags"), Field("sampled_ipv4.tcp_flags"), Field("sampled_ipv6.tcp_flags")]
        as "TCPFlags" Some(26), ["flags"];
    RevTcpFlags "revtcpflags" U16 None "TCP flags of the reverse direction."
        from [reverse(6)]
        as "ReverseTCPFlags" None, [];
    Tos "tos" U8 None "IPv4 type of service or IPv6 traffic class."
        from [iana(5), Field("packet.traffic_class"), Field("sampled_ipv4.tos"), Field("sampled_ipv6.priority")]
        as "IPTos" Some(23), [];
    Ttl "ttl" U8 Hops "Time to live or hop limit; of a flow that has several, the smallest."
        from [iana(192), iana(52), Field("packet.hop_limit")]
        as "IPTTL" Some(25), [];
    IcmpType "icmptype" U8 None "Type of ICMP or ICMPv6; 0 for other protocols."
        from [iana(176), iana(178), iana(32), iana(139), iana(11), Field("packet.icmp_type")]
        as "ICMPType" Some(31), ["icmp-type"];
    IcmpCode "icmpcode" U8 None "Code of ICMP or ICMPv6; 0 for other protocols."
        from [iana(177), iana(179), iana(32), iana(139), iana(11), Field("packet.icmp_code")]
        as "ICMPCode" Some(32), ["icmp-code"];
    FragId "fragid" U32 None "Identification of fragments: IPv4's field, or that of the IPv6 fragment header."
        from [iana(54), Field("packet.identification")]
        as "IPFragmentID" Some(35), [];
    FragOffset "fragoffset" U16 EightOctets "Offset of the fragment."
        from [iana(88), Field("packet.fragment_offset")]
        as "IPFragmentOffset" Some(36), [];
    FlowLabel "flowlabel" U32 None "IPv6 flow label."
        from [iana(31), Field("packet.flow_label")]
        as "IPv6FlowLabel" Some(37), [];

    // Layer 2.
    SrcMac "srcmac" Mac None "Source MAC address."
        from [iana(56), iana(81), Field("packet.source_mac"), Field("sampled_ethernet.src_mac")]
        as "SrcMAC" Some(27), ["src mac", "ether src"];
    DstMac "dstmac" Mac None "Destination MAC address."
        from [iana(80), iana(57), Field("packet.destination_mac"), Field("sampled_ethernet.dst_mac")]
        as "DstMAC" Some(28), ["dst mac", "ether dst"];
    SrcVlan "srcvlan" U16 None "VLAN on the way in: of the outermost tag."
        from [iana(58), iana(243), Field("extended_switch.src_vlan"), Field("packet.vlan")]
        as "SrcVlan" Some(33), ["src vlan"];
    DstVlan "dstvlan" U16 None "VLAN on the way out."
        from [iana(59), iana(254), Field("extended_switch.dst_vlan")]
        as "DstVlan" Some(34), ["dst vlan"];
    InnerVlan "innervlan" U16 None "VLAN of the second tag, on the way in."
        from [iana(245), Field("packet.inner_vlan")]
        as "InnerVlan" None, [];
    EtherType "etype" U16 None "EtherType, such as 0x0800 for IPv4."
        from [iana(256), Field("packet.ether_type"), Field("sampled_ethernet.type")]
        as "EType" Some(30), [];
    MplsLabel "mplslabel" U32 None "Top label of the MPLS stack."
        from [iana(70), Field("packet.mpls_label")]
        as "MPLSLabel" None, ["mpls label"];

    // Translation, firewalls, applications.
    NatSrcIp "natsrcip" Address None "Source address after translation."
        from [iana(225), iana(281), iana(40001), Field("extended_nat.src_address")]
        as "SrcAddrNAT" None, ["src nat ip", "src xip"];
    NatDstIp "natdstip" Address None "Destination address after translation."
        from [iana(226), iana(282), iana(40002), Field("extended_nat.dst_address")]
        as "DstAddrNAT" None, ["dst nat ip", "dst xip"];
    NatSrcPort "natsrcport" U16 None "Source port after translation."
        from [iana(227), iana(40003), Field("extended_nat_port.src_port")]
        as "SrcPortNAT" None, ["src nat port", "src xport"];
    NatDstPort "natdstport" U16 None "Destination port after translation."
        from [iana(228), iana(40004), Field("extended_nat_port.dst_port")]
        as "DstPortNAT" None, ["dst nat port", "dst xport"];
    PortStart "portstart" U16 None "First port of a block that translation has allocated."
        from [iana(361)]
        as "PortRangeStart" None, [];
    PortEnd "portend" U16 None "Last port of the block."
        from [iana(362)]
        as "PortRangeEnd" None, [];
    NatEvent "natevent" U8 None "What translation did (natEvent): such as 1 and 4 created, 2 and 5 deleted."
        from [iana(230)]
        as "NATEvent" None, ["nat event"];
    FwEvent "fwevent" U8 None "What a firewall did (firewallEvent): 1 created, 2 deleted, 3 denied, 4 alert, 5 update."
        from [iana(233), iana(40005)]
        as "FirewallEvent" None, ["asa event"];
    App "app" U64 None "Application (applicationId): the classification engine in the first octet, then its number for the application."
        from [iana(95)]
        as "ApplicationID" None, [];

    // The packet inside a tunnel.
    InnerSrcIp "innersrcip" Address None "Source address of the packet inside a tunnel, the innermost one."
        from [Field("innermost_packet.source_address"), Field("inner_packet.source_address"),
            Element(6876, 881), Element(6876, 883), iana(8), iana(27)]
        as "InnerSrcAddr" None, ["src tun ip"];
    InnerDstIp "innerdstip" Address None "Destination address of the packet inside a tunnel."
        from [Field("innermost_packet.destination_address"), Field("inner_packet.destination_address"),
            Element(6876, 882), Element(6876, 884), iana(12), iana(28)]
        as "InnerDstAddr" None, ["dst tun ip"];
    InnerSrcPort "innersrcport" U16 None "Source port of the packet inside a tunnel."
        from [Field("innermost_packet.source_port"), Field("inner_packet.source_port"), Element(6876, 886), iana(7)]
        as "InnerSrcPort" None, [];
    InnerDstPort "innerdstport" U16 None "Destination port of the packet inside a tunnel."
        from [Field("innermost_packet.destination_port"), Field("inner_packet.destination_port"), Element(6876, 887), iana(11)]
        as "InnerDstPort" None, [];
    InnerProto "innerproto" U8 None "IP protocol of the packet inside a tunnel."
        from [Field("innermost_packet.protocol"), Field("inner_packet.protocol"), Element(6876, 880), iana(4)]
        as "InnerProto" None, ["tun proto"];
    Vni "vni" U32 None "Network identifier of the overlay, such as of VXLAN."
        from [iana(351), Field("extended_vni_ingress.vni"), Field("extended_vni_egress.vni")]
        as "VNI" None, [];

    // What was looked up.
    SrcAsFrom "srcasfrom" U8 None "Where the AS of the source is from: 1 the flow itself, 2 your own networks, 3 the routes of its router by BMP, 4 those of another router, 5 a file; 0 if it has none."
        from [Datagram("look-up")]
        as "SrcASFrom" None, [];
    DstAsFrom "dstasfrom" U8 None "Where the AS of the destination is from, in the same numbers."
        from [Datagram("look-up")]
        as "DstASFrom" None, [];
    SrcCountry "srccountry" Country None "Country of the source, from a file: two letters."
        from [Datagram("look-up")]
        as "SrcCountry" None, ["src country"];
    DstCountry "dstcountry" Country None "Country of the destination, from a file: two letters."
        from [Datagram("look-up")]
        as "DstCountry" None, ["dst country"];
    DstAsPath "dstaspath" AsPath None "AS path to the destination, by BMP: the next AS first, with spaces between; those of a set in `{ }`, those of a confederation in `( )`, with commas between."
        from [Datagram("look-up")]
        as "DstASPath" Some(102), ["aspath", "dst aspath"];
}

impl Id {
    /// Its row in the table.
    #[must_use]
    pub fn column(self) -> &'static Column {
        // Every identifier is a row of the table.
        COLUMNS.get(self as usize).unwrap_or(&FIRST)
    }
}

static FIRST: Column = {
    let [first, ..] = TABLE;
    first
};

/// How many columns have addresses.
pub(crate) const ADDRESSES: usize = columns_of(false);

/// How many columns have texts.
pub(crate) const TEXTS: usize = columns_of(true);

const fn columns_of(texts: bool) -> usize {
    let (mut count, mut rest): (usize, &[Column]) = (0, &TABLE);
    while let [column, tail @ ..] = rest {
        count += match column.kind {
            Kind::Address => !texts as usize,
            Kind::AsPath => texts as usize,
            _ => 0,
        };
        rest = tail;
    }
    count
}

/// How many information elements the table names, each as often as it does.
pub const ELEMENT_PLACES: usize = element_places();

const fn element_places() -> usize {
    let (mut count, mut rest): (usize, &[Column]) = (0, &TABLE);
    while let [column, tail @ ..] = rest {
        let mut sources = column.sources;
        while let [source, others @ ..] = sources {
            count += matches!(source, Element(..)) as usize;
            sources = others;
        }
        rest = tail;
    }
    count
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_number_of_every_column_is_its_index() {
        for (index, column) in COLUMNS.iter().enumerate() {
            assert_eq!((column.id as usize, Id::ALL[index]), (index, column.id));
            assert_eq!(column.id.column().name, column.name);
            assert_eq!(Column::find(column.name).map(|found| found.id), Some(column.id));
        }
    }

    #[test]
    fn no_name_word_or_number_is_of_two_columns() {
        let (mut names, mut clickhouse, mut numbers) = (HashSet::new(), HashSet::new(), HashSet::new());
        for column in &COLUMNS {
            for name in column.words.iter().chain([&column.name]) {
                assert!(names.insert(*name), "{name}");
            }
            assert!(clickhouse.insert(column.clickhouse), "{}", column.clickhouse);
            assert!(column.protobuf.is_none_or(|number| numbers.insert(number)), "{}", column.name);
        }
    }

    #[test]
    fn every_column_has_a_meaning_and_a_place() {
        for column in &COLUMNS {
            assert!(column.meaning.ends_with('.') && !column.sources.is_empty(), "{}", column.name);
            assert!(column.name.chars().all(|letter| letter.is_ascii_lowercase()), "{}", column.name);
        }
    }
}
