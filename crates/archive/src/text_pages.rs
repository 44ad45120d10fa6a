//! Columns of texts as Parquet has them: a page with each text of a group of rows once, and for each page of rows the numbers of
//! their texts there (PLAIN, then RLE_DICTIONARY). The first text is the empty one, so that a row without a text has the number 0.

use std::collections::HashMap;

use columns::{Dictionary, Id, Texts, Values};
use flow::Country;

use crate::chunk::Chunk;

/// How many octets of different texts a group of rows has, and those of its last chunk. More make another group, so that no text
/// is left out and memory stays bounded: they are of routes, which others announce.
pub(crate) const MOST_OCTETS: usize = 16 << 20;

/// What a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// Numbers or addresses: BYTE_STREAM_SPLIT.
    Streams,
    /// The texts of a column: PLAIN.
    Texts,
    /// The numbers of texts: RLE_DICTIONARY.
    NumbersOfTexts,
}

/// The texts of a group of rows, and for each row the number of its text.
#[derive(Default)]
pub(crate) struct GroupTexts {
    pub(crate) dictionary: Dictionary,
    pub(crate) numbers: Vec<u32>,
}

impl GroupTexts {
    /// Those of a column, which may be one of countries.
    pub(crate) fn of(chunks: &[Chunk], id: Id) -> Self {
        let mut texts = Self::default();
        let mut countries = HashMap::new();
        for chunk in chunks {
            let end = texts.numbers.len() + chunk.rows();
            match chunk.values(id) {
                Values::Texts(of_chunk) => texts.add(of_chunk),
                Values::U16(numbers) => {
                    let Self { dictionary, numbers: into } = &mut texts;
                    let mut number = |country: &u16| {
                        let text = || Country::of_number(*country).map_or_else(String::new, |name| name.to_string());
                        *countries.entry(*country).or_insert_with(|| dictionary.number(&text().into()))
                    };
                    into.extend(numbers.iter().map(&mut number));
                }
                _ => {}
            }
            texts.numbers.resize(end, 0);
        }
        texts
    }

    fn add(&mut self, Texts { numbers, dictionary }: &Texts) {
        // By the number in the chunk, that in the group plus 1.
        let mut known = vec![0_u32; dictionary.texts().len() + 1];
        for number in numbers {
            let Some(known) = known.get_mut(*number as usize) else { continue };
            if *known == 0 {
                *known = 1 + dictionary.text(*number).map_or(0, |text| self.dictionary.number(text));
            }
            self.numbers.push(*known - 1);
        }
    }

    /// The least and the greatest text; of long ones, nothing is stated but that there are some.
    pub(crate) fn span(&self) -> Option<(&str, &str)> {
        /// As long as a country.
        const LONGEST: usize = 2;
        let empty = self.numbers.contains(&0).then_some("");
        let all = || self.dictionary.texts().iter().map(|text| &**text).chain(empty);
        let span = all().min().zip(all().max());
        span.filter(|_| all().all(|text| text.len() <= LONGEST))
    }

    /// The page with the texts: how many there are.
    pub(crate) fn encode_texts(&self, page: &mut Vec<u8>) -> usize {
        let all = || [""].into_iter().chain(self.dictionary.texts().iter().map(|text| &**text));
        for text in all() {
            page.extend((text.len() as u32).to_le_bytes());
            page.extend(text.as_bytes());
        }
        all().count()
    }

    /// The bits of a number.
    pub(crate) fn width(&self) -> u32 {
        (u32::BITS - (self.dictionary.texts().len() as u32).leading_zeros()).max(1)
    }
}

/// Appends a page of numbers of this many bits: a run if all are the same, otherwise groups of eight, the lowest bits first.
pub(crate) fn encode_numbers(numbers: &[u32], width: u32, page: &mut Vec<u8>) {
    page.push(width as u8);
    let first = numbers.first().copied().unwrap_or_default();
    if numbers.iter().all(|number| *number == first) {
        write_unsigned(page, (numbers.len() as u64) << 1);
        page.extend(first.to_le_bytes().iter().take(width.div_ceil(8) as usize));
        return;
    }
    write_unsigned(page, (numbers.len().div_ceil(8) as u64) << 1 | 1);
    for group in numbers.chunks(8) {
        let (mut bits, mut used) = (0_u64, 0);
        let missing = std::iter::repeat_n(&0, 8 - group.len());
        for number in group.iter().chain(missing) {
            bits |= u64::from(*number) << used;
            used += width;
            while used >= 8 {
                page.push(bits as u8);
                bits >>= 8;
                used -= 8;
            }
        }
    }
}

/// Reads a page of this many numbers. `None` if it is not of its form.
pub(crate) fn decode_numbers(page: &[u8], rows: usize) -> Option<Vec<u32>> {
    let (width, mut octets) = page.split_first()?;
    let width = u32::from(*width);
    if !(1..=32).contains(&width) {
        return None;
    }
    let mut numbers = Vec::with_capacity(rows);
    while numbers.len() < rows {
        let header = read_unsigned(&mut octets)?;
        let count = usize::try_from(header >> 1).ok().filter(|count| *count > 0)?;
        let left = rows - numbers.len();
        if header & 1 == 0 {
            let (value, rest) = octets.split_at_checked(width.div_ceil(8) as usize)?;
            octets = rest;
            let number = value.iter().rev().fold(0, |number, octet| number << 8 | u32::from(*octet));
            numbers.resize(numbers.len() + Some(count).filter(|count| *count <= left)?, number);
        } else {
            // A group of eight numbers has as many octets as a number has bits.
            let groups = count.min(left.div_ceil(8));
            let (packed, rest) = octets.split_at_checked(groups * width as usize)?;
            octets = rest;
            unpack(packed, width, left, &mut numbers);
        }
    }
    Some(numbers)
}

fn unpack(packed: &[u8], width: u32, most: usize, into: &mut Vec<u32>) {
    let end = into.len() + most;
    let (mut bits, mut used) = (0_u64, 0);
    for octet in packed.iter().take((most * width as usize).div_ceil(8)) {
        bits |= u64::from(*octet) << used;
        used += 8;
        while used >= width && into.len() < end {
            into.push((bits & ((1 << width) - 1)) as u32);
            bits >>= width;
            used -= width;
        }
    }
}

/// Seven bits an octet, the lowest first.
pub(crate) fn write_unsigned(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// The same, of at most five octets.
pub(crate) fn read_unsigned(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let octet = *octets.split_off_first()?;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for width in 1..=32 {
            for rows in [1, 7, 8, 9, 1000] {
                let largest = u32::MAX >> (32 - width);
                let mixed = |row: u32| row.wrapping_mul(0x9e37_79b9).rotate_left(row % 32) & largest;
                for numbers in [vec![largest; rows], (0..rows as u32).map(mixed).collect()] {
                    let mut page = Vec::new();
                    encode_numbers(&numbers, width, &mut page);
                    assert_eq!(decode_numbers(&page, rows).as_ref(), Some(&numbers), "{width} bits, {rows} rows");
                    assert_eq!(decode_numbers(&page[..page.len() - 1], rows), None, "too short");
                }
            }
        }
    }

    #[test]
    fn damaged_pages_of_numbers_are_an_error() {
        for page in [&[][..], &[0, 2, 0], &[33, 2, 0], &[1, 0, 0], &[1, 1, 0], &[1, 20, 0], &[1, 0x80]] {
            assert_eq!(decode_numbers(page, 8), None, "{page:?}");
        }
    }
}
