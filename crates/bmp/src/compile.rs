//! From routes to a snapshot: which route of a prefix counts, and which chunks have changed.

use std::cmp::Reverse;
use std::mem;
use std::sync::Arc;

use crate::family::{Address, Family, Network, first, last};
use crate::message::Table;
use crate::paths::{PathId, Paths};
use crate::rib::Rib;
use crate::snapshot::{Chosen, Chunk, Snapshot};
use crate::table::{Key, Routes};

/// The chunks of a family that differ from those of the last snapshot.
#[derive(Debug)]
pub(crate) struct ChangedChunks<A> {
    chunks: Box<[bool]>,
    is_any: bool,
    family: std::marker::PhantomData<A>,
}

impl<A: Address> Default for ChangedChunks<A> {
    fn default() -> Self {
        Self { chunks: vec![false; 1 << A::CHUNK_BITS].into(), is_any: false, family: std::marker::PhantomData }
    }
}

impl<A: Address> ChangedChunks<A> {
    pub(crate) fn prefix(&mut self, first: u128, length: u8) {
        let chunk = |address| (address >> (A::BITS - A::CHUNK_BITS)) as usize;
        let changed = self.chunks.get_mut(chunk(first)..=chunk(last::<A>(first, length)));
        changed.unwrap_or_default().fill(true);
        self.is_any = true;
    }
}

/// What differs from the last snapshot.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) v4: ChangedChunks<u32>,
    pub(crate) v6: ChangedChunks<u128>,
}

impl Changed {
    pub(crate) fn prefix(&mut self, network: &Network) {
        match network.family {
            Family::V4 => self.v4.prefix(network.first, network.length),
            Family::V6 => self.v6.prefix(network.first, network.length),
        }
    }
}

impl Rib {
    /// The routes as they are now, for look-ups. What has not changed since the last call is shared with its result, and a
    /// call without a change returns the same.
    ///
    /// One change compiles about 250 routes again; a full table takes about as long as the figures of
    /// `docs/decisions/0013-bmp.md` show. Call it every few seconds, and not for each message.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        let Self { tables, paths, changed, current, .. } = self;
        if changed.v4.is_any || changed.v6.is_any {
            let mut next = Snapshot::clone(current);
            let v4: Vec<_> = tables.iter().map(|(key, table)| (key.table, &table.v4)).collect();
            recompile(&v4, paths, &mut changed.v4, &mut next.v4);
            let v6: Vec<_> = tables.iter().map(|(key, table)| (key.table, &table.v6)).collect();
            recompile(&v6, paths, &mut changed.v6, &mut next.v6);
            *current = Arc::new(next);
        }
        Arc::clone(current)
    }
}

/// Compiles the changed chunks of a family.
fn recompile<A: Address>(
    tables: &[(Table, &Routes<A>)],
    paths: &Paths,
    changed: &mut ChangedChunks<A>,
    chunks: &mut Arc<[Arc<Chunk<A>>]>,
) {
    if !mem::take(&mut changed.is_any) {
        return;
    }
    let tables: Vec<_> = tables.iter().filter(|(_, routes)| routes.len() > 0).copied().collect();
    let mut choice = Choice { candidates: Vec::new(), paths };
    let mut chosen = Vec::new();
    // The default route is not used: its AS is not that of the address.
    let mut shorter: Vec<u8> = (1..A::CHUNK_BITS).rev().collect();
    shorter.retain(|length| tables.iter().any(|(_, routes)| routes.has_length(*length)));
    // One chunk for all neighbours without prefixes of their own.
    let mut uniform = None;
    for (number, (is_changed, chunk)) in changed.chunks.iter_mut().zip(Arc::make_mut(chunks)).enumerate() {
        if !mem::take(is_changed) {
            continue;
        }
        let begin = (number as u128) << (A::BITS - A::CHUNK_BITS);
        let around = shorter.iter().find_map(|&length| {
            let prefix = first::<A>(begin, length);
            choice.gather(&tables, |routes, add| routes.of_prefix(prefix, length).for_each(add));
            choice.choose().next().map(|chosen| chosen.path)
        });
        choice.gather(&tables, |routes, add| {
            routes.within(begin, A::CHUNK_BITS).filter(|(key, ..)| key.length >= A::CHUNK_BITS).for_each(add);
        });
        chosen.clear();
        chosen.extend(choice.choose());
        if chosen.is_empty() {
            let path = around.map(Arc::as_ptr);
            let shared = uniform.take_if(|(shared, _)| *shared == path);
            let (_, shared) = uniform.insert(shared.unwrap_or_else(|| (path, Arc::new(Chunk::uniform(around)))));
            *chunk = Arc::clone(shared);
        } else {
            *chunk = Arc::new(Chunk::compile(begin, around, &chosen));
        }
    }
}

/// A route, and what decides whether it is chosen for its prefix.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    first: u128,
    length: u8,
    path_identifier: u32,
    table: Table,
    is_stale: bool,
    /// The place of its table among all.
    peer: usize,
    path: PathId,
}

struct Choice<'p> {
    candidates: Vec<Candidate>,
    paths: &'p Paths,
}

impl<'p> Choice<'p> {
    /// Finds candidates in all tables. A prefix that contains another comes first.
    fn gather<A: Address>(
        &mut self,
        tables: &[(Table, &Routes<A>)],
        visit: impl Fn(&Routes<A>, &mut dyn FnMut((Key<A>, PathId, bool))),
    ) {
        self.candidates.clear();
        for (peer, (table, routes)) in tables.iter().enumerate() {
            let table = *table;
            visit(routes, &mut |(key, path, is_stale)| {
                let Key { length, path_identifier, .. } = key;
                self.candidates.push(Candidate {
                    first: key.first(),
                    length,
                    path_identifier,
                    table,
                    is_stale,
                    peer,
                    path,
                });
            });
        }
        if tables.len() > 1 {
            self.candidates.sort_by_key(|candidate| (candidate.first, candidate.length));
        }
    }

    /// One route for each prefix: of the best table; not stale; of the highest local preference; of the shortest path; of the
    /// lowest peer address and path number (after RFC 4271, section 9.1.2).
    fn choose(&self) -> impl Iterator<Item = Chosen<'p>> {
        let paths = self.paths;
        self.candidates.chunk_by(|one, other| (one.first, one.length) == (other.first, other.length)).filter_map(
            move |candidates| {
                let best = match candidates {
                    [only] => *only,
                    several => *several.iter().min_by_key(|candidate| rank(candidate, paths))?,
                };
                Some(Chosen { first: best.first, length: best.length, path: paths.get(best.path)? })
            },
        )
    }
}

fn rank(candidate: &Candidate, paths: &Paths) -> impl Ord + use<> {
    let path = paths.get(candidate.path);
    let preference = path.map_or(0, |path| path.preference);
    let length = path.map_or(0, |path| path.length());
    let Candidate { table, is_stale, peer, path_identifier, .. } = *candidate;
    (table, is_stale, Reverse(preference), length, peer, path_identifier)
}
