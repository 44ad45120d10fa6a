//! What `/status` and `/metrics` show of the archive.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use archive::writer::Finished;
use flow::Timestamp;
use view::{Counter, Gauge, Status};

/// The state of the archive, which the archiver publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct ArchiveView(Arc<Mutex<Shown>>);

/// What is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    /// Complete files, their octets, and the limit of these.
    pub(super) files: u64,
    pub(super) octets: u64,
    pub(super) limit: u64,
    /// When the oldest hour begins.
    pub(super) oldest: Option<Timestamp>,
    /// The octets that the disk lacks to have its reserve free.
    pub(super) lacking: u64,
    /// The losses that are noted.
    pub(super) losses: u64,
    /// When the newest datagram was received that was taken.
    pub(super) reaches: Option<Timestamp>,
    /// What was completed since the start.
    pub(super) finished: Finished,
    /// Attempts that failed.
    pub(super) errors: u64,
    /// Since when nothing that came could be completed.
    pub(super) failing_since: Option<Instant>,
}

impl ArchiveView {
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds it to the status of the collector.
    #[expect(clippy::cast_precision_loss, reason = "what is measured fits 53 bits")]
    pub(super) fn add_to(&self, status: &mut Status) {
        let Shown { files, octets, limit, oldest, lacking, losses, reaches, finished, errors, failing_since } =
            *self.shown();
        status.counters.extend([
            Counter::plain("archive_written_files", "Files that the archive has completed", finished.parts),
            Counter::plain("archive_written_flows", "Flows in the files that the archive has completed", finished.rows),
            Counter::plain("archive_errors", "Attempts to write to the archive that failed", errors),
        ]);
        let gauge = |name, help, value| Gauge { name, help, value, limit: None };
        status.gauges.extend([
            gauge("archive_files", "Complete files of the archive", files as f64),
            Gauge {
                limit: Some(limit as f64),
                ..gauge("archive_bytes", "Bytes in the files of the archive", octets as f64)
            },
            gauge("archive_losses", "Losses that are noted in missing.txt of the archive", losses as f64),
            gauge(
                "archive_lacking_bytes",
                "Bytes by which less of the disk is free than archive.freePercent; above 0, the archive begins no file",
                lacking as f64,
            ),
            gauge(
                "archive_failing_seconds",
                "Time since which the archive cannot be written; 0 if it can",
                failing_since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            ),
        ]);
        let seconds = |time: Timestamp| time.milliseconds() as f64 / 1000.0;
        let oldest_help = "Begin of the oldest hour in the archive, as a Unix time";
        let reach_help = "Arrival of the newest datagram whose flows the archive has taken, as a Unix time";
        status.gauges.extend(oldest.map(|time| gauge("archive_oldest_timestamp_seconds", oldest_help, seconds(time))));
        status.gauges.extend(reaches.map(|time| gauge("archive_newest_timestamp_seconds", reach_help, seconds(time))));
    }
}
