//! A sampled packet as fields. The names are ours: no specification has any for what is inside a header.

use std::net::IpAddr;

use super::{Headers, SampledPacket};
use crate::record::{Field, FieldName, Fields, Value};

/// What the fields of the headers are called: `prefix.member`.
struct Names {
    destination_mac: &'static str,
    source_mac: &'static str,
    vlan: &'static str,
    inner_vlan: &'static str,
    ether_type: &'static str,
    mpls_label: &'static str,
    source_address: &'static str,
    destination_address: &'static str,
    protocol: &'static str,
    total_length: &'static str,
    traffic_class: &'static str,
    hop_limit: &'static str,
    fragment_offset: &'static str,
    source_port: &'static str,
    destination_port: &'static str,
    tcp_flags: &'static str,
    icmp_type: &'static str,
    icmp_code: &'static str,
}

macro_rules! names {
    ($prefix:literal: $($member:ident)*) => {
        Names { $($member: concat!($prefix, ".", stringify!($member))),* }
    };
    ($prefix:literal) => {
        names!($prefix: destination_mac source_mac vlan inner_vlan ether_type mpls_label source_address
            destination_address protocol total_length traffic_class hop_limit fragment_offset source_port
            destination_port tcp_flags icmp_type icmp_code)
    };
}

const OUTER: Names = names!("packet");
const INNER: Names = names!("inner_packet");

impl Fields for SampledPacket {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        self.outer.show(&OUTER, visitor);
        if let Some(inner) = &self.inner {
            inner.show(&INNER, visitor);
        }
    }
}

impl Headers {
    fn show(&self, names: &Names, visitor: &mut dyn FnMut(&Field<'_>)) {
        let mut field = |name, value| visitor(&Field { name: FieldName::Named(name), scope: false, value });
        if let Some(link) = self.link {
            field(names.destination_mac, Value::Mac(link.destination));
            field(names.source_mac, Value::Mac(link.source));
        }
        let mut number = |name, value: Option<u32>| {
            if let Some(value) = value {
                field(name, Value::Unsigned(value.into()));
            }
        };
        number(names.vlan, self.vlan.map(u32::from));
        number(names.inner_vlan, self.inner_vlan.map(u32::from));
        number(names.ether_type, self.ether_type.map(u32::from));
        number(names.mpls_label, self.mpls_label);
        if let Some(ip) = self.ip {
            field(names.source_address, address(ip.source));
            field(names.destination_address, address(ip.destination));
        }
        let mut number = |name, value: Option<u32>| {
            if let Some(value) = value {
                field(name, Value::Unsigned(value.into()));
            }
        };
        if let Some(ip) = self.ip {
            number(names.protocol, Some(ip.protocol.into()));
            number(names.total_length, Some(ip.total_length));
            number(names.traffic_class, Some(ip.traffic_class.into()));
            number(names.hop_limit, Some(ip.hop_limit.into()));
            number(names.fragment_offset, Some(ip.fragment_offset.into()));
        }
        number(names.source_port, self.ports.map(|(source, _)| source.into()));
        number(names.destination_port, self.ports.map(|(_, destination)| destination.into()));
        number(names.tcp_flags, self.tcp_flags.map(u32::from));
        number(names.icmp_type, self.icmp.map(|(kind, _)| kind.into()));
        number(names.icmp_code, self.icmp.map(|(_, code)| code.into()));
    }
}

fn address(address: IpAddr) -> Value<'static> {
    match address {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    }
}
