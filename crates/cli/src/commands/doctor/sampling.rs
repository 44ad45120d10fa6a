//! The sampling of a router's flows: which rate applies to which records, and what is wrong with it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::finding::Finding;
use super::traffic::{SHOWN, each};
use crate::commands::ask::{moment, number, text};
use crate::table::count_of;

/// Elements that name the sampler of a flow.
const SAMPLER_ELEMENTS: [&str; 3] = ["samplerId", "selectorId", "flagsAndSamplerId"];

/// Which rate applies to which records, from which statement, a line each; none if nothing is sampled.
pub(super) fn applied(heard: &Value) -> Vec<String> {
    let sampling = &heard["sampling"];
    let is_shown = |applied: &&Value| applied["source"] != "none" || applied["unknown"] == true;
    if each(&sampling["announced"]).next().is_none() && !each(&sampling["applied"]).any(|applied| is_shown(&applied)) {
        return Vec::new();
    }
    each(&sampling["applied"]).map(line).collect()
}

fn line(applied: &Value) -> String {
    let mut records = format!(
        "template {} of {}, domain {}, source port {}",
        number(&applied["template"]),
        text(&applied["protocol"]),
        number(&applied["domain"]),
        number(&applied["port"])
    );
    if let Some(part) = applied["part"].as_str() {
        records.push_str(&format!(", {part}"));
    }
    if applied["sampler"].is_u64() {
        records.push_str(&format!(", sampler {}", number(&applied["sampler"])));
    }
    let rate = match (number(&applied["rate"]), number(&applied["flows"])) {
        _ if applied["unknown"] == true => "unknown rate".to_owned(),
        _ if applied["rate"].is_null() => "the rate in each record".to_owned(),
        (1, _) => "not sampled".to_owned(),
        (rate, 1) => format!("1 of {rate} packets"),
        (rate, flows) if rate == flows => format!("1 of {flows} flows"),
        (rate, flows) => format!("1 of {flows} flows, 1 of {} packets", rate / flows.max(1)),
    };
    match applied["statement"].as_str() {
        Some(statement) => {
            format!("{records}: {rate}, announced for {statement} by source port {}", number(&applied["announcedBy"]))
        }
        None => format!("{records}: {rate}"),
    }
}

/// Rates that cannot be.
pub(super) fn implausible(heard: &Value) -> Option<Finding> {
    let implausible: Vec<&Value> = each(&heard["sampling"]["implausible"]).collect();
    let records = implausible.iter().map(|rate| number(&rate["records"])).sum();
    implausible.first()?;
    let what = format!("{} with a sampling rate that cannot be: the rate is ignored", count_of(records, "record"));
    let mut finding = Finding::new("sampling_implausible", what);
    for rate in implausible.iter().rev().take(SHOWN) {
        finding = finding.evidence(format!(
            "template {} of {}, domain {}, source port {}: {} {}, last at {}",
            number(&rate["template"]),
            text(&rate["protocol"]),
            number(&rate["domain"]),
            number(&rate["port"]),
            text(&rate["element"]),
            number(&rate["value"]),
            moment(&rate["last"])
        ));
    }
    Some(finding.run("show flow exporter; show sampler  # on the router: does it sample, and at which rate?"))
}

/// A rate that is ignored, unknown or contradictory.
pub(super) fn rate(heard: &Value) -> Option<Finding> {
    let sampling = &heard["sampling"];
    let rates: Vec<(u64, String)> =
        each(&sampling["rates"]).map(|seen| (number(&seen["rate"]), text(&seen["source"]))).collect();
    let (latest, source) = rates.first()?;
    let announced: BTreeSet<u64> =
        each(&sampling["announced"]).map(|sampler| number(&sampler["rate"])).filter(|rate| *rate > 0).collect();
    let listed = announced.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if sampling["multiplied"] == false && *latest > 1 {
        let what = format!("it samples 1 of {latest} packets, but sampling is not multiplied: totals are too low");
        return Some(
            Finding::new("sampling_ignored", what)
                .evidence(format!("sampling rate {latest}, from {source}; netflow.calculateSamples is false"))
                .run("calculateSamples = true  # in [netflow] of the configuration file"),
        );
    }
    let names_sampler = each(&heard["templates"]).filter(|template| template["kind"] == "data").any(|template| {
        each(&template["fields"]).any(|field| SAMPLER_ELEMENTS.iter().any(|name| field["name"].as_str() == Some(name)))
    });
    // Records that no statement is for are not sampled.
    let is_unknown = |applied: &Value| applied["unknown"] == true;
    let is_unsampled = |applied: &Value| applied["source"] == "none" && !is_unknown(applied);
    let applied = || each(&sampling["applied"]);
    let may_be_sampled = applied().any(is_unknown) || !applied().any(is_unsampled);
    if source == "none" && may_be_sampled && (names_sampler || announced.iter().any(|rate| *rate > 1)) {
        let finding = Finding::new("sampling_unknown", "it samples at an unknown rate: totals are too low");
        let finding = if announced.is_empty() {
            finding.evidence("its flows name a sampler, but no options data give its rate")
        } else {
            finding.evidence(format!("options data give the rates {listed}, but its flows do not name their sampler"))
        };
        return Some(
            finding.run(
                "option sampler-table timeout 60  # on the router (IOS: flow exporter; others: docs/exporters.md)",
            ),
        );
    }
    if source != "options" && source != "none" && !announced.is_empty() && !announced.contains(latest) {
        let what = format!("its flows give a sampling rate of {latest}, its options data {listed}");
        return Some(
            Finding::new("sampling_differs", what)
                .evidence(format!("the collector uses the rate from {source}"))
                .run("show flow exporter; show sampler  # on the router: which rate is configured?"),
        );
    }
    None
}

/// A rate that changed by a factor.
pub(super) fn changed(heard: &Value) -> Option<Finding> {
    let changes: Vec<&Value> = each(&heard["sampling"]["changes"]).collect();
    let latest = changes.first()?;
    let (before, after) = (number(&latest["before"]), number(&latest["after"]));
    let what = format!("its sampling rate changed from {before} to {after} at {}", moment(&latest["at"]));
    let mut finding = Finding::new("sampling_changed", what);
    for change in changes.iter().take(SHOWN) {
        let by = match (number(&change["announcedBy"]), text(&change["source"])) {
            (0, source) => format!("from {source}"),
            (port, _) => format!("announced by source port {port}"),
        };
        finding = finding.evidence(format!(
            "{}: {} to {}, {} domain {}, flows from source port {}, {by}",
            moment(&change["at"]),
            number(&change["before"]),
            number(&change["after"]),
            text(&change["protocol"]),
            number(&change["domain"]),
            number(&change["port"]),
        ));
    }
    Some(finding.run("show flow exporter; show sampler  # on the router: did someone change the rate then?"))
}
