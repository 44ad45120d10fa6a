//! Questions to the archive: which groups of flows there were, and which flows.
//!
//! | file | content |
//! | --- | --- |
//! | `grouping` | **groups of flows**: the first ones in an order, and the exact rest |
//! | `series` | **the first groups in steps of time** |
//! | `rows` | **flows one by one**, the newest or the oldest first |
//! | `each_row` | **all flows**, for exports |
//! | `key`, `amounts`, `ranking` | by what flows are grouped, what is summed, in which order groups are returned |
//! | `progress` | how far a question is |
//! | `sources` | the files of the question, and what is in no complete file yet |
//! | `work` | which files and groups of rows are read, in which threads, and what is left out |
//! | `part`, `file_octets`, `bloom_filter` | a file: whether it is what its name states, and what its statistics and Bloom filters rule out |
//! | `footer`, `page_header`, `thrift` | what has to be known of a footer before it is read; the headers of pages; their form |
//! | `group_rows`, `column_pages`, `text_column` | columns of a group of rows, each decoded when it is first asked for |
//! | `row_values` | rows of these |
//! | `shared_groups`, `group_table`, `key_layout` | the groups that several threads find, their hash tables, and the form in which keys are in these |
//! | `budget` | the memory of a question |
//!
//! A question reads only the files of its hours, of these only the groups of rows that may match by their statistics, of these
//! first the columns of the filter, and the others only where rows match. Its memory is limited, and it can be cancelled within
//! a few thousand rows. It is exact: a question that does not fit is answered in passes or refused. Damaged and foreign
//! files are never deleted; the answer names them.
//!
//! Not here: turns among questions, and how questions and answers are written.

mod amounts;
mod bloom_filter;
mod budget;
mod column_pages;
mod each_row;
mod file_octets;
mod footer;
mod group_rows;
mod group_table;
mod grouping;
mod key;
mod key_layout;
mod page_header;
mod part;
mod progress;
mod ranking;
mod row_values;
mod rows;
mod series;
mod shared_groups;
mod sources;
#[cfg(test)]
mod tests;
mod text_column;
mod thrift;
mod work;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use columns::{Columns, Kind};
use flow::Timestamp;

pub use amounts::Counted;
pub use grouping::{GroupQuestion, Groups};
pub use key::{Key, KeyError};
pub use progress::Progress;
pub use ranking::{Group, Order, Sums};
pub use rows::{MOST_ROWS, Place, RowQuestion, Rows};
pub use series::{MOST_LINES, Series, Step};

pub(crate) use budget::Budget;
pub(crate) use group_rows::GroupRows;
pub(crate) use part::{PartFile, Unusable};
pub(crate) use row_values::RowValues;
use sources::Sources;
use work::{LeftOutParts, Selector, Work};

use crate::chunk::ROWS_OF_A_PAGE;
use crate::missing::Missing;
use crate::open_parts::{OpenParts, Reach};
use crate::part_name::PartName;

/// The archive that is asked, and what a question may take.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'s> {
    /// The folder of the archive.
    pub folder: &'s Path,
    /// What the running collector has in no complete file yet; `None` if there is none.
    pub open: Option<&'s OpenParts>,
    /// The memory of a question at most, in octets, about.
    pub octets: usize,
    /// How many threads read at most; there are fewer if their columns do not fit into half of the memory.
    pub threads: usize,
    /// Set by another thread, it ends the question.
    pub cancelled: &'s AtomicBool,
    /// Where it counts what it reads, if somebody looks.
    pub progress: Option<&'s Progress>,
}

/// What an answer is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The files that were opened.
    pub parts: u64,
    /// The groups of rows that may have rows that match.
    pub groups: u64,
    /// The groups of rows that were not read, because their statistics and filters rule out that a row matches.
    pub groups_skipped: u64,
    /// The rows of the groups, and of their pages if more is known of these, that may have rows that match.
    pub rows: u64,
    /// Those of the rows read that match.
    pub matched: u64,
    /// What could not be read, and is missing in the answer.
    pub left_out: Vec<LeftOut>,
    /// What was counted in the time that is asked for, and is not in the archive.
    pub missing: Vec<Missing>,
    /// When the oldest hour begins that has rows, of whichever collector; `None` if the archive is empty.
    pub since: Option<Timestamp>,
    /// How far the archive reaches; `None` if no collector runs, or if it has archived nothing yet.
    pub reaches: Option<Reach>,
    /// The database that was asked instead of files, of which nothing is known then.
    pub database: Option<Database>,
}

impl Read {
    /// Adds what was read of some groups.
    fn add_groups(&mut self, other: &Self) {
        self.groups += other.groups;
        self.groups_skipped += other.groups_skipped;
        self.rows += other.rows;
    }
}

/// A database that has the same flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Database {
    /// What it is.
    pub name: &'static str,
    /// When the newest flow was received that it has.
    pub reaches: Option<Timestamp>,
}

/// A file, or a part of it, that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub name: PartName,
    /// The rows of it that are missing; `None` if all are.
    pub rows: Option<Range<u64>>,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It was cancelled.
    #[error("the question was cancelled")]
    Cancelled,
    /// It does not fit into memory.
    #[error(
        "the answer does not fit into {} MiB of memory: ask for a shorter time, filter more, or group by fewer columns, \
         shorter prefixes or longer steps",
        .octets >> 20
    )]
    TooLarge {
        /// The memory that there is.
        octets: usize,
    },
    /// It takes too long.
    #[error("the answer takes longer than {} seconds: ask for a shorter time or for fewer exporters, or filter more", .limit.as_secs())]
    TooLong {
        /// How long it may take.
        limit: Duration,
    },
    /// It is no question.
    #[error("{0}")]
    Invalid(String),
    /// The database that has the flows does not answer.
    #[error("{0}")]
    Database(String),
    /// The folder of the archive cannot be read.
    #[error("the archive cannot be read: {0}")]
    Folder(#[from] io::Error),
}

impl<'s> Scan<'s> {
    fn check_cancelled(&self) -> Result<(), ScanError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(ScanError::Cancelled) } else { Ok(()) }
    }

    fn work(&self, budget: &'s Budget, selector: &'s Selector, left_out: &'s LeftOutParts, threads: usize) -> Work<'s> {
        let Self { folder, cancelled, progress, .. } = *self;
        Work { folder, budget, selector, cancelled, progress, left_out, threads }
    }

    /// These sources will be read this many times.
    fn expect(&self, sources: &Sources, times: u64) {
        if let Some(progress) = self.progress {
            progress.expect(sources.all.len() as u64 * times);
        }
    }

    /// How many threads read these columns: half of the memory is left for what they find.
    fn threads(&self, columns: Columns) -> usize {
        (self.octets / 2 / memory_of_columns(columns).max(1)).min(self.threads).max(1)
    }

    fn too_large(&self) -> ScanError {
        ScanError::TooLarge { octets: self.octets }
    }
}

/// What a thread needs to read columns: of each, a page as it is in the file and one as it is decoded, and some thousand values.
fn memory_of_columns(columns: Columns) -> usize {
    let octets_of_a_value = columns.iter().map(|id| match id.column().kind {
        Kind::U8 | Kind::U16 | Kind::Country | Kind::U32 => 4,
        Kind::U64 | Kind::Time | Kind::Mac => 8,
        Kind::Address => 4 + 16 + 1,
        // With the texts of a group, of which there are fewer than rows.
        Kind::AsPath => 4 + 60,
    });
    octets_of_a_value.map(|octets: usize| octets * (2 * ROWS_OF_A_PAGE + group_rows::WINDOW)).sum()
}
