//! Routers that register themselves: those in the ranges of `senders.accept` that send a valid export datagram.
//!
//! A receiving thread that finds one notes it as a candidate and holds its datagrams. The task that reads the registered senders
//! registers candidates in the store, up to a limit, and publishes them. Then the thread counts what it holds, at the time of
//! receipt, before what the router sends next. What is held is bounded; beyond that, and beyond the limit, datagrams of
//! candidates are unregistered at once, as those of everybody else.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use flow::{Exporter, Prefix, Timestamp};
use tokio::sync::Notify;
use wire::Datagram;

use crate::lock::locked;

/// The most candidates at a time.
const CANDIDATES: usize = 1024;
/// The most datagrams that a thread holds, and the most octets of them.
const HELD: usize = 1024;
const HELD_OCTETS: usize = 1 << 20;

/// Between the receiving threads and the task that registers; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acceptance(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ranges: ArcSwap<Ranges>,
    /// Whether there is room for another router.
    is_open: AtomicBool,
    candidates: Mutex<BTreeSet<IpAddr>>,
    /// How often candidates were decided about.
    rounds: AtomicU64,
    changed: Arc<Notify>,
}

/// Which addresses are accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// Those in these ranges.
    pub(crate) accepted: Vec<Prefix>,
    /// But not these.
    pub(crate) refused: HashSet<IpAddr>,
}

impl Ranges {
    pub(crate) fn accept(&self, address: IpAddr) -> bool {
        self.accepted.iter().any(|range| range.contains(address)) && !self.refused.contains(&address)
    }
}

impl Acceptance {
    /// One that notifies `changed` of candidates.
    pub(crate) fn notifying(changed: Arc<Notify>) -> Self {
        Self(Arc::new(Shared { changed, ..Shared::default() }))
    }

    /// Accepts other addresses from now on, if there is room.
    pub(crate) fn set(&self, ranges: Ranges, has_room: bool) {
        if **self.0.ranges.load() != ranges {
            self.0.ranges.store(Arc::new(ranges));
        }
        self.0.is_open.store(has_room, Ordering::Release);
    }

    /// The present candidates that are in the ranges.
    pub(crate) fn candidates(&self) -> Vec<IpAddr> {
        let ranges = self.0.ranges.load();
        locked(&self.0.candidates).iter().copied().filter(|address| ranges.accept(*address)).collect()
    }

    /// Notes that these candidates are published, or will not be.
    pub(crate) fn decided(&self, candidates: &[IpAddr]) {
        let mut present = locked(&self.0.candidates);
        present.retain(|address| !candidates.contains(address));
        drop(present);
        self.0.rounds.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether an address can register itself, if it sends something valid.
    pub(crate) fn accepts(&self, address: IpAddr) -> bool {
        self.0.is_open.load(Ordering::Acquire) && self.0.ranges.load().accept(address)
    }

    /// Whether a datagram of an unregistered address is that of a candidate, which is noted.
    pub(crate) fn is_candidate(&self, datagram: &Datagram<'_>) -> bool {
        let address = datagram.exporter.address;
        if !self.0.ranges.load().accept(address) || !pipeline::is_valid(datagram) {
            return false;
        }
        let mut candidates = locked(&self.0.candidates);
        if candidates.contains(&address) {
            return true;
        }
        let has_room = candidates.len() < CANDIDATES;
        if has_room {
            candidates.insert(address);
            self.0.changed.notify_one();
        }
        has_room
    }
}

/// A datagram that is held.
struct Held {
    exporter: Exporter,
    received: Timestamp,
    received_at: SocketAddr,
    payload: Vec<u8>,
}

/// The datagrams that a thread holds.
#[derive(Default)]
pub(crate) struct HeldDatagrams {
    acceptance: Acceptance,
    /// By address, each with the round of the first.
    held: HashMap<IpAddr, (u64, Vec<Held>)>,
    datagrams: usize,
    octets: usize,
}

impl HeldDatagrams {
    pub(crate) fn new(acceptance: Acceptance) -> Self {
        Self { acceptance, ..Self::default() }
    }

    /// Whether any router can register itself.
    pub(crate) fn is_on(&self) -> bool {
        self.acceptance.0.is_open.load(Ordering::Acquire) || !self.held.is_empty()
    }

    /// Holds a datagram of an unregistered address, if that is a candidate and there is room.
    pub(crate) fn hold(&mut self, datagram: &Datagram<'_>, received_at: SocketAddr) -> bool {
        let Datagram { exporter, received, payload } = *datagram;
        let has_room = self.datagrams < HELD && self.octets + payload.len() <= HELD_OCTETS;
        if !has_room || !self.acceptance.0.is_open.load(Ordering::Acquire) || !self.acceptance.is_candidate(datagram) {
            return false;
        }
        let round = self.acceptance.0.rounds.load(Ordering::Acquire);
        let (_, held) = self.held.entry(exporter.address).or_insert_with(|| (round, Vec::new()));
        held.push(Held { exporter, received, received_at, payload: payload.to_vec() });
        (self.datagrams, self.octets) = (self.datagrams + 1, self.octets + payload.len());
        true
    }

    /// The addresses that are published now, or will not be; all of them at the end.
    pub(crate) fn decided(&self, mut is_registered: impl FnMut(IpAddr) -> bool, is_ending: bool) -> Vec<IpAddr> {
        if self.held.is_empty() {
            return Vec::new();
        }
        // A candidate may have been noted just after those of a round were read: then the next round is about it.
        let rounds = self.acceptance.0.rounds.load(Ordering::Acquire);
        let is_decided = |address: IpAddr, round: u64| is_ending || rounds >= round + 2 || is_registered(address);
        let mut is_decided = is_decided;
        self.held.iter().filter(|(address, (round, _))| is_decided(**address, *round)).map(|(of, _)| *of).collect()
    }

    /// Hands over what is held of an address, in the order of receipt.
    pub(crate) fn release(&mut self, address: IpAddr, take: &mut impl FnMut(&Datagram<'_>, SocketAddr)) {
        let Some((_, held)) = self.held.remove(&address) else { return };
        for Held { exporter, received, received_at, payload } in held {
            self.datagrams -= 1;
            self.octets -= payload.len();
            take(&Datagram { exporter, received, payload: &payload }, received_at);
        }
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.held.contains_key(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NetFlow v5 without records.
    const VALID: [u8; 24] = [0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn hold(held: &mut HeldDatagrams, address: [u8; 4], payload: &[u8]) -> bool {
        let exporter = Exporter::udp(address.into(), 1);
        held.hold(&Datagram { exporter, received: Timestamp::EPOCH, payload }, "[::]:2055".parse().unwrap())
    }

    fn open(refused: &[IpAddr]) -> (Acceptance, HeldDatagrams) {
        let acceptance = Acceptance::default();
        let accepted = vec!["10.0.0.0/8".parse().unwrap()];
        acceptance.set(Ranges { accepted, refused: refused.iter().copied().collect() }, true);
        (acceptance.clone(), HeldDatagrams::new(acceptance))
    }

    #[test]
    fn only_valid_datagrams_from_the_ranges_are_held_and_none_without_room() {
        let (acceptance, mut held) = open(&[IpAddr::from([10, 0, 0, 9])]);
        assert!(hold(&mut held, [10, 0, 0, 1], &VALID) && hold(&mut held, [10, 0, 0, 1], &VALID));
        for (address, payload) in [([11, 0, 0, 1], &VALID[..]), ([10, 0, 0, 9], &VALID), ([10, 0, 0, 2], b"nonsense")] {
            assert!(!hold(&mut held, address, payload), "{address:?}");
        }
        assert_eq!(acceptance.candidates(), [IpAddr::from([10, 0, 0, 1])]);
        acceptance.set(Ranges::default(), false);
        assert!(!hold(&mut held, [10, 0, 0, 1], &VALID));
        assert_eq!(acceptance.candidates(), [] as [IpAddr; 0]);
    }

    #[test]
    fn a_flood_of_forged_addresses_is_held_up_to_a_limit() {
        let (acceptance, mut held) = open(&[]);
        let forged = (0..100_000_u32).map(|number| [10, (number >> 16) as u8, (number >> 8) as u8, number as u8]);
        assert_eq!(forged.filter(|address| hold(&mut held, *address, &VALID)).count(), HELD);
        assert_eq!(acceptance.candidates().len(), CANDIDATES);
        assert_eq!(held.decided(|_| true, false).len(), HELD);
    }

    #[test]
    fn what_is_held_is_released_in_order_when_its_address_is_decided_about() {
        let (acceptance, mut held) = open(&[]);
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]];
        hold(&mut held, one, &VALID);
        hold(&mut held, other, &VALID);
        let ipfix = [0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        hold(&mut held, one, &ipfix);
        assert_eq!(held.decided(|_| false, false), [] as [IpAddr; 0]);
        assert_eq!(held.decided(|address| address == IpAddr::from(one), false), [IpAddr::from(one)]);
        let mut taken = Vec::new();
        held.release(one.into(), &mut |datagram, _| taken.push(datagram.payload.to_vec()));
        assert_eq!(taken, [VALID.to_vec(), ipfix.to_vec()]);
        acceptance.decided(&[one.into(), other.into()]);
        assert_eq!(held.decided(|_| false, false), [] as [IpAddr; 0]);
        acceptance.decided(&[]);
        assert_eq!(held.decided(|_| false, false), [IpAddr::from(other)]);
        held.release(other.into(), &mut |_, _| ());
        assert_eq!((held.datagrams, held.octets, held.has(other.into())), (0, 0, false));
    }
}
