//! Questions to archives that are written here, compared with a plain loop over the rows.

mod cancelling;
mod compacted;
mod damaged;
mod older;
mod open_parts;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use accounting::period::{Minute, Period};
use accounting::query::parse_interval;
use columns::{Columns, Id, Kind, Row, Value};
use filter::Filter;
use flow::{Country, FlushNumber, Timestamp, WriterId};
use tempfile::TempDir;

use super::*;
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
    let country = ["", "CH", "DE"][numbers.below(3) as usize];
    row.set(Id::SrcCountry, Country::new(country).map_or(0, Country::number).into());
    let path = ["", "64500", "64500 64501", "64500 {64501,64502}", "64502 64500 64501"][numbers.below(5) as usize];
    row.set_text(Id::DstAsPath, path.into());
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
        Scan { folder: self.folder.path(), open: None, octets, threads, cancelled: &NOT_CANCELLED, progress: None }
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
        (Kind::Mac | Kind::Country | Kind::AsPath, _) => row.value(key.id()),
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

const FILTERS: [&str; 11] = [
    "",
    "dst port 53",
    "src net 198.51.100.0/24 and not tcp",
    "src net 2001:db8::/32",
    "bytes > 99k or src 198.51.101.7",
    "dst ip 203.0.113.1",
    "received < 2026-11-28T20:10",
    "bpp > 5000 and srcport < dstport",
    "aspath 64500_64501 and not src country CH",
    "aspath in [0, 64502] or aspath = 64500",
    "dst country DE or src country in [CH, 0]",
];

#[test]
fn groups_are_those_of_a_plain_loop() {
    let archive = Archive::new(20_000);
    let all_keys: [&[&str]; 10] = [
        &[],
        &["srcip"],
        &["srcip/24", "dstport"],
        &["received/5m"],
        &["srcmac", "proto"],
        &["dstip", "srcip", "srcport"],
        &["srcas"],
        &["dstaspath"],
        &["srccountry", "dstaspath", "srcip"],
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
    for keys in [&["srcip/24", "dstport", "srcmac"][..], &["start", "bytes", "dstip"], &["dstaspath"], &[]] {
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
    for (filter, keys) in [("src net 2001:db8::/32", &["srcip"][..]), ("aspath 64500", &["received/1m", "dstaspath"])] {
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
