//! What ClickHouse returns: tables of texts, in JSON, and the values that these are. Statements make texts of all values, so that
//! no setting of a server or user changes how numbers are written.

use std::net::Ipv6Addr;
use std::sync::Arc;

use archive::scan::{ScanError, Sums};
use columns::{Id, Kind, Row, Value};
use flow::{Country, Timestamp};
use serde::Deserialize;

/// The format `JSONCompact`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Table {
    /// The rows, column by column.
    pub(super) data: Vec<Vec<String>>,
    /// What `WITH TOTALS` adds.
    #[serde(default)]
    pub(super) totals: Vec<String>,
    /// How many rows there would be without a limit.
    #[serde(default)]
    pub(super) rows_before_limit_at_least: Option<u64>,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Debug, Default, Deserialize)]
struct Statistics {
    #[serde(default)]
    rows_read: u64,
}

/// Sums that may exceed 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WideSums {
    pub(super) rows: u128,
    pub(super) bytes: u128,
    pub(super) packets: u128,
    pub(super) flows: u128,
    pub(super) distinct: u128,
}

impl Table {
    /// # Errors
    /// If it is no table of texts.
    pub(super) fn read(text: &[u8]) -> Result<Self, ScanError> {
        serde_json::from_slice(text).or_else(|error| {
            if is_empty_with_totals(text) { Ok(Self::default()) } else { Err(unreadable(&error.to_string())) }
        })
    }

    /// How many rows were read for it.
    pub(super) const fn rows_read(&self) -> u64 {
        self.statistics.rows_read
    }

    /// The texts of the one row that it has.
    pub(super) fn only<const COLUMNS: usize>(&self) -> Result<[&str; COLUMNS], ScanError> {
        let [row] = self.data.as_slice() else { return Err(unreadable("it does not have one row")) };
        let texts: Vec<_> = row.iter().map(String::as_str).collect();
        texts.try_into().map_err(|_| unreadable("it has other columns"))
    }
}

impl WideSums {
    /// Sums of rows, bytes, packets, flows, and different values.
    pub(super) fn read(texts: &[String]) -> Result<Self, ScanError> {
        let [rows, bytes, packets, flows, distinct] = texts else { return Err(unreadable("it has other columns")) };
        Ok(Self {
            rows: wide(rows)?,
            bytes: wide(bytes)?,
            packets: wide(packets)?,
            flows: wide(flows)?,
            distinct: wide(distinct)?,
        })
    }

    /// Both.
    pub(super) const fn with(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
            packets: self.packets.saturating_add(other.packets),
            flows: self.flows.saturating_add(other.flows),
            distinct: self.distinct.saturating_add(other.distinct),
        }
    }

    /// Those that are left without others.
    pub(super) const fn without(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(other.rows),
            bytes: self.bytes.saturating_sub(other.bytes),
            packets: self.packets.saturating_sub(other.packets),
            flows: self.flows.saturating_sub(other.flows),
            distinct: self.distinct.saturating_sub(other.distinct),
        }
    }
}

/// A sum beyond 64 bits stays at the largest number.
impl From<WideSums> for Sums {
    fn from(WideSums { rows, bytes, packets, flows, distinct }: WideSums) -> Self {
        let narrow = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
        Self {
            rows: narrow(rows),
            bytes: narrow(bytes),
            packets: narrow(packets),
            flows: narrow(flows),
            distinct: narrow(distinct),
        }
    }
}

/// The value of a column, or of a key of this column.
pub(super) fn value(id: Id, text: &str) -> Result<Value, ScanError> {
    Ok(match id.column().kind {
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Value::Number(number(text)?),
        Kind::Time => Value::Time(Timestamp::from_milliseconds(number(text)?)),
        Kind::Mac => {
            let [_, _, octets @ ..] = number(text)?.to_be_bytes();
            Value::Mac(octets)
        }
        Kind::Country => Value::Country(Country::new(text)),
        Kind::Address => {
            let address: Ipv6Addr = text.parse().map_err(|_| unreadable("it has no address where one is expected"))?;
            Value::Address(address.to_canonical())
        }
        Kind::AsPath => Value::AsPath((!text.is_empty()).then(|| Arc::from(text))),
    })
}

/// Sets the value of a column of a row.
pub(super) fn set(row: &mut Row, id: Id, text: &str) -> Result<(), ScanError> {
    match value(id, text)? {
        Value::Address(address) => row.set_address(id, address),
        Value::AsPath(Some(path)) => row.set_text(id, path),
        Value::AsPath(None) => {}
        Value::Country(country) => row.set(id, country.map_or(0, Country::number).into()),
        Value::Number(_) | Value::Time(_) | Value::Mac(_) => row.set(id, number(text)?),
    }
    Ok(())
}

/// A number of 64 bits.
pub(super) fn number(text: &str) -> Result<u64, ScanError> {
    text.parse().map_err(|_| unreadable("it has no number where one is expected"))
}

fn wide(text: &str) -> Result<u128, ScanError> {
    text.parse().map_err(|_| unreadable("it has no sum where one is expected"))
}

/// ClickHouse 26.9 writes totals before the beginning of the object if there are no rows. In a value, the quotes would be escaped.
fn is_empty_with_totals(text: &[u8]) -> bool {
    let text = str::from_utf8(text).unwrap_or_default();
    !text.starts_with('{') && text.contains("\n\t\"rows\": 0,\n")
}

/// Nothing of it is shown: it may be long.
pub(super) fn unreadable(why: &str) -> ScanError {
    ScanError::Database(format!("the answer of ClickHouse cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_rows_is_one_although_its_totals_are_in_the_wrong_place() {
        let text = b"\n\t],\n\n\t\"totals\": [\"0\"]{\n\t\"meta\":\n\t[\n\t],\n\n\t\"data\":\n\t[\n,\n\n\t\"rows\": 0,\n\n\t\"rows_before_limit_at_least\": 0\n}\n";
        assert!(Table::read(text).unwrap().data.is_empty());
        assert!(Table::read(b"{\"data\": [[\"\\\"rows\\\": 0,\"").is_err());
    }

    #[test]
    fn sums_end_at_the_largest_number_of_64_bits() {
        let sum = |text: &str| WideSums::read(&[text, "1", "2", "3", "0"].map(str::to_owned)).unwrap();
        let largest = sum("18446744073709551615");
        assert_eq!(Sums::from(largest.with(largest)).rows, u64::MAX);
        assert_eq!(Sums::from(largest.with(sum("7")).without(largest)).rows, 7);
        assert!(WideSums::read(&["1".to_owned()]).is_err());
    }

    #[test]
    fn values_are_those_of_rows() {
        assert_eq!(value(Id::SrcIp, "::ffff:192.0.2.1").unwrap(), Value::Address([192, 0, 2, 1].into()));
        assert_eq!(value(Id::SrcCountry, "").unwrap(), Value::Country(None));
        assert_eq!(value(Id::DstAsPath, "").unwrap(), Value::AsPath(None));
        assert!(value(Id::SrcPort, "-1").is_err() && value(Id::SrcIp, "router").is_err());
    }
}
