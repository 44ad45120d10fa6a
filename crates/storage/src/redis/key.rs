//! The names of keys, and the field of a block within its hash.

use std::net::IpAddr;

use accounting::block::{BlockKey, Origin, TableSet, WriterId};
use accounting::period::{Interval, Period};
use flow::Prefix;

use crate::StoreError;

/// Octets of a field: tables 4 or 8, writer 8, epoch 4, sequence 8, part 2.
const SHORT_FIELD: usize = 26;
const LONG_FIELD: usize = 30;

/// Where the blocks of an interval, sender and prefix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) interval: Interval,
    pub(super) sender: IpAddr,
    pub(super) prefix: Prefix,
}

impl Place {
    pub(super) fn of(key: &BlockKey) -> Self {
        Self { interval: key.interval, sender: key.sender, prefix: key.prefix }
    }

    pub(super) fn name(&self, namespace: &str) -> String {
        let Self { interval: Interval { period, start }, sender, prefix } = self;
        format!("{namespace}:block:{{{sender} {prefix} {} {}}}", period.name(), start.number())
    }

    /// The sender and prefix as a member of a set.
    pub(super) fn group(&self) -> String {
        format!("{} {}", self.sender, self.prefix)
    }
}

/// The sender and prefix of a member of a set.
pub(super) fn parse_group(text: &str) -> Result<(IpAddr, Prefix), StoreError> {
    let parse = || {
        let (sender, prefix) = text.split_once(' ')?;
        Some((sender.parse().ok()?, prefix.parse().ok()?))
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("'{text}' is no sender with a prefix").into()))
}

pub(super) fn intervals(namespace: &str, writer: WriterId, period: Period) -> String {
    format!("{namespace}:intervals:{{{writer} {}}}", period.name())
}

pub(super) fn groups(namespace: &str, writer: WriterId, interval: Interval) -> String {
    format!("{namespace}:groups:{{{writer} {} {}}}", interval.period.name(), interval.start.number())
}

/// The field of a block. A key has one field only, or a block that is put again would be there twice: a set of tables that
/// fits 4 octets has these, as in all versions of the program.
pub(super) fn field(key: &BlockKey) -> Vec<u8> {
    let mut field = Vec::with_capacity(LONG_FIELD);
    match u32::try_from(key.tables.bits()) {
        Ok(bits) => field.extend(bits.to_be_bytes()),
        Err(_) => field.extend(key.tables.bits().to_be_bytes()),
    }
    field.extend(key.writer.0.to_be_bytes());
    let (epoch, sequence) = key.origin.numbers();
    field.extend(epoch.to_be_bytes());
    field.extend(sequence.to_be_bytes());
    field.extend(key.part.to_be_bytes());
    field
}

/// The key of the block that has this field in a place.
pub(super) fn parse_field(place: Place, field: &[u8]) -> Result<BlockKey, StoreError> {
    let parse = || {
        let (tables, rest) = match field.len() {
            SHORT_FIELD => field.split_first_chunk().map(|(bits, rest)| (u32::from_be_bytes(*bits).into(), rest))?,
            LONG_FIELD => field.split_first_chunk().map(|(bits, rest)| (u64::from_be_bytes(*bits), rest))?,
            _ => return None,
        };
        let (writer, rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        Some(BlockKey {
            interval: place.interval,
            sender: place.sender,
            prefix: place.prefix,
            writer: WriterId(u64::from_be_bytes(*writer)),
            origin: Origin::of_numbers(u32::from_be_bytes(*epoch), u64::from_be_bytes(*sequence))?,
            part: u16::from_be_bytes(rest.try_into().ok()?),
            tables: TableSet::of_bits(tables),
        })
    };
    // Only the one field that a key has.
    parse()
        .filter(|key| self::field(key) == field)
        .ok_or_else(|| StoreError::Corrupt(format!("{}: a field that is no block", place.name("")).into()))
}

#[cfg(test)]
mod tests {
    use accounting::period::Minute;
    use flow::FlushNumber;

    use super::*;

    #[test]
    fn a_field_reads_as_it_was_made() {
        let key = BlockKey {
            interval: Interval { period: Period::Hour, start: Minute::new(29_538_720) },
            sender: "2001:db8::1".parse().unwrap(),
            prefix: "172.16.0.0/16".parse().unwrap(),
            writer: WriterId(0x0102_0304_0506_0708),
            origin: FlushNumber { epoch: 7, sequence: u64::MAX }.into(),
            part: 9,
            tables: TableSet::of_bits(0x8000_0001),
        };
        let place = Place::of(&key);
        assert_eq!(field(&key).len(), SHORT_FIELD);
        assert_eq!(parse_field(place, &field(&key)).unwrap(), key);
        let wide = BlockKey { tables: TableSet::of_bits(0x8000_0000_0000_0001), ..key };
        assert_eq!(field(&wide).len(), LONG_FIELD);
        assert_eq!(parse_field(place, &field(&wide)).unwrap(), wide);
        let twice = [&[0; 4], &field(&key)[..]].concat();
        assert!(matches!(parse_field(place, &twice), Err(StoreError::Corrupt(_))), "a key has one field");
        assert_eq!(place.name("netflow"), "netflow:block:{2001:db8::1 172.16.0.0/16 hour 29538720}");
        assert_eq!(parse_group(&place.group()).unwrap(), (key.sender, key.prefix));
        for length in [0, 25, 27, 29, 31] {
            assert!(matches!(parse_field(place, &vec![0; length]), Err(StoreError::Corrupt(_))));
        }
        assert!(matches!(parse_group("nonsense"), Err(StoreError::Corrupt(_))));
    }
}
