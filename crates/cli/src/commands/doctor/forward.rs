//! Problems of forwarding to other collectors: datagrams are dropped, or nothing receives them.

use serde_json::Value;

use super::answers::Answers;
use super::finding::Finding;
use crate::commands::ask::{number, text};
use crate::table::{count_of, duration};

/// What happened is reported for this long.
const REPORTED_FOR_SECONDS: u64 = 3600;

/// Adds its problems.
pub(super) fn examine(answers: &Answers, findings: &mut Vec<Finding>) {
    for target in answers.status["forward"].as_array().into_iter().flatten() {
        let recent = |key: &str| target[key].as_u64().filter(|seconds| *seconds < REPORTED_FOR_SECONDS);
        if let Some(seconds) = recent("droppedSecondsAgo") {
            findings.push(drops(target, seconds));
        }
        if let Some(seconds) = recent("refusedSecondsAgo") {
            findings.push(refusals(target, seconds));
        }
    }
}

fn drops(target: &Value, seconds: u64) -> Finding {
    let address = text(&target["address"]);
    let what = format!("datagrams forwarded to {address} are dropped, the last {} ago", duration(seconds));
    let mut finding = Finding::new("forward_drops", what).evidence("counting is not affected");
    let reasons = [
        ("queueFull", "did not fit into the queue: the network or the processors are too slow"),
        ("failed", "could not be sent"),
        ("otherFamily", "are of exporters of the other address family, whose address cannot be kept"),
    ];
    for (reason, meaning) in reasons {
        let datagrams = number(&target["dropped"][reason]);
        if datagrams > 0 {
            finding = finding.evidence(format!("{} {meaning}", count_of(datagrams, "datagram")));
        }
    }
    if let Some(error) = target["lastError"].as_str() {
        finding = finding.evidence(error);
    }
    finding
        .run(format!("ip route get {}  # on the machine of the collector: is there a route?", host(&address)))
        .run("# otherFamily: add a target of the other family, or use source = \"collector\": docs/forward.md")
}

fn refusals(target: &Value, seconds: u64) -> Finding {
    let address = text(&target["address"]);
    let what = format!("nothing receives the datagrams that are forwarded to {address}");
    Finding::new("forward_refused", what)
        .evidence(format!("its host answered so {} ago (ICMP)", duration(seconds)))
        .run(format!("ss -lnu  # on {}: is the other collector running, and listening on that port?", host(&address)))
}

/// The address without its port.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host.trim_matches(['[', ']']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn drops_and_refusals_of_the_last_hour_are_found_and_documented() {
        let target = |dropped: Option<u64>, refused: Option<u64>| {
            json!({
                "address": "[2001:db8::9]:2055", "droppedSecondsAgo": dropped, "refusedSecondsAgo": refused,
                "dropped": {"queueFull": 0, "failed": 7, "otherFamily": 0}, "lastError": "Network is unreachable"
            })
        };
        let found = |targets: &[Value]| {
            let status = json!({ "forward": targets });
            let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
            let mut findings = Vec::new();
            examine(&answers, &mut findings);
            findings
        };
        assert!(found(&[target(None, None), target(Some(7200), Some(7200))]).is_empty());
        let findings = found(&[target(Some(5), None), target(None, Some(5))]);
        let names: Vec<_> = findings.iter().map(Finding::name).collect();
        assert_eq!(names, ["forward_drops", "forward_refused"]);
        let shown = serde_json::to_string(&findings).unwrap();
        let expected = ["7 datagrams could not be sent", "Network is unreachable", "ip route get 2001:db8::9"];
        assert!(expected.iter().all(|part| shown.contains(part)), "{shown}");
        let document = include_str!("../../../../../docs/troubleshooting.md");
        assert!(names.iter().all(|name| document.contains(&format!("\n| `{name}` | "))));
    }
}
