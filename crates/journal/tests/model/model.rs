//! What the journal holds, as plainly as can be: for each flush and shard the entries in the order in which they were
//! written, in parts of which a crash may cut off the end.

use std::collections::{BTreeMap, BTreeSet};

use flow::FlushNumber;

/// A datagram, known by its number.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) received: u64,
    pub(crate) is_carried: bool,
}

/// What is written in one piece of disk: a prefix of it is found again.
#[derive(Debug, Default)]
struct Part {
    entries: Vec<Entry>,
    /// As many are found after the process was killed.
    written: usize,
    /// As many are found after a loss of power.
    synced: usize,
    /// Nothing more is written to it.
    has_ended: bool,
    /// A sync failed, so no later one counts (fsync(2)).
    is_spoilt: bool,
}

/// All that was written and is not durable.
#[derive(Debug, Default)]
pub(crate) struct Model {
    segments: BTreeMap<(FlushNumber, u16), Vec<Part>>,
    pub(crate) durable: Option<FlushNumber>,
}

impl Model {
    /// A batch was written, or could not be: then its beginning may be there.
    pub(crate) fn wrote(&mut self, flush: FlushNumber, shard: u16, batch: Vec<Entry>, succeeded: bool) {
        let parts = self.segments.entry((flush, shard)).or_default();
        if parts.last().is_none_or(|part| part.has_ended) {
            parts.push(Part::default());
        }
        let part = parts.last_mut().unwrap();
        part.entries.extend(batch);
        part.has_ended = !succeeded;
        if succeeded {
            part.written = part.entries.len();
        }
    }

    /// What was written was synced, of one shard or of all, or it could not be.
    pub(crate) fn synced(&mut self, only: Option<u16>, succeeded: bool) {
        for ((_, shard), parts) in &mut self.segments {
            for part in parts.iter_mut().filter(|part| !part.is_spoilt && only.is_none_or(|only| only == *shard)) {
                if succeeded {
                    part.synced = part.written;
                } else if part.synced < part.entries.len() {
                    (part.is_spoilt, part.has_ended) = (true, true);
                }
            }
        }
    }

    /// This flush and those before are durable.
    pub(crate) fn durable(&mut self, flush: FlushNumber) {
        self.durable = self.durable.max(Some(flush));
        self.segments.retain(|(of, _), _| Some(*of) > self.durable);
    }

    /// The process is gone, perhaps with the power.
    pub(crate) fn crashed(&mut self, power: bool) {
        for part in self.segments.values_mut().flatten() {
            part.has_ended = true;
            if power {
                part.written = part.synced;
                part.is_spoilt = false;
            }
        }
    }

    /// What was found is there.
    pub(crate) fn found(&mut self, found: &[(u64, bool)]) {
        let found: BTreeSet<u64> = found.iter().map(|(id, _)| *id).collect();
        for part in self.segments.values_mut().flatten() {
            let there = part.entries.iter().rposition(|entry| found.contains(&entry.id)).map_or(0, |last| last + 1);
            part.written = part.written.max(there);
        }
    }

    /// Compares what a reader has handed out after the cursor. Data that were carried count in the first flush that is on
    /// disk.
    pub(crate) fn check(&self, found: &[(u64, bool)], cursor: Option<FlushNumber>, first: Option<FlushNumber>) {
        let ids: BTreeSet<u64> = found.iter().map(|(id, _)| *id).collect();
        let mut expected = Vec::new();
        let after = self.segments.iter().filter(|((flush, _), _)| Some(*flush) > cursor);
        let mut flushes: BTreeMap<FlushNumber, Vec<Vec<&Entry>>> = BTreeMap::new();
        for ((flush, _), parts) in after {
            let is_shown = |entry: &Entry| !entry.is_carried || Some(*flush) == first;
            let shard = parts.iter().flat_map(|part| part.prefix(&ids, is_shown)).collect();
            flushes.entry(*flush).or_default().push(shard);
        }
        for (flush, shards) in flushes {
            let merged = merged(shards).into_iter().filter(|entry| !entry.is_carried || Some(flush) == first);
            expected.extend(merged.map(|entry| (entry.id, entry.is_carried)));
        }
        assert_eq!(found, expected, "after {cursor:?}, first on disk {first:?}, of {self:#?}");
    }
}

impl Part {
    /// The entries up to the last that was found: at least those that have to be there.
    fn prefix(&self, found: &BTreeSet<u64>, is_shown: impl Fn(&Entry) -> bool) -> &[Entry] {
        let last = self.entries.iter().rposition(|entry| found.contains(&entry.id)).map_or(0, |last| last + 1);
        let there = last.max(self.written);
        let lost = self.entries[..there].iter().find(|entry| is_shown(entry) && !found.contains(&entry.id));
        assert!(lost.is_none(), "{lost:?} is lost of {self:?}");
        &self.entries[..there]
    }
}

/// The entries of several shards, always the earliest of those that come next.
fn merged(shards: Vec<Vec<&Entry>>) -> Vec<&Entry> {
    let mut shards: Vec<_> = shards.into_iter().map(|entries| entries.into_iter().peekable()).collect();
    let mut merged = Vec::new();
    loop {
        let heads = shards.iter_mut().enumerate().filter_map(|(shard, rest)| Some((rest.peek()?.received, shard)));
        let Some((_, shard)) = heads.min() else { return merged };
        merged.extend(shards[shard].next());
    }
}
