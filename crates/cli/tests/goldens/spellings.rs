//! How others write values: each function converts theirs to ours, independent of the field.

use serde_json::{Value, json};

/// The number of a name in a list.
fn by_name(value: &Value, names: &[(&str, u64)]) -> Option<Value> {
    let text = value.as_str()?;
    names.iter().find(|(name, _)| *name == text).map(|(_, number)| json!(number))
}

/// A protocol by its keyword (IANA, "Assigned Internet Protocol Numbers"), in the spelling of any of them.
pub(crate) fn protocol(value: &Value) -> Option<Value> {
    let keyword = value.as_str()?.trim_start_matches("Proto").to_ascii_lowercase();
    let names = [
        ("icmp", 1),
        ("icmpv4", 1),
        ("ipv4", 4),
        ("ipencap", 4),
        ("tcp", 6),
        ("udp", 17),
        ("ipv6", 41),
        ("ipv6-icmp", 58),
        ("ipv6icmp", 58),
        ("icmpv6", 58),
        ("ospf", 89),
        ("ospfigp", 89),
        ("pim", 103),
        ("vrrp", 112),
    ];
    by_name(&json!(keyword), &names)
}

pub(crate) fn direction(value: &Value) -> Option<Value> {
    let names = [("DirectionIngress", 0), ("DirectionEgress", 1), ("ingress", 0), ("egress", 1)];
    value.get("Unassigned").cloned().or_else(|| by_name(value, &names))
}

/// `flowEndReason` (IANA, element 136).
pub(crate) fn flow_end_reason(value: &Value) -> Option<Value> {
    by_name(value, &[("activetimeout", 2), ("end of flow", 3), ("forced end", 4)])
}

/// `mplsTopLabelType` (IANA, element 46).
pub(crate) fn label_type(value: &Value) -> Option<Value> {
    by_name(value, &[("BGP", 4), ("LDP", 5)])
}

/// `selectorAlgorithm` (IANA, element 304).
pub(crate) fn selector_algorithm(value: &Value) -> Option<Value> {
    by_name(value, &[("RandomnoutofNSampling", 3)])
}

/// `forwardingStatus` (RFC 7270, section 4.12): two bits of status, six of reason.
pub(crate) fn forwarding_status(value: &Value) -> Option<Value> {
    Some(json!(value["status"].as_u64()? << 6 | value["reason"].as_u64()?))
}

pub(crate) fn forwarding_status_by_name(value: &Value) -> Option<Value> {
    let (status, reason) = value.as_object()?.iter().next()?;
    forwarding_status_text(&json!(format!("{status} {}", reason.as_str()?)))
}

pub(crate) fn forwarding_status_text(value: &Value) -> Option<Value> {
    let names = [
        ("UNKNOWN Unclassified", 0),
        ("unknown", 0),
        ("Forwarded Unknown", 0x40),
        ("FORWARDED Unknown", 0x40),
        ("Consumed Forus", 0xc3),
        ("CONSUMED For us", 0xc3),
    ];
    by_name(value, &names)
}

/// Bits 0 and 1 of the status of an interface (sFlow v5, `if_counters`): administratively and really up.
pub(crate) fn interface_status(value: &Value) -> Option<Value> {
    by_name(value, &[("up", 3)])
}

pub(crate) fn up_or_down(value: &Value) -> Option<Value> {
    by_name(value, &[("down", 0), ("up", 1)])
}

/// `header_protocol` of sFlow v5, whose number tcpdump replaces by its name.
pub(crate) fn header_protocol(value: &Value) -> Option<Value> {
    by_name(value, &[("Ethernet", 1)])
}

/// A protocol, or 0 where there is no tunnel.
pub(crate) fn tunnel_protocol(value: &Value) -> Option<Value> {
    if value == "0" { Some(json!(0)) } else { protocol(value) }
}

pub(crate) fn ip_version(value: &Value) -> Option<Value> {
    by_name(value, &[("IPv4", 4), ("IPv6", 6)])
}

pub(crate) fn version(value: &Value) -> Option<Value> {
    by_name(value, &[("IPFIX", 10), ("NetFlowV5", 5), ("NetFlowV9", 9), ("sFlowV5", 5)])
}

/// The names of the TCP flags, the lowest bit first (RFC 9293, section 3.1).
const TCP_FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

fn tcp_flags(is_set: impl Fn(&str) -> bool) -> Option<Value> {
    let bits = TCP_FLAGS.iter().enumerate().map(|(bit, flag)| u64::from(is_set(flag)) << bit);
    Some(json!(bits.sum::<u64>()))
}

pub(crate) fn tcp_flags_by_name(value: &Value) -> Option<Value> {
    tcp_flags(|flag| value[flag] == true)
}

pub(crate) fn tcp_flags_list(value: &Value) -> Option<Value> {
    let flags = value.as_array()?;
    tcp_flags(|flag| flags.iter().any(|set| set == flag))
}

/// One letter for each flag that is set, a dot for the others, the highest bit first.
pub(crate) fn tcp_flags_letters(value: &Value) -> Option<Value> {
    let bits = value.as_str()?.chars().map(|letter| u64::from(letter != '.'));
    Some(json!(bits.fold(0, |flags, bit| flags << 1 | bit)))
}

pub(crate) fn ether_type(value: &Value) -> Option<Value> {
    if value.is_u64() {
        return Some(value.clone());
    }
    by_name(value, &[("ETypeIPv4", 0x0800), ("ETypeIPv6", 0x86dd)])
}

/// A list as Go prints it: `[]uint32{1, 2}`.
pub(crate) fn go_list(value: &Value) -> Option<Value> {
    let items = value.as_str()?.strip_prefix("[]uint32{")?.strip_suffix('}')?;
    items.split(", ").map(|item| item.parse::<u64>().ok()).collect::<Option<Vec<_>>>().map(|items| json!(items))
}

/// Labels after their position in the stack: `["0-69", "1-24305"]`.
pub(crate) fn indexed_labels(value: &Value) -> Option<Value> {
    let label = |(place, item): (usize, &Value)| {
        let (index, label) = item.as_str()?.split_once('-')?;
        (index == place.to_string()).then(|| label.parse::<u64>().ok())?
    };
    value.as_array()?.iter().enumerate().map(label).collect::<Option<Vec<_>>>().map(|labels| json!(labels))
}

/// Engine and selector (RFC 6759, section 4.1): `5..38`; with an enterprise between: `20..12356..36660`.
pub(crate) fn application(value: &Value) -> Option<Value> {
    let parts = value.as_str()?.split("..").map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    match *parts.as_slice() {
        [engine, selector] => Some(json!(format!("{engine:02x}{selector:06x}"))),
        [engine, enterprise, selector] => Some(json!(format!("{engine:02x}{enterprise:08x}{selector:08x}"))),
        _ => None,
    }
}

pub(crate) fn without_dashes(value: &Value) -> Option<Value> {
    value.as_str().map(|text| json!(text.replace('-', "")))
}

pub(crate) fn at_least_one(value: &Value) -> Option<Value> {
    value.as_u64().map(|number| json!(number.max(1)))
}

pub(crate) fn number_of_text(value: &Value) -> Option<Value> {
    value.as_str()?.parse::<u64>().ok().map(|number| json!(number))
}

pub(crate) fn number_of_hexadecimal(value: &Value) -> Option<Value> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok().map(|number| json!(number))
}

pub(crate) fn bare_hexadecimal(value: &Value) -> Option<Value> {
    number_of_hexadecimal(&json!(format!("0x{}", value.as_str()?)))
}

pub(crate) fn hexadecimal(value: &Value) -> Option<Value> {
    value.as_str()?.strip_prefix("0x").map(|digits| json!(digits))
}

fn octets_of(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

pub(crate) fn octets(value: &Value) -> Option<Value> {
    Some(json!(octets_of(value)?.iter().map(|octet| format!("{octet:02x}")).collect::<String>()))
}

pub(crate) fn mac_of_octets(value: &Value) -> Option<Value> {
    let octets: Vec<_> = octets_of(value)?.iter().map(|octet| format!("{octet:02x}")).collect();
    Some(json!(octets.join(":")))
}

pub(crate) fn mac_of_number(value: &Value) -> Option<Value> {
    let octets = value.as_u64()?.to_be_bytes();
    mac_of_octets(&json!(octets[2..]))
}
