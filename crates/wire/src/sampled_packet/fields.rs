//! The fields of a sampled packet. The names are ours: no specification has names for them.

use std::net::IpAddr;

use super::{Headers, SampledPacket};
use crate::record::{Field, FieldName, Fields, Value};

/// The names of the fields, in order.
macro_rules! names {
    ($prefix:literal: $($member:ident)*) => {
        [$(concat!($prefix, ".", stringify!($member))),*]
    };
    ($prefix:literal) => {
        names!($prefix: destination_mac source_mac vlan inner_vlan ether_type mpls_label
            source_address destination_address protocol total_length traffic_class hop_limit flow_label
            identification fragment_offset source_port destination_port tcp_flags icmp_type icmp_code)
    };
}

const OUTER: [&str; FIELDS] = names!("packet");
const INNER: [&str; FIELDS] = names!("inner_packet");
const INNERMOST: [&str; FIELDS] = names!("innermost_packet");
const FIELDS: usize = 20;

impl Fields for SampledPacket {
    fn visit(&self, visitor: &mut dyn FnMut(&Field<'_>)) {
        show(&OUTER, &self.outer, visitor);
        for (names, headers) in [(&INNER, &self.inner), (&INNERMOST, &self.innermost)] {
            if let Some(headers) = headers {
                show(names, headers, visitor);
            }
        }
    }
}

/// Calls the visitor with each field that the headers have.
fn show(names: &[&'static str; FIELDS], headers: &Headers, visitor: &mut dyn FnMut(&Field<'_>)) {
    for (name, value) in names.iter().zip(values(headers)) {
        if let Some(value) = value {
            visitor(&Field { name: FieldName::Named(name), scope: false, value });
        }
    }
}

/// The values in the order of the names.
fn values(headers: &Headers) -> [Option<Value<'static>>; FIELDS] {
    let Headers { link, ip, ports, icmp, .. } = headers;
    [
        link.map(|link| Value::Mac(link.destination)),
        link.map(|link| Value::Mac(link.source)),
        number(headers.vlan),
        number(headers.inner_vlan),
        number(headers.ether_type),
        number(headers.mpls_label),
        ip.map(|ip| address(ip.source)),
        ip.map(|ip| address(ip.destination)),
        number(ip.map(|ip| ip.protocol)),
        number(ip.map(|ip| ip.total_length)),
        number(ip.map(|ip| ip.traffic_class)),
        number(ip.map(|ip| ip.hop_limit)),
        number(ip.and_then(|ip| ip.flow_label)),
        number(ip.and_then(|ip| ip.identification)),
        number(ip.map(|ip| ip.fragment_offset)),
        number(ports.map(|(source, _)| source)),
        number(ports.map(|(_, destination)| destination)),
        number(headers.tcp_flags),
        number(icmp.map(|(kind, _)| kind)),
        number(icmp.map(|(_, code)| code)),
    ]
}

fn number(value: Option<impl Into<u64>>) -> Option<Value<'static>> {
    value.map(|value| Value::Unsigned(value.into()))
}

fn address(address: IpAddr) -> Value<'static> {
    match address {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    }
}
