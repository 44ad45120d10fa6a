//! What changes the meaning of counters is written down, also in a store on the network that is unreachable meanwhile.

use std::sync::Arc;

use accounting::block::WriterId;
use collector::{Collector, Local, start};
use storage::faulty::{Call, Fault};
use storage::known_senders::KnownSenders;
use storage::spool::Spool;
use storage::{Faulty, LastTerms, Memory, Registry, Remark, Store, WriterState};
use tempfile::TempDir;
use testing::wait_for;
use tokio::sync::Notify;

use super::templates::SENDER;
use super::{now, settings};

struct Running {
    collector: Collector,
    changed: Arc<Notify>,
}

/// A run of a collector of this store, with its disk in this folder.
async fn started(store: Arc<dyn Store>, folder: &TempDir, (writer, epoch): (u64, u32), own: Option<&str>) -> Running {
    let writer = WriterId(writer);
    let state = WriterState::new(writer, epoch, now());
    store.put_writer(&state).await.unwrap();
    let path = folder.path().join("state");
    let local = Local {
        spool: Spool::open(&path, writer, 1 << 20).unwrap(),
        senders: KnownSenders::open(&path, "memory").unwrap(),
        is_reachable: true,
    };
    let changed = Arc::new(Notify::new());
    let mut settings = settings(&["127.0.0.1:0"]);
    if let Some(own) = own {
        settings.reloadable.stated = Arc::new(storage::Stated::own(&[own.parse().unwrap()]));
    }
    let terms = LastTerms::open(&path).unwrap();
    let collector = start(settings, store, Some(local), None, state, Arc::clone(&changed), Some(terms));
    Running { collector: collector.await.unwrap(), changed }
}

/// Waits until the store has this number of remarks.
async fn remarked(running: &Running, store: &dyn Store, number: usize) -> Vec<Remark> {
    wait_for("the remarks in the store", async || {
        running.changed.notify_one();
        let remarks = store.remarks(SENDER).await.unwrap();
        (remarks.len() == number).then_some(remarks)
    })
    .await
}

async fn add(store: &dyn Store, running: &Running, prefix: &str) {
    store.add_prefixes(SENDER, &[prefix.parse().unwrap()]).await.unwrap();
    running.changed.notify_one();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_the_network_gets_remarks_when_it_is_reachable_and_again_after_a_start() {
    let (store, folder) = (Arc::new(Faulty::new(Memory::default())), tempfile::tempdir().unwrap());
    store.add_prefixes(SENDER, &["10.1.0.0/16".parse().unwrap()]).await.unwrap();
    let running = started(Arc::<Faulty<Memory>>::clone(&store), &folder, (1, 1), None).await;
    store.plan_calls(Call::PutRemarks, [Fault::Before, Fault::After, Fault::Before]);
    let before = now().seconds();
    add(store.inner(), &running, "10.0.0.0/8").await;
    let [remark] = remarked(&running, store.inner(), 1).await.try_into().unwrap();
    assert_eq!(
        (remark.kind.as_str(), remark.was.as_str(), remark.is.as_str()),
        ("ownNetworks", "10.1.0.0/16", "10.0.0.0/8")
    );
    assert!((before..=now().seconds()).contains(&remark.time.seconds()));
    running.collector.stop().await.unwrap();

    // The store is emptied; and meanwhile the configuration changes.
    let store = Arc::new(Memory::default());
    let running = started(Arc::<Memory>::clone(&store), &folder, (1, 2), Some("10.1.0.0/16")).await;
    let remarks = remarked(&running, store.as_ref(), 2).await;
    assert_eq!((&remarks[0], &remarks[1].was, &remarks[1].is), (&remark, &remark.is, &remark.was));
    running.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_two_collectors_of_a_store_notice_is_one_remark() {
    let store = Arc::new(Memory::default());
    store.add_prefixes(SENDER, &["10.1.0.0/16".parse().unwrap()]).await.unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = started(Arc::<Memory>::clone(&store), &folders[0], (1, 1), None).await;
    let other = started(Arc::<Memory>::clone(&store), &folders[1], (2, 1), None).await;
    let noticed = async |folder: &TempDir, running: &Running, number: usize| {
        let own = LastTerms::open(&folder.path().join("state")).unwrap();
        wait_for("a remark on its disk", async || {
            running.changed.notify_one();
            let remarks = own.remarks().await.unwrap();
            (remarks.get(&SENDER).map_or(0, Vec::len) == number).then_some(())
        })
        .await;
    };
    for (prefix, number) in [("10.0.0.0/8", 1), ("172.16.0.0/12", 2)] {
        add(store.as_ref(), &one, prefix).await;
        noticed(&folders[0], &one, number).await;
        noticed(&folders[1], &other, number).await;
    }
    one.collector.stop().await.unwrap();
    other.collector.stop().await.unwrap();
    assert_eq!(store.remarks(SENDER).await.unwrap().len(), 2);
}
