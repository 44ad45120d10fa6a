//! Sets of fields: which ones a collector counts, and for which ones a block is complete.

use std::fmt;

use super::{Field, names_of};

/// A set of fields. [`Field::All`] is in every set: it is always counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldSet(u16);

impl FieldSet {
    /// All bits, including those of unknown fields.
    pub const EVERY: Self = Self(u16::MAX);
    /// [`Field::All`] alone.
    pub const LEAST: Self = Self(1 << Field::All as u16);
    /// The fields that are counted by default.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub const DEFAULT: Self = {
        let mut set = Self::LEAST;
        let mut number = 0;
        while number < Field::ALL.len() {
            let field = Field::ALL[number];
            if field.is_counted_by_default() {
                set = set.with(field);
            }
            number += 1;
        }
        set
    };

    /// The set with one more field.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field as u16)
    }

    /// Whether a field is in it.
    #[must_use]
    pub const fn contains(self, field: Field) -> bool {
        self.0 & 1 << field as u16 != 0
    }

    /// Whether it contains an interface field.
    #[must_use]
    pub const fn has_interfaces(self) -> bool {
        self.contains(Field::InputInterface) || self.contains(Field::OutputInterface)
    }

    /// The fields that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The fields in it, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.contains(*field))
    }

    /// Bit n is the field of number n.
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) const fn of_bits(bits: u16) -> Self {
        Self(bits | Self::LEAST.0)
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        fields.into_iter().fold(Self::LEAST, Self::with)
    }
}

impl Default for FieldSet {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The names, with commas between them.
impl fmt::Display for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names_of(&self.iter().collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_eight_fields_that_have_always_been_counted() {
        assert_eq!(FieldSet::DEFAULT.to_string(), "all, proto, srcip, srcport, srcas, dstip, dstport, dstas");
        assert_eq!(FieldSet::DEFAULT.bits(), 0xff);
    }

    #[test]
    fn every_set_has_all_and_keeps_the_order_of_numbers() {
        let set: FieldSet = [Field::OutputInterface, Field::Protocol].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Field::All, Field::Protocol, Field::OutputInterface]);
        assert_eq!([].into_iter().collect::<FieldSet>(), FieldSet::LEAST);
    }
}
