//! The log: segments of durable flushes that readers have not read yet, and how far each reader is.
//!
//! A segment stays until every reader is past it. If the log exceeds its limit, the oldest flush is removed, which is
//! counted for each reader that has not read it. Segments in the log have names of their own (`log-epoch-...`): no start
//! counts them again, whichever database is beside them. Without readers, nothing enters the log.
//!
//! This file decides what stays; [`log_reader`](crate::log_reader) reads it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flow::{Counted, FlushNumber, Timestamp, WriterId};

use crate::Journal;
use crate::cursor::{Cursor, Orders, StoredCursor};
use crate::lock::locked;
use crate::log_reader::LogReader;
use crate::lost::{ForcedOut, Lost};
use crate::orders::Unread;
use crate::segment::SegmentName;

/// How many flushes after the next one a reader gets the names of: data are carried over into them. After that many crashes,
/// one after the other, with no flush between that became durable, some copies may be lost and others not.
const LOOK_AHEAD: usize = 8;

/// More flushes that were forced out are noted as one.
const MOST_REMOVED: usize = 4096;

/// A flush in the log. Positions sort in the order of the log, like the names of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the flush that its segments are named after.
    pub flush: FlushNumber,
    /// The collector that wrote them.
    pub writer: WriterId,
}

impl From<SegmentName> for Position {
    fn from(SegmentName { flush, writer, .. }: SegmentName) -> Self {
        Self { flush, writer }
    }
}

/// How much a reader has not read of what is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The name of the reader.
    pub reader: &'static str,
    /// Flushes that it has not read.
    pub flushes: u64,
    /// Their segments.
    pub segments: u64,
    /// The octets of these.
    pub octets: u64,
    /// How long the oldest of them has been in the log; since the start, if it was there before.
    pub age: Duration,
    /// What it has lost since the start.
    pub forced_out: ForcedOut,
    /// How long ago the last of that was; `None` if nothing was.
    pub lost: Option<Duration>,
    /// Since when it is paused; `None` if it is not.
    pub paused: Option<Timestamp>,
    /// Whether it is skipping flushes.
    pub is_skipping: bool,
}

/// The state of the log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    limit_bytes: u64,
    octets: u64,
    segments: BTreeMap<SegmentName, Kept>,
    pub(crate) readers: Vec<Reading>,
    /// Files to be removed.
    leaving: Vec<String>,
}

/// A segment in the log.
#[derive(Clone, Copy, Debug)]
struct Kept {
    octets: u64,
    since: Instant,
    /// Whether it has its name of the log.
    is_renamed: bool,
}

/// How far a reader is.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) name: &'static str,
    /// The last flush that it will not read again.
    pub(crate) position: Option<Position>,
    /// Ever; before the start; and when the last of it was, if that was since the start.
    forced_out: ForcedOut,
    /// What was forced out after that flush, by flush. It may have read some of it, and will not again.
    removed: VecDeque<Lost>,
    forced_out_before: ForcedOut,
    lost_at: Option<Instant>,
    /// What its cursor has: to ask needs no disk.
    pub(crate) orders: Orders,
    pub(crate) cursor: Arc<Mutex<StoredCursor>>,
    /// Whether it reads.
    is_reading: bool,
}

impl Log {
    /// The segments that are on the disk under names of the log.
    pub(crate) fn of(segments: impl IntoIterator<Item = (SegmentName, u64)>) -> Self {
        let mut log = Self::default();
        segments.into_iter().for_each(|(segment, octets)| log.add(segment, octets, true));
        log
    }

    fn add(&mut self, segment: SegmentName, octets: u64, is_renamed: bool) {
        let known = self.segments.get(&segment).map_or(0, |kept| kept.octets);
        if known > octets {
            // A copy, which a backup made before its flush ended, was counted. The log has all of it.
            self.leaving.push(segment.to_string());
            return;
        }
        self.octets += octets - known;
        self.segments.insert(segment, Kept { octets, since: Instant::now(), is_renamed });
    }

    fn remove(&mut self, segment: SegmentName) -> u64 {
        let Some(Kept { octets, is_renamed, .. }) = self.segments.remove(&segment) else { return 0 };
        self.octets -= octets;
        self.leaving.push(if is_renamed { segment.in_log() } else { segment.to_string() });
        octets
    }

    /// Removes what all readers have read, and then the oldest flushes beyond the limit.
    fn trim(&mut self) {
        let read = self.readers.iter().map(|reader| reader.position).min();
        let is_read = |segment: &SegmentName| read.is_none_or(|read| Some(Position::from(*segment)) <= read);
        while let Some(segment) = self.segments.keys().next().copied().filter(is_read) {
            self.remove(segment);
        }
        while self.octets > self.limit_bytes
            && let Some(oldest) = self.segments.keys().next().copied().map(Position::from)
        {
            let mut lost = Lost { first: oldest, last: oldest, segments: 0, octets: 0, unreadable: 0 };
            while let Some(segment) = self.segments.keys().next().copied().filter(|it| Position::from(*it) == oldest) {
                lost.octets += self.remove(segment);
                lost.segments += 1;
            }
            for reader in self.readers.iter_mut().filter(|reader| reader.position < Some(oldest)) {
                reader.forced_out.segments += lost.segments;
                reader.forced_out.octets += lost.octets;
                reader.lose(lost);
                reader.lost_at = Some(Instant::now());
            }
        }
    }

    fn lags(&self) -> Vec<Lag> {
        let lag = |Reading { name, position, forced_out, forced_out_before, lost_at, orders, .. }: &Reading| {
            let unread = self.unread(*position, None);
            let ages = self.after(*position).filter_map(|segment| self.segments.get(segment));
            Lag {
                reader: name,
                flushes: unread.flushes,
                segments: unread.segments,
                octets: unread.octets,
                age: ages.map(|kept| kept.since.elapsed()).max().unwrap_or_default(),
                forced_out: forced_out.since(forced_out_before),
                lost: lost_at.map(|at| at.elapsed()),
                paused: orders.paused,
                is_skipping: orders.skip_to.is_some(),
            }
        };
        self.readers.iter().map(lag).collect()
    }

    /// How much is after a position, up to another one.
    pub(crate) fn unread(&self, after: Option<Position>, until: Option<Position>) -> Unread {
        let (mut unread, mut last) = (Unread::default(), None);
        let is_before = |segment: &&SegmentName| until.is_none_or(|until| Position::from(**segment) <= until);
        for segment in self.after(after).take_while(is_before) {
            let position = Position::from(*segment);
            unread.flushes += u64::from(last.replace(position) != Some(position));
            unread.segments += 1;
            unread.octets += self.segments.get(segment).map_or(0, |kept| kept.octets);
        }
        unread
    }

    /// The newest flush.
    pub(crate) fn last(&self) -> Option<Position> {
        self.segments.keys().next_back().copied().map(Position::from)
    }

    /// The segments after a position.
    fn after(&self, position: Option<Position>) -> impl Iterator<Item = &SegmentName> {
        let last = |Position { flush, writer }| SegmentName { flush, writer, shard: u16::MAX, part: u32::MAX };
        let after = position.map_or(Bound::Unbounded, |position| Bound::Excluded(last(position)));
        self.segments.range((after, Bound::Unbounded)).map(|(segment, _)| segment)
    }

    pub(crate) fn reading(&mut self, name: &str) -> Option<&mut Reading> {
        self.readers.iter_mut().find(|reader| reader.name == name)
    }

    /// The newest flush of each run that readers know of.
    pub(crate) fn newest(&self, newest: &mut Vec<Counted>) {
        self.segments.keys().for_each(|segment| segment.counted().add_to(newest));
        for Position { flush, writer } in self.readers.iter().filter_map(|reader| reader.position) {
            Counted { writer, newest: flush }.add_to(newest);
        }
    }
}

impl Reading {
    fn lose(&mut self, lost: Lost) {
        self.removed.push_back(lost);
        if self.removed.len() > MOST_REMOVED
            && let (Some(first), Some(second)) = (self.removed.pop_front(), self.removed.pop_front())
        {
            self.removed.push_front(first.and(second));
        }
    }
}

/// Those of the first flushes, as many as a reader looks at.
fn first_flushes<'s>(segments: impl Iterator<Item = &'s SegmentName>) -> impl Iterator<Item = SegmentName> {
    let (mut flushes, mut last) = (0, None);
    segments.copied().take_while(move |segment| {
        let position = Position::from(*segment);
        flushes += usize::from(last.replace(position) != Some(position));
        flushes <= 1 + LOOK_AHEAD
    })
}

impl Journal {
    /// Keeps durable segments for these readers from now on, within a limit. A reader that is new starts where the last of
    /// the others is; if there is none, at the oldest segment that is not durable yet. Readers that are not named any more are
    /// forgotten. To be called before anything is [released](Self::release).
    ///
    /// # Errors
    /// If the cursor of a reader cannot be read.
    pub fn keep_for(&self, readers: &[&'static str], limit_bytes: u64) -> io::Result<()> {
        let mut found: BTreeMap<String, StoredCursor> = BTreeMap::new();
        // In the order of their generations.
        for file in std::mem::take(&mut *locked(&self.cursor_files)) {
            let cursor = file.read(self.disk.as_ref())?;
            found.entry(file.reader.clone()).or_insert_with(|| StoredCursor::new(&file.reader)).found(&file, cursor);
        }
        let known = found.values().filter_map(StoredCursor::get);
        let last = known.min_by_key(|cursor| cursor.position).cloned();
        let mut log = locked(&self.log);
        for name in readers {
            let mut cursor = found.remove(*name).unwrap_or_else(|| StoredCursor::new(name));
            if let Some(last) = last.clone().filter(|_| cursor.get().is_none()) {
                cursor.set(Cursor { forced_out: ForcedOut::default(), orders: Orders::default(), ..last });
            }
            // What was found may not be durable yet, and nothing that it has read may be removed before.
            let position = self.store(name, &mut cursor).then(|| cursor.get()?.position).flatten();
            let (forced_out, orders) = cursor.get().map(|it| (it.forced_out, it.orders)).unwrap_or_default();
            log.readers.push(Reading {
                name,
                position,
                forced_out,
                removed: VecDeque::new(),
                forced_out_before: forced_out,
                lost_at: None,
                orders,
                cursor: Arc::new(Mutex::new(cursor)),
                is_reading: false,
            });
        }
        log.leaving.extend(found.into_values().flat_map(StoredCursor::into_files));
        log.limit_bytes = limit_bytes;
        drop(log);
        self.is_read.store(!readers.is_empty(), Ordering::Relaxed);
        self.tidy_log();
        Ok(())
    }

    /// Stores a cursor, if it is known; `false` if the disk refuses.
    fn store(&self, reader: &str, cursor: &mut StoredCursor) -> bool {
        let stored = cursor.store(self.disk.as_ref());
        if let Err(error) = &stored {
            tracing::warn!(reader, %error, "the cursor of this reader of the log cannot be stored yet");
            locked(&self.counts).write_errors += 1;
        }
        stored.is_ok()
    }

    /// Applies another size limit of the log from now on.
    pub fn set_log_limit(&self, limit_bytes: u64) {
        locked(&self.log).limit_bytes = limit_bytes;
    }

    /// Whether there are readers.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Relaxed)
    }

    /// Size of the log, and its limit. Octets.
    #[must_use]
    pub fn log_bytes(&self) -> (u64, u64) {
        let log = locked(&self.log);
        (log.octets, log.limit_bytes)
    }

    /// How far each reader lags.
    #[must_use]
    pub fn lags(&self) -> Vec<Lag> {
        locked(&self.log).lags()
    }

    /// Gives readers without a cursor one: they begin at the oldest segment, with what exporters have announced before it.
    /// To be called at a start, when everything durable is released.
    pub fn begin_readers(&self, announced: impl Fn() -> BTreeMap<IpAddr, Vec<u8>>) {
        for reader in &mut locked(&self.log).readers {
            let mut cursor = locked(&reader.cursor);
            if cursor.get().is_none() {
                cursor.set(Cursor { announced: announced(), ..Cursor::default() });
                self.store(reader.name, &mut cursor);
            }
        }
    }

    /// A reader of the log at its cursor; `None` if it is none of those that the log is [kept for](Self::keep_for), or reads
    /// already.
    #[must_use]
    pub fn log_reader(self: &Arc<Self>, name: &'static str) -> Option<LogReader> {
        let mut log = locked(&self.log);
        let reading = log.reading(name).filter(|reading| !reading.is_reading)?;
        reading.is_reading = true;
        let cursor = Arc::clone(&reading.cursor);
        drop(log);
        Some(LogReader::new(Arc::clone(self), name, cursor))
    }

    /// The segments of the next flush after a position, and of those into which its data may be carried over; empty if the
    /// next flush is not durable yet.
    pub(crate) fn log_after(&self, position: Option<Position>) -> Vec<SegmentName> {
        // Both locked at once: a segment moves from one to the other.
        let (segments, log) = (locked(&self.segments), locked(&self.log));
        let Some(next) = log.after(position).next().copied() else { return Vec::new() };
        // Nothing is skipped that becomes durable later.
        if segments.range(..next).next_back().is_some_and(|(before, _)| Some(Position::from(*before)) > position) {
            return Vec::new();
        }
        let mut names: Vec<SegmentName> = first_flushes(log.after(position)).collect();
        names.extend(first_flushes(segments.range(next..).map(|(segment, _)| segment)));
        names.sort_unstable();
        let count = first_flushes(names.iter()).count();
        names.truncate(count);
        names
    }

    /// Puts durable segments into the log.
    pub(crate) fn log(&self, durable: impl Iterator<Item = SegmentName>) {
        let (mut segments, mut log) = (locked(&self.segments), locked(&self.log));
        let mut moved = 0;
        for segment in durable {
            if let Some(octets) = segments.remove(&segment) {
                log.add(segment, octets, false);
                moved += octets;
            }
        }
        let mut counts = locked(&self.counts);
        counts.octets = counts.octets.saturating_sub(moved);
    }

    /// Gives segments their names of the log, and removes what has left it. What the disk refuses is tried again at the next
    /// call.
    pub(crate) fn tidy_log(&self) {
        // Names and state change together.
        let _tidying = locked(&self.tidying);
        let (unnamed, leaving) = {
            let mut log = locked(&self.log);
            log.trim();
            let unnamed = log.segments.iter().filter(|(_, kept)| !kept.is_renamed).map(|(segment, _)| *segment);
            (unnamed.collect::<Vec<_>>(), std::mem::take(&mut log.leaving))
        };
        for segment in unnamed {
            match self.disk.rename(&segment.to_string(), &segment.in_log()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(%segment, %error, "cannot rename a journal segment");
                    locked(&self.counts).remove_errors += 1;
                }
                // No start counts one that is gone.
                _ => {
                    if let Some(kept) = locked(&self.log).segments.get_mut(&segment) {
                        kept.is_renamed = true;
                    }
                }
            }
        }
        for file in leaving {
            match self.disk.remove(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(file, %error, "cannot remove a file of the log");
                    locked(&self.counts).remove_errors += 1;
                    locked(&self.log).leaving.push(file);
                }
                _ => {}
            }
        }
    }

    /// Makes the names of the log durable up to a position, before the cursor of a reader is past it. Else a start after a loss of
    /// power and beside another database counts these segments again, and the reader does not know that it has read what such a
    /// start queues and carries over.
    pub(crate) fn sync_names(&self, reader: &str, read: Option<Position>) -> io::Result<()> {
        if locked(&self.log).reading(reader).is_some_and(|reading| reading.position == read) {
            return Ok(());
        }
        self.tidy_log();
        let is_unnamed =
            |(segment, kept): (&SegmentName, &Kept)| !kept.is_renamed && Some(Position::from(*segment)) <= read;
        if locked(&self.log).segments.iter().any(is_unnamed) {
            return Err(io::Error::other("a segment of the journal cannot be renamed"));
        }
        self.disk.sync_names()
    }

    /// A reader will not read what is up to this position again.
    pub(crate) fn moved(&self, name: &str, position: Option<Position>) {
        if let Some(reading) = locked(&self.log).reading(name) {
            reading.position = position;
            reading.orders.skip_to = reading.orders.skip_to.filter(|skip_to| position < Some(*skip_to));
            reading.removed.retain(|lost| Some(lost.last) > position);
        }
        self.tidy_log();
    }

    /// What was forced out of the log between two flushes that a reader reads.
    pub(crate) fn removed(&self, name: &str, after: Option<Position>, before: Position) -> Option<Lost> {
        let mut log = locked(&self.log);
        let is_between = |lost: &&Lost| Some(lost.last) > after && lost.first < before;
        let removed = log.reading(name)?.removed.iter().filter(is_between);
        removed.copied().reduce(Lost::and)
    }

    /// Whether what a reader has read, up to a flush, and may read again takes more than half of the log. More of it must not be
    /// kept back for long: it is forced out next.
    pub(crate) fn is_held_back(&self, name: &str, read: Position) -> bool {
        let mut log = locked(&self.log);
        let Some(position) = log.reading(name).map(|reading| reading.position) else { return false };
        let held_back = log.after(position).take_while(|segment| Position::from(**segment) <= read);
        let octets: u64 = held_back.filter_map(|segment| log.segments.get(segment)).map(|kept| kept.octets).sum();
        octets > log.limit_bytes / 2
    }

    /// A flush as the log has it.
    pub(crate) fn of_flush(&self, flush: Position) -> Lost {
        let log = locked(&self.log);
        let of_flush = log.segments.iter().filter(|(segment, _)| Position::from(**segment) == flush);
        let (segments, octets) =
            of_flush.fold((0, 0), |(segments, octets), (_, kept)| (segments + 1, octets + kept.octets));
        Lost { first: flush, last: flush, segments, octets, unreadable: 0 }
    }

    /// What a reader has lost.
    pub(crate) fn forced_out(&self, name: &str) -> ForcedOut {
        locked(&self.log).reading(name).map(|reading| reading.forced_out).unwrap_or_default()
    }
}
