//! Whether a router sends, and from a registered address. `traffic` examines the datagrams.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use flow::Timestamp;
use jiff::Timestamp as Time;
use serde_json::Value;

use super::answers::{Answers, address_of, by_address};
use super::collecting::ports;
use super::finding::Finding;
use super::traffic::{SHOWN, each};
use super::{machine, traffic};
use crate::commands::ask::{moment, number, text};
use crate::table::duration;

/// A router whose last datagram is older than this is silent.
const SILENT_SECONDS: i64 = 600;

/// Adds the problems of a router; `heard` is its `GET /exporters/<address>`.
pub(super) fn examine(
    answers: &Answers,
    address: IpAddr,
    heard: Option<&Value>,
    here: bool,
    findings: &mut Vec<Finding>,
) {
    let senders = answers.senders.as_deref().unwrap_or_default();
    let registered = by_address(senders, "ip", address);
    let unknown = by_address(&answers.unknown, "address", address);
    // Without the store the registered senders are unknown; but only their datagrams are decoded.
    if registered.is_none() && heard.is_none() {
        findings.push(match unknown {
            Some(unknown) => unknown_sender(address, unknown),
            None => unheard(answers, address, false, here),
        });
        return;
    }
    let quiet = heard.is_none_or(|heard| heard["last"].is_null());
    if quiet {
        let other = registered.and_then(|sender| other_address(answers, address, sender));
        findings.push(other.unwrap_or_else(|| unheard(answers, address, true, here)));
        return;
    }
    let Some(heard) = heard else { return };
    if let Some(seconds) = seconds_since(&heard["last"])
        && seconds > SILENT_SECONDS
    {
        let silent = unheard(answers, address, true, here);
        findings.push(silent.evidence(format!(
            "its last datagram came {} ago, at {}",
            duration(seconds.unsigned_abs()),
            moment(&heard["last"])
        )));
    }
    findings.extend(looks_like_relay(address, registered, heard));
    traffic::examine(address, registered, heard, findings);
}

/// Its sFlow datagrams are of several agents.
fn looks_like_relay(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Option<Finding> {
    if registered.is_some_and(|sender| sender["identity"] == "agent") {
        return None;
    }
    let agents = each(&heard["streams"]).filter_map(|stream| address_of(stream, "agent"));
    let others: BTreeSet<IpAddr> = agents.filter(|agent| *agent != address && !agent.is_unspecified()).collect();
    if others.len() < 2 {
        return None;
    }
    let shown: Vec<_> = others.iter().take(2 * SHOWN).map(ToString::to_string).collect();
    let what = format!("this exporter looks like a relay: its sFlow datagrams name {} other agents", others.len());
    let mut finding = Finding::new("looks_like_relay", what)
        .about(address)
        .evidence(format!("agents: {}", shown.join(", ")))
        .evidence(format!("the flows of all of them are counted for {address}"));
    for agent in others.iter().take(SHOWN) {
        finding = finding.run(format!("netflow senders add {agent} PREFIX...  # if it is to be counted by itself"));
    }
    Some(
        finding.run(format!("netflow senders set {address} identity=agent  # then only registered agents are counted")),
    )
}

fn unknown_sender(address: IpAddr, unknown: &Value) -> Finding {
    let protocol = unknown["protocol"].as_str().unwrap_or("no known protocol");
    let sends = match unknown["relay"].as_str() {
        Some(relay) => format!("the relay {relay} sends flows of {address}, which is not registered"),
        None => format!("{address} sends without being registered"),
    };
    Finding::new("unknown_sender", format!("{sends}: its flows are not counted"))
        .about(address)
        .evidence(format!(
            "{} datagrams of {protocol}, the last at {}",
            number(&unknown["datagrams"]),
            moment(&unknown["last"])
        ))
        .run(format!("netflow senders add {address} PREFIX...  # the prefixes to monitor"))
        .run(text(&unknown["register"]["command"]) + "  # or every prefix, to begin with")
}

/// It sends nothing.
fn unheard(answers: &Answers, address: IpAddr, registered: bool, here: bool) -> Finding {
    let receiving = answers.receiving();
    let ports = ports(&receiving);
    let mut finding = Finding::new("silent", format!("no datagrams arrive from {address}")).about(address);
    if !registered {
        finding = finding.evidence("it is not registered either");
    }
    let shown: Vec<_> = receiving.iter().map(ToString::to_string).collect();
    finding = finding.evidence(format!("the collector listens on {}", shown.join(", ")));
    let is_loopback_only = receiving.iter().all(|socket| socket.ip().is_loopback());
    if is_loopback_only && !receiving.is_empty() && !address.is_loopback() {
        finding = finding
            .evidence("these are loopback addresses: no router can reach them")
            .run("listen = [\"0.0.0.0:2055\", \"[::]:2055\"]  # in [netflow] of the configuration file");
    } else if receiving.iter().all(SocketAddr::is_ipv4) && address.is_ipv6() {
        finding = finding.evidence("it listens on IPv4 only, but the router is registered with an IPv6 address");
    }
    if here {
        let rules = machine::dropping_rules(&ports);
        for rule in &rules {
            finding = finding.evidence(format!("firewall rule: {rule}"));
        }
        if !rules.is_empty() {
            let listed: Vec<_> = ports.iter().map(ToString::to_string).collect();
            finding = finding
                .run(format!("nft insert rule inet filter input udp dport '{{ {} }}' accept", listed.join(", ")));
        }
    }
    let filter: Vec<_> = ports.iter().map(|port| format!("udp port {port}")).collect();
    finding = finding.run(format!("tcpdump -ni any -c 5 'src host {address} and ({})'", filter.join(" or ")));
    finding =
        finding.run("# no output: check destination, port and source of the router's export, see docs/exporters.md");
    if registered { finding } else { finding.run(format!("netflow senders add {address} PREFIX...")) }
}

/// An unregistered address that sends instead of a silent registered router.
fn other_address(answers: &Answers, address: IpAddr, sender: &Value) -> Option<Finding> {
    let inner = embedded(address);
    let is_other = |other: IpAddr| Some(other) == inner || (inner.is_none() && same_network(address, other));
    let others = answers.unknown.iter().filter_map(|unknown| address_of(unknown, "address"));
    let other = others.into_iter().find(|other| is_other(*other)).or(inner)?;
    let sends = by_address(&answers.unknown, "address", other);
    let prefixes = sender["prefixes"].as_array().into_iter().flatten();
    let prefixes: Vec<_> =
        prefixes.map(|prefix| format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"]))).collect();
    let (name, what) = if inner.is_some() {
        (
            "embedded_address",
            format!("{address} embeds the IPv4 address {other}: over IPv4 its datagrams come from {other}"),
        )
    } else {
        (
            "other_address",
            format!("{address} is registered but silent; {other} in the same network sends without being registered"),
        )
    };
    let mut finding = Finding::new(name, what).about(address).evidence(format!("no datagrams from {address}"));
    if let Some(sends) = sends {
        finding = finding.evidence(format!(
            "{} datagrams from {other}, the last at {}",
            number(&sends["datagrams"]),
            moment(&sends["last"])
        ));
    }
    Some(
        finding
            .run(format!("netflow senders add {other} {}", prefixes.join(" ")))
            .run(format!("netflow senders remove {address} --entirely"))
            .run("# or make the router send from the registered address: export source, NAT"),
    )
}

/// The IPv4 address embedded in an IPv6 address: mapped, compatible (RFC 4291, section 2.5.5), NAT64
/// (RFC 6052).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(six) = address else { return None };
    let bits = six.to_bits();
    let inner = Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).ok()?);
    let has_one = matches!(bits >> 32, 0 | 0xffff | 0x0064_ff9b_0000_0000_0000_0000);
    (has_one && inner.octets().first() != Some(&0)).then_some(IpAddr::V4(inner))
}

/// Whether two addresses share a /24 or a /64.
fn same_network(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.to_bits() >> 8 == other.to_bits() >> 8,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() >> 64 == other.to_bits() >> 64,
        _ => false,
    }
}

/// Seconds since a time of the collector.
pub(super) fn seconds_since(time: &Value) -> Option<i64> {
    let then: Time = time.as_str()?.parse().ok()?;
    let now = i64::try_from(Timestamp::from(SystemTime::now()).seconds()).ok()?;
    Some(now - then.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_addresses_are_found_in_ipv6_addresses() {
        let inner = |text: &str| embedded(text.parse().unwrap()).map(|address| address.to_string());
        for holds in ["::ffff:192.0.2.1", "::192.0.2.1", "64:ff9b::192.0.2.1"] {
            assert_eq!(inner(holds).as_deref(), Some("192.0.2.1"), "{holds}");
        }
        for plain in ["::1", "::", "2001:db8::c000:201", "192.0.2.1", "fe80::1"] {
            assert_eq!(inner(plain), None, "{plain}");
        }
    }

    #[test]
    fn neighbours_are_of_one_network() {
        let same = |one: &str, other: &str| same_network(one.parse().unwrap(), other.parse().unwrap());
        assert!(same("192.0.2.1", "192.0.2.254") && same("2001:db8::1", "2001:db8::2:1"));
        assert!(
            !same("192.0.2.1", "192.0.3.1") && !same("2001:db8::1", "2001:db8:0:1::1") && !same("::1", "127.0.0.1")
        );
    }
}
