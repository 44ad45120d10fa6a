//! The keys of a row as words of 64 bits, in which groups are looked up.
//!
//! Small values share a word. There are two layouts for the same keys: in the narrow one an address has 32 bits, for rows that
//! have IPv4 addresses only; in the wide one 128 bits, and a bit for the family. So most networks pay for one word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use columns::{Addresses, Dictionary, Kind, Texts, Value, Values};
use filter::ColumnValues;
use flow::{Country, Timestamp};

use super::budget::Exceeded;
use super::key::Key;

/// The memory that the texts of a question take at most, about. It is reserved for a question with a key that has texts.
pub(crate) const MEMORY_OF_TEXTS: usize = 32 << 20;

/// Where the values of keys are in the words.
#[derive(Debug)]
pub(crate) struct Layout {
    fields: Vec<Field>,
    /// The texts of all keys: their numbers are in the words.
    texts: Mutex<Dictionary>,
    /// How many fields are of the group; those after them are counted distinctly.
    group_fields: usize,
    /// How many words the fields of the group have.
    pub(crate) group_words: usize,
    pub(crate) words: usize,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    key: Key,
    word: usize,
    shift: u32,
    /// The word and the bit that is set for an IPv6 address. `None` if there is none, or only IPv4.
    family: Option<(usize, u32)>,
}

impl Layout {
    /// A layout of keys and of what is counted distinctly for each group.
    pub(crate) fn new(keys: &[Key], distinct: &[Key], is_wide: bool) -> Self {
        let mut fields = Vec::new();
        let group_words = place(keys, is_wide, 0, &mut fields);
        let group_fields = fields.len();
        let words = group_words + place(distinct, is_wide, group_words, &mut fields);
        Self { fields, texts: Mutex::default(), group_fields, group_words, words }
    }

    /// The words of rows.
    pub(crate) fn fill<const N: usize>(
        &self,
        columns: &dyn ColumnValues,
        rows: &[u32],
        words: &mut Vec<[u64; N]>,
    ) -> Result<(), Exceeded> {
        words.clear();
        words.resize(rows.len(), [0; N]);
        for field in &self.fields {
            match columns.values(field.key.id()) {
                Values::U8(values) => field.fill(values, rows, words),
                Values::U16(values) => field.fill(values, rows, words),
                Values::U32(values) => field.fill(values, rows, words),
                Values::U64(values) => field.fill(values, rows, words),
                Values::Addresses(Addresses { v4, is_v6, v6 }) => {
                    field.fill(v4, rows, words);
                    field.fill_v6(is_v6, v6, rows, words);
                }
                Values::Texts(texts) => field.fill(&self.numbers(texts, rows)?, rows, words),
            }
        }
        Ok(())
    }

    /// The numbers of the texts of rows, by row; none if all are empty.
    fn numbers(&self, Texts { numbers, dictionary }: &Texts, rows: &[u32]) -> Result<Vec<u32>, Exceeded> {
        let mut all = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        // By the number in the file that of the question plus 1.
        let mut known = vec![0_u32; dictionary.texts().len() + 1];
        let mut found = vec![0; numbers.len()];
        for row in rows {
            let number = numbers.get(*row as usize).copied().unwrap_or_default();
            let (Some(known), Some(found)) = (known.get_mut(number as usize), found.get_mut(*row as usize)) else {
                continue;
            };
            if *known == 0 {
                *known = 1 + dictionary.text(number).map_or(0, |text| all.number(text));
            }
            *found = *known - 1;
        }
        if all.memory() > MEMORY_OF_TEXTS { Err(Exceeded) } else { Ok(found) }
    }

    /// The values of a group.
    pub(crate) fn values(&self, words: &[u64]) -> Vec<Value> {
        self.fields.iter().take(self.group_fields).map(|field| field.value(words, &self.texts)).collect()
    }
}

/// Gives each key its place, from a word on. Returns how many words they take.
fn place(keys: &[Key], is_wide: bool, begin: usize, fields: &mut Vec<Field>) -> usize {
    let addresses = keys.iter().filter(|key| key.is_address()).count() as u32;
    // How many bits of each word are taken.
    let mut used: Vec<u32> = if is_wide && addresses > 0 { vec![addresses] } else { Vec::new() };
    let mut families = 0;
    for key in keys {
        let bits = match key.id().column().kind {
            Kind::U8 => 8,
            Kind::U16 | Kind::Country => 16,
            Kind::U32 | Kind::AsPath => 32,
            Kind::Mac => 48,
            Kind::U64 | Kind::Time => 64,
            Kind::Address if is_wide => {
                fields.push(Field { key: *key, word: begin + used.len(), shift: 0, family: Some((begin, families)) });
                families += 1;
                used.extend([64, 64]);
                continue;
            }
            Kind::Address => 32,
        };
        let free = used.iter().position(|used| used + bits <= 64);
        let word = free.unwrap_or(used.len());
        if free.is_none() {
            used.push(0);
        }
        if let Some(used) = used.get_mut(word) {
            fields.push(Field { key: *key, word: begin + word, shift: *used, family: None });
            *used += bits;
        }
    }
    used.len()
}

impl Field {
    #[inline]
    fn fill<T: Copy + Default + Into<u64>, const N: usize>(&self, values: &[T], rows: &[u32], words: &mut [[u64; N]]) {
        // 0 stays 0, however it is rounded.
        if values.is_empty() {
            return;
        }
        for (row, words) in rows.iter().zip(words) {
            let value = values.get(*row as usize).copied().unwrap_or_default().into();
            if let Some(word) = words.get_mut(self.word) {
                *word |= self.key.round(value) << self.shift;
            }
        }
    }

    /// Rows are in ascending order.
    fn fill_v6<const N: usize>(&self, is_v6: &[bool], v6: &[[u8; 16]], rows: &[u32], words: &mut [[u64; N]]) {
        let Some((family_word, family_bit)) = self.family else { return };
        let (mut counted, mut before) = (0, 0);
        for (row, words) in rows.iter().zip(words) {
            let row = *row as usize;
            let Some(true) = is_v6.get(row) else { continue };
            before += is_v6.get(counted..row).unwrap_or_default().iter().filter(|is_v6| **is_v6).count();
            counted = row;
            let address = self.key.round_v6(v6.get(before).copied().unwrap_or_default());
            let places =
                [(self.word, address as u64), (self.word + 1, (address >> 64) as u64), (family_word, 1 << family_bit)];
            for (place, bits) in places {
                if let Some(word) = words.get_mut(place) {
                    *word |= bits;
                }
            }
        }
    }

    fn value(&self, words: &[u64], texts: &Mutex<Dictionary>) -> Value {
        let word = |index: usize| words.get(index).copied().unwrap_or_default();
        let number = word(self.word) >> self.shift;
        match self.key.id().column().kind {
            Kind::U8 => Value::Number(number & 0xff),
            Kind::U16 => Value::Number(number & 0xffff),
            Kind::U32 => Value::Number(number & 0xffff_ffff),
            Kind::Country => Value::Country(Country::of_number(number as u16)),
            Kind::AsPath => {
                let texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
                Value::AsPath(texts.text(number as u32).cloned())
            }
            Kind::U64 => Value::Number(number),
            Kind::Time => Value::Time(Timestamp::from_milliseconds(number)),
            Kind::Mac => {
                let [_, _, octets @ ..] = number.to_be_bytes();
                Value::Mac(octets)
            }
            Kind::Address => {
                let is_v6 = self.family.is_some_and(|(family, bit)| word(family) >> bit & 1 != 0);
                Value::Address(if is_v6 {
                    let bits = u128::from(word(self.word + 1)) << 64 | u128::from(word(self.word));
                    IpAddr::V6(Ipv6Addr::from_bits(bits))
                } else {
                    IpAddr::V4(Ipv4Addr::from_bits(number as u32))
                })
            }
        }
    }
}

/// Divides rows into those whose addresses in these keys are all of IPv4, and the others.
pub(crate) fn divide(
    keys: &[Key],
    columns: &impl ColumnValues,
    rows: &[u32],
    narrow: &mut Vec<u32>,
    wide: &mut Vec<u32>,
) {
    narrow.clear();
    wide.clear();
    let families: Vec<&[bool]> = keys
        .iter()
        .filter_map(|key| match columns.values(key.id()) {
            Values::Addresses(Addresses { is_v6, .. }) if !is_v6.is_empty() => Some(is_v6.as_slice()),
            _ => None,
        })
        .collect();
    if families.is_empty() {
        narrow.extend_from_slice(rows);
        return;
    }
    for row in rows {
        let is_wide = families.iter().any(|is_v6| is_v6.get(*row as usize).copied().unwrap_or_default());
        if is_wide { wide.push(*row) } else { narrow.push(*row) }
    }
}

#[cfg(test)]
mod tests {
    use columns::{Batch, Id, Row};

    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::new();
        for (port, address) in
            [(80, IpAddr::from([192, 0, 2, 1])), (53, IpAddr::from([7; 16])), (22, [10, 0, 0, 9].into())]
        {
            let mut row = Row::new();
            row.set(Id::DstPort, port);
            row.set(Id::Received, 12_345 + port);
            row.set(Id::SrcMac, 0x0102_0304_0506);
            row.set_address(Id::SrcIp, address);
            row.set_address(Id::DstIp, [198, 51, 100, 255].into());
            batch.push(&row);
        }
        batch.fill();
        batch
    }

    #[test]
    fn an_ipv4_address_and_a_port_share_a_word() {
        let keys = [Key::Column(Id::SrcIp), Key::Column(Id::DstPort)];
        assert_eq!(Layout::new(&keys, &[], false).words, 1);
        assert_eq!(Layout::new(&keys, &[], true).words, 3);
        assert_eq!(Layout::new(&[], &keys, false).group_words, 0);
    }

    #[test]
    fn values_are_the_same_after_both_layouts() {
        let batch = batch();
        let keys = [
            Key::Column(Id::DstPort),
            Key::Prefix(Id::DstIp, 24, 48),
            Key::Column(Id::SrcIp),
            Key::Step(Id::Received, 1000),
            Key::Column(Id::SrcMac),
        ];
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        divide(&keys, &batch, &[0, 1, 2], &mut narrow, &mut wide);
        assert_eq!((&narrow[..], &wide[..]), (&[0, 2][..], &[1][..]));
        for (is_wide, rows) in [(false, &narrow), (true, &wide), (true, &vec![0, 1, 2])] {
            let layout = Layout::new(&keys, &[], is_wide);
            let mut words: Vec<[u64; 16]> = Vec::new();
            assert!(layout.fill(&batch, rows, &mut words).is_ok());
            for (row, words) in rows.iter().zip(&words) {
                let [port, network, source, time, mac] = layout.values(words).try_into().unwrap();
                let (expected_port, expected_source) =
                    [(80, IpAddr::from([192, 0, 2, 1])), (53, IpAddr::from([7; 16])), (22, [10, 0, 0, 9].into())]
                        [*row as usize];
                assert_eq!((port, source), (Value::Number(expected_port), Value::Address(expected_source)));
                assert_eq!(network, Value::Address([198, 51, 100, 0].into()));
                assert_eq!(time, Value::Time(Timestamp::from_milliseconds(12_000)));
                assert_eq!(mac, Value::Mac([1, 2, 3, 4, 5, 6]));
            }
        }
    }
}
