//! Problems of the BMP sessions in which routers send their routes: refused, ended by an error or a limit, down, without routes,
//! never complete.

use std::net::IpAddr;

use serde_json::Value;

use super::answers::{Answers, address_of, by_address};
use super::finding::Finding;
use super::router::seconds_since;
use super::traffic::{SHOWN, each};
use crate::commands::ask::{moment, number, text};
use crate::table::{count_of, duration};

/// How long a refused session is reported.
const REFUSED_FOR_SECONDS: i64 = 3600;

/// How long a session may be down, or be up without routes.
const PATIENCE_SECONDS: i64 = 300;

/// How long a full table may take.
const LONGEST_TABLE_SECONDS: i64 = 900;

/// The problems of unregistered addresses.
pub(super) fn examine(answers: &Answers, findings: &mut Vec<Finding>) {
    let recent = |refused: &&Value| seconds_since(&refused["last"]).is_some_and(|age| age < REFUSED_FOR_SECONDS);
    let all: Vec<&Value> = each(&answers.status["bmp"]["refused"])
        .filter(|refused| refused["reason"] == "unregistered")
        .filter(recent)
        .collect();
    if all.is_empty() {
        return;
    }
    let what =
        format!("BMP sessions of {} are refused: no router is registered there", count_of(all.len() as u64, "address"));
    let mut finding = Finding::new("bmp_refused", what);
    for refused in all.iter().take(SHOWN) {
        let (address, count) = (text(&refused["address"]), number(&refused["count"]));
        finding = finding.evidence(format!(
            "{address}: {}, the last at {}",
            count_of(count, "session"),
            moment(&refused["last"])
        ));
    }
    finding =
        finding.run("# let the router send BMP from the address that it sends flows from, or register the other too:");
    for address in all.iter().filter_map(|refused| address_of(refused, "address")).take(SHOWN) {
        finding = finding.run(format!("netflow senders add {address} PREFIX..."));
    }
    findings.push(finding);
}

/// The problem of the session of a router, if it has one.
pub(super) fn examine_router(answers: &Answers, address: IpAddr, findings: &mut Vec<Finding>) {
    let routers = answers.status["bmp"]["routers"].as_array();
    let Some(router) = routers.and_then(|routers| by_address(routers, "address", address)) else { return };
    let found = if router["session"].is_null() { down(router) } else { up(router) };
    findings.extend(found.map(|finding| finding.about(address)));
}

/// It has no session.
fn down(router: &Value) -> Option<Finding> {
    let ended = &router["ended"];
    let age = seconds_since(&ended["at"])?;
    let kept =
        format!("{} of the session are kept for at most 5 minutes", count_of(number(&router["routes"]), "route"));
    let finding = |name, what: &str| {
        Finding::new(name, what)
            .evidence(format!("{}, at {}", text(&ended["reason"]), moment(&ended["at"])))
            .evidence(&*kept)
    };
    match ended["kind"].as_str()? {
        "malformed" => Some(
            finding("bmp_malformed", "the BMP session ended by a message that cannot be read")
                .evidence("a session is accepted again a minute after that")
                .run("# is it a BMP session (version 3 or 4)? Else report the message: tcpdump -w bmp.pcap tcp port PORT"),
        ),
        "limit" => Some(
            finding("bmp_limit", "the BMP session ended: the router sends more routes than it may have")
                .run("# monitor one table of the router, preferably Loc-RIB: docs/bmp.md")
                .run("# or raise bmp.memory in the configuration file")
                .run("systemctl reload netflow"),
        ),
        _ if age < PATIENCE_SECONDS => None,
        _ => Some(
            finding("bmp_down", "the router has no BMP session any more")
                .run("show bgp bmp summary  # on the router (IOS XR; others: docs/bmp.md)"),
        ),
    }
}

/// Its session is up.
fn up(router: &Value) -> Option<Finding> {
    let (session, received) = (&router["session"], &router["received"]);
    let age = seconds_since(&session["since"])?;
    let count = |name: &str| number(&received[name]);
    if number(&router["routes"]) == 0 {
        let what = "the BMP session is up, but the router has sent no routes";
        let mut finding = Finding::new("bmp_no_routes", what).evidence(format!(
            "the session is up for {}, with {}",
            duration(age.unsigned_abs()),
            count_of(number(&session["peers"]), "peer")
        ));
        let ignored = [
            ("otherInstance", "messages are about a VRF, which is not kept"),
            ("adjRibOut", "messages are about what the router announces (Adj-RIB-Out), which is not kept"),
            ("peerNotUp", "messages are about peers that the router has not announced as up"),
            ("otherFamily", "messages are about other families than unicast IPv4 and IPv6"),
        ];
        for (name, meaning) in ignored.into_iter().filter(|(name, _)| count(name) > 0) {
            finding = finding.evidence(format!("{} {meaning}", count(name)));
        }
        let finding = finding.run("# monitor the Loc-RIB of the router, or its peers after the policy: docs/bmp.md");
        return (age >= PATIENCE_SECONDS).then_some(finding);
    }
    if number(&session["completeTables"]) > 0 || age < LONGEST_TABLE_SECONDS {
        return None;
    }
    let what = "the router has not marked the end of a table (End-of-RIB)";
    Some(
        Finding::new("bmp_incomplete", what)
            .evidence(format!("the session is up for {}", duration(age.unsigned_abs())))
            .evidence(format!(
                "{} so far; addresses without a route are attributed by other sources",
                count_of(number(&router["routes"]), "route")
            ))
            .run(format!(
                "netflow curl GET /exporters/{}  # bmp: does the number of routes still grow?",
                text(&router["address"])
            ))
            .run("# if it does not, the router sends no mark, which is harmless"),
    )
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;
    use serde_json::json;

    use super::*;

    fn found(status: Value) -> Vec<String> {
        let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
        let mut findings = Vec::new();
        examine(&answers, &mut findings);
        examine_router(&answers, [192, 0, 2, 1].into(), &mut findings);
        findings.iter().map(|finding| finding.name().to_owned()).collect()
    }

    fn ago(seconds: u64) -> String {
        let now = Timestamp::from(std::time::SystemTime::now());
        Timestamp::from_seconds(now.seconds() - seconds).to_string()
    }

    fn router(session: &Value, routes: u64, kind: &str, ended: u64) -> Vec<String> {
        let ended = json!({"at": ago(ended), "kind": kind, "reason": "message 4"});
        let router =
            json!({"address": "192.0.2.1", "session": session, "routes": routes, "received": {}, "ended": ended});
        found(json!({"bmp": {"routers": [router], "refused": []}}))
    }

    #[test]
    fn sessions_that_are_refused_or_end_or_bring_nothing_are_found_and_documented() {
        let refused = |address, reason, age| {
            let refused = json!({"address": address, "reason": reason, "count": 3, "last": ago(age)});
            found(json!({"bmp": {"routers": [], "refused": [refused]}}))
        };
        let up = |age, complete| json!({"since": ago(age), "peers": 1, "completeTables": complete});
        let cases = [
            (refused("192.0.2.9", "unregistered", 60), "bmp_refused"),
            (refused("192.0.2.9", "unregistered", 7200), ""),
            (refused("192.0.2.1", "too_early", 60), ""),
            (router(&Value::Null, 5, "malformed", 10), "bmp_malformed"),
            (router(&Value::Null, 5, "limit", 10), "bmp_limit"),
            (router(&Value::Null, 5, "closed", 10), ""),
            (router(&Value::Null, 0, "closed", 600), "bmp_down"),
            (router(&up(600, 0), 0, "closed", 700), "bmp_no_routes"),
            (router(&up(10, 0), 0, "malformed", 700), ""),
            (router(&up(1000, 0), 7, "closed", 7000), "bmp_incomplete"),
            (router(&up(1000, 1), 7, "closed", 7000), ""),
        ];
        let document = include_str!("../../../../../docs/troubleshooting.md");
        for (found, expected) in cases {
            assert_eq!(found.concat(), expected);
            assert!(expected.is_empty() || document.contains(&format!("\n| `{expected}` | ")), "{expected}");
        }
        assert_eq!(found(json!({})), [""; 0]);
    }
}
