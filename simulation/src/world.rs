//! One life of a collector: exporters send, the network and the disk and the store do what they do to it, it flushes, rolls
//! up, dies and starts again; in the end everything that was delivered is counted as the oracle says, in every period.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use accounting::block::TableSet;
use accounting::direction::Direction;
use accounting::field::{Field, Value};
use accounting::period::{Interval, Minute, Period};
use accounting::tally::{Tally, TallyLimits};
use collector::admission::Admission;
use collector::exporters::Exporters;
use collector::flusher::{Flusher, Keep};
use collector::journal::{Journal, Settings, Sync};
use collector::journalled::{self, Journalled};
use collector::ledgers::Counted;
use collector::remembered;
use collector::shard::{Rules, Sealed, Shard};
use collector::status::Status;
use flow::{Prefix, Timestamp};
use storage::faulty::Fault as StoreFault;
use storage::spool::Spool;
use storage::{Faulty, Memory, Selection, Sqlite, State, Store, WriterState, totals_many};
use tempfile::TempDir;
use wire::{Datagram, PendingBudget, PendingLimits, SessionLimits};

use crate::disk::{Fault, SimulatedDisk};
use crate::exporter::{Exporter, OCTETS, Sent, Speaks, number};
use crate::oracle::{Fate, Oracle};
use crate::random::Random;

/// 2027-12-31 22:30 UTC: soon the hour, the day, the month and the year end.
const BEGIN_SECONDS: u64 = 1_830_292_200;
const CLOCK_LIMIT: Duration = Duration::from_secs(600);
const SHARDS: usize = 2;
const STEPS: u64 = 120;

/// A life that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Flows that were delivered.
    pub delivered: usize,
    /// Of how many of them it is not known whether they are counted: they were in memory or not synced at a crash.
    pub uncertain: usize,
    /// What has happened, and at its end everything that is counted.
    pub story: Vec<String>,
}

/// Lives through everything that follows from the seed.
///
/// # Panics
/// When anything is not counted as it should be.
#[must_use]
pub fn live(seed: u64) -> Life {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        let steps = 20 + world.random.below(STEPS);
        for _ in 0..steps {
            world.step().await;
        }
        world.end().await;
        let (delivered, uncertain) = world.oracle.summary();
        Life { delivered, uncertain, story: std::mem::take(&mut world.story) }
    })
}

/// Where blocks are kept.
enum Stored {
    /// A store on the network, reached over the spool.
    Remote(Arc<Faulty<Memory>>),
    /// The embedded store: in one file with the collector's identity.
    Embedded,
}

struct World {
    random: Random,
    now: Timestamp,
    folder: TempDir,
    stored: Stored,
    disk: SimulatedDisk,
    process: Option<Process>,
    exporters: Vec<Exporter>,
    flows: u32,
    oracle: Oracle,
    /// What has happened, for who has to find out why it went wrong.
    story: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story.join("\n"));
        }
    }
}

/// A collector that is running.
struct Process {
    store: Arc<dyn Store>,
    status: Status,
    /// Until the last cut.
    counted: Counted,
    exporters: Exporters,
    journal: Arc<Journal>,
    shards: Vec<Arc<Mutex<Journalled>>>,
    flusher: Flusher,
    empties: Vec<Tally>,
    /// Sealed and not flushed, and how what waited then is in the segment that it was carried into.
    sealed: Option<(Sealed, Fate)>,
    /// How many datagrams the journal had missed at the last cut, and at the last one whose flush is durable.
    missed_at_cut: u64,
    missed_before: u64,
    _identity: State,
}

impl Process {
    /// What goes into a step comes out of it.
    fn balance(&self, now: Timestamp) {
        self.status.check(&self.counted, now);
        for ledger in self.status.ledgers().all {
            assert_eq!(ledger.left, ledger.right, "{ledger:?}");
        }
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let now = Timestamp::from_seconds(BEGIN_SECONDS);
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let stored =
            if random.once_in(3) { Stored::Embedded } else { Stored::Remote(Arc::new(Faulty::new(Memory::default()))) };
        let speakers = [Speaks::V5, Speaks::V9, Speaks::Ipfix, Speaks::Sflow, Speaks::V9];
        let exporters = (1..).zip(speakers).map(|(last, speaks)| Exporter::new(last, speaks, now)).collect();
        let disk = SimulatedDisk::default();
        let oracle = Oracle::default();
        let mut world =
            Self { random, now, folder, stored, disk, process: None, exporters, flows: 0, oracle, story: Vec::new() };
        let store = world.store();
        for exporter in &world.exporters {
            store.add_prefixes(exporter.address.address, &[prefix()]).await.unwrap();
        }
        drop(store);
        world.start().await;
        world
    }

    fn store(&self) -> Arc<dyn Store> {
        match &self.stored {
            Stored::Remote(store) => Arc::<Faulty<Memory>>::clone(store),
            Stored::Embedded => Arc::new(Sqlite::open(&self.folder.path().join("state")).unwrap()),
        }
    }

    /// As `netflow serve` does.
    async fn start(&mut self) {
        self.disk.plan([]);
        self.disk.fail_always(None);
        if let Stored::Remote(store) = &self.stored {
            store.plan([]);
        }
        let state_file = self.folder.path().join("state");
        let mut identity = State::open(&state_file).unwrap();
        let store = self.store();
        let writer = identity.writer();
        let known = store.writers().await.unwrap().into_iter().find(|known| known.writer == writer);
        let known = known.unwrap_or_else(|| WriterState::new(writer, 0, self.now));
        let state = WriterState { epoch: identity.next_epoch_after(known.epoch).unwrap(), seen: self.now, ..known };
        store.put_writer(&state).await.unwrap();
        let spool = match self.stored {
            Stored::Remote(_) => Some(Spool::open(&state_file, writer, 64 << 20).unwrap()),
            Stored::Embedded => None,
        };
        let settings = Settings { sync: Sync::Interval, limit_bytes: 1 << 20 };
        let journal = Journal::open(Box::new(self.disk.clone()), settings).unwrap();
        if let Some(durable) = identity.durable().unwrap() {
            journal.release(durable);
        }
        let admitted = Admission::load(store.as_ref()).await.unwrap().admitted();
        let waiting = PendingBudget::default();
        let remembered = remembered::load(store.as_ref(), spool.as_ref(), rules().session, &waiting).await;
        let exporters = Exporters::new(rules().session, waiting).remembering(remembered);
        let status = Status::new(SHARDS);
        let flusher = Flusher::new(Arc::clone(&store), state, Keep::default(), status.clone()).over(spool).unwrap();
        let flusher = flusher.releasing(Some(Arc::clone(&journal)));
        let shard = || Shard::new(rules(), Arc::clone(&admitted), exporters.clone());
        let (shards, recovered) = journalled::begin(&status, Some(&journal), shard, &exporters, flusher.next());
        let empties = (0..SHARDS).map(|_| Tally::new(rules().tally)).collect();
        let waiting = self.waiting(&exporters);
        self.story.push(format!(
            "starts, recovered {:?}, waiting {waiting:?}",
            recovered.as_ref().map(|_| status.recovery().to_string())
        ));
        let sealed = recovered.map(|sealed| {
            // What was left was synced, as far as that is possible.
            self.oracle.change(|fate| if fate == Fate::Written { Fate::Synced } else { fate });
            self.oracle.cut(&waiting);
            (sealed, written(journal.counts().missed == 0))
        });
        self.process = Some(Process {
            store,
            status,
            counted: Counted::default(),
            exporters,
            journal,
            shards,
            flusher,
            empties,
            sealed,
            missed_at_cut: 0,
            missed_before: 0,
            _identity: identity,
        });
    }

    /// The flows that wait for their template.
    fn waiting(&self, exporters: &Exporters) -> BTreeSet<(usize, u32)> {
        let messages = exporters.waiting();
        let each = self.exporters.iter().enumerate();
        each.flat_map(|(number, exporter)| exporter.flows_in(&messages).into_iter().map(move |flow| (number, flow)))
            .collect()
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..40 => self.deliver(),
            40..50 => self.tick(),
            50..62 => self.cut(),
            62..76 => self.flush().await,
            76..82 => self.pass(),
            82..86 => self.roll_up().await,
            86..90 => self.plan_faults(),
            90..94 => self.disturb_an_exporter(),
            _ => self.crash().await,
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it is running")
    }

    /// Some datagrams come out of the network: late, twice, or not at all.
    fn deliver(&mut self) {
        let mut network = Vec::new();
        for _ in 0..=self.random.below(6) {
            let from = self.random.below(self.exporters.len() as u64) as usize;
            let flows: Vec<u32> = (0..=self.random.below(3) as u32).map(|more| self.flows + more).collect();
            self.flows += flows.len() as u32;
            let exporter = &mut self.exporters[from];
            let sent = if self.random.once_in(8) { exporter.announce(self.now) } else { None };
            network.extend(sent.map(|sent| (from, sent)));
            let sent = exporter.send(self.now, flows);
            if self.random.once_in(12) {
                continue;
            }
            // What waits for its template twice could not be told apart.
            if self.random.once_in(12) && !exporter.has_templates() {
                network.push((from, sent.clone()));
            }
            network.push((from, sent));
            let length = network.len();
            network.swap(self.random.below(length as u64) as usize, length - 1);
        }
        self.take(&network);
    }

    /// A shard takes a batch. Receive times differ, as the kernel's do.
    fn take(&mut self, batch: &[(usize, Sent)]) {
        let shard = self.random.below(SHARDS as u64) as usize;
        let missed = self.process().journal.counts().missed;
        let mut delivered = Vec::new();
        let shards = self.process().shards.clone();
        let mut held = shards[shard].lock().unwrap();
        held.read += batch.len() as u64;
        for (from, sent) in batch {
            self.now = self.now.saturating_add(Duration::from_millis(1));
            let (exporter, received) = (self.exporters[*from].address, self.now);
            held.take(&Datagram { exporter, received, payload: &sent.payload }, "0.0.0.0:2055".parse().unwrap());
            let exported = sent.exported.filter(|exported| exported.abs_diff(received) <= CLOCK_LIMIT);
            let minute = Minute::of(exported.unwrap_or(received));
            delivered.extend(sent.flows.iter().map(|flow| (*flow, *from, minute)));
        }
        held.commit();
        drop(held);
        let is_written = self.process().journal.counts().missed == missed;
        let flows: Vec<_> = batch.iter().map(|(from, sent)| format!("{from}:{sent}")).collect();
        self.story.push(format!("shard {shard} takes {}{}", flows.join(" "), if is_written { "" } else { ", missed" }));
        for (flow, from, minute) in delivered {
            self.oracle.delivered(flow, from, minute, written(is_written));
        }
    }

    fn tick(&mut self) {
        let before = self.process().journal.counts().sync_errors;
        self.process().journal.tick();
        let failed = self.process().journal.counts().sync_errors > before;
        self.story.push(format!("tick{}", if failed { ", not synced" } else { "" }));
        self.synced(!failed);
    }

    /// The journal was synced, or it could not be.
    fn synced(&mut self, succeeded: bool) {
        let becomes = |fate| match fate {
            Fate::Written if succeeded => Fate::Synced,
            Fate::Written => Fate::Doubtful,
            fate => fate,
        };
        self.oracle.change(becomes);
        if let Some((_, carried)) = &mut self.process().sealed {
            *carried = becomes(*carried);
        }
    }

    /// All shards are sealed, unless the flusher has not done with what it has.
    fn cut(&mut self) {
        if self.process().sealed.is_some() {
            return;
        }
        let process = self.process();
        let empties = std::mem::take(&mut process.empties);
        let missed = process.journal.counts().missed;
        let behind = process.flusher.next().following();
        let Process { shards, exporters, journal, counted, .. } = process;
        let sealed = journalled::cut(shards, exporters, empties, Some(&**journal), behind, counted);
        let carried = process.journal.counts().missed == missed;
        process.sealed = Some((sealed, written(carried)));
        process.missed_at_cut = missed;
        let waiting = self.waiting(&self.process.as_ref().unwrap().exporters);
        self.story.push(format!("cut, carried {carried}, waiting {waiting:?}"));
        self.oracle.cut(&waiting);
    }

    /// What was sealed becomes a flush; when the store does not take it, the process dies of it, as at a stop.
    async fn flush(&mut self) {
        let now = self.now;
        let process = self.process();
        if let Some((sealed, carried)) = process.sealed.take() {
            let before = process.journal.counts().sync_errors;
            if process.flusher.flush(&sealed, now, || true).await.is_err() {
                return self.die().await;
            }
            let synced = process.journal.counts().sync_errors == before;
            process.balance(now);
            let number = process.flusher.next();
            self.story.push(format!("flushed all before {number:?}, synced {synced}"));
            let process = self.process();
            process.missed_before = process.missed_at_cut;
            process.empties = sealed.tallies;
            process.empties.iter_mut().for_each(Tally::clear);
            process.empties.resize_with(SHARDS, || Tally::new(rules().tally));
            self.oracle.flushed(carried);
            self.synced(synced);
        }
        // What does not go through goes on waiting in the spool.
        for _ in 0..self.random.below(3) {
            let _ = self.process().flusher.drain_one(now).await;
        }
    }

    fn pass(&mut self) {
        let seconds = *self.random.pick(&[1, 10, 60, 600, 3600, 30_000]);
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
    }

    async fn roll_up(&mut self) {
        let now = self.now;
        let rolled_up = self.process().flusher.maintain(now).await;
        self.story.push(format!("rolls up: {rolled_up:?}"));
    }

    fn plan_faults(&mut self) {
        self.story.push("faults are planned".into());
        let kinds = [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::Interrupted, ErrorKind::ReadOnlyFilesystem];
        let kind = *self.random.pick(&kinds);
        let nth = self.random.below(12) as usize;
        match self.random.below(4) {
            // The n-th call.
            0 => {
                let fault = if self.random.once_in(3) { Fault::Short } else { Fault::Error(kind) };
                self.disk.plan(std::iter::repeat_n(Fault::None, nth).chain([fault, fault]));
            }
            1 if kind != ErrorKind::Interrupted => self.disk.fail_always(Some(kind)),
            2 => self.disk.fail_always(None),
            _ => {
                let Stored::Remote(store) = &self.stored else { return };
                let faults = [StoreFault::None, StoreFault::Before, StoreFault::After];
                let plan: Vec<_> = (0..nth).map(|_| *self.random.pick(&faults)).collect();
                store.plan(plan);
            }
        }
    }

    fn disturb_an_exporter(&mut self) {
        let which = self.random.below(self.exporters.len() as u64) as usize;
        let now = self.now;
        match self.random.below(3) {
            0 => self.exporters[which].step_clock(&mut self.random),
            1 => self.exporters[which].reboot(now),
            _ => self.redefine(which),
        }
        self.story.push(format!("now: {which} {:?}", self.exporters[which]));
    }

    /// A template changes. What was sent before has been delivered, nothing overtakes the announcement, and no disk or
    /// power fails until it is synced: else what comes behind it could be all that is left, and nobody could say by which
    /// of both to read that. Nor may the journal have missed what was announced before and is not durable.
    fn redefine(&mut self, which: usize) {
        let now = self.now;
        let waits = self.waiting(&self.process.as_ref().unwrap().exporters);
        let is_journalled = self.process().journal.counts().missed == self.process().missed_before;
        if !self.exporters[which].has_templates()
            || waits.iter().any(|(exporter, _)| *exporter == which)
            || !is_journalled
        {
            return;
        }
        self.exporters[which].redefine();
        self.disk.plan([]);
        self.disk.fail_always(None);
        self.tick();
        let announcement = self.exporters[which].announce(now).unwrap();
        self.take(&[(which, announcement)]);
        self.tick();
    }

    /// The process is killed, or the power goes.
    async fn crash(&mut self) {
        let power = self.random.once_in(2);
        self.story.push(if power { "the power goes".into() } else { "killed".into() });
        self.process = None;
        if power {
            self.disk.lose_power(&mut self.random);
        }
        self.oracle.crashed(power);
        self.start().await;
        // An announcement that was lost with the process is made again before any data.
        for which in 0..self.exporters.len() {
            if let Some(announcement) = self.exporters[which].announce(self.now).filter(|_| power) {
                self.take(&[(which, announcement)]);
            }
        }
    }

    /// It is killed where it is.
    async fn die(&mut self) {
        self.story.push("dies of a flush".into());
        self.process = None;
        self.oracle.crashed(false);
        self.start().await;
    }

    /// All that is still to come comes, everything ends, and all of it must be there.
    async fn end(&mut self) {
        self.disk.plan([]);
        self.disk.fail_always(None);
        if let Stored::Remote(store) = &self.stored {
            store.plan([]);
        }
        self.tick();
        for which in 0..self.exporters.len() {
            if let Some(announcement) = self.exporters[which].announce(self.now) {
                self.take(&[(which, announcement)]);
            }
        }
        for _ in 0..2 {
            self.flush().await;
            self.cut();
        }
        self.flush().await;
        let now = self.now;
        let process = self.process();
        while process.flusher.drain_one(now).await.unwrap() {}
        assert_eq!(process.journal.segments(), 0, "the journal is empty when all is durable");
        self.check().await;
        self.now = now.saturating_add(Duration::from_secs(400 * 86_400));
        let now = self.now;
        self.process().flusher.maintain(now).await.unwrap();
        self.check().await;
    }

    /// Every interval of every period counts each flow as often as it has to.
    async fn check(&mut self) {
        let store = Arc::clone(&self.process().store);
        for (which, exporter) in self.exporters.iter().enumerate() {
            let expected = self.oracle.expected(which);
            let minutes: BTreeSet<Minute> = expected.keys().map(|(minute, _)| *minute).collect();
            let counted = counted(store.as_ref(), exporter.address.address, &minutes, Period::Minute).await;
            self.story.push(format!("{which} counted: {counted:?}"));
            for ((minute, flow), count) in &counted {
                let expected = expected.get(&(*minute, *flow)).copied().unwrap_or_default();
                let is_right = (expected.least..=expected.most).contains(count);
                assert!(is_right, "{exporter:?}: flow {flow} counts {count} times in {minute:?}, not {expected:?}");
            }
            for ((minute, flow), expected) in &expected {
                let count = counted.get(&(*minute, *flow)).copied().unwrap_or_default();
                assert!(
                    expected.least <= count,
                    "{exporter:?}: flow {flow} counts {count} times in {minute:?}, not {expected:?}"
                );
            }
            for period in [Period::Hour, Period::Day, Period::Month, Period::Year] {
                let mut summed: BTreeMap<(Minute, u32), u64> = BTreeMap::new();
                for ((minute, flow), count) in &counted {
                    *summed.entry((Interval::containing(period, *minute).start, *flow)).or_default() += count;
                }
                let coarse = counted_in(store.as_ref(), exporter.address.address, &minutes, period).await;
                assert_eq!(coarse, summed, "{exporter:?}: {} and its minutes", period.name());
            }
        }
    }
}

async fn counted(
    store: &dyn Store,
    sender: IpAddr,
    minutes: &BTreeSet<Minute>,
    period: Period,
) -> BTreeMap<(Minute, u32), u64> {
    counted_in(store, sender, minutes, period).await
}

/// How often each flow is counted in the intervals of a period that these minutes lie in.
async fn counted_in(
    store: &dyn Store,
    sender: IpAddr,
    minutes: &BTreeSet<Minute>,
    period: Period,
) -> BTreeMap<(Minute, u32), u64> {
    let intervals: BTreeSet<_> = minutes.iter().map(|minute| Interval::containing(period, *minute)).collect();
    let ask = |interval| Selection { interval, sender, prefix: prefix(), tables: TableSet::ALL };
    let questions: Vec<_> = intervals.iter().copied().map(ask).collect();
    let answers = totals_many(store, &questions).await.unwrap();
    let mut counted = BTreeMap::new();
    for (interval, answer) in intervals.iter().zip(answers) {
        assert_eq!(answer.damaged, []);
        for (direction, name, counters) in answer.tables.rows_of(Field::SourceAddress) {
            let Value::Address(address) = name.value else { panic!("{name:?}") };
            let flow = number(address).filter(|_| direction == Direction::In);
            let flow = flow.unwrap_or_else(|| panic!("{sender}: {address} {direction:?} was never sent"));
            assert_eq!((counters.bytes, counters.packets), (counters.flows * u64::from(OCTETS), counters.flows));
            counted.insert((interval.start, flow), counters.flows);
        }
    }
    counted
}

fn written(is_written: bool) -> Fate {
    if is_written { Fate::Written } else { Fate::Missed }
}

fn prefix() -> Prefix {
    "192.0.2.0/24".parse().unwrap()
}

fn rules() -> Rules {
    // Nothing is to expire but by a fault.
    let pending = PendingLimits { age: Duration::from_secs(1000 * 86_400), ..PendingLimits::default() };
    Rules {
        scale_samples: true,
        clock_limit: CLOCK_LIMIT,
        session: SessionLimits { pending, ..SessionLimits::default() },
        tally: TallyLimits::default(),
    }
}
