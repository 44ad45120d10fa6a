//! What a question reads: complete files, and what is in none yet. It stays the same in all passes of the question.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use accounting::period::Minute;
use columns::{Columns, Id};
use flow::Timestamp;

use super::{LeftOut, Read, Scan, ScanError};
use crate::folder::{Part, keep, parts};
use crate::missing::{self, Missing};
use crate::open_parts::{OpenPart, OpenParts, Published, Reach};
use crate::part_name::PartName;

/// How long a question waits while a file gets its name.
const PAUSE: Duration = Duration::from_millis(2);

/// What a question reads.
#[derive(Debug)]
pub(crate) struct Sources {
    /// In the order of their names.
    pub(crate) all: Vec<Source>,
    /// The memory that open parts take for the question.
    pub(crate) octets: usize,
    missing: Vec<Missing>,
    since: Option<Timestamp>,
    reaches: Option<Reach>,
    /// Keeps files that are joined meanwhile.
    _kept: Option<File>,
}

/// A file.
#[derive(Debug)]
pub(crate) enum Source {
    /// It is complete.
    Complete(PartName),
    /// It is being written.
    Open(OpenPart),
}

impl Source {
    pub(crate) fn name(&self) -> PartName {
        match self {
            Self::Complete(name) => *name,
            Self::Open(part) => part.name,
        }
    }
}

impl Scan<'_> {
    /// What has rows of a range of time. Of rows in memory only these columns are kept.
    pub(crate) fn sources(&self, received: &Range<Timestamp>, columns: Columns) -> Result<Sources, ScanError> {
        let kept = keep(self.folder);
        let (files, published) = self.snapshot()?;
        let since = files.first().map(|file| file.name.hour).into_iter().chain(published.parts.keys().copied()).min();
        let mut sources = Sources {
            all: Vec::new(),
            octets: 0,
            missing: missing::of(self.folder, received)?,
            since: since.map(|hour| hour.start.timestamp()),
            reaches: published.reach,
            _kept: kept,
        };
        if received.start >= received.end {
            return Ok(sources);
        }
        let first = Minute::of(received.start);
        let is_asked = |name: &PartName| name.hour.end() > first && name.hour.start.timestamp() < received.end;
        sources.all.extend(files.iter().map(|file| file.name).filter(is_asked).map(Source::Complete));
        for part in published.parts.values().filter(|part| is_asked(&part.name)) {
            sources.add(part, received, columns);
        }
        sources.all.sort_by_key(Source::name);
        Ok(sources)
    }

    /// The complete files and what is in none, as of one moment.
    fn snapshot(&self) -> Result<(Vec<Part>, Arc<Published>), ScanError> {
        let published = || self.open.map(OpenParts::get).unwrap_or_default();
        let mut before = published();
        loop {
            self.check_cancelled()?;
            let files = parts(self.folder)?;
            let after = published();
            if before.namings == after.namings && before.namings.is_multiple_of(2) {
                return Ok((files, before));
            }
            thread::sleep(PAUSE);
            before = published();
        }
    }
}

impl Sources {
    fn add(&mut self, part: &OpenPart, received: &Range<Timestamp>, mut columns: Columns) {
        columns.add(Id::Received);
        let mut part = part.clone();
        for chunk in &mut part.chunks {
            let (first, last) = chunk.received();
            let is_asked = Timestamp::from_milliseconds(first) < received.end
                && Timestamp::from_milliseconds(last) >= received.start;
            // One that is not asked for stays as a number of rows.
            let columns = if is_asked { columns } else { Columns::NONE };
            *chunk = chunk.only(columns);
            self.octets += chunk.octets(columns);
        }
        self.all.push(Source::Open(part));
    }

    /// What was read, and what is known of that which was not.
    pub(crate) fn read(&self, read: Read, left_out: Vec<LeftOut>) -> Read {
        Read { left_out, missing: self.missing.clone(), since: self.since, reaches: self.reaches, ..read }
    }
}
