//! Readers of the log: what they hand on is what was counted, once, whatever their target does and however often the collector
//! is restarted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use accounting::block::WriterId;
use collector::{Collector, LogConsumer, LostFlushes, ReadFlush, start};
use flow::Counters;
use journal::disk::Directory;
use journal::{Journal, Position, Sync};
use pipeline::Logged;
use storage::{Memory, Registry, Store, WriterState, Writers};
use testing::wait::DEADLINE;

use super::templates::{SENDER, data, packet, send, template};
use super::{counted, datagram, now, settings};

pub(crate) const READER: &str = "test";

/// What a consumer has made durable, how often it will fail before, and what is missing.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) durable: Counters,
    pub(crate) failures: u32,
    pub(crate) lost: Vec<LostFlushes>,
    /// What it was ordered to leave out.
    pub(crate) skipped: Vec<LostFlushes>,
    /// Flushes that were taken, and whether they become durable only when it has to finish.
    pub(crate) ended: u32,
    pub(crate) holds_back: bool,
    /// The policy of the thread that took the first flush.
    pub(crate) policy: Option<u32>,
}

/// The policy by which the calling thread gets a processor: the 41st field of its stat file (proc(5)).
fn policy() -> u32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().nth(41 - 3).unwrap().parse().unwrap()
}

/// A consumer that counts.
#[derive(Default)]
struct Counting {
    taken: Counters,
    target: Arc<Mutex<Target>>,
}

impl LogConsumer for Counting {
    fn take(&mut self, _: Position, logged: &Logged<'_>) {
        if let (Some(registration), Some(flow)) = (logged.registration, logged.record.flow) {
            assert_eq!((logged.exporter, registration.monitored.prefixes().len()), (SENDER, 1));
            self.taken.add(Counters { flows: 1, ..flow.forward });
        }
    }

    fn end_flush(&mut self, read: &ReadFlush) -> io::Result<bool> {
        let mut target = self.target.lock().unwrap();
        target.policy.get_or_insert_with(policy);
        if target.failures > 0 {
            target.failures -= 1;
            return Err(io::Error::other("the target is full"));
        }
        target.lost.extend(read.lost);
        target.ended += 1;
        if target.holds_back {
            return Ok(false);
        }
        target.durable.add(std::mem::take(&mut self.taken));
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<bool> {
        self.target.lock().unwrap().durable.add(std::mem::take(&mut self.taken));
        Ok(true)
    }

    fn skip(&mut self, skipped: &LostFlushes) -> io::Result<()> {
        assert_eq!(self.taken, Counters::default());
        self.target.lock().unwrap().skipped.push(*skipped);
        Ok(())
    }

    fn rewind(&mut self) {
        self.taken = Counters::default();
    }
}

pub(crate) async fn started(store: &Arc<Memory>, folder: &Path, epoch: u32, target: &Arc<Mutex<Target>>) -> Collector {
    started_with(store, folder, epoch, &[(READER, target)]).await
}

/// A collector with these readers.
pub(crate) async fn started_with(
    store: &Arc<Memory>,
    folder: &Path,
    epoch: u32,
    readers: &[(&'static str, &Arc<Mutex<Target>>)],
) -> Collector {
    let writer = WriterState::new(WriterId(1), epoch, now());
    store.put_writer(&writer).await.unwrap();
    let disk = Box::new(Directory::open(folder).unwrap());
    let kept = journal::Settings { sync: Sync::Interval, limit_bytes: 1 << 20 };
    let journal = Journal::open(disk, writer.writer, kept).unwrap();
    journal.keep_for(&readers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), 1 << 20).unwrap();
    let shared: Arc<dyn Store> = Arc::<Memory>::clone(store);
    let settings = settings(&["127.0.0.1:0"]);
    let mut collector = start(settings, shared, None, Some(journal), writer, Arc::default(), None).await.unwrap();
    for (name, target) in readers {
        let consumer = Counting { target: Arc::clone(target), ..Counting::default() };
        collector.read_log(name, Box::new(consumer)).unwrap();
    }
    collector
}

pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn flows(target: &Mutex<Target>) -> u64 {
    target.lock().unwrap().durable.flows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_hands_on_what_was_counted_whatever_its_target_does() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    store.add_prefixes(SENDER, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    let target = Arc::new(Mutex::new(Target { failures: 3, ..Target::default() }));
    let mut sent = 0;
    for epoch in 1..=3 {
        let collector = started(&store, folder.path(), epoch, &target).await;
        for _ in 0..10 {
            send(&collector, &datagram(now()));
            sent += 1;
        }
        // In the first run before its template, which later runs know.
        send(&collector, &data());
        sent += 1;
        if epoch == 1 {
            let journal = collector.journal().unwrap();
            until("the data are carried over", || journal.counts().carried > 0).await;
            send(&collector, &packet().template(&template()).finish());
        }
        until("everything is read", || flows(&target) >= sent).await;
        let is_compared = || collector.view().status().ledgers.iter().any(|ledger| ledger.name == "readers");
        until("the ledger is compared", is_compared).await;
        let status = collector.view().status();
        assert!(status.ledgers.iter().all(|ledger| ledger.violations == 0), "{:?}", status.ledgers);
        let reader = status.readers.first().unwrap();
        assert_eq!((reader.name, reader.missing_records, reader.forced_out_segments), (READER, 0, 0));
        collector.stop().await.unwrap();
    }
    let read = target.lock().unwrap().durable;
    assert_eq!((read.flows, read), (sent, counted(store.as_ref(), SENDER).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_does_not_wait_for_a_reader_and_what_waits_for_it_is_shown() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    store.add_prefixes(SENDER, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    let target = Arc::new(Mutex::new(Target { failures: u32::MAX, ..Target::default() }));
    let collector = started(&store, folder.path(), 1, &target).await;
    for _ in 0..5 {
        send(&collector, &datagram(now()));
    }
    let status = collector.status();
    until("everything is counted", || status.counts().flows.total() == 5).await;
    let unread = || collector.view().status().readers.first().unwrap().unread_segments;
    until("segments stay", || unread() > 0).await;
    const SCHED_IDLE: u32 = 5;
    let policy = || target.lock().unwrap().policy;
    until("the reader tries", || policy().is_some()).await;
    assert_eq!((flows(&target), policy()), (0, Some(SCHED_IDLE)));
    target.lock().unwrap().failures = 0;
    until("they are read", || unread() == 0 && flows(&target) == 5).await;
    let ended = collector.journal().unwrap();
    collector.stop().await.unwrap();
    assert_eq!(ended.log_bytes().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_the_disk_cannot_read_costs_no_other_and_is_reported_as_lost() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    store.add_prefixes(SENDER, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    let target = Arc::new(Mutex::new(Target { failures: u32::MAX, ..Target::default() }));
    let collector = started(&store, folder.path(), 1, &target).await;
    let unread = || collector.view().status().readers.first().unwrap().unread_segments;
    let status = collector.status();
    let begun = now();
    for flush in 1..=4 {
        send(&collector, &datagram(now()));
        until("it is counted", || status.counts().flows.total() == flush).await;
        until("it is in the log", || in_log(folder.path()).len() as u64 == flush).await;
    }
    let (_, segments) = in_log(folder.path()).into_iter().nth(2).unwrap();
    std::fs::remove_file(&segments[0]).unwrap();
    std::fs::create_dir(&segments[0]).unwrap();
    target.lock().unwrap().failures = 0;
    until("the others are read", || flows(&target) == 3 && unread() == 0).await;
    collector.stop().await.unwrap();
    let lost = target.lock().unwrap().lost.clone();
    let [LostFlushes { flushes, after, until }] = *lost else { panic!("{lost:?}") };
    let count = segments.len() as u64;
    assert_eq!((flushes.first, flushes.segments, flushes.unreadable), (flushes.last, count, count));
    assert!(begun <= after && after < until && until <= now(), "{lost:?}");
}

/// The segments of each flush in the log.
pub(crate) fn in_log(folder: &Path) -> BTreeMap<u64, Vec<PathBuf>> {
    let mut flushes: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for path in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some((sequence, _)) = name.strip_prefix("log-epoch-1-flush-").and_then(|rest| rest.split_once('-')) {
            flushes.entry(sequence.parse().unwrap()).or_default().push(path.clone());
        }
    }
    flushes
}
