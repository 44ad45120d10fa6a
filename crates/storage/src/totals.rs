//! What all writers together counted in an interval.
//!
//! The state of a writer has its watermarks (`WriterState::watermarks`). That is the switch between its finer and its
//! coarser blocks: for each moment exactly one level of each writer's blocks counts, so a roll-up that is under way, or
//! was left half done, changes no answer. The states are read first: blocks that are rolled up meanwhile are still
//! there, because retention is far longer than a query.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use accounting::block::{Block, BlockError, TableSet, Tables, WriterId};
use accounting::period::{Interval, Minute, Period};
use accounting::range::Range;
use flow::Prefix;

use crate::selection::merged;
use crate::{Blocks, Selection, Store, StoreError, WriterState};

/// How many selections are read at a time: the blocks of more are never in memory together.
const SELECTIONS_AT_ONCE: usize = 64;

/// How many octets of blocks are merged, some milliseconds of work, before other tasks of the thread have their turn.
const OCTETS_WITHOUT_PAUSE: usize = 256 << 10;

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sums, of the tables that were asked for.
    pub tables: Tables,
    /// Blocks that could not be read; the sums are without them.
    pub damaged: Vec<BlockError>,
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
    let mut answers = totals_many(store, &[Selection { interval, sender, prefix, tables }]).await?;
    Ok(answers.pop().unwrap_or_default())
}

/// What was counted for a sender's prefix in any stretch of time, read from the coarsest blocks that make it up.
///
/// # Errors
/// As [`totals`].
pub async fn totals_in_range(
    store: &dyn Store,
    sender: IpAddr,
    prefix: Prefix,
    range: Range,
    tables: TableSet,
) -> Result<Totals, StoreError> {
    let parts: Vec<_> =
        range.cover().into_iter().map(|interval| Selection { interval, sender, prefix, tables }).collect();
    let mut sum = Totals::default();
    read(store, &parts, |_, block, tables| sum.add(block, tables)).await?;
    Ok(sum)
}

/// What was counted for each of the questions, in their order. All of them are answered from the same reads.
///
/// # Errors
/// As [`totals`].
pub async fn totals_many(store: &dyn Store, questions: &[Selection]) -> Result<Vec<Totals>, StoreError> {
    let mut answers = vec![Totals::default(); questions.len()];
    read(store, questions, |number, block, tables| {
        if let Some(answer) = answers.get_mut(number) {
            answer.add(block, tables);
        }
    })
    .await?;
    Ok(answers)
}

/// Gives each block that counts for a question to `add`, with the number of the question and the tables it asks for.
async fn read(
    store: &dyn Store,
    questions: &[Selection],
    mut add: impl FnMut(usize, &Block, TableSet) + Send,
) -> Result<(), StoreError> {
    let plan = Plan::make(store, questions).await?;
    for selections in plan.selections.chunks(SELECTIONS_AT_ONCE) {
        let mut merged = 0;
        for block in store.read_blocks(selections).await? {
            merged += block.content.len();
            if merged > OCTETS_WITHOUT_PAUSE {
                merged = 0;
                tokio::task::yield_now().await;
            }
            for number in plan.questions_for(&block) {
                let Some(question) = questions.get(*number) else { continue };
                if block.key.tables.intersects(question.tables) {
                    add(*number, &block, question.tables);
                }
            }
        }
    }
    Ok(())
}

impl Totals {
    fn add(&mut self, block: &Block, tables: TableSet) {
        self.damaged.extend(self.tables.merge(block, tables).err());
    }
}

/// Where a block counts: blocks of a writer at an interval, for a sender and prefix.
type Place = (WriterId, Interval, IpAddr, Prefix);

/// What has to be read, and which question each block of it answers.
struct Plan {
    selections: Vec<Selection>,
    /// Questions by their numbers.
    answers: HashMap<Place, Vec<usize>>,
}

impl Plan {
    async fn make(store: &dyn Store, questions: &[Selection]) -> Result<Self, StoreError> {
        let writers = store.writers().await?;
        let mut covers: HashMap<(WriterId, Interval), Vec<Interval>> = HashMap::new();
        let mut selections = Vec::new();
        let mut answers: HashMap<Place, Vec<usize>> = HashMap::new();
        for (number, question) in questions.iter().enumerate() {
            for state in &writers {
                let cover = match covers.entry((state.writer, question.interval)) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(cover(store, state, question.interval).await?),
                };
                for interval in cover {
                    selections.push(Selection { interval: *interval, ..*question });
                    let place = (state.writer, *interval, question.sender, question.prefix);
                    answers.entry(place).or_default().push(number);
                }
            }
        }
        Ok(Self { selections: merged(&selections), answers })
    }

    /// None for a block whose moment counts at another level of its writer.
    fn questions_for(&self, block: &Block) -> &[usize] {
        let key = &block.key;
        self.answers.get(&(key.writer, key.interval, key.sender, key.prefix)).map_or(&[], Vec::as_slice)
    }
}

/// The intervals whose blocks of this writer make up an interval: coarse ones as far as it has rolled up, then
/// the minutes that exist. Minutes that do not exist are not asked for: an open year has half a million of them.
pub(crate) async fn cover(
    store: &dyn Blocks,
    state: &WriterState,
    interval: Interval,
) -> Result<Vec<Interval>, StoreError> {
    if interval.period == Period::Minute {
        return Ok(vec![interval]);
    }
    let summed = state.watermarks.get(Period::Minute).unwrap_or(Minute::EPOCH);
    let mut cover = state.watermarks.cover_before(interval, summed);
    let open = interval.start.max(summed);
    if open < interval.end() {
        cover.extend(store.intervals(state.writer, Period::Minute, open, interval.end()).await?);
    }
    Ok(cover)
}

#[cfg(test)]
mod tests;
