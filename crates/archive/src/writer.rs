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
        self.current = (writer, flush);
        self.known = None;
        self.newest = Minute::EPOCH;
        Ok(())
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
                let of_hour = self.archived.iter().filter_map(|archived| archived.get(&hour)).flatten();
                let is_archived = of_hour.into_iter().any(|part| part.contains(hour, writer, flush));
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use accounting::query::parse_interval;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::folder::files;
    use crate::part_name::UNFINISHED;

    const WRITER: WriterId = WriterId(7);

    fn minute(text: &str) -> Minute {
        parse_interval(Period::Minute, text).unwrap().start
    }

    /// A row that was received in a minute, with its number as bytes.
    fn row(at: Minute, number: u64) -> Row {
        let mut row = Row::new();
        row.set(Id::Received, at.timestamp().milliseconds());
        row.set(Id::Bytes, number);
        row.set(Id::Packets, 1);
        row.set(Id::Flows, 1);
        row.set_address(Id::SrcIp, [198, 51, 100, u8::try_from(number % 256).unwrap()].into());
        if number.is_multiple_of(3) {
            row.set_address(Id::DstIp, std::net::Ipv6Addr::from(u128::from(number)).into());
        }
        row
    }

    /// Takes flushes, each with rows of these minutes; returns whether the last one was durable.
    fn take(writer: &mut Writer, flushes: std::ops::RangeInclusive<u64>, minutes: &[Minute], now: Minute) -> bool {
        let mut is_durable = false;
        for sequence in flushes {
            writer.begin_flush(WRITER, FlushNumber { epoch: 1, sequence }).unwrap();
            for (index, minute) in (0..).zip(minutes) {
                writer.take(&row(*minute, sequence * 100 + index)).unwrap();
            }
            is_durable = writer.end_flush(None).unwrap() || writer.end_hours(now).unwrap();
        }
        is_durable
    }

    /// The numbers of all rows, sorted.
    fn numbers(folder: &Path) -> Vec<i64> {
        let mut numbers = Vec::new();
        for part in parts(folder).unwrap() {
            let file = SerializedFileReader::new(fs::File::open(folder.join(part.name.path())).unwrap()).unwrap();
            let hour = part.name.hour;
            for row in file.get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let value = |wanted: &str| row.get_column_iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
                let Field::TimestampMillis(received) = value("received") else { panic!("not a time") };
                assert!(hour.contains(Minute::of(Timestamp::from_milliseconds(received.cast_unsigned()))));
                let Field::ULong(bytes) = value("bytes") else { panic!("not a number") };
                assert_eq!(value("srcip_v4"), Field::UInt(0xc633_6400 + u32::try_from(bytes % 256).unwrap()));
                let v6 = if bytes.is_multiple_of(3) {
                    Field::Bytes(u128::from(bytes).to_be_bytes().to_vec().into())
                } else {
                    Field::Null
                };
                assert_eq!((value("dstip_v6"), value("dstip_v4")), (v6, Field::UInt(0)));
                numbers.push(bytes.cast_signed());
            }
        }
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn rows_are_in_files_of_their_hour_when_it_has_passed() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        let (before, after) = (minute("2026-11-28 20:59"), minute("2026-11-28 21:00"));
        assert!(take(&mut writer, 1..=1, &[], before), "nothing is durable at once");
        assert!(!take(&mut writer, 2..=3, &[before, before], before));
        assert!(!take(&mut writer, 4..=4, &[before, after, before], after));
        assert_eq!(parts(folder.path()).unwrap(), []);
        assert!(take(&mut writer, 5..=5, &[after], minute("2026-11-28 21:01")));
        assert_eq!(numbers(folder.path()), [200, 201, 300, 301, 400, 401, 402, 500]);
        let names: Vec<_> = parts(folder.path())
            .unwrap()
            .into_iter()
            .map(|part| (part.name.first.sequence, part.name.last.sequence))
            .collect();
        assert_eq!(names, [(2, 5), (4, 5)]);
        assert_eq!(writer.finished(), Finished { parts: 2, rows: 8 });
    }

    #[test]
    fn rows_that_are_archived_are_left_out_when_they_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (minute("2026-11-28 20:59"), minute("2026-11-28 21:00"));
        let later = minute("2026-11-28 22:01");
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        take(&mut writer, 1..=2, &[before, after], before);
        assert!(take(&mut writer, 3..=3, &[after], later));
        let complete = numbers(folder.path());
        // A crash after the name of the first file and before that of the second one.
        let second = parts(folder.path()).unwrap()[1].name;
        fs::rename(folder.path().join(second.path()), folder.path().join(second.path()).with_extension(UNFINISHED))
            .unwrap();
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        take(&mut writer, 1..=2, &[before, after], before);
        assert!(take(&mut writer, 3..=4, &[after], later));
        assert_eq!(writer.repeated(), 2);
        assert_eq!(numbers(folder.path()), [&complete[..], &[400]].concat());
    }

    #[test]
    fn files_of_an_hour_have_no_flush_in_common() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (minute("2026-11-28 20:59"), minute("2026-11-28 21:00"));
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        take(&mut writer, 1..=3, &[before, after], after);
        writer.finish().unwrap();
        // A crash after the name of the first file and before that of the second one. A row of the first hour comes late.
        let second = parts(folder.path()).unwrap()[1].name;
        fs::remove_file(folder.path().join(second.path())).unwrap();
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        take(&mut writer, 1..=3, &[before, after], after);
        assert!(take(&mut writer, 4..=4, &[before, after], minute("2026-11-28 22:01")));
        let names = parts(folder.path()).unwrap().into_iter().map(|part| part.name.path());
        assert_eq!(
            names.map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>(),
            [
                "date=2026-11-28/hour=20/0000000000000007-1-1-3.parquet",
                "date=2026-11-28/hour=20/0000000000000007-1-4-4.parquet",
                "date=2026-11-28/hour=21/0000000000000007-1-1-4.parquet",
            ]
        );
        assert_eq!(numbers(folder.path()), [100, 101, 200, 201, 300, 301, 400, 401]);
    }

    #[test]
    fn files_that_were_deleted_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        let (first, second) = (minute("2026-11-28 20:59"), minute("2026-11-28 21:30"));
        take(&mut writer, 1..=1, &[first], first);
        assert!(take(&mut writer, 2..=2, &[second], minute("2026-11-28 22:01")));
        let gone = parts(folder.path()).unwrap().into_iter().take(1).collect::<Vec<_>>();
        writer.forget(&gone);
        let archived: Vec<_> =
            writer.archived.as_ref().unwrap().values().flatten().map(|name| name.hour.start).collect();
        assert_eq!((gone.len(), archived), (1, vec![minute("2026-11-28 21:00")]));
    }

    #[test]
    fn what_is_not_durable_is_forgotten_and_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let at = minute("2026-11-28 20:59");
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        assert!(!take(&mut writer, 1..=2, &[at], at));
        writer.rewind();
        assert!(take(&mut writer, 1..=3, &[at], minute("2026-11-28 21:01")));
        assert_eq!(numbers(folder.path()), [100, 200, 300]);
    }

    #[test]
    fn nothing_is_begun_while_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let at = minute("2026-11-28 20:59");
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 100 });
        writer.begin_flush(WRITER, FlushNumber { epoch: 1, sequence: 1 }).unwrap();
        let error = writer.take(&row(at, 1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("less than 100 %"), "{error}");
        assert_eq!(files(folder.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_reader_that_catches_up_writes_one_file_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        for sequence in 1..=50 {
            writer.begin_flush(WRITER, FlushNumber { epoch: 1, sequence }).unwrap();
            writer.take(&row(minute("2026-11-20 20:10"), sequence)).unwrap();
            assert!(!writer.end_flush(None).unwrap());
        }
        writer.begin_flush(WRITER, FlushNumber { epoch: 1, sequence: 51 }).unwrap();
        writer.take(&row(minute("2026-11-20 21:01"), 51)).unwrap();
        assert!(writer.end_flush(None).unwrap());
        assert_eq!(parts(folder.path()).unwrap().len(), 2);
        assert_eq!(numbers(folder.path()), (1..=51).collect::<Vec<_>>());
    }

    #[test]
    fn other_users_cannot_read_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = minute("2026-11-28 20:59");
        let mut writer = Writer::new(folder.path().join("flows"), Reserve { percent: 0 });
        assert!(take(&mut writer, 1..=1, &[at], minute("2026-11-28 21:01")));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = files(&folder.path().join("flows")).unwrap().pop().unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(file.ancestors().skip(1).take(3).all(|folder| mode(folder) == 0o700));
    }

    #[test]
    fn files_of_a_run_end_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = minute("2026-11-28 20:59");
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        assert!(!take(&mut writer, 1..=2, &[at], at));
        writer.begin_flush(WRITER, FlushNumber { epoch: 2, sequence: 1 }).unwrap();
        assert_eq!(numbers(folder.path()), [100, 200]);
    }
}
