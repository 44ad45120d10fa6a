//! When the first flows of a newly registered prefix are flushed: soon, instead of at the end of the interval between
//! flushes. An operator who registers a router sees at once that it is counted.
//!
//! This file reads no clock.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::Prefix;
use pipeline::{Admitted, Snapshot};

use crate::journaled_shard::JournaledShard;
use crate::lock::locked_in_turn;
use crate::turn_mutex::TurnMutex;

/// The least time between two flushes for this reason, so that registrations in a loop make few more of them.
const APART: Duration = Duration::from_secs(10);
/// At most this many prefixes are looked at, while the shards wait: those of the senders that have new ones. The first flows
/// of others wait for the interval.
const MOST_PREFIXES: usize = 10_000;

/// Which registered prefixes have not been flushed yet.
pub(crate) struct FirstFlush {
    admitted: Admitted,
    /// As it was at the last look.
    known: Arc<Snapshot>,
    /// Registered since the start, and without flows in any flush.
    new: BTreeMap<IpAddr, HashSet<Prefix>>,
    /// When the first flow was found of those that have any now.
    found: Option<Instant>,
    /// The last flush for this reason.
    last: Option<Instant>,
}

impl FirstFlush {
    /// Those registered now are not new.
    pub(crate) fn new(admitted: Admitted) -> Self {
        let known = admitted.load_full();
        Self { admitted, known, new: BTreeMap::new(), found: None, last: None }
    }

    /// Where the senders that are registered now are found.
    pub(crate) fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Looks for flows of new prefixes. Returns whether they are to be flushed now: `patience` after they were found.
    pub(crate) fn is_due(
        &mut self,
        shards: &[Arc<TurnMutex<JournaledShard>>],
        now: Instant,
        patience: Duration,
    ) -> bool {
        self.note_registrations();
        if self.found.is_none() && self.new.iter().any(|(sender, new)| self.is_counted(shards, *sender, new)) {
            self.found = Some(now);
        }
        let since = |begun: Instant| now.saturating_duration_since(begun);
        self.found.is_some_and(|found| since(found) >= patience) && self.last.is_none_or(|last| since(last) >= APART)
    }

    /// Before a flush: what is counted now is not new after it.
    pub(crate) fn flushing(&mut self, shards: &[Arc<TurnMutex<JournaledShard>>], now: Instant, is_for_them: bool) {
        let mut new = std::mem::take(&mut self.new);
        new.retain(|sender, prefixes| {
            let counted = self.counted(shards, *sender);
            prefixes.retain(|prefix| !counted.contains(prefix));
            !prefixes.is_empty()
        });
        (self.new, self.found) = (new, None);
        if is_for_them {
            self.last = Some(now);
        }
    }

    /// Adds what was registered since the last look, and removes what is no longer registered.
    fn note_registrations(&mut self) {
        let current = self.admitted.load_full();
        if Arc::ptr_eq(&current, &self.known) {
            return;
        }
        let known = std::mem::replace(&mut self.known, current);
        for (sender, registration) in self.known.iter() {
            let before = known.get(sender);
            if before.is_some_and(|before| Arc::ptr_eq(before, registration)) {
                continue;
            }
            let before: HashSet<Prefix> = before.iter().flat_map(|it| it.monitored.prefixes()).map(|it| it.0).collect();
            let now = registration.monitored.prefixes().iter().map(|(prefix, _)| *prefix);
            let still = self.new.remove(sender).unwrap_or_default();
            let new: HashSet<Prefix> = now.filter(|it| !before.contains(it) || still.contains(it)).collect();
            if !new.is_empty() {
                self.new.insert(*sender, new);
            }
        }
        let mut room = MOST_PREFIXES;
        self.new.retain(|sender, _| {
            let Some(registration) = self.known.get(sender) else { return false };
            let left = room.checked_sub(registration.monitored.prefixes().len());
            room = left.unwrap_or(room);
            left.is_some()
        });
    }

    fn is_counted(&self, shards: &[Arc<TurnMutex<JournaledShard>>], sender: IpAddr, new: &HashSet<Prefix>) -> bool {
        self.counted(shards, sender).iter().any(|prefix| new.contains(prefix))
    }

    /// The prefixes of a sender with flows that are not flushed.
    fn counted(&self, shards: &[Arc<TurnMutex<JournaledShard>>], sender: IpAddr) -> HashSet<Prefix> {
        let mut counted = HashSet::new();
        if let Some(registration) = self.known.get(&sender) {
            for shard in shards {
                counted.extend(locked_in_turn(shard).shard.tally().booked(&registration.monitored));
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use accounting::tally::OwnNetworks;
    use flow::{Exporter, FlushNumber, SenderSettings, Timestamp};
    use pipeline::{Admission, Exporters, Registered, Rules, Shard};
    use wire::{Datagram, PendingBudget};
    use zerocopy::IntoBytes;

    use super::*;
    use crate::journaled_shard::{begin, cut};
    use crate::ledgers::CutCounts;
    use crate::settings::reloadable;
    use crate::status::Status;

    const AT_ONCE: Duration = Duration::ZERO;

    struct Bench {
        admission: Admission,
        exporters: Exporters,
        rules: Rules,
        shards: Vec<Arc<TurnMutex<JournaledShard>>>,
        first: FirstFlush,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let rules = reloadable().rules;
            let admission = Admission::default();
            let exporters = Exporters::new(rules.session, PendingBudget::default());
            let shard = || Shard::new(rules, admission.admitted(), exporters.clone());
            let number = FlushNumber { epoch: 1, sequence: 1 };
            let (shards, _) = begin(&Status::new(2), None, shard, &exporters, number).unwrap();
            let first = FirstFlush::new(admission.admitted());
            Self { admission, exporters, rules, shards, first, now: Instant::now() }
        }

        /// Registers these hosts of 192.0.2.0/24, each with the same prefixes.
        fn register(&mut self, hosts: &[u8], prefixes: &[&str]) {
            let prefixes: Vec<Prefix> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
            let registered = hosts.iter().map(|host| Registered {
                address: IpAddr::from([192, 0, 2, *host]),
                prefixes: &prefixes,
                settings: SenderSettings::default(),
            });
            self.admission.update(&registered.collect::<Vec<_>>(), &OwnNetworks::default());
        }

        /// A flow to this address, at the second shard.
        fn send(&self, host: u8, destination: [u8; 4]) {
            let header = wire::netflow_v5::Header { version: 5.into(), count: 1.into(), ..Default::default() };
            let (octets, packets) = (100.into(), 2.into());
            let record = wire::netflow_v5::Record { destination, octets, packets, ..Default::default() };
            let payload = [header.as_bytes(), record.as_bytes()].concat();
            let exporter = Exporter::udp(IpAddr::from([192, 0, 2, host]), 1);
            let received = Timestamp::from_seconds(1_800_000_000);
            let to = "127.0.0.1:2055".parse().unwrap();
            locked_in_turn(&self.shards[1]).take(&Datagram { exporter, received, payload: &payload }, to);
        }

        fn is_due(&mut self) -> bool {
            self.first.is_due(&self.shards, self.now, AT_ONCE)
        }

        /// Cuts, as the flusher does.
        fn flush(&mut self, is_for_them: bool) {
            self.first.flushing(&self.shards, self.now, is_for_them);
            let empties = vec![accounting::tally::Tally::new(self.rules.tally); 2];
            let next = FlushNumber { epoch: 1, sequence: 2 };
            cut(&self.shards, &self.exporters, empties, None, next, &mut CutCounts::default());
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
        }
    }

    #[test]
    fn the_first_flows_of_a_sender_are_flushed_at_once_and_later_ones_are_not() {
        let mut bench = Bench::new();
        bench.register(&[1], &["10.0.0.0/8"]);
        assert!(!bench.is_due(), "no flow");
        bench.send(1, [172, 16, 0, 1]);
        assert!(!bench.is_due(), "a flow that does not count");
        bench.send(1, [10, 0, 0, 1]);
        assert!(bench.is_due());
        bench.flush(true);
        bench.send(1, [10, 0, 0, 1]);
        bench.wait(APART);
        assert!(!bench.is_due());
    }

    #[test]
    fn what_was_registered_at_the_start_or_flushed_with_others_is_not_new() {
        let mut bench = Bench::new();
        bench.register(&[1], &["10.0.0.0/8"]);
        bench.first = FirstFlush::new(bench.admission.admitted());
        bench.send(1, [10, 0, 0, 1]);
        assert!(!bench.is_due());
        bench.register(&[1, 2], &["10.0.0.0/8"]);
        bench.send(2, [10, 0, 0, 1]);
        assert!(bench.is_due());
        bench.flush(false);
        bench.send(2, [10, 0, 0, 1]);
        assert!(!bench.is_due());
    }

    #[test]
    fn a_new_prefix_of_a_known_sender_is_new_also_when_its_flows_count_for_one_within_it() {
        let mut bench = Bench::new();
        bench.register(&[1], &["10.0.0.0/8", "172.16.0.0/12"]);
        bench.first = FirstFlush::new(bench.admission.admitted());
        bench.register(&[1], &["10.0.0.0/8", "172.16.0.0/12", "172.0.0.0/8", "198.51.100.0/24"]);
        bench.send(1, [10, 0, 0, 1]);
        assert!(!bench.is_due());
        bench.send(1, [172, 16, 0, 1]);
        assert!(bench.is_due());
        bench.flush(true);
        bench.send(1, [198, 51, 100, 1]);
        assert!(!bench.is_due(), "so soon after the last");
        bench.wait(APART);
        assert!(bench.is_due());
    }

    #[test]
    fn registrations_in_a_loop_flush_every_ten_seconds_at_most() {
        let mut bench = Bench::new();
        let mut flushes = 0;
        for second in 0..60 {
            bench.register(&[1], if second % 2 == 0 { &["10.0.0.0/8"] } else { &["10.0.0.0/9"] });
            bench.send(1, [10, 0, 0, 1]);
            if bench.is_due() {
                bench.flush(true);
                flushes += 1;
            }
            bench.wait(Duration::from_secs(1));
        }
        assert_eq!(flushes, 6);
    }

    #[test]
    fn it_waits_as_long_as_is_set_and_forgets_what_is_removed() {
        let mut bench = Bench::new();
        let patience = Duration::from_secs(5);
        bench.register(&[1], &["10.0.0.0/8"]);
        bench.send(1, [10, 0, 0, 1]);
        assert!(!bench.first.is_due(&bench.shards, bench.now, patience));
        bench.wait(patience);
        assert!(bench.first.is_due(&bench.shards, bench.now, patience));
        bench.register(&[], &[]);
        bench.first.note_registrations();
        assert!(bench.first.new.is_empty());
    }

    #[test]
    fn senders_with_too_many_prefixes_wait_for_the_interval() {
        let mut bench = Bench::new();
        let many: Vec<String> = (0..=MOST_PREFIXES).map(|i| format!("10.{}.{}.0/24", i / 256, i % 256)).collect();
        let many: Vec<Prefix> = many.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let (few, settings) = (["10.0.0.0/8".parse::<Prefix>().unwrap()], SenderSettings::default());
        let [first, second] = [1, 2].map(|host| IpAddr::from([192, 0, 2, host]));
        let registered = [
            Registered { address: first, prefixes: &many, settings },
            Registered { address: second, prefixes: &few, settings },
        ];
        bench.admission.update(&registered, &OwnNetworks::default());
        bench.first.note_registrations();
        assert_eq!(bench.first.new.keys().collect::<Vec<_>>(), [&second]);
    }
}
