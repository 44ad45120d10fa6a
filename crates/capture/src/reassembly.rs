//! Reassembly of IP fragments (RFC 791, section 3.2; RFC 8200, section 4.5), bounded in packets, octets and age. A packet
//! with overlapping fragments is refused (RFC 5722), in IPv4 too: only attackers send them, and systems interpret them
//! differently.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use etherparse::IpNumber;
use flow::Timestamp;

use crate::packet::Fragment;

/// Most incomplete packets.
const PACKET_LIMIT: usize = 256;
/// Most octets of incomplete packets.
const OCTET_LIMIT: usize = 4 << 20;
/// Cost of a fragment in addition to its octets.
const PIECE_OVERHEAD: usize = 64;
/// Age at which an incomplete packet is dropped, by the clock of the capture.
const AGE_LIMIT: Duration = Duration::from_secs(30);
/// The largest length that an IP header can express.
const LENGTH_LIMIT: usize = 65_535;

/// The values that all fragments of a packet share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    /// Part of the key in IPv4 only; in IPv6 the first fragment decides.
    protocol: Option<IpNumber>,
}

/// An incomplete packet.
struct Partial {
    first_received: Timestamp,
    /// By offset, without overlaps.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// Octets in all pieces.
    octets: usize,
    /// The length of the whole, known from the last fragment.
    length: Option<usize>,
    /// The first header of the whole, known from the first fragment.
    protocol: Option<IpNumber>,
    /// Whether fragments overlapped. The packet remains in order to refuse later fragments.
    refused: bool,
}

/// All incomplete packets.
#[derive(Default)]
pub(crate) struct Reassembly {
    partials: HashMap<Key, Partial>,
    /// Cost of all pieces.
    cost: usize,
    dropped: u64,
}

/// The result of adding a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More fragments are needed.
    Waiting,
    /// The packet is complete.
    Whole { protocol: IpNumber, payload: Vec<u8> },
    /// The fragment is invalid.
    Impossible,
}

impl Reassembly {
    /// Number of packets that were dropped or are still incomplete.
    pub(crate) fn incomplete(&self) -> u64 {
        self.dropped + self.partials.len() as u64
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
        self.drop_old(received);
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

    fn drop_old(&mut self, now: Timestamp) {
        let before = now.saturating_sub(AGE_LIMIT);
        for (_, partial) in self.partials.extract_if(|_, partial| partial.first_received < before) {
            self.cost -= partial.cost();
            self.dropped += 1;
        }
    }

    /// Drops the oldest packets until another fragment fits.
    fn make_room(&mut self, cost: usize) {
        while self.partials.len() >= PACKET_LIMIT || self.cost + cost > OCTET_LIMIT {
            let oldest = self.partials.iter().min_by_key(|(_, partial)| partial.first_received);
            let Some(key) = oldest.map(|(&key, _)| key) else { break };
            if let Some(partial) = self.partials.remove(&key) {
                self.cost -= partial.cost();
                self.dropped += 1;
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
        // Pieces neither overlap nor extend beyond the length, so equal sums mean that none is missing.
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

    /// Whether the same fragment is present already, for example because a packet was captured twice.
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
