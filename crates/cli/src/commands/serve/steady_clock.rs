//! The clock by which old flows are deleted. A clock that is years ahead for a while, because of a bad time server or because the
//! machine starts with it, must not delete all of them: a step forward counts only when the clock has stayed there for a day.
//!
//! A file beside the flows, `clock.txt`, has the time that counts, and for how long the clock has been ahead: a start continues
//! from there. Its last line has both in seconds, the time since 1970.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use archive::folder::parts;

/// The file in the folder of the archive.
const FILE: &str = "clock.txt";
/// It while it is written.
const UNFINISHED: &str = "clock.txt.tmp";
const HEADING: &str =
    "# By what time old flows are deleted, and for how many seconds the clock of the machine has been ahead of it";
/// How much further than the clock that never steps the clock of the machine may go.
const SLACK: Duration = Duration::from_secs(3600);
/// A step forward counts after this time.
const TRUSTED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How often the file is written: often enough for a start within the hour to go by it.
const WRITTEN_EVERY: Duration = Duration::from_secs(600);

/// The clock of the machine, but for steps forward.
pub(super) struct SteadyClock {
    folder: PathBuf,
    /// The last time that counted, and when that was by the clock that never steps.
    counted: SystemTime,
    then: Instant,
    /// For how long the clock of the machine has been ahead.
    ahead: Option<Duration>,
    written: Option<Instant>,
}

impl SteadyClock {
    /// Continues from the file or, without one, from the newest hour of the archive. In an empty archive, whatever the machine
    /// shows counts.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Self::open_at(folder, SystemTime::now(), Instant::now())
    }

    fn open_at(folder: &Path, shown: SystemTime, steady: Instant) -> io::Result<Self> {
        let (counted, ahead) = match read(folder)? {
            Some(known) => known,
            None => (newest_hour(folder, shown)?.unwrap_or(shown), None),
        };
        Ok(Self { folder: folder.to_owned(), counted, then: steady, ahead, written: None })
    }

    /// The time that counts.
    pub(super) fn time(&mut self) -> SystemTime {
        self.at(SystemTime::now(), Instant::now())
    }

    fn at(&mut self, shown: SystemTime, steady: Instant) -> SystemTime {
        let passed = steady.saturating_duration_since(self.then);
        let expected = self.counted + passed;
        self.then = steady;
        if shown > expected + SLACK {
            let ahead = self.ahead.map(|ahead| ahead + passed);
            if ahead.is_none() {
                let seconds = shown.duration_since(expected).unwrap_or_default().as_secs();
                tracing::warn!(
                    seconds,
                    "the clock is ahead of the archive: by it, old flows are deleted only after a day"
                );
            }
            let ahead = ahead.unwrap_or_default();
            if ahead < TRUSTED_AFTER {
                (self.counted, self.ahead) = (expected, Some(ahead));
                return expected;
            }
        }
        (self.counted, self.ahead) = (shown, None);
        shown
    }

    /// Writes the file, unless it was written a short time ago. Without a folder there is nothing that could be deleted.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        if self.written.is_some_and(|written| self.then < written + WRITTEN_EVERY) || !self.folder.is_dir() {
            return Ok(());
        }
        self.written = Some(self.then);
        let counted = self.counted.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let ahead = self.ahead.map_or_else(|| "-".to_owned(), |ahead| ahead.as_secs().to_string());
        let path = self.folder.join(UNFINISHED);
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(format!("{HEADING}\n{counted} {ahead}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&path, self.folder.join(FILE))
    }
}

/// What the file has; nothing if it is missing or was changed by hand.
fn read(folder: &Path) -> io::Result<Option<(SystemTime, Option<Duration>)>> {
    let text = match fs::read_to_string(folder.join(FILE)) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => return Ok(None),
        Err(error) => return Err(error),
    };
    let known = || {
        let (counted, ahead) = text.lines().next_back()?.split_once(' ')?;
        let seconds = |text: &str| Some(Duration::from_secs(text.parse::<u32>().ok()?.into()));
        let ahead = if ahead == "-" { None } else { Some(seconds(ahead)?) };
        Some((SystemTime::UNIX_EPOCH + seconds(counted)?, ahead))
    };
    Ok(known())
}

/// When the newest hour of the archive ends, of those that are not in the future: a wrong clock may have made others.
fn newest_hour(folder: &Path, shown: SystemTime) -> io::Result<Option<SystemTime>> {
    let ends = parts(folder)?.into_iter().map(|part| part.name.hour.end().timestamp().seconds());
    let ends = ends.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    Ok(ends.filter(|end| *end <= shown + SLACK).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const YEARS: Duration = Duration::from_secs(3650 * 24 * 3600);
    fn begun() -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * 500_000
    }

    /// A clock that has been kept in a folder, and has shown the truth so far.
    fn kept(folder: &Path) -> Instant {
        let then = Instant::now();
        let mut clock = SteadyClock::open_at(folder, begun(), then).unwrap();
        assert_eq!(clock.at(begun(), then), begun());
        clock.keep().unwrap();
        then
    }

    #[test]
    fn a_step_forward_counts_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (begun, then) = (begun(), Instant::now());
        let mut clock = SteadyClock::open_at(folder.path(), begun, then).unwrap();
        assert_eq!(clock.at(begun + HOUR, then + HOUR), begun + HOUR);
        assert_eq!(clock.at(begun + YEARS, then + HOUR * 2), begun + HOUR * 2);
        // It was set right again.
        assert_eq!(clock.at(begun + HOUR * 3, then + HOUR * 3), begun + HOUR * 3);
        assert_eq!(clock.at(begun + YEARS, then + HOUR * 4), begun + HOUR * 4);
        assert_eq!(clock.at(begun + YEARS + HOUR * 23, then + HOUR * 27), begun + HOUR * 27);
        assert_eq!(clock.at(begun + YEARS + HOUR * 24, then + HOUR * 28), begun + YEARS + HOUR * 24);
        assert_eq!(clock.at(begun + YEARS + HOUR * 25, then + HOUR * 29), begun + YEARS + HOUR * 25);
        // Back, it counts at once: nothing is deleted by that.
        assert_eq!(clock.at(begun + HOUR * 30, then + HOUR * 30), begun + HOUR * 30);
    }

    #[test]
    fn a_clock_that_is_ahead_at_a_start_counts_after_a_day_of_several_runs() {
        let folder = tempfile::tempdir().unwrap();
        let mut then = kept(folder.path());
        let mut expected = begun();
        for run in 0..3 {
            let mut clock = SteadyClock::open_at(folder.path(), begun() + YEARS, then).unwrap();
            assert_eq!(clock.at(begun() + YEARS, then), expected, "{run}");
            (then, expected) = (then + HOUR * 10, expected + HOUR * 10);
            let counted = clock.at(begun() + YEARS, then);
            assert_eq!(counted, if run < 2 { expected } else { begun() + YEARS }, "{run}");
            clock.keep().unwrap();
        }
        // From now on it is the true one.
        let mut clock = SteadyClock::open_at(folder.path(), begun() + YEARS + HOUR, then).unwrap();
        assert_eq!(clock.at(begun() + YEARS + HOUR, then), begun() + YEARS + HOUR);
    }

    #[test]
    fn a_start_within_the_hour_goes_by_the_clock_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let then = kept(folder.path());
        let mut clock = SteadyClock::open_at(folder.path(), begun() + HOUR, then).unwrap();
        assert_eq!(clock.at(begun() + HOUR, then), begun() + HOUR);
        // What a wrong clock has left in the file does not make an earlier time wrong.
        fs::write(folder.path().join(FILE), "4000000000 -\n").unwrap();
        let mut clock = SteadyClock::open_at(folder.path(), begun(), then).unwrap();
        assert_eq!(clock.at(begun(), then), begun());
    }

    #[test]
    fn without_the_file_the_newest_hour_counts() {
        let folder = tempfile::tempdir().unwrap();
        for (date, hour) in [("2026-11-28", "20"), ("2026-11-28", "21"), ("2036-01-01", "00")] {
            let hour = folder.path().join(format!("date={date}/hour={hour}"));
            fs::create_dir_all(&hour).unwrap();
            fs::write(hour.join("0000000000000007-1-1-2.parquet"), "").unwrap();
        }
        let newest = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_903_200);
        for text in ["", "nonsense\n", "1 x\n", "-1 -\n", "99999999999999999999 -\n", "1\n"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            let then = Instant::now();
            let mut clock = SteadyClock::open_at(folder.path(), newest + YEARS / 2, then).unwrap();
            assert_eq!(clock.at(newest + YEARS / 2, then + HOUR), newest + HOUR, "{text:?}");
        }
    }

    #[test]
    fn the_file_is_written_now_and_then_and_only_beside_flows() {
        let folder = tempfile::tempdir().unwrap();
        let (flows, then) = (folder.path().join("flows"), Instant::now());
        let mut clock = SteadyClock::open_at(&flows, begun(), then).unwrap();
        clock.keep().unwrap();
        assert!(!flows.exists());
        fs::create_dir(&flows).unwrap();
        let mut written = Vec::new();
        for minutes in [0, 9, 10, 11] {
            let passed = Duration::from_secs(60 * minutes);
            clock.at(begun() + passed, then + passed);
            clock.keep().unwrap();
            written.push(read(&flows).unwrap().unwrap().0.duration_since(begun()).unwrap().as_secs() / 60);
        }
        assert_eq!(written, [0, 0, 10, 10]);
    }
}
