//! The input and output interface of a flow sample, as an ifIndex for accounting. 0 is no single interface: unknown,
//! the agent itself, a packet that was discarded, or several interfaces. How they show as fields is not decided here.

use crate::cursor::Cursor;

/// The compact form of version 5: two bits of format, 30 bits of value. Only format 0 holds an ifIndex; 1 holds the
/// reason for which the packet was discarded, 2 the number of output interfaces.
pub(super) fn compact(octets: &mut Cursor<'_>) -> Option<u32> {
    octets.u32().map(|word| single(word >> 30, word & INTERNAL))
}

/// The expanded form of version 5: a word of each.
pub(super) fn expanded(octets: &mut Cursor<'_>) -> Option<u32> {
    Some(single(octets.u32()?, octets.u32()?))
}

/// The output interface of versions 2 and 4 (RFC 3176, section 4): the upper bit marks several interfaces.
pub(super) fn v4_output(octets: &mut Cursor<'_>) -> Option<u32> {
    octets.u32().map(|word| if word >> 31 == 0 { word } else { 0 })
}

/// In format 0 of the compact form: the packet came from the agent or was for it.
const INTERNAL: u32 = 0x3fff_ffff;

/// The same in the expanded form. Agents send [`INTERNAL`] there too, against the specification.
const EXPANDED_INTERNAL: u32 = u32::MAX;

const fn single(format: u32, value: u32) -> u32 {
    match (format, value) {
        (0, INTERNAL | EXPANDED_INTERNAL) => 0,
        (0, index) => index,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(interface: fn(&mut Cursor<'_>) -> Option<u32>, words: &[u32]) -> u32 {
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut cursor = Cursor::new(&octets);
        let index = interface(&mut cursor).unwrap();
        assert!(cursor.is_empty());
        index
    }

    #[test]
    fn only_a_single_interface_has_an_index() {
        let compact = [0, 7, 0x3fff_fffe, 0x3fff_ffff, 0x4000_0102, 0x8000_0003, 0x8000_0000, 0xc000_0001];
        assert_eq!(compact.map(|word| read(super::compact, &[word])), [0, 7, 0x3fff_fffe, 0, 0, 0, 0, 0]);
        let expanded = [[0, 0], [0, 7], [0, 0x8000_0000], [0, u32::MAX], [0, 0x3fff_ffff], [1, 258], [2, 3], [9, 1]];
        assert_eq!(expanded.map(|words| read(super::expanded, &words)), [0, 7, 0x8000_0000, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_output_interface_of_version_4_has_31_bits() {
        let outputs = [0, 7, 0x7fff_ffff, 0x8000_0000, 0x8000_0007];
        assert_eq!(outputs.map(|word| read(v4_output, &[word])), [0, 7, 0x7fff_ffff, 0, 0]);
    }
}
