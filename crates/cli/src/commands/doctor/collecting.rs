//! Problems of the collector as a whole: an unreachable store, kernel drops.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::answers::Answers;
use super::finding::Finding;
use super::machine;
use crate::commands::ask::{number, text};
use crate::config::Config;
use crate::config::unit::show_size;

/// The largest buffer to propose.
const LARGEST_PROPOSED: u64 = 256 << 20;

/// Adds its problems.
pub(super) fn examine(answers: &Answers, config: &Config, here: bool, findings: &mut Vec<Finding>) {
    findings.extend(store(answers));
    findings.extend(kernel_drops(answers, config, here));
}

fn store(answers: &Answers) -> Option<Finding> {
    let store = &answers.status["store"];
    if store["reachable"] == true && answers.senders.is_some() {
        return None;
    }
    let gauge = |name: &str| answers.status["gauges"][name]["value"].as_f64();
    let what = "the store is unreachable: flushes are spooled, queries fail";
    let mut finding = Finding::new("store_unreachable", what).evidence("a test query just now got no answer");
    if let (Some(flushes), Some(bytes)) = (gauge("spool_flushes"), gauge("spool_bytes")) {
        finding = finding.evidence(format!("{flushes} flushes are spooled to disk ({bytes} bytes); none is lost"));
    }
    Some(
        finding
            .run("netflow check-config  # on the machine of the collector: tests the connection")
            .run("journalctl -u netflow -n 50"),
    )
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
