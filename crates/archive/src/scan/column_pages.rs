//! The values of a column of a file: from its pages to numbers and addresses.
//!
//! Pages are read as `part_writer` writes them: BYTE_STREAM_SPLIT, without a dictionary. So the first octets of all values are
//! on end, then the second ones, and the values of a column of 8 or 16 bits are in the first one or two streams, although
//! Parquet has 32 bits for them. Every length is checked here: decoders of `parquet` panic where a page is too short.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use parquet::errors::{ParquetError, Result};
use zstd::bulk::Decompressor;

use super::file_octets::FileOctets;
use super::page_header::{self, PageHeader};
use crate::text_pages::{PageKind, read_unsigned};

/// The pages of a column of a file that are not read yet.
pub(crate) struct Pages {
    file: Arc<FileOctets>,
    octets: Range<u64>,
    /// Memory for a page as it is in the file.
    compressed: Vec<u8>,
}

/// The pages of a column in a group of rows, read from the first to the last one. Pages without rows that are asked for are not
/// read, only their headers.
pub(crate) struct ColumnPages {
    pages: Pages,
    /// The octets of a value.
    width: usize,
    /// Whether rows may have none.
    is_optional: bool,
    /// The rows of the group.
    rows: usize,
    page: PageValues,
    /// The row at which the page begins.
    first: usize,
}

/// The values of a page.
#[derive(Default)]
struct PageValues {
    rows: usize,
    /// The page, and where its streams begin. Each is as long as there are values.
    octets: Vec<u8>,
    begin: usize,
    values: usize,
    /// For each row whether it has a value. Empty if all have.
    present: Vec<bool>,
}

impl Pages {
    pub(crate) const fn new(file: Arc<FileOctets>, octets: Range<u64>) -> Self {
        Self { file, octets, compressed: Vec::new() }
    }

    /// The header of the next page, which has this kind and at most as many values, and where the page begins.
    pub(crate) fn header(&mut self, kind: PageKind, most: usize) -> Result<(PageHeader, u64)> {
        let left = self.octets.end.saturating_sub(self.octets.start);
        let mut header = [0; page_header::LONGEST];
        let header = header.get_mut(..left.min(page_header::LONGEST as u64) as usize).unwrap_or_default();
        self.file.read_at(self.octets.start, header)?;
        let header = PageHeader::read(header)
            .filter(|page| (page.octets as u64).saturating_add(page.compressed as u64) <= left)
            .filter(|page| page.kind == kind && page.rows <= most)
            .ok_or_else(|| damaged("the header of a page is not as netflow writes it, or a column ends too early"))?;
        let begin = self.octets.start + header.octets as u64;
        self.octets.start = begin + header.compressed as u64;
        Ok((header, begin))
    }

    /// Reads a page that has at most as many octets.
    pub(crate) fn read(&mut self, begin: u64, header: PageHeader, most: usize, into: &mut Vec<u8>) -> Result<()> {
        let PageHeader { compressed, uncompressed, checksum, .. } = header;
        // No memory is reserved for what a page cannot have.
        if uncompressed > most || compressed > 2 * most + 64 {
            return Err(damaged("a page is longer than its values"));
        }
        self.compressed.resize(compressed, 0);
        self.file.read_at(begin, &mut self.compressed)?;
        if checksum.is_some_and(|checksum| checksum != crc32fast::hash(&self.compressed)) {
            return Err(damaged("the octets of a page have another checksum than its header states"));
        }
        into.clear();
        into.reserve(uncompressed);
        if decompress(&self.compressed, into)? != uncompressed {
            return Err(damaged(NOT_AS_MANY));
        }
        Ok(())
    }
}

const NOT_AS_MANY: &str = "a page has not as many octets as its values";

impl ColumnPages {
    pub(crate) fn new(file: Arc<FileOctets>, octets: Range<u64>, width: usize, is_optional: bool, rows: usize) -> Self {
        let (page, pages) = (PageValues::default(), Pages::new(file, octets));
        Self { pages, width, is_optional, rows, page, first: 0 }
    }

    /// Appends values of 8 bits.
    pub(crate) fn read_u8(&mut self, rows: Range<usize>, into: &mut Vec<u8>) -> Result<()> {
        self.each_piece(rows, |page, rows| {
            into.extend_from_slice(page.stream(0, &rows)?);
            Ok(())
        })
    }

    /// Appends values of 16 bits.
    pub(crate) fn read_u16(&mut self, rows: Range<usize>, into: &mut Vec<u16>) -> Result<()> {
        self.each_piece(rows, |page, rows| {
            let [a, b] = page.streams(0, &rows)?;
            into.extend(a.iter().zip(b).map(|(a, b)| u16::from_le_bytes([*a, *b])));
            Ok(())
        })
    }

    /// Appends values of 32 bits.
    pub(crate) fn read_u32(&mut self, rows: Range<usize>, into: &mut Vec<u32>) -> Result<()> {
        self.each_piece(rows, |page, rows| {
            into.extend(page.numbers(0, &rows)?);
            Ok(())
        })
    }

    /// Appends values of 64 bits.
    pub(crate) fn read_u64(&mut self, rows: Range<usize>, into: &mut Vec<u64>) -> Result<()> {
        self.each_piece(rows, |page, rows| {
            let (low, high) = (page.numbers(0, &rows)?, page.numbers(4, &rows)?);
            into.extend(low.zip(high).map(|(low, high)| u64::from(high) << 32 | u64::from(low)));
            Ok(())
        })
    }

    /// Appends for each row whether it has an address, and the addresses of those that have.
    pub(crate) fn read_addresses(
        &mut self,
        rows: Range<usize>,
        present: &mut Vec<bool>,
        into: &mut Vec<[u8; 16]>,
    ) -> Result<()> {
        self.each_piece(rows, |page, rows| {
            let all = page.present.is_empty();
            let of_rows = page.present.get(rows.clone()).unwrap_or_default();
            let count = |present: &[bool]| present.iter().filter(|present| **present).count();
            let values = if all {
                present.resize(present.len() + rows.len(), true);
                rows
            } else {
                present.extend_from_slice(of_rows);
                let before = count(page.present.get(..rows.start).unwrap_or_default());
                before..before + count(of_rows)
            };
            let streams: [&[u8]; 16] = page.streams(0, &values)?;
            into.extend(
                (0..values.len()).map(|value| streams.map(|stream| stream.get(value).copied().unwrap_or_default())),
            );
            Ok(())
        })
    }

    /// Calls back with each page that has some of the rows, and with its rows among them. Rows are read in ascending order.
    fn each_piece(
        &mut self,
        rows: Range<usize>,
        mut read: impl FnMut(&PageValues, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let mut from = rows.start;
        while from < rows.end {
            if from >= self.first + self.page.rows {
                self.read_page(from)?;
            }
            let start = from.checked_sub(self.first).ok_or_else(|| damaged("rows are read in descending order"))?;
            let end = self.page.rows.min(rows.end - self.first);
            read(&self.page, start..end)?;
            from = self.first + end;
        }
        Ok(())
    }

    /// Reads the page that has a row after those of the last one.
    fn read_page(&mut self, row: usize) -> Result<()> {
        self.first += std::mem::take(&mut self.page.rows);
        loop {
            let (header, begin) = self.pages.header(PageKind::Streams, self.rows.saturating_sub(self.first))?;
            if row < self.first + header.rows {
                return self.decode_page(begin, header);
            }
            self.first += header.rows;
        }
    }

    fn decode_page(&mut self, begin: u64, header: PageHeader) -> Result<()> {
        let PageHeader { uncompressed, rows, .. } = header;
        // Levels take less than an octet a row.
        let most = if self.is_optional { rows * (self.width + 1) + 64 } else { rows * self.width };
        let PageValues { octets, present, .. } = &mut self.page;
        self.pages.read(begin, header, most, octets)?;
        present.clear();
        let begin = if self.is_optional { 4 + levels_length(octets)? } else { 0 };
        if self.is_optional {
            let levels = octets.get(4..begin).unwrap_or_default();
            *present = levels_of(levels, rows).ok_or_else(|| damaged("the levels of a page are damaged"))?;
        }
        let values = if self.is_optional { present.iter().filter(|present| **present).count() } else { rows };
        if uncompressed != begin + values * self.width {
            return Err(damaged(NOT_AS_MANY));
        }
        (self.page.rows, self.page.begin, self.page.values) = (rows, begin, values);
        Ok(())
    }
}

impl PageValues {
    fn stream(&self, octet: usize, values: &Range<usize>) -> Result<&[u8]> {
        let begin = self.begin + octet * self.values;
        self.octets.get(begin + values.start..begin + values.end).ok_or_else(|| damaged(NOT_AS_MANY))
    }

    fn streams<const N: usize>(&self, first: usize, values: &Range<usize>) -> Result<[&[u8]; N]> {
        let mut streams: [&[u8]; N] = [&[]; N];
        for (octet, stream) in (first..).zip(&mut streams) {
            *stream = self.stream(octet, values)?;
        }
        Ok(streams)
    }

    /// Numbers of four octets, from an octet on.
    fn numbers(&self, first: usize, values: &Range<usize>) -> Result<impl Iterator<Item = u32>> {
        let [a, b, c, d] = self.streams(first, values)?;
        let halves = a.iter().zip(b).zip(c.iter().zip(d));
        Ok(halves.map(|((a, b), (c, d))| u32::from_le_bytes([*a, *b, *c, *d])))
    }
}

/// Decompresses a page into memory that is reserved for it. Returns its octets.
fn decompress(page: &[u8], into: &mut Vec<u8>) -> Result<usize> {
    thread_local! {
        // A hundred thousand octets, which would be made again for each column of each group of rows.
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new()?),
        };
        Ok(decompressor.decompress_to_buffer(page, into)?)
    })
}

/// The octets of the levels, which are after their length.
fn levels_length(octets: &[u8]) -> Result<usize> {
    let length = octets.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
    length.filter(|length| *length <= octets.len() - 4).ok_or_else(|| damaged("a page is too short"))
}

/// Levels of one bit, in Parquet's mixture of runs and groups of eight.
fn levels_of(mut octets: &[u8], rows: usize) -> Option<Vec<bool>> {
    let mut levels = Vec::with_capacity(rows);
    while levels.len() < rows {
        let header = read_unsigned(&mut octets)?;
        let count = usize::try_from(header >> 1).ok()?;
        let left = rows - levels.len();
        if header & 1 == 0 {
            let (value, rest) = octets.split_first()?;
            octets = rest;
            if count == 0 || count > left {
                return None;
            }
            levels.resize(levels.len() + count, value & 1 != 0);
        } else {
            // The last group may have more bits than there are rows.
            let used = count.min(left.div_ceil(8));
            let (groups, rest) = octets.split_at_checked(used)?;
            if used == 0 {
                return None;
            }
            octets = rest;
            let bits = groups.iter().flat_map(|group| (0..8).map(move |bit| group >> bit & 1 != 0));
            levels.extend(bits.take(left));
        }
    }
    Some(levels)
}

/// What is wrong with a file.
pub(crate) fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_runs_and_groups_of_eight() {
        // Three times yes, then eight bits of which five are of rows.
        let octets = [3 << 1, 1, 1 << 1 | 1, 0b1110_1010];
        let levels = [true, true, true, false, true, false, true, false];
        assert_eq!(levels_of(&octets, 8).as_deref(), Some(&levels[..]));
        assert_eq!(levels_of(&octets, 3).as_deref(), Some(&[true; 3][..]));
    }

    #[test]
    fn damaged_levels_are_an_error() {
        for octets in [&[][..], &[6], &[0, 1], &[1], &[3], &[0x80, 0x80, 0x80, 0x80, 0x80, 1], &[200, 1, 1]] {
            assert_eq!(levels_of(octets, 8), None, "{octets:?}");
        }
    }

    #[test]
    fn octets_of_values_are_in_streams() {
        let streams: Vec<u8> = (0..4).flat_map(|octet| [octet, octet + 10, octet + 20]).collect();
        let page = PageValues { rows: 3, octets: streams, values: 3, ..PageValues::default() };
        let numbers: Vec<u32> = page.numbers(0, &(1..3)).unwrap().collect();
        assert_eq!(numbers, [0x0d0c_0b0a, 0x1716_1514]);
        assert!(page.stream(4, &(0..1)).is_err());
    }
}
