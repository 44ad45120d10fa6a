use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use capture::frame;
use flow::{Exporter, Timestamp, WriterId};
use testing::Random;

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
    let (source, to) = (address("192.0.2.1:4000"), address("0.0.0.0:2055"));
    writer.take(Timestamp::from_seconds(second), source, to, payload.as_bytes());
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

#[test]
fn a_torn_tail_and_a_hole_cost_only_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), SETTINGS);
    let mut writer = journal.writer(3, flush(1, 1));
    let mut ends = vec![frame_end(&journal)];
    for second in 0..4 {
        take(&mut writer, second, &second.to_string());
        writer.commit();
        ends.push(frame_end(&journal));
    }
    let path = path(folder.path(), flush(1, 1), 3);
    let whole = fs::read(&path).unwrap();
    let expected = ["", "0", "0 1", "0 1 2", "0 1 2 3"];
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let complete = ends.iter().skip(1).filter(|end| **end <= length as u64).count();
        assert_eq!(found(folder.path()), expected[complete], "{length} octets");
    }
    // A sector that was never written, and a datagram after it.
    let mut holed = whole.clone();
    let (from, to) = (ends[2] as usize + 3, ends[3] as usize - 3);
    holed[from..to].fill(0);
    fs::write(&path, &holed).unwrap();
    assert_eq!(found(folder.path()), "0 1 3");
}

/// The payloads that a new process finds, and how.
fn read_all(folder: &Path) -> (Vec<Vec<u8>>, ReadCounts) {
    let journal = journal(folder, SETTINGS);
    let mut recovery = journal.recovery();
    let mut payloads = Vec::new();
    while let Some(datagram) = recovery.next_datagram().unwrap() {
        payloads.push(datagram.payload.to_vec());
    }
    (payloads, recovery.counts())
}

/// A segment with these payloads: its path, its octets, and the ends of its header and records.
fn segment(folder: &Path, payloads: &[Vec<u8>]) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let journal = journal(folder, Settings { limit_bytes: 1 << 30, ..SETTINGS });
    let mut writer = journal.writer(0, flush(1, 1));
    let mut ends = vec![frame::CHECKED_FILE_HEADER.len()];
    for (second, payload) in (0..).zip(payloads) {
        let source = address(if second % 2 == 0 { "192.0.2.1:4000" } else { "[2001:db8::1]:4000" });
        writer.take(Timestamp::from_seconds(second), source, address("0.0.0.0:2055"), payload);
        writer.commit();
        ends.push(frame_end(&journal) as usize);
    }
    let path = path(folder, flush(1, 1), 0);
    let octets = fs::read(&path).unwrap();
    (path, octets, ends)
}

#[test]
fn a_flipped_bit_costs_one_datagram_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let payloads = ["one", "", "three", "four"].map(|text| text.as_bytes().to_vec());
    let (path, whole, ends) = segment(folder.path(), &payloads);
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, damaged).unwrap();
        // `None`: in the header of the file.
        let hit = ends.iter().filter(|end| **end <= bit / 8).count().checked_sub(1);
        let mut expected = payloads.to_vec();
        hit.map(|hit| expected.remove(hit));
        let (found, counts) = read_all(folder.path());
        assert_eq!(found, expected, "bit {bit}");
        assert_eq!(counts.damaged.places + counts.torn, 1, "bit {bit}");
        let (from, to) = hit.map_or((0, ends[0]), |hit| (ends[hit], ends[hit + 1]));
        let octets = if counts.torn == 0 { to - from } else { 0 };
        assert_eq!(counts.damaged.octets, octets as u64, "bit {bit}");
        // Only the last record can look incomplete.
        assert!(counts.torn == 0 || hit == Some(payloads.len() - 1), "bit {bit}");
    }
}

#[test]
fn many_flipped_bits_cost_only_the_datagrams_that_they_are_in() {
    let mut random = Random::new(1);
    for round in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let mut payload = || {
            let length = if random.once_in(20) { 65_000 } else { 1500 };
            (0..random.below(length)).map(|_| random.below(256) as u8).collect::<Vec<u8>>()
        };
        let payloads: Vec<Vec<u8>> = (0..40).map(|_| payload()).collect();
        let (path, mut octets, ends) = segment(folder.path(), &payloads);
        let mut hit = vec![0; payloads.len() + 1];
        for _ in 0..=random.below(30) {
            let bit = random.below(octets.len() as u64 * 8) as usize;
            octets[bit / 8] ^= 1 << (bit % 8);
            hit[ends.iter().filter(|end| **end <= bit / 8).count()] += 1;
        }
        fs::write(&path, octets).unwrap();
        let (found, counts) = read_all(folder.path());
        let mut found = found.iter();
        let mut missing = 0;
        for (payload, flips) in payloads.iter().zip(&hit[1..]) {
            // Two flips of one bit leave it as it was.
            if *flips == 0 || (*flips > 1 && found.clone().next() == Some(payload)) {
                assert_eq!(found.next(), Some(payload), "round {round}");
            } else {
                missing += 1;
            }
        }
        assert_eq!(found.next(), None, "round {round}");
        assert!(counts.damaged.places + counts.torn <= missing + 1, "round {round}: {counts:?}");
    }
}

#[test]
fn what_a_datagram_contains_is_not_taken_for_a_record() {
    let folder = tempfile::tempdir().unwrap();
    // A file of an older program, and a record of another segment.
    let mut plain = frame::FILE_HEADER.to_vec();
    let (from, to) = (address("192.0.2.9:1"), address("0.0.0.0:2055"));
    frame::append(&mut plain, Timestamp::from_seconds(9), from, to, b"inner").unwrap();
    let other_name = SegmentName { flush: flush(1, 2), writer: WRITER, shard: 0, part: 0 };
    let mut salted = Vec::new();
    frame::append_checked(&mut salted, other_name.salt(), Timestamp::from_seconds(9), from, to, b"inner").unwrap();
    let (path, mut octets, ends) = segment(folder.path(), &[plain, salted, b"last".to_vec()]);
    for end in &ends[..2] {
        octets[end + 2] ^= 4;
    }
    fs::write(&path, octets).unwrap();
    let (found, counts) = read_all(folder.path());
    assert_eq!(found, [b"last"]);
    assert_eq!(counts.damaged, Damaged { places: 1, octets: (ends[2] - ends[0]) as u64 });
}

#[test]
fn a_segment_of_an_older_program_is_read_up_to_its_first_damaged_octet() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("journal")).unwrap();
    let path = path(folder.path(), flush(1, 1), 0);
    let mut octets = frame::FILE_HEADER.to_vec();
    let mut ends = Vec::new();
    for second in 0..4 {
        let (from, to) = (address("192.0.2.1:4000"), address("0.0.0.0:2055"));
        let payload = second.to_string();
        frame::append(&mut octets, Timestamp::from_seconds(second), from, to, payload.as_bytes()).unwrap();
        ends.push(octets.len());
    }
    fs::write(&path, &octets).unwrap();
    assert_eq!(found(folder.path()), "0 1 2 3");
    octets[ends[1] + 30] ^= 1;
    fs::write(&path, &octets).unwrap();
    assert_eq!(found(folder.path()), "0 1");
    assert_eq!(read_all(folder.path()).1.torn, 1);
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
    let numbers = writers.each_ref().map(Writer::statement);
    writers.iter_mut().for_each(|writer| writer.turn(flush(1, 2)));
    assert!(writers.iter().zip(numbers).all(|(writer, number)| writer.statement() > number));
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
fn terms_that_were_not_written_are_stated_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), Settings { limit_bytes: 150, ..SETTINGS });
    let mut writer = journal.writer(0, flush(1, 1));
    let mut number = 0;
    for second in 0..4 {
        if std::mem::replace(&mut number, writer.statement()) != writer.statement() {
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
