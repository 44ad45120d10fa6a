//! The source ports of an exporter address, and which of them have standing.
//!
//! Anybody can send datagrams from the address of an exporter, but rarely from its source port. A port has *standing*
//! from the first flow that was counted because of it: it sent a data record that was decoded, or the template or the
//! sampling rate that a data record was decoded with. Ports without standing are *strangers*.
//!
//! Every table that datagrams of an exporter address can fill has a limit. Whose entries make room when it is reached is
//! decided here, for all of them ([`Ports::displaced`]): what strangers send displaces strangers, and an exporter that
//! was there first keeps its state, whatever follows.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use flow::Timestamp;

/// How many ports have standing at a time. Most exporters use one; line cards and processes may have their own.
const PORTS_KEPT: usize = 32;

/// An entry of a table that was not heard of for this long makes room for any other, and so does the standing of a port:
/// twice the longest usual interval between announcements.
pub(crate) const SILENT: Duration = Duration::from_secs(3600);

/// A port that found no room is not searched room for again before this time, because a search takes long.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(1);

/// Parts of a table: what is displaced at once, so that not every new entry needs a search.
const AT_ONCE: usize = 16;
/// What all strangers together are entitled to.
const OF_STRANGERS: usize = 8;
/// What each port with standing is entitled to. Together, these are less than the table.
const OF_A_PORT: usize = 64;

/// A port with standing.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    /// When its first data were received, and its last.
    pub(crate) since: Timestamp,
    pub(crate) last: Timestamp,
    /// When it last found no room in a table.
    refused: Cell<Timestamp>,
}

/// How old the standing of a port is: the smaller, the older. Strangers have the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(usize);

impl Rank {
    const STRANGER: Self = Self(usize::MAX);

    /// What a port of this rank may have of a table with this limit, whatever other ports want: all strangers together,
    /// or each port with standing.
    const fn entitled_to(self, limit: usize) -> usize {
        limit / if self.0 == Self::STRANGER.0 { OF_STRANGERS } else { OF_A_PORT }
    }
}

/// An entry of a table with a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<K> {
    pub(crate) key: K,
    /// The port that it came from.
    pub(crate) port: u16,
    /// Its size, in the unit of the limit.
    pub(crate) size: usize,
    /// When it was last used for data; never is the epoch.
    pub(crate) used: Timestamp,
    /// When it was last received.
    pub(crate) heard: Timestamp,
}

/// Room that a port wants in a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) port: u16,
    pub(crate) size: usize,
    /// The limit of the table.
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
}

/// The ports of one exporter address that have standing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    /// The one that has it longest is the first.
    known: Vec<Port>,
    /// Position of the port that was noted last: nearly always the next one, too.
    latest: usize,
    changes: u64,
}

impl Ports {
    /// Notes that something from this port was used to count a flow.
    #[inline]
    pub(crate) fn note(&mut self, port: u16, received: Timestamp) {
        match self.known.get_mut(self.latest) {
            Some(latest) if latest.number == port => latest.last = latest.last.max(received),
            _ => self.note_other(port, received),
        }
    }

    #[cold]
    fn note_other(&mut self, port: u16, received: Timestamp) {
        if let Some(place) = self.known.iter().position(|known| known.number == port) {
            self.latest = place;
            return self.note(port, received);
        }
        if self.known.len() >= PORTS_KEPT {
            let silent = received.saturating_sub(SILENT);
            let Some(place) = self.known.iter().position(|known| known.last < silent) else { return };
            self.known.remove(place);
        }
        self.restore(port, received, received);
        self.latest = self.known.len() - 1;
    }

    /// Adds a port that has had standing since then; the oldest first.
    pub(crate) fn restore(&mut self, number: u16, since: Timestamp, last: Timestamp) {
        if self.known.len() < PORTS_KEPT && !self.has_standing(number) {
            self.changes += 1;
            self.known.push(Port { number, since, last, refused: Cell::default() });
        }
    }

    /// After a restart of the collector, all known ports count as heard now: how long it was stopped does not matter.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.known.iter_mut().for_each(|port| port.last = port.last.max(now));
    }

    /// Those with standing, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Port> {
        self.known.iter()
    }

    /// Number of changes to which ports have standing.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn has_standing(&self, port: u16) -> bool {
        self.rank(port) != Rank::STRANGER
    }

    /// Whether a port has had standing for longer than another one.
    pub(crate) fn is_older(&self, port: u16, other: u16) -> bool {
        self.rank(port) < self.rank(other)
    }

    /// Since when a port has standing.
    pub(crate) fn since(&self, port: u16) -> Option<Timestamp> {
        self.find(port).map(|port| port.since)
    }

    fn find(&self, port: u16) -> Option<&Port> {
        self.known.iter().find(|known| known.number == port)
    }

    fn rank(&self, port: u16) -> Rank {
        self.known.iter().position(|known| known.number == port).map_or(Rank::STRANGER, Rank)
    }

    /// The entries of a full table that make room for another one; none if it has to be refused. In this order:
    ///
    /// 1. entries that were neither heard of nor used for an hour;
    /// 2. entries of strangers, else of the port with the youngest standing, if they have more than they are entitled to
    ///    and the standing of the port that wants room is older;
    /// 3. if that port itself has less than it is entitled to: entries of the port that has most beyond that;
    /// 4. if it is a stranger: entries of strangers; else its own that were never used for data.
    ///
    /// Of these, the least recently used go first.
    pub(crate) fn displaced<K: Copy>(&self, wanted: &Wanted, entries: impl Iterator<Item = Entry<K>>) -> Vec<K> {
        let Wanted { port, size, limit, now } = *wanted;
        if self.find(port).is_some_and(|port| now < port.refused.get().saturating_add(BETWEEN_SEARCHES)) {
            return Vec::new();
        }
        let entries: Vec<(Rank, Entry<K>)> = entries.map(|entry| (self.rank(entry.port), entry)).collect();
        let mut held: BTreeMap<Rank, usize> = BTreeMap::new();
        entries.iter().for_each(|(rank, entry)| *held.entry(*rank).or_default() += entry.size);
        let of_rank = |rank: Rank, enough: usize| least_used(&entries, enough, |of, _| of == rank);
        let excess = |rank: Rank, held: usize| held.saturating_sub(rank.entitled_to(limit));
        let own_rank = self.rank(port);
        let own = held.get(&own_rank).copied().unwrap_or_default();
        let at_once = size.max(limit / AT_ONCE);

        let silent = now.saturating_sub(SILENT);
        let mut displaced = least_used(&entries, usize::MAX, |_, entry| entry.heard.max(entry.used) < silent);
        if displaced.is_empty() {
            let mut younger = held.iter().rev().take_while(|(rank, _)| **rank > own_rank);
            let youngest = younger.find(|(rank, held)| excess(**rank, **held) > 0);
            displaced = youngest.map_or(displaced, |(rank, held)| of_rank(*rank, at_once.min(excess(*rank, *held))));
        }
        if displaced.is_empty() && own + size <= own_rank.entitled_to(limit) {
            let largest = held.iter().max_by_key(|(rank, held)| excess(**rank, **held));
            displaced = largest.map_or(displaced, |(rank, _)| of_rank(*rank, size));
        }
        if displaced.is_empty() {
            let may_go = |entry: &Entry<K>| own_rank == Rank::STRANGER || entry.used == Timestamp::EPOCH;
            displaced = least_used(&entries, at_once, |rank, entry| rank == own_rank && may_go(entry));
        }
        if let Some(port) = self.find(port).filter(|_| displaced.is_empty()) {
            port.refused.set(now);
        }
        displaced
    }
}

/// The least recently used of some entries that together have enough size.
fn least_used<K: Copy>(
    entries: &[(Rank, Entry<K>)],
    enough: usize,
    may_go: impl Fn(Rank, &Entry<K>) -> bool,
) -> Vec<K> {
    let mut going: Vec<&Entry<K>> =
        entries.iter().filter(|(rank, entry)| may_go(*rank, entry)).map(|(_, entry)| entry).collect();
    let last_use = |entry: &&Entry<K>| (entry.used, entry.heard);
    // Few go, and sorting all takes longer than finding those.
    let smallest = going.iter().map(|entry| entry.size).min().unwrap_or_default().max(1);
    let most = (enough / smallest).saturating_add(1);
    if most < going.len() {
        going.select_nth_unstable_by_key(most, last_use);
        going.truncate(most);
    }
    going.sort_unstable_by_key(last_use);
    let mut room = 0;
    let missing = going.into_iter().take_while(|entry| {
        let is_missing = room < enough;
        room += entry.size;
        is_missing
    });
    missing.map(|entry| entry.key).collect()
}
