//! Open minutes: exact in any number as time passes, bounded where an exporter chooses them, freed when they are not used.

use std::collections::BTreeMap;

use super::*;

/// The bytes of a minute, for a prefix that all flows go to.
fn bytes_in(counted: &BTreeMap<(Minute, Prefix), Tables>, minute: u32) -> u64 {
    let tables = &counted[&(Minute::new(minute), "10.0.0.0/8".parse().unwrap())];
    tables.get(Direction::In, Name::ALL).unwrap().bytes
}

#[test]
fn minutes_that_pass_between_two_clears_stay_exact_however_many_they_are() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    for received in 1000..1200 {
        // The exporter's clock is behind, and two of its line cards alternate.
        for exported in [received - 10, received - 9, received - 10] {
            let time = FlowTime { exported: Minute::new(exported), received: Minute::new(received) };
            tally.book(&monitored, &flow("192.0.2.7", "10.1.0.1", 10), time, true);
        }
    }
    let counted = content(&tally.blocks(WRITER, FIRST));
    assert_eq!((counted.len(), tally.displaced()), (201, 0));
    assert_eq!((bytes_in(&counted, 990), bytes_in(&counted, 1190)), (20, 10));
    assert!((991..1190).all(|minute| bytes_in(&counted, minute) == 30));
}

#[test]
fn an_exporter_that_forges_its_times_opens_no_more_minutes_than_a_prefix_may_have() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    let (received, year) = (30_000_000, 366 * 24 * 60);
    let mut near = 0;
    for number in 0..20_000_u32 {
        let exported = received - year / 2 + number.wrapping_mul(0x9e37_79b1) % year;
        near += u64::from(exported.abs_diff(received) <= 10);
        let time = FlowTime { exported: Minute::new(exported), received: Minute::new(received) };
        assert_eq!(tally.book(&monitored, &flow("192.0.2.7", "10.1.0.1", 10), time, true), FlowFate::Matched);
    }
    let counted = content(&tally.blocks(WRITER, FIRST));
    assert!(counted.len() <= open_minutes::MOST_FAR_MINUTES + 21, "{}", counted.len());
    assert!(counted.values().all(conserved));
    let bytes = |tables: &Tables| tables.get(Direction::In, Name::ALL).unwrap().bytes;
    assert_eq!(counted.values().map(bytes).sum::<u64>(), 200_000);
    assert!(tally.displaced() > 19_000, "{}", tally.displaced());
    // They are in the minute in which they were received, besides those that say this minute.
    let there = bytes_in(&counted, received) / 10;
    assert!((tally.displaced()..=tally.displaced() + near).contains(&there), "{there}");
    tally.clear();
    assert_eq!(tally.displaced(), 0);
}

#[test]
fn a_displaced_flow_counts_once_for_all_its_prefixes_and_directions() {
    let monitored = monitored(&["10.0.0.0/8".parse().unwrap(), "172.16.0.0/12".parse().unwrap()]);
    let mut tally = Tally::new(TallySettings::default());
    let local =
        FlowRecord { reverse: Counters { bytes: 5, packets: 1, flows: 1 }, ..flow("172.16.0.1", "10.1.0.1", 10) };
    let mut book = |exported| {
        let time = FlowTime { exported: Minute::new(exported), received: Minute::new(1000) };
        tally.book(&monitored, &local, time, true);
        tally.displaced()
    };
    for number in 0..open_minutes::MOST_FAR_MINUTES as u32 {
        assert_eq!(book(2000 + number), 0);
    }
    assert_eq!(book(3000), 1);
    assert_eq!(book(3001), 2);
    assert_eq!(book(2000), 2);
    assert_eq!(book(1010), 2);
}

#[test]
fn what_was_kept_for_prefixes_that_are_gone_is_freed() {
    let prefix: Prefix = "10.0.0.0/8".parse().unwrap();
    let sender = |id| Monitored::new("192.0.2.1".parse().unwrap(), &[(prefix, GroupId(id))]);
    let mut tally = Tally::new(TallySettings::default());
    for id in 0..5_000 {
        tally.book(&sender(id), &flow("192.0.2.7", "10.1.0.1", 10), FlowTime::at(Minute::new(5)), true);
    }
    assert_eq!((tally.groups.len(), tally.tables.len()), (5_000, 5_000));
    for _ in 0..2 {
        tally.clear();
        tally.book(&sender(7), &flow("192.0.2.7", "10.1.0.1", 10), FlowTime::at(Minute::new(6)), true);
    }
    tally.clear();
    assert!(tally.groups.len() <= 8 && tally.groups.capacity() <= 1024, "{}", tally.groups.capacity());
    assert!(tally.tables.capacity() <= 1024 && tally.spare.len() <= tally.tables.len(), "{}", tally.tables.len());
    tally.book(&sender(9), &flow("192.0.2.7", "10.1.0.1", 10), FlowTime::at(Minute::new(7)), true);
    assert_eq!(content(&tally.blocks(WRITER, FIRST)).len(), 1);
}
