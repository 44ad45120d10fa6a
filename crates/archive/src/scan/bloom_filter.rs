//! The Bloom filters of a file: whether a column may have a value in a group of rows.
//!
//! A value has its bits in one block of 32 octets. Only that is read: a filter has some hundred thousand octets, and a question
//! about an address looks into thousands of them.

use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;
use twox_hash::XxHash64;

use super::file_octets::FileOctets;
use crate::text_pages::read_unsigned;

/// The octets of a block.
const BLOCK: u64 = 32;
/// The octets at the beginning of a header that state how long the filter is.
const BEGINNING: usize = 6;
/// The first field, a number of 32 bits, in Thrift's compact protocol.
const FIRST_FIELD: u8 = 0x15;

/// Whether a column may have a value. Yes if there is no filter, or one that cannot be read.
pub(crate) fn may_contain(octets: &FileOctets, chunk: &ColumnChunkMetaData, value: &[u8]) -> bool {
    block(octets, chunk, value).is_none_or(|block| block.check(value))
}

/// The block of a value, as a filter of one block.
fn block(octets: &FileOctets, chunk: &ColumnChunkMetaData, value: &[u8]) -> Option<Sbbf> {
    let begin = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
    let end = begin.checked_add(u64::try_from(chunk.bloom_filter_length()?).ok()?)?;
    let header = octets.get_bytes(begin, BEGINNING).ok()?;
    let (FIRST_FIELD, mut length) = header.split_first().map(|(first, rest)| (*first, rest))? else { return None };
    // Signed numbers have their sign in the lowest bit.
    let length = read_unsigned(&mut length)? >> 1;
    let blocks = length / BLOCK;
    let first = end.checked_sub(length).filter(|first| *first > begin && blocks > 0 && length.is_multiple_of(BLOCK))?;
    // The block follows from the upper half of the hash (Parquet's BloomFilter.md), the bits in it from the lower half.
    let index = ((XxHash64::oneshot(0, value) >> 32) * blocks) >> 32;
    let block = octets.get_bytes(first + index * BLOCK, BLOCK as usize).ok()?;
    Some(Sbbf::new(&block))
}
