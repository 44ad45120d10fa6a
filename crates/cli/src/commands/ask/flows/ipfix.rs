//! Flows of an answer as an IPFIX file. What is written of a row is in `wire::row_writer`.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::bail;
use columns::{COLUMNS, Column, Columns, Id, Kind, Row};
use flow::Timestamp;
use questions::{FlowRows, Record, Value};
use wire::row_writer::{RowCounters, RowWriter, is_written};

use super::Arguments;

/// The columns that are asked for: those that the user has named, and what decides how they are written.
pub(super) fn columns(named: Option<&str>) -> anyhow::Result<String> {
    let Some(named) = named.filter(|named| *named != "all") else { return Ok("all".to_owned()) };
    check(ids(named))?;
    let needed = RowWriter::NEEDED.iter().map(|id| id.column().name);
    let missing = needed.filter(|needed| !named.split(',').any(|name| name == *needed));
    Ok([named].into_iter().chain(missing).collect::<Vec<_>>().join(","))
}

/// The columns with these names; the question refuses others.
fn ids(named: &str) -> impl Iterator<Item = Id> {
    named.split(',').filter_map(Column::find).map(|column| column.id)
}

/// Refuses columns, named by the user, that an IPFIX file cannot have.
pub(crate) fn check(named: impl IntoIterator<Item = Id>) -> anyhow::Result<()> {
    let cannot = |id: &Id| !is_written(*id) && !RowWriter::NEEDED.iter().any(|needed| needed == *id);
    if let Some(id) = named.into_iter().find(cannot) {
        bail!("--columns: IPFIX has no element for {}: leave it out, or use -o parquet, csv or json", id.column().name);
    }
    Ok(())
}

/// Writes the flows of an answer.
pub(super) fn write(
    answer: &FlowRows,
    arguments: &Arguments,
    clock_limit: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    let counters = if arguments.sent { RowCounters::Sent } else { RowCounters::Multiplied };
    let columns = match arguments.columns.as_deref() {
        None | Some("all") => Columns::ALL,
        Some(named) => Columns::of(&ids(named).collect::<Vec<_>>()),
    };
    let mut writer = RowWriter::new(columns, counters, clock_limit);
    let mut octets = Vec::new();
    for flow in &answer.rows {
        writer.push(&row(&flow.values), &mut octets);
        out.write_all(&octets)?;
        octets.clear();
    }
    writer.finish(&mut octets);
    out.write_all(&octets)
}

/// The row that values are of.
fn row(values: &Record) -> Row {
    let mut row = Row::new();
    for (column, value) in COLUMNS.iter().filter_map(|column| Some((column, values.get(column.name)?))) {
        let text = match value {
            Value::None => continue,
            Value::Number(number) => {
                row.set(column.id, *number);
                continue;
            }
            Value::Text(text) => text,
        };
        match column.kind {
            Kind::Address => {
                if let Ok(address) = text.parse() {
                    row.set_address(column.id, address);
                }
            }
            Kind::Time => row.set(column.id, time(text).milliseconds()),
            Kind::Mac => row.set(column.id, mac(text)),
            // No file has them.
            Kind::Country | Kind::AsPath => {}
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => {}
        }
    }
    row
}

/// A time in any zone.
fn time(text: &str) -> Timestamp {
    let time = text.parse::<jiff::Timestamp>().map_or(0, |time| time.as_millisecond());
    Timestamp::from_milliseconds(u64::try_from(time).unwrap_or_default())
}

/// The number of a MAC address.
fn mac(text: &str) -> u64 {
    u64::from_str_radix(&text.replace(':', ""), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn values_of_an_answer_become_those_of_the_row_that_they_are_of() {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            ("received", text("2026-11-28T15:00:00.123+01:00")),
            ("start", text("2026-11-28T14:00:00.5Z")),
            ("srcip", text("2001:db8::1")),
            ("dstip", Value::None),
            ("srcmac", text("02:00:5e:10:00:01")),
            ("bytes", Value::Number(u64::MAX)),
            ("srccountry", text("CH")),
        ];
        let values = Record(values.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect());
        let row = row(&values);
        assert_eq!(row.number(Id::Received), 1_795_874_400_123);
        assert_eq!(row.number(Id::Start), 1_795_874_400_500);
        assert_eq!(row.address(Id::SrcIp).to_string(), "2001:db8::1");
        assert_eq!(row.value(Id::SrcMac), columns::Value::Mac([2, 0, 0x5e, 0x10, 0, 1]));
        assert_eq!(row.number(Id::Bytes), u64::MAX);
    }
}
