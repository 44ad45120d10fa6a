//! The journal: every admitted datagram is on this machine's disk until its flush is durable, so that a killed process
//! loses nothing that it had read.
//!
//! | file | content |
//! | --- | --- |
//! | [`disk`] | the trait for a disk, and its implementation in a directory |
//! | `segment` | names of segments, and reading a segment without its damaged records |
//! | `terms` | what the datagrams of a sender are counted by, stated in the segment |
//! | `writer` | writing the datagrams of one shard into the segment of their flush |
//! | `reader` | reading the flushes after a cursor, merged by receive time: the place for any further reader of the log |
//! | `recovery` | the first user of a reader: reading everything after the newest durable flush, at a start |
//! | `log` | durable segments that readers of the log have not read yet, and how far each reader is |
//! | `log_reader` | a reader of the log: reading flush by flush after its cursor |
//! | `lost` | what readers of the log do not get |
//! | `cursor` | the cursor of a reader on the disk, with what exporters had announced |
//! | `orders` | what the operator orders of a reader: to pause, to read again, to skip |
//!
//! A segment is an ordinary pcap file (`capture::frame`), which tshark and nfdump read. It belongs to one flush of one
//! writer, whose numbers are its name, and one shard. All shards switch to new segments at the cut that seals their
//! tallies, so a flush has counted exactly what is in its segments. The transaction that makes a flush durable also
//! records which flushes it counts: its own, and at a start those whose segments were recovered. At the next start, this
//! record decides which segments are counted again, whether they were removed or not, and whichever database is beside
//! them (`docs/reliability.md`).
//!
//! Without readers of the log, a segment is removed when its flush is durable. With readers, it enters the log then, until
//! all of them have read it. The log is outside the journal's size limit, and has one of its own.
//!
//! Data that are queued for a template at a cut are not counted yet. They are carried over: written again into the next
//! segment, each set as a separate message. Until the flush is durable, they are in both segments.
//!
//! If the disk refuses a write, the journal counts and reports the missed datagrams and never stops receiving. These
//! datagrams are counted, but would be lost in a crash. The next [`tick`](Journal::tick) tries again. If the disk
//! refuses a read, the start fails, because the flush that counts the remaining segments releases all of them,
//! including the unreadable one.

mod cursor;
pub mod disk;
mod lock;
mod log;
mod log_reader;
mod lost;
mod orders;
mod reader;
mod recovery;
mod segment;
mod terms;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flow::{Counted, FlushNumber, WriterId};

use crate::cursor::CursorFile;
use crate::disk::{Disk, File, uninterrupted};
use crate::lock::locked;
use crate::log::Log;
pub use crate::log::{Lag, Position};
pub use crate::log_reader::{LogReader, Waiting};
pub use crate::lost::{ForcedOut, Lost};
pub use crate::orders::{OrderError, Unread};
pub use crate::reader::{ReadCounts, Reader, Unreadable};
pub use crate::recovery::Recovery;
pub use crate::segment::{Annotations, Damaged, Entry, EntryKind, SegmentName};
pub use crate::writer::Writer;

/// The interval between calls of [`Journal::tick`]. With [`Sync::Interval`], a power failure loses at most the
/// datagrams received in this time.
pub const TICK: Duration = Duration::from_millis(500);

/// When written data are synced to the disk. This matters only for power failures: a killed process loses nothing that
/// it has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// When the operating system decides.
    Off,
    /// At every [`TICK`].
    #[default]
    Interval,
    /// After every batch of datagrams, before the next one is read: slow.
    Batch,
}

/// Size limit and sync policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When written data are synced.
    pub sync: Sync,
    /// Limit on the size of all segments together. Octets.
    pub limit_bytes: u64,
}

/// Statistics of the journal. All except `octets` only increase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams written.
    pub written: u64,
    /// Datagrams not written, because the disk refused or the journal was full.
    pub missed: u64,
    /// Data sets carried over at a cut.
    pub carried: u64,
    /// Current size of all segments: a gauge. Octets.
    pub octets: u64,
    /// Failed writes and failed creations of a file.
    pub write_errors: u64,
    /// Failed syncs.
    pub sync_errors: u64,
    /// Failed removals of a segment.
    pub remove_errors: u64,
    /// Successful syncs.
    pub syncs: u64,
    /// Time of the last successful sync.
    pub synced: Option<Instant>,
    /// Duration of the last successful sync.
    pub sync_took: Duration,
}

/// The segments of all shards.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    writer: WriterId,
    settings: Mutex<Settings>,
    /// All existing segments with their sizes in octets.
    segments: Mutex<BTreeMap<SegmentName, u64>>,
    /// What is counted elsewhere: existing segments of it could not be removed.
    released: Mutex<Vec<Counted>>,
    /// What earlier runs left and this one has read. Its first flush counts it.
    recovered: Mutex<Vec<Counted>>,
    /// What readers of the log have not read. Locked after `segments`.
    log: Mutex<Log>,
    /// Held while names of the log change on the disk.
    tidying: Mutex<()>,
    /// Held while an operator's order is stored: it may need the cursors of two readers.
    ordering: Mutex<()>,
    /// Whether the log has readers.
    is_read: AtomicBool,
    /// Files with cursors that were found, until the readers are known, in the order of their generations.
    cursor_files: Mutex<Vec<CursorFile>>,
    counts: Mutex<Counts>,
    /// Segments written to since the last tick.
    unsynced: Mutex<Vec<Arc<Open>>>,
    /// Whether writing is suspended until the next tick.
    resting: AtomicBool,
    /// Whether the last sync failed: a successful write does not prove that the disk has recovered.
    is_unsure: AtomicBool,
    /// Value of `missed` at the last successful write; `None` while the journal can be written.
    failing_since: Mutex<Option<u64>>,
}

/// A segment open for writing.
#[derive(Debug)]
struct Open {
    name: SegmentName,
    file: Box<dyn File>,
    /// Whether it is listed as unsynced.
    is_unsynced: AtomicBool,
    /// Whether a power failure could still remove its name from the directory.
    is_new: AtomicBool,
    /// Whether a sync failed. Earlier writes may be lost without a second error (fsync(2)).
    is_doubtful: AtomicBool,
}

impl Journal {
    /// Opens the journal of a writer on a disk, with the segments of earlier processes.
    ///
    /// # Errors
    /// If the disk cannot list its files.
    pub fn open(disk: Box<dyn Disk>, writer: WriterId, settings: Settings) -> io::Result<Arc<Self>> {
        let (mut segments, mut in_log, mut cursor_files) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, octets) in uninterrupted(|| disk.list())? {
            if let Some(segment) = SegmentName::parse(&name) {
                segments.insert(segment, octets);
            } else if let Some(segment) = SegmentName::parse_in_log(&name) {
                in_log.push((segment, octets));
            } else if let Some(file) = CursorFile::parse(&name) {
                cursor_files.push(file);
            } else {
                tracing::warn!(name, "ignoring a file in the journal directory that is not a segment");
            }
        }
        cursor_files.sort_unstable();
        let counts = Counts { octets: segments.values().sum(), ..Counts::default() };
        Ok(Arc::new(Self {
            disk: Arc::from(disk),
            writer,
            settings: Mutex::new(settings),
            segments: Mutex::new(segments),
            released: Mutex::default(),
            recovered: Mutex::default(),
            log: Mutex::new(Log::of(in_log)),
            tidying: Mutex::default(),
            ordering: Mutex::default(),
            is_read: AtomicBool::new(false),
            cursor_files: Mutex::new(cursor_files),
            counts: Mutex::new(counts),
            unsynced: Mutex::default(),
            resting: AtomicBool::new(false),
            is_unsure: AtomicBool::new(false),
            failing_since: Mutex::default(),
        }))
    }

    /// Its statistics.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *locked(&self.counts)
    }

    /// Applies another size limit and sync policy from now on.
    pub fn set(&self, settings: Settings) {
        *locked(&self.settings) = settings;
    }

    fn settings(&self) -> Settings {
        *locked(&self.settings)
    }

    /// Whether the disk, or the size limit, refused the last write.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        locked(&self.failing_since).is_some()
    }

    /// Limit on the size of all segments together. Octets.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.settings().limit_bytes
    }

    /// Number of existing segments.
    #[must_use]
    pub fn segments(&self) -> usize {
        locked(&self.segments).len()
    }

    /// The writer of one shard, which starts with the flush of this number.
    #[must_use]
    pub fn writer(self: &Arc<Self>, shard: u16, flush: FlushNumber) -> Writer {
        Writer::new(Arc::clone(self), shard, flush)
    }

    /// The newest flush of each run that has segments here, in the log, or a cursor.
    #[must_use]
    pub fn newest(&self) -> Vec<Counted> {
        let mut newest = self.newest_unreleased();
        locked(&self.log).newest(&mut newest);
        newest
    }

    fn newest_unreleased(&self) -> Vec<Counted> {
        let mut newest = Vec::new();
        for segment in locked(&self.segments).keys() {
            segment.counted().add_to(&mut newest);
        }
        newest
    }

    /// What is counted once this flush of this process is durable: also what it has recovered from earlier ones.
    #[must_use]
    pub fn counted_with(&self, flush: FlushNumber) -> Vec<Counted> {
        let mut counted = locked(&self.recovered).clone();
        Counted { writer: self.writer, newest: flush }.add_to(&mut counted);
        counted
    }

    /// Whether it has segments of these flushes.
    #[must_use]
    pub fn holds(&self, counted: &[Counted]) -> bool {
        locked(&self.segments).keys().any(|segment| includes(counted, segment))
    }

    /// A reader of the flushes after the cursor (`None`: from the first), over the segments that exist now, including
    /// those that are open for writing.
    #[must_use]
    pub fn reader(&self, cursor: Option<FlushNumber>) -> Reader {
        let segments = locked(&self.segments).keys().copied().collect::<Vec<_>>();
        Reader::new(Arc::clone(&self.disk), segments.into_iter().filter(|segment| Some(segment.flush) > cursor))
    }

    /// Releases the segments of these flushes: removes them, or puts them into the log if that has readers. They are
    /// durable, and data carried over from them were [synced](Self::sync_written) before. Segments that cannot be removed are
    /// retried at the next call.
    pub fn release(&self, counted: &[Counted]) {
        let all = {
            let mut all = locked(&self.released);
            counted.iter().for_each(|counted| counted.add_to(&mut all));
            all.clone()
        };
        let segments = locked(&self.segments).keys().copied().collect::<Vec<_>>();
        let durable = segments.into_iter().filter(|segment| includes(&all, segment));
        if self.is_read() {
            self.log(durable);
            self.tidy_log();
        } else {
            durable.for_each(|segment| self.remove(segment));
        }
        let left = self.newest_unreleased();
        for list in [&self.released, &self.recovered] {
            locked(list).retain(|counted| left.iter().any(|left| left.is_same_run(counted)));
        }
    }

    fn remove(&self, segment: SegmentName) {
        match self.disk.remove(&segment.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%segment, %error, "cannot remove a journal segment");
                locked(&self.counts).remove_errors += 1;
            }
            _ => {
                let octets = locked(&self.segments).remove(&segment).unwrap_or(0);
                let mut counts = locked(&self.counts);
                counts.octets = counts.octets.saturating_sub(octets);
            }
        }
    }

    /// Syncs everything written since the last call, and resumes writing after a failure. To be called every [`TICK`].
    pub fn tick(&self) {
        self.sync_written();
        self.resting.store(false, Ordering::Relaxed);
    }

    /// Syncs everything written since the last call.
    pub fn sync_written(&self) {
        let unsynced = std::mem::take(&mut *locked(&self.unsynced));
        for open in unsynced {
            // Reset before the sync: data written during it belong to the next one.
            open.is_unsynced.store(false, Ordering::Release);
            self.sync(&open);
        }
    }

    fn sync(&self, open: &Open) {
        // The name first: the content of a file without a name is lost.
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

    /// Creates the file of a segment, with its header.
    fn create(&self, name: SegmentName) -> io::Result<Open> {
        let file = self.disk.create(&name.to_string())?;
        locked(&self.segments).insert(name, 0);
        let [is_unsynced, is_new, is_doubtful] = [false, true, false].map(AtomicBool::new);
        Ok(Open { name, file, is_unsynced, is_new, is_doubtful })
    }

    /// Notes that octets with a number of datagrams were appended to a segment.
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
            tracing::info!(
                missed,
                "the journal can be written again; the missed datagrams would not have survived a crash"
            );
        }
    }

    /// Whether this many more octets are within the limit.
    fn require_room(&self, octets: u64) -> io::Result<()> {
        let limit = self.settings().limit_bytes;
        match self.counts().octets {
            used if used + octets <= limit => Ok(()),
            used => Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("it is full: {used} of {limit} octets (journal.maxBytes) are waiting for the store"),
            )),
        }
    }

    fn missed(&self, datagrams: u64) {
        locked(&self.counts).missed += datagrams;
    }

    fn carried(&self) {
        locked(&self.counts).carried += 1;
    }

    /// Notes that a segment could not be written, and suspends writing until the next tick.
    fn rest(&self, segment: &SegmentName, error: &io::Error) {
        self.resting.store(true, Ordering::Relaxed);
        locked(&self.counts).write_errors += u64::from(error.kind() != io::ErrorKind::QuotaExceeded);
        self.fail(&format!("{segment}: {error}"));
    }

    /// Logs the first of consecutive failures.
    fn fail(&self, why: &str) {
        let mut failing_since = locked(&self.failing_since);
        if failing_since.is_none() {
            *failing_since = Some(self.counts().missed);
            tracing::error!(
                why,
                "the journal cannot be written: new datagrams are counted, but would not survive a crash"
            );
        }
    }
}

/// Whether a segment is of these flushes.
fn includes(counted: &[Counted], segment: &SegmentName) -> bool {
    counted.iter().any(|counted| counted.includes(&segment.counted()))
}

#[cfg(test)]
mod tests;
