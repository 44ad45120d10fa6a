//! Answers which groups of flows there were: who sent most, to which ports, in which minutes.

use std::ops::Range;

use columns::{Columns, Id, Kind};
use filter::{ColumnValues, Filter};
use flow::Timestamp;
use hashbrown::HashMap;

use super::amounts::Counted;
use super::budget::{Budget, Exceeded};
use super::group_table::{Amounts, Hashing, add};
use super::key::Key;
use super::key_layout::{Layout, MEMORY_OF_TEXTS, divide};
use super::ranking::{Group, Order, Ranking, Sums};
use super::shared_groups::{Gather, MOST_WORDS, SharedGroups, shared_groups};
use super::sources::{Source, Sources};
use super::work::{LeftOutParts, Queue, Selector, Stop, Work};
use super::{Read, Scan, ScanError, memory_of_columns};

/// Groups that do not fit into memory are found in several passes, each of which has some of them. More than this many passes
/// take longer than a better question.
const MOST_PASSES: u64 = 64;
/// How many times more passes the next attempt has.
const MORE_PASSES: u64 = 2;

/// Which groups are asked for.
#[derive(Clone, Debug)]
pub struct GroupQuestion {
    /// When the flows were received: from a time until before another one.
    pub received: Range<Timestamp>,
    /// Which flows.
    pub filter: Filter,
    /// By what they are grouped. Without keys, all are one group.
    pub keys: Vec<Key>,
    /// Of what the different values are counted in each group. Of several, the different combinations. A value that a record
    /// does not carry is 0, which counts too.
    pub distinct: Vec<Key>,
    /// What is summed.
    pub counted: Counted,
    /// The order of the groups.
    pub order: Order,
    /// How many groups are returned at most. The others are in the rest.
    pub most: usize,
}

/// Groups of flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The first groups, in the order that was asked for.
    pub first: Vec<Group>,
    /// The exact sums of all other groups.
    pub rest: Sums,
    /// How many groups there are, with the others.
    pub groups: u64,
    /// How often the files were read, because the groups did not fit into memory.
    pub passes: u64,
    /// What was read, and what was left out.
    pub read: Read,
}

impl Groups {
    /// The sums of all groups.
    #[must_use]
    pub fn total(&self) -> Sums {
        let mut total = self.rest;
        self.first.iter().for_each(|group| total.add(group.sums));
        total
    }
}

/// A question whose keys have their places in words.
struct Plan<'q> {
    question: &'q GroupQuestion,
    narrow: Layout,
    wide: Layout,
    needed: Columns,
}

/// The groups that all threads have found. All values that are counted distinctly are in the wide ones.
struct Tables<'b> {
    narrow: Box<dyn SharedGroups + 'b>,
    wide: Box<dyn SharedGroups + 'b>,
}

/// What a thread adds to them.
struct Gathering<'t> {
    narrow: Box<dyn Gather + 't>,
    wide: Box<dyn Gather + 't>,
    /// Memory for the rows that are added.
    narrow_rows: Vec<u32>,
    wide_rows: Vec<u32>,
    amounts: Vec<Amounts>,
}

impl Scan<'_> {
    /// Groups flows. The answer is exact; what it leaves out is in [`Read::left_out`].
    ///
    /// # Errors
    /// If the question is invalid, does not fit into memory, or was cancelled, or the folder cannot be read.
    pub fn groups(&self, question: &GroupQuestion) -> Result<Groups, ScanError> {
        let sources = self.sources(&question.received, question.columns())?;
        self.expect(&sources, 1);
        self.groups_in(question, &sources, &LeftOutParts::default())
    }

    /// Groups the flows of files, without what was found before to be unreadable. Its caller expects to read them once.
    pub(super) fn groups_in(
        &self,
        question: &GroupQuestion,
        sources: &Sources,
        left_out: &LeftOutParts,
    ) -> Result<Groups, ScanError> {
        let plan = Plan::new(question)?;
        let selector = Selector::new(&question.received, &question.filter)?;
        let budget = Budget::new(self.octets);
        let seed = Hashing::seed();
        let threads = self.threads(question.columns());
        let mut passes = 1;
        loop {
            let octets = threads.saturating_mul(memory_of_columns(question.columns()));
            let octets = octets.saturating_add(sources.octets);
            let _memory = budget.take(octets).map_err(|Exceeded| self.too_large())?;
            let _memory_of_texts = budget.take(plan.memory_of_texts()).map_err(|Exceeded| self.too_large())?;
            let work = self.work(&budget, &selector, left_out, threads);
            let known = left_out.count();
            match plan.answer(&work, sources, seed, passes) {
                // What was added of a damaged group of rows must not count.
                Ok(_) if left_out.count() > known => {}
                Ok(groups) => return Ok(groups),
                Err(Stop::Cancelled) => return Err(ScanError::Cancelled),
                Err(Stop::Memory) if passes < MOST_PASSES => passes *= MORE_PASSES,
                Err(Stop::Memory) => return Err(self.too_large()),
                Err(Stop::Damaged(error)) => return Err(ScanError::Invalid(error.to_string())),
            }
            self.expect(sources, passes);
        }
    }
}

impl GroupQuestion {
    /// The columns that it reads.
    pub(super) fn columns(&self) -> Columns {
        let mut columns = self.needed();
        columns.add_all(self.filter.columns());
        columns.add(Id::Received);
        columns
    }

    /// The columns of rows that match.
    fn needed(&self) -> Columns {
        let mut needed = self.counted.columns();
        self.keys.iter().chain(&self.distinct).for_each(|key| needed.add(key.id()));
        needed
    }
}

impl<'q> Plan<'q> {
    fn new(question: &'q GroupQuestion) -> Result<Self, ScanError> {
        let layout = |is_wide| Layout::new(&question.keys, &question.distinct, is_wide);
        let (narrow, wide) = (layout(false), layout(true));
        if wide.words > MOST_WORDS {
            let keys = question.keys.len() + question.distinct.len();
            return Err(ScanError::Invalid(format!("{keys} keys are too many: group by fewer columns")));
        }
        if question.order == Order::Distinct && question.distinct.is_empty() {
            return Err(ScanError::Invalid("the order is that of distinct values, but none are counted".to_owned()));
        }
        Ok(Self { question, narrow, wide, needed: question.needed() })
    }

    /// What is reserved for the texts of keys, in both layouts.
    fn memory_of_texts(&self) -> usize {
        let mut keys = self.question.keys.iter().chain(&self.question.distinct);
        if keys.any(|key| key.id().column().kind == Kind::AsPath) { 2 * MEMORY_OF_TEXTS } else { 0 }
    }

    /// All groups, in passes.
    fn answer(&self, work: &Work<'_>, sources: &Sources, seed: u64, passes: u64) -> Result<Groups, Stop> {
        let mut ranking = Ranking::new(self.question.order, self.question.most, work.budget.take(0)?);
        let mut read = Read::default();
        for pass in 0..passes {
            let hashing = Hashing { seed, pass, passes };
            let (tables, of_pass) = self.pass(work, &sources.all, hashing)?;
            self.rank(&tables, work, &mut ranking)?;
            // Each pass reads the same.
            read = of_pass;
        }
        let read = sources.read(read, work.left_out.all());
        let (rest, groups) = (ranking.rest, ranking.groups);
        Ok(Groups { first: ranking.into_groups(), rest, groups, passes, read })
    }

    fn pass<'w>(
        &self,
        work: &'w Work<'w>,
        sources: &'w [Source],
        hashing: Hashing,
    ) -> Result<(Tables<'w>, Read), Stop> {
        let queue = Queue::new(work, sources);
        let narrow = shared_groups(self.narrow.words, work.budget)?;
        let tables = Tables { narrow, wide: shared_groups(self.wide.words, work.budget)? };
        work.in_threads(|| self.find(work, &queue, &tables, hashing)).into_iter().collect::<Result<(), _>>()?;
        Ok((tables, queue.into_read()))
    }

    /// Takes groups of rows from the queue until there are none: the work of a thread.
    fn find(&self, work: &Work<'_>, queue: &Queue<'_>, tables: &Tables<'_>, hashing: Hashing) -> Result<(), Stop> {
        let found = self.gather(work, queue, tables, hashing);
        if matches!(found, Err(Stop::Memory)) {
            queue.give_up();
        }
        found
    }

    fn gather(&self, work: &Work<'_>, queue: &Queue<'_>, tables: &Tables<'_>, hashing: Hashing) -> Result<(), Stop> {
        let mut gathering = Gathering::new(tables, hashing)?;
        while let Some(task) = queue.next()? {
            let found = work.read(&task, self.needed, |columns, rows| {
                queue.add_matched(rows.len());
                gathering.add(self, columns, rows).map_err(Stop::from)
            });
            match found {
                Err(Stop::Damaged(error)) => work.left_out.add_group(&task.part, task.group, &error),
                other => other?,
            }
        }
        gathering.narrow.move_groups()?;
        Ok(gathering.wide.move_groups()?)
    }

    fn rank(&self, tables: &Tables<'_>, work: &Work<'_>, ranking: &mut Ranking<'_>) -> Result<(), Stop> {
        if self.question.distinct.is_empty() {
            for (table, layout) in [(&tables.narrow, &self.narrow), (&tables.wide, &self.wide)] {
                table.each(&mut |words, amounts| {
                    work.check_cancelled()?;
                    Ok(ranking.take(layout, words, Sums::new(*amounts, 0))?)
                })?;
            }
            return Ok(());
        }
        let mut memory = work.budget.take(0)?;
        let mut groups: HashMap<Box<[u64]>, (Amounts, u64)> = HashMap::new();
        // A table of hashes has up to twice the room that it needs, and twice that while it grows.
        let octets = 4 * size_of::<(Box<[u64]>, Amounts, u64)>() + self.wide.group_words * 8 + 16;
        tables.wide.each(&mut |words, amounts| {
            work.check_cancelled()?;
            let group = words.get(..self.wide.group_words).unwrap_or_default();
            if let Some((sums, distinct)) = groups.get_mut(group) {
                add(sums, amounts);
                *distinct += 1;
                return Ok(());
            }
            memory.grow(octets)?;
            groups.insert(group.into(), (*amounts, 1));
            Ok(())
        })?;
        for (words, (amounts, distinct)) in &groups {
            work.check_cancelled()?;
            ranking.take(&self.wide, words, Sums::new(*amounts, *distinct))?;
        }
        Ok(())
    }
}

impl<'t> Gathering<'t> {
    fn new(tables: &'t Tables<'_>, hashing: Hashing) -> Result<Self, Exceeded> {
        Ok(Self {
            narrow: tables.narrow.gather(hashing)?,
            wide: tables.wide.gather(hashing)?,
            narrow_rows: Vec::new(),
            wide_rows: Vec::new(),
            amounts: Vec::new(),
        })
    }

    fn add(&mut self, plan: &Plan<'_>, columns: &impl ColumnValues, rows: &[u32]) -> Result<(), Exceeded> {
        let Self { narrow, wide, narrow_rows, wide_rows, amounts } = self;
        if plan.question.distinct.is_empty() {
            divide(&plan.question.keys, columns, rows, narrow_rows, wide_rows);
        } else {
            // All values of a group are in one table, of whichever family they are.
            narrow_rows.clear();
            wide_rows.clear();
            wide_rows.extend_from_slice(rows);
        }
        let halves = [(narrow, &plan.narrow, narrow_rows), (wide, &plan.wide, wide_rows)];
        for (gather, layout, rows) in halves.into_iter().filter(|(_, _, rows)| !rows.is_empty()) {
            plan.question.counted.fill(columns, rows, amounts);
            gather.add_rows(layout, columns, rows, amounts)?;
        }
        Ok(())
    }
}
