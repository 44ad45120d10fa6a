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
use super::pairing::{Pairs, prefixes_of};
use super::traffic::{SHOWN, each};
use super::{export_connections, machine, traffic};
use crate::commands::ask::{moment, number};
use crate::table::duration;

/// A router whose last datagram is older than this is silent.
const SILENT_SECONDS: i64 = 600;

/// Adds the problems of a router; `heard` is its `GET /exporters/<address>`.
pub(super) fn examine(
    (answers, pairs): (&Answers, &Pairs),
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
        let connects = export_connections::unregistered(answers, address);
        findings.push(match (unknown, &connects) {
            (None, None) => unheard(answers, address, false, here),
            (unknown, _) => unknown_sender((answers, pairs), address, unknown, connects),
        });
        return;
    }
    if is_silent(heard) {
        let other = registered.and_then(|sender| other_address((answers, pairs), address, sender));
        let finding = other.unwrap_or_else(|| unheard(answers, address, true, here));
        findings.push(match heard.and_then(|heard| Some((heard, seconds_since(&heard["last"])?))) {
            Some((heard, seconds)) => finding.evidence(format!(
                "its last datagram came {} ago, at {}",
                duration(seconds.unsigned_abs()),
                moment(&heard["last"])
            )),
            None => finding,
        });
    }
    let Some(heard) = heard.filter(|heard| !heard["last"].is_null()) else { return };
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

/// Whether nothing arrives from a registered router; `heard` is what `GET /exporters` has of it.
pub(super) fn is_silent(heard: Option<&Value>) -> bool {
    heard.is_none_or(|heard| seconds_since(&heard["last"]).is_none_or(|seconds| seconds > SILENT_SECONDS))
}

/// `unknown`: what `GET /unknown` has of it; `connects`: its export connections that were refused.
fn unknown_sender(
    (answers, pairs): (&Answers, &Pairs),
    address: IpAddr,
    unknown: Option<&Value>,
    connects: Option<String>,
) -> Finding {
    let sends = match unknown.and_then(|unknown| unknown["relay"].as_str()) {
        Some(relay) => format!("the relay {relay} sends flows of {address}, which is not registered"),
        None => format!("{address} sends without being registered"),
    };
    let mut finding = Finding::new("unknown_sender", format!("{sends}: its flows are not counted")).about(address);
    // A connection that was refused is noted as a datagram of no protocol.
    if let Some(unknown) = unknown.filter(|unknown| connects.is_none() || unknown["protocol"].is_string()) {
        let protocol = unknown["protocol"].as_str().unwrap_or("no known protocol");
        finding = finding.evidence(format!(
            "{} datagrams of {protocol}, the last at {}",
            number(&unknown["datagrams"]),
            moment(&unknown["last"])
        ));
    }
    finding = connects.into_iter().fold(finding, Finding::evidence);
    for pair in pairs.of_unknown(address).take(SHOWN) {
        let silent = pair.silent;
        finding = finding.evidence(format!("it may be {silent}, which is registered but silent: {}", pair.why));
        if let Some(sender) = by_address(answers.senders.as_deref().unwrap_or_default(), "ip", silent) {
            let prefixes = prefixes_of(sender);
            finding = finding.run(format!("netflow senders add {address} {prefixes}  # if it is {silent}"));
        }
    }
    finding.run(format!("netflow senders add {address} PREFIX...  # the prefixes to monitor"))
}

/// It sends nothing.
fn unheard(answers: &Answers, address: IpAddr, registered: bool, here: bool) -> Finding {
    let receiving = answers.receiving();
    let connections = [false, true].map(|tls| export_connections::listening(answers, tls)).concat();
    let (ports, tcp_ports) = (ports(&receiving), ports(&connections));
    let mut finding = Finding::new("silent", format!("no datagrams arrive from {address}")).about(address);
    if !registered {
        finding = finding.evidence("it is not registered either");
    }
    let shown: Vec<_> = receiving.iter().map(ToString::to_string).collect();
    finding = finding.evidence(format!("the collector listens on {}", shown.join(", ")));
    if !connections.is_empty() {
        let shown: Vec<_> = connections.iter().map(ToString::to_string).collect();
        finding = finding.evidence(format!("it accepts export connections (TCP) at {}", shown.join(", ")));
    }
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
    let tcp = tcp_ports.iter().map(|port| format!("tcp port {port}"));
    let filter: Vec<_> = ports.iter().map(|port| format!("udp port {port}")).chain(tcp).collect();
    finding = finding.run(format!("tcpdump -ni any -c 5 'src host {address} and ({})'", filter.join(" or ")));
    finding =
        finding.run("# no output: check destination, port and source of the router's export, see docs/exporters.md");
    if registered { finding } else { finding.run(format!("netflow senders add {address} PREFIX...")) }
}

/// An unregistered address that sends instead of a silent registered router.
fn other_address((answers, pairs): (&Answers, &Pairs), address: IpAddr, sender: &Value) -> Option<Finding> {
    let prefixes = prefixes_of(sender);
    let sends = |finding: Finding, other: IpAddr| match by_address(&answers.unknown, "address", other) {
        Some(sends) => finding.evidence(format!(
            "{} datagrams from {other}, the last at {}",
            number(&sends["datagrams"]),
            moment(&sends["last"])
        )),
        None => finding,
    };
    let remove = format!("netflow senders remove {address} --entirely");
    let or_else = "# or make the router send from the registered address: export source, NAT";
    if let Some(other) = embedded(address) {
        let what = format!("{address} embeds the IPv4 address {other}: over IPv4 its datagrams come from {other}");
        let finding = Finding::new("embedded_address", what).about(address);
        let finding = sends(finding.evidence(format!("no datagrams from {address}")), other);
        return Some(finding.run(format!("netflow senders add {other} {prefixes}")).run(remove).run(or_else));
    }
    let candidates: Vec<_> = pairs.of_silent(address).collect();
    let what = match candidates.as_slice() {
        [] => return None,
        [pair] => {
            format!("{address} is registered but silent; {} sends without being registered", pair.sends)
        }
        many => format!("{address} is registered but silent; {} unregistered addresses may be its own", many.len()),
    };
    let mut finding = Finding::new("other_address", what).about(address);
    for pair in candidates.iter().take(SHOWN) {
        finding = sends(finding, pair.sends).evidence(format!("why {}: {}", pair.sends, pair.why));
        let choice = if candidates.len() > 1 { "  # if it is this one" } else { "" };
        finding = finding.run(format!("netflow senders add {} {prefixes}{choice}", pair.sends));
    }
    Some(finding.run(remove).run(or_else))
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
}
