//! What is shown of the export connections.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use view::{Counter, EndedExportConnection, ExportConnection, ExportConnections, Gauge};

use crate::lock::locked;

/// The state that is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Nothing is shown before the first one.
    has_listened: bool,
    view: ExportConnections,
    exporters: BTreeMap<IpAddr, OfExporter>,
}

/// The connections of an exporter.
#[derive(Debug, Default)]
struct OfExporter {
    open: Vec<ExportConnection>,
    ended: Option<EndedExportConnection>,
}

impl Shown {
    /// The open connections of an exporter, by port.
    pub(crate) fn open_of(&self, address: IpAddr) -> Vec<ExportConnection> {
        locked(&self.0).exporters.get(&address).map(|exporter| exporter.open.clone()).unwrap_or_default()
    }

    /// The last connection of an exporter that has ended.
    pub(crate) fn ended_of(&self, address: IpAddr) -> Option<EndedExportConnection> {
        locked(&self.0).exporters.get(&address)?.ended.clone()
    }

    /// What `/status` shows; `None` if the collector has never listened for export connections.
    pub(crate) fn view(&self) -> Option<ExportConnections> {
        let state = locked(&self.0);
        state.has_listened.then(|| state.view.clone())
    }
}

/// The counters of all connections.
pub(crate) fn counters(shown: &ExportConnections) -> [Counter; 5] {
    let counts = &shown.counts;
    let by_reason = |name, help, values: &[(&'static str, u64)]| Counter {
        name,
        help,
        values: values.iter().map(|(reason, count)| (Some(("reason", *reason)), *count)).collect(),
    };
    [
        Counter::plain("export_connections_accepted", "Export connections that were accepted", counts.accepted),
        by_reason("export_connections_refused", "Export connections that were refused", &counts.refused),
        by_reason("export_connections_ended", "Export connections that have ended", &counts.ended),
        Counter::plain("export_connections_messages", "Messages of export connections", counts.messages),
        Counter::plain("export_connections_bytes", "Size of the messages of export connections", counts.bytes),
    ]
}

/// How many connections are open.
#[expect(clippy::cast_precision_loss, reason = "there are few")]
pub(crate) fn gauge(shown: &ExportConnections) -> Gauge {
    let help = "Export connections that are open";
    Gauge { name: "export_connections", help, value: shown.open as f64, limit: Some(shown.limit as f64) }
}
