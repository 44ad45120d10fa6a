//! The journal against a model of it: random operations from a seed on a disk that fails, flips bits, loses power and
//! kills the process. What recovery and readers hand out equals what the model expects. `SEEDS=0..100000` tries more, `SEED=17` shows the
//! operations of that one (`-- --nocapture`).
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::ErrorKind;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use flow::{Counted, Exporter, FlushNumber, Timestamp, WriterId};
use journal::disk::Disk;
use journal::{EntryKind, Journal, SegmentName, Settings, Sync, Unreadable, Writer};
use testing::Random;
use testing::disk::{Fault, Killed, SimulatedDisk};

use crate::model::{Entry, Model};

const SEEDS: Range<u64> = 0..400;
const OPERATIONS: usize = 120;
const SHARDS: u16 = 2;
const WRITER: WriterId = WriterId(7);
const SOURCE: &str = "192.0.2.1:4000";

fn exporter() -> Exporter {
    let source: std::net::SocketAddr = SOURCE.parse().unwrap();
    Exporter::udp(source.ip(), source.port())
}

/// A process with its journal, and what the model has to know of it beside.
struct Process {
    journal: Arc<Journal>,
    writers: Vec<Writer>,
    /// Taken and not committed, by shard.
    taken: Vec<Vec<Entry>>,
    /// Taken while nothing is written, by shard.
    refused: Vec<u64>,
    /// Counted now.
    flush: FlushNumber,
    /// The disk refused; nothing is written until the next tick.
    is_resting: bool,
    written: u64,
    missed: u64,
}

struct Run {
    random: Random,
    disk: SimulatedDisk,
    settings: Settings,
    model: Model,
    process: Process,
    /// Datagrams of which sets may be queued for a template.
    waiting: Vec<Entry>,
    /// What older copies of the database count.
    backups: Vec<Vec<Counted>>,
    next_id: u64,
    is_shown: bool,
}

/// `false` when the disk killed the process meanwhile.
fn survives(work: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => true,
        Err(cause) if cause.is::<Killed>() => false,
        Err(cause) => resume_unwind(cause),
    }
}

fn process(journal: Arc<Journal>, flush: FlushNumber) -> Process {
    Process {
        writers: (0..SHARDS).map(|shard| journal.writer(shard, flush)).collect(),
        journal,
        taken: vec![Vec::new(); SHARDS.into()],
        refused: vec![0; SHARDS.into()],
        flush,
        is_resting: false,
        written: 0,
        missed: 0,
    }
}

impl Run {
    fn new(seed: u64, is_shown: bool) -> Self {
        let mut random = Random::new(seed);
        let settings = Settings {
            sync: *random.pick(&[Sync::Interval, Sync::Interval, Sync::Batch]),
            limit_bytes: *random.pick(&[1 << 30, 1500]),
        };
        let disk = SimulatedDisk::default();
        let journal = Journal::open(Box::new(disk.clone()), WRITER, settings).unwrap();
        let process = process(journal, FlushNumber { epoch: 1, sequence: 1 });
        Self {
            random,
            disk,
            settings,
            model: Model::default(),
            process,
            waiting: Vec::new(),
            backups: vec![Vec::new()],
            next_id: 0,
            is_shown,
        }
    }

    fn show(&self, what: std::fmt::Arguments<'_>) {
        if self.is_shown {
            println!("{:?}: {what}", self.process.flush);
        }
    }

    fn step(&mut self) {
        let survived = match self.random.below(100) {
            0..30 => self.take(),
            30..50 => self.commit(),
            50..62 => self.tick(),
            62..74 => self.cut(),
            74..80 => self.release(),
            80..84 => self.read(),
            84..86 => self.back_up(),
            86..94 => self.plan_faults(),
            _ => false,
        };
        if !survived {
            self.crash();
        }
    }

    fn entry(&mut self) -> Entry {
        self.next_id += 1;
        // Mostly forward; the clock of a machine may step.
        let received = self.next_id + self.random.below(4);
        Entry { id: self.next_id, of: self.next_id, received, is_carried: false }
    }

    fn take(&mut self) -> bool {
        let shard = self.random.below(SHARDS.into()) as usize;
        for _ in 0..=self.random.below(4) {
            let entry = self.entry();
            let payload = entry.id.to_string();
            let received_at = "0.0.0.0:2055".parse().unwrap();
            self.process.writers[shard].take(received(&entry), exporter(), received_at, payload.as_bytes());
            if self.random.once_in(4) {
                self.waiting.push(entry.clone());
            }
            self.took(shard, entry);
        }
        true
    }

    fn took(&mut self, shard: usize, entry: Entry) {
        if self.process.is_resting {
            self.process.refused[shard] += 1;
        } else {
            self.process.taken[shard].push(entry);
        }
    }

    fn commit(&mut self) -> bool {
        let shard = self.random.below(SHARDS.into()) as usize;
        self.written_by(shard, Writer::commit)
    }

    /// Lets a writer write what was taken, and reports the outcome to the model.
    fn written_by(&mut self, shard: usize, write: impl FnOnce(&mut Writer)) -> bool {
        let before = self.process.journal.counts();
        let writer = &mut self.process.writers[shard];
        let survived = survives(|| write(writer));
        let batch = std::mem::take(&mut self.process.taken[shard]);
        let after = self.process.journal.counts();
        let count = batch.len() as u64;
        self.process.missed += std::mem::take(&mut self.process.refused[shard]);
        if self.process.is_resting || batch.is_empty() {
            self.process.missed += count;
        } else {
            let succeeded = survived && after.written - before.written == count;
            self.model.wrote(self.process.flush, shard as u16, batch, succeeded);
            if succeeded {
                self.process.written += count;
            } else {
                self.process.missed += count;
                self.process.is_resting = true;
            }
            if self.settings.sync == Sync::Batch && succeeded {
                self.model.synced(Some(shard as u16), after.sync_errors == before.sync_errors);
            }
        }
        self.show(format_args!("shard {shard} writes {count}, is well: {}", !self.process.is_resting));
        if survived {
            assert_eq!((after.written, after.missed), (self.process.written, self.process.missed));
        }
        survived
    }

    fn tick(&mut self) -> bool {
        let before = self.process.journal.counts().sync_errors;
        let journal = Arc::clone(&self.process.journal);
        let survived = survives(|| journal.tick());
        let succeeded = survived && journal.counts().sync_errors == before;
        self.show(format_args!("synced: {succeeded}"));
        self.model.synced(None, succeeded);
        self.process.is_resting = false;
        survived
    }

    /// All shards turn to the next flush, and some data sets are carried into it.
    fn cut(&mut self) -> bool {
        let next = self.process.flush.following();
        for shard in 0..SHARDS.into() {
            if !self.written_by(shard, |writer| writer.turn(next)) {
                return false;
            }
        }
        self.process.flush = next;
        self.carry()
    }

    fn carry(&mut self) -> bool {
        // Some were decoded meanwhile, or given up.
        let random = &mut self.random;
        self.waiting.retain(|_| !random.once_in(4));
        let mut entries = self.waiting.clone();
        for entry in &mut entries {
            self.next_id += 1;
            (entry.id, entry.is_carried) = (self.next_id, true);
        }
        let exporter = exporter();
        let waiting = |entry: &Entry| (exporter, received(entry), entry.id.to_string().into());
        let waiting: Vec<_> = entries.iter().map(waiting).collect();
        entries.into_iter().for_each(|entry| self.took(0, entry));
        self.written_by(0, |writer| writer.carry(waiting))
    }

    /// A flush that was cut is durable, and so are those before.
    fn release(&mut self) -> bool {
        let FlushNumber { epoch, sequence } = self.process.flush;
        let durable = FlushNumber { epoch, sequence: sequence - 1 - self.random.below(2).min(sequence - 1) };
        let journal = Arc::clone(&self.process.journal);
        self.show(format_args!("{durable:?} is durable"));
        let counted = journal.counted_with(durable);
        self.model.count(&counted);
        survives(|| journal.release(&counted))
    }

    fn back_up(&mut self) -> bool {
        self.backups.push(self.model.counted.clone());
        true
    }

    /// A reader begins somewhere in what is there, also in the flush that is being written.
    fn read(&mut self) -> bool {
        self.disk.spare(true);
        let counted = self.model.counted.iter().map(|counted| counted.newest).max();
        let cursor =
            counted.map(|counted| FlushNumber { sequence: counted.sequence + self.random.below(3), ..counted });
        let mut reader = self.process.journal.reader(cursor);
        let (mut found, mut flushes) = (Vec::new(), Vec::new());
        while let Some(flush) = reader.next_flush().unwrap() {
            flushes.push(flush.newest);
            while reader.advance().unwrap() {
                found.push(id(&reader.current().unwrap()));
            }
        }
        assert!(
            flushes.is_sorted() && flushes.iter().all(|flush| Some(*flush) > cursor),
            "{flushes:?} after {cursor:?}"
        );
        self.model.check(&found, cursor);
        self.disk.spare(false);
        true
    }

    fn plan_faults(&mut self) -> bool {
        let kinds = [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::Interrupted];
        let fault = match self.random.below(4) {
            0 => Fault::Short,
            1 => Fault::Kill,
            _ => Fault::Error(*self.random.pick(&kinds)),
        };
        let nth = self.random.below(8) as usize;
        self.show(format_args!("{fault:?} after {nth} calls"));
        self.disk.plan(std::iter::repeat_n(Fault::None, nth).chain([fault, fault]));
        true
    }

    /// The process is killed, or the power goes. Another one recovers; it may be killed while it does.
    fn crash(&mut self) {
        let power = self.random.once_in(2);
        self.show(format_args!("{}", if power { "the power goes" } else { "killed" }));
        self.model.crashed(power);
        if power {
            self.disk.lose_power(&mut self.random);
        }
        if self.random.once_in(4) {
            self.flip();
        }
        if self.random.once_in(3) {
            self.replace_database();
        }
        let mut faults = self.random.once_in(3);
        while !self.start(faults) {
            faults = false;
        }
    }

    /// A bit of a segment is flipped. It costs one entry at most.
    fn flip(&mut self) {
        let before = self.on_disk();
        if let Some(place) = self.disk.flip(&mut self.random) {
            self.show(format_args!("a bit is flipped: {place}"));
        }
        let after = self.on_disk();
        let lost: Vec<u64> = before.difference(&after).copied().collect();
        assert!(lost.len() <= 1 && after.is_subset(&before), "{before:?}, then {after:?}");
        lost.into_iter().for_each(|id| self.model.damaged(id));
    }

    /// All entries in all segments, also those of which another copy is read.
    fn on_disk(&self) -> BTreeSet<u64> {
        self.disk.spare(true);
        let journal = Journal::open(Box::new(self.disk.clone()), WRITER, self.settings).unwrap();
        let names = self.disk.list().unwrap();
        let flushes: BTreeSet<_> = names.iter().map(|(name, _)| SegmentName::parse(name).unwrap().flush).collect();
        let mut ids = BTreeSet::new();
        for FlushNumber { epoch, sequence } in flushes {
            let mut reader = journal.reader(Some(FlushNumber { epoch, sequence: sequence - 1 }));
            reader.next_flush().unwrap();
            while reader.advance().unwrap() {
                ids.insert(id(&reader.current().unwrap()).0);
            }
        }
        self.disk.spare(false);
        ids
    }

    /// A backup of the database is put beside the journal, or a new database.
    fn replace_database(&mut self) {
        let database = if self.random.once_in(3) { Vec::new() } else { self.random.pick(&self.backups).clone() };
        self.disk.spare(true);
        // What was removed stays so.
        self.disk.sync_names().unwrap();
        let mut on_disk = BTreeMap::new();
        for (name, _) in self.disk.list().unwrap() {
            let segment = SegmentName::parse(&name).unwrap();
            *on_disk.entry((segment.flush, segment.shard)).or_default() += 1;
        }
        self.disk.spare(false);
        let is_replaced = self.model.replace_database(database, &on_disk);
        self.show(format_args!("another database: {is_replaced}, counts {:?}", self.model.counted));
    }

    /// `false` when the disk did not let it.
    fn start(&mut self, faults: bool) -> bool {
        self.disk.plan([]);
        if faults {
            self.plan_faults();
        }
        let mut journal = None;
        let (disk, settings) = (self.disk.clone(), self.settings);
        if !survives(|| journal = Journal::open(Box::new(disk), WRITER, settings).ok()) {
            return false;
        }
        let Some(journal) = journal else { return false };
        let mut found = None;
        let is_alive = survives(|| {
            journal.release(&self.model.counted);
            found = recovered(&journal).ok();
        });
        let Some(found) = found.filter(|_| is_alive) else {
            self.model.synced(None, false);
            return false;
        };
        let recovered = FlushNumber { epoch: self.process.flush.epoch + 1, sequence: 1 };
        self.disk.plan([]);
        self.show(format_args!("recovers {found:?}"));
        self.model.check(&found, None);
        self.model.found(&found);
        self.model.synced(None, journal.counts().sync_errors == 0);
        self.process = process(journal, recovered.following());
        self.process.is_resting = false;
        if !self.carry() {
            return false;
        }
        // Or it dies before what was recovered is durable.
        if self.random.once_in(2) {
            let counted = self.process.journal.counted_with(recovered);
            self.model.count(&counted);
            self.process.journal.release(&counted);
        }
        true
    }
}

/// All datagrams differ in their times.
fn received(entry: &Entry) -> Timestamp {
    Timestamp::new(entry.received, entry.of as u32)
}

fn id(entry: &journal::Entry<'_>) -> (u64, bool) {
    let id = std::str::from_utf8(entry.payload).unwrap().parse().unwrap();
    assert_eq!(entry.source, SOURCE.parse().unwrap());
    (id, entry.kind == EntryKind::Carried)
}

fn recovered(journal: &Journal) -> Result<Vec<(u64, bool)>, Unreadable> {
    let mut recovery = journal.recovery();
    let mut found = Vec::new();
    while let Some(entry) = recovery.next_datagram()? {
        found.push(id(&entry));
    }
    Ok(found)
}

fn seeds() -> Range<u64> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("'{text}' is not a number"));
    match (env::var("SEED"), env::var("SEEDS")) {
        (Ok(seed), _) => number(&seed)..number(&seed) + 1,
        (_, Ok(seeds)) => {
            let (from, to) = seeds.split_once("..").unwrap_or_else(|| panic!("SEEDS={seeds} is not like 0..1000"));
            number(from)..number(to)
        }
        _ => SEEDS,
    }
}

#[test]
fn readers_return_what_the_model_predicts_whatever_the_disk_does() {
    for seed in seeds() {
        let run = || {
            let mut run = Run::new(seed, env::var("SEED").is_ok());
            (0..OPERATIONS).for_each(|_| run.step());
            run.crash();
        };
        let outcome = catch_unwind(run);
        assert!(outcome.is_ok(), "seed {seed} fails, see above; again: SEED={seed} cargo test -p journal --test model");
    }
}
