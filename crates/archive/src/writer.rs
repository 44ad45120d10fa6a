//! Takes the rows of the log, flush by flush.
//!
//! A file ends when its hour has passed, when it is large, or when the run of the collector does; all files that are open end
//! with the same flush. Until then nothing of them is durable, and after a crash their rows are taken from the log again.
//! If a crash comes between the names of the files and the cursor of the reader, some rows come again that are archived:
//! they are left out, by the names of the files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use accounting::period::{Interval, Minute, Period};
use columns::{Id, Row};
use flow::{FlushNumber, Timestamp, WriterId};

use crate::folder::{Part, keep, parts, remove_leftovers};
use crate::open_parts::{OpenParts, Reach};
use crate::part_name::PartName;
use crate::part_writer::{PartWriter, Sizes};
use crate::retention::Reserve;

#[cfg(test)]
mod tests;

/// The octets of a file at most, about: what has to be taken from the log again after a crash.
pub(crate) const OCTETS_OF_A_PART: u64 = 256 << 20;
/// The rows of a file at most, about: the log has to keep what is in no complete file.
const ROWS_OF_A_PART: u64 = 1 << 23;
/// The hours whose files are open at most. There are more only when clocks step.
const OPEN_HOURS: usize = 4;
/// After this many minutes, datagrams of an hour that has passed have arrived.
const GRACE: u32 = 1;

/// Writes the archive.
pub struct Writer {
    folder: PathBuf,
    reserve: Reserve,
    /// What is archived already, by hour; `None` when it has to be looked for: at first, and because a file could not be
    /// finished.
    archived: Option<BTreeMap<Interval, Vec<PartName>>>,
    open: BTreeMap<Interval, PartWriter>,
    /// The flush whose rows come now.
    current: (WriterId, FlushNumber),
    /// Its hour that is archived already or open, so that a row need not ask.
    known: Option<(Interval, bool)>,
    /// When the last row of it was received.
    newest: Minute,
    /// Rows that came again and were left out.
    repeated: u64,
    finished: Finished,
    /// What questions read beside the complete files.
    published: OpenParts,
    pub(crate) sizes: Sizes,
    /// How far everything taken reaches, and what is durable of it.
    reach: Option<Reach>,
    durable: Option<Reach>,
}

/// What was archived since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Files.
    pub parts: u64,
    /// Their rows.
    pub rows: u64,
}

impl Writer {
    /// The archive in a folder, which nothing else writes. It is read before the first flush.
    #[must_use]
    pub fn new(folder: PathBuf, reserve: Reserve) -> Self {
        Self {
            folder,
            reserve,
            archived: None,
            open: BTreeMap::new(),
            current: (WriterId(0), FlushNumber { epoch: 0, sequence: 0 }),
            known: None,
            newest: Minute::EPOCH,
            repeated: 0,
            finished: Finished::default(),
            published: OpenParts::default(),
            sizes: Sizes::USUAL,
            reach: None,
            durable: None,
        }
    }

    /// Deletes the files that a crash or an error left unfinished, and those that were joined, and looks for what is archived,
    /// unless that is known.
    fn look(&mut self) -> io::Result<()> {
        if self.archived.is_none() {
            remove_leftovers(&self.folder)?;
            self.archived = Some(archived(&self.folder)?);
        }
        Ok(())
    }

    /// The rows of a flush come now.
    ///
    /// # Errors
    /// When the folder cannot be read, an unfinished file not be deleted, or the files of another run not be finished.
    pub fn begin_flush(&mut self, writer: WriterId, flush: FlushNumber) -> io::Result<()> {
        if self.open.values().any(|part| !part.is_of(writer, flush.epoch)) {
            self.finish()?;
        }
        self.look()?;
        if self.open.keys().any(|hour| self.is_archived(*hour, writer, flush)) {
            // Its name has all flushes from its first one to its last one: none of another file is to be among them.
            self.finish()?;
        }
        self.current = (writer, flush);
        self.known = None;
        self.newest = Minute::EPOCH;
        Ok(())
    }

    /// Whether a file has the rows of a flush and hour.
    fn is_archived(&self, hour: Interval, writer: WriterId, flush: FlushNumber) -> bool {
        let mut of_hour = self.archived.iter().filter_map(|archived| archived.get(&hour)).flatten();
        of_hour.any(|part| part.contains(hour, writer, flush))
    }

    /// Takes a row of the flush.
    ///
    /// # Errors
    /// When it cannot be written, or the disk is too full.
    pub fn take(&mut self, row: &Row) -> io::Result<()> {
        let minute = Minute::of(Timestamp::from_milliseconds(row.number(Id::Received)));
        self.newest = self.newest.max(minute);
        let is_archived = match self.known {
            Some((hour, is_archived)) if hour.contains(minute) => is_archived,
            _ => {
                let hour = Interval::containing(Period::Hour, minute);
                let (writer, flush) = self.current;
                let is_archived = self.is_archived(hour, writer, flush);
                self.known = Some((hour, is_archived));
                is_archived
            }
        };
        if is_archived {
            self.repeated += 1;
            return Ok(());
        }
        let Some((hour, _)) = self.known else { return Ok(()) };
        if let Some(part) = self.open.get_mut(&hour) {
            if part.push(row)? {
                // Memory that questions share would otherwise be needed until the end of the flush.
                self.publish();
            }
            return Ok(());
        }
        let mut part = self.begin_part(hour)?;
        part.push(row)?;
        self.open.insert(hour, part);
        Ok(())
    }

    /// All rows of the flush were taken. Returns whether they are durable, and all before them. Questions have them from now on.
    /// `newest` is when the last datagram of the flush was received, if it had any.
    ///
    /// Files end by the time of the rows, not of the clock: a reader that catches up would otherwise end a file with each
    /// flush.
    ///
    /// # Errors
    /// When a file cannot be finished.
    pub fn end_flush(&mut self, newest: Option<Timestamp>) -> io::Result<bool> {
        let (writer, flush) = self.current;
        if let Some(received) = self.reach.map(|reach| reach.received).max(newest) {
            self.reach = Some(Reach { writer, flush, received });
        }
        let sum = |of: fn(&PartWriter) -> u64| -> u64 { self.open.values().map(of).sum() };
        let is_large = sum(PartWriter::octets) >= OCTETS_OF_A_PART || sum(PartWriter::rows) >= ROWS_OF_A_PART;
        let is_durable = if is_large || self.open.len() > OPEN_HOURS {
            self.finish().map(|()| true)
        } else {
            self.end_hours(self.newest)
        };
        self.publish();
        is_durable
    }

    /// Ends the files if the hour of one has passed at a time; to be called with the present one when there is nothing to
    /// take. Returns whether all rows are durable.
    ///
    /// # Errors
    /// When a file cannot be finished, or as [`begin_flush`](Self::begin_flush).
    pub fn end_hours(&mut self, now: Minute) -> io::Result<bool> {
        self.look()?;
        if self.open.keys().any(|hour| hour.end().saturating_add(GRACE) <= now) {
            self.finish()?;
        }
        Ok(self.open.is_empty())
    }

    /// Ends all files with the present flush, although their hours may not have passed. Afterwards all rows are durable.
    ///
    /// # Errors
    /// When a file cannot be finished.
    pub fn finish(&mut self) -> io::Result<()> {
        while let Some((hour, part)) = self.open.pop_first() {
            let complete = part.complete(self.current.1)?;
            let (name, rows) = (complete.name, complete.rows);
            self.published.change(|published| published.namings += 1);
            let named = complete.give_name();
            self.published.change(|published| {
                published.parts.remove(&hour);
                published.namings += 1;
            });
            named?;
            if let Some(archived) = &mut self.archived {
                archived.entry(hour).or_default().push(name);
            }
            self.finished.parts += 1;
            self.finished.rows += rows;
        }
        self.durable = self.reach;
        Ok(())
    }

    /// Forgets the rows that are not durable.
    pub fn rewind(&mut self) {
        self.archived = None;
        self.open.clear();
        self.reach = self.durable;
        self.published.change(|published| {
            published.parts.clear();
            published.reach = self.reach;
        });
    }

    /// What questions read beside the complete files: the rows of all flushes that [have ended](Self::end_flush).
    #[must_use]
    pub fn open_parts(&self) -> OpenParts {
        self.published.clone()
    }

    /// Forgets files that were deleted.
    pub fn forget(&mut self, gone: &[Part]) {
        for part in gone {
            if let Some(archived) = &mut self.archived
                && let Some(of_hour) = archived.get_mut(&part.name.hour)
            {
                of_hour.retain(|name| *name != part.name);
                if of_hour.is_empty() {
                    archived.remove(&part.name.hour);
                }
            }
        }
        self.known = None;
    }

    /// How far everything taken reaches.
    #[must_use]
    pub const fn reach(&self) -> Option<Reach> {
        self.reach
    }

    /// What was archived since the start.
    #[must_use]
    pub const fn finished(&self) -> Finished {
        self.finished
    }

    /// How many rows came again that were archived already.
    #[must_use]
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// The octets of the files that are open.
    #[must_use]
    pub fn open_octets(&self) -> u64 {
        self.open.values().map(PartWriter::octets).sum()
    }

    fn publish(&mut self) {
        let (_, last) = self.current;
        let changed = self.open.iter_mut().filter_map(|(hour, part)| Some((*hour, part.publish(last)?)));
        let changed: Vec<_> = changed.collect();
        self.published.change(|published| {
            published.parts.extend(changed);
            published.reach = self.reach;
        });
    }

    fn begin_part(&mut self, hour: Interval) -> io::Result<PartWriter> {
        let lacking = self.reserve.lacking(&self.folder)?;
        if lacking > 0 {
            let folder = self.folder.display();
            let percent = self.reserve.percent;
            let full = format!("{folder}: less than {percent} % of the disk is free, {lacking} octets are lacking");
            return Err(io::Error::new(io::ErrorKind::StorageFull, full));
        }
        let (writer, flush) = self.current;
        PartWriter::create(&self.folder, hour, writer, flush, self.sizes)
    }
}

/// The files of the archive, by hour.
fn archived(folder: &Path) -> io::Result<BTreeMap<Interval, Vec<PartName>>> {
    let _kept = keep(folder);
    let mut archived: BTreeMap<Interval, Vec<PartName>> = BTreeMap::new();
    for part in parts(folder)? {
        archived.entry(part.name.hour).or_default().push(part.name);
    }
    Ok(archived)
}
