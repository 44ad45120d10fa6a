//! The records of the log, for its readers: each datagram of the next flush in the order of receipt, decoded by sessions of the
//! reader, each record with the terms by which it was counted. It is what a recovery does after a crash, run all the time.
//!
//! What is shown depends on the cursor and the segments only, so that it is the same again after a crash. Each flush is
//! compared with what the shards have noted in it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use flow::{FlushNumber, Timestamp, WriterId};
use journal::{Damaged, EntryKind, ForcedOut, Journal, LogReader, Lost, Position, ReadCounts, Unreadable, Waiting};
use pipeline::{Again, Booked, Decoder, Logged, Rules};
use wire::{Datagram, Session};

use crate::journaled_shard::booked;
use crate::log_notes::{Notes, SealedSums};
use crate::status::Status;
use crate::terms::FoundTerms;

/// After this many flushes that balance, what was shown early is not waited for any more.
const MOST_BALANCED: u32 = 60;

/// Reads the log.
pub struct LogRecords {
    log: LogReader,
    rules: Rules,
    decoder: Decoder,
    terms: FoundTerms,
    /// Exporters that were forgotten since the cursor.
    forgotten: Vec<IpAddr>,
    /// What was queued at the cursor, until the next flush is read.
    queued: Vec<Waiting>,
    /// The flush of which a part was read.
    open: Option<OpenFlush>,
    lost: ForcedOut,
    /// When the newest datagram that was read was received, and the newest one at the cursor; `None` after a start.
    newest: Option<Timestamp>,
    newest_at_cursor: Option<Timestamp>,
    /// The run of the last flush.
    epoch: Option<u32>,
    /// Whether decoding has everything that the shards had. If something is missing, it may have been a template; and a decoder
    /// that starts recognises restarts of exporters a little later, and shows early what the shards have queued.
    is_sound: bool,
    /// Since it is not sound: how many records more the shards have shown, also less than 0.
    lacking: i128,
    /// Since it is not sound: how many flushes, one after the other, had as many records as the shards have shown.
    balanced: u32,
    /// Since the cursor.
    counts: ReaderCounts,
    status: Status,
}

/// What was read so far of a flush.
#[derive(Clone, Copy, Debug)]
struct OpenFlush {
    position: Position,
    /// Whether its records are not shown.
    is_skipped: bool,
    records: u64,
    /// When its first and its last datagram were received.
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

/// A part of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// More of the flush follows.
    More,
    /// The last one.
    Last(ReadFlush),
    /// The last one of a flush of which nothing was shown.
    Skipped(LostFlushes),
}

/// What was read of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFlush {
    /// The flush.
    pub position: Position,
    /// When its last datagram was received; `None` if it has none.
    pub newest: Option<Timestamp>,
    /// When the last datagram of the flushes before was received; `None` if that is not known.
    pub before: Option<Timestamp>,
    /// What is missing before it, or in it.
    pub lost: Option<LostFlushes>,
    /// Whether what was read and is not durable takes more than half of the log: then it has to become durable, else the log
    /// loses it, which matters after a crash.
    pub is_held_back: bool,
    /// Datagrams, and data that an earlier one had carried over.
    pub datagrams: u64,
    /// Records shown.
    pub records: u64,
    /// Records that were counted and could not be shown, because their datagrams are not in the log, or what they need. They may
    /// be of earlier flushes.
    pub missing: u64,
}

/// Flushes that were counted and are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostFlushes {
    /// Which.
    pub flushes: Lost,
    /// They were received after this time, and before or at the next one.
    pub after: Timestamp,
    /// When the first datagram after them was received.
    pub until: Timestamp,
}

impl LostFlushes {
    /// These flushes and later ones.
    pub(crate) fn and(self, later: Self) -> Self {
        Self { flushes: self.flushes.and(later.flushes), after: self.after, until: later.until }
    }
}

/// What a reader has read since the start, as far as its cursor is past it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Flushes.
    pub flushes: u64,
    /// Records.
    pub records: u64,
    /// Records that were counted and could not be shown.
    pub missing: u64,
    /// Flushes that were skipped, because the operator has ordered it.
    pub skipped_flushes: u64,
    /// The octets of their segments.
    pub skipped_octets: u64,
    /// Of the flushes that are in the log completely: records that the shards have shown, and those that the reader has.
    pub compared: (u64, u64),
}

impl ReaderCounts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.flushes += other.flushes;
        self.records += other.records;
        self.missing += other.missing;
        self.skipped_flushes += other.skipped_flushes;
        self.skipped_octets += other.skipped_octets;
        self.compared.0 += other.compared.0;
        self.compared.1 += other.compared.1;
    }
}

/// A flush that is not in the log any more.
const NOTHING: Lost = {
    let position = Position { flush: FlushNumber { epoch: 0, sequence: 0 }, writer: WriterId(0) };
    Lost { first: position, last: position, segments: 0, octets: 0, unreadable: 0 }
};

/// The number of a run is about when it began, in seconds.
fn began(position: Position) -> Timestamp {
    Timestamp::from_seconds(position.flush.epoch.into())
}

/// Gives the readers of the log that have no cursor yet one at which they know what exporters have announced so far. To be
/// called at a start, before anything is counted.
pub fn begin_readers<'s>(journal: &Journal, announced: impl Iterator<Item = (&'s IpAddr, &'s Session)> + Clone) {
    let announcements = |(exporter, session): (&IpAddr, &Session)| (*exporter, session.announcements());
    journal.begin_readers(|| announced.clone().map(announcements).collect());
}

impl LogRecords {
    /// Where what it reads is counted.
    pub(crate) const fn status(&self) -> &Status {
        &self.status
    }

    /// Continues at the cursor of a reader. `None` if it is none of the journal's, or reads already.
    #[must_use]
    pub fn open(journal: &Arc<Journal>, reader: &'static str, rules: Rules, status: Status) -> Option<Self> {
        let log = journal.log_reader(reader)?;
        let mut records = Self {
            rules,
            decoder: Decoder::new(rules.session),
            terms: FoundTerms::new(Arc::default(), rules),
            forgotten: Vec::new(),
            queued: Vec::new(),
            open: None,
            lost: log.forced_out(),
            newest: None,
            newest_at_cursor: None,
            epoch: None,
            is_sound: false,
            lacking: 0,
            balanced: 0,
            counts: ReaderCounts::default(),
            log,
            status,
        };
        records.rewind();
        Some(records)
    }

    /// Goes back to the cursor: everything since the last commit is shown again. Returns whether the operator has set the cursor to
    /// another place, where what is shown may have been committed before.
    pub fn rewind(&mut self) -> bool {
        let was_reset = self.log.rewind();
        if was_reset {
            self.newest_at_cursor = None;
        }
        self.decoder = Decoder::new(self.rules.session);
        for (exporter, announced) in self.log.announced() {
            if !self.decoder.learn(exporter, &announced) {
                tracing::warn!(reader = self.log.name(), %exporter, "the templates at the cursor are damaged");
            }
        }
        (self.is_sound, self.lacking, self.balanced) = (false, 0, 0);
        self.queued = self.log.waiting();
        self.open = None;
        self.forgotten.clear();
        self.newest = self.newest_at_cursor;
        self.counts = ReaderCounts::default();
        was_reset
    }

    /// The flush that is read next, or again after an error.
    pub(crate) fn next(&self) -> Option<Position> {
        self.log.next()
    }

    /// Whether the operator has paused the reader.
    pub(crate) fn is_paused(&self) -> bool {
        self.log.is_paused()
    }

    /// Whether the operator has ordered to skip the next flush.
    pub(crate) fn skips_next(&self) -> bool {
        self.log.skips_next()
    }

    /// Whether the operator has ordered to skip flushes, of which some may not be behind the cursor yet.
    pub(crate) fn is_skipping(&self) -> bool {
        self.log.is_skipping()
    }

    /// Whether the operator has set the reader to another place: then [`rewind`](Self::rewind).
    pub(crate) fn is_reset(&self) -> bool {
        self.log.is_reset()
    }

    /// Leaves out a flush that the disk cannot read.
    pub(crate) fn leave_out(&mut self, flush: Position) {
        self.log.leave_out(flush);
    }

    /// Whether a part of a flush was read.
    pub(crate) const fn is_within_flush(&self) -> bool {
        self.open.is_some()
    }

    /// Shows the records of the next flush; `None` while there is none.
    ///
    /// # Errors
    /// If a segment cannot be read: then [`rewind`](Self::rewind).
    pub fn read_flush(&mut self, show: &mut dyn FnMut(Position, &Logged<'_>)) -> Result<Option<ReadFlush>, Unreadable> {
        loop {
            match self.read_part(u64::MAX, false, show)? {
                Some(Part::More | Part::Skipped(_)) => {}
                Some(Part::Last(read)) => return Ok(Some(read)),
                None => return Ok(None),
            }
        }
    }

    /// Shows about this many records of the present flush, or of the next one, unless it `skips` that; `None` while there is none.
    ///
    /// # Errors
    /// If a segment cannot be read: then [`rewind`](Self::rewind).
    pub(crate) fn read_part(
        &mut self,
        about: u64,
        skips: bool,
        show: &mut dyn FnMut(Position, &Logged<'_>),
    ) -> Result<Option<Part>, Unreadable> {
        let open = match self.open.take() {
            Some(open) => Some(open),
            None => self.open_flush(skips, show)?,
        };
        let Some(mut open) = open else { return Ok(None) };
        let end = open.records.saturating_add(about);
        while open.records < end {
            if !self.log.advance()? {
                let last = if open.is_skipped { self.skip_flush(open) } else { Part::Last(self.end_flush(open)) };
                return Ok(Some(last));
            }
            let datagram = self.log.current().filter(|found| !matches!(found.kind, EntryKind::Ended(_)));
            open.newest = open.newest.max(datagram.map(|found| found.received));
            open.oldest = open.oldest.or(open.newest);
            open.records += self.decode(&mut |record| {
                if !open.is_skipped {
                    show(open.position, record);
                }
            });
        }
        self.open = Some(open);
        Ok(Some(Part::More))
    }

    /// Begins with the next flush, and shows what was queued at the cursor.
    fn open_flush(
        &mut self,
        is_skipped: bool,
        show: &mut dyn FnMut(Position, &Logged<'_>),
    ) -> Result<Option<OpenFlush>, Unreadable> {
        let Some(position) = self.log.next_flush()? else { return Ok(None) };
        // Another flush than the next one, if that was left out or forced out.
        let is_skipped = is_skipped && self.log.skips(position);
        for exporter in Notes::read(self.log.notes()).forgotten {
            self.decoder.forget(exporter);
            self.terms.forget(exporter);
            self.forgotten.push(exporter);
        }
        self.terms.forget_old();
        let records = self.queue(&mut |record| {
            if !is_skipped {
                show(position, record);
            }
        });
        Ok(Some(OpenFlush { position, is_skipped, records, oldest: None, newest: None }))
    }

    /// Ends a flush of which nothing was shown.
    fn skip_flush(&mut self, OpenFlush { position, records, newest, .. }: OpenFlush) -> Part {
        let flush = Lost { first: position, last: position, ..self.log.open_flush().unwrap_or(NOTHING) };
        let flushes = self.log.lost().map_or(flush, |lost| lost.and(flush));
        let after = self.newest.unwrap_or_else(|| began(flushes.first));
        self.newest = self.newest.max(newest);
        self.compare(position.flush.epoch, records);
        self.counts.add(&ReaderCounts { skipped_flushes: 1, skipped_octets: flush.octets, ..ReaderCounts::default() });
        Part::Skipped(LostFlushes { flushes, after, until: self.newest.unwrap_or(after) })
    }

    fn end_flush(&mut self, OpenFlush { position, records, oldest, newest, .. }: OpenFlush) -> ReadFlush {
        let lost = self.lost_before(oldest);
        let before = self.newest;
        self.newest = self.newest.max(newest);
        let missing = self.compare(position.flush.epoch, records);
        let ReadCounts { datagrams, .. } = self.log.counts();
        self.counts.add(&ReaderCounts { flushes: 1, records, missing, ..ReaderCounts::default() });
        let is_held_back = self.log.is_held_back();
        ReadFlush { position, newest, before, lost, is_held_back, datagrams, records, missing }
    }

    /// What is missing before the first datagram of the flush that was read.
    fn lost_before(&self, first: Option<Timestamp>) -> Option<LostFlushes> {
        let flushes = self.log.lost()?;
        let after = self.newest.unwrap_or_else(|| began(flushes.first));
        Some(LostFlushes { flushes, after, until: first.unwrap_or(after).max(after) })
    }

    /// Queues again what was queued at the cursor. If its template is known now, its records are shown.
    fn queue(&mut self, show: &mut dyn FnMut(&Logged<'_>)) -> u64 {
        let Self { queued, forgotten, decoder, rules, .. } = self;
        let mut records = 0;
        for (exporter, received, payload) in queued.drain(..).filter(|(of, ..)| !forgotten.contains(&of.address)) {
            let datagram = Datagram { exporter, received, payload: &payload };
            let again = Again { datagram, is_carried: true, booked: Booked::default() };
            records += decoder.decode(&again, rules, &mut |_| None, show);
        }
        records
    }

    /// Shows the records of the current datagram.
    fn decode(&mut self, show: &mut dyn FnMut(&Logged<'_>)) -> u64 {
        let Self { log, decoder, terms, rules, .. } = self;
        let Some(found) = log.current() else { return 0 };
        let exporter = found.exporter();
        if matches!(found.kind, EntryKind::Ended(_)) {
            decoder.end_connection(&exporter);
            return 0;
        }
        let datagram = Datagram { exporter, received: found.received, payload: found.payload };
        let stated = found.terms.and_then(|octets| terms.get(exporter.address, octets)).cloned();
        let rules = stated.as_ref().map_or(*rules, |stated| stated.rules);
        let mut registered =
            |address| terms.registered_then(address, exporter.address, stated.as_ref(), log.terms_of(address));
        let again = Again { datagram, is_carried: found.kind == EntryKind::Carried, booked: booked(found.annotations) };
        decoder.decode(&again, &rules, &mut registered, show)
    }

    /// Compares a flush that was read with what the shards have noted. Returns how many records are missing in it and the ones
    /// before, once that is known.
    fn compare(&mut self, epoch: u32, records: u64) -> u64 {
        let lost = std::mem::replace(&mut self.lost, self.log.forced_out());
        // A start beside another database counts again what is in the journal and not in that database.
        let is_same_run = self.epoch.replace(epoch) == Some(epoch);
        self.is_sound &= lost == self.lost && self.log.lost().is_none() && is_same_run;
        let ReadCounts { datagrams, skipped, torn, damaged, .. } = self.log.counts();
        let Some(sums) = Notes::read(self.log.notes()).sums else {
            // The collector was killed. The next start has counted what is there, perhaps by templates of another database, and
            // without what is damaged, of which a reader that runs on may have another copy.
            self.is_sound = false;
            return 0;
        };
        let is_whole = torn == 0 && damaged == Damaged::default();
        let is_complete = is_whole && datagrams + skipped == sums.datagrams;
        let SealedSums { records: shown, .. } = sums;
        if self.is_sound && is_complete && records <= shown {
            self.counts.compared.0 += shown;
            self.counts.compared.1 += records;
            return 0;
        }
        self.lacking += i128::from(shown) - i128::from(records);
        self.balanced = if is_complete && shown == records { self.balanced + 1 } else { 0 };
        // Records that were shown early are still queued by the shards, within a limit.
        self.is_sound = self.balanced > if self.lacking < 0 { MOST_BALANCED } else { 0 };
        if !self.is_sound {
            return 0;
        }
        self.balanced = 0;
        u64::try_from(std::mem::take(&mut self.lacking).max(0)).unwrap_or(u64::MAX)
    }

    /// Everything that was shown is safe where it was handed to: it is not shown again.
    ///
    /// # Errors
    /// If the disk refuses. Then it can be tried again, also after further flushes.
    pub fn commit(&mut self) -> io::Result<()> {
        let forgotten = std::mem::take(&mut self.forgotten).into_iter().map(|exporter| (exporter, Vec::new()));
        let announced = forgotten.chain(self.decoder.announced()).collect();
        self.status.read(self.log.name(), &std::mem::take(&mut self.counts));
        let waiting = self.decoder.waiting().into_iter().chain(self.queued.iter().cloned()).collect();
        self.log.commit(announced, waiting)?;
        self.newest_at_cursor = self.newest;
        Ok(())
    }
}
