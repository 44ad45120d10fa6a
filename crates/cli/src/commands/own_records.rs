//! Segments of the journal are captures, and operators use them as such. Beside datagrams, they have records of the
//! collector's own, which are not datagrams: the commands that read captures skip and report them.

use std::path::Path;

use capture::UdpDatagram;
use journal::{Entry, EntryKind};

use crate::output;

/// Counts the collector's own records in a capture.
#[derive(Default)]
pub(super) struct OwnRecords(u64);

impl OwnRecords {
    /// Whether this is such a record and no datagram; counts it.
    pub(super) fn has(&mut self, datagram: &UdpDatagram<'_>) -> bool {
        let is_own = {
            let kind = Entry::from(*datagram).kind;
            matches!(kind, EntryKind::Terms | EntryKind::Note | EntryKind::Annotation(_) | EntryKind::Ended(_))
        };
        self.0 += u64::from(is_own);
        is_own
    }

    /// Reports what was skipped in a file.
    pub(super) fn report(&self, path: &Path) {
        if self.0 > 0 {
            let what = "skipped records of prefixes and settings in a segment of the journal";
            output::report(format_args!("netflow: {}: {what}: {}", path.display(), self.0));
        }
    }
}
