//! The header of a page: how many rows it has, and how long it is. The meaning of the fields is in parquet.thrift
//! (github.com/apache/parquet-format).
//!
//! It is read here because `parquet` panics at some headers that are damaged, and cannot skip a page without them.

use super::thrift::{I32, STRUCT, Structure};
use crate::text_pages::PageKind;

/// The octets of a header at most. They are some twenty.
pub(crate) const LONGEST: usize = 64;

/// The types of pages and encodings that are written.
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const RLE_DICTIONARY: i64 = 8;
const BYTE_STREAM_SPLIT: i64 = 9;

/// What a header states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub(crate) kind: PageKind,
    /// The octets of the header.
    pub(crate) octets: usize,
    /// Those of the page after it.
    pub(crate) compressed: usize,
    pub(crate) uncompressed: usize,
    /// Its rows, or how many texts it has.
    pub(crate) rows: usize,
    /// The CRC-32 of its octets.
    pub(crate) checksum: Option<u32>,
}

impl PageHeader {
    /// Reads a header, after which there may be other octets. `None` if it is not as the writer makes it.
    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let mut structure = Structure::new(octets);
        let (mut kind, mut compressed, mut uncompressed) = (None, None, None);
        let (mut values, mut checksum) = (None, None);
        let mut last = 0;
        while let Some((id, of)) = structure.field(last)? {
            match (id, of) {
                (1, I32) => kind = Some(structure.integer()?),
                (2, I32) => uncompressed = usize::try_from(structure.integer()?).ok(),
                (3, I32) => compressed = usize::try_from(structure.integer()?).ok(),
                (4, I32) => checksum = Some(structure.integer()? as u32),
                (5 | 7, STRUCT) => values = Some((id, values_of(&mut structure)?)),
                _ => structure.skip(of, 0)?,
            }
            last = id;
        }
        let octets = octets.len() - structure.left();
        let (compressed, uncompressed) = (compressed?, uncompressed?);
        let (field, Values { count: rows, encoding, levels }) = values?;
        let kind = match (kind?, field, encoding, levels) {
            (DATA_PAGE, 5, BYTE_STREAM_SPLIT, Some(RLE)) => PageKind::Streams,
            (DATA_PAGE, 5, RLE_DICTIONARY, Some(RLE)) => PageKind::NumbersOfTexts,
            (DICTIONARY_PAGE, 7, PLAIN, None) => PageKind::Texts,
            _ => return None,
        };
        Some(Self { kind, octets, compressed, uncompressed, rows, checksum })
    }
}

/// What a header states of the values of a page.
struct Values {
    count: usize,
    encoding: i64,
    levels: Option<i64>,
}

fn values_of(structure: &mut Structure<'_>) -> Option<Values> {
    let (mut count, mut encoding, mut levels, mut last) = (None, None, None, 0);
    while let Some((id, of)) = structure.field(last)? {
        match (id, of) {
            (1, I32) => count = usize::try_from(structure.integer()?).ok(),
            (2, I32) => encoding = Some(structure.integer()?),
            (3, I32) => levels = Some(structure.integer()?),
            _ => structure.skip(of, 1)?,
        }
        last = id;
    }
    Some(Values { count: count.filter(|count| *count > 0)?, encoding: encoding?, levels })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of 100 rows, whose 400 octets are compressed to 80.
    const HEADER: [u8; 20] =
        [0x15, 0, 0x15, 0xa0, 6, 0x15, 0xa0, 1, 0x2c, 0x15, 0xc8, 1, 0x15, 18, 0x15, 6, 0x15, 6, 0, 0];

    #[test]
    fn a_header_states_the_rows_and_octets_of_its_page() {
        let kind = PageKind::Streams;
        let header = PageHeader { kind, octets: 20, compressed: 80, uncompressed: 400, rows: 100, checksum: None };
        assert_eq!(PageHeader::read(&HEADER), Some(header));
        assert_eq!(PageHeader::read(&[&HEADER[..], &[1, 2, 3]].concat()), Some(header));
    }

    #[test]
    fn a_header_may_have_a_checksum() {
        // -1 as a signed number.
        let with_checksum = [&HEADER[..8], &[0x15, 1, 0x1c], &HEADER[9..]].concat();
        assert_eq!(PageHeader::read(&with_checksum).unwrap().checksum, Some(u32::MAX));
    }

    #[test]
    fn texts_have_pages_of_their_own() {
        let texts = [&[0x15, 4], &HEADER[2..8], &[0x4c], &HEADER[9..12], &[0x15, 0, 0, 0]].concat();
        assert_eq!(PageHeader::read(&texts).map(|header| header.kind), Some(PageKind::Texts));
        let mut numbers = HEADER;
        numbers[13] = 16;
        assert_eq!(PageHeader::read(&numbers).map(|header| header.kind), Some(PageKind::NumbersOfTexts));
    }

    #[test]
    fn headers_of_other_pages_and_damaged_ones_are_refused() {
        // A page of a dictionary, another encoding, no rows, a negative number of octets.
        for (at, octet) in [(1, 4), (13, 0), (10, 0), (6, 0xa1)] {
            let mut header = HEADER;
            header[at] = octet;
            if at == 10 {
                header[11] = 0x80;
            }
            assert_eq!(PageHeader::read(&header), None, "{at}");
        }
        for length in 0..HEADER.len() {
            assert_eq!(PageHeader::read(&HEADER[..length]), None, "{length}");
        }
    }
}
