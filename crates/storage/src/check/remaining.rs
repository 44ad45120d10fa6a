//! What retention has left of a rolled-up interval and of its finer ones, as far as the blocks show.
//!
//! Retention deletes in the order of time: while a block is there, all that start later were not deleted. This holds for
//! *original* blocks only. A late flow brings an interval back that retention has deleted: its flush puts one block into
//! each period, all with its own number. So a coarse block is original if it is a sum, and a finer one if its flush has
//! no block in the coarser interval around it.

use std::collections::{BTreeMap, BTreeSet};

use accounting::block::{Block, Origin, Sums, WriterId};
use accounting::period::Interval;

use super::violation::Place;
use crate::batches::{Batches, Group, read};
use crate::{Store, StoreError};

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaining {
    /// The coarser blocks, and all finer ones.
    Both,
    /// The coarser blocks; finer ones may be gone.
    CoarseAndSomeFiner,
    /// The coarser blocks may be gone.
    FinerOnly,
}

/// An original block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Original {
    place: Place,
    origin: Origin,
}

impl Original {
    async fn is_there(self, store: &dyn Store) -> Result<bool, StoreError> {
        let Place { writer, interval, group } = self.place;
        let blocks = read(store, writer, interval, &[group]).await?;
        Ok(blocks.iter().any(|block| block.key.origin == self.origin))
    }

    /// A sum of this interval, if there is one.
    pub(super) async fn sum_of(
        store: &dyn Store,
        writer: WriterId,
        interval: Interval,
    ) -> Result<Option<Self>, StoreError> {
        let mut batches = Batches::of(store, writer, interval).await?;
        while let Some(batch) = batches.next(store).await? {
            let mut blocks = batch.values().flatten();
            if let Some(sum) = blocks.find(|block| block.key.origin == Origin::RolledUp) {
                let group = (sum.key.sender, sum.key.prefix);
                return Ok(Some(Self { place: Place { writer, interval, group }, origin: Origin::RolledUp }));
            }
        }
        Ok(None)
    }
}

/// The newest original blocks that show what is left of an interval: a coarse one that starts with it or before it, and a
/// finer one that starts before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Originals {
    pub(super) coarse: Option<Original>,
    pub(super) finer: Option<Original>,
}

impl Originals {
    pub(super) fn remaining(self) -> Remaining {
        match (self.coarse, self.finer) {
            (None, _) => Remaining::FinerOnly,
            (Some(_), None) => Remaining::CoarseAndSomeFiner,
            (Some(_), Some(_)) => Remaining::Both,
        }
    }

    /// Without those that are gone meanwhile.
    pub(super) async fn still_there(self, store: &dyn Store) -> Result<Self, StoreError> {
        let mut left = self;
        for original in [&mut left.coarse, &mut left.finer] {
            if let Some(known) = *original
                && !known.is_there(store).await?
            {
                *original = None;
            }
        }
        Ok(left)
    }
}

/// What the finer blocks of a group count in an interval.
pub(super) struct Finer {
    /// `None` where a damaged block hides it.
    pub(super) sums: Option<Sums>,
    /// The block of the earliest flush: if any of them is original, this is.
    earliest: Option<Original>,
}

/// By group.
pub(super) type FinerGroups = BTreeMap<Group, Finer>;

impl Finer {
    /// No blocks.
    pub(super) fn none() -> Self {
        Self { sums: Some(Sums::default()), earliest: None }
    }

    /// Adds the blocks of one place, and what they count.
    pub(super) fn add(&mut self, place: Place, blocks: &[Block], sums: Option<Sums>) {
        self.sums = self.sums.take().zip(sums).map(|(mut sum, more)| {
            sum.add(&more);
            sum
        });
        let origins = blocks.iter().map(|block| block.key.origin);
        let earliest = origins.min().map(|origin| Original { place, origin });
        self.earliest = [self.earliest, earliest].into_iter().flatten().min_by_key(|original| original.origin);
    }

    /// An original block, if there is one; these are the coarser blocks of the group.
    pub(super) fn original(&self, coarse: &[Block]) -> Option<Original> {
        let late: BTreeSet<Origin> = coarse.iter().map(|block| block.key.origin).collect();
        self.earliest.filter(|earliest| earliest.origin == Origin::RolledUp || !late.contains(&earliest.origin))
    }
}
