//! Questions to archives that are written here, compared with a plain loop over the rows.

mod cancelling;
mod open_parts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use accounting::period::{Minute, Period};
use accounting::query::parse_interval;
use columns::{Columns, Id, Kind, Row, Value};
use filter::Filter;
use flow::{FlushNumber, Timestamp, WriterId};
use tempfile::TempDir;

use super::*;
use crate::compact::Compaction;
use crate::retention::Reserve;
use crate::writer::Writer;

static NOT_CANCELLED: AtomicBool = AtomicBool::new(false);

/// An archive and its rows, in the order in which they were written.
struct Archive {
    folder: TempDir,
    rows: Vec<Row>,
}

fn minute(text: &str) -> Minute {
    parse_interval(Period::Minute, text).unwrap().start
}

fn time(text: &str) -> Timestamp {
    minute(text).timestamp()
}

/// Two hours.
fn both_hours() -> Range<Timestamp> {
    time("2026-11-28 20:00")..time("2026-11-28 22:00")
}

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn row(numbers: &mut Numbers, received: u64) -> Row {
    let mut row = Row::new();
    row.set(Id::Received, received);
    row.set(Id::Bytes, numbers.below(100_000));
    row.set(Id::RevBytes, numbers.below(2) * 77);
    row.set(Id::Packets, 1 + numbers.below(100));
    row.set(Id::Flows, 1);
    row.set(Id::Rate, 1 + 99 * numbers.below(2));
    row.set(Id::DstPort, [53, 80, 443, 8080][numbers.below(4) as usize]);
    row.set(Id::SrcPort, 1024 + numbers.below(60_000));
    row.set(Id::Proto, [6, 17][numbers.below(2) as usize]);
    row.set(Id::SrcMac, numbers.below(3) << 40);
    let last = numbers.below(200) as u8;
    let source = match numbers.below(5) {
        0 => IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, last % 4]),
        _ => IpAddr::from([198, 51, 100 + last % 3, last]),
    };
    row.set_address(Id::SrcIp, source);
    row.set_address(Id::DstIp, [192, 0, 2, numbers.below(20) as u8].into());
    row
}

impl Archive {
    /// Rows of two hours, in files of several flushes and of two collectors.
    fn new(rows: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut numbers, mut all) = (Numbers(7), Vec::new());
        let begin = time("2026-11-28 20:00").milliseconds();
        for of_collector in 1..=2 {
            let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
            for index in 0..rows / 2 {
                if index % (rows / 8).max(1) == 0 {
                    if index > 0 {
                        writer.finish().unwrap();
                    }
                    let flush = FlushNumber { epoch: 1, sequence: 1 + index as u64 };
                    writer.begin_flush(WriterId(of_collector), flush).unwrap();
                }
                let row = row(&mut numbers, begin + index as u64 * 7_200_000 / (rows as u64 / 2));
                writer.take(&row).unwrap();
                all.push(row);
            }
            writer.finish().unwrap();
        }
        Self { folder, rows: all }
    }

    fn scan(&self, octets: usize, threads: usize) -> Scan<'_> {
        Scan { folder: self.folder.path(), open: None, octets, threads, cancelled: &NOT_CANCELLED }
    }

    fn groups(&self, question: &GroupQuestion) -> Groups {
        self.scan(256 << 20, 2).groups(question).unwrap()
    }

    /// The same by a plain loop: sums by the text of the keys.
    fn expected(&self, question: &GroupQuestion) -> BTreeMap<String, Sums> {
        let mut groups: BTreeMap<String, (Sums, BTreeSet<String>)> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| question.filter.passes(row)) {
            let received = Timestamp::from_milliseconds(row.number(Id::Received));
            if !question.received.contains(&received) {
                continue;
            }
            let text = |keys: &[Key]| format!("{:?}", keys.iter().map(|key| value(*key, row)).collect::<Vec<_>>());
            let rate = if question.counted.is_scaled { row.number(Id::Rate) } else { 1 };
            let (sums, distinct) = groups.entry(text(&question.keys)).or_default();
            sums.add(Sums {
                rows: 1,
                bytes: (row.number(Id::Bytes) + row.number(Id::RevBytes)) * rate,
                packets: row.number(Id::Packets) * rate,
                flows: 1,
                distinct: u64::from(!question.distinct.is_empty() && distinct.insert(text(&question.distinct))),
            });
        }
        groups.into_iter().map(|(key, (sums, _))| (key, sums)).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        crate::folder::parts(self.folder.path())
            .unwrap()
            .iter()
            .map(|part| self.folder.path().join(part.name.path()))
            .collect()
    }
}

/// What the key of a row is.
fn value(key: Key, row: &Row) -> Value {
    let number = key.round(row.number(key.id()));
    match (key.id().column().kind, row.address(key.id())) {
        (Kind::Address, IpAddr::V4(address)) => {
            Value::Address(IpAddr::V4(std::net::Ipv4Addr::from_bits(key.round(address.to_bits().into()) as u32)))
        }
        (Kind::Address, IpAddr::V6(address)) => {
            Value::Address(IpAddr::V6(std::net::Ipv6Addr::from_bits(key.round_v6(address.octets()))))
        }
        (Kind::Time, _) => Value::Time(Timestamp::from_milliseconds(number)),
        (Kind::Mac, _) => row.value(key.id()),
        _ => Value::Number(number),
    }
}

fn question(filter: &str, keys: &[&str]) -> GroupQuestion {
    GroupQuestion {
        received: both_hours(),
        filter: filter.parse().unwrap(),
        keys: keys_of(keys),
        distinct: Vec::new(),
        counted: Counted::SCALED,
        order: Order::Bytes,
        most: usize::MAX,
    }
}

fn found(groups: &Groups) -> BTreeMap<String, Sums> {
    groups.first.iter().map(|group| (format!("{:?}", group.keys), group.sums)).collect()
}

const FILTERS: [&str; 8] = [
    "",
    "dst port 53",
    "src net 198.51.100.0/24 and not tcp",
    "src net 2001:db8::/32",
    "bytes > 99k or src 198.51.101.7",
    "dst ip 203.0.113.1",
    "received < 2026-11-28T20:10",
    "bpp > 5000 and srcport < dstport",
];

#[test]
fn groups_are_those_of_a_plain_loop() {
    let archive = Archive::new(20_000);
    let all_keys: [&[&str]; 8] = [
        &[],
        &["srcip"],
        &["srcip/24", "dstport"],
        &["received/5m"],
        &["srcmac", "proto"],
        &["dstip", "srcip", "srcport"],
        &["srcas"],
        &["received", "srcip", "dstip", "srcport", "dstport", "proto", "bytes"],
    ];
    for filter in FILTERS {
        for keys in all_keys {
            for counted in [Counted::SCALED, Counted::AS_SENT] {
                let question = GroupQuestion { counted, ..question(filter, keys) };
                let answer = archive.groups(&question);
                assert_eq!(found(&answer), archive.expected(&question), "{filter} by {keys:?}");
                assert_eq!((answer.rest, answer.passes), (Sums::default(), 1));
                assert_eq!(answer.groups, answer.first.len() as u64);
                assert_eq!(answer.read.left_out, []);
            }
        }
    }
}

#[test]
fn only_rows_of_the_range_of_time_count() {
    let archive = Archive::new(20_000);
    for (from, until) in
        [("20:30", "21:30"), ("20:00", "20:01"), ("21:00", "22:00"), ("19:00", "20:00"), ("21:00", "21:00")]
    {
        let received = time(&format!("2026-11-28 {from}"))..time(&format!("2026-11-28 {until}"));
        let question = GroupQuestion { received, ..question("udp", &["dstport"]) };
        assert_eq!(found(&archive.groups(&question)), archive.expected(&question), "{from} to {until}");
    }
}

#[test]
fn the_first_groups_and_the_rest_are_all() {
    let archive = Archive::new(20_000);
    let question = GroupQuestion { most: 5, ..question("", &["srcip"]) };
    let answer = archive.groups(&question);
    let all = archive.groups(&GroupQuestion { most: usize::MAX, ..question });
    assert_eq!(answer.first, all.first[..5]);
    assert!(all.first.is_sorted_by_key(|group| std::cmp::Reverse(group.sums.bytes)));
    assert_eq!((answer.total(), answer.groups), (all.total(), all.groups));
}

#[test]
fn the_steps_of_a_series_are_those_of_a_plain_loop() {
    let archive = Archive::new(20_000);
    for keys in [&["srcip/24", "dstport", "srcmac"][..], &["start", "bytes", "dstip"], &[]] {
        let question = GroupQuestion { most: 3, ..question("udp", keys) };
        let series = archive.scan(256 << 20, 2).series(&question, Id::Received, 300_000).unwrap();
        assert_eq!(series.groups, archive.groups(&question));
        assert_eq!(series.steps.len(), 24);
        let all = [&["received/5m"][..], keys].concat();
        let mut expected = archive.expected(&GroupQuestion { keys: keys_of(&all), ..question.clone() });
        for step in &series.steps {
            for (group, sums) in series.groups.first.iter().zip(&step.first) {
                let key = [&[Value::Time(step.begin)][..], &group.keys].concat();
                assert_eq!(*sums, expected.remove(&format!("{key:?}")).unwrap_or_default());
            }
        }
        let (mut rest, mut expected_rest) = (Sums::default(), Sums::default());
        series.steps.iter().for_each(|step| rest.add(step.rest));
        expected.values().for_each(|sums| expected_rest.add(*sums));
        assert_eq!((rest, rest), (expected_rest, series.groups.rest));
    }
}

fn keys_of(keys: &[&str]) -> Vec<Key> {
    keys.iter().map(|key| key.parse().unwrap()).collect()
}

#[test]
fn different_values_are_counted_for_each_group() {
    let archive = Archive::new(20_000);
    for (keys, distinct) in
        [(&["dstport"][..], &["srcip"][..]), (&[], &["srcip", "dstip"]), (&["srcip"], &["dstip/28"])]
    {
        let question = GroupQuestion { distinct: keys_of(distinct), order: Order::Distinct, ..question("udp", keys) };
        assert_eq!(found(&archive.groups(&question)), archive.expected(&question));
    }
}

#[test]
fn pages_continue_beside_compaction_or_say_that_they_cannot() {
    let archive = Archive::new(4000);
    let compact = || {
        let (folder, reserve) = (archive.folder.path(), Reserve { percent: 0 });
        Compaction { folder, reserve, now: minute("2026-11-29 10:00") }.run(&mut |_| {}).unwrap()
    };
    let page = |after| {
        let (filter, columns) = (Filter::default(), Columns::ALL);
        let question =
            RowQuestion { received: both_hours(), filter, is_newest_first: true, after, most: 1000, columns };
        archive.scan(256 << 20, 1).rows(&question)
    };
    let (first, unjoined) = (page(None).unwrap(), page(None).unwrap().next);
    compact();
    assert!(page(unjoined).unwrap_err().to_string().contains("first page again"));
    let again = page(None).unwrap();
    assert_eq!(again.rows.len(), first.rows.len());
    let (mut rows, mut next) = (again.rows, again.next);
    while next.is_some() {
        // There is nothing left to do.
        compact();
        let text = next.unwrap().to_string();
        let page = page(Some(text.parse().unwrap())).unwrap();
        rows.extend(page.rows);
        next = page.next;
    }
    let values = |row: &Row| [Id::Received, Id::Bytes, Id::SrcPort, Id::Packets].map(|id| row.number(id));
    let mut found: Vec<_> = rows.iter().map(|(_, row)| values(row)).collect();
    let mut expected: Vec<_> = archive.rows.iter().map(values).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected);
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed() {
    let archive = Archive::new(4000);
    let questions =
        [question("bytes > 50k", &["srcip", "proto"]), question("dst port 53 and received < 2026-11-28T20:20", &[])];
    let ask = |question| {
        let Groups { first, rest, read, .. } = archive.groups(question);
        (first, rest, read.left_out.is_empty())
    };
    let expected: Vec<_> = questions.iter().map(ask).collect();
    let file = archive.files().remove(0);
    let octets = fs::read(&file).unwrap();
    let (mut unnoticed, mut noticed) = (0, 0);
    for place in (0..octets.len()).step_by(13) {
        let mut damaged = octets.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&file, damaged).unwrap();
        for (question, expected) in questions.iter().zip(&expected) {
            let answer = ask(question);
            if answer.2 {
                assert_eq!(answer, *expected, "octet {place} of {}", octets.len());
                unnoticed += 1;
            } else {
                noticed += 1;
            }
        }
    }
    assert!(noticed > 100 && unnoticed > 100, "{noticed} of {}", noticed + unnoticed);
}

#[test]
fn compacted_files_have_the_same_answers_and_pages_without_an_address_are_not_read() {
    let archive = Archive::new(100_000);
    let filters = FILTERS.into_iter().chain([
        "host 198.51.101.7",
        "host 2001:db8:0:7::3",
        "src 198.51.101.7 and dst 192.0.2.3",
        "not host 198.51.101.7 and dst 192.0.2.3",
        "src in [198.51.101.7 198.51.100.9] and port 443",
        "host 203.0.113.9",
    ]);
    let questions: Vec<_> = filters.map(|filter| question(filter, &["srcip", "dstip", "proto"])).collect();
    let before: Vec<_> = questions.iter().map(|question| archive.groups(question)).collect();
    let compaction =
        Compaction { folder: archive.folder.path(), reserve: Reserve { percent: 0 }, now: minute("2026-11-29 10:00") };
    assert_eq!(compaction.run(&mut |_| {}).unwrap().rows, 100_000);
    let after: Vec<_> = questions.iter().map(|question| archive.groups(question)).collect();
    for ((before, after), question) in before.iter().zip(&after).zip(&questions) {
        assert_eq!((&after.first, after.rest), (&before.first, before.rest), "{:?}", question.filter);
        assert_eq!((after.read.matched, &after.read.left_out), (before.read.matched, &Vec::new()));
        assert_eq!(found(after), archive.expected(question), "{:?}", question.filter);
    }
    // The sources have few rows, the 20 destinations many: rows are in the order of these.
    let rows = |filter: &str| archive.groups(&question(filter, &[])).read.rows;
    assert_eq!(rows(""), 100_000);
    assert!(rows("host 192.0.2.3") <= 4 * 2 * 8192, "{}", rows("host 192.0.2.3"));
    assert!(rows("src 198.51.101.7") > 4 * 2 * 8192);
    assert_eq!(rows("host 203.0.113.9"), 0);
    // Damage of any page of a file leaves out rows of one group, and of no other.
    let file = archive.files().remove(0);
    let octets = fs::read(&file).unwrap();
    for place in (4..octets.len() - 8).step_by(octets.len() / 50) {
        let mut damaged = octets.clone();
        damaged[place] ^= 0x40;
        fs::write(&file, damaged).unwrap();
        archive.groups(&questions[0]);
        archive.groups(&question("host 192.0.2.3", &["srcip"]));
    }
}

#[test]
fn what_does_not_fit_is_found_in_passes_or_refused() {
    let archive = Archive::new(20_000);
    for distinct in [Vec::new(), vec![Key::Column(Id::DstIp)]] {
        let question = GroupQuestion { most: 10, distinct, ..question("", &["srcip", "srcport"]) };
        let in_memory = archive.groups(&question);
        let mut columns = question.counted.columns();
        [Id::Received, Id::SrcIp, Id::SrcPort].into_iter().for_each(|id| columns.add(id));
        question.distinct.iter().for_each(|key| columns.add(key.id()));
        let columns = memory_of_columns(columns);
        let mut has_passes = false;
        for spare in [100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000] {
            match archive.scan(columns + spare, 1).groups(&question) {
                Ok(answer) => {
                    has_passes |= answer.passes > 1;
                    assert_eq!((&answer.first, answer.rest), (&in_memory.first, in_memory.rest), "{spare}");
                }
                Err(error) => assert!(error.to_string().contains("group by fewer columns"), "{error}"),
            }
        }
        assert!(has_passes);
        let error = archive.scan(columns, 1).groups(&question).unwrap_err();
        assert!(matches!(error, ScanError::TooLarge { octets } if octets == columns), "{error}");
    }
}

#[test]
fn groups_that_several_threads_find_are_in_memory_once() {
    let archive = Archive::new(200_000);
    let question = GroupQuestion { most: 10, ..question("", &["srcip", "srcport", "dstip", "dstport"]) };
    // As much memory as two threads need to be used.
    let octets = 4 * memory_of_columns(question.columns());
    let [one, two] = [1, 2].map(|threads| archive.scan(octets, threads).groups(&question).unwrap());
    assert!(one.passes > 1, "it does not fit: {}", one.passes);
    // The second thread needs a quarter of the memory for its columns.
    assert!(two.passes <= 2 * one.passes, "{} passes instead of {}", two.passes, one.passes);
    assert_eq!((two.first, two.rest), (one.first, one.rest));
}

#[test]
fn wrong_questions_are_refused() {
    let archive = Archive::new(100);
    let many = ["srcip", "dstip", "nexthop", "natsrcip", "natdstip", "innersrcip", "innerdstip", "exporter"];
    for question in [question("", &many), GroupQuestion { order: Order::Distinct, ..question("", &[]) }] {
        let error = archive.scan(256 << 20, 1).groups(&question).unwrap_err();
        assert!(matches!(error, ScanError::Invalid(_)), "{error}");
    }
    let error = archive.scan(256 << 20, 1).rows(&RowQuestion { most: 0, ..rows_of("") }).unwrap_err();
    assert!(error.to_string().contains("1 to 10000"), "{error}");
}

fn rows_of(filter: &str) -> RowQuestion {
    let mut columns = Columns::NONE;
    Id::ALL.into_iter().for_each(|id| columns.add(id));
    let filter = filter.parse().unwrap();
    RowQuestion { received: both_hours(), filter, is_newest_first: true, after: None, most: 100, columns }
}

/// All values of a row.
fn values(row: &Row) -> Vec<Value> {
    Id::ALL.into_iter().map(|id| row.value(id)).collect()
}

#[test]
fn rows_come_in_pages_in_the_order_of_their_times() {
    let archive = Archive::new(4000);
    for (filter, most) in [("", 700), ("dst port 53 and src net 2001:db8::/32", 10), ("dst ip 203.0.113.1", 10)] {
        for is_newest_first in [true, false] {
            let mut question = RowQuestion { is_newest_first, most, ..rows_of(filter) };
            let mut all = Vec::new();
            loop {
                let answer = archive.scan(256 << 20, 2).rows(&question).unwrap();
                all.extend(answer.rows);
                assert!(all.len() <= 4000);
                let Some(next) = answer.next else { break };
                assert_eq!(next.to_string().parse::<Place>().unwrap(), next);
                question.after = Some(next);
            }
            assert!(all.is_sorted_by(|(one, _), (next, _)| if is_newest_first { one > next } else { one < next }));
            let mut found: Vec<_> = all.iter().map(|(_, row)| format!("{:?}", values(row))).collect();
            let expected = archive.rows.iter().filter(|row| question.filter.passes(row));
            let mut expected: Vec<_> = expected.map(|row| format!("{:?}", values(row))).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{filter}");
        }
    }
}

#[test]
fn the_newest_rows_are_found_without_reading_older_files() {
    let archive = Archive::new(4000);
    let answer = archive.scan(256 << 20, 1).rows(&RowQuestion { most: 5, ..rows_of("") }).unwrap();
    assert_eq!(answer.rows.len(), 5);
    // The last hour of two collectors.
    assert!(answer.read.parts < archive.files().len() as u64, "{:?}", answer.read);
}

#[test]
fn a_question_has_no_more_threads_than_its_memory_allows() {
    let archive = Archive::new(400);
    // All columns, of which each thread needs some dozens of megabytes.
    let answer = archive.scan(256 << 20, 64).rows(&rows_of("")).unwrap();
    assert_eq!(answer.rows.len(), 100);
    let keys = ["received", "srcip", "dstip", "srcport", "dstport", "start", "end"];
    let few = archive.scan(32 << 20, 64).groups(&question("bytes > 0", &keys)).unwrap();
    assert_eq!(found(&few), archive.expected(&question("bytes > 0", &keys)));
}

#[test]
fn a_cursor_that_is_none_is_an_error() {
    for text in
        ["", "1-2-3", "1-2-0000000000000007-1-1-01-0", "x-2-0000000000000007-1-1-1-0", "1-2-0000000000000007-1-1-1-2"]
    {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
}

#[test]
fn files_of_other_hours_and_groups_that_cannot_match_are_not_read() {
    let archive = Archive::new(4000);
    let received = time("2026-11-28 20:00")..time("2026-11-28 21:00");
    let answer = archive.groups(&GroupQuestion { received, ..question("", &[]) });
    assert!(answer.read.parts < archive.files().len() as u64);
    let answer = archive.groups(&question("dst ip 203.0.113.1", &[]));
    assert_eq!((answer.read.groups, answer.read.rows, answer.groups), (0, 0, 0));
    assert_eq!(answer.read.groups_skipped, archive.files().len() as u64);
}

/// Eight files of 100 rows, whose sources are 200 addresses.
#[test]
fn files_without_an_address_are_not_read_and_none_of_its_rows_is_missing() {
    let archive = Archive::new(800);
    let (mut skipped, mut rows) = (0, 0);
    for last in 0..200 {
        let (v4, v6) = (format!("198.51.{}.{last}", 100 + last % 3), format!("2001:db8:0:{last:x}::{}", last % 4));
        for address in [v4, v6] {
            let question = question(&format!("host {address}"), &["srcip"]);
            let answer = archive.groups(&question);
            assert_eq!(found(&answer), archive.expected(&question), "{address}");
            skipped += answer.read.groups_skipped;
            rows += answer.read.matched;
        }
    }
    assert_eq!(rows, 800);
    assert!((2300..3200).contains(&skipped), "{skipped} of {} are not read", 400 * archive.files().len());
    let answer = archive.groups(&question("src ip in [192.0.2.1, 2001:db8::ffff]", &["srcip"]));
    assert!(answer.read.groups_skipped >= 6, "{:?}", answer.read);
}

#[test]
fn a_cancelled_question_ends() {
    let archive = Archive::new(4000);
    let cancelled = AtomicBool::new(true);
    let scan = Scan { cancelled: &cancelled, ..archive.scan(256 << 20, 2) };
    assert!(matches!(scan.groups(&question("", &["srcip"])), Err(ScanError::Cancelled)));
    assert!(matches!(scan.rows(&rows_of("")), Err(ScanError::Cancelled)));
}

#[test]
fn an_archive_that_is_not_there_is_empty() {
    let archive = Archive::new(0);
    let scan = Scan { folder: &archive.folder.path().join("flows"), ..archive.scan(256 << 20, 2) };
    assert_eq!(scan.groups(&question("", &[])).unwrap().groups, 0);
    assert_eq!(scan.rows(&rows_of("")).unwrap().rows.len(), 0);
}

#[test]
fn foreign_and_damaged_files_are_named_and_left_out() {
    let archive = Archive::new(4000);
    let files = archive.files();
    let all = archive.groups(&question("", &[])).total();
    let of_file = |file: &PathBuf| {
        let folder = tempfile::tempdir().unwrap();
        let name = PartName::of(file).unwrap();
        let path = folder.path().join(name.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(file, path).unwrap();
        let scan = Scan { folder: folder.path(), ..archive.scan(256 << 20, 1) };
        scan.groups(&question("", &[])).unwrap().total()
    };
    let (first, second) = (of_file(&files[0]), of_file(&files[1]));
    let cut = fs::read(&files[0]).unwrap();
    fs::write(&files[0], &cut[..cut.len() / 2]).unwrap();
    let of_second = PartName::of(&files[1]).unwrap();
    let other = PartName { last: FlushNumber { sequence: 9999, ..of_second.last }, ..of_second };
    fs::rename(&files[1], archive.folder.path().join(other.path())).unwrap();
    let answer = archive.groups(&question("", &[]));
    assert_eq!(answer.total().rows + first.rows + second.rows, all.rows);
    assert_eq!(answer.total().bytes + first.bytes + second.bytes, all.bytes);
    let reasons: Vec<_> = answer.read.left_out.iter().map(|left_out| (left_out.name, &left_out.reason[..])).collect();
    assert_eq!(
        reasons,
        [
            (PartName::of(&files[0]).unwrap(), "it is not a complete Parquet file"),
            (other, "its footer has other flushes or rows than its name"),
        ]
    );
    assert!(files[0].exists(), "nothing is deleted");
    let rows = archive.scan(256 << 20, 2).rows(&RowQuestion { most: MOST_ROWS, ..rows_of("") }).unwrap();
    assert_eq!((rows.rows.len() as u64, rows.read.left_out.len()), (answer.total().rows, 2));
}

#[test]
fn a_damaged_page_leaves_out_its_group_of_rows_as_a_whole() {
    // Two groups of rows in the file of the first collector and hour, so that one remains.
    let archive = Archive::new(8);
    let mut writer = Writer::new(archive.folder.path().to_owned(), Reserve { percent: 0 });
    let begin = time("2026-11-28 21:00").milliseconds();
    writer.begin_flush(WriterId(3), FlushNumber { epoch: 1, sequence: 1 }).unwrap();
    let mut numbers = Numbers(11);
    let rows = 300_000;
    for index in 0..rows {
        writer.take(&row(&mut numbers, begin + index / 100)).unwrap();
    }
    writer.finish().unwrap();
    let file = archive.files().into_iter().find(|file| file.to_string_lossy().contains("0000000000000003")).unwrap();
    let whole = archive.groups(&question("", &["srcip"]));
    assert_eq!((whole.total().rows, whole.read.left_out.len()), (rows + 8, 0));
    // The pages of the last columns of the first group have only zeros and are not read: damage is in the first half.
    let octets = fs::read(&file).unwrap();
    let mut damaged = octets.clone();
    damaged[octets.len() / 4..octets.len() / 2].fill(0xa5);
    fs::write(&file, damaged).unwrap();
    let answer = archive.groups(&question("", &["srcip", "srcport", "dstip", "bytes"]));
    assert_eq!(answer.read.left_out.len(), 1, "{:?}", answer.read);
    assert_eq!(answer.read.left_out[0].rows, Some(0..262_144));
    assert_eq!(answer.total().rows, rows + 8 - 262_144);
}

#[test]
fn a_forged_schema_takes_no_memory() {
    let archive = Archive::new(400);
    let file = archive.files().remove(0);
    let mut octets = fs::read(&file).unwrap();
    let length = octets.len() - 8;
    let length = length - u32::from_le_bytes(octets[length..length + 4].try_into().unwrap()) as usize;
    // The root of the schema is named "flow"; the number of its columns follows.
    let name = length + octets[length..].windows(4).position(|four| four == b"flow").unwrap();
    assert_eq!(octets[name + 4], 1 << 4 | 5);
    let footer_was = octets.len() - 8 - length;
    // 2^31 - 1 columns take three octets more than those that there are.
    octets.splice(name + 5..name + 7, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    let end = octets.len();
    octets[end - 8..end - 4].copy_from_slice(&(footer_was as u32 + 3).to_le_bytes());
    fs::write(&file, octets).unwrap();
    let answer = archive.groups(&question("", &[]));
    let reasons: Vec<_> = answer.read.left_out.iter().map(|left_out| &left_out.reason[..]).collect();
    assert_eq!(reasons, ["its footer is damaged, or is not as netflow writes it"]);
}

#[test]
fn no_damage_makes_a_question_panic() {
    let archive = Archive::new(400);
    let file = archive.files().remove(0);
    let octets = fs::read(&file).unwrap();
    let mut numbers = Numbers(3);
    for _ in 0..300 {
        let mut damaged = octets.clone();
        for _ in 0..=numbers.below(3) {
            let place = numbers.below(damaged.len() as u64) as usize;
            damaged[place] ^= 1 << numbers.below(8);
        }
        if numbers.below(4) == 0 {
            damaged.truncate(numbers.below(octets.len() as u64) as usize);
        }
        fs::write(&file, damaged).unwrap();
        let scan = archive.scan(256 << 20, 1);
        // A flipped bit of a value is not found without checksums: only that there is an answer.
        scan.groups(&question("src net 0.0.0.0/0 or bytes > 5", &["srcip", "dstport"])).unwrap();
        scan.rows(&rows_of("")).unwrap();
    }
}

#[test]
fn several_groups_of_rows_and_threads_make_the_same_answer() {
    let archive = Archive::new(8);
    let mut writer = Writer::new(archive.folder.path().to_owned(), Reserve { percent: 0 });
    writer.begin_flush(WriterId(3), FlushNumber { epoch: 1, sequence: 1 }).unwrap();
    let (mut numbers, mut rows) = (Numbers(5), archive.rows.clone());
    let begin = time("2026-11-28 21:00").milliseconds();
    for index in 0..280_000 {
        rows.push(row(&mut numbers, begin + index * 12));
        writer.take(rows.last().unwrap()).unwrap();
    }
    writer.finish().unwrap();
    let archive = Archive { rows, ..archive };
    for (filter, keys) in [("src net 2001:db8::/32", &["srcip"][..]), ("dst port 443", &["received/1m", "proto"])] {
        let question = question(filter, keys);
        let expected = archive.expected(&question);
        for threads in [1, 4] {
            assert_eq!(found(&archive.scan(256 << 20, threads).groups(&question).unwrap()), expected);
        }
    }
    // Some of the last rows, of which few columns are read in pages before.
    let answer = archive.scan(256 << 20, 2).rows(&RowQuestion { most: 3, ..rows_of("src net 2001:db8::/32") }).unwrap();
    let filter: Filter = "src net 2001:db8::/32".parse().unwrap();
    let last: Vec<_> = archive.rows.iter().rev().filter(|row| filter.passes(row)).take(3).map(values).collect();
    assert_eq!(answer.rows.iter().map(|(_, row)| values(row)).collect::<Vec<_>>(), last);
}
