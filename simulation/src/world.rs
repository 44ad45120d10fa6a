//! One run of the simulation. Exporters send; network, disk and store fail; the collector flushes, rolls up, crashes
//! and restarts. At the end, everything that was delivered must be counted in every period as the oracle expects.

mod changes;
mod connections;
mod crashes;
mod damage;
mod faults;
mod network;
mod reading;
mod strangers;
mod totals;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use accounting::period::{Minute, Period};
use accounting::tally::{Tally, TallySettings};
use collector::journaled_shard;
use flow::{Counted, Exporter as Address, Timestamp};
use journal::SegmentName;
use journal::disk::Disk;
use pipeline::Exporters;
use storage::faulty::Fault as StoreFault;
use storage::{BackupSource, Faulty, Memory, Sqlite, Store};
use tempfile::TempDir;
use wire::Datagram;

use self::changes::Changes;
use self::connections::Connections;
use self::totals::Totals;
use crate::audit::audit;
use crate::exporter::{Exporter, Meaning, Sent, Speaks};
use crate::oracle::{Fate, Oracle, Received};
use crate::process::{Process, Reachable, SHARDS, STATE, rules};
use crate::readers::Target;
use crate::terms::prefixes;
use testing::Random;
use testing::disk::{Fault, Killed, SimulatedDisk};

/// 2027-12-31 22:30 UTC, shortly before the end of an hour, a day, a month and a year.
const BEGIN_SECONDS: u64 = 1_830_292_200;
/// A backup of the database.
const BACKUP: &str = "backup";
/// Maximum number of events in a run, and in a short run.
const STEPS: u64 = 140;
const STEPS_OF_SHORT_RUNS: u64 = 40;

/// The result of a successful run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Delivered flows.
    pub delivered: usize,
    /// Delivered flows that may or may not be counted, because they were in memory or not synced at a crash.
    pub uncertain: usize,
    /// The events, and at the end all counts.
    pub story: Vec<String>,
}

/// Simulates the run that follows from the seed.
///
/// # Panics
/// If any flow is not counted as expected.
#[must_use]
pub fn simulate(seed: u64) -> Run {
    run(seed, STEPS, SimulatedDisk::default()).0
}

/// Simulates a short run in which the n-th call to the journal's disk, from 1, has a fault. `None` if the run has no
/// such call.
///
/// # Panics
/// If any flow is not counted as expected.
#[must_use]
pub fn simulate_with(seed: u64, nth: u64, fault: Fault) -> Option<Run> {
    let (run, calls) = run(seed, STEPS_OF_SHORT_RUNS, SimulatedDisk::failing_at(nth, fault));
    (calls >= nth).then_some(run)
}

fn run(seed: u64, most_steps: u64, disk: SimulatedDisk) -> (Run, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed, disk).await;
        let steps = 20 + world.random.below(most_steps - 20);
        for _ in 0..steps {
            world.step().await;
        }
        world.end().await;
        let (delivered, uncertain) = world.oracle.summary();
        let run = Run { delivered, uncertain, story: std::mem::take(&mut world.story) };
        (run, world.disk.calls())
    })
}

/// The result of the work; `None` if the process was killed during it.
async fn surviving<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(progress) => progress.map(Some),
        Err(cause) if cause.is::<Killed>() => Poll::Ready(None),
        Err(cause) => resume_unwind(cause),
    })
    .await
}

/// The store.
enum Stored {
    /// A store on the network, with a spool.
    Remote(Arc<Faulty<Memory>>),
    /// The embedded store, in one file with the collector's identity.
    Embedded,
}

struct World {
    random: Random,
    now: Timestamp,
    folder: TempDir,
    stored: Stored,
    disk: SimulatedDisk,
    process: Option<Process>,
    /// Decides which databases are lost: a run without losses is the same as ever.
    losses: Random,
    /// Decides at which starts the store is unreachable.
    outages: Random,
    /// Whether the database may be lost. Then no template changes: a backup may have an older one than the journal needs.
    loses_databases: bool,
    has_backup: bool,
    /// Whether it was.
    lost_database: bool,
    changes: Changes,
    /// Decides which bits of the journal are flipped, and whether any. If so, no template changes, as if databases were lost.
    flips: Random,
    flips_bits: bool,
    /// Decides what strangers send, and whether any do.
    strangers: Random,
    has_strangers: bool,
    totals: Totals,
    connections: Connections,
    /// Decides when the log is read, and whether it has readers.
    reading: Random,
    has_readers: bool,
    /// Whether the reader that is added later is there.
    has_late_reader: bool,
    /// Whether everything that was counted is in the log.
    is_log_whole: bool,
    /// Whether no start failed to store the cursor of a reader.
    has_cursors: bool,
    /// What the readers have stored.
    targets: BTreeMap<&'static str, Target>,
    /// Segments with flipped bits that are not counted yet.
    flipped: BTreeSet<String>,
    exporters: Vec<Exporter>,
    /// Datagrams still in the network, with the index of their exporter.
    late: Vec<(usize, Sent)>,
    flows: u32,
    oracle: Oracle,
    /// The number of deliveries before the batch that a shard takes.
    first_of_batch: usize,
    /// The events so far, printed if the run fails.
    story: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story.join("\n"));
        }
    }
}

impl World {
    async fn new(seed: u64, disk: SimulatedDisk) -> Self {
        let mut random = Random::new(seed);
        let now = Timestamp::from_seconds(BEGIN_SECONDS);
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let stored =
            if random.once_in(3) { Stored::Embedded } else { Stored::Remote(Arc::new(Faulty::new(Memory::default()))) };
        let speakers = [Speaks::V5, Speaks::V9, Speaks::Ipfix, Speaks::Sflow, Speaks::V9];
        let exporters: Vec<_> = (1..).zip(speakers).map(|(last, speaks)| Exporter::new(last, speaks, now)).collect();
        let oracle = Oracle::default();
        let (process, late, flows, story) = (None, Vec::new(), 0, Vec::new());
        let (mut losses, outages) = (Random::new(!seed), Random::new(seed.rotate_left(32)));
        let (loses_databases, has_backup) = (losses.once_in(3), false);
        let mut flips = Random::new(seed.rotate_left(48));
        let flips_bits = flips.once_in(3);
        let mut strangers = Random::new(seed.rotate_left(24));
        let has_strangers = strangers.once_in(2);
        let mut reading = Random::new(seed.rotate_left(8));
        let has_readers = reading.once_in(2);
        let changes = Changes::new(seed, exporters.len());
        let mut world = Self {
            random,
            now,
            folder,
            stored,
            disk,
            process,
            losses,
            outages,
            loses_databases,
            has_backup,
            lost_database: false,
            changes,
            flips,
            flips_bits,
            strangers,
            has_strangers,
            totals: Totals::new(seed),
            connections: Connections::new(seed),
            reading,
            has_readers,
            has_late_reader: false,
            is_log_whole: true,
            has_cursors: true,
            targets: BTreeMap::new(),
            flipped: BTreeSet::new(),
            exporters,
            late,
            flows,
            oracle,
            first_of_batch: 0,
            story,
        };
        world.register().await;
        if surviving(world.start()).await.is_none() {
            world.start().await;
        }
        world
    }

    fn store(&self) -> Arc<dyn Store> {
        match &self.stored {
            Stored::Remote(store) => Arc::<Faulty<Memory>>::clone(store),
            Stored::Embedded => Arc::new(Sqlite::open(&self.folder.path().join(STATE)).unwrap()),
        }
    }

    /// Starts a collector. Retries if it cannot start, at the latest without faults.
    async fn start(&mut self) {
        if let Stored::Remote(store) = &self.stored {
            store.plan([]);
        }
        let remote = loop {
            let store = self.store();
            let remote = matches!(self.stored, Stored::Remote(_)).then(|| Reachable(!self.outages.once_in(3)));
            let (settings, readers) = (self.changes.settings, self.readers());
            match Process::start(store, remote, self.folder.path(), &self.disk, settings, readers, self.now).await {
                Ok(mut process) => {
                    process.readers.iter_mut().for_each(|reader| reader.keep_rows(self.reading.once_in(2)));
                    self.process = Some(process);
                    break remote;
                }
                // Without the identity in the segment's name, which is another in each run.
                Err(error) => {
                    let error = error.to_string();
                    let what = error.split_once("-writer-").map_or(error.as_str(), |(what, _)| what);
                    self.story.push(format!("cannot start: {what}"));
                }
            }
            // No later sync makes durable what was written before a failed one.
            self.oracle.synced(false);
            if self.random.once_in(2) {
                self.nothing_fails();
            }
        };
        let is_without_store = remote == Some(Reachable(false));
        self.admits(if is_without_store { self.changes.known.clone() } else { self.changes.registered.clone() });
        let process = self.process();
        let (recovered, counts) = (process.sealed.is_some(), process.status.recovery().counts);
        // A reader without a cursor of before begins where the others are, with what is announced at a later start.
        let has_cursors = process.journal.counts().write_errors == 0;
        // The start has tried to sync the segments that it found.
        let is_synced = process.journal.counts().sync_errors == 0;
        let waiting = self.waiting();
        self.story.push(format!("starts, store {remote:?}, recovered {recovered} {counts}, waiting {waiting:?}"));
        if is_without_store && self.lost_database {
            // Only the store has the templates that were announced to the collector before.
            self.templates_may_be_lost();
        }
        self.oracle.started(&waiting);
        self.has_cursors &= has_cursors;
        self.is_log_whole &= has_cursors;
        if recovered {
            self.check_damage();
            self.oracle.synced(is_synced);
            self.oracle.cut(&waiting);
        }
        if !is_without_store {
            self.refresh().await;
        }
    }

    /// The flows that are queued for their template.
    fn waiting(&self) -> BTreeSet<(usize, u32)> {
        let messages = self.process.as_ref().map(|process| process.exporters.waiting()).unwrap_or_default();
        let each = self.exporters.iter().enumerate();
        each.flat_map(|(number, exporter)| exporter.flows_in(&messages).into_iter().map(move |flow| (number, flow)))
            .collect()
    }

    /// One event. A process that it kills is restarted, and may be killed again during the start.
    async fn step(&mut self) {
        self.may_change(8).await;
        let mut survives = surviving(self.act()).await.is_some();
        while !survives {
            survives = surviving(self.crash()).await.is_some();
        }
    }

    async fn act(&mut self) {
        match self.random.below(100) {
            0..40 => {
                self.deliver().await;
                self.may_forge();
                self.may_report_totals();
                self.may_send_in_a_connection();
            }
            40..50 => self.tick(),
            50..62 => self.cut(),
            62..76 => self.flush().await,
            76..82 => self.pass().await,
            82..86 => self.roll_up().await,
            86..90 => self.plan_faults(),
            93 if self.loses_databases => self.back_up(),
            90..94 => self.disturb_an_exporter(),
            _ => self.crash().await,
        }
        self.read();
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it is running")
    }

    fn tick(&mut self) {
        let before = self.process().journal.counts().sync_errors;
        self.process().journal.tick();
        let failed = self.process().journal.counts().sync_errors > before;
        self.story.push(format!("tick{}", if failed { ", not synced" } else { "" }));
        self.synced(!failed);
    }

    /// The journal was synced, or its sync failed.
    fn synced(&mut self, succeeded: bool) {
        self.oracle.synced(succeeded);
        if let Some((_, carried)) = &mut self.process().sealed {
            *carried = carried.synced(succeeded);
        }
    }

    /// Seals all shards, unless the flusher is still busy with the last cut.
    fn cut(&mut self) {
        if self.process().sealed.is_some() {
            return;
        }
        self.check_streams();
        let process = self.process();
        if let Some(honest) = &mut process.honest {
            honest.shard.seal(Tally::new(TallySettings::default()));
        }
        let empties = std::mem::take(&mut process.empties);
        let missed = process.journal.counts().missed;
        let following = process.flusher.next().following();
        let Process { shards, exporters, journal, counted, .. } = process;
        let sealed = journaled_shard::cut(shards, exporters, empties, Some(&**journal), following, counted);
        let carried = process.journal.counts().missed == missed;
        process.sealed = Some((sealed, Fate::written(carried)));
        process.missed_at_cut = missed;
        let waiting = self.waiting();
        self.story.push(format!("cut, carried {carried}, waiting {waiting:?}"));
        self.oracle.cut(&waiting);
    }

    /// Flushes what is sealed. If the store refuses it, the process exits, as at a stop.
    async fn flush(&mut self) {
        let now = self.now;
        let process = self.process();
        if let Some((sealed, _)) = &process.sealed {
            let before = process.journal.counts().sync_errors;
            (process.is_flushing, process.syncs_failed) = (true, before);
            if process.flusher.flush(sealed, now, || true).await.is_err() {
                return self.die().await;
            }
            process.is_flushing = false;
            let is_synced = process.journal.counts().sync_errors == before;
            process.balance(now);
            let number = process.flusher.next();
            self.story.push(format!("flushed all before {number:?}, synced {is_synced}"));
            self.synced(is_synced);
            if let Some((sealed, carried)) = self.process().sealed.take() {
                self.process().empty(sealed);
                self.oracle.flushed(carried);
            }
        }
        // A flush that fails here stays in the spool.
        for _ in 0..self.random.below(3) {
            let _ = self.process().flusher.drain_one(now).await;
        }
        if matches!(self.stored, Stored::Remote(_)) && self.process().flusher.waiting() == 0 {
            self.oracle.stored();
        }
    }

    async fn pass(&mut self) {
        let seconds = *self.random.pick(&[1, 10, 60, 600, 3600, 30_000]);
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
        if self.changes.are_made {
            self.refresh().await;
        }
    }

    async fn roll_up(&mut self) {
        let now = self.now;
        let rolled_up = self.process().flusher.maintain(now).await;
        self.story.push(format!("rolls up: {rolled_up:?}"));
    }

    /// Delivers everything that is left, flushes it, and audits the result.
    async fn end(&mut self) {
        self.nothing_fails();
        self.disk.spare(true);
        if let Stored::Remote(store) = &self.stored {
            store.plan([]);
        }
        for which in 0..self.exporters.len() {
            self.changes.registered.entry(which).or_default();
        }
        self.register().await;
        self.refresh().await;
        self.tick();
        let late = std::mem::take(&mut self.late);
        self.take(&late);
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
        self.read_to_the_end();
        self.audit().await;
        self.now = now.saturating_add(Duration::from_secs(400 * 86_400));
        let now = self.now;
        self.process().flusher.maintain(now).await.unwrap();
        self.audit().await;
    }

    /// Checks that every interval of every period counts each flow as often as expected.
    async fn audit(&mut self) {
        let store = Arc::clone(&self.process().store);
        for (which, exporter) in self.exporters.iter().enumerate() {
            let expected = prefixes().map(|prefix| (prefix, self.oracle.expected(which, prefix)));
            let minutes = expected.iter().flat_map(|(_, flows)| flows.keys()).map(|place| place.minute).collect();
            // Without changes, only the first one is ever registered.
            for (prefix, expected) in expected.into_iter().take(if self.changes.are_made { 2 } else { 1 }) {
                let of = (exporter.address.address, prefix);
                let counted = audit(store.as_ref(), of, &minutes, &expected).await;
                self.check_readers(which, of, &counted);
                self.story.push(format!("{which} {prefix} counted: {counted:?}"));
            }
            if self.has_strangers && which == 0 {
                let [prefix, _] = prefixes();
                audit(store.as_ref(), (strangers::UNREGISTERED, prefix), &minutes, &BTreeMap::new()).await;
            }
        }
        self.check_totals(store.as_ref()).await;
        self.check_connections(store.as_ref()).await;
    }
}
