//! Sets of tables: one bit for each direction and field.

use crate::direction::Direction;
use crate::field::Field;

/// A set of tables. There is room for four directions with sixteen fields each.
///
/// The bit of a table is 8 × direction + field for the fields 0 to 7, and 32 + 8 × direction + field - 8 for the fields
/// 8 to 15. So a set of the first eight fields is the same number as in version 1, which had only those, and keys
/// written by older programs remain valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableSet(u64);

/// The number of fields with adjacent bits.
const FIELDS_TOGETHER: u32 = 8;

impl TableSet {
    /// No table.
    pub const EMPTY: Self = Self(0);
    /// All bits, including those of unknown fields.
    pub const ALL: Self = Self(u64::MAX);
    /// All bits but those of [`Field::FiveMinutes`]: what flows are counted by.
    pub const COUNTED: Self = Self(!Self::of_field(Field::FiveMinutes).0);

    /// All tables of the fields that this program knows.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    const KNOWN: Self = {
        let mut set = Self::EMPTY;
        let mut number = 0;
        while number < Field::STORED.len() {
            set = set.union(Self::of_field(Field::STORED[number]));
            number += 1;
        }
        set
    };

    /// The set with these bits.
    #[must_use]
    pub const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The table of one direction and field.
    #[must_use]
    pub const fn of(direction: Direction, field: Field) -> Self {
        let field = field as u32;
        let half = field / FIELDS_TOGETHER * u32::BITS;
        Self(1 << (half + direction as u32 * FIELDS_TOGETHER + field % FIELDS_TOGETHER))
    }

    /// The tables of one field in all directions.
    #[must_use]
    pub const fn of_field(field: Field) -> Self {
        let [first, second, third, fourth] = Direction::ALL;
        Self::of(first, field)
            .union(Self::of(second, field))
            .union(Self::of(third, field))
            .union(Self::of(fourth, field))
    }

    /// The union of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a table in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether this program knows the fields of all its tables.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 & !Self::KNOWN.0 == 0
    }

    /// The tables of fields that are known, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = (Direction, Field)> {
        Field::STORED
            .chunks(FIELDS_TOGETHER as usize)
            .flat_map(|fields| {
                Direction::ALL
                    .into_iter()
                    .flat_map(move |direction| fields.iter().map(move |field| (direction, *field)))
            })
            .filter(move |(direction, field)| self.intersects(Self::of(*direction, *field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_bit_of_its_own_and_they_are_visited_in_order() {
        let bits: Vec<u64> = TableSet::ALL.iter().map(|(direction, field)| TableSet::of(direction, field).0).collect();
        assert_eq!(bits.len(), Direction::ALL.len() * Field::STORED.len());
        assert!(bits.is_sorted_by(|a, b| a < b) && bits.iter().all(|bit| bit.count_ones() == 1));
        let fields = Field::STORED.map(TableSet::of_field);
        assert!(fields.iter().all(|field| field.0.count_ones() == 4));
        assert_eq!(fields.iter().fold(0, |all, field| all | field.0), bits.iter().sum::<u64>());
    }

    #[test]
    fn the_first_eight_fields_have_the_bits_of_version_1() {
        for direction in Direction::ALL {
            for field in Field::ALL.into_iter().take(8) {
                assert_eq!(TableSet::of(direction, field).0, 1 << (direction as u32 * 8 + field as u32));
            }
        }
        assert_eq!(TableSet::of(Direction::OutLocal, Field::OutputInterface).0, 1 << 57);
        assert_eq!(TableSet::of(Direction::OutLocal, Field::FiveMinutes).0, 1 << 63);
    }

    #[test]
    fn a_set_with_the_table_of_an_unknown_field_is_not_known() {
        assert!(TableSet::of_field(Field::OutputInterface).is_known() && TableSet::EMPTY.is_known());
        assert!(!TableSet::of_bits(1 << 62).is_known() && !TableSet::ALL.is_known());
    }
}
