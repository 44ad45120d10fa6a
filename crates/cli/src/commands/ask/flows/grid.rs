//! Answers as rows of cells: a table for people, CSV, or Parquet.

use std::io::{self, Write};
use std::sync::Arc;

use columns::{COLUMNS, Kind};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use questions::{FlowGroup, FlowRow, FlowRows, FlowSeries, FlowSums, FlowTop, Names, Record, Value};

use crate::table::{Cell, Table};

/// The columns of an answer, and its rows.
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    /// What only people read.
    last: Vec<Vec<Value>>,
}

struct Column {
    name: String,
    shown: Shown,
}

/// How people read a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Text,
    Bytes,
    Count,
    /// A number that is not an amount.
    Number,
    Protocol,
    TcpFlags,
    /// What the value of the column before is called: a column for programs, and part of the cell before for people.
    Name,
}

impl Column {
    /// A column of flows, or a key.
    fn of_flows(name: &str) -> Self {
        let column = COLUMNS.iter().find(|column| column.name == name);
        let shown = match (name, column.map(|column| column.kind)) {
            ("bytes" | "revbytes", _) => Shown::Bytes,
            ("packets" | "revpackets" | "flows", _) => Shown::Count,
            ("proto", _) => Shown::Protocol,
            ("tcpflags" | "revtcpflags", _) => Shown::TcpFlags,
            (_, Some(Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64)) => Shown::Number,
            _ => Shown::Text,
        };
        Self { name: name.to_owned(), shown }
    }

    /// Columns of flows, or keys, with those of their names.
    fn with_names<'n>(names: impl IntoIterator<Item = &'n String>, has_names: bool) -> Vec<Self> {
        let mut columns = Vec::new();
        for name in names {
            columns.push(Self::of_flows(name));
            let column = COLUMNS.iter().find(|column| column.name == name).filter(|_| has_names);
            if column.is_some_and(|column| column.id.has_names()) {
                columns.push(Self { name: name.clone(), shown: Shown::Name });
            }
        }
        columns
    }

    fn heading(&self) -> String {
        if self.shown == Shown::Name { format!("{}_name", self.name) } else { self.name.clone() }
    }

    fn is_number(&self) -> bool {
        !matches!(self.shown, Shown::Text | Shown::Name)
    }

    fn value(&self, values: &Record, names: &Names) -> Value {
        if self.shown == Shown::Name {
            names.get(self.name.as_str()).map_or(Value::None, |name| Value::Text(name.to_string()))
        } else {
            values.get(&self.name).cloned().unwrap_or(Value::None)
        }
    }

    /// A value for people, with its name if the column has names.
    fn cell_with(&self, value: &Value, name: Option<&Value>) -> Cell {
        match (self.shown, value, name) {
            // The name of a protocol is known better than its number.
            (Shown::Number, Value::Number(number), Some(Value::Text(name))) => {
                Cell::Named(*number, format!("{number} {name}"))
            }
            (Shown::Text, Value::Text(text), Some(Value::Text(name))) => Cell::Text(format!("{text} {name}")),
            (Shown::Number, Value::Number(number), Some(_)) => Cell::Named(*number, number.to_string()),
            _ => self.cell(value),
        }
    }

    fn cell(&self, value: &Value) -> Cell {
        match (self.shown, value) {
            (_, Value::None) => Cell::Gap,
            (_, Value::Text(text)) => Cell::Text(text.clone()),
            (Shown::Bytes, Value::Number(number)) => Cell::Bytes(*number),
            (Shown::Count, Value::Number(number)) => Cell::Count(*number),
            (Shown::Protocol, Value::Number(number)) => Cell::Named(*number, super::super::protocol_name(*number)),
            (Shown::TcpFlags, Value::Number(number)) => Cell::Named(*number, super::super::tcp_flags(*number)),
            (Shown::Number | Shown::Text | Shown::Name, Value::Number(number)) => Cell::Number(*number),
        }
    }
}

impl Grid {
    /// Flows. Of the usual columns, those without a value are left out.
    pub(super) fn of_rows(answer: &FlowRows, has_columns: bool, has_names: bool) -> Self {
        let has_values = |name: &&String| {
            let is_some = |row: &FlowRow| !matches!(row.values.get(name), None | Some(Value::None | Value::Number(0)));
            has_columns || answer.rows.is_empty() || answer.rows.iter().any(is_some)
        };
        let columns = Column::with_names(answer.columns.iter().filter(has_values), has_names);
        let row = |row: &FlowRow| columns.iter().map(|column| column.value(&row.values, &row.names)).collect();
        Self { rows: answer.rows.iter().map(row).collect(), last: Vec::new(), columns }
    }

    /// Groups.
    pub(super) fn of_top(answer: &FlowTop, has_names: bool) -> Self {
        let has_distinct = !answer.distinct.is_empty();
        let key_columns = Column::with_names(&answer.by, has_names);
        let keys = key_columns.len();
        let last = |name: String, of: &FlowSums| {
            let mut row = vec![Value::None; keys];
            if let Some(first) = row.first_mut() {
                *first = Value::Text(name);
            }
            row.into_iter().chain(sums(of, has_distinct)).collect()
        };
        let rest = (answer.rest.groups > 0).then(|| last(format!("{} more", answer.rest.groups), &answer.rest.sums));
        let row = |group: &FlowGroup| values(&key_columns, group).chain(sums(&group.sums, has_distinct)).collect();
        Self {
            rows: answer.rows.iter().map(row).collect(),
            columns: key_columns.into_iter().chain(sum_columns(has_distinct)).collect(),
            last: rest.into_iter().chain([last("total".to_owned(), &answer.total)]).collect(),
        }
    }

    /// A row for each step and group.
    pub(super) fn of_series(answer: &FlowSeries, has_names: bool) -> Self {
        let key_columns = Column::with_names(&answer.by, has_names);
        let mut rows = Vec::new();
        for step in &answer.steps {
            for (group, of) in answer.rows.iter().zip(&step.rows).filter(|(_, of)| of.records > 0) {
                let start = [Value::Text(step.start.clone())].into_iter();
                rows.push(start.chain(values(&key_columns, group)).chain(sums(of, false)).collect());
            }
        }
        let keys = key_columns.iter().map(|_| Value::None);
        let total =
            [Value::Text("total".to_owned())].into_iter().chain(keys).chain(sums(&answer.total, false)).collect();
        let start = Column { name: "start".to_owned(), shown: Shown::Text };
        let columns = [start].into_iter().chain(key_columns).chain(sum_columns(false)).collect();
        Self { columns, rows, last: vec![total] }
    }

    /// The table for people, or for CSV.
    pub(super) fn table(&self, csv: bool) -> Table {
        let columns = || self.columns.iter().enumerate().filter(|(_, column)| csv || column.shown != Shown::Name);
        let headings: Vec<_> = columns().map(|(_, column)| column.heading()).collect();
        let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
        let last = if csv { &[][..] } else { &self.last };
        for row in self.rows.iter().chain(last) {
            let cell = |(index, column): (usize, &Column)| {
                let has_name = !csv && self.columns.get(index + 1).is_some_and(|next| next.shown == Shown::Name);
                let name = if has_name { row.get(index + 1) } else { None };
                row.get(index).map_or(Cell::Gap, |value| column.cell_with(value, name))
            };
            table.push(columns().map(cell).collect());
        }
        if !last.is_empty() {
            table.add_up(0);
        }
        table
    }

    /// Writes a Parquet file: unsigned numbers and texts.
    pub(super) fn write_parquet(&self, out: &mut (impl Write + Send)) -> io::Result<()> {
        let fields = self.columns.iter().map(Column::field).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("flows").with_fields(fields).build()?;
        let compression = Compression::ZSTD(ZstdLevel::try_new(1)?);
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        let mut group = file.next_row_group()?;
        for (index, column) in self.columns.iter().enumerate() {
            let cells = || self.rows.iter().filter_map(|row| row.get(index));
            let present: Vec<_> = cells().map(|value| i16::from(*value != Value::None)).collect();
            let Some(mut writer) = group.next_column()? else { continue };
            if column.is_number() {
                let number =
                    |value: &Value| if let Value::Number(number) = value { Some(number.cast_signed()) } else { None };
                let numbers: Vec<_> = cells().filter_map(number).collect();
                writer.typed::<Int64Type>().write_batch(&numbers, Some(&present), None)?;
            } else {
                let text = |value: &Value| match value {
                    Value::None => None,
                    Value::Number(number) => Some(ByteArray::from(number.to_string().as_str())),
                    Value::Text(text) => Some(ByteArray::from(text.as_str())),
                };
                let texts: Vec<_> = cells().filter_map(text).collect();
                writer.typed::<ByteArrayType>().write_batch(&texts, Some(&present), None)?;
            }
            writer.close()?;
        }
        group.close()?;
        file.close()?;
        Ok(())
    }
}

impl Column {
    fn field(&self) -> Result<Arc<Type>, ParquetError> {
        let (physical, logical) = if self.is_number() {
            (Physical::INT64, LogicalType::integer(64, false))
        } else {
            (Physical::BYTE_ARRAY, LogicalType::String)
        };
        let heading = self.heading();
        let field = Type::primitive_type_builder(&heading, physical).with_repetition(Repetition::OPTIONAL);
        Ok(Arc::new(field.with_logical_type(Some(logical)).build()?))
    }
}

/// The values of the keys of a group, and their names.
fn values(columns: &[Column], group: &FlowGroup) -> impl Iterator<Item = Value> {
    columns.iter().map(|column| column.value(&group.key, &group.names))
}

fn sum_columns(has_distinct: bool) -> impl Iterator<Item = Column> {
    let column = |name: &str| Column::of_flows(name);
    let distinct = has_distinct.then(|| Column { name: "distinct".to_owned(), shown: Shown::Count });
    [column("bytes"), column("packets"), column("flows")].into_iter().chain(distinct)
}

fn sums(of: &FlowSums, has_distinct: bool) -> impl Iterator<Item = Value> {
    let distinct = has_distinct.then(|| of.distinct.map_or(Value::None, Value::Number));
    [of.bytes, of.packets, of.flows].into_iter().map(Value::Number).chain(distinct)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn answer(more: Json) -> Json {
        let sums = json!({"records": 3, "bytes": 5000, "packets": 7, "flows": 3});
        let mut rest = sums.clone();
        rest["groups"] = json!(0);
        let mut answer = json!({
            "from": "", "to": "", "tz": "UTC", "filter": null, "exporter": null, "counters": "sent",
            "by": ["proto", "dstport"], "sum": "bytes", "every": "5m", "order": "newest", "next": null,
            "columns": ["proto", "dstport", "nexthop", "bytes"], "rest": rest, "total": sums,
            "coverage": {"since": null, "reaches": null, "missing": [], "leftOut": []},
        });
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    }

    fn group(proto: u64, port: u64, names: &Json) -> Json {
        json!({
            "key": {"proto": proto, "dstport": port}, "names": names,
            "records": 1, "bytes": 1000, "packets": 2, "flows": 1,
        })
    }

    fn written(grid: &Grid, csv: bool) -> String {
        let mut out = Vec::new();
        grid.table(csv).write(csv, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_are_part_of_a_cell_for_people_and_columns_for_programs() {
        let rows = [group(17, 514, &json!({"proto": "udp", "dstport": "syslog"})), group(253, 47_111, &json!({}))];
        let top = serde_json::from_value(answer(json!({ "rows": rows }))).unwrap();
        let table = "\
proto  dstport       bytes  packets  flows
udp    514 syslog  1.00 kB        2      1
253    47111       1.00 kB        2      1
total  -           5.00 kB        7      3
";
        assert_eq!(written(&Grid::of_top(&top, true), false), table);
        let csv = "proto,proto_name,dstport,dstport_name,bytes,packets,flows\n\
                   17,udp,514,syslog,1000,2,1\n253,,47111,,1000,2,1\n";
        assert_eq!(written(&Grid::of_top(&top, true), true), csv);
        let csv = "proto,dstport,bytes,packets,flows\n17,514,1000,2,1\n253,47111,1000,2,1\n";
        assert_eq!(written(&Grid::of_top(&top, false), true), csv);
        let mut parquet = Vec::new();
        Grid::of_top(&top, true).write_parquet(&mut parquet).unwrap();
        assert!(parquet.windows(12).any(|window| window == b"dstport_name"));

        let step = json!({"start": "2026-11-29", "rows": [top.total, top.total], "rest": top.rest.sums});
        let series = serde_json::from_value(answer(json!({"rows": rows, "steps": [step]}))).unwrap();
        let series = written(&Grid::of_series(&series, true), true);
        assert!(
            series.ends_with("\n2026-11-29,17,udp,514,syslog,5000,7,3\n2026-11-29,253,,47111,,5000,7,3\n"),
            "{series}"
        );

        let mut of_as = answer(json!({"rows": [{"key": {"dstas": 64_500}, "names": {"dstas": "Example Ltd"}}]}));
        of_as["by"] = json!(["dstas"]);
        for (sum, value) in [("records", 1), ("bytes", 1000), ("packets", 2), ("flows", 1)] {
            of_as["rows"][0][sum] = json!(value);
        }
        let of_as = serde_json::from_value(of_as).unwrap();
        let csv = written(&Grid::of_top(&of_as, true), true);
        assert_eq!(csv, "dstas,dstas_name,bytes,packets,flows\n64500,Example Ltd,1000,2,1\n");
        assert!(written(&Grid::of_top(&of_as, true), false).contains("\n64500 Example Ltd  1.00 kB"));

        let flow = json!({"srccountry": "CH", "dstcountry": null, "bytes": 1, "names": {"srccountry": "Switzerland"}});
        let mut of_countries = answer(json!({"rows": [flow]}));
        of_countries["columns"] = json!(["srccountry", "dstcountry", "bytes"]);
        let flows = serde_json::from_value(of_countries).unwrap();
        let csv = "srccountry,srccountry_name,dstcountry,dstcountry_name,bytes\nCH,Switzerland,,,1\n";
        assert_eq!(written(&Grid::of_rows(&flows, true, true), true), csv);
        assert_eq!(
            written(&Grid::of_rows(&flows, false, true), false),
            "srccountry      bytes\nCH Switzerland    1 B\n"
        );

        let flow = json!({"proto": 6, "dstport": 443, "nexthop": null, "bytes": 1, "names": {"dstport": "https"}});
        let flows = serde_json::from_value(answer(json!({"rows": [flow]}))).unwrap();
        let csv = "proto,proto_name,dstport,dstport_name,nexthop,bytes\n6,,443,https,,1\n";
        assert_eq!(written(&Grid::of_rows(&flows, true, true), true), csv);
        assert_eq!(
            written(&Grid::of_rows(&flows, false, true), false),
            "proto  dstport    bytes\ntcp    443 https    1 B\n"
        );
    }
}
