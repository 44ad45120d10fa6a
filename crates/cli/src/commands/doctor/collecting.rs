//! Problems of the collector as a whole: an unreachable store, outdated registrations, a damaged journal, kernel drops.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::answers::Answers;
use super::finding::Finding;
use super::machine;
use crate::commands::ask::{moment, number, text};
use crate::config::unit::show_size;
use crate::config::{Archive, Config};
use crate::table::duration;

/// The largest buffer to propose.
const LARGEST_PROPOSED: u64 = 256 << 20;

/// A reader that lags by more than this is reported. The archive ends its files after an hour.
const MOST_UNREAD_SECONDS: u64 = 90 * 60;

/// A reader that fails for longer is reported: shorter, it may be a target that starts again. The archive has findings of its own.
const MOST_FAILING_SECONDS: u64 = 60;

/// What a reader has lost is reported for this long.
const LOST_FOR_SECONDS: u64 = 24 * 3600;

/// Adds its problems.
pub(super) fn examine(answers: &Answers, config: &Config, here: bool, findings: &mut Vec<Finding>) {
    findings.extend(store(answers));
    findings.extend(registrations(answers));
    findings.extend(acceptance(answers));
    findings.extend(prefix_counters(answers));
    findings.extend(journal(answers, here));
    findings.extend(readers(answers));
    findings.extend(kernel_drops(answers, config, here));
}

fn store(answers: &Answers) -> Option<Finding> {
    let store = &answers.status["store"];
    if store["reachable"] == true && answers.senders.is_some() {
        return None;
    }
    let what = "the store is unreachable: flushes are spooled, queries fail";
    let mut finding = Finding::new("store_unreachable", what).evidence("a test query just now got no answer");
    if let (Some(flushes), Some(bytes)) = (gauge(answers, "spool_flushes"), gauge(answers, "spool_bytes")) {
        finding = finding.evidence(format!("{flushes} flushes are spooled to disk ({bytes} bytes); none is lost"));
    }
    if gauge(answers, "spool_full").is_some_and(|full| full > 0.0) {
        finding = finding
            .evidence("the spool is full: counters stay in memory")
            .run("# raise spool.maxBytes in the configuration file")
            .run("systemctl reload netflow");
    }
    Some(
        finding
            .run("netflow check-config  # on the machine of the collector: tests the connection")
            .run("journalctl -u netflow -n 50"),
    )
}

/// The collector counts by a list of routers that may be outdated, as after a start without the store.
fn registrations(answers: &Answers) -> Option<Finding> {
    let seconds = gauge(answers, "senders_failing_seconds").filter(|seconds| *seconds > 0.0)?;
    let what = "the registered routers cannot be read from the store: flows are counted for those that it listed last";
    Some(
        Finding::new("registrations_outdated", what)
            .evidence(format!("the last attempts failed, for {seconds:.0} s"))
            .evidence("changes made through other collectors since then are not in force here")
            .run("netflow check-config  # on the machine of the collector: tests the connection"),
    )
}

/// No further router can register itself.
fn acceptance(answers: &Answers) -> Option<Finding> {
    let accepted = &answers.status["gauges"]["accepted_senders"];
    let (value, limit) = (accepted["value"].as_f64()?, accepted["limit"].as_f64()?);
    let what = format!("{value:.0} routers have registered themselves, which is the limit (senders.acceptLimit)");
    (value >= limit).then(|| {
        Finding::new("accept_limit", what)
            .evidence("datagrams of further routers in the ranges of senders.accept are unregistered")
            .run("netflow senders  # those of senders.accept: are these your routers, or forged addresses?")
            .run("netflow senders remove ADDRESS --entirely  # it is not accepted again")
            .run("# if all are yours, raise senders.acceptLimit in the configuration file, and reload")
    })
}

/// Prometheus has no traffic of prefixes, and alerts on it are silent.
fn prefix_counters(answers: &Answers) -> Option<Finding> {
    let prefixes = &answers.status["gauges"]["prefixes"];
    let (monitored, limit) = (prefixes["value"].as_f64()?, prefixes["limit"].as_f64()?);
    let what = format!("/metrics has no counters of prefixes: {monitored:.0} are monitored, more than {limit:.0}");
    // With the limit 0, they are off.
    (limit > 0.0 && monitored > limit).then(|| {
        Finding::new("prefix_counters_off", what)
            .evidence("a prefix that several routers monitor counts once for each of them")
            .evidence(format!("{monitored:.0} prefixes would be {:.0} time series of Prometheus", 13.0 * monitored))
            .run("netflow config | grep -A 2 metrics  # raise metrics.prefixes in the configuration file, and reload")
            .run("# or set metrics.prefixes = 0, if Prometheus does not need them")
    })
}

/// At its start, the collector found damage in the datagrams that an earlier run had left.
fn journal(answers: &Answers, here: bool) -> Option<Finding> {
    let counted = |name: &str| number(&answers.status["counters"][name]);
    let (places, unstated) = (counted("journal_damaged_places"), counted("journal_unstated_datagrams"));
    if places == 0 {
        return None;
    }
    let what = format!("the journal was damaged in {places} places: the datagrams there are not counted");
    let mut finding = Finding::new("journal_damaged", what).evidence(format!(
        "{} bytes were skipped at the start at {}",
        counted("journal_damaged_bytes"),
        text(&answers.status["started"])
    ));
    if unstated > 0 {
        finding =
            finding.evidence(format!("{unstated} datagrams were counted by the prefixes and settings of the start"));
    }
    let on = if here { "" } else { "  # on the machine of the collector" };
    Some(
        finding
            .run(format!("journalctl -u netflow | grep 'journal segment is damaged'{on}"))
            .run("dmesg --level=err  # does the kernel report errors of the disk or the memory?")
            .run("# unless the power failed, check the disk of dataDir (smartctl -a) and the memory"),
    )
}

/// Readers of the log that lag, and what they have lost.
fn readers(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let limit = answers.status["gauges"]["log_bytes"]["limit"].as_f64().map_or(0, |limit| limit as usize);
    for reader in answers.status["readers"].as_array().into_iter().flatten() {
        let (name, of) = (text(&reader["name"]), |key: &str| number(&reader[key]));
        let (unread, seconds) = (of("unreadBytes"), of("unreadSeconds"));
        if !reader["paused"].is_null() {
            findings.push(paused(reader, limit));
        }
        let failing = reader["failingSeconds"].as_u64().filter(|seconds| *seconds > MOST_FAILING_SECONDS);
        if let Some(seconds) = failing.filter(|_| name != Archive::READER) {
            let what = format!("the reader `{name}` has failed for {}", duration(seconds));
            let finding = Finding::new("reader_fails", what)
                .evidence(text(&reader["lastError"]))
                .evidence(format!(
                    "{unread} bytes wait in the log, which has room for {} (log.maxBytes)",
                    show_size(limit)
                ))
                .run(format!("journalctl -u netflow | grep 'reader={name:?}'"));
            findings.push(finding);
        } else if seconds > MOST_UNREAD_SECONDS && reader["paused"].is_null() {
            let what = format!("the reader `{name}` lags by {}: its target is slow, or fails", duration(seconds));
            let finding = Finding::new("reader_lags", what)
                .evidence(format!("{unread} bytes in {} segments of the log are unread", of("unreadSegments")))
                .evidence(format!(
                    "the log has room for {} (log.maxBytes); then the oldest is removed",
                    show_size(limit)
                ))
                .run(format!("journalctl -u netflow | grep 'reader={name:?}'"));
            findings.push(finding);
        }
        let (segments, bytes, missing) = (of("forcedOutSegments"), of("forcedOutBytes"), of("missingRecords"));
        let lost = reader["lostSecondsAgo"].as_u64().filter(|seconds| *seconds < LOST_FOR_SECONDS);
        if let Some(seconds) = lost.filter(|_| segments > 0) {
            let what = format!("the reader `{name}` has lost {bytes} bytes of datagrams: the log was full");
            let finding = Finding::new("reader_lost", what)
                .evidence(format!("the last of them {} ago; reported for a day", duration(seconds)))
                .evidence(format!(
                    "{segments} segments were removed before it had read them; all flows in them are counted"
                ))
                .run("# raise log.maxBytes in the configuration file")
                .run("systemctl reload netflow");
            findings.push(finding);
        }
        if missing > 0 {
            let what = format!("the reader `{name}` lacks {missing} records that are counted");
            let finding = Finding::new("reader_incomplete", what)
                .evidence("their datagrams were not written to the journal, or were damaged or removed there")
                .run("journalctl -u netflow | grep -e 'journal cannot be written' -e 'journal segment is damaged'");
            findings.push(finding);
        }
    }
    findings
}

/// A reader that the operator has paused; `limit` is the size of the log.
fn paused(reader: &serde_json::Value, limit: usize) -> Finding {
    let name = text(&reader["name"]);
    let what = format!("the reader `{name}` is paused since {}", moment(&reader["paused"]));
    Finding::new("reader_paused", what)
        .evidence(format!(
            "its flows stay in the log: {} bytes, at most {} (log.maxBytes), then the oldest are removed",
            number(&reader["unreadBytes"]),
            show_size(limit)
        ))
        .run(format!("netflow readers resume {name}"))
}

/// The value of a gauge.
pub(super) fn gauge(answers: &Answers, name: &str) -> Option<f64> {
    answers.status["gauges"][name]["value"].as_f64()
}

fn kernel_drops(answers: &Answers, config: &Config, here: bool) -> Option<Finding> {
    let dropped = number(&answers.status["counters"]["kernel_drops"]);
    if dropped == 0 {
        return None;
    }
    let what = format!("the kernel dropped {dropped} datagrams: the receive buffer was full");
    let mut finding = Finding::new("kernel_drops", what)
        .evidence(format!("kernel_drops {dropped} since {}", text(&answers.status["started"])));
    let asked = config.server.receive_buffer as u64;
    let granted = here.then(machine::largest_buffer).flatten();
    if let Some(granted) = granted {
        finding = finding.evidence(format!("net.core.rmem_max is {granted}, server.receiveBuffer {asked}"));
    }
    for port in ports(&answers.receiving()).into_iter().filter(|_| here) {
        if let Some(drops) = machine::drops_at(port).filter(|drops| *drops > 0) {
            finding = finding.evidence(format!("/proc/net/udp: {drops} drops at port {port}"));
        }
    }
    // What is configured, when the kernel grants less; else more.
    let wanted = if granted.is_some_and(|granted| granted < asked) {
        asked
    } else {
        asked.saturating_mul(4).min(LARGEST_PROPOSED)
    };
    let command = format!(
        "echo net.core.rmem_max={wanted} > /etc/sysctl.d/60-netflow.conf; sysctl -w net.core.rmem_max={wanted}"
    );
    finding = finding.run(command);
    if wanted != asked {
        finding = finding.run(format!(
            "receiveBuffer = \"{}\"  # in [server] of the configuration file",
            show_size(usize::try_from(wanted).unwrap_or(usize::MAX))
        ));
    }
    Some(finding.run("systemctl restart netflow"))
}

/// The distinct ports of addresses.
pub(super) fn ports(addresses: &[SocketAddr]) -> BTreeSet<u16> {
    addresses.iter().map(SocketAddr::port).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn readers_that_lag_or_have_lost_something_are_found() {
        let reader = |name, seconds, lost: u64, ago: Option<u64>| {
            json!({"name": name, "unreadSegments": 3, "unreadBytes": 700, "unreadSeconds": seconds, "records": 5,
                "missingRecords": lost % 2, "forcedOutSegments": lost, "forcedOutBytes": lost * 100, "lostSecondsAgo": ago})
        };
        let status = json!({
            "gauges": {"log_bytes": {"value": 700.0, "limit": 1_073_741_824.0}},
            "readers": [reader("archive", 20, 0, None), reader("kafka", 7200, 3, Some(60)),
                reader("syslog", 20, 2, Some(90_000))],
        });
        let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
        let found = serde_json::to_value(readers(&answers)).unwrap();
        let names = found.as_array().unwrap().iter().map(|finding| finding["finding"].as_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["reader_lags", "reader_lost", "reader_incomplete"]);
        assert!(found.as_array().unwrap().iter().all(|it| it["what"].as_str().unwrap().contains("`kafka`")), "{found}");
        let document = include_str!("../../../../../docs/troubleshooting.md");
        assert!(
            ["reader_lags", "reader_lost", "reader_incomplete"]
                .iter()
                .all(|name| { document.contains(&format!("\n| `{name}` | ")) })
        );
    }

    #[test]
    fn a_reader_that_fails_is_found_with_its_error_unless_it_is_the_archive() {
        let failing = |name, seconds: Option<u64>| {
            json!({"name": name, "unreadSegments": 3, "unreadBytes": 700, "unreadSeconds": 70, "missingRecords": 0,
                "forcedOutSegments": 0, "forcedOutBytes": 0, "failingSeconds": seconds, "lastError": "Connection refused"})
        };
        let found = |readers_of: &[Value]| {
            let status = json!({ "readers": readers_of });
            let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
            serde_json::to_value(readers(&answers)).unwrap()
        };
        let quiet = [failing("archive", Some(600)), failing("kafka", None), failing("kafka", Some(60))];
        assert_eq!(found(&quiet), json!([]));
        let found = found(&[failing("kafka", Some(600))]);
        assert_eq!(
            (&found[0]["finding"], &found[0]["evidence"][0]),
            (&json!("reader_fails"), &json!("Connection refused"))
        );
        let document = include_str!("../../../../../docs/troubleshooting.md");
        assert!(["reader_fails", "reader_paused"].iter().all(|name| document.contains(&format!("\n| `{name}` | "))));
        // A paused one does not lag.
        let mut paused = failing("archive", None);
        (paused["paused"], paused["unreadSeconds"]) = (json!("2026-11-30T10:00:00.5Z"), json!(7200));
        let status = json!({"readers": [paused], "gauges": {"log_bytes": {"value": 700.0, "limit": 1_073_741_824.0}}});
        let answers = Answers { status, senders: None, exporters: Vec::new(), unknown: Vec::new() };
        let found = serde_json::to_value(readers(&answers)).unwrap();
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
        assert_eq!(found[0]["what"], "the reader `archive` is paused since 2026-11-30T10:00:00Z");
        assert_eq!(found[0]["run"], json!(["netflow readers resume archive"]), "{found}");
        assert!(found[0]["evidence"][0].as_str().unwrap().contains("at most 1GiB"), "{found}");
    }
}
