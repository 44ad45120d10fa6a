//! Problems of the datagrams of a registered router: missing templates, clock, unreadable or lost datagrams.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::finding::Finding;
use super::{booking, export_connections, sampling};
use crate::commands::ask::{moment, number, text};
use crate::table::{count_of, duration};

/// A clock that is further off puts flows into the wrong minute.
const CLOCK_OFF_SECONDS: f64 = 60.0;
/// The share of lost data that is not reported yet.
const SHARE_LOST: f64 = 0.001;
/// How many entries of a list are shown.
pub(super) const SHOWN: usize = 5;

/// Adds its problems.
pub(super) fn examine(address: IpAddr, registered: Option<&Value>, heard: &Value, findings: &mut Vec<Finding>) {
    let found = [
        template_missing(heard),
        clock_off(heard),
        sampling::rate(heard),
        sampling::changed(heard),
        sampling::implausible(heard),
        implausible(address, heard),
        unreadable(address, heard),
        lost_on_the_way(address, heard),
    ];
    let found = found.into_iter().flatten().chain(booking::examine(address, registered, heard));
    findings.extend(found.map(|finding| finding.about(address)));
}

pub(super) fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn template_missing(heard: &Value) -> Option<Finding> {
    let sets = number(&heard["pendingSets"]);
    if sets == 0 {
        return None;
    }
    let what = format!("{} waiting for missing templates, counted once these arrive", count_of(sets, "data set"));
    let mut finding = Finding::new("template_missing", what);
    for pending in each(&heard["pending"]).take(SHOWN) {
        finding = finding.evidence(format!(
            "template {} of {}, domain {}: {} sets, {} bytes, waiting since {}",
            number(&pending["template"]),
            text(&pending["protocol"]),
            number(&pending["domain"]),
            number(&pending["sets"]),
            number(&pending["bytes"]),
            moment(&pending["since"])
        ));
    }
    let known: BTreeSet<_> = each(&heard["templates"]).map(|template| number(&template["id"])).collect();
    let known: Vec<_> = known.iter().take(2 * SHOWN).map(ToString::to_string).collect();
    finding = finding.evidence(match known.as_slice() {
        [] => "no templates are known".to_owned(),
        ids => format!("known templates: {}", ids.join(", ")),
    });
    let expired = number(&heard["counters"]["pending_expired_sets"]);
    if expired > 0 {
        finding = finding.evidence(format!("{expired} more expired (netflow.templateWait)"));
    }
    Some(finding.run("template data timeout 60  # on the router (IOS: flow exporter; others: docs/exporters.md)"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds are enough")]
fn clock_off(heard: &Value) -> Option<Finding> {
    let off = heard["clockOffsetSeconds"].as_f64().filter(|off| off.abs() > CLOCK_OFF_SECONDS)?;
    let direction = if off > 0.0 { "ahead" } else { "behind" };
    let what =
        format!("its clock is {} {direction}: flows are counted in the wrong minutes", duration(off.abs() as u64));
    let mut finding = Finding::new("clock_off", what)
        .evidence(format!("export time minus receive time of its last datagram: {off} s"));
    let clamped = number(&heard["counters"]["clamped_flows"]);
    if clamped > 0 {
        finding = finding.evidence(format!(
            "{clamped} flows are counted at their receive time: their export times were too far off (clockLimit)"
        ));
    }
    Some(
        finding
            .run("ntp server ADDRESS  # on the router (IOS; others are similar)")
            .run("timedatectl  # on the collector: is its own clock right?"),
    )
}

fn implausible(address: IpAddr, heard: &Value) -> Option<Finding> {
    let flows = number(&heard["counters"]["flows"]["implausible"]);
    if flows == 0 {
        return None;
    }
    let what = format!("{} not counted: more bytes or packets than any link can carry", count_of(flows, "flow"));
    let mut finding = Finding::new("implausible_flows", what);
    for seen in each(&heard["sampling"]["rates"]).take(SHOWN) {
        let (rate, source) = (number(&seen["rate"]), text(&seen["source"]));
        finding = finding.evidence(format!("sampling rate {rate}, from {source}, last used {}", moment(&seen["last"])));
    }
    Some(
        finding
            .run(format!("tcpdump -ni any -c 200 -w export.pcap src host {address} and udp"))
            .run("netflow decode export.pcap  # which records, and which sampling rate?"),
    )
}

fn unreadable(address: IpAddr, heard: &Value) -> Option<Finding> {
    let datagrams = &heard["counters"]["datagrams"];
    let (damaged, unknown) = (number(&datagrams["damaged"]), number(&datagrams["unknown_version"]));
    let has_others = number(&heard["counters"]["decode_errors"]) > export_connections::errors_of_templates(heard);
    if damaged + unknown == 0 || !has_others {
        return None;
    }
    let last = &heard["unreadable"];
    let finding = if unknown > 0 {
        let what = format!("{unknown} of its datagrams have an unknown version number");
        Finding::new("unknown_version", what)
            .evidence(format!("version of the last unreadable datagram: {}", number(&last["version"])))
            .evidence("supported: NetFlow 1, 5, 6, 7, 8, 9, IPFIX (10) and sFlow 2, 4, 5")
            .run("export-protocol netflow-v9  # on the router (IOS; others: docs/exporters.md)")
    } else {
        let what = format!("{damaged} of its datagrams are damaged; their readable parts are counted");
        Finding::new("malformed", what)
    };
    let finding = finding.evidence(format!(
        "the last at {}: {} at byte {}",
        text(&last["received"]),
        text(&last["error"]),
        number(&last["offset"])
    ));
    Some(
        finding
            .run(format!("tcpdump -ni any -c 200 -w export.pcap src host {address} and udp"))
            .run("netflow decode --summary export.pcap"),
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
        let what = format!(
            "{:.2} % of its data was lost on the way: {}",
            share * 100.0,
            count_of(lost, unit.trim_end_matches('s'))
        );
        let counted = format!(
            "sequence numbers: {received} {unit} received, {lost} missing; {} datagrams late, {} restarts",
            number(&arrivals["late"]),
            number(&arrivals["restarts"])
        );
        finding = Some(finding.unwrap_or_else(|| Finding::new("lost_on_the_way", what)).evidence(counted));
    }
    let finding = finding?;
    Some(
        finding
            .run(format!("netflow curl GET /exporters/{address}  # streams: which of its export processes"))
            .run(format!("mtr -u -c 100 {address}  # losses in the network; those of this machine are kernel_drops")),
    )
}
