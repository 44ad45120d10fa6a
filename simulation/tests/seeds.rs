//! Many lives. `SEEDS=0..10000` lives these, `SEED=17` that one again and tells its story
//! (`-- --nocapture`).
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::env;
use std::io::ErrorKind;
use std::ops::Range;
use std::panic::catch_unwind;
use std::thread;

use simulation::Life;
use testing::disk::Fault;

/// What `make test` has the time for.
const SEEDS: Range<u64> = 0..200;

/// In every so manieth life, the disk's calls fail one by one.
const CALLS_OF_EVERY: usize = 50;

/// The number that a life failed with is in the message.
fn live(seed: u64) -> Life {
    catch_unwind(|| simulation::live(seed)).unwrap_or_else(|_| {
        panic!("seed {seed} fails, see above; this lives it again: SEED={seed} cargo test -p simulation")
    })
}

fn seeds() -> Range<u64> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("'{text}' is no number"));
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
fn every_life_counts_what_was_delivered() {
    let (mut lives, mut delivered, mut uncertain) = (0, 0, 0);
    for seed in seeds() {
        let life = live(seed);
        if env::var("SEED").is_ok() {
            println!("{}", life.story.join("\n"));
        }
        (lives, delivered, uncertain) = (lives + 1, delivered + life.delivered, uncertain + life.uncertain);
    }
    println!("{lives} lives, {delivered} flows delivered, {uncertain} of them lost or not with what was not synced");
}

/// What becomes of the n-th call of the journal's disk, for every n that a life has, one after the other.
#[test]
fn every_call_of_the_disk_may_fail() {
    let faults = [
        Fault::Error(ErrorKind::Other),
        Fault::Error(ErrorKind::StorageFull),
        Fault::Error(ErrorKind::Interrupted),
        Fault::Short,
        Fault::Kill,
    ];
    let lives = |fault| {
        let fails = |seed, nth| {
            catch_unwind(|| simulation::live_with(seed, nth, fault))
                .unwrap_or_else(|_| panic!("seed {seed} fails with {fault:?} at call {nth}, see above"))
        };
        seeds().step_by(CALLS_OF_EVERY).map(|seed| (1..).map_while(|nth| fails(seed, nth)).count()).sum::<usize>()
    };
    thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || println!("{} lives with {fault:?}", lives(fault)));
        }
    });
}

#[test]
fn a_seed_is_one_life() {
    for seed in SEEDS.step_by(40) {
        let (first, again) = (live(seed), live(seed));
        let differs = first.story.iter().zip(&again.story).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed} went differently");
        assert_eq!(first, again);
    }
}
