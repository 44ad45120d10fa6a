//! How large the tables of all exporters are, for gauges.

use wire::ConnectionCounts;

use super::Exporters;
use crate::lock::locked;
use crate::unknown;

/// Sizes of the tables of all exporters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSizes {
    /// Known registered exporters.
    pub exporters: usize,
    /// Templates of all of them.
    pub templates: usize,
    /// Templates that were refused because the table was full.
    pub refused_templates: u64,
    /// Templates that no data had used and that were displaced by others.
    pub displaced_templates: u64,
    /// Connections whose sums are booked in parts.
    pub tracked_connections: usize,
    /// Reports of connections for which there was no room.
    pub deferred_reports: u64,
    /// Octets of data sets queued for their template.
    pub pending_octets: usize,
    /// Limit of `pending_octets`.
    pub pending_limit: usize,
    /// Unregistered addresses in the table.
    pub unknown: usize,
    /// Limit of `unknown`.
    pub unknown_limit: usize,
}

impl Exporters {
    /// Sizes of the tables of all exporters.
    #[must_use]
    pub fn table_sizes(&self) -> TableSizes {
        let exporters = self.sorted();
        let mut sizes = TableSizes::default();
        for (_, exporter) in &exporters {
            let session = &locked(&exporter.state).session;
            sizes.templates += session.template_count();
            sizes.refused_templates += session.refused_templates();
            sizes.displaced_templates += session.displaced_templates();
            let ConnectionCounts { tracked, deferred, .. } = session.connections();
            sizes.tracked_connections += tracked;
            sizes.deferred_reports += deferred;
        }
        let pending_limit = self.waiting.limit();
        TableSizes {
            exporters: exporters.len(),
            pending_octets: pending_limit.saturating_sub(self.waiting.free()),
            pending_limit,
            unknown: self.unknown.busiest().len(),
            unknown_limit: unknown::MOST,
            ..sizes
        }
    }
}
