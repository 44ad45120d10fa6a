//! A reader of the log on a disk that fails, loses power and kills the process: afterwards it continues exactly where a cursor
//! was, with what exporters had announced there, and no cursor is older than one that was stored.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use flow::{Counted, Exporter, FlushNumber, Timestamp, WriterId};
use journal::disk::Disk;
use journal::{Journal, LogReader, SegmentName, Settings, Sync};
use testing::Random;
use testing::disk::{Fault, Killed, SimulatedDisk};

const WRITER: WriterId = WriterId(7);
const READER: &str = "archive";

/// The last flush that a reader has read, and what exporters have announced.
type Step = (u64, BTreeMap<IpAddr, Vec<u8>>);

fn number(sequence: u64) -> FlushNumber {
    FlushNumber { epoch: 1, sequence }
}

/// A process; nothing fails while it starts.
fn start(disk: &SimulatedDisk) -> (Arc<Journal>, LogReader) {
    let settings = Settings { sync: Sync::Batch, limit_bytes: 1 << 30 };
    disk.spare(true);
    let journal = Journal::open(Box::new(disk.clone()), WRITER, settings).unwrap();
    journal.keep_for(&[READER], 1 << 30).unwrap();
    journal.begin_readers(BTreeMap::new);
    let reader = journal.log_reader(READER).unwrap();
    disk.spare(false);
    (journal, reader)
}

/// A flush with one datagram becomes durable. What the disk does then may fail.
fn flush(disk: &SimulatedDisk, journal: &Arc<Journal>, sequence: u64) {
    disk.spare(true);
    let mut writer = journal.writer(0, number(sequence));
    let (exporter, at) = (Exporter::udp([192, 0, 2, 1].into(), 4000), "0.0.0.0:2055".parse().unwrap());
    writer.take(Timestamp::from_seconds(sequence), exporter, at, sequence.to_string().as_bytes());
    writer.commit();
    disk.spare(false);
    journal.release(&[Counted { writer: WRITER, newest: number(sequence) }]);
}

/// The flushes that a start beside a new database counts.
fn counted_by_a_new_database(disk: &SimulatedDisk) -> Vec<u64> {
    let names = disk.list().unwrap().into_iter().map(|(name, _)| name);
    names.filter_map(|name| SegmentName::parse(&name)).map(|segment| segment.flush.sequence).collect()
}

/// Reads at most this many flushes, and returns the sequence in each datagram.
fn read(reader: &mut LogReader, most: u64) -> Vec<u64> {
    let mut found = Vec::new();
    for _ in 0..most {
        match reader.next_flush() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                reader.rewind();
                return Vec::new();
            }
        }
        let mut payloads = Vec::new();
        loop {
            match reader.advance() {
                Ok(true) => payloads.extend(reader.current().map(|entry| entry.payload.to_vec())),
                Ok(false) => break,
                Err(_) => {
                    reader.rewind();
                    return Vec::new();
                }
            }
        }
        found.extend(payloads.iter().map(|payload| std::str::from_utf8(payload).unwrap().parse::<u64>().unwrap()));
    }
    found
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let disk = SimulatedDisk::default();
    let (mut journal, mut reader) = start(&disk);
    // Where cursors were or may be, the last one that is stored first.
    let mut steps: Vec<Step> = vec![(0, BTreeMap::new())];
    let mut announced = BTreeMap::new();
    let (mut at, mut written) = (0, 0);
    for _ in 0..80 {
        if random.once_in(3) {
            let faults =
                [Fault::Error(ErrorKind::StorageFull), Fault::Error(ErrorKind::Other), Fault::Short, Fault::Kill];
            disk.plan(std::iter::repeat_n(Fault::None, random.index(6)).chain([*random.pick(&faults)]));
        }
        let work = catch_unwind(AssertUnwindSafe(|| match random.below(3) {
            0 => {
                written += 1;
                flush(&disk, &journal, written);
            }
            1 => {
                let found = read(&mut reader, random.below(3));
                if let Some(last) = found.last() {
                    assert_eq!(found, (at + 1..=*last).collect::<Vec<_>>(), "seed {seed}");
                    at = *last;
                } else {
                    // Perhaps it went back.
                    at = steps.last().unwrap().0.min(at);
                    reader.rewind();
                }
            }
            _ => {
                let exporter = IpAddr::from([192, 0, 2, random.below(4) as u8]);
                let octets = vec![random.below(256) as u8; random.index(3) * random.index(20_000)];
                match octets.is_empty() {
                    true => drop(announced.remove(&exporter)),
                    false => drop(announced.insert(exporter, octets.clone())),
                }
                steps.push((at, announced.clone()));
                if reader.commit(vec![(exporter, octets)], Vec::new()).is_ok() {
                    steps.drain(..steps.len() - 1);
                }
            }
        }));
        let is_killed = match work {
            Ok(()) => random.once_in(8),
            Err(cause) if cause.is::<Killed>() => true,
            Err(cause) => resume_unwind(cause),
        };
        if is_killed {
            drop((journal, reader));
            disk.plan([]);
            if random.once_in(2) {
                disk.lose_power(&mut random);
            }
            let counted = counted_by_a_new_database(&disk);
            (journal, reader) = start(&disk);
            // What the database counts is released, as at every start.
            journal.release(&[Counted { writer: WRITER, newest: number(written) }]);
            disk.spare(true);
            let rest = read(&mut reader, u64::MAX);
            reader.rewind();
            disk.spare(false);
            at = rest.first().map_or(written, |next| next - 1);
            announced = reader.announced();
            assert_eq!(rest, (at + 1..=written).collect::<Vec<_>>(), "seed {seed}");
            assert!(counted.iter().all(|flush| *flush > at), "seed {seed}: {counted:?}, and the cursor is at {at}");
            // Without the octets, which are many.
            let known: Vec<_> = steps.iter().map(|(at, _)| at).collect();
            assert!(steps.contains(&(at, announced.clone())), "seed {seed}: the cursor at {at} is none of {known:?}");
            steps = vec![(at, announced.clone())];
        }
    }
}

#[test]
fn a_cursor_moves_in_one_step_whatever_the_disk_does() {
    for seed in 0..300 {
        let outcome = catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed} fails, see above");
    }
}

/// What is counted again and waits for a template is carried over, and a reader that has read it does not know the copy.
#[test]
fn what_a_cursor_is_past_is_not_counted_again_after_a_loss_of_power() {
    for seed in 0..20 {
        let disk = SimulatedDisk::default();
        let (journal, mut reader) = start(&disk);
        for sequence in 1..=3 {
            flush(&disk, &journal, sequence);
            assert_eq!(read(&mut reader, 1), [sequence]);
            reader.commit(Vec::new(), Vec::new()).unwrap();
        }
        drop((journal, reader));
        disk.lose_power(&mut Random::new(seed));
        assert_eq!(counted_by_a_new_database(&disk), [0; 0], "seed {seed}");
    }
}
