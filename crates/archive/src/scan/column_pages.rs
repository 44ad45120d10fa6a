//! The values of a column of a file: from its pages to numbers and addresses.
//!
//! Pages are read as `part_writer` writes them: BYTE_STREAM_SPLIT, without a dictionary. So the first octets of all values are
//! on end, then the second ones, and the values of a column of 8 or 16 bits are in the first one or two streams, although
//! Parquet has 32 bits for them. Every length is checked here: decoders of `parquet` panic where a page is too short.

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::SerializedPageReader;

use super::file_octets::FileOctets;

/// The pages of a column in a group of rows, read from the first to the last one.
pub(crate) struct ColumnPages {
    pages: SerializedPageReader<FileOctets>,
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
    /// The streams, each as long as there are values.
    streams: Bytes,
    values: usize,
    /// For each row whether it has a value. Empty if all have.
    present: Vec<bool>,
}

impl ColumnPages {
    pub(crate) fn new(pages: SerializedPageReader<FileOctets>, width: usize, is_optional: bool, rows: usize) -> Self {
        Self { pages, width, is_optional, rows, page: PageValues::default(), first: 0 }
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
            while from >= self.first + self.page.rows {
                self.next_page()?;
            }
            let start = from.checked_sub(self.first).ok_or_else(|| damaged("rows are read in descending order"))?;
            let end = self.page.rows.min(rows.end - self.first);
            read(&self.page, start..end)?;
            from = self.first + end;
        }
        Ok(())
    }

    /// Pages are not skipped by their headers alone: `parquet` panics there if a header is damaged.
    fn next_page(&mut self) -> Result<()> {
        self.first += self.page.rows;
        // Its memory is free before the next page is read.
        self.page = PageValues::default();
        let page = self.pages.get_next_page()?.ok_or_else(|| damaged("a column ends too early"))?;
        let Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } = page else {
            return Err(damaged("a page is not of the kind that netflow writes"));
        };
        let rows = num_values as usize;
        if encoding != Encoding::BYTE_STREAM_SPLIT || rows == 0 || rows > self.rows.saturating_sub(self.first) {
            return Err(damaged("a page is not as netflow writes it"));
        }
        let (present, streams) = if self.is_optional {
            if def_level_encoding != Encoding::RLE {
                return Err(damaged("the levels of a page are not as netflow writes them"));
            }
            let length = buf.first_chunk::<4>().map_or(usize::MAX, |length| u32::from_le_bytes(*length) as usize);
            let levels =
                buf.get(4..).and_then(|rest| rest.get(..length)).ok_or_else(|| damaged("a page is too short"))?;
            (
                levels_of(levels, rows).ok_or_else(|| damaged("the levels of a page are damaged"))?,
                buf.slice(4 + length..),
            )
        } else {
            (Vec::new(), buf)
        };
        let values = if self.is_optional { present.iter().filter(|present| **present).count() } else { rows };
        if streams.len() != values * self.width {
            return Err(damaged("a page has not as many octets as its values"));
        }
        self.page = PageValues { rows, streams, values, present };
        Ok(())
    }
}

impl PageValues {
    fn stream(&self, octet: usize, values: &Range<usize>) -> Result<&[u8]> {
        let begin = octet * self.values;
        self.streams
            .get(begin + values.start..begin + values.end)
            .ok_or_else(|| damaged("a page has not as many octets as its values"))
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

/// Levels of one bit, in Parquet's mixture of runs and groups of eight.
fn levels_of(mut octets: &[u8], rows: usize) -> Option<Vec<bool>> {
    let mut levels = Vec::with_capacity(rows);
    while levels.len() < rows {
        let header = variable_length(&mut octets)?;
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

/// A number of seven bits an octet, the lowest first.
pub(crate) fn variable_length(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
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
        let page = PageValues { rows: 3, streams: streams.into(), values: 3, present: Vec::new() };
        let numbers: Vec<u32> = page.numbers(0, &(1..3)).unwrap().collect();
        assert_eq!(numbers, [0x0d0c_0b0a, 0x1716_1514]);
        assert!(page.stream(4, &(0..1)).is_err());
    }
}
