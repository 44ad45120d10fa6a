//! What concerns the collector as a whole: its store, its sockets, what the kernel drops.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::answers::Answers;
use super::finding::Finding;
use super::machine;
use crate::commands::ask::{number, text};
use crate::config::Config;
use crate::config::unit::show_size;

/// The largest buffer that is proposed.
const LARGEST_PROPOSED: u64 = 256 << 20;

/// Everything that is wrong with it.
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
    let what = "the store does not answer: what is counted waits, and queries are refused";
    let mut finding = Finding::new("store_away", what).seen("a small question to it just now was not answered");
    if let (Some(flushes), Some(bytes)) = (gauge("spool_flushes"), gauge("spool_bytes")) {
        finding = finding.seen(format!("{flushes} flushes wait on disk for it, {bytes} bytes; none is lost"));
    }
    Some(
        finding
            .then_type("netflow check-config  # on the collector: tells whether the store can be reached")
            .then_type("journalctl -u netflow -n 50"),
    )
}

fn kernel_drops(answers: &Answers, config: &Config, here: bool) -> Option<Finding> {
    let dropped = number(&answers.status["counters"]["kernel_drops"]);
    if dropped == 0 {
        return None;
    }
    let what = format!("the kernel dropped {dropped} datagrams: the receive buffer was full");
    let mut finding = Finding::new("kernel_drops", what)
        .seen(format!("kernel_drops {dropped} since {}", text(&answers.status["started"])));
    let asked = config.server.receive_buffer as u64;
    let granted = here.then(machine::largest_buffer).flatten();
    if let Some(granted) = granted {
        finding = finding.seen(format!("net.core.rmem_max is {granted}, server.receiveBuffer {asked}"));
    }
    for port in ports(&answers.receiving()).into_iter().filter(|_| here) {
        if let Some(drops) = machine::drops_at(port).filter(|drops| *drops > 0) {
            finding = finding.seen(format!("/proc/net/udp tells of {drops} drops at port {port}"));
        }
    }
    // More than there was, or that much at last.
    let wanted = if granted.is_some_and(|granted| granted < asked) {
        asked
    } else {
        asked.saturating_mul(4).min(LARGEST_PROPOSED)
    };
    let mended = format!(
        "echo net.core.rmem_max={wanted} > /etc/sysctl.d/60-netflow.conf; sysctl -w net.core.rmem_max={wanted}"
    );
    finding = finding.then_type(mended);
    if wanted != asked {
        finding = finding.then_type(format!(
            "receiveBuffer = \"{}\"  # in [server] of its configuration",
            show_size(usize::try_from(wanted).unwrap_or(usize::MAX))
        ));
    }
    Some(finding.then_type("systemctl restart netflow"))
}

/// Ports of addresses, each once.
pub(super) fn ports(addresses: &[SocketAddr]) -> BTreeSet<u16> {
    addresses.iter().map(SocketAddr::port).collect()
}
