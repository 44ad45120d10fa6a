//! What is wrong with the datagrams of a router that is registered and sends: templates, prefixes, clock, sampling, what
//! cannot be read, what is lost on the way.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::finding::Finding;
use crate::commands::ask::{moment, number, text};

/// A clock that is further off puts flows into another minute.
const CLOCK_OFF_SECONDS: f64 = 60.0;
/// Which share of what was sent may be missing without being told.
const SHARE_LOST: f64 = 0.001;
/// How many entries of a list are told of.
const TOLD: usize = 5;
/// Elements by which flows name who sampled them.
const SAMPLER_ELEMENTS: [&str; 2] = ["samplerId", "selectorId"];

/// Everything that is wrong with it.
pub(super) fn examine(address: IpAddr, registered: Option<&Value>, heard: &Value, findings: &mut Vec<Finding>) {
    let found = [
        template_missing(heard),
        no_prefix_matches(address, registered, heard),
        clock_off(heard),
        sampling(heard),
        unreadable(address, heard),
        lost_on_the_way(address, heard),
    ];
    findings.extend(found.into_iter().flatten().map(|finding| finding.about(address)));
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn template_missing(heard: &Value) -> Option<Finding> {
    let sets = number(&heard["pendingSets"]);
    if sets == 0 {
        return None;
    }
    let what = format!("{sets} data sets wait for templates that have not come; they are counted as soon as these do");
    let mut finding = Finding::new("template_missing", what);
    for waits in each(&heard["pending"]).take(TOLD) {
        finding = finding.seen(format!(
            "set {} of {}, domain {}: {} sets, {} bytes wait since {}",
            number(&waits["template"]),
            text(&waits["protocol"]),
            number(&waits["domain"]),
            number(&waits["sets"]),
            number(&waits["bytes"]),
            moment(&waits["since"])
        ));
    }
    let known: BTreeSet<_> = each(&heard["templates"]).map(|template| number(&template["id"])).collect();
    let known: Vec<_> = known.iter().take(2 * TOLD).map(ToString::to_string).collect();
    finding = finding.seen(match known.as_slice() {
        [] => "no template of it is known".to_owned(),
        ids => format!("known templates: {}", ids.join(", ")),
    });
    let expired = number(&heard["counters"]["pending_expired_sets"]);
    if expired > 0 {
        finding = finding.seen(format!("{expired} more waited in vain (netflow.templateWait)"));
    }
    Some(finding.then_type("template data timeout 60  # on the router (IOS: flow exporter; others: docs/exporters.md)"))
}

fn no_prefix_matches(address: IpAddr, registered: Option<&Value>, heard: &Value) -> Option<Finding> {
    let flows = &heard["counters"]["flows"];
    let (matched, unmatched) = (number(&flows["matched"]), number(&flows["unmatched"]));
    if matched > 0 || unmatched == 0 {
        return None;
    }
    let what = format!("no flow of it is of a monitored prefix: none of {unmatched} is counted");
    let mut finding = Finding::new("no_prefix_matches", what);
    if let Some(sender) = registered {
        let prefixes: Vec<_> = each(&sender["prefixes"])
            .take(2 * TOLD)
            .map(|prefix| format!("{}/{}", text(&prefix["prefix"]), number(&prefix["prefixLen"])))
            .collect();
        let prefixes = if prefixes.is_empty() { "none".to_owned() } else { prefixes.join(", ") };
        finding = finding.seen(format!("monitored prefixes: {prefixes}"));
    }
    let sample = &heard["unmatched"];
    let busiest: Vec<&Value> = each(&sample["networks"]).take(TOLD).collect();
    for network in &busiest {
        finding = finding.seen(format!(
            "{}: source of {}, destination of {} of {} flows that were looked at",
            text(&network["network"]),
            number(&network["from"]),
            number(&network["to"]),
            number(&sample["sampled"])
        ));
    }
    for network in busiest.iter().take(2) {
        finding =
            finding.then_type(format!("netflow senders add {address} {}  # if it is yours", text(&network["network"])));
    }
    Some(finding)
}

fn clock_off(heard: &Value) -> Option<Finding> {
    let off = heard["clockOffsetSeconds"].as_f64().filter(|off| off.abs() > CLOCK_OFF_SECONDS)?;
    let direction = if off > 0.0 { "ahead" } else { "behind" };
    let what = format!("its clock is {:.0} s {direction}: flows count in the wrong minutes", off.abs());
    let mut finding =
        Finding::new("clock_off", what).seen(format!("export time less time of receipt in its last datagram: {off} s"));
    let clamped = number(&heard["counters"]["clamped_flows"]);
    if clamped > 0 {
        finding =
            finding.seen(format!("{clamped} flows were further off than clockLimit and count when they were received"));
    }
    Some(
        finding
            .then_type("ntp server ADDRESS  # on the router (IOS; others alike)")
            .then_type("timedatectl  # on the collector: is its own clock right?"),
    )
}

fn sampling(heard: &Value) -> Option<Finding> {
    let sampling = &heard["sampling"];
    let rates: Vec<(u64, String)> =
        each(&sampling["rates"]).map(|seen| (number(&seen["rate"]), text(&seen["source"]))).collect();
    let (latest, source) = rates.first()?;
    let announced: BTreeSet<u64> =
        each(&sampling["announced"]).map(|sampler| number(&sampler["rate"])).filter(|rate| *rate > 0).collect();
    let told = announced.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if sampling["multiplied"] == false && *latest > 1 {
        let what =
            format!("it samples one of {latest} packets, and the collector does not multiply: totals are too low");
        return Some(
            Finding::new("sampling_ignored", what)
                .seen(format!(
                    "flows come with the rate {latest}, known from {source}; netflow.calculateSamples is off"
                ))
                .then_type("calculateSamples = true  # in [netflow] of the collector's configuration"),
        );
    }
    let names_sampler = each(&heard["templates"]).filter(|template| template["kind"] == "data").any(|template| {
        each(&template["fields"]).any(|field| SAMPLER_ELEMENTS.iter().any(|name| field["name"].as_str() == Some(name)))
    });
    if source == "none" && (names_sampler || !announced.is_empty()) {
        let finding =
            Finding::new("sampling_unknown", "it samples, but at which rate is not known: totals are too low");
        let finding = if announced.is_empty() {
            finding.seen("its flows name a sampler, and no options data tell the sampler's rate")
        } else {
            finding.seen(format!("options data tell the rates {told}, and its flows do not say which is theirs"))
        };
        return Some(finding.then_type(
            "option sampler-table timeout 60  # on the router (IOS: flow exporter; others: docs/exporters.md)",
        ));
    }
    if source != "options" && source != "none" && !announced.is_empty() && !announced.contains(latest) {
        let what = format!("its flows say that one of {latest} packets is sampled, its options data say {told}");
        return Some(
            Finding::new("sampling_differs", what)
                .seen(format!("the rate of the {source} is the one that counts"))
                .then_type("show flow exporter; show sampler  # on the router: which rate is configured?"),
        );
    }
    None
}

fn unreadable(address: IpAddr, heard: &Value) -> Option<Finding> {
    let datagrams = &heard["counters"]["datagrams"];
    let (damaged, unknown) = (number(&datagrams["damaged"]), number(&datagrams["unknown_version"]));
    if damaged + unknown == 0 {
        return None;
    }
    let last = &heard["unreadable"];
    let finding = if unknown > 0 {
        let what = format!("{unknown} of its datagrams are of no version that the collector knows");
        Finding::new("unknown_version", what)
            .seen(format!("the last one that could not be read begins with version {}", number(&last["version"])))
            .seen("known are NetFlow 1, 5, 6, 7, 8, 9, IPFIX (10) and sFlow 2, 4, 5")
            .then_type("export-protocol netflow-v9  # on the router (IOS; others: docs/exporters.md)")
    } else {
        let what = format!("{damaged} of its datagrams could not be read to their end; the rest of each is counted");
        Finding::new("malformed", what)
    };
    let finding = finding.seen(format!(
        "the last at {}: {} at octet {}",
        text(&last["received"]),
        text(&last["error"]),
        number(&last["offset"])
    ));
    Some(
        finding
            .then_type(format!("tcpdump -ni any -c 200 -w export.pcap src host {address} and udp"))
            .then_type("netflow decode --summary export.pcap"),
    )
}

fn lost_on_the_way(address: IpAddr, heard: &Value) -> Option<Finding> {
    let mut finding: Option<Finding> = None;
    for arrivals in each(&heard["arrivals"]) {
        let (lost, received) = (number(&arrivals["lost"]), number(&arrivals["received"]));
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        let share = lost as f64 / lost.saturating_add(received).max(1) as f64;
        if share < SHARE_LOST {
            continue;
        }
        let unit = text(&arrivals["unit"]);
        let what = format!("{:.2} % of what it sent never came: {lost} {unit}", share * 100.0);
        let counted = format!(
            "sequence numbers: {received} {unit} received, {lost} missing, {} datagrams late, {} restarts",
            number(&arrivals["late"]),
            number(&arrivals["restarts"])
        );
        finding = Some(finding.unwrap_or_else(|| Finding::new("lost_on_the_way", what)).seen(counted));
    }
    let finding = finding?;
    Some(
        finding
            .then_type(format!("netflow curl GET /exporters/{address}  # streams: which of its processes loses"))
            .then_type(format!(
                "mtr -u -c 100 {address}  # losses of the network; kernel_drops of this doctor: of this machine"
            )),
    )
}
