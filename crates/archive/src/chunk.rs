//! Some thousand rows that do not change any more, column by column. The writer and questions share them: none is copied for
//! a question.

use std::sync::{Arc, LazyLock};

use columns::{Addresses, Batch, Columns, Id, Values};
use filter::ColumnValues;

/// The rows of a chunk at most. Each becomes a page of every column: their buffers stay in the caches.
pub(crate) const ROWS_OF_A_PAGE: usize = 8192;

/// The columns of rows that have no values.
static EMPTY: LazyLock<Vec<Arc<Values>>> =
    LazyLock::new(|| Id::ALL.into_iter().map(|id| Arc::new(Values::new(id.column().kind))).collect());
/// Every identifier is a column of a chunk, so this is never seen.
static NONE: Values = Values::U64(Vec::new());

/// Rows.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    rows: usize,
    /// By the number of the column.
    columns: Vec<Arc<Values>>,
    /// When the first and the last of them were received.
    received: (u64, u64),
}

impl Chunk {
    /// Rows with the values of all columns.
    pub(crate) fn new(rows: usize, values: impl Iterator<Item = Values>) -> Self {
        let columns = values.zip(EMPTY.iter());
        let columns =
            columns.map(|(values, empty)| if values.is_empty() { Arc::clone(empty) } else { Arc::new(values) });
        let mut chunk = Self { rows, columns: columns.collect(), received: (0, 0) };
        if let Values::U64(times) = chunk.values(Id::Received) {
            chunk.received =
                times.iter().fold((u64::MAX, 0), |(first, last), time| (first.min(*time), last.max(*time)));
        }
        chunk
    }

    /// The same rows as in a batch, which keeps its memory.
    pub(crate) fn of(batch: &mut Batch) -> Self {
        batch.fill();
        Self::new(batch.rows(), Id::ALL.into_iter().map(|id| batch.filled(id).clone()))
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The values of a column; none if all are 0.
    pub(crate) fn values(&self, id: Id) -> &Values {
        self.columns.get(id as usize).map_or(&NONE, AsRef::as_ref)
    }

    /// The octets of its different texts.
    pub(crate) fn octets_of_texts(&self) -> usize {
        let texts = self.columns.iter().map(|values| match &**values {
            Values::Texts(texts) => texts.dictionary.octets(),
            _ => 0,
        });
        texts.sum()
    }

    /// When the first and the last row were received.
    pub(crate) fn received(&self) -> (u64, u64) {
        self.received
    }

    /// The memory of columns in octets.
    pub(crate) fn octets(&self, columns: Columns) -> usize {
        columns.iter().map(|id| octets(self.values(id))).sum()
    }

    /// The same rows with these columns only: the memory of the others ends with the writer.
    pub(crate) fn only(&self, columns: Columns) -> Self {
        let mut only = EMPTY.clone();
        for id in columns.iter() {
            if let (Some(into), Some(values)) = (only.get_mut(id as usize), self.columns.get(id as usize)) {
                Arc::clone_from(into, values);
            }
        }
        Self { columns: only, ..*self }
    }
}

fn octets(values: &Values) -> usize {
    match values {
        Values::U8(values) => values.len(),
        Values::U16(values) => values.len() * 2,
        Values::U32(values) => values.len() * 4,
        Values::U64(values) => values.len() * 8,
        Values::Addresses(Addresses { v4, is_v6, v6 }) => v4.len() * 4 + is_v6.len() + v6.len() * 16,
        Values::Texts(texts) => texts.numbers.len() * 4 + texts.dictionary.memory(),
    }
}

impl ColumnValues for Chunk {
    fn rows(&self) -> usize {
        self.rows
    }

    fn values(&self, id: Id) -> &Values {
        self.values(id)
    }
}
