//! What the journal holds, as plainly as can be: for each flush and shard the entries in the order in which they were
//! written, in parts of which a crash may cut off the end, a loss of power any sector that was not synced, and a flipped bit
//! an entry.

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

/// An entry on the disk.
#[derive(Debug)]
struct Kept {
    entry: Entry,
    /// It is found after the process was killed.
    is_written: bool,
    /// It is found after a loss of power.
    is_synced: bool,
    /// A bit of it was flipped: it is found no more.
    is_damaged: bool,
}

/// What is written in one piece of disk.
#[derive(Debug, Default)]
struct Part {
    entries: Vec<Kept>,
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
        let kept = |entry| Kept { entry, is_written: succeeded, is_synced: false, is_damaged: false };
        part.entries.extend(batch.into_iter().map(kept));
        part.has_ended = !succeeded;
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
                    part.entries.iter_mut().for_each(|kept| kept.is_synced = kept.is_written);
                } else if part.entries.iter().any(|kept| !kept.is_synced) {
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
                part.entries.iter_mut().for_each(|kept| kept.is_written = kept.is_synced);
                part.is_spoilt = false;
            }
        }
    }

    /// What was found is there.
    pub(crate) fn found(&mut self, found: &[(u64, bool)]) {
        let found: BTreeSet<u64> = found.iter().map(|(id, _)| *id).collect();
        for kept in self.kept() {
            kept.is_written |= found.contains(&kept.entry.id);
        }
    }

    /// A bit of this entry was flipped.
    pub(crate) fn damaged(&mut self, id: u64) {
        for kept in self.kept() {
            kept.is_damaged |= kept.entry.id == id;
        }
    }

    fn kept(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.segments.values_mut().flatten().flat_map(|part| &mut part.entries)
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
    /// Those that have to be there, and those that were found besides.
    fn found(&self, found: &BTreeSet<u64>) -> impl Iterator<Item = &Entry> {
        let is_there = |kept: &&Kept| !kept.is_damaged && (kept.is_written || found.contains(&kept.entry.id));
        self.entries.iter().filter(is_there).map(|kept| &kept.entry)
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
