//! Who sends without being registered: the busiest of them, in room that does not grow.
//!
//! An address belongs to one of 256 sets of four. When its set is full, a new address takes the place of the one with the
//! fewest datagrams and goes on from its count, of which it may itself have sent nothing (Metwally et al., "Efficient
//! Computation of Frequent and Top-k Elements", 2005: Space-Saving, here in each set). So a flood of invented addresses
//! costs a look at four places a datagram, and does not push out who sends more than they do.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;

use flow::{Protocol, Timestamp};
use wire::Datagram;

use crate::lock::locked;

const SETS: usize = 256;
const PLACES: usize = 4;
/// How many are told apart.
pub(crate) const MOST: usize = SETS * PLACES;

/// An address that sends and is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownSender {
    /// The address.
    pub(crate) address: IpAddr,
    /// Its datagrams, and at most `taken_over` of others.
    pub(crate) datagrams: u64,
    /// How many of the datagrams may be of others, whose place it took. 0 for everybody as long as there is room.
    pub(crate) taken_over: u64,
    /// When it was first seen since it has its place.
    pub(crate) first: Timestamp,
    /// When it was last seen.
    pub(crate) last: Timestamp,
    /// What its last datagram looks like; `None` when it looks like no export protocol.
    pub(crate) protocol: Option<Protocol>,
}

/// The table, for all shards.
#[derive(Debug)]
pub(crate) struct UnknownSenders {
    /// Seeded, so that nobody can choose addresses of one set.
    hasher: RandomState,
    sets: Box<[Mutex<Set>]>,
}

type Set = [Option<UnknownSender>; PLACES];

impl Default for UnknownSenders {
    fn default() -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), sets }
    }
}

impl UnknownSenders {
    /// Counts a datagram.
    pub(crate) fn note(&self, datagram: &Datagram<'_>) {
        let address = datagram.exporter.address;
        let set = self.hasher.hash_one(address) as usize % SETS;
        let Some(set) = self.sets.get(set) else { return };
        let mut set = locked(set);
        let place = set.iter().position(|place| place.is_some_and(|known| known.address == address));
        // An empty place is the one with the fewest datagrams.
        let fewest = || (0..PLACES).min_by_key(|place| set.get(*place).copied().flatten().map(|known| known.datagrams));
        let Some(place) = place.or_else(fewest).and_then(|place| set.get_mut(place)) else { return };
        let known = match place {
            Some(known) if known.address == address => known,
            _ => {
                let taken_over = place.map_or(0, |other| other.datagrams);
                let first = datagram.received;
                let new =
                    UnknownSender { address, datagrams: taken_over, taken_over, first, last: first, protocol: None };
                place.insert(new)
            }
        };
        known.datagrams += 1;
        known.last = known.last.max(datagram.received);
        known.protocol = datagram.protocol();
    }

    /// Forgets an address, which is registered now.
    pub(crate) fn forget(&self, address: IpAddr) {
        let set = self.hasher.hash_one(address) as usize % SETS;
        if let Some(set) = self.sets.get(set) {
            locked(set)
                .iter_mut()
                .filter(|place| place.is_some_and(|known| known.address == address))
                .for_each(|place| *place = None);
        }
    }

    /// All that are known, the busiest first.
    pub(crate) fn busiest(&self) -> Vec<UnknownSender> {
        let mut all: Vec<UnknownSender> = self.sets.iter().flat_map(|set| *locked(set)).flatten().collect();
        all.sort_unstable_by(|a, b| b.datagrams.cmp(&a.datagrams).then(a.address.cmp(&b.address)));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use flow::Exporter;

    use super::*;

    fn note(senders: &UnknownSenders, address: u32, at: u64, payload: &[u8]) {
        let exporter = Exporter::udp(Ipv4Addr::from_bits(address).into(), 1);
        senders.note(&Datagram { exporter, received: Timestamp::from_seconds(at), payload });
    }

    #[test]
    fn an_unknown_sender_is_told_with_its_count_times_and_protocol() {
        let senders = UnknownSenders::default();
        note(&senders, 1, 10, &[0, 9, 0, 0]);
        note(&senders, 2, 11, b"nonsense");
        note(&senders, 1, 12, &[0, 10, 0, 0]);
        let [first, second] = senders.busiest()[..] else { panic!("two have sent") };
        assert_eq!((first.datagrams, first.taken_over, first.protocol), (2, 0, Some(Protocol::Ipfix)));
        assert_eq!((first.first, first.last), (Timestamp::from_seconds(10), Timestamp::from_seconds(12)));
        assert_eq!((second.datagrams, second.protocol), (1, None));
        senders.forget(first.address);
        assert_eq!(senders.busiest(), [second]);
    }

    #[test]
    fn a_flood_of_invented_addresses_does_not_push_out_the_busy_ones() {
        let senders = UnknownSenders::default();
        for number in 0..100_000_u32 {
            note(&senders, 0x0a00_0000 + number, 1, &[0, 5]);
            // One of a hundred datagrams is of one of ten.
            if number % 100 == 0 {
                note(&senders, 1 + number / 100 % 10, 1, &[0, 5]);
            }
            if number % 10 == 0 {
                note(&senders, 0x0100_0000, 1, &[0, 5]);
            }
        }
        let busiest = senders.busiest();
        assert_eq!(busiest.len(), SETS * PLACES);
        let busy = busiest.first().unwrap();
        assert_eq!(busy.address, IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000)));
        assert!(busy.datagrams >= 10_000 && busy.datagrams - busy.taken_over <= 10_000, "{busy:?}");
    }
}
