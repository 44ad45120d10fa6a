//! A store on the network that loses registrations, because it is emptied or restored from an older copy: what the
//! collector knows is stored again, with the templates; what was removed is not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use accounting::block::WriterId;
use collector::{Collector, Local, start};
use flow::{DatagramFate, FlowFate, Prefix};
use storage::known_senders::KnownSenders;
use storage::spool::Spool;
use storage::{Memory, Registrations, Registry, Store, WriterState, Writers};
use tempfile::TempDir;
use testing::wait_for;
use tokio::sync::Notify;

use super::templates::{SENDER, data, kept, packet, send, template, until};
use super::{now, settings};

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn prefix(number: u8) -> Prefix {
    Prefix::new(Ipv4Addr::new(192, 0, number, 0).into(), 24).unwrap()
}

/// A collector with its own disk; several have the same store.
struct Bench {
    store: Arc<Memory>,
    folder: TempDir,
    writer: WriterId,
    epoch: u32,
}

struct Running {
    collector: Collector,
    changed: Arc<Notify>,
}

impl Bench {
    fn new(store: &Arc<Memory>, writer: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Arc::clone(store), folder, writer: WriterId(writer), epoch: 0 }
    }

    async fn start(&mut self) -> Running {
        self.epoch += 1;
        let state = WriterState::new(self.writer, self.epoch, now());
        self.store.put_writer(&state).await.unwrap();
        let path = self.folder.path().join("state");
        let local = Local {
            spool: Spool::open(&path, self.writer, 1 << 20).unwrap(),
            senders: KnownSenders::open(&path, "memory").unwrap(),
            is_reachable: true,
        };
        let (shared, changed): (Arc<dyn Store>, _) = (Arc::<Memory>::clone(&self.store), Arc::new(Notify::new()));
        let collector = start(settings(&["127.0.0.1:0"]), shared, Some(local), None, state, Arc::clone(&changed), None);
        Running { collector: collector.await.unwrap(), changed }
    }

    /// Waits until the store has exactly these senders, each with the number of its prefixes.
    async fn until_registered(&self, running: &Running, expected: &[(IpAddr, usize)]) {
        wait_for("the senders", async || {
            running.changed.notify_one();
            let senders = self.store.senders().await.unwrap();
            senders
                .iter()
                .map(|sender| (sender.address, sender.prefixes.len()))
                .eq(expected.iter().copied())
                .then_some(())
        })
        .await;
    }

    /// Waits until the collector has on its disk what the store has.
    async fn until_known(&self, running: &Running) {
        let path = self.folder.path().join("state");
        wait_for("the registrations on disk", async || {
            running.changed.notify_one();
            let known = KnownSenders::open(&path, "memory").unwrap();
            let lost = known.merge(Registrations::new(), now()).lost;
            (lost == self.store.registrations().await.unwrap()).then_some(())
        })
        .await;
    }
}

impl Running {
    async fn stop(self) {
        self.collector.stop().await.unwrap();
    }

    fn restored(&self) -> u64 {
        self.collector.status().restored_registrations()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_store_gets_registrations_and_templates_again_while_the_router_is_counted() {
    let store = Arc::new(Memory::default());
    store.add_prefixes(SENDER, &[prefix(2)]).await.unwrap();
    let mut bench = Bench::new(&store, 1);
    let running = bench.start().await;
    send(&running.collector, &packet().template(&template()).finish());
    wait_for("the templates in the store", async || (kept(store.as_ref()).await == [1]).then_some(())).await;
    bench.until_known(&running).await;
    store.fail_over_to(&Memory::default());
    bench.until_registered(&running, &[(SENDER, 1)]).await;
    wait_for("the templates in the store again", async || (kept(store.as_ref()).await == [1]).then_some(())).await;
    assert_eq!(running.restored(), 2);
    send(&running.collector, &data());
    until(&running.collector, |counts| counts.flows[FlowFate::Matched] == 1).await;
    assert_eq!(running.collector.status().counts().datagrams[DatagramFate::Unregistered], 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_beside_an_emptied_store_counts_from_the_first_datagram_on() {
    let store = Arc::new(Memory::default());
    store.add_prefixes(SENDER, &[prefix(2)]).await.unwrap();
    let mut bench = Bench::new(&store, 1);
    let running = bench.start().await;
    send(&running.collector, &packet().template(&template()).finish());
    wait_for("the templates in the store", async || (kept(store.as_ref()).await == [1]).then_some(())).await;
    bench.until_known(&running).await;
    running.stop().await;
    store.fail_over_to(&Memory::default());
    let running = bench.start().await;
    send(&running.collector, &data());
    until(&running.collector, |counts| counts.datagrams.total() == 1).await;
    let counts = running.collector.status().counts();
    assert_eq!((counts.flows[FlowFate::Matched], counts.missing_template_sets), (1, 0));
    bench.until_registered(&running, &[(SENDER, 1)]).await;
    wait_for("the templates in the store again", async || (kept(store.as_ref()).await == [1]).then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_while_a_collector_is_down_stays_removed_even_if_the_store_is_emptied() {
    let store = Arc::new(Memory::default());
    let mut collectors = [1, 2].map(|writer| Bench::new(&store, writer));
    let [one, other] = &mut collectors;
    store.add_prefixes(SENDER, &[prefix(2), prefix(3)]).await.unwrap();
    store.add_prefixes(OTHER, &[prefix(4)]).await.unwrap();
    let (running, down) = (one.start().await, other.start().await);
    one.until_known(&running).await;
    other.until_known(&down).await;
    down.stop().await;
    assert!(store.remove_sender(OTHER).await.unwrap());
    assert!(store.remove_prefixes(SENDER, &[prefix(3)]).await.unwrap());
    one.until_known(&running).await;
    store.fail_over_to(&Memory::default());
    one.until_registered(&running, &[(SENDER, 1)]).await;
    one.until_known(&running).await;
    let up = other.start().await;
    other.until_known(&up).await;
    other.until_registered(&up, &[(SENDER, 1)]).await;
    assert_eq!((running.restored(), up.restored()), (2, 0));
    running.stop().await;
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_store_is_brought_up_to_date() {
    let store = Arc::new(Memory::default());
    let mut bench = Bench::new(&store, 1);
    store.add_prefixes(SENDER, &[prefix(2), prefix(3)]).await.unwrap();
    store.add_prefixes(OTHER, &[prefix(4)]).await.unwrap();
    let running = bench.start().await;
    let older = store.replica();
    let third = IpAddr::from([192, 0, 2, 8]);
    assert!(store.remove_sender(OTHER).await.unwrap());
    assert!(store.remove_prefixes(SENDER, &[prefix(3)]).await.unwrap());
    store.add_prefixes(SENDER, &[prefix(5), prefix(6)]).await.unwrap();
    store.add_prefixes(third, &[]).await.unwrap();
    bench.until_known(&running).await;
    let newest = store.registrations().await.unwrap();
    store.fail_over_to(&older);
    bench.until_registered(&running, &[(SENDER, 3), (third, 0)]).await;
    assert_eq!(store.registrations().await.unwrap(), newest);
    // Two prefixes and a sender that were added, and a sender with its prefix and a prefix that were removed.
    assert_eq!(running.restored(), 6);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_router_that_is_removed_stays_removed() {
    let store = Arc::new(Memory::default());
    let mut bench = Bench::new(&store, 1);
    store.add_prefixes(SENDER, &[prefix(2)]).await.unwrap();
    let running = bench.start().await;
    bench.until_known(&running).await;
    assert!(store.remove_sender(SENDER).await.unwrap());
    bench.until_known(&running).await;
    running.stop().await;
    let running = bench.start().await;
    bench.until_registered(&running, &[]).await;
    send(&running.collector, &data());
    until(&running.collector, |counts| counts.datagrams[DatagramFate::Unregistered] == 1).await;
    assert_eq!(running.restored(), 0);
    running.stop().await;
}
