//! What a flusher makes sure of while its store loses requests, answers and what it had accepted, and while other
//! collectors take it for gone: every period has every flow once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounting::block::{TableSet, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::{Interval, Minute, Period};
use accounting::tally::{Tally, TallyLimits};
use collector::admission::Admission;
use collector::exporters::Exporters;
use collector::flusher::{Flusher, Keep};
use collector::shard::{Rules, Sealed, Shard};
use collector::status::Status;
use flow::{Exporter, Prefix, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use storage::faulty::{Fault, Faulty};
use storage::memory::Memory;
use storage::spool::Spool;
use storage::{Store, StoreError, WriterState, totals_many};
use tempfile::TempDir;
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, PendingBudget, SessionLimits};
use zerocopy::IntoBytes;

const SENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const OWN: WriterId = WriterId(3);
const OTHER: WriterId = WriterId(1);
/// 2027-12-31 22:30 UTC: soon the hour, the day, the month and the year end.
const BEGIN: u64 = 1_830_292_200;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

fn prefixes() -> [Prefix; 2] {
    ["192.0.2.0/24", "192.0.2.0/25"].map(|prefix| prefix.parse().unwrap())
}

fn rules() -> Rules {
    Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(100 * 86_400),
        session: SessionLimits::default(),
        tally: TallyLimits::default(),
    }
}

/// A collector's flusher with its spool, which outlive each other's crashes, and a shard that counts for it.
struct Life {
    folder: TempDir,
    store: Arc<Faulty<Memory>>,
    flusher: Flusher,
    shard: Shard,
    keep: Keep,
    now: u64,
    /// The minute of each flow that was counted.
    counted: Vec<Minute>,
}

impl Life {
    async fn begin(keep: Keep) -> Self {
        let store = Arc::new(Faulty::new(Memory::default()));
        store.add_prefixes(SENDER, &prefixes()).await.unwrap();
        let admitted = Admission::load(store.as_ref()).await.unwrap().admitted();
        let session = SessionLimits::default();
        let shard = Shard::new(rules(), admitted, Exporters::new(session, PendingBudget::default()));
        let folder = tempfile::tempdir().unwrap();
        let flusher = start(&folder, &store, keep, BEGIN).await;
        Self { folder, store, flusher, shard, keep, now: BEGIN, counted: Vec::new() }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_seconds(self.now)
    }

    /// Flows of a minute so long ago go into the next flush, which is pushed into the spool.
    async fn flush(&mut self, minutes_ago: &[u64]) {
        for ago in minutes_ago {
            let exported = self.now - ago * MINUTE;
            let payload = datagram(exported);
            let received = self.time();
            self.shard.take(&Datagram { exporter: Exporter::new(SENDER, 1), received, payload: &payload });
            self.counted.push(Minute::of(Timestamp::from_seconds(exported)));
        }
        let sealed: Sealed = self.shard.seal(Tally::new(TallyLimits::default()));
        self.flusher.flush(&sealed, self.time(), || true).await.unwrap();
    }

    async fn drain(&mut self) -> Result<(), StoreError> {
        while self.flusher.drain_one(self.time()).await? {}
        Ok(())
    }

    /// Dies and starts again on the same spool.
    async fn restart(&mut self) {
        self.store.plan([]);
        self.flusher = start(&self.folder, &self.store, self.keep, self.now).await;
    }

    /// Another collector takes this one for gone, as it was not seen for long.
    async fn another_rolls_up(&self) {
        let store: Arc<dyn Store> = Arc::<Faulty<Memory>>::clone(&self.store);
        let state = WriterState::new(OTHER, 1, self.time());
        store.put_writer(&state).await.unwrap();
        Flusher::new(store, state, self.keep, Status::new(0)).maintain(self.time()).await.unwrap();
    }

    /// Every interval of every period that a flow lies in has each of its flows once, for both prefixes.
    async fn check(&self) {
        let mut expected = std::collections::BTreeMap::new();
        for minute in &self.counted {
            for period in Period::ALL {
                let interval = Interval::containing(period, *minute);
                let keep = self.keep.periods.get(period as usize).copied().flatten();
                let kept = keep.map_or(0, |keep| self.now - keep.as_secs());
                if interval.start.timestamp().seconds() >= kept {
                    *expected.entry(interval).or_insert(0_u64) += 1;
                }
            }
        }
        for prefix in prefixes() {
            let question = |interval| storage::Selection { interval, sender: SENDER, prefix, tables: TableSet::ALL };
            let questions: Vec<_> = expected.keys().copied().map(question).collect();
            let answers = totals_many(self.store.inner(), &questions).await.unwrap();
            for ((interval, flows), answer) in expected.iter().zip(answers) {
                let counted = answer.tables.get(Direction::In, Name::ALL).unwrap_or_default();
                assert_eq!(counted.flows, *flows, "{prefix} in {} {interval}", interval.period.name());
            }
        }
    }
}

async fn start(folder: &TempDir, store: &Arc<Faulty<Memory>>, keep: Keep, now: u64) -> Flusher {
    let known = store.writers().await.unwrap().into_iter().find(|known| known.writer == OWN);
    // The state file knows of the epochs that the store has forgotten.
    let path = folder.path().join("epoch");
    let epoch = std::fs::read_to_string(&path).map_or(1, |epoch| epoch.parse::<u32>().unwrap() + 1);
    std::fs::write(&path, epoch.to_string()).unwrap();
    let seen = Timestamp::from_seconds(now);
    let state = WriterState { epoch, seen, ..known.unwrap_or(WriterState::new(OWN, 0, seen)) };
    store.put_writer(&state).await.unwrap();
    let spool = Spool::open(&folder.path().join("state"), OWN, 1 << 20).unwrap();
    let store: Arc<dyn Store> = Arc::<Faulty<Memory>>::clone(store);
    Flusher::new(store, state, keep, Status::new(0)).over(Some(spool)).unwrap()
}

fn datagram(exported: u64) -> Vec<u8> {
    let unix_seconds = u32::try_from(exported).unwrap().into();
    let header = Header { version: 5.into(), count: 1.into(), unix_seconds, ..Header::default() };
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

#[tokio::test]
async fn a_flush_that_was_put_without_an_answer_before_another_rolled_up_counts_once() {
    for halves in [vec![Fault::None, Fault::After], vec![Fault::None, Fault::Before], vec![Fault::Before]] {
        let mut life = Life::begin(Keep::default()).await;
        life.flush(&[0, 1]).await;
        // What is known of the writer is read, then the flush is put in two halves.
        life.store.plan([Fault::None].into_iter().chain(halves));
        life.drain().await.unwrap_err();
        life.store.plan([]);
        life.now += 60 * 24 * HOUR;
        life.another_rolls_up().await;
        life.drain().await.unwrap();
        life.check().await;
        life.flusher.maintain(life.time()).await.unwrap();
        life.check().await;
    }
}

#[tokio::test]
async fn the_same_when_the_collector_died_after_it_had_decided_again() {
    let mut life = Life::begin(Keep::default()).await;
    life.flush(&[0, 1]).await;
    life.store.plan([Fault::None, Fault::None, Fault::Before]);
    life.drain().await.unwrap_err();
    life.store.plan([]);
    life.now += 60 * 24 * HOUR;
    life.another_rolls_up().await;
    // It looks, says that it is there, asks what is missing, and is interrupted in the middle of the put.
    life.store.plan([Fault::None, Fault::None, Fault::None, Fault::None, Fault::After]);
    life.drain().await.unwrap_err();
    life.restart().await;
    life.drain().await.unwrap();
    life.check().await;
    life.now += 60 * 24 * HOUR;
    life.another_rolls_up().await;
    life.check().await;
}

#[tokio::test]
async fn what_a_failover_loses_is_put_again() {
    let mut life = Life::begin(Keep::default()).await;
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    let replica = life.store.inner().replica();
    for _ in 0..3 {
        life.now += 10;
        life.flush(&[0, 40]).await;
        life.drain().await.unwrap();
    }
    life.store.inner().fail_over_to(&replica);
    // Nobody noticed: a minute later it is looked for.
    life.now += 70;
    life.flusher.maintain(life.time()).await.unwrap();
    life.check().await;

    // A failure that was noticed: at once.
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    life.store.inner().fail_over_to(&replica);
    life.flush(&[0]).await;
    life.store.plan([Fault::Before]);
    life.now += 6;
    life.drain().await.unwrap_err();
    life.drain().await.unwrap();
    life.check().await;
}

#[tokio::test]
async fn what_was_accepted_is_looked_for_after_a_restart() {
    let mut life = Life::begin(Keep::default()).await;
    let replica = life.store.inner().replica();
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    life.store.inner().fail_over_to(&replica);
    life.restart().await;
    life.flusher.maintain(life.time()).await.unwrap();
    life.check().await;
}

#[tokio::test]
async fn a_roll_up_that_a_failover_loses_is_done_again() {
    let mut life = Life::begin(Keep::default()).await;
    life.flush(&[0, 30]).await;
    life.drain().await.unwrap();
    life.now += 2 * MINUTE;
    life.flusher.maintain(life.time()).await.unwrap();
    life.now += 31 * MINUTE;
    let replica = life.store.inner().replica();
    life.flusher.maintain(life.time()).await.unwrap();
    // What knows how far it is rolled up is on another server, which has not failed.
    let states = life.store.writers().await.unwrap();
    life.store.inner().fail_over_to(&replica);
    for state in states {
        assert!(state.rolled_up[0] > Minute(0));
        life.store.put_writer(&state).await.unwrap();
    }
    life.now += 2 * MINUTE;
    life.flusher.maintain(life.time()).await.unwrap();
    life.check().await;
    // A late flow afterwards is lifted.
    life.flush(&[20]).await;
    life.drain().await.unwrap();
    life.check().await;
}

#[tokio::test]
async fn nothing_is_rolled_up_over_what_may_have_to_be_put_again() {
    let mut life = Life::begin(Keep::default()).await;
    life.now += 35 * MINUTE;
    life.flush(&[10]).await;
    life.drain().await.unwrap();
    life.flusher.maintain(life.time()).await.unwrap();
    let reached = async |life: &Life| life.store.writers().await.unwrap()[0].rolled_up[0].timestamp().seconds();
    assert_eq!(reached(&life).await, BEGIN - 30 * MINUTE);
    life.now += MINUTE;
    life.flusher.maintain(life.time()).await.unwrap();
    assert_eq!(reached(&life).await, BEGIN + 30 * MINUTE);
    life.check().await;
}

#[tokio::test]
async fn what_retention_has_taken_is_not_put_again_for_ever() {
    let mut keep = Keep::default();
    keep.periods[0] = Some(Duration::from_secs(HOUR));
    let mut life = Life::begin(keep).await;
    life.flush(&[300]).await;
    life.drain().await.unwrap();
    let mut puts = Vec::new();
    for _ in 0..6 {
        life.now += 61;
        life.flusher.maintain(life.time()).await.unwrap();
        puts.push(Spool::open(&life.folder.path().join("state"), OWN, 1 << 20).unwrap().bytes());
    }
    assert!(puts[0] == 0 && puts[5] == 0, "{puts:?}");
    life.check().await;
}

#[tokio::test]
async fn who_was_superseded_puts_nothing_more() {
    let mut life = Life::begin(Keep::default()).await;
    life.flush(&[0]).await;
    life.drain().await.unwrap();
    let own = life.store.writers().await.unwrap()[0];
    let later = own.seen.saturating_add(Duration::from_secs(1));
    for copy in [WriterState { epoch: own.epoch + 1, ..own }, WriterState { seen: later, ..own }] {
        life.store.put_writer(&copy).await.unwrap();
        life.now += 10;
        life.flush(&[0]).await;
        assert!(matches!(life.drain().await, Err(StoreError::Superseded(_))));
        assert!(life.flusher.waiting() > 0);
        assert_eq!(life.store.writers().await.unwrap(), [copy], "it says nothing more");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Flush {
        minutes_ago: Vec<u64>,
    },
    Drain {
        faults: Vec<Fault>,
    },
    Maintain {
        faults: Vec<Fault>,
    },
    Pass {
        seconds: u64,
    },
    /// The collector is away for long; others roll up for it.
    Gone {
        hours: u64,
    },
    Restart,
    /// What came in the last seconds is lost.
    FailOver,
}

fn step() -> impl Strategy<Value = Step> {
    let ago = prop_oneof![4 => 0..3_u64, 2 => 0..90_u64, 1 => 0..5_000_u64];
    let fault = prop_oneof![5 => Just(Fault::None), 1 => Just(Fault::Before), 1 => Just(Fault::After)];
    let faults = prop_oneof![2 => Just(Vec::new()), 2 => prop::collection::vec(fault, 1..10)];
    prop_oneof![
        5 => prop::collection::vec(ago, 1..4).prop_map(|minutes_ago| Step::Flush { minutes_ago }),
        5 => faults.clone().prop_map(|faults| Step::Drain { faults }),
        3 => faults.prop_map(|faults| Step::Maintain { faults }),
        3 => prop_oneof![4 => 1..40_u64, 1 => 40..4_000_u64].prop_map(|seconds| Step::Pass { seconds }),
        1 => (2..95_u64).prop_map(|hours| Step::Gone { hours }),
        1 => Just(Step::Restart),
        1 => Just(Step::FailOver),
    ]
}

async fn live(steps: &[Step]) {
    let mut keep = Keep::default();
    // Longer than a life: who is away for longer than minutes are kept cannot be told what was counted of its last flush.
    keep.periods[0] = Some(Duration::from_secs(5_000 * HOUR));
    let mut life = Life::begin(keep).await;
    let (mut replica, mut made) = (life.store.inner().replica(), life.now);
    for step in steps {
        // The replica lags by half a minute at most.
        if life.now - made > 30 {
            (replica, made) = (life.store.inner().replica(), life.now);
        }
        match step {
            Step::Flush { minutes_ago } => life.flush(minutes_ago).await,
            Step::Drain { faults } => {
                life.store.plan(faults.iter().copied());
                let _ = life.drain().await;
            }
            Step::Maintain { faults } => {
                life.store.plan(faults.iter().copied());
                let _ = life.flusher.maintain(life.time()).await;
            }
            Step::Pass { seconds } => life.now += seconds,
            Step::Gone { hours } => {
                life.now += hours * HOUR;
                life.another_rolls_up().await;
            }
            Step::Restart => life.restart().await,
            Step::FailOver => life.store.inner().fail_over_to(&replica),
        }
        life.store.plan([]);
    }
    // Whatever happened, two quiet minutes make good.
    for _ in 0..3 {
        life.drain().await.unwrap();
        life.flusher.maintain(life.time()).await.unwrap();
        life.now += 61;
    }
    life.check().await;
    life.now += 300 * 24 * HOUR;
    life.drain().await.unwrap();
    life.flusher.maintain(life.time()).await.unwrap();
    life.check().await;
}

#[test]
fn every_period_has_every_flow_once_in_any_life() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let lives = prop::collection::vec(step(), 1..50);
    let run = runner.run(&lives, |steps| {
        runtime.block_on(live(&steps));
        Ok(())
    });
    run.unwrap();
}
