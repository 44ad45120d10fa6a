//! A filter applied to many rows at once, column by column.

use std::net::{IpAddr, Ipv4Addr};

use columns::{Addresses, Batch, Id, Values};

use crate::expression::{Expression, Test};
use crate::quantity::{MOST_INPUTS, Quantity};
use crate::ranges::{AddressSet, Ranges};

/// Rows of which columns can be read. A filter reads only columns of [`Filter::columns`](crate::Filter::columns), and no
/// further ones once no row is left.
pub trait ColumnValues {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// The values of a column, one for each row; none if all of them are 0.
    fn values(&self, id: Id) -> &Values;
}

/// A batch that was [filled](Batch::fill).
impl ColumnValues for Batch {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn values(&self, id: Id) -> &Values {
        self.filled(id)
    }
}

/// Some of many rows: a bit for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    rows: usize,
    /// Row 0 is the lowest bit of the first word. Bits beyond the last row are 0.
    words: Vec<u64>,
}

impl Selection {
    /// All rows or none.
    #[must_use]
    pub fn new(rows: usize, selected: bool) -> Self {
        let mut selection = Self { rows, words: vec![if selected { u64::MAX } else { 0 }; rows.div_ceil(64)] };
        selection.trim();
        selection
    }

    /// How many rows there are, selected or not.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// How many rows are selected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no row is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether a row is selected.
    #[must_use]
    pub fn contains(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 != 0)
    }

    /// The selected rows, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(index * 64 + bit)
            })
        })
    }

    /// 64 rows a word: row 0 is the lowest bit of the first.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The rows for whose value a condition holds; `values` are none if all of them are 0.
    #[inline]
    fn of<T: Copy + Default>(rows: usize, values: &[T], holds: impl Fn(T) -> bool) -> Self {
        if values.is_empty() {
            return Self::new(rows, holds(T::default()));
        }
        let word = |values: &[T]| {
            values.iter().enumerate().fold(0, |word, (bit, value)| word | u64::from(holds(*value)) << bit)
        };
        let mut selection = Self { rows, words: values.chunks(64).map(word).collect() };
        selection.words.resize(rows.div_ceil(64), 0);
        selection
    }

    /// The rows for which a condition holds, which is asked for each in its turn.
    pub(crate) fn each(rows: usize, mut holds: impl FnMut(usize) -> bool) -> Self {
        let mut selection = Self::new(rows, false);
        for (index, word) in selection.words.iter_mut().enumerate() {
            for bit in 0..64.min(rows - index * 64) {
                *word |= u64::from(holds(index * 64 + bit)) << bit;
            }
        }
        selection
    }

    fn invert(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trim();
    }

    fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    fn trim(&mut self) {
        if let (used @ 1.., Some(last)) = (self.rows % 64, self.words.last_mut()) {
            *last &= (1 << used) - 1;
        }
    }
}

impl Expression {
    pub(crate) fn select(&self, columns: &impl ColumnValues) -> Selection {
        match self {
            Self::Test(test) => test.select(columns),
            Self::Not(inner) => {
                let mut selection = inner.select(columns);
                selection.invert();
                selection
            }
            Self::All(parts) => {
                let mut selection = Selection::new(columns.rows(), true);
                for part in parts {
                    if selection.is_empty() {
                        break;
                    }
                    selection.intersect(&part.select(columns));
                }
                selection
            }
            Self::Any(parts) => {
                let mut selection = Selection::new(columns.rows(), false);
                parts.iter().for_each(|part| selection.unite(&part.select(columns)));
                selection
            }
        }
    }
}

impl Test {
    fn select(&self, columns: &impl ColumnValues) -> Selection {
        let rows = columns.rows();
        match self {
            Self::Number(quantity, numbers) => match numbers.single() {
                Some((first, last)) => select_numbers(*quantity, columns, |number| first <= number && number <= last),
                None => select_numbers(*quantity, columns, |number| numbers.contains(number)),
            },
            Self::AllBits(quantity, bits) => select_numbers(*quantity, columns, |number| number & bits == *bits),
            Self::NoBits(quantity, bits) => select_numbers(*quantity, columns, |number| number & bits == 0),
            Self::Address(id, set) => match columns.values(*id) {
                Values::Addresses(addresses) => select_addresses(rows, addresses, set),
                _ => Selection::new(rows, set.contains(NONE)),
            },
            Self::AsPath(id, paths) => match columns.values(*id) {
                Values::Texts(texts) => paths.select(rows, texts),
                _ => Selection::new(rows, paths.matches(None)),
            },
            Self::Order(left, comparison, right) => {
                let (left, right) = (Inputs::new(*left, columns), Inputs::new(*right, columns));
                Selection::each(rows, |row| comparison.holds(left.at(row), right.at(row)))
            }
            Self::SameAddress(left, right) => {
                let (mut left, mut right) = (each_address(columns.values(*left)), each_address(columns.values(*right)));
                Selection::each(rows, |row| left(row) == right(row))
            }
        }
    }
}

/// The address of a row that has none.
const NONE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[inline]
fn select_numbers(quantity: Quantity, columns: &impl ColumnValues, holds: impl Fn(u64) -> bool) -> Selection {
    let rows = columns.rows();
    let Quantity::Column(id) = quantity else {
        let inputs = Inputs::new(quantity, columns);
        return Selection::each(rows, |row| holds(inputs.at(row)));
    };
    match columns.values(id) {
        Values::U8(values) => Selection::of(rows, values, |value| holds(value.into())),
        Values::U16(values) => Selection::of(rows, values, |value| holds(value.into())),
        Values::U32(values) => Selection::of(rows, values, |value| holds(value.into())),
        Values::U64(values) => Selection::of(rows, values, holds),
        Values::Addresses(_) | Values::Texts(_) => Selection::new(rows, holds(0)),
    }
}

fn select_addresses(rows: usize, addresses: &Addresses, set: &AddressSet) -> Selection {
    let v4 = |ranges: &Ranges<u32>| match ranges.single() {
        Some((first, last)) => Selection::of(rows, &addresses.v4, |address| first <= address && address <= last),
        None => Selection::of(rows, &addresses.v4, |address| ranges.contains(address)),
    };
    let mut selection = v4(&set.v4);
    if !addresses.is_v6.is_empty() {
        let mut is_v4 = Selection::of(rows, &addresses.is_v6, |is_v6| !is_v6);
        selection.intersect(&is_v4);
        is_v4.invert();
        for (row, address) in is_v4.iter().zip(&addresses.v6) {
            if let Some(word) = selection.words.get_mut(row / 64) {
                *word |= u64::from(set.v6.contains(u128::from_be_bytes(*address))) << (row % 64);
            }
        }
    }
    selection
}

/// The address of each row; asked for the rows in their order, each once.
fn each_address(values: &Values) -> impl FnMut(usize) -> IpAddr {
    let addresses = if let Values::Addresses(addresses) = values { Some(addresses) } else { None };
    let mut v6 = addresses.map(|addresses| addresses.v6.iter()).unwrap_or_default();
    move |row| {
        let Some(addresses) = addresses else { return NONE };
        if addresses.is_v6.get(row).copied().unwrap_or_default() {
            v6.next().map_or(NONE, |octets| IpAddr::from(*octets))
        } else {
            Ipv4Addr::from_bits(addresses.v4.get(row).copied().unwrap_or_default()).into()
        }
    }
}

/// The columns that a quantity is computed from.
struct Inputs<'v> {
    quantity: Quantity,
    values: [Option<&'v Values>; MOST_INPUTS],
}

impl<'v> Inputs<'v> {
    fn new(quantity: Quantity, columns: &'v impl ColumnValues) -> Self {
        let mut values = [None; MOST_INPUTS];
        for (value, id) in values.iter_mut().zip(quantity.inputs()) {
            *value = Some(columns.values(*id));
        }
        Self { quantity, values }
    }

    #[inline]
    fn at(&self, row: usize) -> u64 {
        self.quantity.compute(self.values.map(|values| match values {
            Some(Values::U8(values)) => values.get(row).copied().map_or(0, u64::from),
            Some(Values::U16(values)) => values.get(row).copied().map_or(0, u64::from),
            Some(Values::U32(values)) => values.get(row).copied().map_or(0, u64::from),
            Some(Values::U64(values)) => values.get(row).copied().unwrap_or_default(),
            Some(Values::Addresses(_) | Values::Texts(_)) | None => 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_ends_with_its_last_row() {
        for rows in [0, 1, 63, 64, 65, 200] {
            let all = Selection::new(rows, true);
            assert_eq!((all.count(), all.is_empty(), all.contains(rows)), (rows, rows == 0, false));
            let mut none = all.clone();
            none.invert();
            assert_eq!((none.count(), &none), (0, &Selection::new(rows, false)));
            let third = Selection::each(rows, |row| row % 3 == 0);
            assert_eq!(third.iter().collect::<Vec<_>>(), (0..rows).step_by(3).collect::<Vec<_>>());
            assert_eq!(third.iter().filter(|row| third.contains(*row)).count(), third.count());
        }
    }
}
