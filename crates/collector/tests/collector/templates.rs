//! What senders announce outlives the collector: data are read at once after a restart, whatever the store did.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use accounting::block::WriterId;
use accounting::tally::{Tally, TallySettings};
use collector::Keep;
use collector::flusher::Flusher;
use collector::import::Import;
use collector::status::Status;
use collector::{Collector, start};
use flow::{Exporter, FlowFate, Timestamp};
use pipeline::Counts;
use pipeline::Sealed;
use storage::faulty::Fault;
use storage::spool::Spool;
use storage::{Faulty, Memory, Registry, Store, WriterState, Writers};
use wire::encode::{NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, Session, SessionLimits, netflow_v9};

use super::{rules, settings};

pub(crate) const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn now() -> Timestamp {
    SystemTime::now().into()
}

pub(crate) fn packet() -> NetflowV9 {
    let unix_seconds = u32::try_from(now().seconds()).unwrap().into();
    NetflowV9::new(netflow_v9::Header { unix_seconds, uptime: 3_600_000.into(), ..Default::default() })
}

/// Destination address and bytes.
pub(crate) fn template() -> TemplateSpec {
    TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)])
}

pub(crate) fn data() -> Vec<u8> {
    packet().data(&template(), &[vec![192, 0, 2, 1, 0, 0, 0, 100]]).finish()
}

async fn store() -> Arc<Memory> {
    let store = Arc::new(Memory::default());
    store.add_prefixes(SENDER, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    store
}

async fn started(store: &Arc<Memory>, epoch: u32) -> Collector {
    let writer = WriterState::new(WriterId(1), epoch, now());
    store.put_writer(&writer).await.unwrap();
    start(settings(&["127.0.0.1:0"]), Arc::<Memory>::clone(store), None, None, writer, Arc::default(), None)
        .await
        .unwrap()
}

/// Sends from a port of its own, so that the templates of an earlier one have to do.
pub(crate) fn send(collector: &Collector, payload: &[u8]) {
    let socket = UdpSocket::bind((SENDER, 0)).unwrap();
    socket.send_to(payload, collector.addresses().first().unwrap()).unwrap();
}

pub(crate) async fn until(collector: &Collector, what: impl Fn(&Counts) -> bool) {
    let status = collector.status();
    let end = Instant::now() + testing::wait::DEADLINE;
    while !what(&status.counts()) {
        assert!(Instant::now() < end, "{}", status.counts());
        tokio::task::yield_now().await;
    }
}

/// How many templates the store keeps, all of which can be learnt again.
pub(crate) async fn kept(store: &dyn Store) -> Vec<usize> {
    let learn = |(_, announced): (IpAddr, Vec<u8>)| Session::new(SessionLimits::default()).learn(&announced).unwrap();
    store.templates().await.unwrap().into_iter().map(learn).collect()
}

/// A collector that an exporter announces a template to, and that stops.
async fn announce(store: &Arc<Memory>) {
    let collector = started(store, 1).await;
    send(&collector, &packet().template(&template()).finish());
    until(&collector, |counts| counts.templates == 1).await;
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_starts_again_reads_data_at_once() {
    let store = store().await;
    announce(&store).await;
    assert_eq!(kept(store.as_ref()).await, [1]);

    let second = started(&store, 2).await;
    send(&second, &data());
    until(&second, |counts| counts.flows[FlowFate::Matched] == 1).await;
    assert_eq!(second.status().counts().missing_template_sets, 0);
    second.stop().await.unwrap();
    assert_eq!(kept(store.as_ref()).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_templates_are_ignored_and_replaced_by_the_next_announcement() {
    let store = store().await;
    store.put_templates(&[(SENDER, b"damaged".to_vec())]).await.unwrap();
    let collector = started(&store, 1).await;
    send(&collector, &data());
    until(&collector, |counts| counts.missing_template_sets == 1).await;
    assert_eq!(store.templates().await.unwrap(), [(SENDER, b"damaged".to_vec())], "nothing better is known");
    send(&collector, &packet().template(&template()).finish());
    until(&collector, |counts| counts.flows[FlowFate::Matched] == 1).await;
    collector.stop().await.unwrap();
    assert_eq!(kept(store.as_ref()).await, [1]);
}

#[tokio::test]
async fn templates_that_the_store_refuses_are_put_with_the_next_flush() {
    let store = Arc::new(Faulty::new(Memory::default()));
    let others: Vec<IpAddr> = (0..200).map(|number| Ipv4Addr::new(10, 0, 0, number).into()).collect();
    for sender in &others {
        store.add_prefixes(*sender, &[]).await.unwrap();
    }
    let writer = WriterState::new(WriterId(1), 1, now());
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(&folder.path().join("state"), WriterId(1), 1 << 20).unwrap();
    let flusher = Flusher::new(Arc::<Faulty<Memory>>::clone(&store), writer, Keep::default(), Status::new(0));
    let mut flusher = flusher.over(Some(spool)).unwrap();
    let sealed = |announced: Vec<(IpAddr, Vec<u8>)>| Sealed {
        tallies: vec![Tally::new(TallySettings::default())],
        heard: Vec::new(),
        arrived: Vec::new(),
        announced,
    };
    let all: Vec<_> = others.iter().map(|sender| (*sender, vec![1])).collect();
    // A flush without blocks touches the senders and then puts the announcements.
    store.plan([Fault::None, Fault::None, Fault::Before]);
    flusher.flush(&sealed(all), Timestamp::EPOCH, || true).await.unwrap();
    let left = flusher.unstored_announcements();
    assert!(left > 0 && left + store.inner().templates().await.unwrap().len() == others.len(), "{left}");
    let last = *others.last().unwrap();
    store.plan([Fault::None, Fault::Before]);
    flusher.flush(&sealed(vec![(last, vec![2])]), Timestamp::EPOCH, || true).await.unwrap();
    assert_eq!(flusher.unstored_announcements(), left, "newer announcements take the place of older ones");
    flusher.flush(&sealed(Vec::new()), Timestamp::EPOCH, || true).await.unwrap();
    assert_eq!(flusher.unstored_announcements(), 0);
    let mut kept = store.templates().await.unwrap();
    kept.sort();
    assert_eq!(kept.iter().map(|(sender, _)| *sender).collect::<Vec<_>>(), others);
    assert_eq!(kept.pop(), Some((last, vec![2])));
}

#[tokio::test]
async fn an_import_neither_uses_nor_changes_stored_templates() {
    let store = store().await;
    announce(&store).await;
    let before = store.templates().await.unwrap();

    let shared: Arc<dyn Store> = Arc::<Memory>::clone(&store);
    let mut import = Import::begin(
        shared,
        WriterId(7),
        rules(),
        &storage::Stated::default(),
        Duration::from_secs(10),
        Keep::default(),
    )
    .await
    .unwrap();
    let other = TemplateSpec::data(300, [FieldSpecifier::iana(1, 4)]);
    for payload in [data(), packet().template(&other).finish()] {
        let datagram = Datagram { exporter: Exporter::udp(SENDER, 9), received: now(), payload: &payload };
        import.take(&datagram).await.unwrap();
    }
    let counts = import.finish(now()).await.unwrap();
    assert_eq!((counts.missing_template_sets, counts.templates, counts.flows.total()), (1, 1, 0));
    assert_eq!(store.templates().await.unwrap(), before);
}
