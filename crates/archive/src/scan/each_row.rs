//! All flows of a range of time, one after the other: as many as there are, in little memory.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::Ordering;

use columns::{Columns, Row};
use filter::Filter;
use flow::Timestamp;

use super::budget::{Budget, Exceeded};
use super::row_values::RowValues;
use super::work::{LeftOutParts, Selector, Stop};
use super::{Read, Scan, ScanError, memory_of_columns};

impl Scan<'_> {
    /// Calls back with each flow that matches until the visitor has enough: the oldest hour first, in an hour file by file. Other
    /// columns than these are not set.
    ///
    /// Of a group of rows that is damaged, those before the damage are among them, unlike in other answers.
    ///
    /// # Errors
    /// If it was cancelled, or the folder cannot be read.
    pub fn each_row(
        &self,
        received: &Range<Timestamp>,
        filter: &Filter,
        columns: Columns,
        visit: &mut dyn FnMut(&Row) -> ControlFlow<()>,
    ) -> Result<Read, ScanError> {
        let selector = Selector::new(received, filter)?;
        let mut needed = selector.columns();
        needed.add_all(columns);
        let sources = self.sources(received, needed)?;
        let budget = Budget::new(self.octets);
        let octets = memory_of_columns(needed).saturating_add(sources.octets);
        let _memory = budget.take(octets).map_err(|Exceeded| self.too_large())?;
        let left_out = LeftOutParts::default();
        let work = self.work(&budget, &selector, &left_out, 1);
        let (mut read, mut row) = (Read::default(), Row::new());
        'sources: for source in &sources.all {
            for task in work.tasks(source, &mut read).map_err(|Exceeded| self.too_large())? {
                let mut visited = 0;
                let outcome = work.read(&task, columns, |group, rows| {
                    let mut values = RowValues::new(group, columns);
                    for at in rows {
                        values.read(*at as usize, &mut row);
                        read.matched += 1;
                        if visit(&row).is_break() {
                            return Err(Stop::Cancelled);
                        }
                    }
                    visited = group.window().end;
                    Ok(())
                });
                match outcome {
                    Ok(()) => {}
                    Err(Stop::Damaged(error)) => left_out.add_rows(&task.part, task.group, visited, &error),
                    Err(Stop::Memory) => return Err(self.too_large()),
                    Err(Stop::Cancelled) if self.cancelled.load(Ordering::Relaxed) => return Err(ScanError::Cancelled),
                    Err(Stop::Cancelled) => break 'sources,
                }
            }
        }
        Ok(sources.read(read, left_out.all()))
    }
}
