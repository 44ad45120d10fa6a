//! Segments that a disk has damaged.

use capture::{UdpDatagram, frame};
use testing::Random;

use super::*;

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
        let exporter = Exporter::udp(source.ip(), source.port());
        writer.take(Timestamp::from_seconds(second), exporter, address("0.0.0.0:2055"), payload);
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
    let (received, carrier) = (Timestamp::from_seconds(9), frame::Carrier::Datagram);
    let inner = UdpDatagram { received, source: from, destination: to, carrier, payload: b"inner" };
    frame::append_checked(&mut salted, other_name.salt(), &inner).unwrap();
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
