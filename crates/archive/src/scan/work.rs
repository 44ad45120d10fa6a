//! The work of a question: which files and groups of rows are read at all, in which threads, and what is left out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use columns::{Columns, Id};
use filter::{Bounds, ColumnValues, Filter, Known};
use flow::Timestamp;
use parquet::errors::ParquetError;

use super::budget::{Budget, Exceeded};
use super::group_rows::{GroupRows, WINDOW};
use super::part::{PartFile, Unusable};
use super::progress::Progress;
use super::sources::Source;
use super::{LeftOut, Read, ScanError};
use crate::part_name::PartName;

/// What a question reads, and with what.
pub(crate) struct Work<'s> {
    pub(crate) folder: &'s Path,
    pub(crate) budget: &'s Budget,
    pub(crate) selector: &'s Selector,
    pub(crate) cancelled: &'s AtomicBool,
    pub(crate) progress: Option<&'s Progress>,
    pub(crate) left_out: &'s LeftOutParts,
    pub(crate) threads: usize,
}

/// Why the reading of a group of rows ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    Cancelled,
    Memory,
    Damaged(ParquetError),
}

/// Which rows are asked for.
pub(crate) struct Selector(Filter);

/// What cannot be read: files, or groups of rows of them. A question begins again without it, because it may have added some of
/// it already.
#[derive(Default)]
pub(crate) struct LeftOutParts(Mutex<BTreeMap<(PartName, Option<usize>), LeftOut>>);

/// A group of rows that is to be read.
pub(crate) struct Task<'s> {
    pub(crate) part: Arc<PartFile<'s>>,
    pub(crate) group: usize,
    /// What is left to be tested of its rows.
    pub(crate) filter: Filter,
    /// The pages that may have rows that match: the first one is the lowest bit.
    pages: u128,
}

/// The groups of rows of files, in any order: each thread takes the next one. A file is opened when those before it are taken.
pub(crate) struct Queue<'s> {
    work: &'s Work<'s>,
    state: Mutex<QueueState<'s>>,
    matched: AtomicU64,
}

struct QueueState<'s> {
    sources: std::slice::Iter<'s, Source>,
    /// Groups of rows of the files that were opened, the next one last.
    groups: Vec<(Arc<PartFile<'s>>, usize)>,
    read: Read,
    has_memory: bool,
}

impl Selector {
    /// The rows that were received in a range of time and match a filter.
    pub(crate) fn new(received: &Range<Timestamp>, filter: &Filter) -> Result<Self, ScanError> {
        // Rows have whole milliseconds. No file is read for a range that is empty.
        let whole = |time: Timestamp| time.nanoseconds().div_ceil(1_000_000);
        let (first, end) = (whole(received.start), whole(received.end));
        let time = format!("received {first}-{}", end.saturating_sub(1).max(first));
        let time = time.parse::<Filter>().map_err(|error| ScanError::Invalid(format!("the range of time: {error}")))?;
        Ok(Self(time.and(filter.clone())))
    }

    /// The columns that it reads at most.
    pub(crate) fn columns(&self) -> Columns {
        self.0.columns()
    }

    /// What is to be read of a group of rows; `None` if none of them can match.
    fn task<'s>(&self, part: &Arc<PartFile<'s>>, group: usize) -> Option<Task<'s>> {
        let known = KnownGroup { part, group, pages: RefCell::default() };
        let filter = self.0.given(&known)?;
        let addresses = known.pages.into_inner();
        let mut pages = u128::MAX;
        if !addresses.is_empty() {
            let may_match = |page: &u32| filter.given(&KnownPage { part, group, addresses: &addresses, page: *page });
            let all = 0..part.rows(group).div_ceil(WINDOW) as u32;
            pages = all.filter(|page| may_match(page).is_some()).fold(0, |pages, page| pages | 1 << page);
        }
        (pages != 0).then(|| Task { part: Arc::clone(part), group, filter, pages })
    }
}

/// What a file states about a group of rows.
struct KnownGroup<'p> {
    part: &'p PartFile<'p>,
    group: usize,
    /// Addresses that were looked up, and the pages that may have each.
    pages: RefCell<Vec<(IpAddr, u128)>>,
}

/// The columns of the addresses that filters of pages are for.
const HOSTS: [Id; 2] = [Id::SrcIp, Id::DstIp];

impl Known for KnownGroup<'_> {
    fn bounds(&self, id: Id) -> Bounds {
        self.part.bounds(self.group, id)
    }

    fn may_contain(&self, id: Id, address: IpAddr) -> bool {
        if !self.part.has_page_filters() || !HOSTS.contains(&id) {
            return self.part.may_contain(self.group, id, address);
        }
        let mut all = self.pages.borrow_mut();
        let known = all.iter().find(|(known, _)| *known == address).map(|(_, pages)| *pages);
        let pages = known.or_else(|| self.part.pages_with(self.group, address)).unwrap_or(u128::MAX);
        if known.is_none() {
            all.push((address, pages));
        }
        pages != 0
    }
}

/// What is known of a page of a group.
struct KnownPage<'p> {
    part: &'p PartFile<'p>,
    group: usize,
    addresses: &'p [(IpAddr, u128)],
    page: u32,
}

impl Known for KnownPage<'_> {
    fn bounds(&self, id: Id) -> Bounds {
        self.part.bounds(self.group, id)
    }

    fn may_contain(&self, id: Id, address: IpAddr) -> bool {
        let known = self.addresses.iter().find(|(known, _)| *known == address && HOSTS.contains(&id));
        known.is_none_or(|(_, pages)| pages >> self.page & 1 == 1)
    }
}

impl Task<'_> {
    /// Whether rows can match that are in the page of a row.
    fn may_match(&self, row: usize) -> bool {
        self.pages >> (row / WINDOW) & 1 == 1
    }

    /// The rows of the pages that may have rows that match.
    fn rows(&self) -> u64 {
        let rows = self.part.rows(self.group);
        let pages = (0..rows).step_by(WINDOW).filter(|first| self.may_match(*first));
        pages.map(|first| WINDOW.min(rows - first) as u64).sum()
    }
}

impl LeftOutParts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(PartName, Option<usize>), LeftOut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_part(&self, name: PartName, reason: String) {
        self.lock().insert((name, None), LeftOut { name, rows: None, reason });
    }

    pub(crate) fn add_group(&self, part: &PartFile<'_>, group: usize, error: &ParquetError) {
        self.add_rows(part, group, 0, error);
    }

    /// The rows of a group from one on.
    pub(crate) fn add_rows(&self, part: &PartFile<'_>, group: usize, from: usize, error: &ParquetError) {
        let first = part.first_row(group);
        let rows = Some(first + from as u64..first + part.rows(group) as u64);
        let left_out = LeftOut { name: part.name, rows, reason: error.to_string() };
        self.lock().insert((part.name, Some(group)), left_out);
    }

    fn contains(&self, name: PartName, group: Option<usize>) -> bool {
        self.lock().contains_key(&(name, group))
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn all(&self) -> Vec<LeftOut> {
        self.lock().values().cloned().collect()
    }
}

impl<'s> Work<'s> {
    /// The groups of rows of a file that have to be read, in their order.
    pub(crate) fn tasks(&self, source: &Source, read: &mut Read) -> Result<Vec<Task<'s>>, Exceeded> {
        let groups = self.groups(source, read)?;
        Ok(groups.iter().filter_map(|(part, group)| self.task(part, *group, read)).collect())
    }

    /// The groups of rows of a file.
    fn groups(&self, source: &Source, read: &mut Read) -> Result<Vec<(Arc<PartFile<'s>>, usize)>, Exceeded> {
        if let Some(progress) = self.progress {
            progress.open();
        }
        let name = source.name();
        if self.left_out.contains(name, None) {
            return Ok(Vec::new());
        }
        let part = match source {
            Source::Complete(name) => PartFile::open(self.folder, *name, self.budget),
            Source::Open(part) => Ok(PartFile::unfinished(part)),
        };
        let part = match part {
            Ok(part) => Arc::new(part),
            Err(Unusable::Memory) => return Err(Exceeded),
            Err(Unusable::File(reason)) => {
                self.left_out.add_part(name, reason);
                return Ok(Vec::new());
            }
        };
        read.parts += 1;
        let groups = (0..part.groups()).filter(|group| !self.left_out.contains(name, Some(*group)));
        Ok(groups.map(|group| (Arc::clone(&part), group)).collect())
    }

    /// What is to be read of a group of rows; `None` if none of them can match.
    fn task(&self, part: &Arc<PartFile<'s>>, group: usize, read: &mut Read) -> Option<Task<'s>> {
        let task = self.selector.task(part, group);
        match &task {
            Some(task) => {
                read.groups += 1;
                read.rows += task.rows();
            }
            None => read.groups_skipped += 1,
        }
        task
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), Stop> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Stop::Cancelled) } else { Ok(()) }
    }

    /// Runs the same work in several threads, and returns what each returns.
    pub(crate) fn in_threads<R: Send>(&self, run: impl Fn() -> R + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(&run)).collect();
            let mut results = vec![run()];
            for other in others {
                match other.join() {
                    Ok(result) => results.push(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        })
    }

    /// Reads a group of rows. Calls back with those that match, some thousand at a time, when the needed columns are read.
    pub(crate) fn read(
        &self,
        task: &Task<'s>,
        needed: Columns,
        mut visit: impl FnMut(&GroupRows<'_>, &[u32]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut columns = GroupRows::new(&task.part, task.group);
        let mut rows = Vec::new();
        while columns.rows() > 0 {
            self.check_cancelled()?;
            if !task.may_match(columns.window().start) {
                columns.advance();
                continue;
            }
            let selection = task.filter.select(&columns);
            columns.read(Columns::NONE)?;
            if !selection.is_empty() {
                rows.clear();
                rows.extend(selection.iter().map(|row| row as u32));
                columns.read(needed)?;
                visit(&columns, &rows)?;
            }
            columns.advance();
        }
        Ok(())
    }
}

impl<'s> Queue<'s> {
    pub(crate) fn new(work: &'s Work<'s>, sources: &'s [Source]) -> Self {
        let state = QueueState { sources: sources.iter(), groups: Vec::new(), read: Read::default(), has_memory: true };
        Self { work, state: Mutex::new(state), matched: AtomicU64::new(0) }
    }

    /// The next group of rows that has to be read.
    pub(crate) fn next(&self) -> Result<Option<Task<'s>>, Stop> {
        while let Some((part, group)) = self.next_group()? {
            let mut read = Read::default();
            let task = self.work.task(&part, group, &mut read);
            self.lock().read.add_groups(&read);
            if task.is_some() {
                return Ok(task);
            }
        }
        Ok(None)
    }

    fn next_group(&self) -> Result<Option<(Arc<PartFile<'s>>, usize)>, Stop> {
        let mut state = self.lock();
        let QueueState { sources, groups, read, has_memory } = &mut *state;
        loop {
            // What one thread lacks, all lack: each may stop.
            if !*has_memory {
                return Err(Stop::Memory);
            }
            self.work.check_cancelled()?;
            if let Some(group) = groups.pop() {
                return Ok(Some(group));
            }
            let Some(source) = sources.next() else { return Ok(None) };
            match self.work.groups(source, read) {
                Ok(found) => groups.extend(found.into_iter().rev()),
                Err(Exceeded) => *has_memory = false,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState<'s>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is no memory left.
    pub(crate) fn give_up(&self) {
        self.lock().has_memory = false;
    }

    pub(crate) fn add_matched(&self, rows: usize) {
        self.matched.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// What was read.
    pub(crate) fn into_read(self) -> Read {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Read { matched: self.matched.into_inner(), ..state.read }
    }
}

impl From<ParquetError> for Stop {
    fn from(error: ParquetError) -> Self {
        Self::Damaged(error)
    }
}

impl From<Exceeded> for Stop {
    fn from(Exceeded: Exceeded) -> Self {
        Self::Memory
    }
}
