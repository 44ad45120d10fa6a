//! Prefixes that come and go: the ids under which tallies count them are used again, and no counts are mixed by that.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use accounting::block::{TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::Name;
use accounting::period::Minute;
use accounting::tally::{FlowTime, GroupId, OwnNetworks, Tally, TallySettings};
use flow::{Counters, FlowRecord, FlushNumber, Prefix, SenderSettings, Timestamp};
use pipeline::{Admission, Registered};

/// The number-th of many prefixes that do not overlap.
fn prefix(number: u32) -> Prefix {
    let network = Ipv4Addr::from_bits(0x0a00_0000 + (number << 6));
    format!("{network}/26").parse().unwrap()
}

fn sender(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xc000_0200 + number).into()
}

/// One shard's tallies, used in turn as a shard and the flusher do.
struct Counting {
    admission: Admission,
    open: Tally,
    empty: Tally,
    stored: BTreeMap<(IpAddr, Prefix), u64>,
}

impl Counting {
    fn begin() -> Self {
        let tally = || Tally::new(TallySettings::default());
        Self { admission: Admission::default(), open: tally(), empty: tally(), stored: BTreeMap::new() }
    }

    fn register(&mut self, senders: &[(u32, Vec<Prefix>)]) {
        let registered = senders.iter().map(|(number, prefixes)| Registered {
            address: sender(*number),
            prefixes,
            settings: SenderSettings::default(),
        });
        self.admission.update(&registered.collect::<Vec<_>>(), &OwnNetworks::default());
    }

    /// Counts one flow of `octets` octets to the first address of a prefix.
    fn count(&mut self, from: u32, to: Prefix, bytes: u64) {
        let flow = FlowRecord {
            destination: to.address(),
            forward: Counters { bytes, packets: 1, flows: 1 },
            ..FlowRecord::empty(Timestamp::EPOCH)
        };
        let admitted = self.admission.admitted().load_full();
        self.open.book(&admitted.get(&sender(from)).unwrap().monitored, &flow, FlowTime::at(Minute::new(5)), false);
    }

    fn flush(&mut self) {
        std::mem::swap(&mut self.open, &mut self.empty);
        for block in self.empty.blocks(WriterId(1), FlushNumber { epoch: 1, sequence: 1 }) {
            let mut tables = Tables::new();
            tables.merge(&block, TableSet::ALL).unwrap();
            let bytes = tables.get(Direction::In, Name::ALL).unwrap_or_default().bytes;
            *self.stored.entry((block.key.sender, block.key.prefix)).or_default() += bytes;
        }
        self.empty.clear();
    }

    fn ids(&self) -> Vec<GroupId> {
        let admitted = self.admission.admitted().load_full();
        admitted.values().flat_map(|sender| sender.monitored.prefixes().to_vec()).map(|(_, id)| id).collect()
    }
}

#[test]
fn a_hundred_thousand_prefixes_that_come_and_go_need_no_more_ids_than_are_monitored_at_once() {
    let mut counting = Counting::begin();
    let staying = (0, vec![prefix(0)]);
    for round in 0..100 {
        let prefixes: Vec<Prefix> = (1..=1000).map(|number| prefix(round * 1000 + number)).collect();
        counting.register(&[staying.clone(), (1 + round % 7, prefixes.clone())]);
        counting.count(0, prefix(0), 1);
        for to in prefixes {
            counting.count(1 + round % 7, to, 10);
        }
        let ids = counting.ids();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1001, "two prefixes with the same id");
        assert!(ids.iter().all(|id| id.0 <= 1001), "{:?}", ids.iter().max());
        counting.flush();
    }
    assert_eq!(counting.stored.len(), 100_001);
    assert_eq!(counting.stored[&(sender(0), prefix(0))], 100);
    assert_eq!(counting.stored.values().sum::<u64>(), 100 + 10 * 100_000);
}

/// Register, count, remove, register another, count: with and without a flush after each of these steps.
#[test]
fn an_id_that_is_used_again_never_gets_the_counts_of_its_predecessor() {
    for flushes in 0..1 << 5_u32 {
        for same_sender in [true, false] {
            let mut counting = Counting::begin();
            let flush_after = |counting: &mut Counting, step: u32| {
                if flushes >> step & 1 == 1 {
                    counting.flush();
                }
            };
            let (old, new) = ((1, prefix(1)), (if same_sender { 1 } else { 2 }, prefix(2)));
            counting.register(&[(old.0, vec![old.1])]);
            let old_ids = counting.ids();
            flush_after(&mut counting, 0);
            counting.count(old.0, old.1, 1);
            flush_after(&mut counting, 1);
            counting.register(&[]);
            flush_after(&mut counting, 2);
            counting.register(&[(new.0, vec![new.1])]);
            assert_eq!(counting.ids(), old_ids);
            flush_after(&mut counting, 3);
            counting.count(new.0, new.1, 100);
            flush_after(&mut counting, 4);
            // What has changed in one step, without a moment between.
            counting.register(&[(old.0, vec![old.1])]);
            counting.count(old.0, old.1, 1000);
            counting.flush();
            counting.flush();
            let stored: Vec<_> = counting.stored.into_iter().collect();
            let expected = [((sender(old.0), old.1), 1001), ((sender(new.0), new.1), 100)];
            assert_eq!(stored, expected, "flushes {flushes:05b}, same sender {same_sender}");
        }
    }
}
