//! What is kept: files up to a number of days and octets, and not on the last part of the disk.

use std::fs;
use std::io;
use std::path::Path;

use accounting::period::{Interval, Minute, Period};

use crate::folder::{Contents, Part, contents};

const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days, the present one not counted.
    pub days: u32,
    /// Octets of files.
    pub bytes: u64,
    /// What is left free.
    pub reserve: Reserve,
}

/// What has become of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The files that went.
    pub gone: Vec<Part>,
    /// The number of those that stay, and their octets.
    pub parts: u64,
    /// Octets.
    pub octets: u64,
    /// The oldest hour of them.
    pub oldest: Option<Interval>,
    /// The octets that the disk still lacks to have its reserve free.
    pub lacking: u64,
}

impl Retention {
    /// From when on flows are kept at a time.
    #[must_use]
    pub fn since(self, now: Minute) -> Minute {
        let today = Interval::containing(Period::Day, now).start;
        today.saturating_sub(self.days.saturating_mul(MINUTES_OF_A_DAY))
    }

    /// Deletes what is too old or too much, the oldest hour first; also what is in the way of the reserve.
    ///
    /// # Errors
    /// When a file cannot be deleted or the disk cannot be asked.
    pub fn apply(self, folder: &Path, now: Minute) -> io::Result<Kept> {
        let Contents { parts, superseded, .. } = contents(folder)?;
        let since = self.since(now);
        let mut octets: u64 = parts.iter().map(|part| part.octets).sum();
        let mut lacking = self.reserve.lacking(folder)?;
        // What is in a joined file, too, is about to go: it must not make others go.
        let superseded = superseded.into_iter().map(|part| Part { octets: 0, ..part });
        let mut all: Vec<Part> = parts.into_iter().chain(superseded).collect();
        all.sort_unstable_by_key(|part| part.name);
        let (mut gone, mut kept, mut oldest) = (Vec::new(), 0, None);
        for part in all {
            let hour = part.name.hour;
            if kept > 0 || hour.end() > since && octets <= self.bytes && lacking == 0 {
                oldest = oldest.or(Some(hour));
                kept += 1;
                continue;
            }
            let path = folder.join(part.name.path());
            fs::remove_file(&path)?;
            octets -= part.octets;
            lacking = lacking.saturating_sub(part.octets);
            // Folders that have become empty; others are left.
            for folder in path.ancestors().skip(1).take(2) {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
            gone.push(part);
        }
        Ok(Kept { gone, parts: kept, octets, oldest, lacking })
    }
}

/// The part of the disk that is left free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Of the disk's size.
    pub percent: u8,
}

impl Reserve {
    /// How many octets the disk of a folder lacks to have it free, for those who are not root.
    ///
    /// # Errors
    /// When the disk cannot be asked.
    pub fn lacking(self, folder: &Path) -> io::Result<u64> {
        self.lacking_for(folder, 0)
    }

    /// The same after some octets are written.
    ///
    /// # Errors
    /// When the disk cannot be asked.
    pub fn lacking_for(self, folder: &Path, octets: u64) -> io::Result<u64> {
        let folder = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
        let disk = rustix::fs::statvfs(folder)?;
        let least = u128::from(disk.f_blocks) * u128::from(self.percent) / 100;
        let least = least * u128::from(disk.f_frsize) + u128::from(octets);
        let lacking = least.saturating_sub(u128::from(disk.f_bavail) * u128::from(disk.f_frsize));
        Ok(u64::try_from(lacking).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use accounting::query::parse_interval;
    use flow::{FlushNumber, WriterId};

    use super::*;
    use crate::folder::{files, parts};
    use crate::part_name::PartName;

    /// Files of 100 octets of these hours; and the folder.
    fn archive(hours: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for hour in hours {
            let hour = parse_interval(Period::Hour, hour).unwrap();
            let flush = FlushNumber { epoch: 1, sequence: 1 };
            let path = folder
                .path()
                .join(PartName { hour, writer: WriterId(1), first: flush, last: flush.following() }.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, [0; 100]).unwrap();
        }
        folder
    }

    fn hours(folder: &Path) -> Vec<String> {
        parts(folder).unwrap().iter().map(|part| part.name.hour.to_string()).collect()
    }

    const ALL: u64 = u64::MAX;
    const NOTHING: Reserve = Reserve { percent: 0 };

    #[test]
    fn days_that_have_passed_go_as_a_whole() {
        let folder = archive(&["2026-11-20 23", "2026-11-21 00", "2026-11-28 10"]);
        let now = parse_interval(Period::Minute, "2026-11-28 10:30").unwrap().start;
        let gone = Retention { days: 7, bytes: ALL, reserve: NOTHING }.apply(folder.path(), now).unwrap();
        assert_eq!((gone.gone.len(), gone.parts, gone.octets), (1, 2, 200));
        assert_eq!(hours(folder.path()), ["2026-11-21 00", "2026-11-28 10"]);
        assert!(!folder.path().join("date=2026-11-20").exists());
    }

    #[test]
    fn the_oldest_hours_go_when_there_is_too_much() {
        let folder = archive(&["2026-11-28 08", "2026-11-28 09", "2026-11-28 10"]);
        let stranger = folder.path().join("date=2026-11-28/hour=08/notes.txt");
        fs::write(&stranger, "mine").unwrap();
        let now = parse_interval(Period::Minute, "2026-11-28 10:30").unwrap().start;
        assert_eq!(Retention { days: 7, bytes: 300, reserve: NOTHING }.apply(folder.path(), now).unwrap().gone, []);
        assert_eq!(
            Retention { days: 7, bytes: 299, reserve: NOTHING }.apply(folder.path(), now).unwrap().gone.len(),
            1
        );
        assert_eq!(hours(folder.path()), ["2026-11-28 09", "2026-11-28 10"]);
        assert!(stranger.exists());
    }

    #[test]
    fn everything_goes_when_the_disk_is_full_of_others() {
        let folder = archive(&["2026-11-28 08", "2026-11-28 09", "2026-11-28 10"]);
        let now = parse_interval(Period::Minute, "2026-11-28 10:30").unwrap().start;
        // No disk is that free.
        let gone =
            Retention { days: 7, bytes: ALL, reserve: Reserve { percent: 100 } }.apply(folder.path(), now).unwrap();
        assert_eq!((gone.gone.len(), gone.oldest), (3, None));
    }

    #[test]
    fn other_folders_are_not_looked_into() {
        let folder = archive(&["2026-11-28 08"]);
        let other = folder.path().join("lost+found/hour=08");
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("0000000000000001-1-1-2.parquet"), "").unwrap();
        assert_eq!(files(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn an_archive_that_is_not_there_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(parts(&folder.path().join("flows")).unwrap(), []);
        assert_eq!(NOTHING.lacking(&folder.path().join("flows")).unwrap(), 0);
    }
}
