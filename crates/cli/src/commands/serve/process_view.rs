//! The view of the collector, with what concerns the process around it: the archive, the streams to other systems, the files
//! with AS numbers, and lines that its log has lost.

use std::net::IpAddr;
use std::sync::Arc;

use collector::Origins;
use flow::Networks;
use names::AsNames;
use view::{Counter, DetailedExporter, Exporter, Interface, PrefixCounters, RouterNames, Status, Unknown, View};

use super::archive_view::ArchiveView;
use super::origin_files_view::OriginFilesView;
use super::streams::Streams;
use crate::log;

/// The view of the process that this collector runs in.
#[derive(Debug)]
pub(super) struct ProcessView {
    pub(super) collector: Arc<dyn View>,
    /// `None` if no flows are kept.
    pub(super) archive: Option<ArchiveView>,
    pub(super) streams: Streams,
    pub(super) origins: Origins,
    pub(super) origin_files: OriginFilesView,
}

impl View for ProcessView {
    fn status(&self) -> Status {
        let mut status = self.collector.status();
        let help = "Lines of the log that standard error did not take";
        status.counters.push(Counter::plain("lost_log_lines", help, log::lost_lines()));
        if let Some(archive) = &self.archive {
            archive.add_to(&mut status);
        }
        self.streams.add_to(&mut status);
        status.origin_files = self.origin_files.get();
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

    fn interfaces(&self, router: IpAddr) -> Vec<Interface> {
        self.collector.interfaces(router)
    }

    fn names_of(&self, router: IpAddr) -> RouterNames {
        self.collector.names_of(router)
    }

    fn as_names(&self) -> Arc<dyn AsNames> {
        self.origins.current()
    }

    fn networks(&self) -> Arc<Networks> {
        self.collector.networks()
    }

    fn prefixes(&self) -> Vec<PrefixCounters> {
        self.collector.prefixes()
    }
}
