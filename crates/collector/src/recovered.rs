//! What an earlier process had received and not made durable, counted by this one before it receives anything itself.
//!
//! All of it becomes one flush, the first of this start: there is no moment at which a part of it is durable, so a crash
//! meanwhile leaves the segments as they are, to be counted again. What still waits for its template goes on waiting, and
//! has to stand in a segment of this start before the old ones may go.

use accounting::tally::{Tally, TallyLimits};
use wire::Datagram;

use crate::exporters::Exporters;
use crate::journal::{Journal, Recovered};
use crate::ledgers::Found;
use crate::shard::{Sealed, Shard};
use crate::status::Status;

/// Counts what is in the journal; `None` when there is nothing.
pub(crate) fn recover(journal: &Journal, mut shard: Shard, exporters: &Exporters, status: &Status) -> Option<Sealed> {
    if journal.segments() == 0 {
        return None;
    }
    let mut recovery = journal.recovery();
    while let Some(found) = recovery.next_datagram() {
        shard.take(&Datagram { exporter: found.source.into(), received: found.received, payload: found.payload });
    }
    let Recovered { segments, datagrams, cut } = recovery.recovered();
    let counts = *shard.counts();
    tracing::info!(segments, datagrams, cut, "counted what the last run had received and not stored: {counts}");
    status.recovered(Found { datagrams, counts });
    let mut sealed = Sealed::new(vec![shard.seal(Tally::new(TallyLimits::default()))]);
    exporters.tell(&mut sealed);
    Some(sealed)
}
