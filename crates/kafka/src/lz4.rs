//! LZ4 frames of records that are like each other: each is compressed against the one before it.
//!
//! A general compressor looks everything up in a table of what came before, which takes more time than all else that is done
//! for a flow. The messages of flows have their fields in the same order, and so what repeats is as far from the beginning of
//! the record before, or as far from its end. Only these two places are compared.
//!
//! Sources: `lz4_Frame_format.md` and `lz4_Block_format.md` of LZ4.

/// The most octets of a block before they are compressed: 64 KiB, as Java's producers have it. No distance is larger.
const BLOCK: usize = 64 * 1024;

/// Magic number; version 1 with independent blocks, without checksums; the size of blocks; the checksum of the last two octets.
const HEAD: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// The bit of the length of a block that is not compressed.
const STORED: u32 = 1 << 31;

/// The end of a block has no match in it: the last one begins at least 12 octets before, and the last five octets are literals.
const TAIL: usize = 12;

/// The shortest match that a sequence can have.
const SHORTEST: usize = 4;

/// How much of a record, and at most half of it, is compared with the beginning of the one before. The rest is compared with its
/// end.
const BEGINNING: usize = 64;

const WORD: usize = size_of::<u64>();

/// Appends a frame of records, which end at these places, the last one at the end.
pub(crate) fn frame(records: &[u8], ends: &[u32], out: &mut Vec<u8>) {
    out.extend_from_slice(&HEAD);
    let mut begin = 0;
    let mut ends = ends;
    while begin < records.len() {
        let whole = ends.partition_point(|end| *end as usize <= begin + BLOCK);
        let (inside, others) = ends.split_at(whole);
        // A part of a record that is larger than a block.
        let end = inside.last().map_or(begin + BLOCK, |end| *end as usize).min(records.len());
        let content = records.get(begin..end).unwrap_or_default();
        block(content, inside.iter().map(|end| *end as usize - begin), out);
        (begin, ends) = (end, others);
    }
    // No more blocks.
    out.extend_from_slice(&[0; 4]);
}

/// Appends a block of records, which end at these places in it.
fn block(content: &[u8], ends: impl Iterator<Item = usize>, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut sequences = Sequences { content, written: 0, out };
    let matched = content.len().saturating_sub(TAIL);
    let (mut before, mut begin) = (0, 0);
    for end in ends {
        if begin > before {
            let beginning = begin + BEGINNING.min((end - begin) / 2);
            sequences.compare(begin, beginning.min(matched), begin - before);
            sequences.compare(beginning, end.min(matched), end - begin);
        }
        (before, begin) = (begin, end);
    }
    sequences.finish();
    let length = out.len() - at - 4;
    let length = if length < content.len() {
        length as u32
    } else {
        out.truncate(at + 4);
        out.extend_from_slice(content);
        content.len() as u32 | STORED
    };
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// The sequences of a block: literals, and what repeats.
struct Sequences<'a> {
    content: &'a [u8],
    /// The octets of the content that are written.
    written: usize,
    out: &'a mut Vec<u8>,
}

impl Sequences<'_> {
    /// Writes what is the same between two places as at a distance before them.
    fn compare(&mut self, mut at: usize, end: usize, distance: usize) {
        while at + WORD <= end {
            if self.differs(at, distance) != 0 {
                at += WORD;
                continue;
            }
            let begin = self.begin_of_match(at, distance);
            at += WORD;
            while at + WORD <= end {
                let differs = self.differs(at, distance);
                if differs != 0 {
                    at += differs.trailing_zeros() as usize / 8;
                    break;
                }
                at += WORD;
            }
            self.write(begin, Some((at - begin, distance)));
            self.written = at;
        }
    }

    /// The bits in which the eight octets at a place differ from those before them.
    #[inline(always)]
    fn differs(&self, at: usize, distance: usize) -> u64 {
        let word =
            |at: usize| self.content.get(at..).and_then(|rest| rest.first_chunk()).map(|it| u64::from_le_bytes(*it));
        match (word(at), at.checked_sub(distance).and_then(word)) {
            (Some(this), Some(before)) => this ^ before,
            _ => u64::MAX,
        }
    }

    /// Where the match begins that the eight octets at a place are of: up to seven octets before.
    #[inline]
    fn begin_of_match(&self, at: usize, distance: usize) -> usize {
        let Some(before) = at.checked_sub(WORD) else { return at };
        let same = self.differs(before, distance).leading_zeros() as usize / 8;
        (at - same).max(self.written)
    }

    /// Writes the literals up to a place, and then a match: its length and its distance.
    #[inline]
    fn write(&mut self, end: usize, of_match: Option<(usize, usize)>) {
        let literals = self.content.get(self.written..end).unwrap_or_default();
        let matched = of_match.map_or(0, |(length, _)| length - SHORTEST);
        self.out.push((literals.len().min(15) << 4 | matched.min(15)) as u8);
        self.rest(literals.len());
        self.out.extend_from_slice(literals);
        if let Some((_, distance)) = of_match {
            self.out.extend_from_slice(&(distance as u16).to_le_bytes());
            self.rest(matched);
        }
    }

    /// What of a length is above the four bits in the token.
    #[inline]
    fn rest(&mut self, length: usize) {
        let Some(mut rest) = length.checked_sub(15) else { return };
        while rest >= 255 {
            self.out.push(255);
            rest -= 255;
        }
        self.out.push(rest as u8);
    }

    /// Writes the last literals.
    fn finish(mut self) {
        self.write(self.content.len(), None);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use lz4_flex::frame::FrameDecoder;
    use proptest::prelude::*;

    use super::*;

    /// Compresses records, and compares what an independent decoder makes of them. Returns the size.
    fn compress(records: &[Vec<u8>]) -> usize {
        let (mut content, mut ends) = (Vec::new(), Vec::new());
        for record in records {
            content.extend_from_slice(record);
            ends.push(content.len() as u32);
        }
        let mut out = vec![7];
        frame(&content, &ends, &mut out);
        let mut read = Vec::new();
        FrameDecoder::new(&out[1..]).read_to_end(&mut read).unwrap();
        assert!(read == content, "{records:x?}");
        out.len() - 1
    }

    /// A record as a flow's: what differs, in as many octets, between what is alike.
    fn record(differs: u64, octets: usize) -> Vec<u8> {
        let differs = differs.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        [b"the key of the exporter".as_slice(), &differs[..octets], b"columns that are alike, and the header"].concat()
    }

    #[test]
    fn what_is_alike_is_written_once_in_a_block() {
        let records: Vec<_> = (0..5_000).map(|index| record(index, 5 + index as usize % 3)).collect();
        let octets = records.concat().len();
        let compressed = compress(&records);
        assert!(compressed * 3 < octets, "{compressed} of {octets}");
    }

    #[test]
    fn records_of_any_size_are_read_as_they_were() {
        compress(&[]);
        compress(&[vec![0]]);
        compress(&vec![vec![5]; BLOCK + 3]);
        for octets in [1, 11, 12, 13, 15, 16, 19, 255 + 15, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5]
        {
            compress(&vec![vec![0; octets]; 3]);
            let random: Vec<u8> =
                (0..octets as u64).map(|it| (it.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
            compress(&[random.clone(), random, vec![1; 20]]);
        }
    }

    #[test]
    fn what_does_not_repeat_is_stored() {
        let random: Vec<u8> = (0..1000_u64).map(|it| (it.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8).collect();
        let records: Vec<_> = random.chunks(50).map(<[u8]>::to_vec).collect();
        assert_eq!(compress(&records), 1000 + HEAD.len() + 8);
    }

    proptest! {
        #[test]
        fn any_records_are_read_as_they_were(
            records in prop::collection::vec(prop::collection::vec(0..3_u8, 1..150), 0..60),
        ) {
            compress(&records);
        }

        #[test]
        fn similar_records_are_read_as_they_were(parts in prop::collection::vec((any::<u64>(), 0..9_usize), 0..200)) {
            compress(&parts.into_iter().map(|(differs, octets)| record(differs, octets)).collect::<Vec<_>>());
        }
    }
}
