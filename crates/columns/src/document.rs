//! `docs/columns.md`, which `cargo run -p xtask -- columns` writes from the table.

use std::fmt::Write as _;

use crate::column::{Column, Kind, Logical, Physical, Source};
use crate::row::RowKind;
use crate::table::{COLUMNS, SCHEMA};

const HEAD: &str = "\
# Columns

<!-- Written by `cargo run -p xtask -- columns` from crates/columns/src/table.rs: change that file, not this one. -->

Each flow record is a row of these columns. So are events that have no counters: of NAT, of firewalls, and blocks of
ports. Records of other things, such as options and interface counters, are no rows.

- Counters, ends, AS numbers and interfaces are read as they are for counting ([protocols.md](protocols.md)). Every other
  column has the value of the first of its places in which the record has another value than 0. A column without a value is
  0, `0.0.0.0`, or an empty text. A number that is too wide for its column keeps its low bits. An IPv6 address that maps an
  IPv4 address (`::ffff:192.0.2.1`) is that IPv4 address.
- Counters are as the exporter sent them. Multiply them by `rate` to estimate what was not sampled. How the collector
  counted a record, and settings of its sender, are not in the row.
- A record with both directions of a flow is one row: its ends are those of the first direction, and `revbytes` and
  `revpackets` have the other.
- A path of more than 1,000 characters is not kept.
- Times have milliseconds. `received` is a time of the collector, all others are of the exporter.
";

/// The document.
#[must_use]
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    let _ = writeln!(out, "\n## Columns of schema {SCHEMA}\n");
    out.push_str("| column | meaning | unit | words in filters |\n| --- | --- | --- | --- |\n");
    for Column { name, meaning, unit, words, .. } in &COLUMNS {
        let _ = writeln!(out, "| `{name}` | {meaning} | {} | {} |", unit.name(), list(words));
    }
    out.push_str("\nThe values of `kind`:\n\n| value | name |\n| --- | --- |\n");
    for kind in RowKind::ALL {
        let _ = writeln!(out, "| {} | {} |", kind as u8, kind.name());
    }
    out.push_str(
        "\n## Places\n\n\
         Numbers are information elements of IANA's registry, `pen.number` those of a vendor; the fields of NetFlow v1 to v8 \
         are shown\nby the same numbers. Names are those of `netflow decode`.\n\n| column | read from |\n| --- | --- |\n",
    );
    for column in &COLUMNS {
        let places: Vec<_> = column.sources.iter().map(place).collect();
        let _ = writeln!(out, "| `{}` | {} |", column.name, places.join(", "));
    }
    out.push_str(
        "\n## Names and types elsewhere\n\n\
         The columns of ClickHouse have the names of Akvorado, and numbers are those of goflow2's protobuf message, where \
         these have the\nsame column. An address is two columns in Parquet: `_v4` is 0 where `_v6` has a value. Countries \
         were numbers in files of schema 1:\ntwo letters, the first in the higher bits.\n\n\
         | column | Parquet | ClickHouse | protobuf |\n| --- | --- | --- | --- |\n",
    );
    for Column { name, kind, clickhouse, protobuf, .. } in &COLUMNS {
        let number = protobuf.map_or(String::new(), |number| number.to_string());
        let _ = writeln!(out, "| `{name}` | {} | `{clickhouse}` {} | {number} |", parquet(*kind), kind.clickhouse());
    }
    out
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn place(source: &Source) -> String {
    match source {
        Source::Datagram(what) => (*what).to_owned(),
        Source::Element(0, number) => number.to_string(),
        Source::Element(enterprise, number) => format!("{enterprise}.{number}"),
        Source::Field(name) => format!("`{name}`"),
    }
}

fn parquet(kind: Kind) -> String {
    let leaves = kind.leaves().iter().map(|leaf| {
        let physical = match leaf.physical {
            Physical::Int32 => "INT32",
            Physical::Int64 => "INT64",
            Physical::Fixed16 => "FIXED(16)",
            Physical::ByteArray => "BYTE_ARRAY",
        };
        let logical = match leaf.logical {
            Logical::None => String::new(),
            Logical::Unsigned(bits) => format!(" UINT_{bits}"),
            Logical::Milliseconds => " TIMESTAMP(MILLIS, UTC)".to_owned(),
            Logical::Text => " STRING".to_owned(),
        };
        let name = if leaf.suffix.is_empty() { String::new() } else { format!("`{}` ", leaf.suffix) };
        format!("{name}{physical}{logical}{}", if leaf.optional { ", optional" } else { "" })
    });
    leaves.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_in_each_table_of_the_document() {
        let document = markdown();
        for column in &COLUMNS {
            let rows = document.lines().filter(|line| line.starts_with(&format!("| `{}` |", column.name)));
            assert_eq!(rows.count(), 3, "{}", column.name);
        }
    }

    #[test]
    fn the_document_is_up_to_date() {
        let checked_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/columns.md");
        let checked_in = std::fs::read_to_string(checked_in).unwrap();
        assert!(checked_in == markdown(), "docs/columns.md is out of date: run `make bless`");
    }
}
