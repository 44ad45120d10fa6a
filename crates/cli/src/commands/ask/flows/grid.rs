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
use questions::{FlowRows, FlowSeries, FlowSums, FlowTop, Record, Value};

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

    fn is_number(&self) -> bool {
        self.shown != Shown::Text
    }

    fn cell(&self, value: &Value) -> Cell {
        match (self.shown, value) {
            (_, Value::None) => Cell::Gap,
            (_, Value::Text(text)) => Cell::Text(text.clone()),
            (Shown::Bytes, Value::Number(number)) => Cell::Bytes(*number),
            (Shown::Count, Value::Number(number)) => Cell::Count(*number),
            (Shown::Protocol, Value::Number(number)) => Cell::Named(*number, super::super::protocol_name(*number)),
            (Shown::TcpFlags, Value::Number(number)) => Cell::Named(*number, super::super::tcp_flags(*number)),
            (Shown::Number | Shown::Text, Value::Number(number)) => Cell::Number(*number),
        }
    }
}

impl Grid {
    /// Flows. Of the usual columns, those without a value are left out.
    pub(super) fn of_rows(answer: &FlowRows, has_columns: bool) -> Self {
        let value = |record: &Record, name: &str| record.get(name).cloned().unwrap_or(Value::None);
        let has_values = |name: &&String| {
            let is_some = |record| !matches!(value(record, name), Value::None | Value::Number(0));
            has_columns || answer.rows.is_empty() || answer.rows.iter().any(is_some)
        };
        let names: Vec<_> = answer.columns.iter().filter(has_values).collect();
        let rows = answer.rows.iter().map(|record| names.iter().map(|name| value(record, name)).collect());
        Self {
            columns: names.iter().map(|name| Column::of_flows(name)).collect(),
            rows: rows.collect(),
            last: Vec::new(),
        }
    }

    /// Groups.
    pub(super) fn of_top(answer: &FlowTop) -> Self {
        let has_distinct = !answer.distinct.is_empty();
        let mut columns: Vec<_> = answer.by.iter().map(|key| Column::of_flows(key)).collect();
        columns.extend(sum_columns(has_distinct));
        let keys = answer.by.len();
        let last = |name: String, of: &FlowSums| {
            let mut row = vec![Value::None; keys];
            if let Some(first) = row.first_mut() {
                *first = Value::Text(name);
            }
            row.into_iter().chain(sums(of, has_distinct)).collect()
        };
        let rest = (answer.rest.groups > 0).then(|| last(format!("{} more", answer.rest.groups), &answer.rest.sums));
        Self {
            columns,
            rows: answer
                .rows
                .iter()
                .map(|group| values(&group.key).chain(sums(&group.sums, has_distinct)).collect())
                .collect(),
            last: rest.into_iter().chain([last("total".to_owned(), &answer.total)]).collect(),
        }
    }

    /// A row for each step and group.
    pub(super) fn of_series(answer: &FlowSeries) -> Self {
        let mut columns = vec![Column { name: "start".to_owned(), shown: Shown::Text }];
        columns.extend(answer.by.iter().map(|key| Column::of_flows(key)));
        columns.extend(sum_columns(false));
        let mut rows = Vec::new();
        for step in &answer.steps {
            for (group, of) in answer.rows.iter().zip(&step.rows).filter(|(_, of)| of.records > 0) {
                let start = [Value::Text(step.start.clone())].into_iter();
                rows.push(start.chain(values(&group.key)).chain(sums(of, false)).collect());
            }
        }
        let total = [Value::Text("total".to_owned())].into_iter().chain(answer.by.iter().map(|_| Value::None));
        Self { columns, rows, last: vec![total.chain(sums(&answer.total, false)).collect()] }
    }

    /// The table for people, or for CSV.
    pub(super) fn table(&self, csv: bool) -> Table {
        let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let mut table = Table::new(&names);
        let last = if csv { &[][..] } else { &self.last };
        for row in self.rows.iter().chain(last) {
            table.push(self.columns.iter().zip(row).map(|(column, value)| column.cell(value)).collect());
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
        let field = Type::primitive_type_builder(&self.name, physical).with_repetition(Repetition::OPTIONAL);
        Ok(Arc::new(field.with_logical_type(Some(logical)).build()?))
    }
}

fn values(record: &Record) -> impl Iterator<Item = Value> {
    record.0.iter().map(|(_, value)| value.clone())
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
