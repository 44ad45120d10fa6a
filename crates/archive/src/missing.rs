//! What the archive lacks although it was counted: it is noted in a file beside the flows, `missing.txt`, and deleted with the
//! flows of its time.
//!
//! The file has a line for each loss, of numbers and a word with spaces between: when it begins and ends (milliseconds since
//! 1970), the collector, the first and the last flush with their runs, segments of the log, octets, records, the reason.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;

use flow::{FlushNumber, Timestamp, WriterId};

/// The file in the folder of the archive.
const FILE: &str = "missing.txt";
/// It while it is written.
const UNFINISHED: &str = "missing.txt.tmp";
const HEADING: &str = "# What this archive lacks: from, until, collector, first and last flush (run flush), segments, bytes, records, why";
/// The losses that are noted one by one. Older ones become one.
const MOST: usize = 1000;

/// A loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The flows were received after this time,
    pub from: Timestamp,
    /// and until this one.
    pub until: Timestamp,
    /// The collector.
    pub writer: WriterId,
    /// The first flush of which something is missing.
    pub first: FlushNumber,
    /// The last one.
    pub last: FlushNumber,
    /// Segments of the log that are missing as a whole.
    pub segments: u64,
    /// Their octets, as far as these are known.
    pub octets: u64,
    /// Records that are missing beside them.
    pub records: u64,
    /// Why.
    pub reason: Reason,
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The log was full before the archive had read it.
    LogFull,
    /// The disk could not read the log.
    Unreadable,
    /// The log has not all datagrams: it could not be written, or is damaged.
    Damaged,
    /// The operator has ordered the archive to skip it.
    Skipped,
}

impl Reason {
    const ALL: [Self; 4] = [Self::LogFull, Self::Unreadable, Self::Damaged, Self::Skipped];

    /// Its word in the file and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogFull => "log_full",
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
            Self::Skipped => "skipped",
        }
    }
}

impl Missing {
    /// Whether flows of a range of time may be missing.
    fn is_of(&self, received: &Range<Timestamp>) -> bool {
        self.from < received.end && self.until >= received.start
    }

    /// Whether both are about the same flushes: a reader that goes back may come to the same loss again, which has grown.
    fn is_about(&self, other: &Self) -> bool {
        self.writer == other.writer
            && self.first <= other.last
            && other.first <= self.last
            && self.is_whole() == other.is_whole()
    }

    /// Whether all of its flushes is missing.
    fn is_whole(&self) -> bool {
        self.segments > 0
    }

    fn and(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            until: self.until.max(other.until),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            ..self
        }
    }
}

/// Notes a loss; it is durable afterwards.
///
/// # Errors
/// When the file cannot be read or written.
pub fn note(folder: &Path, lost: Missing) -> io::Result<()> {
    let mut all = read(folder)?;
    let (same, mut others): (Vec<_>, Vec<_>) = all.drain(..).partition(|known| known.is_about(&lost));
    let merged = same.into_iter().fold(lost, |lost, known| Missing {
        segments: lost.segments.max(known.segments),
        octets: lost.octets.max(known.octets),
        records: lost.records.max(known.records),
        ..lost.and(known)
    });
    others.push(merged);
    others.sort_by_key(|missing| missing.until);
    while others.len() > MOST {
        let oldest = others.remove(0);
        if let Some(next) = others.first_mut() {
            *next = Missing {
                segments: oldest.segments + next.segments,
                octets: oldest.octets + next.octets,
                records: oldest.records + next.records,
                ..next.and(oldest)
            };
        }
    }
    write(folder, &others)
}

/// Deletes what ended before a time.
///
/// # Errors
/// As for [`note`].
pub fn forget(folder: &Path, before: Timestamp) -> io::Result<()> {
    let mut all = read(folder)?;
    let count = all.len();
    all.retain(|missing| missing.until >= before);
    if all.len() == count { Ok(()) } else { write(folder, &all) }
}

/// What is noted, the oldest first.
///
/// # Errors
/// When the file cannot be read. Without it, nothing is missing.
pub fn read(folder: &Path) -> io::Result<Vec<Missing>> {
    match fs::read_to_string(folder.join(FILE)) {
        // A line that was changed by hand is not what was noted.
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What is noted of a range of time.
pub(crate) fn of(folder: &Path, received: &Range<Timestamp>) -> io::Result<Vec<Missing>> {
    let mut all = read(folder)?;
    all.retain(|missing| missing.is_of(received));
    Ok(all)
}

fn write(folder: &Path, all: &[Missing]) -> io::Result<()> {
    crate::part_writer::create_folder(folder)?;
    let path = folder.join(UNFINISHED);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    let lines: String = all.iter().map(|missing| format!("{missing}\n")).collect();
    file.write_all(format!("{HEADING}\n{lines}").as_bytes())?;
    file.sync_all()?;
    fs::rename(&path, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}

/// The line in the file.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until, writer, first, last, segments, octets, records, reason } = self;
        write!(
            f,
            "{} {} {writer} {} {} {} {} {segments} {octets} {records} {}",
            from.milliseconds(),
            // Rounded up, so that the time of the loss does not get shorter.
            until.nanoseconds().div_ceil(1_000_000),
            first.epoch,
            first.sequence,
            last.epoch,
            last.sequence,
            reason.name(),
        )
    }
}

/// A line is not one of [`Missing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMissing;

impl FromStr for Missing {
    type Err = NotMissing;

    fn from_str(line: &str) -> Result<Self, NotMissing> {
        let mut words = line.split(' ');
        let mut word = || words.next().ok_or(NotMissing);
        let number = |word: &str| word.parse::<u64>().map_err(|_| NotMissing);
        let from = Timestamp::from_milliseconds(number(word()?)?);
        let until = Timestamp::from_milliseconds(number(word()?)?);
        let writer = WriterId(u64::from_str_radix(word()?, 16).map_err(|_| NotMissing)?);
        let mut flush = || -> Result<FlushNumber, NotMissing> {
            let epoch = word()?.parse().map_err(|_| NotMissing)?;
            Ok(FlushNumber { epoch, sequence: number(word()?)? })
        };
        let (first, last) = (flush()?, flush()?);
        let (segments, octets, records) = (number(word()?)?, number(word()?)?, number(word()?)?);
        let name = word()?;
        let reason = Reason::ALL.into_iter().find(|reason| reason.name() == name).ok_or(NotMissing)?;
        let missing = Self { from, until, writer, first, last, segments, octets, records, reason };
        if words.next().is_none() { Ok(missing) } else { Err(NotMissing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(second: u64, flushes: Range<u64>, segments: u64) -> Missing {
        let flush = |sequence| FlushNumber { epoch: 7, sequence };
        Missing {
            from: Timestamp::from_seconds(second),
            until: Timestamp::from_seconds(second + 10),
            writer: WriterId(0xfe),
            first: flush(flushes.start),
            last: flush(flushes.end - 1),
            segments,
            octets: segments * 100,
            records: 0,
            reason: Reason::LogFull,
        }
    }

    #[test]
    fn losses_are_noted_and_found_by_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("flows");
        assert_eq!(read(&folder).unwrap(), []);
        let (one, other) = (loss(100, 1..3, 2), Missing { reason: Reason::Damaged, ..loss(200, 20..21, 1) });
        note(&folder, other).unwrap();
        note(&folder, one).unwrap();
        assert_eq!(read(&folder).unwrap(), [one, other]);
        let of = |from, until| of(&folder, &(Timestamp::from_seconds(from)..Timestamp::from_seconds(until))).unwrap();
        assert_eq!((of(0, 100), of(0, 101), of(110, 150), of(111, 200)), (vec![], vec![one], vec![one], vec![]));
        fs::write(folder.join(FILE), format!("{HEADING}\nnonsense\n1 2 fe 1 1 1 1 1 1 1 eaten\n{one}\n{one} x\n"))
            .unwrap();
        assert_eq!(read(&folder).unwrap(), [one]);
        forget(&folder, Timestamp::from_seconds(110)).unwrap();
        assert_eq!(read(&folder).unwrap(), [one]);
        forget(&folder, Timestamp::from_seconds(111)).unwrap();
        assert_eq!(read(&folder).unwrap(), []);
    }

    #[test]
    fn a_loss_that_is_met_again_is_noted_once_with_what_it_has_grown_to() {
        let folder = tempfile::tempdir().unwrap();
        for lost in [loss(100, 1..3, 2), loss(100, 1..9, 8), loss(105, 4..9, 5)] {
            note(folder.path(), lost).unwrap();
        }
        let until = loss(105, 4..9, 5).until;
        assert_eq!(read(folder.path()).unwrap(), [Missing { until, ..loss(100, 1..9, 8) }]);
        note(folder.path(), Missing { writer: WriterId(1), ..loss(100, 1..9, 8) }).unwrap();
        assert_eq!(read(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn many_losses_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<_> = (0..MOST as u64).map(|index| loss(100 * index, 2 * index..2 * index + 1, 1)).collect();
        write(folder.path(), &all).unwrap();
        note(folder.path(), loss(1 << 30, 1 << 20..1 << 21, 5)).unwrap();
        let noted = read(folder.path()).unwrap();
        assert_eq!((noted.len(), noted.iter().map(|lost| lost.segments).sum::<u64>()), (MOST, MOST as u64 + 5));
        assert_eq!((noted[0].from, noted[0].until), (all[0].from, all[1].until));
    }
}
