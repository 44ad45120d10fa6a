//! The rows of a group, some thousand at a time, as columns that are read when they are first asked for.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;

use columns::{Addresses, Columns, Id, Kind, Values};
use filter::ColumnValues;
use parquet::errors::ParquetError;

use super::column_pages::{ColumnPages, damaged};
use super::part::{LeafValues, PartFile};
use crate::chunk::{Chunk, ROWS_OF_A_PAGE};

/// How many rows are read at a time: their columns fit into the second level of a processor's cache.
pub(crate) const WINDOW: usize = 8192;
const _: () = assert!(ROWS_OF_A_PAGE == WINDOW, "a chunk is read at a time, and a page that is ruled out is not");

/// Some rows of a group.
pub(crate) struct GroupRows<'p> {
    part: &'p PartFile<'p>,
    group: usize,
    /// The rows, if they are in memory.
    chunk: Option<&'p Chunk>,
    window: Range<usize>,
    /// By the number of the column.
    columns: Vec<LazyColumn>,
    failure: RefCell<Option<ParquetError>>,
}

struct LazyColumn {
    values: OnceCell<Values>,
    source: RefCell<Source>,
    /// Memory for the values of the next rows.
    spare: RefCell<Values>,
}

enum Source {
    /// Nothing was asked for yet.
    Unopened,
    Numbers(LeafValues),
    Addresses(LeafValues, LeafValues),
}

impl<'p> GroupRows<'p> {
    /// The first rows of a group.
    pub(crate) fn new(part: &'p PartFile<'p>, group: usize) -> Self {
        let column = |id: Id| LazyColumn {
            values: OnceCell::new(),
            source: RefCell::new(Source::Unopened),
            spare: RefCell::new(Values::new(id.column().kind)),
        };
        let window = 0..WINDOW.min(part.rows(group));
        let columns = Id::ALL.into_iter().map(column).collect();
        Self { part, group, chunk: part.chunk(group), window, columns, failure: RefCell::new(None) }
    }

    /// Where the rows are in the group. After the last one there are none.
    pub(crate) fn window(&self) -> Range<usize> {
        self.window.clone()
    }

    /// Moves to the next rows.
    pub(crate) fn advance(&mut self) {
        self.window = self.window.end..self.window.end.saturating_add(WINDOW).min(self.part.rows(self.group));
        for column in &mut self.columns {
            if let Some(values) = column.values.take() {
                *column.spare.get_mut() = values;
            }
        }
    }

    /// Reads columns, and reports whether all that was read of these rows so far could be. Until then, values count for
    /// nothing: those of a column that cannot be read are 0.
    pub(crate) fn read(&self, columns: Columns) -> Result<(), ParquetError> {
        columns.iter().for_each(|id| {
            self.values(id);
        });
        self.failure.take().map_or(Ok(()), Err)
    }

    fn read_column(&self, id: Id) -> Values {
        let kind = id.column().kind;
        let Some(column) = self.columns.get(id as usize) else { return Values::new(kind) };
        let mut values = column.spare.replace(Values::new(kind));
        values.clear();
        if let Err(error) = self.fill(id, &mut column.source.borrow_mut(), &mut values) {
            values.clear();
            self.failure.borrow_mut().get_or_insert(error);
        }
        values
    }

    fn fill(&self, id: Id, source: &mut Source, values: &mut Values) -> Result<(), ParquetError> {
        if matches!(source, Source::Unopened) {
            let numbers = self.part.numbers(self.group, id)?;
            *source = if id.column().kind == Kind::Address {
                Source::Addresses(numbers, self.part.v6(self.group, id)?)
            } else {
                Source::Numbers(numbers)
            };
        }
        let rows = self.window.clone();
        match (source, values) {
            (Source::Numbers(LeafValues::Texts(texts)), Values::Texts(values)) => texts.read_texts(rows, values),
            (Source::Numbers(LeafValues::Texts(texts)), Values::U16(values)) => texts.read_countries(rows, values),
            (Source::Numbers(leaf), Values::U8(values)) => {
                read(leaf, rows, values, |number| number as u8, ColumnPages::read_u8)
            }
            (Source::Numbers(leaf), Values::U16(values)) => {
                read(leaf, rows, values, |number| number as u16, ColumnPages::read_u16)
            }
            (Source::Numbers(leaf), Values::U32(values)) => {
                read(leaf, rows, values, |number| number as u32, ColumnPages::read_u32)
            }
            (Source::Numbers(leaf), Values::U64(values)) => {
                read(leaf, rows, values, |number| number, ColumnPages::read_u64)
            }
            (Source::Addresses(v4_leaf, v6_leaf), Values::Addresses(Addresses { v4, is_v6, v6 })) => {
                if let LeafValues::Pages(pages) = v6_leaf {
                    pages.read_addresses(rows.clone(), is_v6, v6)?;
                    if v6.is_empty() {
                        is_v6.clear();
                    }
                }
                read(v4_leaf, rows, v4, |number| number as u32, ColumnPages::read_u32)
            }
            // The source is made for the kind of the column.
            _ => Ok(()),
        }
    }
}

/// Reads numbers. Of a column of zeros there are none.
fn read<T: Copy>(
    leaf: &mut LeafValues,
    rows: Range<usize>,
    into: &mut Vec<T>,
    narrow: impl Fn(u64) -> T,
    from_pages: impl Fn(&mut ColumnPages, Range<usize>, &mut Vec<T>) -> Result<(), ParquetError>,
) -> Result<(), ParquetError> {
    match leaf {
        LeafValues::Constant(0) => Ok(()),
        LeafValues::Constant(number) => {
            into.resize(rows.len(), narrow(*number));
            Ok(())
        }
        LeafValues::Pages(pages) => from_pages(pages.as_mut(), rows, into),
        LeafValues::Texts(_) => Err(damaged("a column of numbers has texts")),
    }
}

impl ColumnValues for GroupRows<'_> {
    fn rows(&self) -> usize {
        self.window.len()
    }

    fn values(&self, id: Id) -> &Values {
        static NONE: Values = Values::U64(Vec::new());
        if let Some(chunk) = self.chunk {
            return chunk.values(id);
        }
        self.columns.get(id as usize).map_or(&NONE, |column| column.values.get_or_init(|| self.read_column(id)))
    }
}
