//! Rows that are archived in files of their hour, each once, whatever fails in between.

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
fn flushes_that_were_skipped_get_a_file_of_their_own_when_they_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let at = minute("2026-11-28 20:10");
    let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
    for archived in [1..=2, 5..=6] {
        take(&mut writer, archived, &[at], at);
        writer.finish().unwrap();
    }
    take(&mut writer, 1..=7, &[at], at);
    writer.finish().unwrap();
    let names: Vec<_> = parts(folder.path())
        .unwrap()
        .into_iter()
        .map(|part| (part.name.first.sequence, part.name.last.sequence))
        .collect();
    assert_eq!(names, [(1, 2), (3, 4), (5, 6), (7, 7)]);
    assert_eq!(numbers(folder.path()), [100, 200, 300, 400, 500, 600, 700]);
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
    let archived: Vec<_> = writer.archived.as_ref().unwrap().values().flatten().map(|name| name.hour.start).collect();
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
