//! A limited number of places, such as connections or octets of memory, that parties share. No party waits for a place. When
//! there are too few, one of them gives way:
//!
//! 1. strangers, as long as they have more places than are kept for them: the one with the most places;
//! 2. otherwise the key with the most places; keys that permit everything come last.
//!
//! So a key loses places only if no other has more, and strangers cost a key nothing. What is idle gives way before work,
//! the oldest first; work gives way in reverse order, so that what began first also ends.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::party::Party;

/// Places that parties share.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    /// With at most this many places, strangers need not give way to keys.
    for_strangers: usize,
    table: Mutex<Table>,
}

/// Whether places are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// They wait for their client.
    Idle,
    /// Their client waits for the collector.
    Work,
}

/// How many places there are, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) places: usize,
    pub(crate) limit: usize,
    /// How often one gave way since the start.
    pub(crate) gave_way: u64,
}

#[derive(Debug, Default)]
struct Table {
    /// The ticket of the next change: tickets order by age.
    next_ticket: u64,
    parties: HashMap<Party, Holdings>,
    taken: usize,
    of_strangers: usize,
    gave_way: u64,
}

/// What one party has, by ticket.
#[derive(Debug, Default)]
struct Holdings {
    places: usize,
    idle: BTreeMap<u64, Holding>,
    working: BTreeMap<u64, Holding>,
}

/// Places that were taken together.
#[derive(Debug)]
struct Holding {
    places: usize,
    leave: Arc<Notify>,
}

/// Places that are taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    entry: Mutex<Entry>,
}

/// Where the table has a holding. It has none any more after its holder was notified to leave.
#[derive(Clone, Copy, Debug)]
struct Entry {
    party: Party,
    usage: Use,
    ticket: u64,
}

impl Places {
    pub(crate) fn new(limit: usize, for_strangers: usize) -> Arc<Self> {
        Arc::new(Self { limit, for_strangers, table: Mutex::default() })
    }

    /// Takes places; when there are too few, others are notified to leave. This holder will be notified by `leave`. The limit
    /// is exceeded by holders that have not left yet, and by one party that needs more than all places at once.
    pub(crate) fn take(self: &Arc<Self>, party: Party, count: usize, usage: Use, leave: Arc<Notify>) -> Place {
        let mut table = self.lock();
        while table.taken.saturating_add(count) > self.limit && table.give_way(self.for_strangers, party, count) {}
        let entry = table.enter(party, usage, Holding { places: count, leave });
        drop(table);
        Place { places: Arc::clone(self), entry: Mutex::new(entry) }
    }

    /// Notifies one holder to leave, as if places had run out; `false` without any.
    pub(crate) fn make_room(&self) -> bool {
        let newcomer = Party::Stranger(Ipv4Addr::UNSPECIFIED.into());
        self.lock().give_way(self.for_strangers, newcomer, 0)
    }

    pub(crate) fn taken(&self) -> Taken {
        let table = self.lock();
        Taken { places: table.taken, limit: self.limit, gave_way: table.gave_way }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No method leaves the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Assigns the places to a party, for this use; they then count as new.
    pub(crate) fn assign(&self, party: Party, usage: Use) {
        let (mut table, mut entry) = (self.places.lock(), self.entry());
        if let Some(holding) = table.remove(*entry) {
            *entry = table.enter(party, usage, holding);
        }
    }

    /// As [`assign`](Self::assign), to the party that has them.
    pub(crate) fn reuse(&self, usage: Use) {
        let party = self.entry().party;
        self.assign(party, usage);
    }

    /// Locked after the table.
    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (mut table, entry) = (self.places.lock(), self.entry());
        table.remove(*entry);
    }
}

impl Table {
    fn enter(&mut self, party: Party, usage: Use, holding: Holding) -> Entry {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.taken += holding.places;
        self.of_strangers += if party.is_stranger() { holding.places } else { 0 };
        let holdings = self.parties.entry(party).or_default();
        holdings.places += holding.places;
        holdings.of(usage).insert(ticket, holding);
        Entry { party, usage, ticket }
    }

    fn remove(&mut self, Entry { party, usage, ticket }: Entry) -> Option<Holding> {
        let holdings = self.parties.get_mut(&party)?;
        let holding = holdings.of(usage).remove(&ticket)?;
        holdings.places -= holding.places;
        if holdings.idle.is_empty() && holdings.working.is_empty() {
            self.parties.remove(&party);
        }
        self.taken -= holding.places;
        self.of_strangers -= if party.is_stranger() { holding.places } else { 0 };
        Some(holding)
    }

    /// Notifies a holder to leave because `newcomer` needs `count` more places; `false` when there is none.
    fn give_way(&mut self, for_strangers: usize, newcomer: Party, count: usize) -> bool {
        let more = |party| if party == newcomer { count } else { 0 };
        let of_strangers = self.of_strangers + if newcomer.is_stranger() { count } else { 0 };
        let strangers_first = of_strangers > for_strangers;
        let heaviest = self.parties.iter().max_by_key(|(party, holdings)| {
            let places = holdings.places + more(**party);
            // The party decides last, so that the result does not depend on the order of a hash table.
            (party.is_stranger() == strangers_first, !party.is_admin(), places, **party == newcomer, **party)
        });
        let Some((&party, holdings)) = heaviest else { return false };
        let idle = holdings.idle.first_key_value().map(|(ticket, _)| (Use::Idle, *ticket));
        let work = || holdings.working.last_key_value().map(|(ticket, _)| (Use::Work, *ticket));
        let Some((usage, ticket)) = idle.or_else(work) else { return false };
        let Some(holding) = self.remove(Entry { party, usage, ticket }) else { return false };
        self.gave_way += 1;
        holding.leave.notify_one();
        true
    }
}

impl Holdings {
    fn of(&mut self, usage: Use) -> &mut BTreeMap<u64, Holding> {
        match usage {
            Use::Idle => &mut self.idle,
            Use::Work => &mut self.working,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::party::KeyId;

    /// Places with the signal to leave them.
    struct Holder(Place, Arc<Notify>);

    impl Holder {
        fn leaves(&self) -> bool {
            pin!(self.1.notified()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        }

        fn assign(&self, party: Party, usage: Use) {
            self.0.assign(party, usage);
        }
    }

    fn take(places: &Arc<Places>, party: Party, count: usize, usage: Use) -> Holder {
        let leave = Arc::new(Notify::new());
        Holder(places.take(party, count, usage, Arc::clone(&leave)), leave)
    }

    fn many(number: usize, places: &Arc<Places>, party: Party, usage: Use) -> Vec<Holder> {
        (0..number).map(|_| take(places, party, 1, usage)).collect()
    }

    fn key(name: &str) -> Party {
        Party::Key(KeyId::of(name.as_bytes()))
    }

    fn stranger(last: u8) -> Party {
        Party::Stranger([192, 0, 2, last].into())
    }

    /// The numbers of those notified to leave since the last call.
    fn leaving(holders: &[Holder]) -> Vec<usize> {
        holders.iter().enumerate().filter_map(|(number, holder)| holder.leaves().then_some(number)).collect()
    }

    #[test]
    fn the_longest_idle_of_one_party_gives_way_then_the_newest_work() {
        let places = Places::new(4, 0);
        let held = many(4, &places, key("a"), Use::Idle);
        held[1].assign(key("a"), Use::Work);
        held[3].assign(key("a"), Use::Work);
        held[0].assign(key("a"), Use::Idle);
        for (expected, left) in [(2, 3), (0, 2), (3, 1), (1, 0)] {
            assert!(places.make_room());
            assert_eq!(leaving(&held), [expected]);
            // A holder that was notified to leave does not count any more, whatever it does until then.
            held[expected].assign(key("a"), Use::Work);
            assert_eq!(places.taken().places, left);
        }
        assert!(!places.make_room(), "there is none left");
    }

    #[test]
    fn work_that_began_first_ends_first() {
        let places = Places::new(3, 0);
        let held = many(3, &places, key("a"), Use::Work);
        let _other = take(&places, key("b"), 1, Use::Work);
        assert_eq!(leaving(&held), [2]);
        let _another = take(&places, key("a"), 1, Use::Work);
        assert_eq!(leaving(&held), [1], "its own newest, not the one of another key");
    }

    #[test]
    fn the_key_with_the_most_places_gives_way_and_no_other() {
        let places = Places::new(10, 2);
        let small = [take(&places, key("small"), 1, Use::Idle), take(&places, key("other"), 2, Use::Idle)];
        let mut greedy = Vec::new();
        for _ in 0..1000 {
            let place = take(&places, stranger(1), 1, Use::Idle);
            place.assign(key("greedy"), Use::Work);
            greedy.push(place);
            assert!(leaving(&small).is_empty());
        }
        assert_eq!(leaving(&greedy).len(), 1000 - 7);
        assert_eq!(places.taken(), Taken { places: 10, limit: 10, gave_way: 1000 - 7 });
    }

    #[test]
    fn strangers_give_way_to_keys_but_for_the_places_kept_for_them() {
        let places = Places::new(6, 2);
        let strangers: Vec<_> = (0..6).map(|number| take(&places, stranger(number), 1, Use::Idle)).collect();
        let keys = many(6, &places, key("a"), Use::Work);
        // They have equally many each: the highest addresses.
        assert_eq!(leaving(&strangers), [2, 3, 4, 5]);
        assert_eq!(leaving(&keys), [3, 4], "its own newest");
    }

    #[test]
    fn the_stranger_with_the_most_places_gives_way() {
        let places = Places::new(6, 2);
        let quiet = take(&places, stranger(9), 1, Use::Idle);
        let many = many(100, &places, stranger(1), Use::Idle);
        assert!(!quiet.leaves());
        assert_eq!(leaving(&many), (0..95).collect::<Vec<_>>());
    }

    #[test]
    fn a_key_that_permits_everything_gives_way_last() {
        let places = Places::new(4, 1);
        let admin = many(3, &places, Party::Admin(KeyId::of(b"admin")), Use::Work);
        let one = take(&places, key("one"), 1, Use::Work);
        let _other = take(&places, key("other"), 1, Use::Work);
        assert!(one.leaves() && leaving(&admin).is_empty());
    }

    #[test]
    fn places_are_counted_together_and_returned() {
        let places = Places::new(100, 0);
        let one = take(&places, key("a"), 30, Use::Idle);
        let other = take(&places, key("b"), 70, Use::Idle);
        assert!(!one.leaves());
        // More than there are: others leave, and it has them alone.
        let huge = take(&places, key("c"), 1000, Use::Idle);
        assert!(one.leaves() && other.leaves() && !huge.leaves());
        assert_eq!(places.taken().places, 1000);
        drop((one, other, huge));
        assert_eq!(places.taken().places, 0);
        assert!(places.lock().parties.is_empty());
    }
}
