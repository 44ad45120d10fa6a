//! Records of a registered router that arrive and are readable, but of which nothing is counted, or maybe too much.

use std::net::IpAddr;

use serde_json::Value;

use super::finding::Finding;
use super::traffic::{SHOWN, each};
use crate::commands::ask::{number, text};
use crate::table::count_of;

/// The elements that count octets or packets, or hold a sampled packet.
const COUNTERS: [u64; 15] = [1, 2, 23, 24, 85, 86, 104, 231, 232, 298, 299, 313, 315, 352, 353];

/// The share of its flows from which on they are reported: one of this many.
const SHARE: u64 = 10;

/// Its problems.
pub(super) fn examine(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Vec<Finding> {
    let found = [
        nothing_is_counted(heard),
        no_prefix_matches(address, registered, heard),
        outside(address, registered, heard),
        no_ip_header(address, heard),
        observed_twice(address, heard),
        out_counters_differ(address, registered, heard),
        tunnelled(address, registered, heard),
        inner_unknown(heard),
    ];
    found.into_iter().flatten().collect()
}

fn flows(heard: &Value, fate: &str) -> u64 {
    number(&heard["counters"]["flows"][fate])
}

fn nothing_is_counted(heard: &Value) -> Option<Finding> {
    let (events, counted) = (flows(heard, "event"), flows(heard, "matched") + flows(heard, "unmatched"));
    if events == 0 || counted > 0 {
        return None;
    }
    let of_data = each(&heard["templates"]).filter(|template| template["kind"] == "data");
    let without: Vec<&Value> = of_data.filter(|template| !counts(template)).collect();
    let what = format!("nothing is counted: {} without new bytes or packets", count_of(events, "record"));
    let mut finding = Finding::new("nothing_counted", what);
    for template in without.iter().take(SHOWN) {
        let fields: Vec<String> = each(&template["fields"]).map(|field| text(&field["name"])).collect();
        finding =
            finding.evidence(format!("template {} has no counter: {}", number(&template["id"]), fields.join(", ")));
    }
    Some(match without.as_slice() {
        // All of them have counters, and those are zero, or the records are events such as a denied connection.
        [] => finding.run("netflow tap  # which records?"),
        _ => finding
            .run("collect counter bytes  # on the router, in the flow record (IOS; others are similar)")
            .run("collect counter packets"),
    })
}

fn counts(template: &Value) -> bool {
    each(&template["fields"]).any(|field| COUNTERS.contains(&number(&field["id"])))
}

fn no_prefix_matches(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Option<Finding> {
    let unmatched = flows(heard, "unmatched");
    if flows(heard, "matched") > 0 || unmatched == 0 {
        return None;
    }
    let what = format!("none of its {unmatched} flows match a monitored prefix");
    Some(with_networks(Finding::new("no_prefix_matches", what), address, registered, heard))
}

fn outside(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Option<Finding> {
    let (matched, unmatched) = (flows(heard, "matched"), flows(heard, "unmatched"));
    if matched == 0 || unmatched < (matched + unmatched).div_ceil(SHARE) {
        return None;
    }
    let what = format!("{unmatched} of its {} flows match no monitored prefix", matched + unmatched);
    Some(with_networks(Finding::new("flows_outside", what), address, registered, heard))
}

/// Adds the monitored prefixes, and the busiest networks in the sample of the flows that match none.
fn with_networks(mut finding: Finding, address: IpAddr, registered: Option<&Value>, heard: &Value) -> Finding {
    if let Some(sender) = registered {
        let prefixes: Vec<_> = each(&sender["prefixes"])
            .take(2 * SHOWN)
            .map(|prefix| format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"])))
            .collect();
        let prefixes = if prefixes.is_empty() { "none".to_owned() } else { prefixes.join(", ") };
        finding = finding.evidence(format!("monitored prefixes: {prefixes}"));
    }
    let sample = &heard["unmatched"];
    let busiest: Vec<&Value> = each(&sample["networks"]).take(SHOWN).collect();
    for network in &busiest {
        finding = finding.evidence(format!(
            "{}: source of {}, destination of {} of {} sampled flows",
            text(&network["network"]),
            number(&network["from"]),
            number(&network["to"]),
            number(&sample["sampled"])
        ));
    }
    for network in busiest.iter().take(2) {
        finding = finding
            .run(format!("netflow senders add {address} {}  # if this network is yours", text(&network["network"])));
    }
    finding
}

fn no_ip_header(address: IpAddr, heard: &Value) -> Option<Finding> {
    let packets = flows(heard, "no_ip_header");
    let all: u64 = heard["counters"]["flows"].as_object()?.values().map(number).sum();
    if packets == 0 || packets < all.div_ceil(SHARE) {
        return None;
    }
    let what = format!("{} of {all} sampled packets not counted: they show no IP header", packets);
    let finding = Finding::new("no_ip_header", what);
    Some(
        finding
            .run(format!("tcpdump -ni any -c 200 -w export.pcap src host {address} and udp"))
            .run("netflow decode export.pcap  # which layers are before the IP header, or are the sections too short?"),
    )
}

fn observed_twice(address: IpAddr, heard: &Value) -> Option<Finding> {
    if flows(heard, "other_direction") > 0 {
        return None;
    }
    let observed = &heard["ambiguities"];
    let (ingress, egress) = (number(&observed["ingress"]), number(&observed["egress"]));
    if ingress.min(egress) < (ingress + egress).div_ceil(SHARE).max(1) {
        return None;
    }
    let what = "it reports flows at ingress and at egress: packets that it forwards may count twice";
    Some(
        Finding::new("observed_twice", what)
            .evidence(format!("flowDirection: {ingress} flows at ingress, {egress} at egress"))
            .run(format!("netflow senders set {address} flowDirection=ingress  # if both are of the same packets"))
            .run("no ip flow monitor NAME output  # on the router, on each interface where both are on (IOS; others are similar)"),
    )
}

fn out_counters_differ(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Option<Finding> {
    let differing = number(&heard["ambiguities"]["outCountersDiffer"]);
    let counted = flows(heard, "matched") + flows(heard, "unmatched");
    if differing == 0
        || differing < counted.div_ceil(SHARE)
        || registered.is_some_and(|sender| sender["outCounters"] == "reverse")
    {
        return None;
    }
    let what = "the octets in elements 1 and 23 of its flows differ by more than a factor of two";
    Some(
        Finding::new("out_counters_differ", what)
            .evidence(format!("{differing} of {counted} flows; 1 counts, 23 does not"))
            .run(format!("netflow senders set {address} outCounters=reverse  # if 23 is of the other direction")),
    )
}

fn tunnelled(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Option<Finding> {
    let tunnelled = number(&heard["ambiguities"]["tunnelled"]);
    let unmatched = flows(heard, "unmatched");
    let counted = flows(heard, "matched") + unmatched;
    let share = counted.div_ceil(SHARE).max(1);
    if tunnelled.min(unmatched) < share || registered.is_some_and(|sender| sender["tunnels"] == "inner") {
        return None;
    }
    let what =
        format!("{tunnelled} of its {counted} flows are of packets in tunnels, and count by the ends of the tunnels");
    Some(Finding::new("tunnelled", what).evidence(format!("{unmatched} flows match no monitored prefix")).run(format!(
        "netflow senders set {address} tunnels=inner  # if the monitored prefixes are inside the tunnels"
    )))
}

fn inner_unknown(heard: &Value) -> Option<Finding> {
    let noted = &heard["ambiguities"];
    let (unknown, tunnelled) = (number(&noted["innerUnknown"]), number(&noted["tunnelled"]));
    if unknown < tunnelled.div_ceil(SHARE).max(1) {
        return None;
    }
    let what =
        format!("{unknown} of {tunnelled} flows in tunnels count by outer headers: the packet inside is not known");
    Some(
        Finding::new("inner_unknown", what)
            .run("netflow tap  # which protocols and ports: is the packet inside encrypted, or not IP?")
            .run("sflow max-sampled-size 256  # on the router, if headers are cut off (NX-OS; others are similar)"),
    )
}
