//! Which rows a file has, as its path states it.

use std::fmt;
use std::path::{Path, PathBuf};

use accounting::period::{Interval, Period};
use accounting::query::parse_interval;
use flow::{FlushNumber, WriterId};

/// The suffix of a complete file.
pub(crate) const SUFFIX: &str = ".parquet";
/// The suffix of a file that is being written.
pub(crate) const UNFINISHED: &str = ".parquet.tmp";

/// The rows that were received in an hour and are of consecutive flushes of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartName {
    /// The hour in which their datagrams were received, in UTC.
    pub hour: Interval,
    /// The collector.
    pub writer: WriterId,
    /// The first flush.
    pub first: FlushNumber,
    /// The last flush. It is of a later run if files of several runs were joined.
    pub last: FlushNumber,
}

impl PartName {
    /// The name of the file at a path that ends in date, hour and file, if it is one of these.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let mut parts = path.iter().rev().map(|part| part.to_str());
        let (file, hour, date) = (parts.next()??, parts.next()??, parts.next()??);
        let hour = format!("{} {}", date.strip_prefix("date=")?, hour.strip_prefix("hour=")?);
        let hour = parse_interval(Period::Hour, &hour).ok()?;
        let mut numbers = file.strip_suffix(SUFFIX)?.split('-');
        let writer = WriterId(u64::from_str_radix(numbers.next()?, 16).ok()?);
        let first = FlushNumber { epoch: numbers.next()?.parse().ok()?, sequence: numbers.next()?.parse().ok()? };
        let last = match (numbers.next()?, numbers.next()) {
            (sequence, None) => FlushNumber { sequence: sequence.parse().ok()?, ..first },
            (epoch, Some(sequence)) => FlushNumber { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? },
        };
        let name = Self { hour, writer, first, last };
        // Numbers are written in one way only.
        (numbers.next().is_none() && first <= last && path.ends_with(name.path())).then_some(name)
    }

    /// The path below the folder of the archive.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        folder_of(self.hour).join(self.to_string())
    }

    /// Whether it has the rows of a flush and hour.
    #[must_use]
    pub fn contains(&self, hour: Interval, writer: WriterId, flush: FlushNumber) -> bool {
        (hour, writer) == (self.hour, self.writer) && (self.first..=self.last).contains(&flush)
    }

    /// Whether both are of an hour and collector.
    #[must_use]
    pub fn is_of_same_hour(&self, other: &Self) -> bool {
        (self.hour, self.writer) == (other.hour, other.writer)
    }

    /// Whether both are of an hour and collector and have flushes in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self != other && self.is_of_same_hour(other) && self.first <= other.last && other.first <= self.last
    }

    /// Whether all flushes of another file of the hour and collector are among its own.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self != other && self.is_of_same_hour(other) && self.first <= other.first && other.last <= self.last
    }
}

/// The name of the file.
impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer, first, last, .. } = self;
        write!(f, "{writer}-{}-{}-", first.epoch, first.sequence)?;
        if last.epoch != first.epoch {
            write!(f, "{}-", last.epoch)?;
        }
        write!(f, "{}{SUFFIX}", last.sequence)
    }
}

/// The folder of an hour, below that of the archive.
pub(crate) fn folder_of(hour: Interval) -> PathBuf {
    let text = hour.to_string();
    let (date, hour) = text.split_once(' ').unwrap_or((&text, "00"));
    Path::new(&format!("date={date}")).join(format!("hour={hour}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flush(epoch: u32, sequence: u64) -> FlushNumber {
        FlushNumber { epoch, sequence }
    }

    #[test]
    fn a_name_is_found_again_in_its_path() {
        let hour = parse_interval(Period::Hour, "2026-11-28 21").unwrap();
        let name = PartName { hour, writer: WriterId(0xfe), first: flush(3, 17), last: flush(3, 300) };
        let path = name.path();
        assert_eq!(path.to_str(), Some("date=2026-11-28/hour=21/00000000000000fe-3-17-300.parquet"));
        assert_eq!(PartName::of(&Path::new("/flows").join(&path)), Some(name));
        assert!(name.contains(hour, WriterId(0xfe), flush(3, 17)));
        assert!(!name.contains(hour, WriterId(0xfe), flush(4, 17)));
        assert!(!name.contains(hour.next(), WriterId(0xfe), flush(3, 17)));
        assert!(!name.contains(hour, WriterId(0xfe), flush(3, 301)));
    }

    #[test]
    fn a_joined_file_has_the_flushes_of_several_runs() {
        let hour = parse_interval(Period::Hour, "2026-11-28 21").unwrap();
        let joined = PartName { hour, writer: WriterId(0xfe), first: flush(3, 17), last: flush(5, 2) };
        let path = joined.path();
        assert_eq!(path.to_str(), Some("date=2026-11-28/hour=21/00000000000000fe-3-17-5-2.parquet"));
        assert_eq!(PartName::of(&path), Some(joined));
        assert!(joined.contains(hour, WriterId(0xfe), flush(4, 1000)));
        assert!(!joined.contains(hour, WriterId(0xfe), flush(3, 16)));
        let part = PartName { last: flush(3, 300), ..joined };
        assert!(joined.covers(&part) && !part.covers(&joined) && !part.covers(&part));
        assert!(joined.overlaps(&part) && part.overlaps(&joined) && !part.overlaps(&part));
        assert!(!part.overlaps(&PartName { first: flush(3, 301), last: flush(3, 302), ..part }));
        assert!(!joined.covers(&PartName { writer: WriterId(1), ..part }));
        assert!(!joined.covers(&PartName { last: flush(5, 3), ..part }));
    }

    #[test]
    fn other_files_have_no_name() {
        let folder = "date=2026-11-28/hour=21/";
        for other in [
            "fe-3-17-300.parquet",
            "00000000000000fe-3-017-300.parquet",
            "00000000000000fe-3-17.parquet",
            "00000000000000fe-3-17-3-300.parquet",
            "00000000000000fe-3-17-2-300.parquet",
            "00000000000000fe-3-17-16.parquet",
            "00000000000000fe-3-17-4-300-4.parquet",
            "00000000000000fe-3-17-300.parquet.tmp",
            "00000000000000fe-3-17-99999999999999999999.parquet",
            "all.parquet",
        ] {
            assert_eq!(PartName::of(Path::new(&format!("{folder}{other}"))), None, "{other}");
        }
        let file = "00000000000000fe-3-17-300.parquet";
        for folder in
            ["", "hour=21/", "date=2026-11-28/hour=24/", "date=2026-02-30/hour=21/", "date=2026-11-28/hour=1/"]
        {
            assert_eq!(PartName::of(Path::new(&format!("{folder}{file}"))), None, "{folder}");
        }
    }
}
