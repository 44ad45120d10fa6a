//! The busiest unregistered addresses, those that relays name included, in a table of fixed size.
//!
//! An address belongs to one of 256 sets of four. If its set is full, a new address replaces the one with the fewest
//! datagrams and continues its count (Space-Saving in each set: Metwally et al., "Efficient Computation of Frequent and
//! Top-k Elements", 2005). A flood of forged addresses therefore costs four comparisons a datagram, and does not evict
//! busier addresses.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;

use flow::{Protocol, Timestamp};
use view::SenderTransport;
use wire::Datagram;

use crate::lock::locked;

const SETS: usize = 256;
const PLACES: usize = 4;
/// Maximum number of addresses.
pub(crate) const MOST: usize = SETS * PLACES;

/// An unregistered address that sends datagrams, or that the datagrams of a relay name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownSender {
    /// The address.
    pub(crate) address: IpAddr,
    /// The relay that names it; `None` if it sends itself.
    pub(crate) relay: Option<IpAddr>,
    /// Its datagrams; at most `taken_over` of them came from other addresses.
    pub(crate) datagrams: u64,
    /// The count of the address that it replaced; 0 if its set was not full.
    pub(crate) taken_over: u64,
    /// Receive time of its first datagram since it entered the table.
    pub(crate) first: Timestamp,
    /// Receive time of its last datagram.
    pub(crate) last: Timestamp,
    /// The protocol of its last datagram; `None` if it resembles no export protocol.
    pub(crate) protocol: Option<Protocol>,
    /// What carried it, or would have: its last connection was refused.
    pub(crate) transport: SenderTransport,
}

/// The table, shared by all shards.
#[derive(Debug)]
pub(crate) struct UnknownSenders {
    /// Seeded, so that an attacker cannot choose addresses in one set.
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
    /// Counts a datagram from an address, or of a relay that names it; or a refused connection, as one without content.
    pub(crate) fn note(
        &self,
        address: IpAddr,
        relay: Option<IpAddr>,
        datagram: &Datagram<'_>,
        transport: SenderTransport,
    ) {
        let is_same = |known: &UnknownSender| known.address == address && known.relay == relay;
        let set = self.hasher.hash_one(address) as usize % SETS;
        let Some(set) = self.sets.get(set) else { return };
        let mut set = locked(set);
        let place = set.iter().position(|place| place.as_ref().is_some_and(is_same));
        // An empty place is the one with the fewest datagrams.
        let fewest = || (0..PLACES).min_by_key(|place| set.get(*place).copied().flatten().map(|known| known.datagrams));
        let Some(place) = place.or_else(fewest).and_then(|place| set.get_mut(place)) else { return };
        let known = match place {
            Some(known) if is_same(known) => known,
            _ => {
                let taken_over = place.map_or(0, |other| other.datagrams);
                let first = datagram.received;
                let datagrams = taken_over;
                place.insert(UnknownSender {
                    address,
                    relay,
                    datagrams,
                    taken_over,
                    first,
                    last: first,
                    protocol: None,
                    transport,
                })
            }
        };
        known.datagrams += 1;
        known.last = known.last.max(datagram.received);
        known.protocol = datagram.protocol();
        known.transport = transport;
    }

    /// Removes an address, which is now registered.
    pub(crate) fn forget(&self, address: IpAddr) {
        let set = self.hasher.hash_one(address) as usize % SETS;
        if let Some(set) = self.sets.get(set) {
            locked(set)
                .iter_mut()
                .filter(|place| place.is_some_and(|known| known.address == address))
                .for_each(|place| *place = None);
        }
    }

    /// All addresses, the busiest first.
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
        let datagram = Datagram { exporter, received: Timestamp::from_seconds(at), payload };
        senders.note(exporter.address, None, &datagram, SenderTransport::Udp);
    }

    #[test]
    fn an_unregistered_address_has_its_count_times_and_protocol() {
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
    fn a_flood_of_forged_addresses_does_not_evict_busy_ones() {
        let senders = UnknownSenders::default();
        for number in 0..100_000_u32 {
            note(&senders, 0x0a00_0000 + number, 1, &[0, 5]);
            // One datagram in a hundred comes from one of ten addresses.
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
