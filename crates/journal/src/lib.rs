//! The journal: every admitted datagram stands on this machine's disk until what it counted is durable, so that a
//! process that is killed loses nothing that it had read.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`disk`] | what the journal asks of a disk, and a directory that does it |
//! | `segment` | a segment by its name, and reading it until its first damage |
//! | `writer` | one shard's end: datagrams into the segment of the flush that they are counted in |
//! | `recovery` | what was not durable when the process ended, in the order in which it was received |
//!
//! A segment is an ordinary pcap file (`capture::frame`), which tshark and nfdump read. It belongs to one flush, whose
//! numbers are its name, and one shard. All shards turn to their next segments at the same cut at which their tallies
//! are sealed, so a flush has counted exactly what is in its segments. Which flushes are durable is recorded in the
//! same transaction that makes them so; it decides at the next start which segments are counted again, whether they
//! were removed or not.
//!
//! Data that wait for their template at a cut are not counted yet: they are carried, that is written again into the next
//! segment, each set as a message of its own. They stand in both until the flush is durable.
//!
//! What the disk refuses to write is counted and reported, and never stops ingest: those datagrams are counted all the
//! same, but would be lost in a crash. The next [`tick`](Journal::tick) tries again. What it refuses to read stops the
//! start: the flush that counts what was left lets go of all of it, also of what could not be read.

pub mod disk;
mod lock;
mod reader;
mod recovery;
mod segment;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flow::FlushNumber;

use crate::disk::{Disk, File, uninterrupted};
use crate::lock::locked;
pub use crate::reader::{ReadCounts, Reader, Unreadable};
pub use crate::recovery::Recovery;
pub use crate::segment::{Entry, EntryKind, SegmentName};
pub use crate::writer::Writer;

/// How often [`Journal::tick`] wants to be called. In [`Sync::Interval`], a machine that loses its power loses no more
/// than what it received in this time.
pub const TICK: Duration = Duration::from_millis(500);

/// When what is written is forced to the disk. The process itself may be killed at any time in all of these: what is
/// written, the operating system has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// When the operating system sees fit.
    Off,
    /// At every [`TICK`].
    #[default]
    Interval,
    /// With every batch of datagrams that is read, before the next one is: slow.
    Batch,
}

/// How much is kept, and how surely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When what is written is forced to the disk.
    pub sync: Sync,
    /// Octets that all segments together may have.
    pub limit_bytes: u64,
}

/// What the journal has done. All but `octets` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that were written.
    pub written: u64,
    /// Datagrams that were not, because the disk refused or the journal was full.
    pub missed: u64,
    /// Data sets that waited for their template at a cut and were written again.
    pub carried: u64,
    /// Octets of the segments that are there: a gauge.
    pub octets: u64,
    /// Times that the disk refused to write or to make a file.
    pub write_errors: u64,
    /// Times that the disk refused to sync.
    pub sync_errors: u64,
    /// Times that the disk refused to remove a segment.
    pub remove_errors: u64,
    /// Times that something was forced to the disk.
    pub syncs: u64,
    /// When that was done last.
    pub synced: Option<Instant>,
    /// How long it took then.
    pub sync_took: Duration,
}

/// The segments of all shards.
#[derive(Debug)]
pub struct Journal {
    disk: Box<dyn Disk>,
    settings: Mutex<Settings>,
    /// Every segment that is there, with its octets.
    segments: Mutex<BTreeMap<SegmentName, u64>>,
    /// The newest flush that was let go of: what is there of it and of earlier ones could not be removed.
    released: Mutex<Option<FlushNumber>>,
    counts: Mutex<Counts>,
    /// Written to since the last tick.
    unsynced: Mutex<Vec<Arc<Open>>>,
    /// Until the next tick, nobody tries to write.
    resting: AtomicBool,
    /// The last sync failed: writing alone does not tell that the disk is well again.
    is_unsure: AtomicBool,
    /// The datagrams that were missed when it was last written to without a failure; `None` while it can be written.
    failing_since: Mutex<Option<u64>>,
}

/// A segment that is being written.
#[derive(Debug)]
struct Open {
    name: SegmentName,
    file: Box<dyn File>,
    /// Whether it is among the unsynced.
    is_unsynced: AtomicBool,
    /// Whether its name may still be missing in the directory after a loss of power.
    is_new: AtomicBool,
    /// Whether a sync failed. What was written before may be lost (fsync(2) does not say it twice), so that what
    /// is written behind it would be cut off with it.
    is_doubtful: AtomicBool,
}

impl Journal {
    /// The journal on a disk, with the segments that an earlier process has left there.
    ///
    /// # Errors
    /// When the disk does not say what is on it.
    pub fn open(disk: Box<dyn Disk>, settings: Settings) -> io::Result<Arc<Self>> {
        let mut segments = BTreeMap::new();
        for (name, octets) in uninterrupted(|| disk.list())? {
            match SegmentName::parse(&name) {
                Some(segment) => drop(segments.insert(segment, octets)),
                None => tracing::warn!(name, "a file that is no segment is left alone in the journal's directory"),
            }
        }
        let counts = Counts { octets: segments.values().sum(), ..Counts::default() };
        Ok(Arc::new(Self {
            disk,
            settings: Mutex::new(settings),
            segments: Mutex::new(segments),
            released: Mutex::default(),
            counts: Mutex::new(counts),
            unsynced: Mutex::default(),
            resting: AtomicBool::new(false),
            is_unsure: AtomicBool::new(false),
            failing_since: Mutex::default(),
        }))
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *locked(&self.counts)
    }

    /// Keeps more or less, or more or less surely, from now on.
    pub fn set(&self, settings: Settings) {
        *locked(&self.settings) = settings;
    }

    fn settings(&self) -> Settings {
        *locked(&self.settings)
    }

    /// Whether the disk, or the limit, has refused the last thing that was to be written.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        locked(&self.failing_since).is_some()
    }

    /// Octets that all segments together may have.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.settings().limit_bytes
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        locked(&self.segments).len()
    }

    /// One shard's end of it; writes for the flush with this number first.
    #[must_use]
    pub fn writer(self: &Arc<Self>, shard: u16, flush: FlushNumber) -> Writer {
        Writer::new(Arc::clone(self), shard, flush)
    }

    /// Whether there are segments of this flush or of earlier ones.
    #[must_use]
    pub fn holds(&self, flush: FlushNumber) -> bool {
        locked(&self.segments).keys().next().is_some_and(|first| first.flush <= flush)
    }

    /// A reader of the flushes after the cursor, of the segments that are there now; `None` begins at the first. Segments
    /// that are being written are among them.
    #[must_use]
    pub fn reader(&self, cursor: Option<FlushNumber>) -> Reader<'_> {
        Reader::new(self.disk.as_ref(), cursor, locked(&self.segments).keys().copied())
    }

    /// Lets go of the segments of this flush and of all earlier ones: they are durable, and what was carried out of them was
    /// [synced](Self::sync_written) before they were. What cannot be removed is tried again at the next call.
    pub fn release(&self, durable: FlushNumber) {
        {
            let mut newest = locked(&self.released);
            *newest = newest.max(Some(durable));
        }
        let released: Vec<_> =
            locked(&self.segments).keys().take_while(|segment| segment.flush <= durable).copied().collect();
        for segment in released {
            match self.disk.remove(&segment.to_string()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(%segment, %error, "a segment of the journal is not removed");
                    locked(&self.counts).remove_errors += 1;
                }
                _ => {
                    let octets = locked(&self.segments).remove(&segment).unwrap_or(0);
                    let mut counts = locked(&self.counts);
                    counts.octets = counts.octets.saturating_sub(octets);
                }
            }
        }
    }

    /// Forces to the disk what was written since the last time, and lets the writers try again when the disk has refused;
    /// to be called every [`TICK`].
    pub fn tick(&self) {
        self.sync_written();
        self.resting.store(false, Ordering::Relaxed);
    }

    /// Forces to the disk what was written since the last time.
    pub fn sync_written(&self) {
        let unsynced = std::mem::take(&mut *locked(&self.unsynced));
        for open in unsynced {
            // Before the sync: what is written meanwhile is for the next one.
            open.is_unsynced.store(false, Ordering::Release);
            self.sync(&open);
        }
    }

    fn sync(&self, open: &Open) {
        // The name first: the content of a file without one is lost.
        let begun = Instant::now();
        let named = if open.is_new.load(Ordering::Relaxed) { self.disk.sync_names() } else { Ok(()) };
        match named.and_then(|()| open.file.sync()) {
            Ok(()) => {
                open.is_new.store(false, Ordering::Relaxed);
                self.is_unsure.store(false, Ordering::Relaxed);
                let mut counts = locked(&self.counts);
                counts.syncs += 1;
                counts.synced = Some(Instant::now());
                counts.sync_took = begun.elapsed();
            }
            Err(error) => {
                open.is_doubtful.store(true, Ordering::Relaxed);
                self.is_unsure.store(true, Ordering::Relaxed);
                locked(&self.counts).sync_errors += 1;
                self.fail(&format!("sync of {}: {error}", open.name));
            }
        }
    }

    /// A file for a segment, with its header.
    fn create(&self, name: SegmentName) -> io::Result<Open> {
        let file = self.disk.create(&name.to_string())?;
        locked(&self.segments).insert(name, 0);
        let [is_unsynced, is_new, is_doubtful] = [false, true, false].map(AtomicBool::new);
        Ok(Open { name, file, is_unsynced, is_new, is_doubtful })
    }

    /// Notes that so many octets, which hold so many datagrams, were appended to a segment.
    fn wrote(&self, open: &Arc<Open>, octets: u64, datagrams: u64) {
        if let Some(length) = locked(&self.segments).get_mut(&open.name) {
            *length += octets;
        }
        {
            let mut counts = locked(&self.counts);
            counts.octets += octets;
            counts.written += datagrams;
        }
        match self.settings().sync {
            Sync::Off => {}
            Sync::Interval => {
                if !open.is_unsynced.swap(true, Ordering::Acquire) {
                    locked(&self.unsynced).push(Arc::clone(open));
                }
            }
            Sync::Batch => self.sync(open),
        }
        if !open.is_doubtful.load(Ordering::Relaxed)
            && !self.is_unsure.load(Ordering::Relaxed)
            && let Some(missed_before) = locked(&self.failing_since).take()
        {
            let missed = self.counts().missed - missed_before;
            tracing::info!(missed, "the journal is written again; what was missed would have been lost in a crash");
        }
    }

    /// Whether so many octets more are within the limit.
    fn require_room(&self, octets: u64) -> io::Result<()> {
        let limit = self.settings().limit_bytes;
        match self.counts().octets {
            used if used + octets <= limit => Ok(()),
            used => Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("it is full: {used} of {limit} octets (journal.maxBytes) wait for the store"),
            )),
        }
    }

    fn missed(&self, datagrams: u64) {
        locked(&self.counts).missed += datagrams;
    }

    fn carried(&self) {
        locked(&self.counts).carried += 1;
    }

    /// Notes that a segment could not be written, and gives the disk a rest.
    fn rest(&self, segment: &SegmentName, error: &io::Error) {
        self.resting.store(true, Ordering::Relaxed);
        locked(&self.counts).write_errors += u64::from(error.kind() != io::ErrorKind::QuotaExceeded);
        self.fail(&format!("{segment}: {error}"));
    }

    /// Reports the first of a row of failures.
    fn fail(&self, why: &str) {
        let mut failing_since = locked(&self.failing_since);
        if failing_since.is_none() {
            *failing_since = Some(self.counts().missed);
            tracing::error!(
                why,
                "the journal cannot be written: what comes now is counted, but would be lost in a crash"
            );
        }
    }
}

#[cfg(test)]
mod tests;
