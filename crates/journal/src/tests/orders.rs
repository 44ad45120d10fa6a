//! What the operator orders of readers of the log: it is durable, moves no reader to a place that it does not understand, and
//! costs no other reader anything.

use std::net::IpAddr;

use super::log::{flushed, kept_for, read};
use super::*;

const LIMIT: u64 = 1 << 20;
const BOTH: [&str; 2] = ["archive", "kafka"];

fn lag(journal: &Journal, reader: &str) -> Lag {
    journal.lags().into_iter().find(|lag| lag.reader == reader).unwrap()
}

fn exporter() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

/// Both readers; the archive is at the beginning, kafka after the third of four flushes.
fn begun(folder: &Path) -> (Arc<Journal>, LogReader, LogReader) {
    let journal = kept_for(folder, &BOTH, LIMIT);
    let mut writer = journal.writer(0, flush(1, 1));
    let [mut archive, mut kafka] = BOTH.map(|name| journal.log_reader(name).unwrap());
    archive.commit(vec![(exporter(), b"old".to_vec())], Vec::new()).unwrap();
    for sequence in 1..=3 {
        flushed(&journal, &mut writer, sequence, &[&sequence.to_string()]);
    }
    assert_eq!(read(&mut kafka), "1|2|3");
    kafka.commit(vec![(exporter(), b"new".to_vec())], Vec::new()).unwrap();
    flushed(&journal, &mut writer, 4, &["4"]);
    (journal, archive, kafka)
}

#[test]
fn a_pause_lasts_over_a_restart_and_a_move_until_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let since = Timestamp::from_seconds(1_800_000_000);
    {
        let (journal, mut archive, kafka) = begun(folder.path());
        journal.pause_reader("archive", Some(since)).unwrap();
        // It stays paused since then.
        journal.pause_reader("archive", Some(Timestamp::from_seconds(1_800_000_001))).unwrap();
        assert!(archive.is_paused() && !kafka.is_paused());
        assert_eq!((lag(&journal, "archive").paused, lag(&journal, "kafka").paused), (Some(since), None));
        // What it had taken before becomes durable.
        archive.next_flush().unwrap();
        while archive.advance().unwrap() {}
        archive.commit(Vec::new(), Vec::new()).unwrap();
    }
    let journal = kept_for(folder.path(), &BOTH, LIMIT);
    let mut archive = journal.log_reader("archive").unwrap();
    assert!(archive.is_paused());
    assert_eq!((lag(&journal, "archive").paused, lag(&journal, "archive").flushes), (Some(since), 3));
    journal.pause_reader("archive", None).unwrap();
    assert!(!archive.is_paused());
    assert_eq!(read(&mut archive), "2|3|4");
    drop((archive, journal));
    assert!(!kept_for(folder.path(), &BOTH, LIMIT).log_reader("archive").unwrap().is_paused());
    let journal = kept_for(folder.path(), &BOTH, LIMIT);
    assert!(matches!(journal.pause_reader("syslog", Some(since)), Err(OrderError::Unknown)));
}

#[test]
fn a_reader_reads_again_what_the_log_has_with_what_was_announced_there() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, archive, mut kafka) = begun(folder.path());
    assert_eq!(journal.reset_to_oldest("kafka").unwrap().flushes, 3);
    assert!(kafka.is_reset() && !archive.is_reset());
    // What it was doing does not move it away from there.
    kafka.next_flush().unwrap();
    assert!(kafka.commit(Vec::new(), Vec::new()).is_err());
    assert_eq!(lag(&journal, "kafka").flushes, 4);
    kafka.rewind();
    assert_eq!(kafka.announced(), [(exporter(), b"old".to_vec())].into());
    assert_eq!(read(&mut kafka), "1|2|3|4");
    // The other one may be past it then, and the log keeps it for this one.
    let mut archive = archive;
    assert_eq!(read(&mut archive), "1|2|3|4");
    archive.commit(Vec::new(), Vec::new()).unwrap();
    drop((archive, kafka, journal));
    let journal = kept_for(folder.path(), &BOTH, LIMIT);
    let mut kafka = journal.log_reader("kafka").unwrap();
    assert_eq!(read(&mut kafka), "1|2|3|4");
    kafka.commit(Vec::new(), Vec::new()).unwrap();
    assert_eq!(journal.log_bytes().0, 0);
}

#[test]
fn the_last_reader_reads_again_what_it_has_not_made_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut archive, _kafka) = begun(folder.path());
    assert_eq!(read(&mut archive), "1|2|3|4");
    assert_eq!(journal.reset_to_oldest("archive").unwrap(), Unread::default());
    assert!(archive.is_reset());
    archive.rewind();
    assert_eq!(read(&mut archive), "1|2|3|4");
}

#[test]
fn a_reader_skips_what_the_log_had_and_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (journal, archive, _kafka) = begun(folder.path());
        let skipped = journal.reset_to_newest("archive").unwrap();
        assert_eq!((skipped.flushes, skipped.octets), (4, lag(&journal, "archive").octets));
        assert!(archive.skips_next() && lag(&journal, "archive").is_skipping);
        // Before it has begun, the process dies.
    }
    let journal = kept_for(folder.path(), &BOTH, LIMIT);
    let mut writer = journal.writer(0, flush(1, 5));
    flushed(&journal, &mut writer, 5, &["5"]);
    let mut archive = journal.log_reader("archive").unwrap();
    for _ in 0..4 {
        assert!(archive.skips_next());
        archive.next_flush().unwrap();
        while archive.advance().unwrap() {}
        assert_eq!(archive.open_flush().map(|flush| flush.segments), Some(1));
        archive.commit(Vec::new(), Vec::new()).unwrap();
    }
    assert!(!archive.skips_next() && !lag(&journal, "archive").is_skipping);
    assert_eq!(read(&mut archive), "5");
    archive.commit(Vec::new(), Vec::new()).unwrap();
    assert_eq!(journal.reset_to_newest("archive").unwrap(), Unread::default());
    assert!(!lag(&journal, "archive").is_skipping);
}

#[test]
fn going_back_ends_skipping() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _archive, kafka) = begun(folder.path());
    journal.reset_to_newest("kafka").unwrap();
    assert!(kafka.skips_next());
    journal.reset_to_oldest("kafka").unwrap();
    assert!(!kafka.skips_next());
}

#[test]
fn without_a_disk_no_order_is_obeyed_and_nothing_leaves_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, archive, mut kafka) = begun(folder.path());
    // The directory is gone, so that no new file can be made.
    let (there, away) = (folder.path().join("journal"), folder.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let since = Some(Timestamp::from_seconds(1));
    assert!(matches!(journal.pause_reader("kafka", since), Err(OrderError::Disk(_))));
    assert!(matches!(journal.reset_to_oldest("kafka"), Err(OrderError::Disk(_))));
    assert!(matches!(journal.reset_to_newest("kafka"), Err(OrderError::Disk(_))));
    fs::rename(&away, &there).unwrap();
    assert!(!kafka.is_paused() && !kafka.is_reset() && !kafka.skips_next() && !archive.is_reset());
    assert_eq!(lag(&journal, "kafka").flushes, 1);
    assert_eq!(read(&mut kafka), "4");
    kafka.commit(Vec::new(), Vec::new()).unwrap();
    drop((archive, kafka, journal));
    let journal = kept_for(folder.path(), &BOTH, LIMIT);
    assert_eq!((lag(&journal, "archive").flushes, lag(&journal, "kafka").flushes), (4, 0));
}
