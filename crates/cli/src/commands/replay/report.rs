//! What was sent and from where, and what was not.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use capture::NO_ADDRESS;
use serde_json::{Value, json};

use super::message::Unsendable;
use super::route::Exporter;
use crate::commands::transport::Transport;
use crate::output;

/// The most exporters with datagrams that were not sent in the text.
const EXPORTERS_SHOWN: usize = 20;

/// What was sent, and what was not.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    /// Of these, messages whose datagrams have more octets.
    pub(super) shortened: u64,
    /// By exporter and reason.
    pub(super) not_sent: BTreeMap<(SocketAddr, Unsendable), u64>,
}

/// A transmission that has ended.
pub(super) struct Report<'a> {
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) seconds: f64,
    pub(super) counts: &'a Counts,
    pub(super) exporters: Vec<Exporter>,
}

impl Report<'_> {
    pub(super) fn text(&self) -> String {
        let (sent, units, over) = (self.counts.sent, self.transport.units(), self.transport.over());
        let mut report = format!("sent {sent} {units}{over} to {} in {:.1} s", self.to, self.seconds);
        for Exporter { captured, from, sent } in &self.exporters {
            let captured = address(*captured).map_or_else(|| "IPFIX files".to_owned(), |address| address.to_string());
            report.push_str(&format!("\n  {sent} of {captured} from {from}"));
        }
        report
    }

    pub(super) fn json(&self) -> String {
        let exporters = self.exporters.iter();
        let exporter = |Exporter { captured, from, sent }: &Exporter| json!({ "captured": address(*captured), "sentFrom": from, "datagrams": sent });
        let exporters: Vec<Value> = exporters.map(exporter).collect();
        let not_sent = self.counts.not_sent.iter().map(|((captured, reason), datagrams)| {
            json!({ "captured": captured, "protocol": reason.name(), "datagrams": datagrams })
        });
        let report = json!({
            "to": self.to, "transport": self.transport.name(), "datagrams": self.counts.sent,
            "shortened": self.counts.shortened, "seconds": self.seconds, "exporters": exporters,
            "notSent": not_sent.collect::<Vec<_>>(),
        });
        report.to_string()
    }
}

/// The address that datagrams were captured with; messages of IPFIX files have none.
fn address(captured: SocketAddr) -> Option<SocketAddr> {
    (captured != NO_ADDRESS).then_some(captured)
}

impl Counts {
    /// Reports on standard error what was not sent as it is in the captures; returns whether all datagrams were sent.
    pub(super) fn report_the_rest(&self) -> bool {
        if self.shortened > 0 {
            let what = "datagrams have octets after their message, which were not sent";
            output::report(format_args!("netflow: {} {what}", self.shortened));
        }
        let total: u64 = self.not_sent.values().sum();
        if total == 0 {
            return true;
        }
        let mut text = format!(
            "netflow: {total} datagrams were not sent, because only whole IPFIX messages can be sent over a connection; UDP \
             sends all (without --tcp and --tls), and --port selects datagrams:"
        );
        for ((captured, reason), datagrams) in self.not_sent.iter().take(EXPORTERS_SHOWN) {
            text.push_str(&format!("\n  {datagrams} of {captured}: {reason}"));
        }
        if let more @ 1.. = self.not_sent.len().saturating_sub(EXPORTERS_SHOWN) {
            text.push_str(&format!("\n  and {more} more exporters; --json lists all"));
        }
        output::report(text);
        false
    }
}
