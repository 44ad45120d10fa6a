//! Real datagrams over loopback into a running collector, with the memory store: what was sent is what is counted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, Period};
use accounting::presence;
use accounting::tally::{Tally, TallySettings};
use collector::Keep;
use collector::flusher::Flusher;
use collector::import::Import;
use collector::senders;
use collector::status::Status;
use collector::{Collector, Reloadable, Settings, StartError, start};
use flow::{Counters, DatagramFate, Exporter, FlowFate, Prefix, Timestamp};
use journal::disk::Directory;
use journal::{Journal, Sync};
use pipeline::Counts;
use pipeline::Exporters;
use pipeline::{Rules, Sealed, Shard};
use storage::faulty::{Fault, Faulty};
use storage::memory::Memory;
use storage::spool::Spool;
use storage::totals::totals;
use storage::{Blocks, Registry, Store, WriterState, Writers};
use testing::wait::DEADLINE;
use tokio::sync::Notify;
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, PendingBudget, SessionLimits};
use zerocopy::IntoBytes;

mod captured_connections;
mod connections;
mod export_connections;
mod listening;
mod log_readers;
mod lost_registrations;
mod origins;
mod reader_orders;
mod recovery;
mod remarks;
mod templates;

const MONITORED: &str = "192.0.2.0/24";

fn rules() -> Rules {
    Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    }
}

fn exporters() -> Exporters {
    Exporters::new(SessionLimits::default(), PendingBudget::default())
}

fn reloadable(listen: &[SocketAddr]) -> Reloadable {
    Reloadable {
        listen: listen.to_vec(),
        forward: Vec::new(),
        rules: rules(),
        stated: Arc::default(),
        flush_interval: Duration::from_millis(50),
        first_flush: Duration::from_secs(1),
        keep: Keep::default(),
        journal: journal::Settings { sync: journal::Sync::Off, limit_bytes: 1 << 20 },
        spool_bytes: 1 << 20,
        bmp: collector::BmpSettings::default(),
        export_connections: collector::ExportConnectionSettings::default(),
        counted_prefixes: 0,
    }
}

fn settings(listen: &[&str]) -> Settings {
    let listen: Vec<SocketAddr> = listen.iter().map(|address| address.parse().unwrap()).collect();
    Settings {
        passed: Vec::new(),
        passed_streams: Vec::new(),
        kept_connections: Vec::new(),
        threads: 2,
        steering: udp::Steering::default(),
        receive_buffer: 1 << 20,
        origins: collector::Origins::default(),
        reloadable: reloadable(&listen),
    }
}

/// A v5 datagram of one record: 100 octets in 2 packets from the world to the monitored prefix.
fn datagram(exported: Timestamp) -> Vec<u8> {
    let header = Header {
        version: 5.into(),
        count: 1.into(),
        unix_seconds: u32::try_from(exported.seconds()).unwrap().into(),
        ..Header::default()
    };
    let record = Record {
        source: [198, 51, 100, 1],
        destination: [192, 0, 2, 1],
        protocol: 6,
        octets: 100.into(),
        packets: 2.into(),
        ..Record::default()
    };
    [header.as_bytes(), record.as_bytes()].concat()
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

struct Bench {
    store: Arc<Memory>,
    changed: Arc<Notify>,
    collector: Collector,
}

impl Bench {
    async fn start(listen: &[&str], senders: &[IpAddr]) -> Self {
        Self::start_with(settings(listen), senders).await
    }

    async fn start_with(settings: Settings, senders: &[IpAddr]) -> Self {
        Self::start_on(settings, senders, None).await
    }

    /// With a journal.
    async fn start_on(settings: Settings, senders: &[IpAddr], journal: Option<Arc<Journal>>) -> Self {
        let (store, changed) = (Arc::new(Memory::default()), Arc::new(Notify::new()));
        let writer = WriterState::new(WriterId(1), 1, now());
        store.put_writer(&writer).await.unwrap();
        for sender in senders {
            store.add_prefixes(*sender, &[MONITORED.parse().unwrap()]).await.unwrap();
        }
        let shared: Arc<dyn Store> = Arc::<Memory>::clone(&store);
        let collector = start(settings, shared, None, journal, writer, Arc::clone(&changed), None).await.unwrap();
        Self { store, changed, collector }
    }

    /// What was counted for a sender this year.
    async fn counted(&self, sender: IpAddr) -> Counters {
        counted(self.store.as_ref(), sender).await
    }

    /// Waits until the counts are as they should be.
    async fn until(&self, what: impl Fn(&Counts) -> bool) {
        let status = self.collector.status();
        let end = Instant::now() + DEADLINE;
        while !what(&status.counts()) {
            assert!(Instant::now() < end, "{}", status.counts());
            tokio::task::yield_now().await;
        }
    }
}

async fn counted(store: &dyn Store, sender: IpAddr) -> Counters {
    let year = Interval::containing(Period::Year, Minute::of(now()));
    let prefix: Prefix = MONITORED.parse().unwrap();
    let totals = totals(store, sender, prefix, year, TableSet::COUNTED).await.unwrap();
    assert!(totals.damaged.is_empty());
    totals.tables.get(Direction::In, Name::ALL).unwrap_or_default()
}

/// A socket of this loopback address.
fn exporter(address: IpAddr) -> UdpSocket {
    UdpSocket::bind(SocketAddr::new(address, 0)).unwrap()
}

/// Every ledger of a collector that has stopped has two equal sides; those that are named have something on them.
fn balances(status: &Status, used: &[&str]) {
    let ledgers = status.ledgers();
    assert!(ledgers.checked.is_some());
    for ledger in &ledgers.all {
        assert_eq!((ledger.left, ledger.violations), (ledger.right, 0), "{ledger:?}");
        assert!(ledger.left > 0 || !used.contains(&ledger.name), "{ledger:?}");
    }
    assert!(used.iter().all(|name| ledgers.all.iter().any(|ledger| ledger.name == *name)));
}

fn flushes(status: &Status) -> u64 {
    status.flushes().flushes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_collector_stores_all_that_it_has_read() {
    let senders = [IpAddr::from(Ipv4Addr::new(127, 0, 0, 1)), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    let bench = Bench::start(&["127.0.0.1:0", "[::1]:0"], &senders).await;
    let addresses = bench.collector.addresses();
    assert_eq!(addresses.len(), 2);
    let sent = 500;
    for (sender, address) in senders.iter().zip(&addresses) {
        let socket = exporter(*sender);
        for _ in 0..sent {
            socket.send_to(&datagram(now()), address).unwrap();
        }
    }
    // Stops while datagrams are still queued in the kernel.
    let status = bench.collector.status();
    bench.collector.stop().await.unwrap();
    assert_eq!(status.counts().datagrams[DatagramFate::Decoded] + status.counts().kernel_drops, 2 * sent);
    assert_eq!(status.counts().kernel_drops, 0);
    balances(&status, &["datagrams", "records", "flows", "values", "blocks", "store"]);
    for sender in senders {
        let expected = Counters { bytes: 100 * sent, packets: 2 * sent, flows: sent };
        assert_eq!(counted(bench.store.as_ref(), sender).await, expected);
        assert!(bench.store.sender(sender).await.unwrap().unwrap().last.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_admitted_as_soon_as_it_is_registered() {
    let bench = Bench::start(&["127.0.0.1:0"], &[]).await;
    let sender = IpAddr::from(Ipv4Addr::new(127, 0, 0, 9));
    let (socket, to) = (exporter(sender), bench.collector.addresses()[0]);
    socket.send_to(&datagram(now()), to).unwrap();
    bench.until(|counts| counts.datagrams[DatagramFate::Unregistered] == 1).await;

    bench.store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    bench.changed.notify_one();
    let end = Instant::now() + DEADLINE;
    while bench.collector.status().counts().datagrams[DatagramFate::Decoded] == 0 {
        assert!(Instant::now() < end, "still not admitted");
        socket.send_to(&datagram(now()), to).unwrap();
        tokio::task::yield_now().await;
    }

    bench.store.remove_sender(sender).await.unwrap();
    bench.changed.notify_one();
    let before = bench.collector.status().counts().datagrams[DatagramFate::Unregistered];
    let end = Instant::now() + DEADLINE;
    while bench.collector.status().counts().datagrams[DatagramFate::Unregistered] < before + 2 {
        assert!(Instant::now() < end, "still admitted");
        socket.send_to(&datagram(now()), to).unwrap();
        tokio::task::yield_now().await;
    }
    let decoded = bench.collector.status().counts().datagrams[DatagramFate::Decoded];
    let store = Arc::clone(&bench.store);
    bench.collector.stop().await.unwrap();
    assert_eq!(counted(store.as_ref(), sender).await.flows, decoded);
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_come_while_it_runs_and_every_datagram_has_a_fate() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bench = Bench::start(&["127.0.0.1:0"], &[sender]).await;
    let (socket, to) = (exporter(sender), bench.collector.addresses()[0]);
    let mut cut = datagram(now());
    cut.truncate(40);
    let mut elsewhere = datagram(now());
    elsewhere[24 + 4] = 10;
    for payload in [&datagram(now())[..], &cut, b"no export", b"", &elsewhere] {
        socket.send_to(payload, to).unwrap();
    }
    bench.until(|counts| counts.datagrams.total() == 5).await;
    let counts = bench.collector.status().counts();
    assert_eq!(counts.datagrams[DatagramFate::Decoded], 2);
    assert_eq!(counts.datagrams[DatagramFate::Damaged] + counts.datagrams[DatagramFate::UnknownVersion], 3);
    assert_eq!(counts.flows[FlowFate::Matched], 1);
    assert_eq!(counts.flows[FlowFate::Unmatched], 1);
    let status = bench.collector.status();
    let end = Instant::now() + DEADLINE;
    // A flush is counted when the store has acknowledged it.
    while bench.counted(sender).await.flows < 1 || flushes(&status) == 0 {
        assert!(Instant::now() < end, "not flushed: {:?}", status.flushes());
        tokio::task::yield_now().await;
    }
    bench.collector.stop().await.unwrap();
    balances(&status, &["datagrams", "records", "flows", "values", "blocks", "store"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_flows_after_a_registration_do_not_wait_for_the_interval() {
    let mut settings = settings(&["127.0.0.1:0"]);
    settings.reloadable.flush_interval = Duration::from_secs(24 * 3600);
    let known = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bench = Bench::start_with(settings, &[known]).await;
    let to = bench.collector.addresses()[0];
    exporter(known).send_to(&datagram(now()), to).unwrap();
    bench.until(|counts| counts.flows[FlowFate::Matched] == 1).await;

    let sender = IpAddr::from(Ipv4Addr::new(127, 0, 0, 9));
    bench.store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    bench.changed.notify_one();
    let socket = exporter(sender);
    let end = Instant::now() + DEADLINE;
    while bench.counted(sender).await.flows == 0 {
        assert!(Instant::now() < end, "not flushed: {:?}", bench.collector.status().flushes());
        socket.send_to(&datagram(now()), to).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let status = bench.collector.status();
    assert_eq!(status.flushes().flushes, 1);
    assert_eq!(bench.counted(known).await.flows, 1);
    let store = Arc::clone(&bench.store);
    bench.collector.stop().await.unwrap();
    assert_eq!(counted(store.as_ref(), sender).await.flows + 1, status.counts().flows[FlowFate::Matched]);
    balances(&status, &["datagrams", "records", "flows", "values", "blocks", "store"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_an_error_that_names_it() {
    let first = Bench::start(&["127.0.0.1:0"], &[]).await;
    let taken = first.collector.addresses()[0].to_string();
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let writer = WriterState::new(WriterId(2), 1, now());
    let Err(error) = start(settings(&[&taken]), store, None, None, writer, Arc::default(), None).await else {
        panic!("bound twice")
    };
    assert!(matches!(error, StartError::Listen { .. }));
    assert!(error.to_string().contains(&taken), "{error}");
    first.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_cannot_be_read_stops_the_start_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    // It can be opened, and not be read.
    let segment = folder.path().join("epoch-1-flush-1-writer-0000000000000001-shard-0-part-0.pcap");
    fs::create_dir(&segment).unwrap();
    let disk = Box::new(Directory::open(folder.path()).unwrap());
    let journal =
        Journal::open(disk, WriterId(1), journal::Settings { sync: Sync::Interval, limit_bytes: 1 << 20 }).unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let writer = WriterState::new(WriterId(2), 2, now());
    let started = start(settings(&["127.0.0.1:0"]), store, None, Some(journal), writer, Arc::default(), None);
    let Err(error) = started.await else { panic!("started without what it has to count") };
    assert!(matches!(error, StartError::Journal(_)), "{error}");
    assert!(
        error.to_string().contains("journal/epoch-1-flush-1-writer-0000000000000001-shard-0-part-0.pcap"),
        "{error}"
    );
    assert!(segment.exists());
}

#[tokio::test]
async fn a_clock_that_is_off_beyond_the_limit_does_not_choose_the_minute() {
    let store = Arc::new(Memory::default());
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    let received = Timestamp::from_seconds(1_391_317_260); // 2014-02-02 05:01
    let mut import = begin(&store).await;
    for seconds_off in [0_u64, 600, 601, 1_000_000_000] {
        let payload = datagram(Timestamp::from_seconds(received.seconds() - seconds_off));
        import.take(&Datagram { exporter: Exporter::udp(sender, 1), received, payload: &payload }).await.unwrap();
    }
    let counts = import.finish(received).await.unwrap();
    assert_eq!(counts.time_clamped, 2);
    let flows_in = async |minute: &str| {
        let minute = accounting::query::parse_interval(Period::Minute, minute).unwrap();
        let totals =
            totals(store.as_ref(), sender, MONITORED.parse().unwrap(), minute, TableSet::COUNTED).await.unwrap();
        totals.tables.get(Direction::In, Name::ALL).unwrap_or_default().flows
    };
    assert_eq!(flows_in("2014-02-02 05:01").await, 3);
    assert_eq!(flows_in("2014-02-02 04:51").await, 1);
}

#[tokio::test]
async fn importing_again_replaces_and_two_stores_get_the_same_blocks() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let begun = Timestamp::from_seconds(1_391_317_260);
    let stores = [Arc::new(Memory::default()), Arc::new(Memory::default())];
    let mut blocks = Vec::new();
    for (store, times) in stores.iter().zip([1, 2]) {
        store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
        for _ in 0..times {
            let mut import = begin(store).await;
            for second in 0..7200 {
                let received = Timestamp::from_seconds(begun.seconds() + second);
                let payload = datagram(received);
                let exporter = Exporter::udp(sender, 1);
                import.take(&Datagram { exporter, received, payload: &payload }).await.unwrap();
            }
            import.finish(Timestamp::from_seconds(begun.seconds() + 86_400 * 400)).await.unwrap();
        }
        let mut all = Vec::new();
        for period in Period::ALL {
            for interval in store.intervals(WriterId(7), period, Minute::EPOCH, Minute::MAX).await.unwrap() {
                let prefix = MONITORED.parse().unwrap();
                let selection = storage::Selection { interval, sender, prefix, tables: TableSet::ALL };
                all.extend(store.read_blocks(&[selection]).await.unwrap());
            }
        }
        all.sort_by_key(|block| block.key);
        blocks.push(all);
    }
    assert!(blocks[0].iter().any(|block| block.key.interval.period == Period::Year));
    assert_eq!(blocks[0], blocks[1]);
    let year = accounting::query::parse_interval(Period::Year, "2014").unwrap();
    let totals = totals(stores[1].as_ref(), sender, MONITORED.parse().unwrap(), year, TableSet::COUNTED).await.unwrap();
    let expected = Counters { bytes: 720_000, packets: 14_400, flows: 7200 };
    assert_eq!(totals.tables.get(Direction::In, Name::ALL), Some(expected));
    // Its minutes are known, and are not those of a collector that ran.
    let ran = self::totals(stores[1].as_ref(), presence::COLLECTOR, presence::PREFIX, year, TableSet::COUNTED);
    let ran = ran.await.unwrap().tables;
    let minutes = [Direction::In, Direction::Out].map(|direction| ran.get(direction, Name::ALL).map(|all| all.flows));
    assert_eq!(minutes, [None, Some(120)]);
}

async fn begin(store: &Arc<Memory>) -> Import {
    let shared: Arc<dyn Store> = Arc::<Memory>::clone(store);
    Import::begin(shared, WriterId(7), rules(), &storage::Stated::default(), Duration::from_secs(10), Keep::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_flush_accepted_without_an_answer_is_not_overwritten_by_the_next() {
    let sender = IpAddr::from(Ipv4Addr::LOCALHOST);
    let store = Arc::new(Faulty::new(Memory::default()));
    store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    let state = WriterState::new(WriterId(3), 1, now());
    store.put_writer(&state).await.unwrap();
    let shared: Arc<dyn Store> = Arc::<Faulty<Memory>>::clone(&store);
    let mut flusher = Flusher::new(shared, state, Keep::default(), Status::new(0));
    let admitted = senders::load(store.as_ref(), &storage::Stated::default()).await.unwrap().admitted();
    let mut shard = Shard::new(rules(), admitted, exporters());
    let at = now();
    let mut count = |flows: u64| {
        for _ in 0..flows {
            let payload = datagram(at);
            shard.take(&Datagram { exporter: Exporter::udp(sender, 1), received: at, payload: &payload });
        }
        Sealed::new(vec![shard.seal(Tally::new(TallySettings::default()))])
    };
    // The store carries out a put in two halves; of one block the first is empty.
    store.plan([Fault::None, Fault::After]);
    flusher.flush(&count(5), at, || true).await.unwrap_err();
    flusher.flush(&count(7), at, || true).await.unwrap();
    assert_eq!(counted(store.as_ref(), sender).await.flows, 12);
}

#[tokio::test]
async fn a_flush_that_waited_while_another_rolled_up_for_its_writer_is_in_every_period() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, sender) = (WriterId(3), IpAddr::from(Ipv4Addr::LOCALHOST));
    let store = Arc::new(Memory::default());
    store.add_prefixes(sender, &[MONITORED.parse().unwrap()]).await.unwrap();
    let begun = Timestamp::from_seconds(1_391_317_260); // 2014-02-02 05:01
    let state = WriterState::new(writer, 1, begun);
    store.put_writer(&state).await.unwrap();
    let spool = Spool::open(&folder.path().join("state"), writer, 1 << 20).unwrap();
    let shared: Arc<dyn Store> = Arc::<Memory>::clone(&store);
    let mut flusher =
        Flusher::new(Arc::clone(&shared), state, Keep::default(), Status::new(0)).over(Some(spool)).unwrap();
    let mut shard = Shard::new(
        rules(),
        senders::load(store.as_ref(), &storage::Stated::default()).await.unwrap().admitted(),
        exporters(),
    );
    let mut count = |flows: u64| {
        let payload = datagram(begun);
        for _ in 0..flows {
            shard.take(&Datagram { exporter: Exporter::udp(sender, 1), received: begun, payload: &payload });
        }
        Sealed::new(vec![shard.seal(Tally::new(TallySettings::default()))])
    };
    flusher.flush(&count(5), begun, || true).await.unwrap();
    assert!(flusher.drain_one(begun).await.unwrap());
    flusher.flush(&count(7), begun, || true).await.unwrap();
    assert_eq!(flusher.waiting(), 1);

    // For two months the store is out of its reach; another collector rolls up what it has of this writer.
    let later = begun.saturating_add(Duration::from_secs(60 * 86_400));
    let others = WriterState::new(WriterId(1), 1, later);
    store.put_writer(&others).await.unwrap();
    let mut other = Flusher::new(shared, others, Keep::default(), Status::new(0));
    other.maintain(later).await.unwrap();
    assert!(
        store.writers().await.unwrap().iter().all(|state| state.watermarks.get(Period::Day) > Some(Minute::of(begun)))
    );

    flusher.maintain(later).await.unwrap();
    assert!(flusher.drain_one(later).await.unwrap());
    flusher.maintain(later).await.unwrap();
    for (period, text) in [
        (Period::Minute, "2014-02-02 05:01"),
        (Period::Hour, "2014-02-02 05"),
        (Period::Day, "2014-02-02"),
        (Period::Month, "2014-02"),
        (Period::Year, "2014"),
    ] {
        let interval = accounting::query::parse_interval(period, text).unwrap();
        let totals =
            totals(store.as_ref(), sender, MONITORED.parse().unwrap(), interval, TableSet::COUNTED).await.unwrap();
        assert_eq!(totals.tables.get(Direction::In, Name::ALL).unwrap_or_default().flows, 12, "{text}");
    }
}
