//! Many runs. `SEEDS=0..10000` simulates these seeds; `SEED=17` repeats one and prints its events (`-- --nocapture`).
#![expect(clippy::panic, reason = "a test that cannot continue has failed")]

use std::env;
use std::io::ErrorKind;
use std::ops::Range;
use std::panic::catch_unwind;
use std::thread;

use simulation::Run;
use testing::disk::Fault;

/// The seeds of `make test`.
const SEEDS: Range<u64> = 0..200;

/// In one of this many runs, each call to the disk fails in turn.
const EVERY_CALL_STEP: usize = 50;

/// Runs a seed; a failure names it.
fn simulate(seed: u64) -> Run {
    catch_unwind(|| simulation::simulate(seed))
        .unwrap_or_else(|_| panic!("seed {seed} fails, see above; to repeat it: SEED={seed} cargo test -p simulation"))
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
fn every_run_counts_what_was_delivered() {
    let (mut runs, mut delivered, mut uncertain) = (0, 0, 0);
    for seed in seeds() {
        let run = simulate(seed);
        if env::var("SEED").is_ok() {
            println!("{}", run.story.join("\n"));
        }
        (runs, delivered, uncertain) = (runs + 1, delivered + run.delivered, uncertain + run.uncertain);
    }
    println!("{runs} runs, {delivered} flows delivered, {uncertain} of them uncertain after a crash");
}

/// The n-th call to the journal's disk has a fault, for every n in a run.
#[test]
fn every_call_of_the_disk_may_fail() {
    let faults = [
        Fault::Error(ErrorKind::Other),
        Fault::Error(ErrorKind::StorageFull),
        Fault::Error(ErrorKind::Interrupted),
        Fault::Short,
        Fault::Kill,
    ];
    let runs = |fault| {
        let fails = |seed, nth| {
            catch_unwind(|| simulation::simulate_with(seed, nth, fault))
                .unwrap_or_else(|_| panic!("seed {seed} fails with {fault:?} at call {nth}, see above"))
        };
        seeds().step_by(EVERY_CALL_STEP).map(|seed| (1..).map_while(|nth| fails(seed, nth)).count()).sum::<usize>()
    };
    thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || println!("{} runs with {fault:?}", runs(fault)));
        }
    });
}

#[test]
fn a_seed_always_gives_the_same_run() {
    for seed in SEEDS.step_by(40) {
        let (first, again) = (simulate(seed), simulate(seed));
        let differs = first.story.iter().zip(&again.story).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed} gave different runs");
        assert_eq!(first, again);
    }
}
