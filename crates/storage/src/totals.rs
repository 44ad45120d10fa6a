//! What all writers together counted in ranges of time, asked for in any number of questions and read in small parts, all
//! from one moment of the store (`snapshot`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use accounting::block::{Block, BlockError, TableSet, Tables, WriterId};
use accounting::field::Field;
use accounting::period::Interval;
use accounting::range::Range;
use flow::Prefix;

use crate::snapshot::{Listed, Snapshot};
use crate::{Selection, Store, StoreError};

/// How many places (intervals of a sender's prefix) are read together at first, and at most.
const FIRST_PLACES: usize = 16;
const MOST_PLACES: usize = 64;

/// Fewer places are read together when they have more octets of blocks than this.
const MOST_OCTETS: usize = 1 << 20;

/// How many octets of blocks are summed in a step: some milliseconds of work.
const OCTETS_A_STEP: usize = 256 << 10;

/// Answers to this many questions are long ones, and so are those that have taken this many steps: a step takes up to some
/// milliseconds.
const MANY_QUESTIONS: usize = 64;
const MANY_STEPS: usize = 8;

/// How many questions a step answers at most: totals take memory even when nothing was counted.
const ANSWERS_A_STEP: usize = 256;

/// What is asked: these tables of a sender's prefix in a range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Any range; it is read from the coarsest blocks that make it up.
    pub range: Range,
    /// The sender.
    pub sender: IpAddr,
    /// The prefix, exactly.
    pub prefix: Prefix,
    /// The tables. [`Field::FiveMinutes`], asked for with [`Field::All`], is also made of minutes; only hours, days and ranges
    /// within a day have all of it.
    pub tables: TableSet,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sums, of the tables that were asked for.
    pub tables: Tables,
    /// The senders of which something is in the sums.
    pub senders: BTreeSet<IpAddr>,
    /// Blocks that could not be read; the sums are without them.
    pub damaged: Vec<BlockError>,
}

impl Totals {
    fn add(&mut self, block: &Block, tables: TableSet) {
        let merged = if tables.intersects(TableSet::of_field(Field::FiveMinutes)) {
            self.tables.merge_five_minutes(block, tables)
        } else {
            self.tables.merge(block, tables)
        };
        match merged {
            Ok(()) => drop(self.senders.insert(block.key.sender)),
            Err(damaged) => self.damaged.push(damaged),
        }
    }
}

/// What was counted for a sender's prefix in an interval.
///
/// # Errors
/// When the store cannot be read. A damaged block is no error: see [`Totals::damaged`].
pub async fn totals(
    store: &dyn Store,
    sender: IpAddr,
    prefix: Prefix,
    interval: Interval,
    tables: TableSet,
) -> Result<Totals, StoreError> {
    let mut answers = Answers::to(vec![Question { range: interval.into(), sender, prefix, tables }]);
    Ok(answers.all(store).await?.pop().unwrap_or_default())
}

/// The answers to questions, in their order. All of them are about one moment of the store, that of the first step.
#[derive(Debug)]
pub struct Answers {
    moment: Option<Snapshot>,
    /// Whose blocks do not count.
    without: Option<WriterId>,
    listed: Option<Listed>,
    questions: Vec<Question>,
    /// How many consecutive questions have their sum as their answer.
    summed: usize,
    /// How many are answered, or summed in `begun`.
    answered: usize,
    /// An answer to which something is missing: what was counted so far, and of the next question, when its first places
    /// are summed, the places that are left.
    begun: Option<(Totals, Option<Places>)>,
    /// What is read or summed next.
    part: Option<Part>,
    /// How many places are read together next.
    at_once: usize,
    /// How many steps were taken.
    steps: usize,
}

/// Intervals of a question with the writers whose blocks count there.
type Places = BTreeMap<Interval, Vec<WriterId>>;

impl Answers {
    /// Nothing is read yet.
    #[must_use]
    pub fn to(questions: Vec<Question>) -> Self {
        Self::to_sums(questions, 1)
    }

    /// The answers to each `summed` consecutive questions are added up, where blocks are summed: a sum takes the memory of one
    /// answer. Nothing is read yet.
    #[must_use]
    pub fn to_sums(questions: Vec<Question>, summed: usize) -> Self {
        let (at_once, summed) = (FIRST_PLACES, summed.max(1));
        Self {
            moment: None,
            without: None,
            listed: None,
            questions,
            summed,
            answered: 0,
            begun: None,
            part: None,
            at_once,
            steps: 0,
        }
    }

    /// The same of all writers but this one.
    #[must_use]
    pub fn without(self, writer: WriterId) -> Self {
        Self { without: Some(writer), ..self }
    }

    /// The answers to further questions, about the same moment.
    #[must_use]
    pub fn then(self, questions: Vec<Question>) -> Self {
        self.then_sums(questions, 1)
    }

    /// The sums of the answers to further questions, about the same moment.
    #[must_use]
    pub fn then_sums(self, questions: Vec<Question>, summed: usize) -> Self {
        let Self { moment, without, at_once, steps, .. } = self;
        Self { moment, without, at_once, steps, ..Self::to_sums(questions, summed) }
    }

    /// Whether all questions are answered, so that nothing is left to read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.answered == self.questions.len()
    }

    /// Whether the rest may take long. Then a step either reads the store or computes.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.questions.len() >= MANY_QUESTIONS || self.steps >= MANY_STEPS
    }

    /// Whether the next step begins with a read of the store; that of a long answer is nothing else.
    #[must_use]
    pub fn reads_next(&self) -> bool {
        self.moment.is_none()
            || self.listed.as_ref().is_some_and(|listed| !listed.is_read())
            || self.part.as_ref().is_some_and(|part| !part.is_read())
    }

    pub(crate) fn at(moment: Snapshot, questions: Vec<Question>) -> Self {
        Self { moment: Some(moment), ..Self::to(questions) }
    }

    /// Takes a step: lists at most 16 stretches and reads at most 64 places of the store, and sums about 256 KiB of blocks.
    /// Returns the answers that are complete with it, which may be none; `None` when there are no more.
    ///
    /// # Errors
    /// When the store cannot be read; then the answers end.
    pub async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<Totals>>, StoreError> {
        if self.is_complete() {
            return Ok(None);
        }
        self.steps += 1;
        let is_long = self.is_long();
        loop {
            if self.reads_next() {
                self.read(store).await?;
                if is_long || self.reads_next() {
                    return Ok(Some(Vec::new()));
                }
            } else if let Some(answered) = self.compute() {
                return Ok(Some(answered));
            } else if is_long {
                return Ok(Some(Vec::new()));
            }
        }
    }

    /// Reads what the next computation needs, or some of it.
    async fn read(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if let Some(part) = &mut self.part {
            part.read(store).await?;
            self.at_once = if part.octets() > MOST_OCTETS { self.at_once / 2 } else { self.at_once * 2 };
            self.at_once = self.at_once.clamp(1, MOST_PLACES);
        } else if let Some(listed) = &mut self.listed {
            listed.read_some(store).await?;
        } else {
            self.moment = Some(Snapshot::take(store).await?.without(self.without));
        }
        Ok(())
    }

    /// Finds out what to read next, or sums what was read and returns the answers that are complete with it.
    fn compute(&mut self) -> Option<Vec<Totals>> {
        let moment = self.moment.as_ref()?;
        if self.listed.is_none() {
            self.listed = Some(Listed::of(moment, self.questions.iter().map(|question| question.range)));
            return None;
        }
        let mut part = self.part.take().unwrap_or_else(|| self.next_part());
        if !part.is_read() {
            self.part = Some(part);
            return None;
        }
        let moment = self.moment.as_ref()?;
        part.sum_some(moment);
        if part.blocks.len() > 0 {
            self.part = Some(part);
            return Some(Vec::new());
        }
        let Part { mut totals, left, answered, .. } = part;
        self.answered += answered;
        let is_between = !self.is_complete() && !self.answered.is_multiple_of(self.summed);
        self.begun = if left.is_some() || is_between { totals.pop().map(|begun| (begun, left)) } else { None };
        Some(totals)
    }

    /// All of them, in memory together.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn all(&mut self, store: &dyn Store) -> Result<Vec<Totals>, StoreError> {
        let mut all = Vec::new();
        while let Some(some) = self.next(store).await? {
            all.extend(some);
            tokio::task::yield_now().await;
        }
        Ok(all)
    }

    /// The questions from the first unanswered one on, as many as fit.
    fn next_part(&mut self) -> Part {
        let mut part = Part::default();
        let (Some(moment), Some(listed)) = (&self.moment, &self.listed) else { return part };
        for (number, question) in self.questions.iter().enumerate().skip(self.answered).take(ANSWERS_A_STEP) {
            let left = match self.begun.take() {
                Some((totals, left)) => {
                    part.totals.push(totals);
                    left
                }
                None => {
                    if number.is_multiple_of(self.summed) {
                        part.totals.push(Totals::default());
                    }
                    None
                }
            };
            let places = left.unwrap_or_else(|| places(question, listed, moment));
            part.left = part.add(question, places, self.at_once);
            if part.left.is_some() {
                break;
            }
            part.answered += 1;
        }
        part
    }
}

/// The places whose blocks make up the range of a question.
fn places(question: &Question, listed: &Listed, moment: &Snapshot) -> Places {
    let mut places = Places::new();
    for state in moment.states() {
        for interval in listed.covering(question.range, state) {
            places.entry(interval).or_default().push(state.writer);
        }
    }
    places
}

/// Where blocks are: an interval of a sender's prefix.
type Place = (Interval, IpAddr, Prefix);

/// What is read together.
#[derive(Debug, Default)]
struct Part {
    /// Of consecutive questions; the last one may have places left for the next part.
    totals: Vec<Totals>,
    /// The number of questions of which no places are left.
    answered: usize,
    left: Option<Places>,
    /// What is not read yet.
    places: BTreeMap<Place, TableSet>,
    /// For which totals the blocks of a writer in a place count, with the tables that are asked for.
    count_for: HashMap<(WriterId, Place), Vec<(usize, TableSet)>>,
    /// What was read and is not summed yet.
    blocks: std::vec::IntoIter<Block>,
}

impl Part {
    /// Adds as many places of the question whose totals are the last ones as there is room for; returns those that are left.
    fn add(&mut self, question: &Question, mut places: Places, most: usize) -> Option<Places> {
        let Question { sender, prefix, tables, .. } = *question;
        let number = self.totals.len().saturating_sub(1);
        while let Some((interval, writers)) = places.pop_first() {
            let place = (interval, sender, prefix);
            if self.places.len() >= most && !self.places.contains_key(&place) {
                places.insert(interval, writers);
                return Some(places);
            }
            let asked = self.places.entry(place).or_insert(TableSet::EMPTY);
            *asked = asked.union(tables);
            for writer in writers {
                self.count_for.entry((writer, place)).or_default().push((number, tables));
            }
        }
        None
    }

    /// Whether there is nothing left to read.
    fn is_read(&self) -> bool {
        self.places.is_empty()
    }

    async fn read(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let select = |((interval, sender, prefix), tables)| Selection { interval, sender, prefix, tables };
        let selections: Vec<Selection> = std::mem::take(&mut self.places).into_iter().map(select).collect();
        self.blocks = store.read_blocks(&selections).await?.into_iter();
        Ok(())
    }

    fn octets(&self) -> usize {
        self.blocks.as_slice().iter().map(|block| block.content.len()).sum()
    }

    /// Adds some of the blocks to the totals that they count for.
    fn sum_some(&mut self, moment: &Snapshot) {
        let mut summed = 0;
        while summed < OCTETS_A_STEP
            && let Some(block) = self.blocks.next()
        {
            summed += block.content.len();
            let key = &block.key;
            let place = (key.writer, (key.interval, key.sender, key.prefix));
            // None for a block whose minutes count at another level of its writer.
            let Some(count_for) = self.count_for.get(&place).filter(|_| moment.holds(key)) else { continue };
            for (number, tables) in count_for {
                if key.tables.intersects(*tables)
                    && let Some(totals) = self.totals.get_mut(*number)
                {
                    totals.add(&block, *tables);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
