//! Archives of several runs whose files are joined, and what a kill at each step leaves.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use accounting::query::parse_interval;
use columns::Id;
use flow::{FlushNumber, Timestamp, WriterId};
use tempfile::TempDir;

use super::*;
use crate::check::{CheckEvent, check};
use crate::folder::{files, parts};
use crate::scan::{MOST_ROWS, RowQuestion};
use crate::status::Status;
use crate::{Scan, Writer};

const NOTHING: Reserve = Reserve { percent: 0 };
static NOT_CANCELLED: AtomicBool = AtomicBool::new(false);

fn minute(text: &str) -> Minute {
    parse_interval(Period::Minute, text).unwrap().start
}

/// A row with its number as octets; each third one is of IPv6.
fn row(at: Minute, number: u64) -> Row {
    let mut row = Row::new();
    row.set(Id::Received, at.timestamp().milliseconds() + number);
    row.set(Id::Bytes, number);
    row.set(Id::RevBytes, number % 2);
    row.set(Id::Packets, 1);
    row.set(Id::Flows, 1);
    row.set(Id::SrcMac, number << 20);
    row.set(
        Id::DstCountry,
        if number.is_multiple_of(2) { flow::Country::new("CH").unwrap().number().into() } else { 0 },
    );
    row.set_text(Id::DstAsPath, ["", "64500", "64500 {64501,64502}"][number as usize % 3].into());
    row.set_address(Id::SrcIp, [198, 51, 100, number as u8].into());
    if number.is_multiple_of(3) {
        row.set_address(Id::SrcIp, std::net::Ipv6Addr::from(u128::from(number) << 64).into());
    }
    row
}

/// Flushes of a run, with a row of each of these minutes, in a file an hour.
fn run(folder: &Path, writer: u64, epoch: u32, flushes: std::ops::RangeInclusive<u64>, minutes: &[&str]) {
    let mut archive = Writer::new(folder.to_owned(), NOTHING);
    for sequence in flushes {
        archive.begin_flush(WriterId(writer), FlushNumber { epoch, sequence }).unwrap();
        for (index, at) in (0..).zip(minutes) {
            archive.take(&row(minute(at), u64::from(epoch) * 1000 + sequence * 10 + index)).unwrap();
        }
    }
    archive.finish().unwrap();
}

/// Three runs of a collector and one of another, with 3 files of hour 20 and 3 of hour 21 of the first one.
fn archive() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 7, 1, 1..=3, &["2026-11-28 20:10", "2026-11-28 21:00"]);
    run(folder.path(), 7, 2, 1..=2, &["2026-11-28 20:20", "2026-11-28 21:10"]);
    run(folder.path(), 7, 4, 5..=9, &["2026-11-28 20:30", "2026-11-28 21:20"]);
    run(folder.path(), 9, 1, 1..=2, &["2026-11-28 20:30", "2026-11-28 23:30"]);
    folder
}

/// The present time.
fn now() -> Minute {
    minute("2026-11-29 10:30")
}

fn compaction(folder: &Path) -> Compaction<'_> {
    Compaction { folder, reserve: NOTHING, now: now() }
}

/// All rows, in the order of their times, as a question finds them.
fn rows(folder: &Path) -> Vec<String> {
    let scan = Scan { folder, open: None, octets: 1 << 28, threads: 1, cancelled: &NOT_CANCELLED, progress: None };
    let received = Timestamp::from_milliseconds(0)..now().timestamp();
    let question = RowQuestion {
        received,
        filter: "".parse().unwrap(),
        is_newest_first: false,
        after: None,
        most: MOST_ROWS,
        columns: Columns::ALL,
    };
    let answer = scan.rows(&question).unwrap();
    assert_eq!(answer.read.left_out, []);
    let mut rows: Vec<_> = answer.rows.iter().map(|(_, row)| format!("{row:?}")).collect();
    rows.sort_unstable();
    rows
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = files(folder).unwrap();
    names.sort_unstable();
    names.iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
}

fn findings(folder: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    let checked = check(folder, &mut |event| {
        if let CheckEvent::Found(finding) = event {
            findings.push(format!("{}: {}", finding.path.display(), finding.problem));
        }
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(checked.unwrap().findings, findings.len() as u64);
    findings
}

fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(folder).unwrap() {
        let to = copy.path().join(file.strip_prefix(folder).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    copy
}

#[test]
fn the_files_of_an_hour_are_joined_with_the_same_rows() {
    let folder = archive();
    let before = rows(folder.path());
    assert_eq!((before.len(), findings(folder.path())), (24, Vec::new()));
    let compacted = compaction(folder.path()).run(&mut |_| {}).unwrap();
    assert_eq!((compacted.replaced, compacted.joined, compacted.rows, compacted.left), (8, 4, 24, 0));
    assert_eq!(
        names(folder.path()),
        [
            "date=2026-11-28/hour=20/0000000000000007-1-1-4-9.parquet",
            "date=2026-11-28/hour=20/0000000000000009-1-1-2.parquet",
            "date=2026-11-28/hour=21/0000000000000007-1-1-4-9.parquet",
            "date=2026-11-28/hour=23/0000000000000009-1-1-2.parquet",
        ]
    );
    assert_eq!(rows(folder.path()), before);
    assert_eq!(findings(folder.path()), Vec::<String>::new());
    assert_eq!(compaction(folder.path()).run(&mut |_| {}).unwrap(), Compacted::default(), "nothing is left to do");
}

#[test]
fn a_kill_at_any_step_changes_no_row() {
    let folder = archive();
    let before = rows(folder.path());
    // What the process leaves if it ends at a step.
    let mut left = Vec::new();
    compaction(folder.path()).run(&mut |event| left.push((format!("{event:?}"), copy_of(folder.path())))).unwrap();
    // Three files are copied, the new one is written, verified and named, and three are removed: in each of two hours. A file of
    // another collector is copied, and the new one replaces it, also in two hours.
    assert_eq!(left.len(), 2 * 9 + 2 * 4);
    let complete = names(folder.path());
    for (step, left) in &left {
        let left = left.path();
        let superseded = Status::of(left).unwrap().superseded.len();
        assert_eq!(rows(left), before, "{step}");
        assert_eq!(Status::of(left).unwrap().total.rows, 24, "{step}");
        let again = copy_of(left);
        compaction(again.path()).run(&mut |_| {}).unwrap();
        assert_eq!((rows(again.path()), names(again.path())), (before.clone(), complete.clone()), "{step}");
        // The next start of a collector removes what is left over, and knows what is archived.
        let started = copy_of(left);
        run(started.path(), 7, 1, 1..=3, &["2026-11-28 20:10", "2026-11-28 21:00"]);
        run(started.path(), 7, 4, 5..=9, &["2026-11-28 20:30", "2026-11-28 21:20"]);
        assert_eq!(rows(started.path()), before, "{step}");
        assert!(!names(started.path()).iter().any(|name| name.ends_with(".tmp")), "{step}");
        assert_eq!(names(started.path()).len(), parts(left).unwrap().len(), "{step}: {superseded} superseded");
        assert_eq!(findings(started.path()), Vec::<String>::new(), "{step}");
    }
    let superseded: Vec<_> = left.iter().map(|(_, left)| Status::of(left.path()).unwrap().superseded.len()).collect();
    assert_eq!(superseded[..9], [0, 0, 0, 0, 0, 3, 2, 1, 0]);
}

#[test]
fn hours_that_a_collector_may_write_are_left_alone() {
    let folder = archive();
    let before = names(folder.path());
    for now in ["2026-11-28 20:59", "2026-11-28 21:59"] {
        let compaction = Compaction { now: minute(now), ..compaction(folder.path()) };
        assert_eq!(compaction.run(&mut |_| {}).unwrap(), Compacted::default());
        assert_eq!(names(folder.path()), before);
    }
    let compaction = Compaction { now: minute("2026-11-28 22:00"), ..compaction(folder.path()) };
    let compacted = compaction.run(&mut |_| {}).unwrap();
    assert_eq!((compacted.replaced, compacted.joined), (4, 2));
}

#[test]
fn a_collector_that_starts_meanwhile_does_not_disturb() {
    let folder = archive();
    let before = rows(folder.path());
    compaction(folder.path())
        .run(&mut |event| {
            if event == CompactEvent::Written {
                Writer::new(folder.path().to_owned(), NOTHING).end_hours(Minute::EPOCH).unwrap();
            }
        })
        .unwrap();
    assert_eq!((rows(folder.path()), names(folder.path()).len()), (before, 4));
}

#[test]
fn damaged_files_are_left_as_they_are_with_their_neighbours() {
    let folder = archive();
    let damaged =
        files(folder.path()).unwrap().into_iter().find(|path| path.ends_with("hour=21/0000000000000007-2-1-2.parquet"));
    let damaged: PathBuf = damaged.unwrap();
    let mut octets = fs::read(&damaged).unwrap();
    octets[40] ^= 1;
    fs::write(&damaged, octets).unwrap();
    let mut left = Vec::new();
    let compacted = compaction(folder.path()).run(&mut |event| {
        if let CompactEvent::Left(name, problem) = event {
            left.push(format!("{}: {problem}", name.path().display()));
        }
    });
    let compacted = compacted.unwrap();
    assert_eq!((compacted.joined, compacted.left, left.len()), (3, 1, 1));
    assert!(left[0].contains("hour=21/0000000000000007-2-1-2.parquet: its octets have the checksum"), "{left:?}");
    assert!(damaged.exists());
    assert_eq!(names(folder.path()).len(), 6);
    assert_eq!(findings(folder.path()), left);
}

#[test]
fn a_file_whose_name_alone_covers_others_replaces_none() {
    let folder = archive();
    let before = rows(folder.path());
    let hour = folder.path().join("date=2026-11-28/hour=20");
    let wide = hour.join("0000000000000007-1-1-5-1.parquet");
    fs::write(&wide, "anybody's").unwrap();
    fs::write(hour.join("all.parquet"), "anybody's").unwrap();
    let scan = Scan {
        folder: folder.path(),
        open: None,
        octets: 1 << 28,
        threads: 1,
        cancelled: &NOT_CANCELLED,
        progress: None,
    };
    let received = Timestamp::from_milliseconds(0)..now().timestamp();
    let question = RowQuestion {
        received,
        filter: "".parse().unwrap(),
        is_newest_first: true,
        after: None,
        most: MOST_ROWS,
        columns: Columns::NONE,
    };
    let answer = scan.rows(&question).unwrap();
    assert_eq!((answer.rows.len(), answer.read.left_out.len()), (before.len(), 1));
    Writer::new(folder.path().to_owned(), NOTHING).end_hours(Minute::EPOCH).unwrap();
    assert_eq!(names(folder.path()).len(), 10, "nothing is deleted");
    let status = Status::of(folder.path()).unwrap();
    assert_eq!((status.left_out.len(), status.superseded.len()), (2, 0));
    let compacted = compaction(folder.path()).run(&mut |_| {}).unwrap();
    assert_eq!((compacted.joined, compacted.left), (3, 1));
    // It states flushes of all others.
    assert_eq!(findings(folder.path()).len(), 4, "{:?}", findings(folder.path()));
}

#[test]
fn a_full_disk_is_an_error_and_changes_nothing() {
    let folder = archive();
    let before = names(folder.path());
    let error = Compaction { reserve: Reserve { percent: 100 }, ..compaction(folder.path()) }.run(&mut |_| {});
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(names(folder.path()), before);
}

#[test]
fn the_status_has_days_gaps_and_collectors() {
    let folder = archive();
    fs::write(folder.path().join("date=2026-11-28/hour=20/x.parquet.tmp"), [0; 7]).unwrap();
    let status = Status::of(folder.path()).unwrap();
    assert_eq!((status.total.hours, status.total.files, status.total.rows), (3, 8, 24));
    assert_eq!(status.days.len(), 1);
    let writers: Vec<_> = status.writers.iter().map(|(writer, amount)| (writer.0, amount.rows)).collect();
    assert_eq!(writers, [(7, 20), (9, 4)]);
    let text = |(first, after): (Interval, Interval)| (first.to_string(), after.to_string());
    assert_eq!(status.hours.map(text), Some(("2026-11-28 20".to_owned(), "2026-11-28 23".to_owned())));
    assert_eq!(
        status.gaps.into_iter().map(text).collect::<Vec<_>>(),
        [("2026-11-28 22".to_owned(), "2026-11-28 23".to_owned())]
    );
    assert_eq!(status.unfinished, [(PathBuf::from("date=2026-11-28/hour=20/x.parquet.tmp"), 7)]);
}

#[test]
fn a_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 7, 1, 1..=3, &["2026-11-28 20:10"]);
    let file = files(folder.path()).unwrap().remove(0);
    let octets = fs::read(&file).unwrap();
    let footer = octets.len() - 8 - u32::from_le_bytes(octets[octets.len() - 8..][..4].try_into().unwrap()) as usize;
    for place in (0..footer).step_by(97) {
        let mut damaged = octets.clone();
        damaged[place] ^= 0x10;
        fs::write(&file, damaged).unwrap();
        assert_eq!(findings(folder.path()).len(), 1, "{place}");
    }
    // The footer has no checksum: what is in it is compared with the rows. No damage of it makes the check end badly.
    for place in (footer..octets.len()).step_by(5) {
        let mut damaged = octets.clone();
        damaged[place] ^= 0x10;
        fs::write(&file, damaged).unwrap();
        findings(folder.path());
    }
}
