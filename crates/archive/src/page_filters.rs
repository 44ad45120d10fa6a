//! Which pages of a group of rows may have an address, as source or as destination: a Bloom filter for each page of a joined file.
//! Rows of a host are together there, so that most pages of most groups are ruled out.
//!
//! The filters of a group have the same number of blocks, and the blocks of one number are together, one for each page: a
//! question reads these only. They follow the group in the file; other readers of Parquet skip them. Blocks are those of
//! Parquet's filters (github.com/apache/parquet-format, BloomFilter.md).

use std::collections::HashSet;
use std::net::IpAddr;

use columns::{Addresses, Id, Values};
use twox_hash::XxHash64;

use crate::chunk::Chunk;

/// The octets of a block.
const BLOCK: usize = 32;
/// The bits for each address of a page, on average over the pages of a group. Some pages have many more addresses than others:
/// of absent addresses, about 4 % are not ruled out (bench `address`).
const BITS: usize = 10;
/// The pages of a group at most: as many as the largest group has that is read.
pub(crate) const MOST_PAGES: usize = 128;
/// The multipliers that choose the bits of a block.
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Where the filters of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageFilters {
    /// Where they begin in the file.
    pub(crate) begin: u64,
    /// How many blocks each has.
    pub(crate) blocks: u64,
}

/// The filters of the pages of these rows, and how many blocks each has.
pub(crate) fn filters_of(chunks: &[Chunk]) -> (Vec<u8>, u64) {
    let hashes: Vec<HashSet<u64>> = chunks.iter().map(|chunk| hashes_of(chunk).collect()).collect();
    let addresses: usize = hashes.iter().map(HashSet::len).sum();
    let blocks = (addresses * BITS).div_ceil(8 * BLOCK * chunks.len().max(1)).max(1);
    let mut octets = vec![0; blocks * chunks.len() * BLOCK];
    for (page, hashes) in hashes.iter().enumerate() {
        for hash in hashes {
            let block = (block_of(*hash, blocks as u64) as usize * chunks.len() + page) * BLOCK;
            let bits = bits_of(*hash);
            for (octet, bits) in octets.iter_mut().skip(block).zip(bits) {
                *octet |= bits;
            }
        }
    }
    (octets, blocks as u64)
}

impl PageFilters {
    /// Where the blocks for an address are in the file, of which there is one for each page, and how many octets they have.
    pub(crate) fn place(self, address: IpAddr, pages: usize) -> (u64, usize) {
        let octets = pages * BLOCK;
        let block = block_of(hash(address), self.blocks);
        (self.begin.saturating_add(block.saturating_mul(octets as u64)), octets)
    }
}

/// The pages that may have an address, by the blocks for it: the first one is the lowest bit.
pub(crate) fn pages_with(address: IpAddr, blocks: &[u8]) -> u128 {
    let bits = bits_of(hash(address));
    let has = |block: &[u8]| block.iter().zip(bits.clone()).all(|(octet, bits)| octet & bits == bits);
    let pages = blocks.chunks_exact(BLOCK).take(MOST_PAGES).enumerate();
    pages.fold(0, |pages, (page, block)| pages | u128::from(has(block)) << page)
}

/// The hashes of all addresses of rows.
fn hashes_of(chunk: &Chunk) -> impl Iterator<Item = u64> + '_ {
    [Id::SrcIp, Id::DstIp].into_iter().flat_map(|id| {
        let (v4, is_v6, v6) = match chunk.values(id) {
            Values::Addresses(Addresses { v4, is_v6, v6 }) => (v4.as_slice(), is_v6.as_slice(), v6.as_slice()),
            _ => (&[][..], &[][..], &[][..]),
        };
        let number = |row: usize| v4.get(row).copied().unwrap_or_default();
        let v4 = (0..chunk.rows()).filter(|row| !is_v6.get(*row).copied().unwrap_or_default()).map(number);
        v4.map(|number| hash(IpAddr::V4(number.into()))).chain(v6.iter().map(|octets| hash(IpAddr::from(*octets))))
    })
}

fn hash(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => XxHash64::oneshot(0, &address.octets()),
        IpAddr::V6(address) => XxHash64::oneshot(0, &address.octets()),
    }
}

const fn block_of(hash: u64, blocks: u64) -> u64 {
    ((hash >> 32) * blocks) >> 32
}

/// The bits of a hash in its block: one in each 32 bits.
fn bits_of(hash: u64) -> impl Iterator<Item = u8> + Clone {
    let word = move |salt: u32| (1_u32 << ((hash as u32).wrapping_mul(salt) >> 27)).to_le_bytes();
    SALT.into_iter().flat_map(word)
}

#[cfg(test)]
mod tests {
    use columns::{Batch, Row};

    use super::*;

    fn chunk(addresses: impl Iterator<Item = (IpAddr, IpAddr)>) -> Chunk {
        let (mut batch, mut row) = (Batch::new(), Row::new());
        for (source, destination) in addresses {
            row.set_address(Id::SrcIp, source);
            row.set_address(Id::DstIp, destination);
            batch.push(&row);
        }
        Chunk::of(&mut batch)
    }

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    fn v6(number: u32) -> IpAddr {
        IpAddr::V6((0x2001_0db8 << 96 | u128::from(number)).into())
    }

    #[test]
    fn a_page_with_an_address_is_never_ruled_out_and_others_nearly_always() {
        let pages: Vec<_> = (0..20_u32)
            .map(|page| {
                chunk((0..8192).map(|row| (v4(page * 8192 + row), if row % 2 == 0 { v6(page) } else { v4(page) })))
            })
            .collect();
        let (octets, blocks) = filters_of(&pages);
        let begin = 1000;
        let filters = PageFilters { begin, blocks };
        let found = |address| {
            let (at, length) = filters.place(address, pages.len());
            let at = (at - begin) as usize;
            pages_with(address, &octets[at..at + length])
        };
        let mut more = 0;
        for page in 0..20 {
            for address in [v6(page), v4(page), v4(page * 8192 + 17), v4(page * 8192 + 8191)] {
                assert!(found(address) >> page & 1 == 1, "{address} is in page {page}");
            }
            more += found(v6(page)).count_ones() - 1;
        }
        more += (0..1000).map(|number| found(v4(1_000_000 + number)).count_ones()).sum::<u32>();
        assert!(more < 20_400 / 25, "{more} of 20,400 pages");
    }
}
