//! What the journal holds, as plainly as can be: for each flush and shard the entries in the order in which they were
//! written, in parts of which a crash may cut off the end.

use std::collections::{BTreeMap, BTreeSet};

use flow::{Counted, FlushNumber};

/// A datagram, known by its number, or what was carried over of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// The number of the datagram.
    pub(crate) of: u64,
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

/// All that was written and is not removed, and what the database beside it counts.
#[derive(Debug, Default)]
pub(crate) struct Model {
    segments: BTreeMap<(FlushNumber, u16), Vec<Part>>,
    pub(crate) counted: Vec<Counted>,
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
        let counted = std::mem::take(&mut self.counted);
        // What was removed is synced no more; a loss of power may bring back the file as it was.
        let is_counted = |flush| is_counted(&counted, flush);
        let synced = self.segments.iter_mut().filter(|((flush, _), _)| !succeeded || !is_counted(*flush));
        for ((_, shard), parts) in synced {
            for part in parts.iter_mut().filter(|part| !part.is_spoilt && only.is_none_or(|only| only == *shard)) {
                if succeeded {
                    part.synced = part.written;
                } else if part.synced < part.entries.len() {
                    (part.is_spoilt, part.has_ended) = (true, true);
                }
            }
        }
        self.counted = counted;
    }

    /// These flushes are counted, and with them the database.
    pub(crate) fn count(&mut self, counted: &[Counted]) {
        counted.iter().for_each(|counted| counted.add_to(&mut self.counted));
    }

    fn is_counted(&self, flush: FlushNumber) -> bool {
        is_counted(&self.counted, flush)
    }

    /// Another database is beside the journal: segments of flushes that it does not count are read, if they are there.
    /// `false`, and no change, when the disk has removed only some parts of one.
    pub(crate) fn replace_database(
        &mut self,
        counted: Vec<Counted>,
        on_disk: &BTreeMap<(FlushNumber, u16), usize>,
    ) -> bool {
        let parts_left = |key: &(FlushNumber, u16)| on_disk.get(key).copied().unwrap_or_default();
        let gone = |key: &(FlushNumber, u16)| self.is_counted(key.0) && parts_left(key) == 0;
        let partly = |(key, parts): (&(FlushNumber, u16), &Vec<Part>)| {
            self.is_counted(key.0) && parts_left(key) > 0 && parts_left(key) != parts.len()
        };
        if self.segments.iter().any(partly) {
            return false;
        }
        let gone: Vec<_> = self.segments.keys().filter(|key| gone(key)).copied().collect();
        gone.iter().for_each(|key| drop(self.segments.remove(key)));
        self.counted = counted;
        true
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

    /// Compares what a reader has handed out after the cursor. Data that were carried count unless an earlier flush has
    /// handed them out.
    pub(crate) fn check(&self, found: &[(u64, bool)], cursor: Option<FlushNumber>) {
        let ids: BTreeSet<u64> = found.iter().map(|(id, _)| *id).collect();
        let (mut expected, mut known) = (Vec::new(), BTreeSet::new());
        let after = self.segments.iter().filter(|((flush, _), _)| Some(*flush) > cursor && !self.is_counted(*flush));
        let mut flushes: BTreeMap<FlushNumber, Vec<Vec<&Entry>>> = BTreeMap::new();
        for ((flush, _), parts) in after {
            flushes.entry(*flush).or_default().push(Vec::new());
            let shards = flushes.get_mut(flush).unwrap();
            shards.last_mut().unwrap().extend(parts.iter().flat_map(|part| part.found(&ids)));
        }
        for shards in flushes.into_values() {
            let merged = merged(shards).into_iter().filter(|entry| !entry.is_carried || !known.contains(&entry.of));
            let merged: Vec<_> = merged.collect();
            expected.extend(merged.iter().map(|entry| (entry.id, entry.is_carried)));
            known.extend(merged.iter().map(|entry| entry.of));
        }
        assert_eq!(found, expected, "after {cursor:?}, of {self:#?}");
    }
}

fn is_counted(counted: &[Counted], flush: FlushNumber) -> bool {
    counted.iter().any(|counted| counted.includes(&Counted { newest: flush, ..*counted }))
}

impl Part {
    /// The entries up to the last that was found: at least those that have to be there.
    fn found(&self, found: &BTreeSet<u64>) -> &[Entry] {
        let last = self.entries.iter().rposition(|entry| found.contains(&entry.id)).map_or(0, |last| last + 1);
        &self.entries[..last.max(self.written)]
    }
}

/// The entries of several shards, always the earliest of those that come next.
fn merged(shards: Vec<Vec<&Entry>>) -> Vec<&Entry> {
    let mut shards: Vec<_> = shards.into_iter().map(|entries| entries.into_iter().peekable()).collect();
    let mut merged = Vec::new();
    loop {
        let heads = shards
            .iter_mut()
            .enumerate()
            .filter_map(|(shard, rest)| rest.peek().map(|next| (next.received, next.of, shard)));
        let Some((.., shard)) = heads.min() else { return merged };
        merged.extend(shards[shard].next());
    }
}
