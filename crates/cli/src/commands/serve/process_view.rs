//! The view of the collector, with what concerns the process around it: the archive, and lines that its log has lost.

use std::net::IpAddr;
use std::sync::Arc;

use view::{Counter, DetailedExporter, Exporter, Status, Unknown, View};

use super::archive_view::ArchiveView;
use crate::log;

/// The view of the process that this collector runs in.
pub(super) fn of(collector: Arc<dyn View>, archive: Option<ArchiveView>) -> Arc<dyn View> {
    Arc::new(ProcessView { collector, archive })
}

#[derive(Debug)]
struct ProcessView {
    collector: Arc<dyn View>,
    archive: Option<ArchiveView>,
}

impl View for ProcessView {
    fn status(&self) -> Status {
        let mut status = self.collector.status();
        let help = "Lines of the log that standard error did not take";
        status.counters.push(Counter::plain("lost_log_lines", help, log::lost_lines()));
        if let Some(archive) = &self.archive {
            archive.add_to(&mut status);
        }
        status
    }

    fn exporters(&self) -> Vec<Exporter> {
        self.collector.exporters()
    }

    fn exporter(&self, address: IpAddr) -> Option<DetailedExporter> {
        self.collector.exporter(address)
    }

    fn unknown(&self) -> Vec<Unknown> {
        self.collector.unknown()
    }
}
