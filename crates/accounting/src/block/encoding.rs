//! Writes the bytes of a block, version 2. docs/storage.md, section "Blocks", describes them one by one with an
//! example.

use flow::Counters;

use super::key::{Block, BlockKey};
use super::row_range::RowRange;
use crate::field::Field;

/// The version written by this program.
pub(super) const VERSION: u8 = 2;
/// Octets of the checksum at the end.
pub(super) const CHECKSUM_LENGTH: usize = 4;
/// The flag of a table with folded counters.
pub(super) const TRUNCATED: u8 = 1;
/// The flag of an `all` that includes blocks without a variance.
pub(super) const VARIANCE_IS_PARTIAL: u8 = 2;

/// Appends the encoding of one table.
pub(super) fn encode_table(field: Field, rows: RowRange<'_>, out: &mut Vec<u8>) {
    let is_all = field == Field::All;
    let partial = is_all && rows.about_all.variance_is_partial;
    out.push(if rows.truncated { TRUNCATED } else { 0 } | if partial { VARIANCE_IS_PARTIAL } else { 0 });
    if rows.truncated {
        for count in [rows.other.bytes, rows.other.packets, rows.other.flows] {
            put(out, count.into());
        }
    }
    put_values(out, rows.short.iter().map(|(key, _)| u128::from(*key)));
    if field.is_address() {
        put_values(out, rows.long.iter().map(|(key, _)| *key));
    }
    for column in [|c: &Counters| c.bytes, |c: &Counters| c.packets, |c: &Counters| c.flows] {
        let counters = rows.short.iter().map(|(_, counters)| counters);
        for counters in counters.chain(rows.long.iter().map(|(_, counters)| counters)) {
            put(out, column(counters).into());
        }
    }
    if is_all {
        put(out, rows.about_all.variance.bytes);
        put(out, rows.about_all.variance.packets);
        put(out, rows.about_all.complete.bits().into());
    }
}

/// Replaces `out` with the content of the block that has this key: encoded tables in the order of their bits, each
/// once.
pub(super) fn assemble(key: &BlockKey, tables: &[&[u8]], out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
    for table in tables {
        put(out, table.len() as u128);
    }
    for table in tables {
        out.extend_from_slice(table);
    }
    let checksum = checksum(key, out);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// The checksum of a block of version 2: CRC-32 of its key and of all content before the checksum.
pub(super) fn checksum(key: &BlockKey, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&key.octets());
    hasher.update(body);
    hasher.finalize()
}

impl Block {
    /// The same tables under another key, which has to name the same tables. The old checksum is not verified: only for
    /// blocks that this process has made. A block that has not the version that is written keeps its content.
    #[must_use]
    pub fn with_key(self, key: BlockKey) -> Self {
        let content = match (self.content.first(), self.content.split_last_chunk::<CHECKSUM_LENGTH>()) {
            (Some(&VERSION), Some((body, _))) => [body, &checksum(&key, body).to_le_bytes()].concat().into(),
            _ => self.content,
        };
        Self { key, content }
    }
}

/// Ascending values: their number, the first one, then for each the distance to the previous one, less 1.
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
