//! The bytes of a block, version 1. docs/storage.md, section "Blocks", describes them one by one with an example.
//!
//! Bytes that are decoded come from a store, which may have been damaged or written by somebody else: everything is
//! checked, nothing is reserved by a count, and no bytes make the decoder panic.

use flow::Counters;

use super::{BlockFault, TableSet};
use crate::direction::Direction;
use crate::field::Field;
use crate::table::Rows;

/// The version that is written, and the only one there has been.
const VERSION: u8 = 1;
/// Version byte and table set.
const HEADER_LENGTH: usize = 5;
/// The checksum at the end.
const CHECKSUM_LENGTH: usize = 4;
/// The flag of a table from which something was folded away.
const TRUNCATED: u8 = 1;
/// The bytes that a counter takes at least: one for its value and one for each column.
const SMALLEST_ROW: usize = 4;

/// The rows of a table or of a range of its values.
#[derive(Clone, Copy)]
pub(super) struct RowRange<'r> {
    pub(super) short: &'r [(u32, Counters)],
    pub(super) long: &'r [(u128, Counters)],
    pub(super) other: Counters,
    pub(super) truncated: bool,
}

impl<'r> RowRange<'r> {
    pub(super) fn all(rows: &'r Rows) -> Self {
        Self { short: &rows.short, long: &rows.long, other: rows.other, truncated: rows.truncated }
    }

    /// The lower and the upper half of the values; `None` when there are fewer than two. What was folded away stays
    /// with the lower half.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let count = self.short.len() + self.long.len();
        if count < 2 {
            return None;
        }
        let (short, upper_short) = self.short.split_at(self.short.len().min(count / 2));
        let (long, upper_long) = self.long.split_at(count / 2 - short.len());
        let upper = Self { short: upper_short, long: upper_long, other: Counters::ZERO, truncated: false };
        Some((Self { short, long, ..self }, upper))
    }

    /// Appends the encoding of one table.
    pub(super) fn encode(self, field: Field, out: &mut Vec<u8>) {
        out.push(if self.truncated { TRUNCATED } else { 0 });
        if self.truncated {
            for count in [self.other.bytes, self.other.packets, self.other.flows] {
                put(out, count.into());
            }
        }
        put_values(out, self.short.iter().map(|(key, _)| u128::from(*key)));
        if field.is_address() {
            put_values(out, self.long.iter().map(|(key, _)| *key));
        }
        for column in [|c: &Counters| c.bytes, |c: &Counters| c.packets, |c: &Counters| c.flows] {
            let counters = self.short.iter().map(|(_, counters)| counters);
            for counters in counters.chain(self.long.iter().map(|(_, counters)| counters)) {
                put(out, column(counters).into());
            }
        }
    }
}

/// The content of a block that holds these encoded tables, in place of what is there; they are in the order of their bits,
/// each once.
pub(super) fn assemble(set: TableSet, tables: &[&[u8]], out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
    out.extend_from_slice(&set.0.to_le_bytes());
    for table in tables {
        put(out, table.len() as u128);
    }
    for table in tables {
        out.extend_from_slice(table);
    }
    let checksum = crc32fast::hash(out);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// The wanted ones of the tables of a block that claims to hold the tables `set`.
pub(super) fn decode(
    content: &[u8],
    set: TableSet,
    wanted: TableSet,
) -> Result<Vec<(Direction, Field, Rows)>, BlockFault> {
    // The version comes first: who does not know it does not know where the checksum stands either.
    match content.first() {
        Some(&VERSION) => {}
        Some(version) => return Err(BlockFault::Version(*version)),
        None => return Err(BlockFault::Truncated),
    }
    let (body, checksum) = content.split_last_chunk::<CHECKSUM_LENGTH>().ok_or(BlockFault::Truncated)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(BlockFault::Checksum);
    }
    let (header, rest) = body.split_first_chunk::<HEADER_LENGTH>().ok_or(BlockFault::Truncated)?;
    let [_, bits @ ..] = header;
    if TableSet(u32::from_le_bytes(*bits)) != set {
        return Err(BlockFault::Tables);
    }
    let mut directory = Input { rest };
    let lengths = set.iter().map(|_| directory.number()).collect::<Result<Vec<u64>, BlockFault>>()?;
    let mut rest = directory.rest;
    let mut tables = Vec::new();
    for ((direction, field), length) in set.iter().zip(lengths) {
        let length = usize::try_from(length).map_err(|_| BlockFault::Truncated)?;
        let (table, behind) = rest.split_at_checked(length).ok_or(BlockFault::Truncated)?;
        rest = behind;
        if TableSet::of(direction, field).intersects(wanted) {
            tables.push((direction, field, decode_table(field, table)?));
        }
    }
    if rest.is_empty() { Ok(tables) } else { Err(BlockFault::Malformed) }
}

fn decode_table(field: Field, table: &[u8]) -> Result<Rows, BlockFault> {
    let mut input = Input { rest: table };
    let mut rows = Rows::default();
    match input.byte()? {
        0 => {}
        TRUNCATED => {
            rows.truncated = true;
            rows.other = Counters { bytes: input.number()?, packets: input.number()?, flows: input.number()? };
        }
        _ => return Err(BlockFault::Malformed),
    }
    let largest = field.largest_number().unwrap_or(u32::MAX);
    input.values(u128::from(largest), |value| rows.short.push((value as u32, Counters::ZERO)))?;
    if field.is_address() {
        input.values(u128::MAX, |value| rows.long.push((value, Counters::ZERO)))?;
    }
    input.column(&mut rows, |counters, number| counters.bytes = number)?;
    input.column(&mut rows, |counters, number| counters.packets = number)?;
    input.column(&mut rows, |counters, number| counters.flows = number)?;
    if input.rest.is_empty() { Ok(rows) } else { Err(BlockFault::Malformed) }
}

/// Ascending values: how many, the first one, then for each the distance to the one before less 1.
fn put_values(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = u128>) {
    put(out, values.len() as u128);
    let mut smallest = 0;
    for value in values {
        put(out, value - smallest);
        smallest = value.saturating_add(1);
    }
}

/// An unsigned number in LEB128: seven bits a byte, the lowest first, the top bit set in all bytes but the last.
fn put(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes that are still to be read.
struct Input<'b> {
    rest: &'b [u8],
}

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, BlockFault> {
        let (byte, rest) = self.rest.split_first().ok_or(BlockFault::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// A number of 64 bits.
    fn number(&mut self) -> Result<u64, BlockFault> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(BlockFault::Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BlockFault::Malformed)
    }

    /// A number of 128 bits.
    fn long_number(&mut self) -> Result<u128, BlockFault> {
        let mut number = 0;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(BlockFault::Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BlockFault::Malformed)
    }

    /// Ascending values, none above the largest one.
    fn values(&mut self, largest: u128, mut visit: impl FnMut(u128)) -> Result<(), BlockFault> {
        let count = usize::try_from(self.number()?).map_err(|_| BlockFault::Truncated)?;
        if count > self.rest.len() / SMALLEST_ROW {
            return Err(BlockFault::Truncated);
        }
        let mut smallest = Some(0u128);
        for _ in 0..count {
            let distance = self.long_number()?;
            let value = smallest.and_then(|smallest| smallest.checked_add(distance)).filter(|value| *value <= largest);
            let value = value.ok_or(BlockFault::Malformed)?;
            visit(value);
            smallest = value.checked_add(1);
        }
        Ok(())
    }

    /// One number for each row.
    fn column(&mut self, rows: &mut Rows, set: impl Fn(&mut Counters, u64)) -> Result<(), BlockFault> {
        let short = rows.short.iter_mut().map(|(_, counters)| counters);
        for counters in short.chain(rows.long.iter_mut().map(|(_, counters)| counters)) {
            set(counters, self.number()?);
        }
        Ok(())
    }
}
