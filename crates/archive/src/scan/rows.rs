//! Answers which flows there were, one by one: the newest or the oldest first, some at a time.
//!
//! The order is that in which they were received; rows of the same millisecond are in the order of files and of their place in
//! them. First only the times and what the filter reads are decoded, then all columns of the rows that are returned.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, Mutex, PoisonError};

use accounting::period::{Interval, Minute, Period};
use columns::{Columns, Id, Row, Values};
use filter::{Bounds, ColumnValues, Filter};
use flow::{FlushNumber, Timestamp, WriterId};

use super::budget::{Budget, Exceeded};
use super::group_rows::GroupRows;
use super::part::PartFile;
use super::row_values::RowValues;
use super::sources::{Source, Sources};
use super::work::{LeftOutParts, Selector, Stop, Task, Work};
use super::{Read, Scan, ScanError, memory_of_columns};
use crate::part_name::PartName;

/// Rows of one millisecond would be repeated or left out.
const JOINED: &str = "files were joined after the page before: ask for the first page again";

/// The rows of an answer at most.
pub const MOST_ROWS: usize = 10_000;

/// Which rows are asked for.
#[derive(Clone, Debug)]
pub struct RowQuestion {
    /// When the flows were received: from a time until before another one.
    pub received: Range<Timestamp>,
    /// Which flows.
    pub filter: Filter,
    /// Whether the newest come first.
    pub is_newest_first: bool,
    /// Only rows after this one, in the order of the answer: [`Rows::next`] of the answer before.
    pub after: Option<Place>,
    /// How many rows are returned at most: up to [`MOST_ROWS`].
    pub most: usize,
    /// The columns that are returned. All others are not set.
    pub columns: Columns,
}

/// Rows.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The rows in the order that was asked for, with their places.
    pub rows: Vec<(Place, Row)>,
    /// Where the next question continues; `None` if there are no more rows.
    pub next: Option<Place>,
    /// What was read, and what was left out.
    pub read: Read,
}

/// The place of a row among all rows. It stays the same as long as the file is there, also before that is complete, and until
/// that is joined with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was received, in milliseconds since 1970.
    pub received: u64,
    /// The hour of the file.
    pub hour: Interval,
    /// The collector.
    pub writer: WriterId,
    /// The first flush of the file. The last one is known only when it is complete.
    pub first: FlushNumber,
    /// The row of the file, from 0.
    pub row: u64,
    /// Whether the rows of the file are in the order of their hosts, as those of joined files.
    pub is_by_host: bool,
}

/// A row that may be returned. The greatest one is the last of the answer.
struct Found<'s> {
    place: Place,
    is_newest_first: bool,
    part: Arc<PartFile<'s>>,
    group: usize,
}

/// The first rows so far; the last of them is on top.
struct First<'s> {
    found: BinaryHeap<Found<'s>>,
    matched: u64,
}

impl Scan<'_> {
    /// Returns flows, one by one.
    ///
    /// # Errors
    /// If the question is invalid, does not fit into memory, or was cancelled, or the folder cannot be read.
    pub fn rows(&self, question: &RowQuestion) -> Result<Rows, ScanError> {
        if !(1..=MOST_ROWS).contains(&question.most) {
            return Err(ScanError::Invalid(format!("{} rows: ask for 1 to {MOST_ROWS} at a time", question.most)));
        }
        let received = question.remaining();
        let selector = Selector::new(&received, &question.filter)?;
        let budget = Budget::new(self.octets);
        let mut columns = selector.columns();
        columns.add_all(question.columns);
        let sources = self.sources(&received, columns)?;
        self.expect(&sources, 1);
        let threads = self.threads(columns);
        let octets = threads.saturating_mul(memory_of_columns(columns));
        let octets = octets.saturating_add(question.most * (size_of::<Row>() + size_of::<Found<'_>>()));
        let octets = octets.saturating_add(sources.octets);
        let _memory = budget.take(octets).map_err(|Exceeded| self.too_large())?;
        let left_out = LeftOutParts::default();
        let work = self.work(&budget, &selector, &left_out, threads);
        loop {
            let known = left_out.count();
            match question.answer(&work, &sources) {
                // Rows of a damaged group may be among those found.
                _ if left_out.count() > known => {}
                Ok(rows) => return rows.ok_or_else(|| ScanError::Invalid(JOINED.to_owned())),
                Err(Stop::Cancelled) => return Err(ScanError::Cancelled),
                Err(Stop::Memory) => return Err(self.too_large()),
                Err(Stop::Damaged(error)) => return Err(ScanError::Invalid(error.to_string())),
            }
        }
    }
}

impl RowQuestion {
    /// When the rows after the last answer were received.
    #[must_use]
    pub fn remaining(&self) -> Range<Timestamp> {
        let Range { start, end } = self.received;
        match self.after.map(|place| place.received) {
            None => start..end,
            Some(last) if self.is_newest_first => start..end.min(Timestamp::from_milliseconds(last.saturating_add(1))),
            Some(last) => start.max(Timestamp::from_milliseconds(last))..end,
        }
    }

    /// `None` if there is no place any more after which the page begins.
    fn answer(&self, work: &Work<'_>, sources: &Sources) -> Result<Option<Rows>, Stop> {
        let mut hours: Vec<&[Source]> = sources.all.chunk_by(|one, next| one.name().hour == next.name().hour).collect();
        if self.is_newest_first {
            hours.reverse();
        }
        let mut read = Read::default();
        let first = Mutex::new(First { found: BinaryHeap::new(), matched: 0 });
        for hour in hours {
            if !self.find_in_hour(work, hour, &mut read, &first)? {
                return Ok(None);
            }
            // Rows of other hours come after all of these.
            if lock(&first).last_of(self.most).is_some() {
                break;
            }
        }
        let First { found, matched } = first.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut found = found.into_sorted_vec();
        let has_more = found.len() > self.most;
        found.truncate(self.most);
        let rows = self.fetch(work, &found)?;
        let next = rows.last().filter(|_| has_more).map(|(place, _)| *place);
        Ok(Some(Rows { rows, next, read: sources.read(Read { matched, ..read }, work.left_out.all()) }))
    }

    /// Adds the rows of an hour that are among the first. Returns whether the page can begin in it.
    fn find_in_hour<'s>(
        &self,
        work: &Work<'s>,
        sources: &[Source],
        read: &mut Read,
        first: &Mutex<First<'s>>,
    ) -> Result<bool, Stop> {
        let mut tasks = Vec::new();
        for source in sources {
            tasks.extend(work.tasks(source, read)?);
        }
        if self.after.is_some_and(|after| tasks.iter().any(|task| after.is_gone_into(&task.part))) {
            return Ok(false);
        }
        tasks.sort_by_key(|task| if self.is_newest_first { u64::MAX - bounds(task).1 } else { bounds(task).0 });
        let next = AtomicUsize::new(0);
        let find = || -> Result<(), Stop> {
            while let Some(task) = tasks.get(next.fetch_add(1, Atomic::Relaxed)) {
                match self.find_in_group(work, task, first) {
                    Err(Stop::Damaged(error)) => work.left_out.add_group(&task.part, task.group, &error),
                    other => other?,
                }
            }
            Ok(())
        };
        work.in_threads(find).into_iter().collect::<Result<(), _>>()?;
        Ok(true)
    }

    fn find_in_group<'s>(&self, work: &Work<'s>, task: &Task<'s>, first: &Mutex<First<'s>>) -> Result<(), Stop> {
        let (earliest, latest) = bounds(task);
        let is_beyond = |last: &Found<'_>| {
            if self.is_newest_first { latest < last.place.received } else { earliest > last.place.received }
        };
        if lock(first).last_of(self.most).is_some_and(is_beyond) {
            return Ok(());
        }
        let mut received = Columns::NONE;
        received.add(Id::Received);
        let first_row = task.part.first_row(task.group);
        work.read(task, received, |columns, rows| {
            let Values::U64(times) = columns.values(Id::Received) else { return Ok(()) };
            let begin = first_row + columns.window().start as u64;
            let mut first = lock(first);
            for row in rows {
                let received = times.get(*row as usize).copied().unwrap_or_default();
                let place = Place::of(&task.part, received, begin + u64::from(*row));
                if self.after.is_some_and(|after| self.order(&place, &after) != Ordering::Greater) {
                    continue;
                }
                first.matched += 1;
                if let Some(last) = first.last_of(self.most) {
                    if self.order(&place, &last.place) == Ordering::Greater {
                        continue;
                    }
                    first.found.pop();
                }
                let (part, group) = (Arc::clone(&task.part), task.group);
                first.found.push(Found { place, is_newest_first: self.is_newest_first, part, group });
            }
            Ok(())
        })
    }

    fn order(&self, one: &Place, other: &Place) -> Ordering {
        if self.is_newest_first { other.cmp(one) } else { one.cmp(other) }
    }

    /// Reads the columns of the rows that were found.
    fn fetch(&self, work: &Work<'_>, found: &[Found<'_>]) -> Result<Vec<(Place, Row)>, Stop> {
        let mut groups: BTreeMap<(PartName, usize), Vec<(u64, usize)>> = BTreeMap::new();
        for (index, found) in found.iter().enumerate() {
            groups.entry((found.part.name, found.group)).or_default().push((found.place.row, index));
        }
        let mut rows: Vec<(Place, Row)> = found.iter().map(|found| (found.place, Row::new())).collect();
        for ((_, group), mut wanted) in groups {
            wanted.sort_unstable();
            let Some(part) = wanted.first().and_then(|(_, index)| found.get(*index)).map(|found| &found.part) else {
                continue;
            };
            if let Err(stop) = self.fetch_of_group(work, part, group, &wanted, &mut rows) {
                if let Stop::Damaged(error) = &stop {
                    work.left_out.add_group(part, group, error);
                }
                return Err(stop);
            }
        }
        Ok(rows)
    }

    /// Reads rows of a group: their numbers in the file, in ascending order, and their places in the answer.
    fn fetch_of_group(
        &self,
        work: &Work<'_>,
        part: &PartFile<'_>,
        group: usize,
        mut wanted: &[(u64, usize)],
        rows: &mut [(Place, Row)],
    ) -> Result<(), Stop> {
        let first_row = part.first_row(group);
        let mut columns = GroupRows::new(part, group);
        while !wanted.is_empty() && columns.rows() > 0 {
            if work.cancelled.load(Atomic::Relaxed) {
                return Err(Stop::Cancelled);
            }
            let window = columns.window();
            let end = first_row + window.end as u64;
            let (now, later) = wanted.split_at(wanted.partition_point(|(row, _)| *row < end));
            if !now.is_empty() {
                columns.read(self.columns)?;
            }
            let mut values = RowValues::new(&columns, self.columns);
            for (row, index) in now {
                let row = row.saturating_sub(first_row + window.start as u64) as usize;
                if let Some((_, into)) = rows.get_mut(*index) {
                    values.read(row, into);
                }
            }
            wanted = later;
            columns.advance();
        }
        Ok(())
    }
}

impl<'s> First<'s> {
    /// The last of the rows, if there are enough: one more than is returned shows that there are more.
    fn last_of(&self, most: usize) -> Option<&Found<'s>> {
        self.found.peek().filter(|_| self.found.len() > most)
    }
}

fn lock<'m, 's>(first: &'m Mutex<First<'s>>) -> std::sync::MutexGuard<'m, First<'s>> {
    first.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the first and the last row of a group were received.
fn bounds(task: &Task<'_>) -> (u64, u64) {
    match task.part.bounds(task.group, Id::Received) {
        Bounds::Numbers(first, last) => (first, last),
        Bounds::Unknown | Bounds::Addresses { .. } => (0, u64::MAX),
    }
}

impl Ord for Found<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_newest_first { other.place.cmp(&self.place) } else { self.place.cmp(&other.place) }
    }
}

impl PartialOrd for Found<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Found<'_> {}

impl Place {
    fn of(part: &PartFile<'_>, received: u64, row: u64) -> Self {
        let PartName { hour, writer, first, .. } = part.name;
        Self { received, hour, writer, first, row, is_by_host: part.has_page_filters() }
    }

    /// Whether a file has the rows of its file, in other places.
    fn is_gone_into(&self, part: &PartFile<'_>) -> bool {
        part.name.contains(self.hour, self.writer, self.first)
            && (part.name.first != self.first || part.has_page_filters() != self.is_by_host)
    }
}

/// The cursor of the REST interface: the time, then the hour as its first minute, the collector, the first flush, the row, and the
/// order of rows.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, hour, writer, first: FlushNumber { epoch, sequence }, row, is_by_host } = self;
        let order = u8::from(*is_by_host);
        write!(f, "{received}-{}-{writer}-{epoch}-{sequence}-{row}-{order}", hour.start.number())
    }
}

impl FromStr for Place {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        let read = || {
            let mut numbers = text.split('-');
            let received = numbers.next()?.parse().ok()?;
            let minute = Minute::new(numbers.next()?.parse().ok()?);
            let writer = WriterId(u64::from_str_radix(numbers.next()?, 16).ok()?);
            let first = FlushNumber { epoch: numbers.next()?.parse().ok()?, sequence: numbers.next()?.parse().ok()? };
            let row = numbers.next()?.parse().ok()?;
            let is_by_host = numbers.next()? == "1";
            let hour = Interval::containing(Period::Hour, minute);
            let place = Self { received, hour, writer, first, row, is_by_host };
            // Numbers are written in one way only.
            (place.to_string() == text).then_some(place)
        };
        read().ok_or_else(|| ScanError::Invalid("the cursor is none: pass on that of the answer before".to_owned()))
    }
}
