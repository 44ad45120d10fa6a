//! Rows that are in no complete file yet are in the answers: each once, whatever becomes of the files meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;
use crate::missing::{self, Reason};
use crate::open_parts::OpenParts;
use crate::part_writer::Sizes;

const WRITER: WriterId = WriterId(7);
/// Small, so that few rows make all kinds of them.
const SIZES: Sizes = Sizes { chunk: 64, group: 192 };

/// An archive whose writer is still there.
struct Running {
    archive: Archive,
    writer: Writer,
    open: OpenParts,
    numbers: Numbers,
    flush: u64,
    received: u64,
}

impl Running {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().to_owned(), Reserve { percent: 0 });
        writer.sizes = SIZES;
        let received = time("2026-11-28 20:00").milliseconds();
        let open = writer.open_parts();
        let archive = Archive { folder, rows: Vec::new() };
        Self { archive, writer, open, numbers: Numbers(seed), flush: 0, received }
    }

    fn scan(&self) -> Scan<'_> {
        Scan { open: Some(&self.open), ..self.archive.scan(256 << 20, 2) }
    }

    fn begin_flush(&mut self) {
        self.flush += 1;
        self.writer.begin_flush(WRITER, FlushNumber { epoch: 1, sequence: self.flush }).unwrap();
    }

    fn end_flush(&mut self) {
        self.writer.end_flush(Some(Timestamp::from_milliseconds(self.received))).unwrap();
    }

    /// A flush of rows, each some time after the one before; some are late.
    fn take(&mut self, rows: u64) {
        self.begin_flush();
        for _ in 0..rows {
            self.received += self.numbers.below(3000);
            let late = self.numbers.below(20) / 19 * self.numbers.below(600_000);
            let row = row(&mut self.numbers, (self.received - late).max(both_hours().start.milliseconds()));
            self.writer.take(&row).unwrap();
            self.archive.rows.push(row);
        }
        self.end_flush();
    }

    /// Takes all flushes again, of as many rows, after a rewind.
    fn take_again(&mut self, sizes: &[u64]) {
        self.writer.rewind();
        let mut rows = self.archive.rows.iter();
        for (sequence, size) in (1..).zip(sizes) {
            self.writer.begin_flush(WRITER, FlushNumber { epoch: 1, sequence }).unwrap();
            for row in rows.by_ref().take(*size as usize) {
                self.writer.take(row).unwrap();
            }
            self.writer.end_flush(Some(Timestamp::from_milliseconds(self.received))).unwrap();
        }
    }
}

/// All rows of a question, page by page; what happens between two pages.
fn pages(running: &mut Running, mut question: RowQuestion, mut between: impl FnMut(&mut Running)) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let answer = running.scan().rows(&question).unwrap();
        assert_eq!(answer.read.left_out, []);
        all.extend(answer.rows.iter().map(|(_, row)| format!("{:?}", values(row))));
        let Some(next) = answer.next else { return all };
        question.after = Some(next.to_string().parse().unwrap());
        between(running);
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

#[test]
fn answers_have_the_rows_of_files_groups_and_memory() {
    for seed in 0..20 {
        let mut running = Running::new(seed);
        let (mut sizes, mut kinds) = (Vec::new(), [0_usize; 3]);
        for _ in 0..1 + running.numbers.below(12) {
            sizes.push(running.numbers.below(300));
            running.take(*sizes.last().unwrap());
            match running.numbers.below(12) {
                0 => running.writer.finish().unwrap(),
                1 => running.take_again(&sizes),
                _ => {}
            }
        }
        let published = running.open.get();
        kinds[0] += running.archive.files().len();
        kinds[1] += published.parts.values().map(|part| part.groups.len()).sum::<usize>();
        kinds[2] += published.parts.values().map(|part| part.chunks.len()).sum::<usize>();
        for (filter, keys) in
            [("", &[][..]), ("udp", &["dstport"]), ("src net 2001:db8::/32", &["srcip/24", "received/5m"])]
        {
            let question = question(filter, keys);
            let answer = running.scan().groups(&question).unwrap();
            assert_eq!(found(&answer), running.archive.expected(&question), "{seed}: {filter} by {keys:?}, {kinds:?}");
            let reach = answer.read.reaches.unwrap();
            assert_eq!((reach.writer, reach.flush.sequence), (WRITER, running.flush));
            assert_eq!(answer.read.since, Some(both_hours().start).filter(|_| !running.archive.rows.is_empty()));
        }
        let by_host = GroupQuestion { most: 3, ..question("", &["srcip"]) };
        let series = running.scan().series(&by_host, Id::Received, 300_000).unwrap();
        assert_eq!(series.groups, running.scan().groups(&by_host).unwrap());
        let rest = series.steps.iter().fold(Sums::default(), |mut sum, step| {
            sum.add(step.rest);
            sum
        });
        assert_eq!(rest, series.groups.rest);
        let all = pages(&mut running, RowQuestion { most: 50, ..rows_of("") }, |_| ());
        let expected: Vec<_> = running.archive.rows.iter().map(|row| format!("{:?}", values(row))).collect();
        assert_eq!(sorted(all), sorted(expected), "{seed}");
    }
}

#[test]
fn an_answer_is_of_one_moment_although_it_needs_several_passes() {
    let mut running = Running::new(3);
    running.take(1500);
    let question = GroupQuestion { most: 10, ..question("", &["srcip", "srcport"]) };
    let all = running.scan().groups(&question).unwrap();
    let columns = question.columns();
    let memory = running.scan().sources(&question.received, columns).unwrap().octets + memory_of_columns(columns);
    let scan = |spare: usize| Scan { octets: memory + spare, threads: 1, ..running.scan() };
    let answers = (14..20).filter_map(|power| scan(1 << power).groups(&question).ok()).collect::<Vec<_>>();
    assert!(answers.iter().any(|answer| answer.passes > 1));
    assert!(answers.iter().all(|answer| (&answer.first, answer.rest) == (&all.first, all.rest)));
    let error = Scan { octets: memory - 1, threads: 1, ..running.scan() }.groups(&question).unwrap_err();
    assert!(matches!(error, ScanError::TooLarge { .. }), "rows in memory are counted: {error}");
}

#[test]
fn each_row_is_on_one_page_although_files_are_finished_meanwhile() {
    for (seed, is_newest_first) in (0..6).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut running = Running::new(seed);
        let sizes = [200, 130, 170];
        sizes.into_iter().for_each(|rows| running.take(rows));
        // Later rows come meanwhile, and are not asked for.
        let asked = both_hours().start..Timestamp::from_milliseconds(running.received + 1);
        running.received += 700_000;
        let expected: Vec<_> = running.archive.rows.iter().map(|row| format!("{:?}", values(row))).collect();
        let question = RowQuestion { received: asked, most: 40, is_newest_first, ..rows_of("") };
        let mut page = 0;
        let found = pages(&mut running, question, |running| {
            page += 1;
            match (page, seed % 3) {
                (2, 0) => running.writer.finish().unwrap(),
                (3, 1) => running.take_again(&sizes),
                (_, 2) if page > 6 => running.writer.finish().unwrap(),
                (_, 2) => running.take(90),
                _ => {}
            }
        });
        assert!(page > 5);
        assert_eq!(sorted(found), sorted(expected), "{seed}");
    }
}

#[test]
fn rows_that_are_not_durable_are_in_no_answer_until_they_come_again() {
    let mut running = Running::new(1);
    running.take(100);
    running.writer.finish().unwrap();
    running.take(300);
    let rows = |running: &Running| running.scan().groups(&question("", &[])).unwrap();
    assert_eq!(rows(&running).total().rows, 400);
    running.writer.rewind();
    let answer = rows(&running);
    assert_eq!((answer.total().rows, answer.read.reaches.unwrap().flush.sequence), (100, 1));
}

#[test]
fn answers_state_what_was_counted_and_is_missing_in_their_time() {
    let mut running = Running::new(1);
    running.take(100);
    let flush = FlushNumber { epoch: 1, sequence: 2 };
    let lost = Missing {
        from: time("2026-11-28 20:40"),
        until: time("2026-11-28 20:50"),
        writer: WRITER,
        first: flush,
        last: flush,
        segments: 1,
        octets: 1000,
        records: 0,
        reason: Reason::LogFull,
    };
    missing::note(running.archive.folder.path(), lost).unwrap();
    for (from, until, expected) in
        [("20:00", "20:30", vec![]), ("20:30", "20:45", vec![lost]), ("20:51", "22:00", vec![])]
    {
        let received = time(&format!("2026-11-28 {from}"))..time(&format!("2026-11-28 {until}"));
        let answer = running.scan().groups(&GroupQuestion { received: received.clone(), ..question("", &[]) }).unwrap();
        assert_eq!(answer.read.missing, expected);
        assert_eq!(running.scan().rows(&RowQuestion { received, ..rows_of("") }).unwrap().read.missing, expected);
    }
}

#[test]
fn a_file_that_is_discarded_is_read_to_the_end_by_questions_that_have_begun() {
    let mut running = Running::new(1);
    running.take(500);
    let question = question("", &["srcip"]);
    let sources = running.scan().sources(&question.received, question.columns()).unwrap();
    running.writer.rewind();
    let answer = running.scan().groups_in(&question, &sources, &LeftOutParts::default()).unwrap();
    assert_eq!((found(&answer), answer.read.left_out.len()), (running.archive.expected(&question), 0));
}

#[test]
fn questions_beside_the_writer_have_each_row_once() {
    let mut running = Running::new(9);
    let (open, folder) = (running.open.clone(), running.archive.folder.path().to_owned());
    // How many rows were taken up to each flush, and how many will have been.
    let taken: BTreeMap<u64, u64> = (0..400).map(|flush| (flush, flush * 70)).collect();
    let ended = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for flush in 1..400 {
                running.take(70);
                ended.store(flush, Ordering::SeqCst);
                match flush % 37 {
                    0 => running.writer.finish().unwrap(),
                    11 => {
                        // What is not durable comes again.
                        let durable = running.writer.finished().rows as usize;
                        running.writer.rewind();
                        let again = running.archive.rows.split_off(durable);
                        for (sequence, rows) in (1 + durable as u64 / 70..).zip(again.chunks(70)) {
                            let flush = FlushNumber { epoch: 1, sequence };
                            running.writer.begin_flush(WRITER, flush).unwrap();
                            rows.iter().for_each(|row| running.writer.take(row).unwrap());
                            running.end_flush();
                        }
                        running.archive.rows.extend(again);
                    }
                    _ => {}
                }
            }
            ended.store(u64::MAX, Ordering::SeqCst);
        });
        let mut answers = 0;
        while ended.load(Ordering::SeqCst) < u64::MAX || answers < 20 {
            let question = GroupQuestion {
                received: both_hours().start..Timestamp::from_milliseconds(u64::MAX >> 20),
                distinct: keys_of(&["srcip", "dstip", "srcport", "bytes", "received", "packets"]),
                ..question("", &[])
            };
            let scan = Scan {
                folder: &folder,
                open: Some(&open),
                octets: 256 << 20,
                threads: 2,
                cancelled: &NOT_CANCELLED,
                progress: None,
            };
            let answer = scan.groups(&question).unwrap();
            let (sums, read) = (answer.total(), &answer.read);
            assert_eq!((sums.rows, &read.left_out), (sums.distinct, &Vec::new()));
            if let Some(reach) = read.reaches {
                let ended = ended.load(Ordering::SeqCst).saturating_add(2).min(399);
                let range = taken[&reach.flush.sequence]..=taken[&ended];
                assert!(range.contains(&sums.rows), "{} rows, {read:?}", sums.rows);
            }
            answers += 1;
        }
    });
}
