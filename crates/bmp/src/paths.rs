//! The different paths of a router's routes, each kept once and numbered.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::error::Limited;
use crate::limits::Limits;
use crate::path::{Path, Scratch};

/// The number of a path.
pub(crate) type PathId = u32;

#[derive(Debug, Default)]
pub(crate) struct Paths {
    slots: Vec<Option<Slot>>,
    /// The slots that are empty.
    free: Vec<PathId>,
    /// The slots that are not, by their paths. The seed is of this table, so that paths cannot be made to collide.
    index: HashTable<PathId>,
    hasher: DefaultHashBuilder,
    /// What all paths take, nearly.
    octets: usize,
}

#[derive(Debug)]
struct Slot {
    path: Arc<Path>,
    /// How many routes have it.
    users: u32,
}

impl Paths {
    /// The different paths.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// What all paths take, nearly.
    pub(crate) const fn octets(&self) -> usize {
        self.octets
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Arc<Path>> {
        self.slots.get(id as usize)?.as_ref().map(|slot| &slot.path)
    }

    /// The number of a path, which has one user more. The error names what there is too much of.
    pub(crate) fn take(&mut self, scratch: &Scratch, limits: &Limits) -> Result<PathId, (Limited, usize)> {
        let hash = self.hasher.hash_one(scratch.hashed());
        let is_same = |id: &PathId| self.get(*id).is_some_and(|path| scratch.is(path));
        if let Some(id) = self.index.find(hash, is_same).copied() {
            self.take_again(id);
            return Ok(id);
        }
        if self.len() >= limits.paths {
            return Err((Limited::Paths, limits.paths));
        }
        let path = scratch.path();
        if self.octets + path.octets() > limits.path_octets {
            return Err((Limited::PathOctets, limits.path_octets));
        }
        self.octets += path.octets();
        let slot = Some(Slot { path: Arc::new(path), users: 1 });
        let id = if let Some(id) = self.free.pop() {
            if let Some(empty) = self.slots.get_mut(id as usize) {
                *empty = slot;
            }
            id
        } else {
            self.slots.push(slot);
            self.slots.len() as PathId - 1
        };
        let Self { slots, index, hasher, .. } = self;
        index.insert_unique(hash, id, |id| hash_of(slots, hasher, *id));
        Ok(id)
    }

    /// One user more.
    pub(crate) fn take_again(&mut self, id: PathId) {
        if let Some(Some(slot)) = self.slots.get_mut(id as usize) {
            slot.users += 1;
        }
    }

    /// One user less. A path without users is forgotten.
    pub(crate) fn release(&mut self, id: PathId) {
        let Some(place) = self.slots.get_mut(id as usize) else { return };
        let Some(slot) = place else { return };
        slot.users -= 1;
        if slot.users > 0 {
            return;
        }
        self.octets -= slot.path.octets();
        let hash = hash_of(&self.slots, &self.hasher, id);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        if let Some(place) = self.slots.get_mut(id as usize) {
            *place = None;
        }
        self.free.push(id);
    }
}

fn hash_of(slots: &[Option<Slot>], hasher: &DefaultHashBuilder, id: PathId) -> u64 {
    let slot = slots.get(id as usize).and_then(Option::as_ref);
    slot.map_or(0, |slot| hasher.hash_one(slot.path.hashed()))
}
