//! By what flows are grouped, as it is written: `srcip`, `dstport`, `srcip/24`, `received/5m`.

use std::fmt;
use std::str::FromStr;

use columns::{COLUMNS, Column, Id, Kind};

/// A value that the flows of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The value of a column.
    Column(Id),
    /// The network of an address: the first bits of IPv4 addresses and of IPv6 addresses.
    Prefix(Id, u8, u8),
    /// The time, rounded down to a multiple of this many milliseconds since 1970; at least 1.
    Step(Id, u64),
}

/// A text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

const V4_BITS: u8 = 32;
const V6_BITS: u8 = 128;
/// The length for IPv6 addresses where only that for IPv4 is given: what a site has.
const V6_SITE_BITS: u8 = 48;

/// The units of steps in milliseconds, the longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

impl Key {
    /// The column whose values are grouped.
    #[must_use]
    pub const fn id(self) -> Id {
        match self {
            Self::Column(id) | Self::Prefix(id, ..) | Self::Step(id, _) => id,
        }
    }

    pub(crate) fn is_address(self) -> bool {
        self.id().column().kind == Kind::Address
    }

    /// The number of a group for that of a row. Of IPv4 addresses, too.
    #[inline]
    pub(crate) fn round(self, number: u64) -> u64 {
        match self {
            Self::Column(_) => number,
            Self::Prefix(_, bits, _) => number & u64::from(mask(bits)),
            Self::Step(_, milliseconds) => number - number % milliseconds.max(1),
        }
    }

    /// The IPv6 address of a group for that of a row.
    #[inline]
    pub(crate) fn round_v6(self, address: [u8; 16]) -> u128 {
        let address = u128::from_be_bytes(address);
        match self {
            Self::Prefix(_, _, bits) => {
                address & u128::MAX.checked_shl(u32::from(V6_BITS.saturating_sub(bits))).unwrap_or_default()
            }
            Self::Column(_) | Self::Step(..) => address,
        }
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(u32::from(V4_BITS.saturating_sub(bits))).unwrap_or_default()
}

/// A column; for addresses also with the length of a prefix, `srcip/24` or `srcip/24/56` with that of IPv6; for times with a
/// step, `received/5m`.
impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim().to_ascii_lowercase();
        let (word, rest) = text.split_once('/').map_or((text.as_str(), None), |(word, rest)| (word, Some(rest)));
        let column =
            COLUMNS.iter().find(|column| names(column).any(|name| name == word)).ok_or_else(|| unknown(word))?;
        let Some(rest) = rest else { return Ok(Self::Column(column.id)) };
        match column.kind {
            Kind::Address => prefix(column, rest),
            Kind::Time => step(column, rest),
            _ => Err(KeyError(format!(
                "{:?}: only addresses have a length and only times have a step; write {}",
                text, column.name
            ))),
        }
    }
}

fn names(column: &'static Column) -> impl Iterator<Item = &'static str> {
    [column.name].into_iter().chain(column.words.iter().copied())
}

fn unknown(word: &str) -> KeyError {
    let all = COLUMNS.iter().flat_map(names);
    let nearest = all.min_by_key(|name| strsim::osa_distance(name, word)).unwrap_or_default();
    // A longer text is not repeated: it would fill the answer.
    let shown: String = word.chars().take(32).collect();
    KeyError(format!("{shown:?} is no column of flows: did you mean {nearest}? docs/columns.md has all of them"))
}

fn prefix(column: &Column, text: &str) -> Result<Key, KeyError> {
    let name = column.name;
    let error = || {
        KeyError(format!(
            "{name} has a length from 0 to 32, such as {name}/24, or also that of IPv6, such as {name}/24/56"
        ))
    };
    let length = |text: &str, most: u8| text.parse::<u8>().ok().filter(|length| *length <= most).ok_or_else(error);
    let (v4, v6) = match text.split_once('/') {
        Some((v4, v6)) => (length(v4, V4_BITS)?, length(v6, V6_BITS)?),
        None => match length(text, V4_BITS)? {
            V4_BITS => (V4_BITS, V6_BITS),
            v4 => (v4, V6_SITE_BITS),
        },
    };
    Ok(Key::Prefix(column.id, v4, v6))
}

fn step(column: &Column, text: &str) -> Result<Key, KeyError> {
    let name = column.name;
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let factor = UNITS.iter().find_map(|(known, factor)| (*known == unit).then_some(*factor));
    let number = digits.parse::<u64>().ok().filter(|_| digits.chars().all(|digit| digit.is_ascii_digit()));
    let milliseconds = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    milliseconds
        .filter(|milliseconds| *milliseconds > 0)
        .map(|milliseconds| Key::Step(column.id, milliseconds))
        .ok_or_else(|| KeyError(format!("{name} has a step such as {name}/300s, {name}/5m, {name}/1h or {name}/1d")))
}

/// Reads as the same key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id().column().name)?;
        match self {
            Self::Column(_) => Ok(()),
            Self::Prefix(_, v4, v6) => write!(f, "/{v4}/{v6}"),
            Self::Step(_, milliseconds) => {
                let unit = UNITS.iter().find(|(_, factor)| milliseconds.is_multiple_of(*factor));
                let (unit, factor) = unit.copied().unwrap_or(("ms", 1));
                write!(f, "/{}{unit}", milliseconds / factor)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_they_are_written() {
        for (text, key, shown) in [
            ("srcip", Key::Column(Id::SrcIp), "srcip"),
            ("Src Port", Key::Column(Id::SrcPort), "srcport"),
            ("srcip/24", Key::Prefix(Id::SrcIp, 24, 48), "srcip/24/48"),
            ("dstip/32", Key::Prefix(Id::DstIp, 32, 128), "dstip/32/128"),
            ("dstip/0/56", Key::Prefix(Id::DstIp, 0, 56), "dstip/0/56"),
            ("received/5m", Key::Step(Id::Received, 300_000), "received/5m"),
            ("start/90s", Key::Step(Id::Start, 90_000), "start/90s"),
            ("end/1500ms", Key::Step(Id::End, 1500), "end/1500ms"),
        ] {
            assert_eq!(text.parse(), Ok(key), "{text}");
            assert_eq!(key.to_string(), shown);
            assert_eq!(shown.parse(), Ok(key), "{shown}");
        }
    }

    #[test]
    fn what_is_no_key_is_an_error_that_proposes_one() {
        for (text, proposal) in [
            ("scrip", "srcip"),
            ("", "did you mean"),
            ("srcip/33", "srcip/24"),
            ("srcip/24/129", "srcip/24/56"),
            ("srcport/24", "write srcport"),
            ("received/0m", "received/5m"),
            ("received/m", "received/5m"),
            ("received/+5m", "received/5m"),
            ("received/99999999999999999999d", "received/5m"),
        ] {
            let error = text.parse::<Key>().unwrap_err().to_string();
            assert!(error.contains(proposal), "{text}: {error}");
        }
    }

    #[test]
    fn a_group_has_the_first_bits_or_the_beginning_of_its_rows() {
        let key = Key::Prefix(Id::SrcIp, 24, 48);
        assert_eq!(key.round(0xc000_0207), 0xc000_0200);
        assert_eq!(key.round_v6([0xff; 16]), u128::MAX << 80);
        assert_eq!(Key::Prefix(Id::SrcIp, 0, 0).round(0xc000_0207), 0);
        assert_eq!(Key::Prefix(Id::SrcIp, 0, 0).round_v6([0xff; 16]), 0);
        assert_eq!(Key::Prefix(Id::SrcIp, 32, 128).round(0xc000_0207), 0xc000_0207);
        assert_eq!(Key::Step(Id::Received, 1000).round(12_999), 12_000);
    }
}
