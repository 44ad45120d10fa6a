//! Segments of the journal are captures, and operators use them as such. Beside datagrams, they have messages of export connections,
//! the ends of these, and records of the collector's own, which the commands that read captures skip and report.

use std::path::Path;

use capture::UdpDatagram;
use flow::Exporter;
use journal::{Entry, EntryKind};

use crate::output;

/// Counts the collector's own records in a capture.
#[derive(Default)]
pub(super) struct OwnRecords(u64);

impl OwnRecords {
    /// Whether this is no datagram, and no message: such a record, which is counted, or the end of a connection.
    pub(super) fn has(&mut self, datagram: &UdpDatagram<'_>) -> bool {
        let kind = Entry::from(*datagram).kind;
        let is_own = matches!(kind, EntryKind::Terms | EntryKind::Note | EntryKind::Annotation(_));
        self.0 += u64::from(is_own);
        is_own || matches!(kind, EntryKind::Ended(_))
    }

    /// Reports what was skipped in a file.
    pub(super) fn report(&self, path: &Path) {
        if self.0 > 0 {
            let what = "skipped records of prefixes and settings in a segment of the journal";
            output::report(format_args!("netflow: {}: {what}: {}", path.display(), self.0));
        }
    }
}

/// The connection whose end this is: what was announced in it is gone.
pub(super) fn ended_connection(datagram: &UdpDatagram<'_>) -> Option<Exporter> {
    let entry = Entry::from(*datagram);
    matches!(entry.kind, EntryKind::Ended(_)).then(|| entry.exporter())
}
