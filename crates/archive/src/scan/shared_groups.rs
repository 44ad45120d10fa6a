//! The groups of a question, which several threads find.
//!
//! Each thread adds its rows to a small table that fits into a cache of its processor. When that is full, its groups move to
//! the tables of all threads, which are parts by the hash of the key, each with a lock of its own. So a group is in memory
//! once, however many threads there are, and a part that grows needs little memory for the move.

use std::sync::{Mutex, MutexGuard, PoisonError};

use filter::ColumnValues;

use super::budget::{Budget, Exceeded};
use super::group_table::{Amounts, Groups, Hashing, Moving, Visit};
use super::key_layout::Layout;
use super::work::Stop;

/// The words of a key at most.
pub(crate) const MOST_WORDS: usize = 16;
/// The parts, as a power of two.
const PART_BITS: u32 = 5;
/// The octets of the table of a thread at most: that and what it moves fit into the second level of a cache.
const GATHERED_OCTETS: usize = 256 << 10;

/// The groups that all threads have found, for keys of some number of words.
pub(crate) trait SharedGroups: Sync {
    /// Begins to add rows in a thread.
    fn gather(&self, hashing: Hashing) -> Result<Box<dyn Gather + '_>, Exceeded>;

    /// Calls back with each group.
    fn each(&self, visit: &mut Visit<'_>) -> Result<(), Stop>;
}

/// What a thread adds.
pub(crate) trait Gather {
    /// Adds rows; the amounts are in their order.
    fn add_rows(
        &mut self,
        layout: &Layout,
        columns: &dyn ColumnValues,
        rows: &[u32],
        amounts: &[Amounts],
    ) -> Result<(), Exceeded>;

    /// Moves the groups found so far to those of all threads.
    fn move_groups(&mut self) -> Result<(), Exceeded>;
}

/// Tables for keys of this many words, at most [`MOST_WORDS`].
pub(crate) fn shared_groups(words: usize, budget: &Budget) -> Result<Box<dyn SharedGroups + '_>, Exceeded> {
    Ok(match words {
        0..=1 => Box::new(Parts::<'_, 1>::new(budget)?),
        2 => Box::new(Parts::<'_, 2>::new(budget)?),
        3..=4 => Box::new(Parts::<'_, 4>::new(budget)?),
        5..=8 => Box::new(Parts::<'_, 8>::new(budget)?),
        _ => Box::new(Parts::<'_, MOST_WORDS>::new(budget)?),
    })
}

/// Tables by the hash of keys.
struct Parts<'b, const N: usize> {
    parts: Vec<Mutex<Groups<'b, N>>>,
    budget: &'b Budget,
}

/// The table of a thread.
struct Gathered<'p, 'b, const N: usize> {
    parts: &'p Parts<'b, N>,
    hashing: Hashing,
    groups: Groups<'b, N>,
    /// The keys of the rows that are added.
    keys: Vec<[u64; N]>,
    /// The groups that go to all threads' tables.
    moved: Moving<'b, N>,
    /// The groups of a table that grows.
    moving: Moving<'b, N>,
}

impl<'b, const N: usize> Parts<'b, N> {
    fn new(budget: &'b Budget) -> Result<Self, Exceeded> {
        let parts =
            (0..1 << PART_BITS).map(|_| Groups::new(budget, PART_BITS).map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self { parts, budget })
    }

    fn lock(&self, hash: u64) -> Option<MutexGuard<'_, Groups<'b, N>>> {
        self.parts.get(part_of(hash)).map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const fn part_of(hash: u64) -> usize {
    (hash >> (u64::BITS - PART_BITS)) as usize
}

impl<const N: usize> SharedGroups for Parts<'_, N> {
    fn gather(&self, hashing: Hashing) -> Result<Box<dyn Gather + '_>, Exceeded> {
        let groups = Groups::new(self.budget, 0)?;
        let (moved, moving) = (Moving::new(self.budget)?, Moving::new(self.budget)?);
        Ok(Box::new(Gathered { parts: self, hashing, groups, keys: Vec::new(), moved, moving }))
    }

    fn each(&self, visit: &mut Visit<'_>) -> Result<(), Stop> {
        self.parts.iter().try_for_each(|part| part.lock().unwrap_or_else(PoisonError::into_inner).each(visit))
    }
}

impl<const N: usize> Gathered<'_, '_, N> {
    /// Makes room for another group.
    #[cold]
    fn make_room(&mut self) -> Result<(), Exceeded> {
        let octets = self.groups.octets();
        let may_grow = octets + octets / 2 <= GATHERED_OCTETS;
        match may_grow.then(|| self.groups.grow(self.hashing, &mut self.moving)) {
            Some(Ok(())) => Ok(()),
            Some(Err(Exceeded)) if octets == 0 => Err(Exceeded),
            _ => self.move_groups(),
        }
    }
}

impl<const N: usize> Gather for Gathered<'_, '_, N> {
    fn add_rows(
        &mut self,
        layout: &Layout,
        columns: &dyn ColumnValues,
        rows: &[u32],
        amounts: &[Amounts],
    ) -> Result<(), Exceeded> {
        let (hashing, mut keys) = (self.hashing, std::mem::take(&mut self.keys));
        layout.fill(columns, rows, &mut keys)?;
        for (key, amounts) in keys.iter().zip(amounts) {
            if hashing.is_in_pass(key, layout.group_words) {
                if self.groups.is_full() {
                    self.make_room()?;
                }
                self.groups.add(key, hashing.hash(key), *amounts)?;
            }
        }
        self.keys = keys;
        Ok(())
    }

    fn move_groups(&mut self) -> Result<(), Exceeded> {
        let Self { parts, hashing, groups, moved, moving, .. } = self;
        moved.make_room(groups.len())?;
        groups.move_to(*hashing, moved);
        for of_part in moved.groups.chunk_by(|(one, _), (next, _)| part_of(*one) == part_of(*next)) {
            let part = of_part.first().and_then(|(hash, _)| parts.lock(*hash));
            part.map_or(Ok(()), |mut part| part.add_all(*hashing, of_part, moving))?;
        }
        for (key, beyond) in groups.take_beyond() {
            let part = parts.lock(hashing.hash(&key));
            part.map_or(Ok(()), |mut part| part.add_beyond(&key, beyond))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use columns::{Batch, Id, Row};

    use super::super::group_table::add;
    use super::super::key::Key;
    use super::*;

    const ONE_PASS: Hashing = Hashing { seed: 17, pass: 0, passes: 1 };

    /// Adds rows with these ports in threads, each port as often as there are threads.
    fn sums(octets: usize, threads: u64, ports: u64) -> Option<(u64, Amounts)> {
        let budget = Budget::new(octets);
        let keys = [Key::Column(Id::SrcPort), Key::Column(Id::InIf)];
        let layout = Layout::new(&keys, &[], false);
        let groups = shared_groups(layout.words, &budget).unwrap();
        let find = || {
            let mut gather = groups.gather(ONE_PASS)?;
            let mut batch = Batch::new();
            for from in (0..ports).step_by(1000) {
                batch.clear();
                for port in from..ports.min(from + 1000) {
                    let mut row = Row::new();
                    row.set(Id::SrcPort, port % 60_000);
                    row.set(Id::InIf, port / 60_000);
                    batch.push(&row);
                }
                batch.fill();
                let rows: Vec<u32> = (0..batch.rows() as u32).collect();
                gather.add_rows(&layout, &batch, &rows, &vec![[1, 10, 2, 1]; rows.len()])?;
            }
            gather.move_groups()
        };
        let is_found = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(find)).collect();
            all.into_iter().all(|thread| thread.join().unwrap().is_ok())
        });
        let (mut count, mut all) = (0, Amounts::default());
        let mut visit = |_: &[u64], amounts: &Amounts| {
            count += 1;
            add(&mut all, amounts);
            Ok(())
        };
        groups.each(&mut visit).unwrap();
        is_found.then_some((count, all))
    }

    #[test]
    fn groups_of_several_threads_are_in_memory_once() {
        for (threads, ports) in [(1, 3), (3, 100), (3, 200_000)] {
            let rows = threads * ports;
            assert_eq!(sums(usize::MAX, threads, ports), Some((ports, [rows, 10 * rows, 2 * rows, rows])));
        }
        // 32 octets a group, and a third more for free places.
        let octets = 200_000 * 32 * 2 + 3 * 3 * GATHERED_OCTETS;
        assert!(sums(octets, 3, 200_000).is_some(), "three times as many groups would not fit");
        assert!(sums(200_000 * 32, 3, 200_000).is_none());
    }
}
