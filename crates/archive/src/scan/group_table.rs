//! A hash table of groups: from the words of a key to sums.
//!
//! Values come from the network. The hash is seeded once a question, so that no sender can choose values that collide.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;
use prefetch_index::prefetch_index;

use super::budget::{Budget, Exceeded, Taken};
use super::work::Stop;

/// Rows, octets, packets and flows.
pub(crate) type Amounts = [u64; 4];
/// What is called with each group: the words of its key, and its sums.
pub(crate) type Visit<'v> = dyn FnMut(&[u64], &Amounts) -> Result<(), Stop> + 'v;

/// The places of the smallest table.
const FEWEST_PLACES: usize = 16;
/// From which number of places on a table grows by a quarter. Smaller ones double.
const MANY_PLACES: usize = 4096;
/// How many groups ahead a place is prefetched.
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
    pub(crate) fn hash(self, words: &[u64]) -> u64 {
        words.iter().fold(self.seed, |hash, word| {
            // The XOR of both halves of a product: each bit depends on all bits of the word.
            let product = u128::from(hash ^ word) * u128::from(MULTIPLIER);
            (product as u64 ^ (product >> 64) as u64).wrapping_add(self.seed)
        })
    }

    /// A group is in one pass, with all that is counted distinctly for it.
    #[inline]
    pub(crate) fn is_in_pass(self, words: &[u64], group_words: usize) -> bool {
        if self.passes == 1 {
            return true;
        }
        // The tables use the upper bits.
        (self.hash(words.get(..group_words).unwrap_or_default()) >> 24 & 0xffff) % self.passes == self.pass
    }
}

/// Groups whose keys have N words: a hash table in one piece, in which a group is looked for from the place of its hash on. Places
/// are in the order of hashes and of any number, so that groups move in their order when a table grows.
pub(crate) struct Groups<'b, const N: usize> {
    /// How many upper bits are the same in the hashes of all its groups.
    same_bits: u32,
    places: Vec<Place<N>>,
    groups: usize,
    /// What rows and flows have beyond the numbers of 32 bits in a place.
    beyond: HashMap<[u64; N], Beyond>,
    memory: Taken<'b>,
}

/// A group and its sums. One without rows is a free place.
#[derive(Clone, Copy)]
pub(crate) struct Place<const N: usize> {
    pub(crate) key: [u64; N],
    bytes: u64,
    packets: u64,
    // In most groups these are small, and memory decides how often the files are read.
    rows: u32,
    flows: u32,
}

/// Groups on their way to another place, with their hashes. The list is used again and again.
pub(crate) struct Moving<'b, const N: usize> {
    pub(crate) groups: Vec<(u64, Place<N>)>,
    memory: Taken<'b>,
}

/// Rows and flows.
type Beyond = [u64; 2];

impl<const N: usize> Place<N> {
    const FREE: Self = Self { key: [0; N], bytes: 0, packets: 0, rows: 0, flows: 0 };

    #[inline]
    const fn is_free(&self) -> bool {
        self.rows == 0
    }

    const fn amounts(&self) -> Amounts {
        [self.rows as u64, self.bytes, self.packets, self.flows as u64]
    }

    /// Adds amounts, of which there is at least a row. Returns what does not fit.
    #[inline]
    fn add(&mut self, [rows, bytes, packets, flows]: Amounts) -> Option<Beyond> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.packets = self.packets.saturating_add(packets);
        let rows = u64::from(self.rows).saturating_add(rows);
        let flows = u64::from(self.flows).saturating_add(flows);
        if let (Ok(rows), Ok(flows)) = (u32::try_from(rows), u32::try_from(flows)) {
            (self.rows, self.flows) = (rows, flows);
            return None;
        }
        // One row shows that the place is taken.
        (self.rows, self.flows) = (1, 0);
        Some([rows - 1, flows])
    }
}

impl<'b, const N: usize> Moving<'b, N> {
    pub(crate) fn new(budget: &'b Budget) -> Result<Self, Exceeded> {
        Ok(Self { groups: Vec::new(), memory: budget.take(0)? })
    }

    /// Makes room for this many groups.
    pub(crate) fn make_room(&mut self, groups: usize) -> Result<(), Exceeded> {
        if groups > self.groups.capacity() {
            self.memory.resize(groups * size_of::<(u64, Place<N>)>())?;
            self.groups.clear();
            self.groups.reserve_exact(groups);
        }
        Ok(())
    }
}

impl<'b, const N: usize> Groups<'b, N> {
    pub(crate) fn new(budget: &'b Budget, same_bits: u32) -> Result<Self, Exceeded> {
        Ok(Self { same_bits, places: Vec::new(), groups: 0, beyond: HashMap::new(), memory: budget.take(0)? })
    }

    pub(crate) const fn len(&self) -> usize {
        self.groups
    }

    /// Whether another group needs more memory first.
    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.groups >= self.places.len() / 4 * 3
    }

    /// The octets of all places.
    pub(crate) const fn octets(&self) -> usize {
        self.places.len() * size_of::<Place<N>>()
    }

    /// The upper bits of the hash decide, whatever the number of places.
    #[inline]
    const fn first_place(&self, hash: u64) -> usize {
        (((hash << self.same_bits) as u128 * self.places.len() as u128) >> 64) as usize
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

    /// Adds amounts, of which there is at least a row, to a group, for which there is [room](Self::is_full).
    #[inline]
    pub(crate) fn add(&mut self, key: &[u64; N], hash: u64, amounts: Amounts) -> Result<(), Exceeded> {
        let Some(place) = self.place(key, hash) else { return Ok(()) };
        let is_new = place.is_free();
        place.key = *key;
        let beyond = place.add(amounts);
        self.groups += usize::from(is_new);
        beyond.map_or(Ok(()), |beyond| self.add_beyond(key, beyond))
    }

    /// Adds groups with their hashes.
    pub(crate) fn add_all(
        &mut self,
        hashing: Hashing,
        groups: &[(u64, Place<N>)],
        moving: &mut Moving<'_, N>,
    ) -> Result<(), Exceeded> {
        for (index, (hash, group)) in groups.iter().enumerate() {
            if let Some((later, _)) = groups.get(index + PREFETCHED) {
                prefetch_index(&self.places, self.first_place(*later));
            }
            if self.is_full() {
                self.grow(hashing, moving)?;
            }
            self.add(&group.key, *hash, group.amounts())?;
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn add_beyond(&mut self, key: &[u64; N], [rows, flows]: Beyond) -> Result<(), Exceeded> {
        if !self.beyond.contains_key(key) {
            // A table of hashes has up to twice the room that it needs, and twice that while it grows.
            self.memory.grow(4 * size_of::<([u64; N], Beyond)>())?;
        }
        let [all_rows, all_flows] = self.beyond.entry(*key).or_default();
        *all_rows = all_rows.saturating_add(rows);
        *all_flows = all_flows.saturating_add(flows);
        Ok(())
    }

    /// Makes room for more groups. A large table grows in small steps, because all parts of a question's groups grow at about
    /// the same time: otherwise they would take twice the memory at once.
    ///
    /// Its groups leave the table while it grows, and not for another one: pages that the kernel has to provide take longer than
    /// the move.
    #[cold]
    pub(crate) fn grow(&mut self, hashing: Hashing, moving: &mut Moving<'_, N>) -> Result<(), Exceeded> {
        let places = self.places.len();
        let more = if places < MANY_PLACES { places } else { places / 4 }.max(FEWEST_PLACES);
        moving.make_room(self.groups)?;
        self.memory.grow(more * size_of::<Place<N>>())?;
        self.move_to(hashing, moving);
        self.places.reserve_exact(more);
        self.places.resize(places + more, Place::FREE);
        for (hash, group) in &moving.groups {
            if let Some(place) = self.place(&group.key, *hash) {
                *place = *group;
            }
        }
        self.groups = moving.groups.len();
        Ok(())
    }

    /// Moves all groups to a list that has room for them, with their hashes and in the order of these, as far as each is at its
    /// place.
    pub(crate) fn move_to(&mut self, hashing: Hashing, moving: &mut Moving<'_, N>) {
        let taken = self.places.iter_mut().filter(|place| !place.is_free());
        moving.groups.clear();
        moving.groups.extend(taken.map(|place| {
            let group = std::mem::replace(place, Place::FREE);
            (hashing.hash(&group.key), group)
        }));
        self.groups = 0;
    }

    /// Takes what rows and flows have beyond the places.
    pub(crate) fn take_beyond(&mut self) -> HashMap<[u64; N], Beyond> {
        self.memory.shrink(self.beyond.len() * 4 * size_of::<([u64; N], Beyond)>());
        std::mem::take(&mut self.beyond)
    }

    /// Calls back with each group.
    pub(crate) fn each(&self, visit: &mut Visit<'_>) -> Result<(), Stop> {
        for place in self.places.iter().filter(|place| !place.is_free()) {
            let mut amounts = place.amounts();
            if !self.beyond.is_empty()
                && let Some([rows, flows]) = self.beyond.get(&place.key)
            {
                add(&mut amounts, &[*rows, 0, 0, *flows]);
            }
            visit(&place.key, &amounts)?;
        }
        Ok(())
    }
}

/// Adds amounts to sums. A sum that is too large stays at the largest number.
#[inline]
pub(crate) fn add(sums: &mut Amounts, amounts: &Amounts) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(*amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_PASS: Hashing = Hashing { seed: 17, pass: 0, passes: 1 };

    fn add_to(
        groups: &mut Groups<'_, 2>,
        moving: &mut Moving<'_, 2>,
        key: u64,
        amounts: Amounts,
    ) -> Result<(), Exceeded> {
        let words = [key, key << 32];
        if groups.is_full() {
            groups.grow(ONE_PASS, moving)?;
        }
        groups.add(&words, ONE_PASS.hash(&words), amounts)
    }

    fn amounts_of(groups: &Groups<'_, 2>) -> Vec<(u64, Amounts)> {
        let mut all = Vec::new();
        let mut visit = |words: &[u64], amounts: &Amounts| {
            all.push((words[0], *amounts));
            Ok(())
        };
        groups.each(&mut visit).unwrap();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_table_grows_only_into_memory_that_there_is() {
        let budget = Budget::new(100_000);
        let (mut groups, mut moving) = (Groups::new(&budget, 0).unwrap(), Moving::new(&budget).unwrap());
        let refused = (0..).find(|key| add_to(&mut groups, &mut moving, *key, [1; 4]).is_err()).unwrap();
        assert!((500..2000).contains(&refused), "{refused}");
        assert!(groups.octets() < 100_000);
        assert_eq!(amounts_of(&groups), (0..refused).map(|key| (key, [1; 4])).collect::<Vec<_>>());
        drop((groups, moving));
        assert!(budget.take(100_000).is_ok());
    }

    #[test]
    fn rows_and_flows_beyond_32_bits_are_exact() {
        let budget = Budget::new(usize::MAX);
        let (mut groups, mut moving) = (Groups::new(&budget, 0).unwrap(), Moving::new(&budget).unwrap());
        let amounts = [u32::MAX.into(), 7, 1 << 40, 1];
        let many = [1, 0, 0, u64::from(u32::MAX) << 8];
        for _ in 0..3 {
            add_to(&mut groups, &mut moving, 1, amounts).unwrap();
            add_to(&mut groups, &mut moving, 2, many).unwrap();
            add_to(&mut groups, &mut moving, 3, [1, 2, 3, 4]).unwrap();
        }
        let three = |amounts: Amounts| amounts.map(|amount| amount * 3);
        assert_eq!(amounts_of(&groups), [(1, three(amounts)), (2, three(many)), (3, [3, 6, 9, 12])]);
        add_to(&mut groups, &mut moving, 2, [1, 0, 0, u64::MAX]).unwrap();
        assert_eq!(amounts_of(&groups)[1].1, [4, 0, 0, u64::MAX]);

        let mut other = Groups::new(&budget, 0).unwrap();
        let mut moved = Moving::new(&budget).unwrap();
        groups.move_to(ONE_PASS, &mut moved);
        other.add_all(ONE_PASS, &moved.groups, &mut moving).unwrap();
        for (key, beyond) in groups.take_beyond() {
            other.add_beyond(&key, beyond).unwrap();
        }
        assert_eq!(amounts_of(&other)[0], (1, three(amounts)));
        assert_eq!(amounts_of(&groups), []);
    }

    #[test]
    fn every_group_is_in_one_pass() {
        for key in 0..1000_u64 {
            let passes = (0..4).filter(|pass| Hashing { pass: *pass, passes: 4, ..ONE_PASS }.is_in_pass(&[key, 9], 1));
            assert_eq!(passes.count(), 1);
        }
    }
}
