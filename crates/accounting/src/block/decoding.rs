//! Reads the bytes of a block, versions 1 and 2. docs/storage.md, section "Blocks", describes them.
//!
//! The bytes come from a store, which may be damaged or written by another program: everything is checked, no memory is
//! reserved according to a count, and no input makes the decoder panic.

use flow::Counters;

use super::encoding::{CHECKSUM_LENGTH, TRUNCATED, VARIANCE_IS_PARTIAL, VERSION, checksum};
use super::fault::BlockFault;
use super::key::BlockKey;
use super::table_set::TableSet;
use crate::about_all::AboutAll;
use crate::direction::Direction;
use crate::field::{Field, FieldSet};
use crate::table::Rows;
use crate::variance::SamplingVariance;

/// The first version, in which the content repeats the table set and the checksum does not cover the key.
const VERSION_1: u8 = 1;
/// The minimum length of a counter: one byte for its value and one for each column.
const SMALLEST_ROW: usize = 4;

/// Decodes the wanted tables of a block.
pub(super) fn decode(
    key: &BlockKey,
    content: &[u8],
    wanted: TableSet,
) -> Result<Vec<(Direction, Field, Rows)>, BlockFault> {
    // The version comes first: it decides where everything else is.
    let Some((version, _)) = content.split_first() else { return Err(BlockFault::Truncated) };
    let (body, found) = content.split_last_chunk::<CHECKSUM_LENGTH>().ok_or(BlockFault::Truncated)?;
    let expected = match *version {
        VERSION => checksum(key, body),
        VERSION_1 => crc32fast::hash(body),
        version => return Err(fault_of_version(key, version, body, *found)),
    };
    if expected != u32::from_le_bytes(*found) {
        return Err(BlockFault::Checksum);
    }
    let (_, mut rest) = body.split_first().ok_or(BlockFault::Truncated)?;
    if *version == VERSION_1 {
        let (bits, after) = rest.split_first_chunk().ok_or(BlockFault::Truncated)?;
        if u64::from(u32::from_le_bytes(*bits)) != key.tables.bits() {
            return Err(BlockFault::Tables);
        }
        rest = after;
    }
    if !key.tables.is_known() {
        return Err(BlockFault::UnknownField);
    }
    decode_tables(*version, key.tables, rest, wanted)
}

/// Why a block with an unknown version cannot be read: a newer program wrote it, or its first byte is damaged.
#[cold]
fn fault_of_version(key: &BlockKey, version: u8, body: &[u8], found: [u8; CHECKSUM_LENGTH]) -> BlockFault {
    let mut repaired = body.to_vec();
    let mut is_damaged = |known: u8| {
        repaired.iter_mut().take(1).for_each(|first| *first = known);
        [checksum(key, &repaired), crc32fast::hash(&repaired)].contains(&u32::from_le_bytes(found))
    };
    // Nothing has ever written version 0.
    if version == 0 || is_damaged(VERSION) || is_damaged(VERSION_1) {
        BlockFault::Checksum
    } else {
        BlockFault::Version(version)
    }
}

/// The directory and the tables of it that are wanted.
fn decode_tables(
    version: u8,
    set: TableSet,
    content: &[u8],
    wanted: TableSet,
) -> Result<Vec<(Direction, Field, Rows)>, BlockFault> {
    let mut directory = Input { rest: content };
    let lengths = set.iter().map(|_| directory.number()).collect::<Result<Vec<u64>, BlockFault>>()?;
    let mut rest = directory.rest;
    let mut tables = Vec::new();
    for ((direction, field), length) in set.iter().zip(lengths) {
        let length = usize::try_from(length).map_err(|_| BlockFault::Truncated)?;
        let (table, after) = rest.split_at_checked(length).ok_or(BlockFault::Truncated)?;
        rest = after;
        if TableSet::of(direction, field).intersects(wanted) {
            tables.push((direction, field, decode_table(version, field, table)?));
        }
    }
    if rest.is_empty() { Ok(tables) } else { Err(BlockFault::Malformed) }
}

fn decode_table(version: u8, field: Field, table: &[u8]) -> Result<Rows, BlockFault> {
    let mut input = Input { rest: table };
    let mut rows = Rows::default();
    let flags = input.byte()?;
    let has_about_all = version != VERSION_1 && field == Field::All;
    let known = if has_about_all { TRUNCATED | VARIANCE_IS_PARTIAL } else { TRUNCATED };
    if flags & !known != 0 {
        return Err(BlockFault::Malformed);
    }
    if flags & TRUNCATED != 0 {
        rows.truncated = true;
        rows.other = Counters { bytes: input.number()?, packets: input.number()?, flows: input.number()? };
    }
    let largest = field.largest_number().unwrap_or(u32::MAX);
    input.values(u128::from(largest), |value| rows.short.push((value as u32, Counters::ZERO)))?;
    if field.is_address() {
        input.values(u128::MAX, |value| rows.long.push((value, Counters::ZERO)))?;
    }
    input.column(&mut rows, |counters, number| counters.bytes = number)?;
    input.column(&mut rows, |counters, number| counters.packets = number)?;
    input.column(&mut rows, |counters, number| counters.flows = number)?;
    if has_about_all {
        rows.about_all = input.about_all(flags)?;
    } else if field == Field::All {
        rows.about_all = AboutAll::VERSION_1;
    }
    if input.rest.is_empty() { Ok(rows) } else { Err(BlockFault::Malformed) }
}

/// The unread bytes.
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

    /// The metadata of `all` in version 2.
    fn about_all(&mut self, flags: u8) -> Result<AboutAll, BlockFault> {
        let variance = SamplingVariance { bytes: self.long_number()?, packets: self.long_number()? };
        let complete = u16::try_from(self.number()?).map_err(|_| BlockFault::Malformed)?;
        let complete = FieldSet::of_bits(complete);
        Ok(AboutAll { variance, variance_is_partial: flags & VARIANCE_IS_PARTIAL != 0, complete })
    }
}
