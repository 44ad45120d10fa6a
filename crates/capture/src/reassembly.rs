//! IP fragments put together (RFC 791, section 3.2; RFC 8200, section 4.5). Whatever strangers send, what is kept is
//! bounded in packets, octets and age. Fragments that overlap make the whole packet refused (RFC 5722), in IPv4 too:
//! only an attacker sends them, and what they mean differs by system.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use etherparse::IpNumber;
use flow::Timestamp;

use crate::packet::Fragment;

/// How many packets may be waiting for fragments.
const PACKET_LIMIT: usize = 256;
/// How many octets may be waiting.
const OCTET_LIMIT: usize = 4 << 20;
/// What a fragment costs besides its octets.
const PIECE_OVERHEAD: usize = 64;
/// How long a packet may wait, by the clock of the capture.
const AGE_LIMIT: Duration = Duration::from_secs(30);
/// The largest length that an IP header can express.
const LENGTH_LIMIT: usize = 65_535;

/// What all fragments of a packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    /// Part of the key in IPv4 only; in IPv6 the first fragment decides.
    protocol: Option<IpNumber>,
}

/// A packet of which some fragments are there.
struct Partial {
    first_received: Timestamp,
    /// By offset; none overlaps another.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// How many octets the pieces hold.
    octets: usize,
    /// The length of the whole, once the last fragment is there.
    length: Option<usize>,
    /// What the first fragment says that the whole starts with.
    protocol: Option<IpNumber>,
    /// Whether fragments overlapped; the packet stays to refuse those that are still to come.
    refused: bool,
}

/// Packets that wait for fragments.
#[derive(Default)]
pub(crate) struct Reassembly {
    partials: HashMap<Key, Partial>,
    /// What all pieces cost.
    cost: usize,
    given_up: u64,
}

/// What a fragment led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More fragments are needed.
    Waiting,
    /// The packet is whole.
    Whole { protocol: IpNumber, payload: Vec<u8> },
    /// No such fragment can be.
    Impossible,
}

impl Reassembly {
    /// How many packets were given up, or are waiting still.
    pub(crate) fn incomplete(&self) -> u64 {
        self.given_up + self.partials.len() as u64
    }

    pub(crate) fn add(
        &mut self,
        received: Timestamp,
        source: IpAddr,
        destination: IpAddr,
        fragment: &Fragment<'_>,
    ) -> Progress {
        let end = fragment.offset + fragment.payload.len();
        let misaligned = fragment.more && !fragment.payload.len().is_multiple_of(8);
        if fragment.payload.is_empty() || misaligned || end > LENGTH_LIMIT {
            return Progress::Impossible;
        }
        self.forget_old(received);
        self.make_room(fragment.payload.len() + PIECE_OVERHEAD);
        let protocol = source.is_ipv4().then_some(fragment.protocol);
        let key = Key { source, destination, identification: fragment.identification, protocol };
        let partial = self.partials.entry(key).or_insert_with(|| Partial::new(received));
        self.cost -= partial.cost();
        partial.add(fragment, end);
        self.cost += partial.cost();
        if !partial.is_whole() {
            return Progress::Waiting;
        }
        let Some(partial) = self.partials.remove(&key) else { return Progress::Waiting };
        self.cost -= partial.cost();
        let protocol = partial.protocol.unwrap_or(fragment.protocol);
        Progress::Whole { protocol, payload: partial.pieces.into_values().flatten().collect() }
    }

    fn forget_old(&mut self, now: Timestamp) {
        let before = now.saturating_sub(AGE_LIMIT);
        for (_, partial) in self.partials.extract_if(|_, partial| partial.first_received < before) {
            self.cost -= partial.cost();
            self.given_up += 1;
        }
    }

    /// Gives up the packets that wait the longest until one more fragment fits.
    fn make_room(&mut self, cost: usize) {
        while self.partials.len() >= PACKET_LIMIT || self.cost + cost > OCTET_LIMIT {
            let oldest = self.partials.iter().min_by_key(|(_, partial)| partial.first_received);
            let Some(key) = oldest.map(|(&key, _)| key) else { break };
            if let Some(partial) = self.partials.remove(&key) {
                self.cost -= partial.cost();
                self.given_up += 1;
            }
        }
    }
}

impl Partial {
    fn new(first_received: Timestamp) -> Self {
        Self { first_received, pieces: BTreeMap::new(), octets: 0, length: None, protocol: None, refused: false }
    }

    fn cost(&self) -> usize {
        self.octets + self.pieces.len() * PIECE_OVERHEAD
    }

    fn is_whole(&self) -> bool {
        // No piece overlaps another or reaches beyond the length: as many octets as the whole has are the whole.
        self.length == Some(self.octets)
    }

    fn add(&mut self, fragment: &Fragment<'_>, end: usize) {
        if self.refused || self.repeats(fragment) {
            return;
        }
        if self.contradicts(fragment, end) {
            self.refused = true;
            self.pieces.clear();
            self.octets = 0;
            self.length = None;
            return;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        if fragment.offset == 0 {
            self.protocol = Some(fragment.protocol);
        }
        self.octets += fragment.payload.len();
        self.pieces.insert(fragment.offset, fragment.payload.to_vec());
    }

    /// Whether the very same fragment is there already, as when a packet was captured twice.
    fn repeats(&self, fragment: &Fragment<'_>) -> bool {
        self.pieces.get(&fragment.offset).is_some_and(|piece| piece == fragment.payload)
    }

    fn contradicts(&self, fragment: &Fragment<'_>, end: usize) -> bool {
        let before = self.pieces.range(..end).next_back();
        let overlaps = before.is_some_and(|(offset, piece)| offset + piece.len() > fragment.offset);
        let last_end = self.pieces.last_key_value().map_or(0, |(offset, piece)| offset + piece.len());
        let wrong_end = match self.length {
            Some(length) => end > length || (!fragment.more && end != length),
            None => !fragment.more && end < last_end,
        };
        overlaps || wrong_end
    }
}

#[cfg(test)]
mod tests;
