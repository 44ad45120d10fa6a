//! The log: what readers get, what stays for them, and what they lose.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;

/// A journal whose log is kept for these readers.
pub(super) fn kept_for(folder: &Path, readers: &[&'static str], limit_bytes: u64) -> Arc<Journal> {
    let journal = journal(folder, SETTINGS);
    journal.keep_for(readers, limit_bytes).unwrap();
    journal.begin_readers(BTreeMap::new);
    journal
}

/// Writes a flush with these payloads, which becomes durable.
pub(super) fn flushed(journal: &Journal, writer: &mut Writer, sequence: u64, payloads: &[&str]) {
    for (second, payload) in (sequence * 10..).zip(payloads) {
        take(writer, second, payload);
    }
    writer.turn(flush(1, sequence + 1));
    journal.release(&[up_to(1, sequence)]);
}

/// The payloads of the next flushes, with a space between, and a bar between flushes.
pub(super) fn read(reader: &mut LogReader) -> String {
    let mut flushes = Vec::new();
    while reader.next_flush().unwrap().is_some() {
        let mut payloads = Vec::new();
        while reader.advance().unwrap() {
            payloads.push(String::from_utf8(reader.current().unwrap().payload.to_vec()).unwrap());
        }
        flushes.push(payloads.join(" "));
    }
    flushes.join("|")
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder.join("journal")).unwrap();
    let mut names: Vec<_> = names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn without_readers_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &[], 1 << 20);
    flushed(&journal, &mut journal.writer(0, flush(1, 1)), 1, &["a"]);
    assert_eq!(files(folder.path()), [""; 0]);
    assert!(journal.log_reader("archive").is_none());
}

#[test]
fn durable_segments_stay_until_every_reader_is_past_them() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &["archive", "kafka"], 1 << 20);
    let mut writer = journal.writer(0, flush(1, 1));
    let [mut archive, mut kafka] = ["archive", "kafka"].map(|name| journal.log_reader(name).unwrap());
    flushed(&journal, &mut writer, 1, &["a", "b"]);
    flushed(&journal, &mut writer, 2, &["c"]);
    take(&mut writer, 30, "not durable");
    writer.commit();
    assert_eq!((journal.segments(), found(folder.path())), (1, "not durable".to_owned()));
    assert_eq!(read(&mut archive), "a b|c");
    assert_eq!(read(&mut archive), "");
    archive.commit(Vec::new(), Vec::new()).unwrap();
    let lags = |journal: &Journal| journal.lags().iter().map(|lag| (lag.reader, lag.segments)).collect::<Vec<_>>();
    assert_eq!(lags(&journal), [("archive", 0), ("kafka", 2)]);
    assert!(journal.log_bytes().0 > 0);
    assert_eq!(read(&mut kafka), "a b|c");
    // Until it is safe.
    kafka.rewind();
    assert_eq!(read(&mut kafka), "a b|c");
    kafka.commit(Vec::new(), Vec::new()).unwrap();
    assert_eq!((lags(&journal), journal.log_bytes().0), (vec![("archive", 0), ("kafka", 0)], 0));
    assert_eq!(files(folder.path()).iter().filter(|name| name.ends_with(".pcap")).count(), 1);
}

#[test]
fn a_restarted_reader_continues_at_its_cursor_with_what_was_announced_there() {
    let folder = tempfile::tempdir().unwrap();
    let exporter: IpAddr = "2001:db8::1".parse().unwrap();
    {
        let journal = kept_for(folder.path(), &["archive"], 1 << 20);
        let mut writer = journal.writer(0, flush(1, 1));
        let mut reader = journal.log_reader("archive").unwrap();
        assert!(journal.log_reader("archive").is_none(), "it reads already");
        flushed(&journal, &mut writer, 1, &["a"]);
        assert_eq!(read(&mut reader), "a");
        reader.commit(vec![(exporter, b"template".to_vec())], Vec::new()).unwrap();
        flushed(&journal, &mut writer, 2, &["b"]);
        assert_eq!(read(&mut reader), "b");
        // Not safe before the process ends.
    }
    // The database does not matter: what is in the log is not counted again.
    assert_eq!(found(folder.path()), "");
    let journal = kept_for(folder.path(), &["archive"], 1 << 20);
    assert_eq!(journal.newest(), [up_to(1, 2)]);
    let mut reader = journal.log_reader("archive").unwrap();
    assert_eq!(reader.announced(), [(exporter, b"template".to_vec())].into());
    assert_eq!(read(&mut reader), "b");
}

#[test]
fn a_reader_that_is_added_later_starts_where_the_last_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let exporter: IpAddr = "192.0.2.1".parse().unwrap();
    {
        let journal = kept_for(folder.path(), &["archive"], 1 << 20);
        let mut writer = journal.writer(0, flush(1, 1));
        let mut reader = journal.log_reader("archive").unwrap();
        flushed(&journal, &mut writer, 1, &["a"]);
        read(&mut reader);
        reader.commit(vec![(exporter, b"old".to_vec())], Vec::new()).unwrap();
        flushed(&journal, &mut writer, 2, &["b"]);
    }
    {
        let journal = journal(folder.path(), SETTINGS);
        journal.keep_for(&["kafka", "archive"], 1 << 20).unwrap();
        journal.begin_readers(|| [(exporter, b"new".to_vec())].into());
        let mut kafka = journal.log_reader("kafka").unwrap();
        assert_eq!(kafka.announced(), [(exporter, b"old".to_vec())].into());
        assert_eq!(read(&mut kafka), "b");
    }
    // Without readers, the next start removes the log.
    kept_for(folder.path(), &[], 1 << 20);
    assert_eq!(files(folder.path()), [""; 0]);
    // The first one starts with what is announced then.
    let journal = journal(folder.path(), SETTINGS);
    journal.keep_for(&["archive"], 1 << 20).unwrap();
    journal.begin_readers(|| [(exporter, b"new".to_vec())].into());
    drop(journal);
    let journal = kept_for(folder.path(), &["archive"], 1 << 20);
    let archive = journal.log_reader("archive").unwrap();
    assert_eq!(archive.announced(), [(exporter, b"new".to_vec())].into());
}

#[test]
fn the_oldest_flush_is_forced_out_and_counted_for_each_reader_that_missed_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &["archive", "kafka"], 400);
    let mut writer = journal.writer(0, flush(1, 1));
    let [mut archive, mut kafka] = ["archive", "kafka"].map(|name| journal.log_reader(name).unwrap());
    flushed(&journal, &mut writer, 1, &["a"]);
    assert_eq!(read(&mut archive), "a");
    archive.commit(Vec::new(), Vec::new()).unwrap();
    // It is open while it is forced out, and read to its end.
    assert!(kafka.next_flush().unwrap().is_some());
    for sequence in 2..10 {
        flushed(&journal, &mut writer, sequence, &[&sequence.to_string()]);
    }
    let (octets, limit) = journal.log_bytes();
    assert!(octets <= limit && octets > limit / 2, "{octets}");
    let forced_out = |journal: &Journal| journal.lags().iter().map(|lag| lag.forced_out.segments).collect::<Vec<_>>();
    let lost = forced_out(&journal);
    assert_eq!(lost[1], lost[0] + 1, "the first flush is not lost for the archive");
    assert!(kafka.advance().unwrap());
    assert_eq!(kafka.current().unwrap().payload, b"a");
    // The reader knows which flushes are missing before the one that it reads next.
    let left_before = archive.next_flush().unwrap().unwrap().flush.sequence;
    assert!(archive.advance().unwrap() && !archive.advance().unwrap());
    let missing = archive.lost().unwrap();
    assert_eq!((missing.first.flush.sequence, missing.last.flush.sequence), (2, left_before - 1));
    assert_eq!((missing.segments, missing.unreadable), (lost[0], 0));
    assert!(archive.next_flush().unwrap().is_some() && archive.lost().is_none());
    archive.rewind();
    let left = read(&mut archive);
    assert!(left.ends_with("8|9") && !left.contains('2'), "{left}");
    assert_eq!(read(&mut kafka), left);
    kafka.commit(Vec::new(), Vec::new()).unwrap();
    drop((archive, kafka, writer));
    assert!(journal.lags().iter().all(|lag| lag.lost.is_some()));
    // After a restart only what was lost since.
    let journal = kept_for(folder.path(), &["archive", "kafka"], 400);
    assert_eq!(forced_out(&journal), [0, 0]);
    assert!(journal.lags().iter().all(|lag| lag.lost.is_none()));
}

#[test]
fn a_flush_that_the_disk_cannot_read_is_left_out_when_the_reader_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &["archive"], 1 << 20);
    let mut writer = journal.writer(0, flush(1, 1));
    let mut archive = journal.log_reader("archive").unwrap();
    for sequence in 1..=4 {
        flushed(&journal, &mut writer, sequence, &[&sequence.to_string()]);
    }
    let third = files(folder.path()).into_iter().filter(|name| name.starts_with("log-")).nth(2).unwrap();
    let path = folder.path().join("journal").join(third);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    // Also the flushes before: data may be carried over into it.
    let unreadable = Position::from(archive.next_flush().unwrap_err().segment);
    assert_eq!(unreadable.flush.sequence, 3);
    archive.rewind();
    archive.leave_out(unreadable);
    assert_eq!(read(&mut archive), "1|2|4");
    archive.rewind();
    while archive.next_flush().unwrap().unwrap().flush.sequence < 4 {
        assert_eq!(archive.lost(), None);
    }
    let lost = archive.lost().unwrap();
    assert_eq!((lost.first, lost.last, lost.segments, lost.unreadable), (unreadable, unreadable, 1, 1));
    archive.commit(Vec::new(), Vec::new()).unwrap();
    assert_eq!(journal.log_bytes().0, 0);
}

#[test]
fn a_reader_learns_when_what_it_may_read_again_takes_half_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &["archive"], 400);
    let mut writer = journal.writer(0, flush(1, 1));
    let mut archive = journal.log_reader("archive").unwrap();
    let mut held_back = Vec::new();
    for sequence in 1..=10 {
        flushed(&journal, &mut writer, sequence, &["a"]);
        assert_eq!(archive.next_flush().unwrap().unwrap().flush.sequence, sequence);
        while archive.advance().unwrap() {}
        held_back.push((journal.log_bytes().0 > 200, archive.is_held_back()));
        if archive.is_held_back() {
            archive.commit(Vec::new(), Vec::new()).unwrap();
        }
    }
    assert!(held_back.iter().all(|(is_half, is_held_back)| is_half == is_held_back), "{held_back:?}");
    assert!(held_back.iter().any(|(is_half, _)| *is_half), "{held_back:?}");
    // What it has not read does not count.
    for sequence in 11..=15 {
        flushed(&journal, &mut writer, sequence, &["a"]);
    }
    assert!(journal.log_bytes().0 > 200);
    archive.next_flush().unwrap().unwrap();
    assert!(!archive.is_held_back());
}

#[test]
fn carried_data_are_read_once_by_a_reader_that_runs_on_and_by_one_that_starts() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &["runs", "starts", "ahead"], 1 << 20);
    let mut writer = journal.writer(0, flush(1, 1));
    take(&mut writer, 1, "waits");
    take(&mut writer, 2, "a");
    let source = address("192.0.2.1:4000");
    let waiting = (Exporter::udp(source.ip(), source.port()), Timestamp::from_seconds(1), b"waits".to_vec());
    for sequence in 1..=3 {
        writer.turn(flush(1, sequence + 1));
        writer.carry([waiting.clone()]);
        journal.release(&[up_to(1, sequence)]);
        take(&mut writer, 10 + sequence, &sequence.to_string());
    }
    writer.turn(flush(1, 5));
    journal.release(&[up_to(1, 4)]);
    assert_eq!(read(&mut journal.log_reader("runs").unwrap()), "waits a|1|2|3");
    let mut starts = journal.log_reader("starts").unwrap();
    let read_two = |reader: &mut LogReader, waiting: &[Waiting]| {
        for _ in 0..2 {
            reader.next_flush().unwrap();
            while reader.advance().unwrap() {}
        }
        reader.commit(Vec::new(), waiting.to_vec()).unwrap();
        reader.rewind();
    };
    let two_sets = [waiting.clone(), (waiting.0, waiting.1, b"also waits".to_vec())];
    read_two(&mut starts, &two_sets);
    // What it did not have to queue is not carried over for it.
    let mut ahead = journal.log_reader("ahead").unwrap();
    read_two(&mut ahead, &[]);
    drop((starts, ahead));
    let journal = kept_for(folder.path(), &["starts", "ahead"], 1 << 20);
    let [mut starts, mut ahead] = ["starts", "ahead"].map(|name| journal.log_reader(name).unwrap());
    let queued = starts.waiting();
    assert!(queued.len() == 2 && two_sets.iter().all(|set| queued.contains(set)), "{queued:?}");
    assert_eq!((read(&mut starts), ahead.waiting().len(), read(&mut ahead)), ("2|3".to_owned(), 0, "2|3".to_owned()));
}

#[test]
fn notes_are_shown_to_readers_of_the_log_only() {
    let folder = tempfile::tempdir().unwrap();
    let journal = kept_for(folder.path(), &["archive"], 1 << 20);
    let mut writer = journal.writer(0, flush(1, 1));
    writer.note(b"first");
    take(&mut writer, 1, "a");
    writer.note(b"last");
    writer.commit();
    assert_eq!(found(folder.path()), "a");
    writer.turn(flush(1, 2));
    journal.release(&[up_to(1, 1)]);
    let mut reader = journal.log_reader("archive").unwrap();
    reader.next_flush().unwrap();
    assert_eq!(reader.notes().collect::<Vec<_>>(), [b"first"]);
    while reader.advance().unwrap() {}
    assert_eq!(reader.notes().collect::<Vec<_>>(), [b"first".as_slice(), b"last"]);
    assert_eq!((reader.counts().datagrams, journal.counts().written), (1, 1));
}
