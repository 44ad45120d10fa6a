//! The view of the collector, with what concerns the process around it: lines that its log has lost.

use std::net::IpAddr;
use std::sync::Arc;

use view::{Counter, DetailedExporter, Exporter, Status, Unknown, View};

use crate::log;

/// The view of the process that this collector runs in.
pub(super) fn of(collector: Arc<dyn View>) -> Arc<dyn View> {
    Arc::new(ProcessView(collector))
}

#[derive(Debug)]
struct ProcessView(Arc<dyn View>);

impl View for ProcessView {
    fn status(&self) -> Status {
        let mut status = self.0.status();
        let help = "Lines of the log that standard error did not take";
        status.counters.push(Counter::plain("lost_log_lines", help, log::lost_lines()));
        status
    }

    fn exporters(&self) -> Vec<Exporter> {
        self.0.exporters()
    }

    fn exporter(&self, address: IpAddr) -> Option<DetailedExporter> {
        self.0.exporter(address)
    }

    fn unknown(&self) -> Vec<Unknown> {
        self.0.unknown()
    }
}
