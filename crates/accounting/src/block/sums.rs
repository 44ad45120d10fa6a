//! The sums of tables, without names: enough to verify that blocks are consistent, in memory that does not grow with
//! the number of names.

use std::collections::BTreeMap;

use flow::Counters;

use super::decoding::decode;
use super::fault::BlockError;
use super::key::Block;
use super::table_set::TableSet;
use crate::about_all::AboutAll;
use crate::direction::Direction;
use crate::field::Field;
use crate::five_minutes;
use crate::period::Minute;
use crate::table::Rows;

/// The sums of any number of blocks, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    tables: BTreeMap<(Direction, Field), TableSum>,
}

/// The sums of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSum {
    /// All values and `other`.
    pub counters: Counters,
    /// The number of counters read: a name in several blocks counts once for each block.
    pub rows: u64,
    /// Whether a limit folded names.
    pub truncated: bool,
    /// Equal for equal counters of equal names, however they are distributed over blocks. It does not cover
    /// `other`.
    pub fingerprint: Fingerprint,
    /// The metadata of `all`; used in its table only.
    pub about_all: AboutAll,
}

/// The sum over all names of a hash of the name times its counters, so that fingerprints add up as counters do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Sums {
    /// Adds all tables of a block; `all` of a minute is also added to its 5 minutes, which are no counters that were read.
    ///
    /// # Errors
    /// When the content of the block is damaged or of an unknown version; then nothing of it was added.
    pub fn merge(&mut self, block: &Block) -> Result<(), BlockError> {
        let decoded = decode(&block.key, &block.content, TableSet::ALL);
        for (direction, field, rows) in decoded.map_err(|fault| BlockError { key: block.key, fault })? {
            if field == Field::All
                && let Some(first) = five_minutes::of_minutes(&block.key)
            {
                let sum = TableSum::of_five_minutes(first, rows.sum());
                self.tables.entry((direction, Field::FiveMinutes)).or_default().add(sum);
            }
            self.tables.entry((direction, field)).or_default().add(TableSum::of(&rows));
        }
        Ok(())
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        for (table, sum) in &other.tables {
            self.tables.entry(*table).or_default().add(*sum);
        }
    }

    /// The sums of one table; zero if no block has it.
    #[must_use]
    pub fn table(&self, direction: Direction, field: Field) -> TableSum {
        self.tables.get(&(direction, field)).copied().unwrap_or_default()
    }

    /// How many counters were read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).sum()
    }
}

/// The counters of `all` in a block, by the number of the direction.
///
/// # Errors
/// When the content of the block is damaged or of an unknown version.
pub fn all_in(block: &Block) -> Result<[Counters; Direction::ALL.len()], BlockError> {
    let mut all = [Counters::ZERO; Direction::ALL.len()];
    let decoded = decode(&block.key, &block.content, TableSet::of_field(Field::All));
    for (direction, _, rows) in decoded.map_err(|fault| BlockError { key: block.key, fault })? {
        if let Some(counters) = all.get_mut(direction as usize) {
            counters.add(rows.sum());
        }
    }
    Ok(all)
}

impl TableSum {
    fn of(rows: &Rows) -> Self {
        let mut sum =
            Self { counters: rows.other, truncated: rows.truncated, about_all: rows.about_all, ..Self::default() };
        let short = rows.short.iter().map(|(value, counters)| (u128::from(*value), *counters));
        // An IPv6 address differs from every number and IPv4 address in its upper half, but for a few reserved ones.
        for (value, counters) in short.chain(rows.long.iter().copied()) {
            sum.counters.add(counters);
            sum.rows += 1;
            sum.fingerprint.count(value, counters);
        }
        sum
    }

    fn of_five_minutes(first: Minute, counters: Counters) -> Self {
        let mut sum = Self { counters, ..Self::default() };
        sum.fingerprint.count(first.number().into(), counters);
        sum
    }

    fn add(&mut self, other: Self) {
        self.counters.add(other.counters);
        self.rows += other.rows;
        self.truncated |= other.truncated;
        self.fingerprint.0 = self.fingerprint.0.wrapping_add(other.fingerprint.0);
        self.about_all.add(other.about_all);
    }
}

impl Fingerprint {
    fn count(&mut self, value: u128, counters: Counters) {
        // Different odd factors, so that swapping bytes, packets and flows makes a difference.
        let counted = (counters.bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_add(counters.packets.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
            .wrapping_add(counters.flows.wrapping_mul(0x1656_67b1_9e37_79f9));
        self.0 = self.0.wrapping_add(hash(value).wrapping_mul(counted));
    }
}

/// Spreads a value over 64 bits. The result is odd, because an even factor would lose the highest bits of a product.
fn hash(value: u128) -> u64 {
    let spread = |number: u64| {
        let number = (number ^ (number >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (number ^ (number >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    spread(spread((value >> 64) as u64).wrapping_add(value as u64).wrapping_add(0x9e37_79b9_7f4a_7c15)) | 1
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use flow::FlushNumber;
    use proptest::prelude::*;

    use super::*;
    use crate::block::{Tables, WriterId};
    use crate::field::{Name, Value};
    use crate::period::{Interval, Minute, Period};

    type Row = (Direction, Name, Counters);

    fn blocks(rows: &[Row], sequence: u64) -> Vec<Block> {
        let mut tables = Tables::new();
        for (direction, name, counters) in rows {
            tables.add(*direction, *name, *counters);
        }
        let interval = Interval { period: Period::Minute, start: Minute::new(1) };
        let sender = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        tables.blocks(
            interval,
            sender,
            "10.0.0.0/8".parse().unwrap(),
            WriterId(1),
            FlushNumber { epoch: 1, sequence }.into(),
        )
    }

    fn sums(blocks: &[Block]) -> Sums {
        let mut sums = Sums::default();
        blocks.iter().for_each(|block| sums.merge(block).unwrap());
        sums
    }

    /// Without the number of rows, which depends on the distribution of names.
    fn totals(sums: &Sums) -> Vec<(Counters, bool, Fingerprint)> {
        sums.tables.values().map(|table| (table.counters, table.truncated, table.fingerprint)).collect()
    }

    fn row() -> impl Strategy<Value = Row> {
        let name = prop_oneof![
            Just(Name::ALL),
            (0..300_u32).prop_map(|port| Name { field: Field::SourcePort, value: Value::Number(port) }),
            any::<[u8; 4]>()
                .prop_map(|octets| Name { field: Field::SourceAddress, value: Value::Address(IpAddr::from(octets)) }),
            any::<[u8; 16]>()
                .prop_map(|octets| Name { field: Field::SourceAddress, value: Value::Address(IpAddr::from(octets)) }),
        ];
        let counters = (0..u64::from(u32::MAX), 1..1000_u64, 1..5_u64);
        let counters = counters.prop_map(|(bytes, packets, flows)| Counters { bytes, packets, flows });
        (prop::sample::select(&Direction::ALL[..]), name, counters)
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_the_distribution_of_rows(
            rows in prop::collection::vec(row(), 1..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let (first, second) = rows.split_at(cut.index(rows.len()));
            let whole = sums(&blocks(&rows, 1));
            let mut spread = sums(&blocks(first, 1));
            spread.add(&sums(&blocks(second, 2)));
            prop_assert_eq!(totals(&whole), totals(&spread));
        }

        #[test]
        fn a_counter_under_another_name_changes_the_fingerprint(
            rows in prop::collection::vec(row(), 1..50),
            changed in any::<prop::sample::Index>(),
            port in 300..400_u32,
        ) {
            let mut renamed = rows.clone();
            let row = &mut renamed[changed.index(rows.len())];
            row.1 = match row.1.field {
                Field::SourceAddress => {
                    Name { field: Field::SourceAddress, value: Value::Address("2001:db8:ffff::1".parse().unwrap()) }
                }
                _ => Name { field: Field::SourcePort, value: Value::Number(port) },
            };
            prop_assert_ne!(totals(&sums(&blocks(&rows, 1))), totals(&sums(&blocks(&renamed, 1))));
        }
    }

    #[test]
    fn other_is_in_the_counters_but_not_in_the_fingerprint() {
        let one = Counters { bytes: 10, packets: 2, flows: 1 };
        let mut tables = Tables::new();
        tables.add(Direction::Out, Name { field: Field::Protocol, value: Value::Number(6) }, one);
        let key = blocks(&[(Direction::In, Name::ALL, one)], 1)[0].key;
        let plain = sums(&tables.blocks(key.interval, key.sender, key.prefix, key.writer, key.origin));
        tables.add_other(Direction::Out, Field::Protocol, one);
        let folded = sums(&tables.blocks(key.interval, key.sender, key.prefix, key.writer, key.origin));
        let (plain, folded) =
            (plain.table(Direction::Out, Field::Protocol), folded.table(Direction::Out, Field::Protocol));
        assert_eq!(folded.counters, Counters { bytes: 20, packets: 4, flows: 2 });
        assert_eq!((plain.truncated, folded.truncated), (false, true));
        assert_eq!((plain.fingerprint, plain.rows), (folded.fingerprint, folded.rows));
    }

    #[test]
    fn a_damaged_block_adds_nothing() {
        let mut damaged = blocks(&[(Direction::In, Name::ALL, Counters { bytes: 1, packets: 1, flows: 1 })], 1);
        damaged[0].content.truncate(9);
        let mut sums = Sums::default();
        assert_eq!(sums.merge(&damaged[0]).unwrap_err().key, damaged[0].key);
        assert_eq!(sums, Sums::default());
    }
}
