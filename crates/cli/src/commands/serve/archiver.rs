//! The reader of the log that keeps every flow: hands rows to the archive, and deletes what is not to be kept any more.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use accounting::period::Minute;
use api::FlowArchive;
use archive::missing::{self, Missing, Reason};
use archive::{Retention, Writer};
use collector::{LogConsumer, Logged, LostFlushes, Position, ReadFlush};
use columns::Row;
use flow::Timestamp;

use super::archive_view::ArchiveView;
use super::memory_limit::question_memory;
use super::steady_clock::SteadyClock;
use crate::config::Config;

/// The directory of the archive in dataDir.
pub(crate) const FLOWS: &str = "flows";

/// How often it is looked at what is not to be kept any more: to read the names of all files takes a while.
const CLEANED_EVERY: Duration = Duration::from_secs(60);

/// Keeps every flow.
pub(crate) struct Archiver {
    folder: PathBuf,
    writer: Writer,
    retention: Retention,
    /// The flush whose records are taken.
    flush: Option<Position>,
    row: Row,
    /// Why a record of the flush could not be taken.
    failed: Option<io::Error>,
    /// When it was last looked at what is not to be kept any more.
    cleaned: Option<Instant>,
    /// `None` until the folder could be read.
    clock: Option<SteadyClock>,
    view: ArchiveView,
}

impl Archiver {
    /// The archive of these settings. The log has them: who runs a collector has to know that it keeps personal data.
    pub(crate) fn new(config: &Config) -> Self {
        let folder = config.data_dir.join(FLOWS);
        let retention = config.archive_retention();
        tracing::info!("keeping every flow for {} days in {} (archive.keep)", retention.days, folder.display());
        Self {
            writer: Writer::new(folder.clone(), retention.reserve),
            folder,
            retention,
            flush: None,
            row: Row::new(),
            failed: None,
            cleaned: None,
            clock: None,
            view: ArchiveView::default(),
        }
    }

    /// The archive, for questions.
    pub(crate) fn asked(&self) -> FlowArchive {
        FlowArchive::new(self.folder.clone(), self.writer.open_parts(), question_memory())
    }

    /// What is shown of it.
    pub(super) fn view(&self) -> ArchiveView {
        self.view.clone()
    }

    fn begin(&mut self, flush: Position) -> io::Result<()> {
        if self.flush != Some(flush) {
            self.writer.begin_flush(flush.writer, flush.flush)?;
            self.flush = Some(flush);
        }
        Ok(())
    }

    fn keep(&mut self, flush: Position, record: &Logged<'_>) -> io::Result<()> {
        self.begin(flush)?;
        if !record.row(&mut self.row) {
            return Ok(());
        }
        self.writer.take(&self.row)
    }

    /// Notes beside the flows what is missing of them.
    fn note(&mut self, read: &ReadFlush) -> io::Result<()> {
        if let Some(lost) = &read.lost {
            let is_full = lost.flushes.unreadable < lost.flushes.segments;
            self.note_missing(whole_flushes(lost, if is_full { Reason::LogFull } else { Reason::Unreadable }))?;
        }
        let Position { writer, flush } = read.position;
        if read.missing > 0
            && let Some(until) = read.newest
        {
            let (first, last, from) = (flush, flush, read.before.unwrap_or(until));
            let (segments, octets, records) = (0, 0, read.missing);
            let reason = Reason::Damaged;
            self.note_missing(Missing { from, until, writer, first, last, segments, octets, records, reason })?;
        }
        Ok(())
    }

    fn note_missing(&self, missing: Missing) -> io::Result<()> {
        let (segments, records, reason) = (missing.segments, missing.records, missing.reason.name());
        tracing::warn!(segments, records, reason, "the archive lacks flows that were counted");
        missing::note(&self.folder, missing)?;
        self.view.shown().losses = missing::read(&self.folder)?.len() as u64;
        Ok(())
    }

    /// Deletes what is not to be kept. What cannot be deleted stays, and keeps nothing from being archived.
    fn clean(&mut self) {
        if self.cleaned.is_some_and(|cleaned| cleaned.elapsed() < CLEANED_EVERY) {
            return;
        }
        self.cleaned = Some(Instant::now());
        if let Err(error) = self.delete() {
            let folder = self.folder.display();
            tracing::warn!(%error, "cannot delete old flows in {folder}");
        }
        if let Some(Err(error)) = self.clock.as_mut().map(SteadyClock::keep) {
            let folder = self.folder.display();
            tracing::warn!(%error, "cannot store in {folder} the time before which flows are deleted");
        }
    }

    fn delete(&mut self) -> io::Result<()> {
        let clock = match &mut self.clock {
            Some(clock) => clock,
            None => self.clock.insert(SteadyClock::open(&self.folder)?),
        };
        let now = minute(clock.time());
        let kept = self.retention.apply(&self.folder, now)?;
        for gone in &kept.gone {
            tracing::info!("deleted {} octets of the archive: {}", gone.octets, gone.name.path().display());
        }
        self.writer.forget(&kept.gone);
        let since = kept.oldest.map_or_else(|| self.retention.since(now), |oldest| oldest.start);
        missing::forget(&self.folder, since.timestamp())?;
        let losses = missing::read(&self.folder)?.len() as u64;
        let mut shown = self.view.shown();
        (shown.files, shown.octets, shown.limit, shown.lacking) =
            (kept.parts, kept.octets, self.retention.bytes, kept.lacking);
        (shown.oldest, shown.losses) = (kept.oldest.map(|oldest| oldest.start.timestamp()), losses);
        Ok(())
    }

    /// Publishes how an attempt has ended, and whether nothing is left to take. After an error, what was taken before it comes
    /// again: only when all of that is taken, the error is over.
    fn show(&self, attempt: io::Result<bool>, is_idle: bool) -> io::Result<bool> {
        let mut shown = self.view.shown();
        match &attempt {
            Err(_) => {
                shown.errors += 1;
                shown.failing_since.get_or_insert_with(Instant::now);
            }
            Ok(is_durable) if *is_durable || is_idle => shown.failing_since = None,
            Ok(_) => {}
        }
        shown.finished = self.writer.finished();
        shown.reaches = self.writer.reach().map(|reach| reach.received);
        attempt
    }

    fn take_flush(&mut self, read: &ReadFlush) -> io::Result<bool> {
        // First: it makes room for what could not be written.
        self.clean();
        self.note(read)?;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // It may have no records.
        self.begin(read.position)?;
        let is_durable = self.writer.end_flush(read.newest)?;
        if read.is_held_back && !is_durable {
            self.writer.finish()?;
            return Ok(true);
        }
        Ok(is_durable)
    }
}

fn whole_flushes(LostFlushes { flushes, after, until }: &LostFlushes, reason: Reason) -> Missing {
    Missing {
        from: *after,
        until: *until,
        writer: flushes.first.writer,
        first: flushes.first.flush,
        last: flushes.last.flush,
        segments: flushes.segments,
        octets: flushes.octets,
        records: 0,
        reason,
    }
}

fn minute(time: SystemTime) -> Minute {
    Minute::of(Timestamp::from(time))
}

impl LogConsumer for Archiver {
    fn take(&mut self, flush: Position, record: &Logged<'_>) {
        if self.failed.is_none() {
            self.failed = self.keep(flush, record).err();
        }
    }

    fn end_flush(&mut self, read: &ReadFlush) -> io::Result<bool> {
        let taken = self.take_flush(read);
        self.show(taken, false)
    }

    fn idle(&mut self) -> io::Result<bool> {
        self.clean();
        let ended = self.writer.end_hours(minute(SystemTime::now()));
        self.show(ended, true)
    }

    fn finish(&mut self) -> io::Result<bool> {
        let finished = self.writer.finish().map(|()| true);
        self.show(finished, true)
    }

    fn rest(&mut self) {
        // What is too old goes, also while nothing is archived.
        self.clean();
    }

    fn skip(&mut self, skipped: &LostFlushes) -> io::Result<()> {
        self.note_missing(whole_flushes(skipped, Reason::Skipped))
    }

    fn rewind(&mut self) {
        (self.flush, self.failed) = (None, None);
        self.writer.rewind();
    }
}
