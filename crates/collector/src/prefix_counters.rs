//! What was counted for each monitored prefix since the start, for metrics. It is added up from the blocks of durable flushes,
//! so that counting threads do nothing for it.
//!
//! Every monitored prefix has counters, from 0 on: where a series begins with its first traffic, Prometheus would miss that in
//! a rate. There are none at all while more prefixes are monitored than the limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use accounting::direction::Direction;
use flow::{Counters, Prefix};
use pipeline::{Admitted, Registration, Snapshot};

use crate::lock::locked;

/// `all` of a sender and prefix, by the number of the direction.
pub(crate) type PrefixSums = HashMap<(IpAddr, Prefix), [Counters; Direction::ALL.len()]>;

/// The counters of monitored prefixes; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrefixCounters(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    /// Where the senders that are admitted now are found.
    source: Option<Admitted>,
    /// Those of the last look.
    admitted: Arc<Snapshot>,
    /// How many prefixes are monitored, over all senders.
    monitored: usize,
    limit: usize,
    /// Of each monitored prefix; empty beyond the limit.
    sums: PrefixSums,
}

impl PrefixCounters {
    /// The counters of the prefixes that are monitored now. Senders are admitted before any of their datagrams is counted, so no
    /// flush has a prefix that is missing here.
    fn current(&self) -> MutexGuard<'_, Counted> {
        let mut counted = locked(&self.0);
        counted.refresh();
        counted
    }

    /// Counts for the senders that are admitted from now on.
    pub(crate) fn follow(&self, admitted: &Admitted, limit: usize) {
        let mut counted = locked(&self.0);
        counted.source.get_or_insert_with(|| Arc::clone(admitted));
        counted.set_limit(limit);
    }

    /// Adds what a durable flush has counted.
    pub(crate) fn add(&self, in_blocks: &PrefixSums) {
        let mut counted = self.current();
        for (of, all) in in_blocks {
            if let Some(sums) = counted.sums.get_mut(of) {
                sums.iter_mut().zip(all).for_each(|(sum, counters)| sum.add(*counters));
            }
        }
    }

    /// How many prefixes are monitored, over all routers, and the most that can have counters.
    pub(crate) fn size(&self) -> (usize, usize) {
        let counted = self.current();
        (counted.monitored, counted.limit)
    }

    /// The counters of all monitored prefixes, by router and prefix.
    pub(crate) fn view(&self) -> Vec<view::PrefixCounters> {
        let counted = self.current();
        let mut prefixes = Vec::new();
        for (sender, registration) in counted.admitted.iter().filter(|_| counted.is_on()) {
            let monitored: Vec<Prefix> = registration.monitored.prefixes().iter().map(|(prefix, _)| *prefix).collect();
            for (prefix, within) in nested(monitored) {
                let sums = counted.sums.get(&(*sender, prefix)).copied().unwrap_or_default();
                let counters = Direction::ALL.map(Direction::name).into_iter().zip(sums).collect();
                prefixes.push(view::PrefixCounters { router: *sender, prefix, within, counters });
            }
        }
        prefixes.sort_unstable_by_key(|it| (it.router, it.prefix));
        prefixes
    }
}

impl Counted {
    /// Takes the senders that are admitted now, and forgets prefixes that are no longer monitored.
    fn refresh(&mut self) {
        let Some(admitted) = self.source.as_ref().map(|source| source.load_full()) else { return };
        if !Arc::ptr_eq(&admitted, &self.admitted) {
            self.change(admitted, self.limit);
        }
    }

    fn set_limit(&mut self, limit: usize) {
        self.refresh();
        if limit != self.limit {
            self.change(Arc::clone(&self.admitted), limit);
        }
    }

    fn change(&mut self, admitted: Arc<Snapshot>, limit: usize) {
        let was_beyond = self.is_beyond();
        self.monitored = admitted.values().map(|registration| registration.monitored.prefixes().len()).sum();
        (self.admitted, self.limit) = (admitted, limit);
        let mut before = std::mem::take(&mut self.sums);
        if self.is_on() {
            let of = |(sender, registration): (&IpAddr, &Arc<Registration>)| {
                let sender = *sender;
                registration.monitored.prefixes().iter().map(move |(prefix, _)| (sender, *prefix)).collect::<Vec<_>>()
            };
            let monitored = self.admitted.iter().flat_map(of);
            self.sums = monitored.map(|of| (of, before.remove(&of).unwrap_or_default())).collect();
        }
        let monitored = self.monitored;
        match (was_beyond, self.is_beyond()) {
            (false, true) => tracing::warn!(
                monitored,
                limit,
                "/metrics has no counters of prefixes: more are monitored than metrics.prefixes; raise it and reload"
            ),
            (true, false) if limit > 0 => {
                tracing::info!(monitored, limit, "/metrics has counters of prefixes again, from 0 on");
            }
            _ => {}
        }
    }

    fn is_beyond(&self) -> bool {
        self.limit > 0 && self.monitored > self.limit
    }

    fn is_on(&self) -> bool {
        self.monitored <= self.limit
    }
}

/// Each prefix with the smallest one around it.
fn nested(mut prefixes: Vec<Prefix>) -> Vec<(Prefix, Option<Prefix>)> {
    prefixes.sort_unstable_by_key(|prefix| (prefix.address(), prefix.length()));
    let mut around: Vec<Prefix> = Vec::new();
    let mut nested = Vec::with_capacity(prefixes.len());
    for prefix in prefixes {
        while around.pop_if(|outer| !outer.contains(prefix.address())).is_some() {}
        nested.push((prefix, around.last().copied()));
        around.push(prefix);
    }
    nested
}

#[cfg(test)]
mod tests {
    use accounting::tally::OwnNetworks;
    use arc_swap::ArcSwap;
    use flow::SenderSettings;
    use pipeline::{Admission, Registered};

    use super::*;

    const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What is admitted when this router monitors these prefixes.
    fn monitoring(texts: &[&str]) -> Arc<Snapshot> {
        let (mut admission, mut prefixes) = (Admission::default(), prefixes(texts));
        prefixes.sort_unstable();
        let registered = Registered { address: ROUTER, prefixes: &prefixes, settings: SenderSettings::default() };
        admission.update(&[registered], &OwnNetworks::default());
        admission.admitted().load_full()
    }

    fn flush(prefix: &str, bytes: u64) -> PrefixSums {
        let counters = Counters { bytes, packets: 1, flows: 1 };
        let all = [counters, Counters::ZERO, Counters::ZERO, Counters::ZERO];
        PrefixSums::from([((ROUTER, prefix.parse().unwrap()), all)])
    }

    /// The bytes that went in, by prefix.
    fn bytes_in(counters: &PrefixCounters) -> Vec<(String, u64)> {
        let bytes = |it: &view::PrefixCounters| it.counters.iter().find(|(name, _)| *name == "in").unwrap().1.bytes;
        counters.view().iter().map(|it| (it.prefix.to_string(), bytes(it))).collect()
    }

    #[test]
    fn a_prefix_has_counters_from_0_on_until_it_is_no_longer_monitored() {
        let counters = PrefixCounters::default();
        let admitted = Arc::new(ArcSwap::new(Arc::default()));
        counters.follow(&admitted, 2);
        admitted.store(monitoring(&["10.0.0.0/8", "192.0.2.0/24"]));
        let of = |bytes| [("10.0.0.0/8".to_owned(), bytes), ("192.0.2.0/24".to_owned(), 0)];
        assert_eq!(bytes_in(&counters), of(0));
        counters.add(&flush("10.0.0.0/8", 5));
        counters.add(&flush("10.0.0.0/8", 7));
        assert_eq!(bytes_in(&counters), of(12));
        admitted.store(monitoring(&["192.0.2.0/24"]));
        // The last of its flows are stored after it was removed.
        counters.add(&flush("10.0.0.0/8", 1));
        assert_eq!(bytes_in(&counters), [("192.0.2.0/24".to_owned(), 0)]);
        // The first flush of a prefix comes before anyone looks.
        admitted.store(monitoring(&["10.0.0.0/8"]));
        counters.add(&flush("10.0.0.0/8", 3));
        assert_eq!(bytes_in(&counters), [("10.0.0.0/8".to_owned(), 3)]);
    }

    #[test]
    fn beyond_the_limit_there_are_none_and_below_it_they_begin_at_0() {
        let counters = PrefixCounters::default();
        let (one, two) = (monitoring(&["10.0.0.0/8"]), monitoring(&["10.0.0.0/8", "192.0.2.0/24"]));
        let admitted = Arc::new(ArcSwap::new(one.clone()));
        counters.follow(&admitted, 1);
        counters.add(&flush("10.0.0.0/8", 5));
        admitted.store(two);
        counters.add(&flush("10.0.0.0/8", 5));
        assert_eq!((counters.size(), counters.view().len()), ((2, 1), 0));
        admitted.store(one);
        assert_eq!(bytes_in(&counters), [("10.0.0.0/8".to_owned(), 0)]);
        counters.follow(&admitted, 0);
        assert_eq!(bytes_in(&counters), []);
    }

    #[test]
    fn a_prefix_is_within_the_smallest_one_around_it() {
        let found = nested(prefixes(&[
            "10.1.0.0/16",
            "10.1.2.0/24",
            "10.0.0.0/8",
            "11.0.0.0/8",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
        ]));
        let found: Vec<String> = found
            .iter()
            .map(|(it, within)| format!("{it} {}", within.map_or_else(String::new, |it| it.to_string())))
            .collect();
        let expected = [
            "0.0.0.0/0 ",
            "10.0.0.0/8 0.0.0.0/0",
            "10.1.0.0/16 10.0.0.0/8",
            "10.1.2.0/24 10.1.0.0/16",
            "11.0.0.0/8 0.0.0.0/0",
            "::/0 ",
            "2001:db8::/32 ::/0",
        ];
        assert_eq!(found, expected);
    }
}
