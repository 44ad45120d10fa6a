//! Readers of the log obey the operator: a paused one takes nothing until it may, one that goes back hands on again exactly what
//! the log has, and one that skips decodes what follows with everything that exporters announced on the way.

use std::path::Path;
use std::sync::{Arc, Mutex};

use collector::Collector;
use storage::{Memory, Registry};
use view::Reader;

use super::log_readers::{READER, Target, flows, in_log, started, started_with, until};
use super::templates::{SENDER, data, packet, send, template};
use super::{datagram, now};

async fn store() -> Arc<Memory> {
    let store = Arc::new(Memory::default());
    store.add_prefixes(SENDER, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    store
}

fn shown(collector: &Collector, reader: &str) -> Reader {
    let readers = collector.view().status().readers;
    readers.into_iter().find(|shown| shown.name == reader).unwrap()
}

/// Sends datagrams, each of which is in a flush of its own in the log afterwards.
async fn send_flushes(collector: &Collector, folder: &Path, datagrams: &[Vec<u8>]) {
    let status = collector.status();
    for datagram in datagrams {
        let (decoded, before) = (status.counts().datagrams.total(), in_log(folder).len());
        send(collector, datagram);
        until("it is counted", || status.counts().datagrams.total() > decoded).await;
        until("it is in the log", || in_log(folder).len() > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_reader_takes_nothing_until_it_is_resumed_also_after_a_restart() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store().await);
    let target = Arc::new(Mutex::new(Target::default()));
    let collector = started(&store, folder.path(), 1, &target).await;
    let journal = collector.journal().unwrap();
    send(&collector, &datagram(now()));
    until("it is read", || flows(&target) == 1).await;
    journal.pause_reader(READER, Some(now())).unwrap();
    send_flushes(&collector, folder.path(), &[datagram(now()), datagram(now())]).await;
    let reader = shown(&collector, READER);
    assert!(reader.paused.is_some() && reader.unread_flushes == 2 && reader.unread_segments >= 2, "{reader:?}");
    drop(journal);
    // The stop does not take the last flushes.
    collector.stop().await.unwrap();
    assert_eq!(flows(&target), 1);
    let collector = started(&store, folder.path(), 2, &target).await;
    assert_eq!((shown(&collector, READER).paused, flows(&target)), (reader.paused, 1));
    collector.journal().unwrap().pause_reader(READER, None).unwrap();
    until("the rest is read", || flows(&target) == 3 && shown(&collector, READER).unread_flushes == 0).await;
    assert_eq!(shown(&collector, READER).paused, None);
    collector.stop().await.unwrap();
    assert_eq!(flows(&target), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_reader_that_is_paused_does_not_fail_any_more() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store().await);
    let target = Arc::new(Mutex::new(Target { failures: u32::MAX, ..Target::default() }));
    let collector = started(&store, folder.path(), 1, &target).await;
    send(&collector, &datagram(now()));
    until("it fails", || shown(&collector, READER).failing_seconds.is_some()).await;
    collector.journal().unwrap().pause_reader(READER, Some(now())).unwrap();
    until("it rests", || shown(&collector, READER).failing_seconds.is_none()).await;
    assert!(shown(&collector, READER).last_error.is_some());
    target.lock().unwrap().failures = 0;
    collector.journal().unwrap().pause_reader(READER, None).unwrap();
    until("it is read", || flows(&target) == 1).await;
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_skips_knows_the_templates_of_what_it_skipped() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store().await);
    let target = Arc::new(Mutex::new(Target { failures: u32::MAX, ..Target::default() }));
    let collector = started(&store, folder.path(), 1, &target).await;
    let with_template = packet().template(&template()).finish();
    send_flushes(&collector, folder.path(), &[datagram(now()), with_template, data()]).await;
    let journal = collector.journal().unwrap();
    let skipped = journal.reset_to_newest(READER).unwrap();
    assert_eq!(skipped.flushes, 3);
    target.lock().unwrap().failures = 0;
    until("they are skipped", || shown(&collector, READER).skipped_flushes == 3).await;
    until("the log is empty", || shown(&collector, READER).unread_flushes == 0).await;
    let reader = shown(&collector, READER);
    assert_eq!((reader.skipped_bytes, reader.records, reader.skipping), (skipped.octets, 0, false));
    send(&collector, &data());
    until("it is read", || flows(&target) == 1).await;
    let ledgers = || collector.view().status().ledgers;
    until("the ledger is compared", || ledgers().iter().any(|ledger| ledger.name == "readers")).await;
    assert!(ledgers().iter().all(|ledger| ledger.violations == 0), "{:?}", ledgers());
    assert_eq!(shown(&collector, READER).missing_records, 0);
    collector.stop().await.unwrap();
    let target = target.lock().unwrap();
    let [skipped_once] = target.skipped.as_slice() else { panic!("{:?}", target.skipped) };
    assert_eq!((skipped_once.flushes.octets, target.durable.flows), (skipped.octets, 1));
    assert!(skipped_once.after <= skipped_once.until, "{skipped_once:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_taken_everything_makes_it_durable_instead_of_skipping_it() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store().await);
    let target = Arc::new(Mutex::new(Target { holds_back: true, ..Target::default() }));
    let collector = started(&store, folder.path(), 1, &target).await;
    send_flushes(&collector, folder.path(), &[datagram(now()), datagram(now())]).await;
    until("both are taken", || target.lock().unwrap().ended == 2).await;
    assert_eq!(collector.journal().unwrap().reset_to_newest(READER).unwrap().flushes, 2);
    until("both are durable", || flows(&target) == 2 && shown(&collector, READER).unread_flushes == 0).await;
    let reader = shown(&collector, READER);
    assert_eq!((reader.skipped_flushes, reader.skipping, reader.records), (0, false, 2));
    collector.stop().await.unwrap();
    assert!(target.lock().unwrap().skipped.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_back_hands_on_again_what_another_has_not_read() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store().await);
    let [slow, fast] = [u32::MAX, 0].map(|failures| Arc::new(Mutex::new(Target { failures, ..Target::default() })));
    let collector = started_with(&store, folder.path(), 1, &[("slow", &slow), ("fast", &fast)]).await;
    let journal = collector.journal().unwrap();
    let with_template = packet().template(&template()).finish();
    send_flushes(&collector, folder.path(), &[with_template, data(), datagram(now()), data()]).await;
    until("they are read", || flows(&fast) == 3 && shown(&collector, "fast").unread_flushes == 0).await;
    assert_eq!(journal.reset_to_oldest("fast").unwrap().flushes, 4);
    until("they are read again", || flows(&fast) == 6 && shown(&collector, "fast").unread_flushes == 0).await;
    // Also after it was skipped.
    journal.reset_to_newest("slow").unwrap();
    slow.lock().unwrap().failures = 0;
    until("the log is empty", || journal.log_bytes().0 == 0).await;
    assert_eq!(journal.reset_to_oldest("fast").unwrap().flushes, 0);
    send(&collector, &data());
    until("it is read once", || flows(&fast) == 7 && flows(&slow) == 1).await;
    collector.stop().await.unwrap();
    assert_eq!((flows(&fast), flows(&slow)), (7, 1));
}
