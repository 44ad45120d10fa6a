//! One table of a router: Loc-RIB, or the routes of a peer before or after the policy.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use flow::Timestamp;

use crate::family::{Address, Each, Family, Network, last};
use crate::paths::PathId;

/// The place of a route in a table: by prefix, a containing prefix first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key<A: Address> {
    first: A::Octets,
    pub(crate) length: u8,
    pub(crate) path_identifier: u32,
}

impl<A: Address> Key<A> {
    fn of(network: &Network) -> Self {
        let first = A::narrow(network.first).octets();
        Self { first, length: network.length, path_identifier: network.path_identifier }
    }

    /// The first address, in the low bits.
    pub(crate) fn first(&self) -> u128 {
        self.number().widen()
    }

    /// The first address as a number.
    pub(crate) fn number(&self) -> A {
        A::of_octets(self.first)
    }

    /// All routes of a prefix.
    fn of_prefix(first: u128, length: u8) -> RangeInclusive<Self> {
        let key = |path_identifier| Self { first: A::narrow(first).octets(), length, path_identifier };
        key(0)..=key(u32::MAX)
    }

    /// All routes whose prefixes begin in a prefix.
    fn within(first: u128, length: u8) -> RangeInclusive<Self> {
        let key = |first, length, path_identifier| Self { first: A::narrow(first).octets(), length, path_identifier };
        key(first, 0, 0)..=key(last::<A>(first, length), u8::MAX, u32::MAX)
    }
}

#[derive(Clone, Copy, Debug)]
struct Route {
    path: PathId,
    generation: u32,
}

/// The routes of a family.
#[derive(Debug)]
pub(crate) struct Routes<A: Address> {
    map: BTreeMap<Key<A>, Route>,
    /// Routes of an earlier generation are stale. So all become stale in one step.
    generation: u32,
    stale: usize,
    /// How many there are of each length that is shorter than a chunk. Most lengths have none.
    short: [usize; SHORT],
}

/// More than the leading bits of a chunk.
const SHORT: usize = 17;

impl<A: Address> Default for Routes<A> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), generation: 0, stale: 0, short: [0; SHORT] }
    }
}

impl<A: Address> Routes<A> {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns the path that the route had before, and whether it was stale.
    pub(crate) fn insert(&mut self, network: &Network, path: PathId) -> Option<(PathId, bool)> {
        let before = self.map.insert(Key::of(network), Route { path, generation: self.generation });
        let Some(before) = before else {
            self.short.get_mut(usize::from(network.length)).into_iter().for_each(|count| *count += 1);
            return None;
        };
        let was_stale = before.generation != self.generation;
        self.stale -= usize::from(was_stale);
        Some((before.path, was_stale))
    }

    /// Whether there is a prefix of this length, which is shorter than a chunk.
    pub(crate) fn has_length(&self, length: u8) -> bool {
        self.short.get(usize::from(length)).is_some_and(|count| *count > 0)
    }

    /// Returns the path of the route, if it existed.
    pub(crate) fn remove(&mut self, network: &Network) -> Option<PathId> {
        let before = self.map.remove(&Key::of(network))?;
        self.short.get_mut(usize::from(network.length)).into_iter().for_each(|count| *count -= 1);
        self.stale -= usize::from(before.generation != self.generation);
        Some(before.path)
    }

    fn make_stale(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.stale = self.map.len();
    }

    /// Removes the stale routes, or all.
    pub(crate) fn sweep(&mut self, all: bool, mut removed: impl FnMut(Key<A>, PathId)) {
        if self.stale == 0 && !all {
            return;
        }
        let Self { generation, short, .. } = self;
        self.map.retain(|key, route| {
            let stays = route.generation == *generation && !all;
            if !stays {
                short.get_mut(usize::from(key.length)).into_iter().for_each(|count| *count -= 1);
                removed(*key, route.path);
            }
            stays
        });
        self.stale = 0;
    }

    /// The routes of a prefix: number and path of each, and whether it is stale.
    pub(crate) fn of_prefix(&self, first: u128, length: u8) -> impl Iterator<Item = (Key<A>, PathId, bool)> {
        self.range(Key::of_prefix(first, length))
    }

    /// The routes whose prefixes begin in this prefix.
    pub(crate) fn within(&self, first: u128, length: u8) -> impl Iterator<Item = (Key<A>, PathId, bool)> {
        self.range(Key::within(first, length))
    }

    /// All routes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<A>, PathId, bool)> {
        self.map.iter().map(|(key, route)| (*key, route.path, route.generation != self.generation))
    }

    fn range(&self, range: RangeInclusive<Key<A>>) -> impl Iterator<Item = (Key<A>, PathId, bool)> {
        self.map.range(range).map(|(key, route)| (*key, route.path, route.generation != self.generation))
    }
}

/// Routes of both families and their state.
#[derive(Debug, Default)]
pub(crate) struct TableRoutes {
    pub(crate) v4: Routes<u32>,
    pub(crate) v6: Routes<u128>,
    /// The peer is up.
    pub(crate) is_up: bool,
    /// A route was announced since the peer is up.
    pub(crate) has_begun: Each<bool>,
    /// All routes were announced since the peer is up.
    pub(crate) is_complete: Each<bool>,
    /// When stale routes go, and when a table without an end counts as complete.
    pub(crate) grace_until: Option<Timestamp>,
    stale_since: Option<Timestamp>,
}

impl TableRoutes {
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(crate) const fn stale(&self, family: Family) -> usize {
        match family {
            Family::V4 => self.v4.stale,
            Family::V6 => self.v6.stale,
        }
    }

    /// The session with the peer ended. Its routes are stale.
    pub(crate) fn down(&mut self, now: Timestamp, stale: Duration) {
        self.v4.make_stale();
        self.v6.make_stale();
        self.is_up = false;
        self.has_begun = Each::default();
        self.is_complete = Each::default();
        // A peer that flaps does not prolong it.
        if self.stale_since.is_none() {
            self.stale_since = Some(now);
            self.grace_until = Some(now.saturating_add(stale));
        }
    }

    /// The session with the peer is up. Its routes follow.
    pub(crate) fn up(&mut self, now: Timestamp, stale: Duration) {
        self.is_up = true;
        let until = now.saturating_add(stale);
        // A peer that flaps prolongs it once.
        let latest = self.stale_since.map(|since| since.saturating_add(stale * 2));
        self.grace_until = Some(latest.map_or(until, |latest| until.min(latest)));
    }

    /// Stale routes were removed: if none is left, the next time begins from the start.
    pub(crate) fn swept(&mut self) {
        if self.v4.stale + self.v6.stale == 0 {
            self.stale_since = None;
        }
    }

    /// The end of the grace: nothing is stale any more.
    pub(crate) fn settle(&mut self) {
        self.grace_until = None;
        self.stale_since = None;
        if self.is_up {
            self.is_complete = Each { v4: true, v6: true };
        }
    }
}
