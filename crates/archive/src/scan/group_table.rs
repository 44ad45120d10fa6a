//! The groups of a question: a hash table from the words of a key to sums.
//!
//! Values come from the network. The hash is seeded once a question, so that no sender can choose values that collide.

use std::hash::{BuildHasher, RandomState};

use filter::ColumnValues;
use prefetch_index::prefetch_index;

use super::budget::{Budget, Exceeded, Taken};
use super::key_layout::Layout;

/// Rows, octets, packets and flows.
pub(crate) type Amounts = [u64; 4];

/// The words of a key at most.
pub(crate) const MOST_WORDS: usize = 16;
/// The places of the smallest table.
const FEWEST_PLACES: usize = 64;
/// How many rows ahead the place of a group is prefetched.
const PREFETCHED: usize = 12;
/// An odd number without a pattern: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// How keys are hashed, and which of them are looked at. In a pass, these are the groups that fall to it by their hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashing {
    pub(crate) seed: u64,
    pub(crate) pass: u64,
    pub(crate) passes: u64,
}

impl Hashing {
    pub(crate) fn seed() -> u64 {
        RandomState::new().hash_one(0)
    }

    #[inline]
    fn hash(self, words: &[u64]) -> u64 {
        words.iter().fold(self.seed, |hash, word| {
            // The XOR of both halves of a product: each bit depends on all bits of the word.
            let product = u128::from(hash ^ word) * u128::from(MULTIPLIER);
            (product as u64 ^ (product >> 64) as u64).wrapping_add(self.seed)
        })
    }

    /// A group is in one pass, with all that is counted distinctly for it.
    #[inline]
    fn is_in_pass(self, words: &[u64], group_words: usize) -> bool {
        if self.passes == 1 {
            return true;
        }
        // The table uses the other bits.
        (self.hash(words.get(..group_words).unwrap_or_default()) >> 24 & 0xffff) % self.passes == self.pass
    }
}

/// Groups whose keys have N words: a hash table in one piece, in which a group is looked for from the place of its hash on. Most
/// groups are in no cache when a row of theirs comes, so that their places are prefetched some rows ahead.
pub(crate) struct Groups<'b, const N: usize> {
    /// A place without rows is free. Their number is a power of two, or 0.
    places: Vec<Place<N>>,
    groups: usize,
    memory: Taken<'b>,
    /// The keys and hashes of the rows that are added.
    keys: Vec<[u64; N]>,
    hashes: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Place<const N: usize> {
    key: [u64; N],
    amounts: Amounts,
}

impl<const N: usize> Place<N> {
    const FREE: Self = Self { key: [0; N], amounts: [0; 4] };

    const fn is_free(&self) -> bool {
        let [rows, ..] = self.amounts;
        rows == 0
    }
}

impl<'b, const N: usize> Groups<'b, N> {
    fn new(budget: &'b Budget) -> Result<Self, Exceeded> {
        Ok(Self { places: Vec::new(), groups: 0, memory: budget.take(0)?, keys: Vec::new(), hashes: Vec::new() })
    }

    fn add_rows(
        &mut self,
        hashing: Hashing,
        layout: &Layout,
        columns: &impl ColumnValues,
        rows: &[u32],
        amounts: &[Amounts],
    ) -> Result<(), Exceeded> {
        let (mut keys, mut hashes) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.hashes));
        layout.fill(columns, rows, &mut keys);
        hashes.clear();
        hashes.extend(keys.iter().map(|key| hashing.hash(key)));
        for (row, ((key, hash), amounts)) in keys.iter().zip(&hashes).zip(amounts).enumerate() {
            if let Some(later) = hashes.get(row + PREFETCHED) {
                prefetch_index(&self.places, self.first_place(*later));
            }
            if hashing.is_in_pass(key, layout.group_words) {
                self.add(hashing, key, *hash, amounts)?;
            }
        }
        (self.keys, self.hashes) = (keys, hashes);
        Ok(())
    }

    #[inline]
    const fn first_place(&self, hash: u64) -> usize {
        hash as usize & self.places.len().wrapping_sub(1)
    }

    /// The place of a group, or the free one where it belongs. There is always a free one, or no place at all.
    #[inline]
    fn place(&mut self, key: &[u64; N], hash: u64) -> Option<&mut Place<N>> {
        let first = self.first_place(hash);
        let is_found = |place: &Place<N>| place.is_free() || place.key == *key;
        let index = match self.places.get(first..)?.iter().position(is_found) {
            Some(after) => first + after,
            None => self.places.iter().position(is_found)?,
        };
        self.places.get_mut(index)
    }

    #[inline]
    fn add(&mut self, hashing: Hashing, key: &[u64; N], hash: u64, amounts: &Amounts) -> Result<(), Exceeded> {
        if self.groups >= self.places.len() / 4 * 3 {
            self.grow(hashing)?;
        }
        let Some(place) = self.place(key, hash) else { return Ok(()) };
        if place.is_free() {
            *place = Place { key: *key, amounts: *amounts };
            self.groups += 1;
        } else {
            add(&mut place.amounts, amounts);
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, hashing: Hashing) -> Result<(), Exceeded> {
        let (before, after) = (self.places.len(), (2 * self.places.len()).max(FEWEST_PLACES));
        // While groups move, the old table is there beside the new one.
        self.memory.resize((before + after) * size_of::<Place<N>>())?;
        let old = std::mem::replace(&mut self.places, vec![Place::FREE; after]);
        for group in old.into_iter().filter(|place| !place.is_free()) {
            if let Some(place) = self.place(&group.key, hashing.hash(&group.key)) {
                *place = group;
            }
        }
        self.memory.resize(after * size_of::<Place<N>>())
    }

    /// All groups.
    fn iter(&self) -> impl Iterator<Item = (&[u64; N], &Amounts)> {
        self.places.iter().filter(|place| !place.is_free()).map(|place| (&place.key, &place.amounts))
    }

    fn merge(&mut self, mut other: Self, hashing: Hashing) -> Result<(), Exceeded> {
        if other.groups > self.groups {
            std::mem::swap(self, &mut other);
        }
        other.iter().try_for_each(|(key, amounts)| self.add(hashing, key, hashing.hash(key), amounts))
    }
}

/// Adds amounts to sums. A sum that is too large stays at the largest number.
#[inline]
pub(crate) fn add(sums: &mut Amounts, amounts: &Amounts) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(*amount);
    }
}

/// Groups, in a table for the size of their keys.
pub(crate) enum Table<'b> {
    One(Groups<'b, 1>),
    Two(Groups<'b, 2>),
    Four(Groups<'b, 4>),
    Eight(Groups<'b, 8>),
    Sixteen(Groups<'b, MOST_WORDS>),
}

/// The same for each size.
macro_rules! each_size {
    ($table:expr, $groups:ident => $value:expr) => {
        match $table {
            Table::One($groups) => $value,
            Table::Two($groups) => $value,
            Table::Four($groups) => $value,
            Table::Eight($groups) => $value,
            Table::Sixteen($groups) => $value,
        }
    };
}

impl<'b> Table<'b> {
    /// A table for keys of this many words, at most [`MOST_WORDS`].
    pub(crate) fn new(words: usize, budget: &'b Budget) -> Result<Self, Exceeded> {
        Ok(match words {
            0..=1 => Self::One(Groups::new(budget)?),
            2 => Self::Two(Groups::new(budget)?),
            3..=4 => Self::Four(Groups::new(budget)?),
            5..=8 => Self::Eight(Groups::new(budget)?),
            _ => Self::Sixteen(Groups::new(budget)?),
        })
    }

    /// Adds rows: the amounts are in the order of the rows.
    pub(crate) fn add_rows(
        &mut self,
        hashing: Hashing,
        layout: &Layout,
        columns: &impl ColumnValues,
        rows: &[u32],
        amounts: &[Amounts],
    ) -> Result<(), Exceeded> {
        each_size!(self, groups => groups.add_rows(hashing, layout, columns, rows, amounts))
    }

    /// Adds the groups of another table of the same size.
    pub(crate) fn merge(&mut self, other: Self, hashing: Hashing) -> Result<(), Exceeded> {
        match (self, other) {
            (Self::One(groups), Self::One(others)) => groups.merge(others, hashing),
            (Self::Two(groups), Self::Two(others)) => groups.merge(others, hashing),
            (Self::Four(groups), Self::Four(others)) => groups.merge(others, hashing),
            (Self::Eight(groups), Self::Eight(others)) => groups.merge(others, hashing),
            (Self::Sixteen(groups), Self::Sixteen(others)) => groups.merge(others, hashing),
            // All tables of a question are made for the same keys.
            _ => Ok(()),
        }
    }

    /// How many groups there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        each_size!(self, groups => groups.groups)
    }

    /// Calls back with each group.
    pub(crate) fn each(&self, mut visit: impl FnMut(&[u64], &Amounts) -> Result<(), Exceeded>) -> Result<(), Exceeded> {
        each_size!(self, groups => groups.iter().try_for_each(|(key, amounts)| visit(key, amounts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_PASS: Hashing = Hashing { seed: 17, pass: 0, passes: 1 };

    fn groups<'b>(budget: &'b Budget, keys: std::ops::Range<u64>) -> Groups<'b, 2> {
        let mut groups = Groups::new(budget).unwrap();
        for key in keys {
            let words = [key, key << 32];
            groups.add(ONE_PASS, &words, ONE_PASS.hash(&words), &[1, key, 1, 1]).unwrap();
        }
        groups
    }

    #[test]
    fn merged_tables_have_the_sums_of_both() {
        let budget = Budget::new(usize::MAX);
        let (few, many) = (groups(&budget, 0..10), groups(&budget, 5..1000));
        let mut table = Table::Two(few);
        table.merge(Table::Two(many), ONE_PASS).unwrap();
        assert_eq!(table.len(), 1000);
        let mut sums = Amounts::default();
        table
            .each(|words, amounts| {
                assert_eq!(amounts[1], words[0] * amounts[0]);
                add(&mut sums, amounts);
                Ok(())
            })
            .unwrap();
        assert_eq!(sums[0], 10 + 995);
    }

    #[test]
    fn a_table_grows_only_into_memory_that_there_is() {
        let budget = Budget::new(100_000);
        let mut groups: Groups<'_, 2> = Groups::new(&budget).unwrap();
        let mut is_refused = |key| groups.add(ONE_PASS, &[key, 0], ONE_PASS.hash(&[key, 0]), &[1; 4]).is_err();
        let refused = (0..).find(|key| is_refused(*key)).unwrap();
        assert!((500..2000).contains(&refused), "{refused}");
        assert!(groups.places.len() * size_of::<Place<2>>() < 100_000);
        drop(groups);
        assert!(budget.take(100_000).is_ok());
    }

    #[test]
    fn every_group_is_in_one_pass() {
        for key in 0..1000_u64 {
            let passes = (0..4).filter(|pass| Hashing { pass: *pass, passes: 4, ..ONE_PASS }.is_in_pass(&[key, 9], 1));
            assert_eq!(passes.count(), 1);
        }
    }
}
