//! What is in the archive, as the footers of its files state it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use accounting::period::{Interval, Minute, Period};
use flow::WriterId;

use crate::check::Finding;
use crate::folder::{Contents, contents, keep};
use crate::inspection::{Damaged, open};
use crate::missing::{self, Missing};

/// What is in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Each day that has files, the oldest first.
    pub days: BTreeMap<Interval, Amount>,
    /// All of these.
    pub total: Amount,
    /// The oldest hour that has files, and the newest one.
    pub hours: Option<(Interval, Interval)>,
    /// Hours between these that have no files: each first one without, and the first one with files after it.
    pub gaps: Vec<(Interval, Interval)>,
    /// The collectors whose flows are in the files.
    pub writers: BTreeMap<WriterId, Amount>,
    /// What was counted and is not in the archive.
    pub missing: Vec<Missing>,
    /// Damaged and foreign files, and what is wrong with each. Answers leave them out.
    pub left_out: Vec<Finding>,
    /// The octets of files that a collector or a compaction is writing, or left unfinished.
    pub unfinished: Vec<(PathBuf, u64)>,
    /// Files whose flows are also in a joined one, and that the next compaction or start of a collector removes.
    pub superseded: Vec<PathBuf>,
}

/// How much some files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Hours that have files.
    pub hours: u64,
    /// Files that can be read.
    pub files: u64,
    /// Their rows: flow records.
    pub rows: u64,
    /// Their octets.
    pub octets: u64,
}

impl Amount {
    /// How many octets a row takes, in tenths.
    #[must_use]
    pub const fn tenths_of_octets_a_row(self) -> Option<u64> {
        (self.octets.saturating_mul(10).saturating_add(self.rows / 2)).checked_div(self.rows)
    }

    fn add(&mut self, other: Self) {
        self.hours += other.hours;
        self.files += other.files;
        self.rows += other.rows;
        self.octets += other.octets;
    }
}

impl Status {
    /// Reads the footers of all files in the folder of the archive.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let _kept = keep(folder);
        let Contents { parts, superseded, unfinished, foreign } = contents(folder)?;
        let octets = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let below = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).to_owned();
        let mut status = Self {
            superseded: superseded.iter().map(|part| part.name.path()).collect(),
            unfinished: unfinished.iter().map(|path| (below(path), octets(path))).collect(),
            missing: missing::read(folder)?,
            left_out: foreign.iter().map(|path| Finding::foreign(below(path))).collect(),
            ..Self::default()
        };
        for hour in parts.chunk_by(|one, next| one.name.hour == next.name.hour) {
            let mut of_hour = Amount { hours: 1, ..Amount::default() };
            for part in hour {
                let rows = match open(folder, part.name) {
                    Ok(file) => (0..file.groups()).map(|group| file.rows(group) as u64).sum(),
                    Err(Damaged(problem)) => {
                        status.left_out.push(Finding { path: part.name.path(), problem });
                        continue;
                    }
                };
                let amount = Amount { hours: 0, files: 1, rows, octets: part.octets };
                status.writers.entry(part.name.writer).or_default().add(amount);
                of_hour.add(amount);
            }
            if let Some(part) = hour.first().filter(|_| of_hour.files > 0) {
                status.add_hour(part.name.hour, of_hour);
            }
        }
        Ok(status)
    }

    /// Adds an hour after all before.
    fn add_hour(&mut self, hour: Interval, amount: Amount) {
        if let Some((_, newest)) = self.hours
            && newest.next() != hour
        {
            self.gaps.push((newest.next(), hour));
        }
        self.hours = Some((self.hours.map_or(hour, |(oldest, _)| oldest), hour));
        self.days.entry(Interval::containing(Period::Day, hour.start)).or_default().add(amount);
        self.total.add(amount);
    }
}

/// How many hours a gap has.
#[must_use]
pub fn hours_of_gap(first: Interval, after: Interval) -> u32 {
    const MINUTES_OF_AN_HOUR: u32 = 60;
    let number = |minute: Minute| minute.number();
    number(after.start).saturating_sub(number(first.start)) / MINUTES_OF_AN_HOUR
}
