//! Random lives of two collectors on one store: flows in time and late, flushes, lost requests and acknowledgements,
//! crashes with a replay of what was not acknowledged, roll-ups that stop half way, retention, time that passes in
//! minutes or in months. After every roll-up, whole or half, and every expiry, the answers of every period equal those of a plain list of all flows.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use accounting::block::{AboutAll, Block, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, FieldSet, Name, Value};
use accounting::five_minutes;
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::rollup::lift;
use flow::{Counters, FlushNumber, Prefix, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use storage::check::{CheckEvent, check};
use storage::faulty::Fault;
use storage::roll_up::advance;
use storage::{Answers, Blocks, Faulty, Memory, Question, Retention, Sqlite, Store, WriterState, Writers};

/// 2027-12-30 23:50 UTC: soon the hour, the day, the month and the year end, and in two months comes a leap day.
const BEGIN: Minute = Minute::new(30_503_510);
const GRACE_MINUTES: u32 = 2;
const WRITERS: [WriterId; 2] = [WriterId(1), WriterId(u64::MAX)];
/// Days that minutes, hours, days and months are kept: short, so that they go while a test looks.
const KEPT_DAYS: [u32; 4] = [1, 5, 40, 400];

#[derive(Clone, Debug)]
enum Step {
    /// Flows this long ago, for one of the series, not flushed yet.
    Count { writer: usize, minutes_ago: u32, series: usize, bytes: u64 },
    /// The next flush. It is tried until it goes through, or, when it fails, the collector crashes.
    Flush { writer: usize, faults: Vec<Fault>, crash: bool },
    /// Time passes; what was counted before is flushed first, as the flush interval is short.
    Pass { minutes: u32 },
    /// Everything that ended is rolled up, or as much as the faults let happen.
    RollUp { writer: usize, faults: Vec<Fault>, crash: bool },
    /// Blocks too old go.
    Expire { writer: usize, faults: Vec<Fault> },
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![6 => Just(Fault::None), 1 => Just(Fault::Before), 1 => Just(Fault::After)];
    prop_oneof![1 => Just(Vec::new()), 3 => prop::collection::vec(fault, 1..12)]
}

fn step() -> impl Strategy<Value = Step> {
    let minutes_ago = prop_oneof![4 => 0..3_u32, 2 => 0..200_u32, 1 => 0..100_000_u32];
    let minutes = prop_oneof![4 => 1..5_u32, 3 => 5..120_u32, 1 => 120..10_000_u32, 1 => 10_000..500_000_u32];
    let writer = 0..WRITERS.len();
    prop_oneof![
        6 => (writer.clone(), minutes_ago, 0..3_usize, 1..1_000_u64)
            .prop_map(|(writer, minutes_ago, series, bytes)| Step::Count { writer, minutes_ago, series, bytes }),
        3 => (writer.clone(), faults(), any::<bool>())
            .prop_map(|(writer, faults, crash)| Step::Flush { writer, faults, crash }),
        3 => minutes.prop_map(|minutes| Step::Pass { minutes }),
        4 => (writer.clone(), faults(), any::<bool>())
            .prop_map(|(writer, faults, crash)| Step::RollUp { writer, faults, crash }),
        1 => (writer, faults()).prop_map(|(writer, faults)| Step::Expire { writer, faults }),
    ]
}

type Series = (IpAddr, Prefix);

fn series(number: usize) -> Series {
    let v4 = Prefix::new(Ipv4Addr::new(172, 16, 0, 0).into(), 16).unwrap();
    let v6 = Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into(), 32).unwrap();
    let [ada, bob] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    [(ada, v4), (ada, v6), (bob, v4)][number]
}

/// What one flow of a schedule adds: its size picks direction and port.
fn counted(bytes: u64) -> [(Direction, Name, Counters); 2] {
    let counters = Counters { bytes, packets: bytes % 7 + 1, flows: 1 };
    let direction = Direction::ALL[usize::try_from(bytes % 4).unwrap()];
    let port = Name { field: Field::DestinationPort, value: Value::Number(u32::try_from(bytes % 5).unwrap()) };
    [(direction, Name::ALL, counters), (direction, port, counters)]
}

/// What one flush holds, before anything is lifted.
type Tally = BTreeMap<(Minute, Series), Tables>;

#[derive(Default)]
struct Collector {
    open: Tally,
    /// The flush that is not acknowledged yet, with its final identity.
    pending: Option<(FlushNumber, Tally)>,
    state: Option<WriterState>,
    sequence: u64,
}

impl Collector {
    fn state(&self) -> WriterState {
        self.state.expect("the collector has started")
    }

    /// Starts a new epoch, as the store remembers it, and replays what the store has not acknowledged.
    async fn start<S: Store>(&mut self, store: &Faulty<S>, writer: WriterId) {
        store.plan([]);
        let known = store.writers().await.unwrap().into_iter().find(|state| state.writer == writer);
        let epoch = known.map_or(1, |state| state.epoch + 1);
        let state = WriterState { epoch, ..known.unwrap_or(WriterState::new(writer, epoch, Timestamp::EPOCH)) };
        store.put_writer(&state).await.unwrap();
        self.state = Some(state);
        self.sequence = 0;
        self.settle(store).await;
    }

    /// Tries the pending flush once.
    async fn put_pending<S: Store>(&mut self, store: &Faulty<S>) -> bool {
        let Some((number, tally)) = &self.pending else { return true };
        let writer = self.state().writer;
        let mut blocks: Vec<Block> = Vec::new();
        for ((minute, (sender, prefix)), tables) in tally {
            let interval = Interval { period: Period::Minute, start: *minute };
            blocks.extend(tables.blocks(interval, *sender, *prefix, writer, (*number).into()));
        }
        blocks.extend(lift(&blocks, self.state().watermarks).unwrap());
        let stored = store.put_blocks(&blocks).await.is_ok();
        if stored {
            self.pending = None;
        }
        stored
    }

    async fn settle<S: Store>(&mut self, store: &Faulty<S>) {
        while !self.put_pending(store).await {}
    }

    /// Makes what is open the next flush; one after the other.
    fn seal(&mut self) {
        assert!(self.pending.is_none());
        if !self.open.is_empty() {
            self.sequence += 1;
            let number = FlushNumber { epoch: self.state().epoch, sequence: self.sequence };
            self.pending = Some((number, std::mem::take(&mut self.open)));
        }
    }
}

struct World<S> {
    store: Faulty<S>,
    now: Minute,
    collectors: [Collector; 2],
    flows: Vec<(Minute, Series, u64)>,
    /// Before which minute blocks of each period may be gone.
    expired: PerPeriod<Minute>,
}

impl<S: Store> World<S> {
    async fn run(store: S, steps: &[Step]) {
        let mut world = Self {
            store: Faulty::new(store),
            now: BEGIN,
            collectors: Default::default(),
            flows: Vec::new(),
            expired: PerPeriod::default(),
        };
        for (collector, writer) in world.collectors.iter_mut().zip(WRITERS) {
            collector.start(&world.store, writer).await;
        }
        for step in steps {
            world.step(step).await;
            world.store.plan([]);
            if matches!(step, Step::RollUp { .. } | Step::Expire { .. }) {
                world.check().await;
            }
        }
        world.check().await;
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Count { writer, minutes_ago, series: number, bytes } => {
                let minute = self.now.saturating_sub(*minutes_ago);
                self.flows.push((minute, series(*number), *bytes));
                let tables = self.collectors[*writer].open.entry((minute, series(*number))).or_default();
                for (direction, name, counters) in counted(*bytes) {
                    tables.add(direction, name, counters);
                    let complete = FieldSet::LEAST.with(Field::DestinationPort);
                    tables.note(direction, AboutAll { complete, ..AboutAll::NOTHING });
                }
            }
            Step::Flush { writer, faults, crash } => self.flush(*writer, faults, *crash).await,
            Step::Pass { minutes } => {
                for writer in 0..WRITERS.len() {
                    self.flush(writer, &[], false).await;
                }
                self.now = self.now.saturating_add(*minutes);
            }
            Step::RollUp { writer, faults, crash } => {
                self.store.plan(faults.iter().copied());
                let collector = &mut self.collectors[*writer];
                let until = self.now.saturating_sub(GRACE_MINUTES);
                match advance(&self.store, collector.state(), until).await {
                    Ok(state) => collector.state = Some(state),
                    Err(_) if *crash => {}
                    Err(_) => return,
                }
                if *crash {
                    collector.start(&self.store, WRITERS[*writer]).await;
                }
            }
            Step::Expire { writer, faults } => {
                self.store.plan(faults.iter().copied());
                for (period, days) in Period::ALL.into_iter().zip(KEPT_DAYS) {
                    let before = self.now.saturating_sub(days * 1440);
                    let expired = &mut self.expired[period];
                    *expired = before.max(*expired);
                    let _ = self.store.expire(WRITERS[*writer], Retention { period, before }).await;
                }
            }
        }
    }

    async fn flush(&mut self, writer: usize, faults: &[Fault], crash: bool) {
        self.store.plan(faults.iter().copied());
        let collector = &mut self.collectors[writer];
        collector.seal();
        if crash && !collector.put_pending(&self.store).await {
            collector.start(&self.store, WRITERS[writer]).await;
        }
        collector.settle(&self.store).await;
    }

    /// Asks for every interval that a flushed flow lies in, of every period, all at once.
    async fn check(&self) {
        let mut expected: BTreeMap<(Interval, Series), Tables> = BTreeMap::new();
        let mut open: BTreeSet<(Minute, Series)> = BTreeSet::new();
        for collector in &self.collectors {
            open.extend(collector.open.keys());
        }
        for (minute, series, bytes) in &self.flows {
            for period in Period::ALL {
                let interval = Interval::containing(period, *minute);
                let place = (interval, *series);
                // What is not flushed yet is not asked for.
                let flushed = !open.iter().any(|(minute, of)| of == series && interval.contains(*minute));
                if flushed && interval.start >= self.expired[period] {
                    let tables = expected.entry(place).or_default();
                    for (direction, name, counters) in counted(*bytes) {
                        tables.add(direction, name, counters);
                        if name == Name::ALL && period <= Period::Day {
                            let value = Value::Number(five_minutes::containing(*minute).number());
                            tables.add(direction, Name { field: Field::FiveMinutes, value }, counters);
                        }
                    }
                }
            }
        }
        let questions: Vec<Question> = expected
            .keys()
            .map(|(interval, (sender, prefix))| Question {
                range: (*interval).into(),
                sender: *sender,
                prefix: *prefix,
                tables: if interval.period <= Period::Day { TableSet::ALL } else { TableSet::COUNTED },
            })
            .collect();
        let answers = Answers::to(questions).all(self.store.inner()).await.unwrap();
        for ((place, tables), answer) in expected.iter().zip(&answers) {
            assert_eq!(answer.damaged, []);
            let shown = |tables: &Tables| tables.rows().collect::<Vec<_>>();
            assert_eq!(shown(&answer.tables), shown(tables), "{} of {:?}", place.0, place.1);
        }
        let mut violations = Vec::new();
        let mut report = |event| {
            if let CheckEvent::Violation(violation) = event {
                violations.push(violation.to_string());
            }
            ControlFlow::Continue(())
        };
        check(self.store.inner(), &mut report).await.unwrap();
        assert_eq!(violations, [""; 0]);
    }
}

fn over_any_schedule<K, S: Store>(cases: u32, make: impl Fn() -> (S, K)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let schedules = prop::collection::vec(step(), 1..60);
    let run = runner.run(&schedules, |steps| {
        let (store, keep) = make();
        runtime.block_on(World::run(store, &steps));
        drop(keep);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn answers_equal_the_flows_on_any_schedule_in_memory() {
    over_any_schedule(200, || (Memory::default(), ()));
}

#[test]
fn answers_equal_the_flows_on_any_schedule_in_sqlite() {
    over_any_schedule(20, || {
        let folder = tempfile::tempdir().unwrap();
        (Sqlite::open(&folder.path().join("store")).unwrap(), folder)
    });
}
