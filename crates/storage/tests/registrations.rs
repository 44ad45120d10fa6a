//! Random lives of several collectors on a store that is emptied or goes back to an older copy: when all of them have read
//! what is registered, exactly that is registered which was registered and not removed since.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use flow::{Prefix, Timestamp};
use proptest::prelude::*;
use storage::registrations::{Entry, Part, Registrations, merge};
use storage::{Memory, Registry};

const COLLECTORS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Through one of the collectors, which notices.
    Add {
        collector: usize,
        sender: u8,
        prefixes: Vec<u8>,
    },
    RemovePrefix {
        collector: usize,
        sender: u8,
        prefix: u8,
    },
    RemoveSender {
        collector: usize,
        sender: u8,
    },
    /// A collector reads what is registered; those that do not read are down.
    Read {
        collector: usize,
    },
    /// The store is copied.
    Copy,
    /// The store goes back to the copy.
    Restore,
    Empty,
}

fn step() -> impl Strategy<Value = Step> {
    let (collector, sender, prefix) = (0..COLLECTORS, 0..3_u8, 0..3_u8);
    let prefixes = prop::collection::vec(prefix.clone(), 0..3);
    prop_oneof![
        4 => (collector.clone(), sender.clone(), prefixes)
            .prop_map(|(collector, sender, prefixes)| Step::Add { collector, sender, prefixes }),
        2 => (collector.clone(), sender.clone(), prefix)
            .prop_map(|(collector, sender, prefix)| Step::RemovePrefix { collector, sender, prefix }),
        2 => (collector.clone(), sender).prop_map(|(collector, sender)| Step::RemoveSender { collector, sender }),
        3 => collector.prop_map(|collector| Step::Read { collector }),
        1 => Just(Step::Copy),
        1 => Just(Step::Restore),
        1 => Just(Step::Empty),
    ]
}

fn address(sender: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, sender).into()
}

fn prefix(number: u8) -> Prefix {
    Prefix::new(Ipv4Addr::new(172, 16, number, 0).into(), 24).expect("a first address")
}

fn registered(registrations: &Registrations) -> BTreeSet<Entry> {
    registrations.iter().filter(|(_, of)| of.is_registered).map(|(entry, _)| entry.clone()).collect()
}

#[derive(Default)]
struct Life {
    store: Memory,
    copy: Memory,
    /// What each collector knows.
    known: [Registrations; COLLECTORS],
    /// What must be registered.
    expected: BTreeSet<Entry>,
}

impl Life {
    async fn read(&mut self, collector: usize) {
        let stored = self.store.registrations().await.expect("an answer");
        let merged = merge(&self.known[collector], &stored);
        self.store.put_registrations(&merged.lost).await.expect("stored");
        self.known[collector] = merged.current;
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Add { collector, sender, prefixes } => {
                let prefixes: Vec<Prefix> = prefixes.into_iter().map(prefix).collect();
                self.store.add_prefixes(address(sender), &prefixes).await.expect("added");
                self.expected.insert((address(sender), None));
                self.expected.extend(prefixes.into_iter().map(|prefix| (address(sender), Some(Part::Prefix(prefix)))));
                self.read(collector).await;
            }
            Step::RemovePrefix { collector, sender, prefix: number } => {
                // What the store has lost is not there to be removed.
                let entry = (address(sender), Some(Part::Prefix(prefix(number))));
                if registered(&self.store.registrations().await.expect("an answer")).contains(&entry) {
                    assert!(self.store.remove_prefixes(entry.0, &[prefix(number)]).await.expect("removed"));
                    self.expected.remove(&entry);
                }
                self.read(collector).await;
            }
            Step::RemoveSender { collector, sender } => {
                // A prefix that the store has lost may return with a sender that is removed and registered again before
                // a collector that knows the prefix has read.
                let stored = registered(&self.store.registrations().await.expect("an answer"));
                let mut of_sender = self.expected.iter().filter(|(of, _)| *of == address(sender));
                if of_sender.all(|entry| stored.contains(entry)) {
                    self.store.remove_sender(address(sender)).await.expect("removed");
                    self.expected.retain(|(of, _)| *of != address(sender));
                }
                self.read(collector).await;
            }
            Step::Read { collector } => self.read(collector).await,
            Step::Copy => self.copy = self.store.replica(),
            Step::Restore => self.store.fail_over_to(&self.copy),
            Step::Empty => self.store.fail_over_to(&Memory::default()),
        }
        // Changes are milliseconds apart, also those of a store that went back.
        let now = || Timestamp::from(SystemTime::now()).milliseconds();
        let begun = now();
        while now() == begun {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_store_that_forgets_has_in_the_end_what_its_collectors_know(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut life = Life::default();
            for step in steps {
                life.take(step).await;
            }
            // Twice, since the first one may not know yet what the last one does.
            for collector in (0..COLLECTORS).chain(0..COLLECTORS) {
                life.read(collector).await;
            }
            let stored = life.store.registrations().await.expect("an answer");
            assert_eq!(registered(&stored), life.expected);
            for known in &life.known {
                assert_eq!(known, &stored);
            }
        });
    }
}
