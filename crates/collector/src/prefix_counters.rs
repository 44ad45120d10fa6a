//! What was counted for each monitored prefix since the start, for metrics. It is added up from the blocks of durable flushes,
//! so that counting threads do nothing for it.
//!
//! Every monitored prefix has counters, from 0 on: where a series begins with its first traffic, Prometheus would miss that in
//! a rate. There are none at all while more prefixes are monitored than the limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use accounting::direction::Direction;
use flow::{Counters, Prefix};
use pipeline::{Registration, Snapshot};

use crate::lock::locked;

/// `all` of a sender and prefix, by the number of the direction.
pub(crate) type PrefixSums = HashMap<(IpAddr, Prefix), [Counters; Direction::ALL.len()]>;

/// The counters of monitored prefixes; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrefixCounters(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    admitted: Arc<Snapshot>,
    /// How many prefixes are monitored, over all senders.
    monitored: usize,
    limit: usize,
    /// Of each monitored prefix; empty beyond the limit.
    sums: PrefixSums,
}

impl PrefixCounters {
    /// Counts for these senders from now on, and forgets prefixes that are no longer monitored.
    pub(crate) fn follow(&self, admitted: &Arc<Snapshot>, limit: usize) {
        let mut counted = locked(&self.0);
        if Arc::ptr_eq(admitted, &counted.admitted) && limit == counted.limit {
            return;
        }
        let monitored = admitted.values().map(|registration| registration.monitored.prefixes().len()).sum();
        let was_beyond = counted.is_beyond();
        (counted.admitted, counted.monitored, counted.limit) = (Arc::clone(admitted), monitored, limit);
        let mut before = std::mem::take(&mut counted.sums);
        if counted.is_on() {
            let of = |(sender, registration): (&IpAddr, &Arc<Registration>)| {
                let sender = *sender;
                registration.monitored.prefixes().iter().map(move |(prefix, _)| (sender, *prefix)).collect::<Vec<_>>()
            };
            counted.sums =
                admitted.iter().flat_map(of).map(|of| (of, before.remove(&of).unwrap_or_default())).collect();
        }
        match (was_beyond, counted.is_beyond()) {
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

    /// Adds what a durable flush has counted.
    pub(crate) fn add(&self, in_blocks: &PrefixSums) {
        let mut counted = locked(&self.0);
        for (of, all) in in_blocks {
            if let Some(sums) = counted.sums.get_mut(of) {
                sums.iter_mut().zip(all).for_each(|(sum, counters)| sum.add(*counters));
            }
        }
    }

    /// How many prefixes are monitored, over all routers, and the most that can have counters.
    pub(crate) fn size(&self) -> (usize, usize) {
        let counted = locked(&self.0);
        (counted.monitored, counted.limit)
    }

    /// The counters of all monitored prefixes, by router and prefix.
    pub(crate) fn view(&self) -> Vec<view::PrefixCounters> {
        let counted = locked(&self.0);
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
        counters.follow(&monitoring(&["10.0.0.0/8", "192.0.2.0/24"]), 2);
        let of = |bytes| [("10.0.0.0/8".to_owned(), bytes), ("192.0.2.0/24".to_owned(), 0)];
        assert_eq!(bytes_in(&counters), of(0));
        counters.add(&flush("10.0.0.0/8", 5));
        counters.add(&flush("10.0.0.0/8", 7));
        assert_eq!(bytes_in(&counters), of(12));
        counters.follow(&monitoring(&["192.0.2.0/24"]), 2);
        // The last of its flows are stored after it was removed.
        counters.add(&flush("10.0.0.0/8", 1));
        assert_eq!(bytes_in(&counters), [("192.0.2.0/24".to_owned(), 0)]);
    }

    #[test]
    fn beyond_the_limit_there_are_none_and_below_it_they_begin_at_0() {
        let counters = PrefixCounters::default();
        let (one, two) = (monitoring(&["10.0.0.0/8"]), monitoring(&["10.0.0.0/8", "192.0.2.0/24"]));
        counters.follow(&one, 1);
        counters.add(&flush("10.0.0.0/8", 5));
        counters.follow(&two, 1);
        counters.add(&flush("10.0.0.0/8", 5));
        assert_eq!((counters.size(), counters.view().len()), ((2, 1), 0));
        counters.follow(&one, 1);
        assert_eq!(bytes_in(&counters), [("10.0.0.0/8".to_owned(), 0)]);
        counters.follow(&one, 0);
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
