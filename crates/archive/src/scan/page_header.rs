//! The header of a page: how many rows it has, and how long it is. The meaning of the fields is in parquet.thrift
//! (github.com/apache/parquet-format).
//!
//! It is read here because `parquet` panics at some headers that are damaged, and cannot skip a page without them.

use super::thrift::{I32, STRUCT, Structure};

/// The octets of a header at most. They are some twenty.
pub(crate) const LONGEST: usize = 64;

/// The types of pages and encodings that are written.
const DATA_PAGE: i64 = 0;
const RLE: i64 = 3;
const BYTE_STREAM_SPLIT: i64 = 9;

/// What a header states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// The octets of the header.
    pub(crate) octets: usize,
    /// Those of the page after it.
    pub(crate) compressed: usize,
    pub(crate) uncompressed: usize,
    /// Its rows.
    pub(crate) rows: usize,
    /// The CRC-32 of its octets.
    pub(crate) checksum: Option<u32>,
}

impl PageHeader {
    /// Reads a header, after which there may be other octets. `None` if it is not as the writer makes it.
    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let mut structure = Structure::new(octets);
        let (mut of_data, mut compressed, mut uncompressed) = (false, None, None);
        let (mut rows, mut checksum) = (None, None);
        let mut last = 0;
        while let Some((id, of)) = structure.field(last)? {
            match (id, of) {
                (1, I32) => of_data = structure.integer()? == DATA_PAGE,
                (2, I32) => uncompressed = usize::try_from(structure.integer()?).ok(),
                (3, I32) => compressed = usize::try_from(structure.integer()?).ok(),
                (4, I32) => checksum = Some(structure.integer()? as u32),
                (5, STRUCT) => rows = Some(rows_of(&mut structure)?),
                _ => structure.skip(of, 0)?,
            }
            last = id;
        }
        let octets = octets.len() - structure.left();
        let (compressed, uncompressed, rows) = (compressed?, uncompressed?, rows?);
        of_data.then_some(Self { octets, compressed, uncompressed, rows, checksum })
    }
}

/// Reads what a header states of a page of data, and returns its rows.
fn rows_of(structure: &mut Structure<'_>) -> Option<usize> {
    let (mut rows, mut encoding, mut levels, mut last) = (None, None, None, 0);
    while let Some((id, of)) = structure.field(last)? {
        match (id, of) {
            (1, I32) => rows = usize::try_from(structure.integer()?).ok(),
            (2, I32) => encoding = structure.integer(),
            (3, I32) => levels = structure.integer(),
            _ => structure.skip(of, 1)?,
        }
        last = id;
    }
    rows.filter(|rows| *rows > 0 && encoding == Some(BYTE_STREAM_SPLIT) && levels == Some(RLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of 100 rows, whose 400 octets are compressed to 80.
    const HEADER: [u8; 20] =
        [0x15, 0, 0x15, 0xa0, 6, 0x15, 0xa0, 1, 0x2c, 0x15, 0xc8, 1, 0x15, 18, 0x15, 6, 0x15, 6, 0, 0];

    #[test]
    fn a_header_states_the_rows_and_octets_of_its_page() {
        let header = PageHeader { octets: 20, compressed: 80, uncompressed: 400, rows: 100, checksum: None };
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
