//! Joins the files of hours that have passed, so that an hour has one file of each collector, or more if that would be too
//! large, and brings the rows of a host together (`row_order`). It may run beside a collector and beside questions, and can be
//! interrupted at any moment.
//!
//! 1. The rows are written to a new file, which is synced and then read completely: it has to have the same rows.
//! 2. It gets its name. From now on the files that it was joined from are superseded: it lists them in its footer. One that is
//!    made of a single file has the same name and replaces it.
//! 3. The others are removed, when no question reads them. After an interruption, the next run or the next start of a collector
//!    does that.

use std::fs;
use std::io;
use std::path::Path;

use accounting::period::{Interval, Minute, Period};
use columns::{Columns, Row};

use crate::folder::{Contents, Part, change, contents, remove, remove_leftovers, sync};
use crate::inspection::{Damaged, Inspected, inspect, open, open_at};
use crate::part_name::PartName;
use crate::part_writer::{CompletePart, PartWriter};
use crate::retention::Reserve;
use crate::scan::RowValues;
use crate::writer::OCTETS_OF_A_PART;

#[cfg(test)]
mod tests;

/// What is joined.
#[derive(Clone, Copy, Debug)]
pub struct Compaction<'c> {
    /// The folder of the archive.
    pub folder: &'c Path,
    /// What is left free on its disk.
    pub reserve: Reserve,
    /// The present time. Its hour and the one before are left alone: their flows may not have been read from the log yet.
    pub now: Minute,
}

/// What was joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The files that were replaced.
    pub replaced: u64,
    /// The files that replaced them.
    pub joined: u64,
    /// Their rows.
    pub rows: u64,
    /// The octets of the files that were replaced.
    pub octets_before: u64,
    /// The octets of those that replaced them.
    pub octets_after: u64,
    /// How often files could not be joined, and are as they were.
    pub left: u64,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactEvent<'c> {
    /// The rows of a file are copied to the joined one now.
    Copying(&'c PartName),
    /// All rows are in the new file, which has no name yet.
    Written,
    /// It has the same rows.
    Verified,
    /// It has its name.
    Named(&'c PartName),
    /// A file that it was joined from was removed.
    Removed(&'c PartName),
    /// A file and those that it was to be joined with are left as they are.
    Left(&'c PartName, &'c str),
}

/// Why files are not joined.
enum Stop {
    /// They cannot be: a file, and what is wrong.
    Left(PartName, String),
    Failed(io::Error),
}

impl Compaction<'_> {
    /// Joins files, and reports each step.
    ///
    /// # Errors
    /// When a file cannot be read, written or removed, or the disk is too full. What was joined until then remains so.
    pub fn run(&self, report: &mut dyn FnMut(CompactEvent<'_>)) -> io::Result<Compacted> {
        remove_leftovers(self.folder)?;
        let Contents { parts, .. } = contents(self.folder)?;
        let previous = Interval::containing(Period::Hour, self.now).start.saturating_sub(60);
        let has_passed = |parts: &&[Part]| parts.iter().all(|part| part.name.hour.end() <= previous);
        let hours = parts.chunk_by(|one, next| one.name.is_of_same_hour(&next.name));
        let mut compacted = Compacted::default();
        let is_left = |run: &&[Part]| matches!(run, [part] if is_joined(self.folder, part.name));
        for parts in hours.filter(has_passed).flat_map(runs).filter(|run| !is_left(run)) {
            match self.join(parts, report) {
                Ok((rows, octets)) => {
                    compacted.replaced += parts.len() as u64;
                    compacted.joined += 1;
                    compacted.rows += rows;
                    compacted.octets_before += octets_of(parts);
                    compacted.octets_after += octets;
                }
                Err(Stop::Left(name, problem)) => {
                    compacted.left += 1;
                    report(CompactEvent::Left(&name, &problem));
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(compacted)
    }

    /// Joins some files; returns the rows and octets of the new one.
    fn join(&self, parts: &[Part], report: &mut dyn FnMut(CompactEvent<'_>)) -> Result<(u64, u64), Stop> {
        let names: Vec<PartName> = parts.iter().map(|part| part.name).collect();
        let Some(last) = names.last() else { return Ok((0, 0)) };
        check_names(&names)?;
        self.check_disk(octets_of(parts))?;
        let mut writer = PartWriter::join(self.folder, &names)?;
        let mut copied = Inspected::default();
        for name in &names {
            report(CompactEvent::Copying(name));
            copied.add(copy(self.folder, *name, &mut writer)?);
        }
        let complete = writer.complete(last.last)?;
        report(CompactEvent::Written);
        verify(&complete, copied)?;
        report(CompactEvent::Verified);
        let octets = self.replace(&names, complete, report)?;
        Ok((copied.rows, octets))
    }

    /// Gives the new file its name, and removes those that it was joined from. Returns its octets.
    fn replace(
        &self,
        names: &[PartName],
        complete: CompletePart,
        report: &mut dyn FnMut(CompactEvent<'_>),
    ) -> Result<u64, Stop> {
        let _changing = change(self.folder)?;
        if let Some(gone) = names.iter().find(|name| !self.folder.join(name.path()).exists()) {
            return Err(Stop::Left(*gone, "it was deleted meanwhile".to_owned()));
        }
        let octets = fs::metadata(complete.path())?.len();
        let name = complete.name;
        complete.give_name()?;
        report(CompactEvent::Named(&name));
        for part in names.iter().filter(|part| **part != name) {
            remove(&self.folder.join(part.path()))?;
            report(CompactEvent::Removed(part));
        }
        sync(self.folder, name.hour)?;
        Ok(octets)
    }

    fn check_disk(&self, octets: u64) -> io::Result<()> {
        let lacking = self.reserve.lacking_for(self.folder, octets)?;
        if lacking == 0 {
            return Ok(());
        }
        let percent = self.reserve.percent;
        let full = format!("to join files, the disk lacks {lacking} octets, with {percent} % of it left free");
        Err(io::Error::new(io::ErrorKind::StorageFull, full))
    }
}

/// The files of an hour, divided into those that are joined to one each: as many as make no file that is too large.
fn runs(parts: &[Part]) -> Vec<&[Part]> {
    let mut runs = Vec::new();
    let mut rest = parts;
    while !rest.is_empty() {
        let mut octets = 0;
        let fits = |part: &&Part| {
            octets += part.octets;
            octets <= OCTETS_OF_A_PART
        };
        let (run, after) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        runs.push(run);
        rest = after;
    }
    runs
}

/// Whether a file is as this makes them. One that cannot be opened is left alone: `check` names it.
fn is_joined(folder: &Path, name: PartName) -> bool {
    open(folder, name).map_or(true, |part| part.has_page_filters())
}

fn octets_of(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.octets).sum()
}

fn check_names(names: &[PartName]) -> Result<(), Stop> {
    let overlapping = names.iter().zip(names.iter().skip(1)).find(|(before, name)| before.overlaps(name));
    overlapping
        .map_or(Ok(()), |(before, name)| Err(Stop::Left(*name, format!("it has flushes in common with {before}"))))
}

/// Copies the rows of a file, which is read completely.
fn copy(folder: &Path, name: PartName, writer: &mut PartWriter) -> Result<Inspected, Stop> {
    let mut row = Row::new();
    let left = |Damaged(problem)| Stop::Left(name, problem);
    let part = open(folder, name).map_err(left)?;
    let mut written = Ok(());
    let inspected = inspect(&part, |rows| {
        let mut values = RowValues::new(rows, Columns::ALL);
        while written.is_ok() && values.next(&mut row) {
            written = writer.push(&row).map(drop);
        }
    });
    written?;
    inspected.map_err(left)
}

fn verify(complete: &CompletePart, copied: Inspected) -> io::Result<()> {
    let found = open_at(complete.path(), complete.name).and_then(|part| inspect(&part, |_| {}));
    match found {
        Ok(found) if found == copied => Ok(()),
        Ok(_) => Err(io::Error::other(
            "the joined file has other rows than those that it was joined from: none were changed",
        )),
        Err(Damaged(problem)) => Err(io::Error::other(format!("the joined file is damaged: {problem}"))),
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}
