mod damage;
mod log;
mod orders;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flow::{Exporter, Timestamp, WriterId};

use super::*;
use crate::disk::Directory;

const SETTINGS: Settings = Settings { sync: Sync::Interval, limit_bytes: 1 << 20 };

fn flush(epoch: u32, sequence: u64) -> FlushNumber {
    FlushNumber { epoch, sequence }
}

const WRITER: WriterId = WriterId(7);

/// All flushes of the run of this one, up to it.
fn up_to(epoch: u32, sequence: u64) -> Counted {
    Counted { writer: WRITER, newest: flush(epoch, sequence) }
}

fn journal(folder: &Path, settings: Settings) -> Arc<Journal> {
    journal_of(WRITER, folder, settings)
}

fn journal_of(writer: WriterId, folder: &Path, settings: Settings) -> Arc<Journal> {
    Journal::open(Box::new(Directory::open(&folder.join("journal")).unwrap()), writer, settings).unwrap()
}

/// A segment of the first part.
fn path(folder: &Path, flush: FlushNumber, shard: u16) -> PathBuf {
    folder.join("journal").join(SegmentName { flush, writer: WRITER, shard, part: 0 }.to_string())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn take(writer: &mut Writer, second: u64, payload: &str) {
    let exporter = Exporter::udp([192, 0, 2, 1].into(), 4000);
    writer.take(Timestamp::from_seconds(second), exporter, address("0.0.0.0:2055"), payload.as_bytes());
}

/// The payloads that a new process finds, with a space between.
fn found(folder: &Path) -> String {
    let journal = journal(folder, SETTINGS);
    let mut recovery = journal.recovery();
    let mut payloads = Vec::new();
    while let Some(datagram) = recovery.next_datagram().unwrap() {
        assert_eq!(datagram.source, address("192.0.2.1:4000"));
        payloads.push(String::from_utf8(datagram.payload.to_vec()).unwrap());
    }
    assert_eq!(recovery.counts().datagrams, payloads.len() as u64);
    payloads.join(" ")
}

#[test]
fn what_was_written_is_found_flush_by_flush_in_the_order_of_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writers = [0, 1].map(|shard| journal.writer(shard, flush(2, 9)));
    for (second, shard, payload) in [(5, 0, "c"), (3, 1, "b"), (6, 1, "d"), (1, 0, "-")] {
        take(&mut writers[shard], second, payload);
        writers[shard].commit();
    }
    let [mut one, mut two] = writers;
    for writer in [&mut one, &mut two] {
        writer.turn(flush(2, 10));
    }
    take(&mut two, 2, "f");
    take(&mut one, 1, "e");
    one.commit();
    two.commit();
    take(&mut one, 7, "never committed");
    // The order within a shard is that of receipt even where the clock went back.
    assert_eq!(found(folder.path()), "b c - d e f");
    assert_eq!((journal.segments(), journal.counts().written, journal.counts().missed), (4, 6, 0));
    let mut octets = 0;
    for file in fs::read_dir(folder.path().join("journal")).unwrap() {
        let metadata = file.unwrap().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        octets += metadata.len();
    }
    assert_eq!(journal.counts().octets, octets);
}

#[test]
fn segments_of_durable_flushes_go_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writer = journal.writer(0, flush(1, 1));
    for sequence in 1..=12 {
        take(&mut writer, sequence, &sequence.to_string());
        writer.turn(flush(1, sequence + 1));
    }
    journal.release(&[up_to(1, 9)]);
    assert_eq!(found(folder.path()), "10 11 12");
    journal.release(&[up_to(1, 10)]);
    assert_eq!(found(folder.path()), "11 12");
    // Another run, and another writer.
    journal.release(&[up_to(2, 1), Counted { writer: WriterId(1), newest: flush(1, 12) }]);
    assert_eq!(found(folder.path()), "11 12");
    journal.release(&[up_to(1, 12)]);
    assert_eq!((journal.segments(), journal.counts().octets), (0, 0));
    assert_eq!(fs::read_dir(folder.path().join("journal")).unwrap().count(), 0);
}

#[test]
fn a_durable_segment_that_cannot_be_removed_is_not_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writer = journal.writer(0, flush(1, 1));
    take(&mut writer, 1, "durable");
    writer.turn(flush(1, 2));
    take(&mut writer, 2, "not yet");
    writer.commit();
    let left = path(folder.path(), flush(1, 1), 0);
    fs::remove_file(&left).unwrap();
    fs::create_dir(&left).unwrap();
    journal.release(&[up_to(1, 1)]);
    assert_eq!((journal.counts().remove_errors, journal.segments()), (1, 2));
    let mut recovery = journal.recovery();
    assert_eq!(recovery.next_datagram().unwrap().unwrap().payload, b"not yet");
    assert!(recovery.next_datagram().unwrap().is_none());
    assert_eq!(recovery.counts().segments, 1);
}

#[test]
fn what_waits_is_carried_into_the_next_segment() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writer = journal.writer(0, flush(1, 1));
    take(&mut writer, 1, "counted");
    writer.turn(flush(1, 2));
    let exporter = Exporter::udp("192.0.2.1".parse().unwrap(), 4000);
    writer.carry([(exporter, Timestamp::from_seconds(1), b"waits".to_vec())]);
    take(&mut writer, 2, "next");
    writer.commit();
    // Until the first flush is durable, what waits is found where it was received.
    assert_eq!(found(folder.path()), "counted next");
    journal.release(&[up_to(1, 1)]);
    assert_eq!(found(folder.path()), "waits next");
    assert_eq!(journal.counts().carried, 1);
}

#[test]
fn a_segment_that_cannot_be_read_stops_the_recovery_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let written = journal(folder.path(), SETTINGS);
    let mut writer = written.writer(0, flush(1, 1));
    for second in 1..=3 {
        take(&mut writer, second, &second.to_string());
        writer.turn(flush(1, second + 1));
    }
    let path = path(folder.path(), flush(1, 2), 0);
    let aside = folder.path().join("aside");
    let (missing, refused) = (io::ErrorKind::NotFound, io::ErrorKind::IsADirectory);
    for expected in [missing, refused] {
        let found_later = journal(folder.path(), SETTINGS);
        fs::rename(&path, &aside).unwrap();
        // It can be opened, and not be read.
        if expected == refused {
            fs::create_dir(&path).unwrap();
        }
        let mut recovery = found_later.recovery();
        let unreadable = loop {
            match recovery.next_datagram() {
                Ok(datagram) => assert_eq!(datagram.unwrap().payload, b"1"),
                Err(unreadable) => break unreadable,
            }
        };
        assert_eq!((unreadable.segment.flush, unreadable.source.kind()), (flush(1, 2), expected));
        let shown = unreadable.to_string();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(shown.starts_with(&format!("cannot read journal/{name} in dataDir: ")), "{shown}");
        assert_eq!(found_later.segments(), 3);
        let _ = fs::remove_dir(&path);
        fs::rename(&aside, &path).unwrap();
        assert_eq!(found(folder.path()), "1 2 3");
    }
}

/// The payloads that a new process finds, each with the first octet of its terms and their number.
fn found_with_terms(folder: &Path) -> Vec<(String, Option<(u8, usize)>)> {
    let journal = journal(folder, SETTINGS);
    let mut recovery = journal.recovery();
    let mut found = Vec::new();
    while let Some(datagram) = recovery.next_datagram().unwrap() {
        let terms = datagram.terms.map(|terms| (terms[0], terms.len()));
        found.push((String::from_utf8(datagram.payload.to_vec()).unwrap(), terms));
    }
    found
}

#[test]
fn a_datagram_is_found_with_the_terms_that_were_stated_before_it_in_its_segment() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let [sender, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
    let mut writers = [0, 1].map(|shard| journal.writer(shard, flush(1, 1)));
    take(&mut writers[0], 1, "unstated");
    writers[0].state(sender, b"a");
    writers[0].state(other, b"other");
    take(&mut writers[0], 2, "of a");
    // Another shard learns of the change later. Long terms take several records.
    writers[1].state(sender, b"a");
    take(&mut writers[1], 4, "of a still");
    writers[0].state(sender, &[b'b'; 150_000]);
    take(&mut writers[0], 3, "of b");
    writers.iter_mut().for_each(Writer::commit);
    let numbers = writers.each_mut().map(Writer::statement);
    writers.iter_mut().for_each(|writer| writer.turn(flush(1, 2)));
    assert!(writers.iter_mut().zip(numbers).all(|(writer, number)| writer.statement() > number));
    take(&mut writers[0], 5, "next");
    writers[0].commit();
    let expected = [
        ("unstated", None),
        ("of a", Some((b'a', 1))),
        ("of b", Some((b'b', 150_000))),
        ("of a still", Some((b'a', 1))),
        ("next", None),
    ];
    assert_eq!(found_with_terms(folder.path()), expected.map(|(payload, terms)| (payload.to_owned(), terms)));
    assert_eq!(journal.counts().written, 5);
    // The second of the three records of the long terms is damaged: they are unknown, and not two thirds of them.
    let path = path(folder.path(), flush(1, 1), 0);
    let mut octets = fs::read(&path).unwrap();
    octets[100_000] ^= 1;
    fs::write(&path, octets).unwrap();
    assert_eq!(found_with_terms(folder.path())[2], ("of b".to_owned(), None));
}

#[test]
fn the_terms_that_a_shard_has_stated_are_known_after_its_last_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let agent = "192.0.2.9".parse().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writers = [0, 1].map(|shard| journal.writer(shard, flush(1, 1)));
    writers[1].state(agent, b"terms");
    take(&mut writers[1], 1, "one");
    take(&mut writers[0], 2, "two");
    writers.iter_mut().for_each(|writer| writer.turn(flush(1, 2)));
    take(&mut writers[0], 3, "three");
    writers[0].commit();
    let mut recovery = journal.recovery();
    let mut found = Vec::new();
    while recovery.advance().unwrap() {
        let payload = String::from_utf8(recovery.current().unwrap().payload.to_vec()).unwrap();
        found.push((payload, recovery.terms_of(agent).is_some()));
    }
    // Each flush states them again.
    let expected = [("one", true), ("two", true), ("three", false)];
    assert_eq!(found, expected.map(|(payload, is_known)| (payload.to_owned(), is_known)));
}

#[test]
fn terms_that_were_not_written_are_stated_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), Settings { limit_bytes: 150, ..SETTINGS });
    let mut writer = journal.writer(0, flush(1, 1));
    let mut number = 0;
    for second in 0..4 {
        let next = writer.statement();
        // While nothing can be written, to make the terms would be in vain.
        assert_eq!(next.is_some(), second != 2);
        if next.is_some_and(|next| std::mem::replace(&mut number, next) != next) {
            writer.state("192.0.2.1".parse().unwrap(), b"terms");
        }
        take(&mut writer, second, &second.to_string());
        writer.commit();
        if second == 2 {
            journal.set(SETTINGS);
            journal.tick();
        }
    }
    let expected = [("0", Some((b't', 5))), ("3", Some((b't', 5)))];
    assert_eq!(found_with_terms(folder.path()), expected.map(|(payload, terms)| (payload.to_owned(), terms)));
}

fn frame_end(journal: &Journal) -> u64 {
    journal.counts().octets
}

#[test]
fn a_full_journal_misses_what_comes_and_continues_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), Settings { limit_bytes: 200, ..SETTINGS });
    let mut writer = journal.writer(0, flush(1, 1));
    take(&mut writer, 1, "a");
    writer.turn(flush(1, 2));
    take(&mut writer, 1, "b");
    writer.commit();
    take(&mut writer, 1, "missed with");
    take(&mut writer, 1, "those beside it");
    writer.commit();
    journal.release(&[up_to(1, 1)]);
    take(&mut writer, 1, "missed until the next tick");
    writer.commit();
    assert!(journal.is_failing());
    journal.tick();
    take(&mut writer, 1, "c");
    writer.commit();
    assert!(!journal.is_failing());
    assert_eq!((journal.counts().missed, journal.counts().write_errors), (3, 0));
    assert_eq!(found(folder.path()), "b c");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    journal(folder.path(), SETTINGS);
    let notes = folder.path().join("journal/epoch-01-flush-1-shard-0-part-0.pcap");
    fs::write(&notes, "notes").unwrap();
    let journal = journal(folder.path(), SETTINGS);
    journal.release(&[up_to(1, u64::MAX)]);
    assert_eq!((journal.segments(), fs::read_to_string(&notes).unwrap()), (0, "notes".into()));
}

#[test]
fn segments_are_counted_by_the_run_that_recovered_them_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = journal(folder.path(), SETTINGS);
    let mut writer = first.writer(0, flush(5, 8));
    take(&mut writer, 1, "left");
    writer.commit();
    let second = journal_of(WriterId(9), folder.path(), SETTINGS);
    let mut recovery = second.recovery();
    while recovery.next_datagram().unwrap().is_some() {}
    let counted = second.counted_with(flush(2, 1));
    assert_eq!(counted, [up_to(5, 8), Counted { writer: WriterId(9), newest: flush(2, 1) }]);
    // It ends before it removes anything.
    let third = journal(folder.path(), SETTINGS);
    assert_eq!(third.newest(), [up_to(5, 8)]);
    third.release(&counted);
    assert_eq!((third.segments(), found(folder.path())), (0, String::new()));
}

#[test]
fn segments_of_older_programs_have_no_writer_and_are_counted_up_to_a_flush() {
    let folder = tempfile::tempdir().unwrap();
    let first = journal_of(Counted::UNNAMED, folder.path(), SETTINGS);
    for (epoch, sequence) in [(1, 9), (2, 1), (2, 2), (3, 1)] {
        let mut writer = first.writer(0, flush(epoch, sequence));
        take(&mut writer, 1, &format!("{epoch}.{sequence}"));
        writer.commit();
    }
    assert!(folder.path().join("journal/epoch-1-flush-9-shard-0-part-0.pcap").exists());
    let second = journal(folder.path(), SETTINGS);
    second.release(&[Counted { writer: Counted::UNNAMED, newest: flush(2, 1) }]);
    assert_eq!(found(folder.path()), "2.2 3.1");
}

#[test]
fn data_carried_over_are_found_although_an_older_flush_is_left_that_does_not_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let first = journal(folder.path(), SETTINGS);
    let exporter = Exporter::udp("192.0.2.1".parse().unwrap(), 4000);
    let waits = [(exporter, Timestamp::from_seconds(3), b"waits".to_vec())];
    let mut writer = first.writer(0, flush(1, 1));
    take(&mut writer, 1, "old");
    writer.turn(flush(1, 2));
    take(&mut writer, 3, "waits");
    for sequence in [3, 4] {
        writer.turn(flush(1, sequence));
        writer.carry(waits.clone());
        take(&mut writer, sequence + 10, &sequence.to_string());
    }
    writer.commit();
    assert_eq!(found(folder.path()), "old waits 3 4");
    // What was received is counted and released; beside another database, an older segment may be left.
    fs::remove_file(path(folder.path(), flush(1, 2), 0)).unwrap();
    assert_eq!(found(folder.path()), "old waits 3 4");
    fs::remove_file(path(folder.path(), flush(1, 3), 0)).unwrap();
    assert_eq!(found(folder.path()), "old waits 4");
}

#[test]
fn messages_of_connections_are_found_whole_with_the_ends_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writer = journal.writer(0, flush(1, 1));
    let long: Vec<u8> = (0..65_535_u32).map(|number| (number % 251) as u8).collect();
    let at = address("0.0.0.0:4739");
    let exporters = [Exporter::tcp([192, 0, 2, 1].into(), 4000), Exporter::tcp("2001:db8::1".parse().unwrap(), 4000)];
    take(&mut writer, 1, "a datagram");
    for (second, exporter) in (2..).zip(exporters) {
        let received = Timestamp::from_seconds(second);
        writer.take(received, exporter, at, b"short");
        writer.annotate([b"beside the long one", b""]);
        writer.take(received.saturating_add(Duration::from_nanos(1)), exporter, at, &long);
        writer.end(received.saturating_add(Duration::from_nanos(2)), exporter, at);
    }
    writer.commit();
    assert_eq!(journal.counts().written, 5);
    let mut recovery = journal.recovery();
    let mut found = Vec::new();
    while let Some(entry) = recovery.next_datagram().unwrap() {
        found.push((entry.exporter(), entry.kind, entry.payload.to_vec(), entry.annotations[0].len()));
    }
    assert_eq!(recovery.counts().datagrams, 5, "an end is none");
    let mut expected = vec![(
        Exporter::udp([192, 0, 2, 1].into(), 4000),
        EntryKind::Received(address("0.0.0.0:2055")),
        b"a datagram".to_vec(),
        0,
    )];
    for (exporter, at) in exporters.into_iter().zip([at, address("[::]:4739")]) {
        expected.push((exporter, EntryKind::Received(at), b"short".to_vec(), 0));
        expected.push((exporter, EntryKind::Received(at), long.clone(), 19));
        expected.push((exporter, EntryKind::Ended(at), Vec::new(), 0));
    }
    assert_eq!(found, expected);
}

#[test]
fn of_a_long_message_both_records_must_be_undamaged() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writer = journal.writer(0, flush(1, 1));
    let (exporter, at) = (Exporter::tcp([192, 0, 2, 1].into(), 4000), address("0.0.0.0:4739"));
    let mut ends = Vec::new();
    for second in 1..=3 {
        writer.take(Timestamp::from_seconds(second), exporter, at, &vec![second as u8; 65_000]);
        writer.commit();
        ends.push(frame_end(&journal) as usize);
    }
    let path = path(folder.path(), flush(1, 1), 0);
    let whole = fs::read(&path).unwrap();
    // In the first record of the second message, in its second record, and in the second record of the first message.
    for (place, left) in [(ends[0] + 100, [1, 3]), (ends[1] - 100, [1, 3]), (ends[0] - 100, [2, 3])] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&path, damaged).unwrap();
        let journal = self::journal(folder.path(), SETTINGS);
        let mut recovery = journal.recovery();
        let mut found = Vec::new();
        while let Some(entry) = recovery.next_datagram().unwrap() {
            found.push((entry.payload[0], entry.payload.len()));
        }
        assert_eq!(found, left.map(|number| (number, 65_000)));
    }
}
