//! Random runs of a flusher: every period has every flow once, whatever happened.

use accounting::period::Period;
use std::time::Duration;

use collector::Keep;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use storage::faulty::Fault;

use crate::harness::HOUR;
use crate::promises::{begin, restart};

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
    /// The collector is unreachable for hours; others roll up for it.
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

async fn run_steps(steps: &[Step]) {
    let mut keep = Keep::default();
    // Longer than a run: once minutes expire, a returning collector cannot find out which of its last flush was counted.
    keep.periods[Period::Minute] = Some(Duration::from_secs(5_000 * HOUR));
    let mut run = begin(keep).await;
    let (mut replica, mut made) = (run.store.inner().replica(), run.now);
    for step in steps {
        // The replica lags by half a minute at most.
        if run.now - made > 30 {
            (replica, made) = (run.store.inner().replica(), run.now);
        }
        match step {
            Step::Flush { minutes_ago } => run.flush(minutes_ago).await,
            Step::Drain { faults } => {
                run.store.plan(faults.iter().copied());
                let _ = run.drain().await;
            }
            Step::Maintain { faults } => {
                run.store.plan(faults.iter().copied());
                let _ = run.flusher.maintain(run.time()).await;
            }
            Step::Pass { seconds } => run.now += seconds,
            Step::Gone { hours } => {
                run.now += hours * HOUR;
                run.another_rolls_up().await;
            }
            Step::Restart => restart(&mut run).await,
            Step::FailOver => run.store.inner().fail_over_to(&replica),
        }
        run.store.plan([]);
    }
    // Two minutes without faults repair everything.
    for _ in 0..3 {
        run.drain().await.unwrap();
        run.flusher.maintain(run.time()).await.unwrap();
        run.now += 61;
    }
    run.check(run.store.inner()).await;
    run.now += 300 * 24 * HOUR;
    run.drain().await.unwrap();
    run.flusher.maintain(run.time()).await.unwrap();
    run.check(run.store.inner()).await;
}

#[test]
fn every_period_has_every_flow_once_in_any_run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The same runs each time; RUNS=10000 tries more.
    let cases = std::env::var("RUNS").map_or(60, |runs| runs.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runs = prop::collection::vec(step(), 1..50);
    let outcome = runner.run(&runs, |steps| {
        runtime.block_on(run_steps(&steps));
        Ok(())
    });
    outcome.unwrap();
}
