//! Many rows, column by column: the form in which they are written to files and searched.
//!
//! Rows are first collected in a small block, and then moved to the columns together: one column after the other is written
//! on end, which is several times faster than one value to each column for each row. A column costs nothing until a row has
//! a value for it.

use std::net::IpAddr;

use crate::column::Kind;
use crate::row::{Columns, Row};
use crate::table::{COUNT, Id};
use crate::texts::Texts;

/// Every identifier is a column of a batch, so this is never seen.
static NONE: Values = Values::U64(Vec::new());

/// Rows, column by column.
#[derive(Clone, Debug)]
pub struct Batch {
    /// How many rows are in the columns.
    rows: usize,
    columns: [Values; COUNT],
    /// Rows that are not in the columns yet.
    block: Box<[Row; BLOCK]>,
    /// How many they are.
    pending: usize,
}

/// How many rows are collected: as many as fit into the first level of a processor's cache.
const BLOCK: usize = 32;

/// The values of a column: one for each row, or none if all of them are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Of a column of 8 bits.
    U8(Vec<u8>),
    /// Of a column of 16 bits.
    U16(Vec<u16>),
    /// Of a column of 32 bits.
    U32(Vec<u32>),
    /// Of a column of up to 64 bits: numbers, times, MAC addresses.
    U64(Vec<u64>),
    /// Of a column of addresses.
    Addresses(Addresses),
    /// Of a column of texts.
    Texts(Texts),
}

/// The values of a column of addresses. Either list that has a value for each row has none if all of them are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// For each row the IPv4 address as a number; 0 if the row has an IPv6 address.
    pub v4: Vec<u32>,
    /// For each row whether it has an IPv6 address.
    pub is_v6: Vec<bool>,
    /// The IPv6 addresses of the rows that have one, in their order.
    pub v6: Vec<[u8; 16]>,
}

impl Values {
    /// No values: all are 0.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::U8 => Self::U8(Vec::new()),
            Kind::U16 | Kind::Country => Self::U16(Vec::new()),
            Kind::U32 => Self::U32(Vec::new()),
            Kind::U64 | Kind::Time | Kind::Mac => Self::U64(Vec::new()),
            Kind::Address => Self::Addresses(Addresses { v4: Vec::new(), is_v6: Vec::new(), v6: Vec::new() }),
            Kind::AsPath => Self::Texts(Texts::default()),
        }
    }

    /// Whether there are none: all are 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::U8(values) => values.is_empty(),
            Self::U16(values) => values.is_empty(),
            Self::U32(values) => values.is_empty(),
            Self::U64(values) => values.is_empty(),
            Self::Addresses(values) => values.v4.is_empty() && values.is_v6.is_empty(),
            Self::Texts(values) => values.numbers.is_empty(),
        }
    }

    /// Removes all values and keeps the memory for others.
    pub fn clear(&mut self) {
        match self {
            Self::U8(values) => values.clear(),
            Self::U16(values) => values.clear(),
            Self::U32(values) => values.clear(),
            Self::U64(values) => values.clear(),
            Self::Addresses(values) => {
                values.v4.clear();
                values.is_v6.clear();
                values.v6.clear();
            }
            Self::Texts(values) => values.clear(),
        }
    }

    /// Fills the values up with zeros, so that they are as many as there are rows. Nothing is done for a column that has
    /// no value at all.
    fn fill(&mut self, rows: usize) {
        match self {
            Self::U8(values) => fill(values, rows),
            Self::U16(values) => fill(values, rows),
            Self::U32(values) => fill(values, rows),
            Self::U64(values) => fill(values, rows),
            Self::Addresses(values) => {
                fill(&mut values.v4, rows);
                fill(&mut values.is_v6, rows);
            }
            Self::Texts(values) => fill(&mut values.numbers, rows),
        }
    }
}

fn fill<T: Copy + Default>(values: &mut Vec<T>, rows: usize) {
    if !values.is_empty() {
        values.resize(rows, T::default());
    }
}

/// Appends the values of rows after those of as many others.
#[inline(always)]
fn append<T: Copy + Default>(values: &mut Vec<T>, rows: usize, new: impl Iterator<Item = T>) {
    values.resize(rows, T::default());
    values.extend(new);
}

impl Batch {
    /// A batch without rows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rows: 0,
            columns: Id::ALL.map(|id| Values::new(id.column().kind)),
            block: Box::new(std::array::from_fn(|_| Row::new())),
            pending: 0,
        }
    }

    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows + self.pending
    }

    /// Whether it has no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// Removes all rows and keeps the memory for others.
    pub fn clear(&mut self) {
        (self.rows, self.pending) = (0, 0);
        self.columns.iter_mut().for_each(Values::clear);
    }

    /// Room for the next row, which has values of an earlier one. The row counts once it is [kept](Self::keep).
    #[inline]
    pub fn room(&mut self) -> &mut Row {
        let [first, others @ ..] = &mut *self.block;
        match self.pending.checked_sub(1) {
            None => first,
            Some(place) => others.get_mut(place).unwrap_or(first),
        }
    }

    /// Keeps the row in the [room](Self::room).
    #[inline]
    pub fn keep(&mut self) {
        self.pending += 1;
        if self.pending == BLOCK {
            self.settle();
        }
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row) {
        self.room().clone_from(row);
        self.keep();
    }

    /// Moves the rows of the block to the columns.
    fn settle(&mut self) {
        let block = self.block.get(..self.pending).unwrap_or_default();
        let mut set = Columns::NONE;
        block.iter().for_each(|row| set.add_all(row.columns()));
        for id in set.iter() {
            let Some(values) = self.columns.get_mut(id as usize) else { continue };
            let numbers = block.iter().map(|row| row.number(id));
            let has_numbers = !matches!(values, Values::Addresses(_) | Values::Texts(_));
            if values.is_empty() && has_numbers && numbers.clone().all(|number| number == 0) {
                continue;
            }
            match values {
                Values::U8(values) => append(values, self.rows, numbers.map(|number| number as u8)),
                Values::U16(values) => append(values, self.rows, numbers.map(|number| number as u16)),
                Values::U32(values) => append(values, self.rows, numbers.map(|number| number as u32)),
                Values::U64(values) => append(values, self.rows, numbers),
                Values::Addresses(values) => values.append(self.rows, block.iter().map(|row| row.address(id))),
                Values::Texts(values) => values.append(self.rows, block.iter().map(|row| row.text(id))),
            }
        }
        self.rows += self.pending;
        self.pending = 0;
    }

    /// The values of a column.
    pub fn values(&mut self, id: Id) -> &Values {
        self.settle();
        let Some(values) = self.columns.get_mut(id as usize) else { return &NONE };
        values.fill(self.rows);
        values
    }

    /// Makes all columns readable with [`Self::filled`], until the next row.
    pub fn fill(&mut self) {
        self.settle();
        self.columns.iter_mut().for_each(|values| values.fill(self.rows));
    }

    /// The values of a column of a batch that was [filled](Self::fill).
    #[must_use]
    pub fn filled(&self, id: Id) -> &Values {
        self.columns.get(id as usize).unwrap_or(&NONE)
    }

    /// Memory in octets.
    #[must_use]
    pub fn octets(&self) -> usize {
        let columns = self.columns.iter().map(|values| match values {
            Values::U8(values) => values.capacity(),
            Values::U16(values) => values.capacity() * 2,
            Values::U32(values) => values.capacity() * 4,
            Values::U64(values) => values.capacity() * 8,
            Values::Addresses(values) => values.v4.capacity() * 4 + values.is_v6.capacity() + values.v6.capacity() * 16,
            Values::Texts(values) => values.numbers.capacity() * 4 + values.dictionary.memory(),
        });
        size_of::<[Row; BLOCK]>() + columns.sum::<usize>()
    }
}

impl Addresses {
    /// Appends the addresses of rows. A list whose values are all 0 so far stays empty.
    fn append(&mut self, rows: usize, addresses: impl Iterator<Item = IpAddr> + Clone) {
        let v4 = addresses.clone().map(|address| match address {
            IpAddr::V4(address) => address.to_bits(),
            IpAddr::V6(_) => 0,
        });
        if !self.v4.is_empty() || v4.clone().any(|address| address != 0) {
            append(&mut self.v4, rows, v4);
        }
        let is_v6 = addresses.clone().map(|address| address.is_ipv6());
        if !self.is_v6.is_empty() || is_v6.clone().any(|is_v6| is_v6) {
            append(&mut self.is_v6, rows, is_v6);
            self.v6.extend(addresses.filter_map(|address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => Some(address.octets()),
            }));
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;

    fn row(bytes: u64, source: IpAddr) -> Row {
        let mut row = Row::new();
        row.set(Id::Bytes, bytes);
        row.set_address(Id::SrcIp, source);
        row
    }

    #[test]
    fn a_column_has_a_value_for_each_row_or_none() {
        let mut batch = Batch::new();
        let (v4, v6) = ([192, 0, 2, 1].into(), IpAddr::from([7; 16]));
        batch.push(&row(0, v4));
        batch.push(&Row::new());
        batch.push(&row(9, v6));
        batch.push(&row(0, v4));
        batch.push(&Row::new());
        assert_eq!((batch.rows(), batch.is_empty()), (5, false));
        assert_eq!(batch.values(Id::Bytes), &Values::U64(vec![0, 0, 9, 0, 0]));
        assert_eq!(batch.values(Id::Packets), &Values::U64(Vec::new()));
        batch.push(&Row::new());
        batch.fill();
        assert_eq!(batch.filled(Id::Bytes), &Values::U64(vec![0, 0, 9, 0, 0, 0]));
        assert_eq!(batch.filled(Id::Packets), &Values::U64(Vec::new()));
        let number = 0xc000_0201;
        assert_eq!(
            batch.values(Id::SrcIp),
            &Values::Addresses(Addresses {
                v4: vec![number, 0, 0, number, 0, 0],
                is_v6: vec![false, false, true, false, false, false],
                v6: vec![[7; 16]],
            })
        );
    }

    #[test]
    fn a_batch_of_ipv4_alone_has_no_memory_for_ipv6() {
        let mut batch = Batch::new();
        for last in 0..3 {
            batch.push(&row(1, Ipv4Addr::new(192, 0, 2, last).into()));
        }
        let Values::Addresses(addresses) = batch.values(Id::SrcIp) else { panic!("no addresses") };
        assert_eq!((addresses.v4.len(), addresses.is_v6.len(), addresses.v6.len()), (3, 0, 0));
    }

    #[test]
    fn a_cleared_batch_has_nothing_of_its_rows() {
        let mut batch = Batch::new();
        batch.push(&row(1, [7; 16].into()));
        let octets = batch.octets();
        batch.clear();
        assert!(batch.is_empty() && octets > 0 && batch.octets() == octets);
        batch.push(&row(2, [8; 16].into()));
        assert_eq!(batch.values(Id::Bytes), &Values::U64(vec![2]));
        let Values::Addresses(addresses) = batch.values(Id::SrcIp) else { panic!("no addresses") };
        assert_eq!(addresses.v6, [[8; 16]]);
    }

    #[test]
    fn a_batch_has_each_text_once() {
        let mut batch = Batch::new();
        let texts = ["64500 64501", "64500"].map(Arc::<str>::from);
        for number in 0..100 {
            let mut row = row(1, [7; 16].into());
            if number > 70 {
                row.set_text(Id::DstAsPath, Arc::clone(&texts[number % 2]));
            }
            batch.push(&row);
        }
        let Values::Texts(found) = batch.values(Id::DstAsPath) else { panic!("no texts") };
        assert_eq!((found.numbers.len(), found.dictionary.texts().len()), (100, 2));
        let is_right = |row: usize| found.of_row(row) == (row > 70).then(|| &texts[row % 2]);
        assert!((0..100).all(is_right));
        batch.clear();
        batch.push(&row(1, [7; 16].into()));
        assert!(batch.values(Id::DstAsPath).is_empty());
    }

    #[test]
    fn values_have_the_width_of_their_column() {
        let mut batch = Batch::new();
        for id in Id::ALL {
            let (kind, values) = (id.column().kind, batch.values(id));
            match kind {
                Kind::U8 => assert!(matches!(values, Values::U8(_))),
                Kind::U16 | Kind::Country => assert!(matches!(values, Values::U16(_))),
                Kind::U32 => assert!(matches!(values, Values::U32(_))),
                Kind::U64 | Kind::Time | Kind::Mac => assert!(matches!(values, Values::U64(_))),
                Kind::Address => assert!(matches!(values, Values::Addresses(_))),
                Kind::AsPath => assert!(matches!(values, Values::Texts(_))),
            }
        }
    }
}
