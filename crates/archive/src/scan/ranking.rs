//! The groups of an answer: the first ones in an order, and the exact sum of all others.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use columns::Value;

use super::budget::{Exceeded, Taken};
use super::group_table::Amounts;
use super::key_layout::Layout;

/// The order of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those with most octets first.
    Bytes,
    /// Those with most packets first.
    Packets,
    /// Those with most flows first.
    Flows,
    /// Those with most distinct values first.
    Distinct,
    /// By their keys: the earliest time and the smallest value first, IPv4 before IPv6.
    Keys,
}

/// Sums of the rows of groups. A sum beyond 64 bits stays at the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Records, also those without counters.
    pub rows: u64,
    /// Octets of both directions.
    pub bytes: u64,
    /// Packets of both directions.
    pub packets: u64,
    /// Flows.
    pub flows: u64,
    /// How many different values there are of what is counted distinctly; 0 if nothing is. Of several groups it is the sum of
    /// theirs, in which a value of two groups counts twice.
    pub distinct: u64,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The values of the keys, in their order. That of a prefix is the first address of the network.
    pub keys: Vec<Value>,
    /// The sums of its rows.
    pub sums: Sums,
}

/// Takes groups and keeps the first ones.
pub(crate) struct Ranking<'b> {
    order: Order,
    most: usize,
    /// The last one is on top.
    first: BinaryHeap<Ranked>,
    memory: Taken<'b>,
    pub(crate) rest: Sums,
    pub(crate) groups: u64,
}

struct Ranked {
    amount: u64,
    group: Group,
}

impl Sums {
    pub(crate) const fn new([rows, bytes, packets, flows]: Amounts, distinct: u64) -> Self {
        Self { rows, bytes, packets, flows, distinct }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.flows = self.flows.saturating_add(other.flows);
        self.distinct = self.distinct.saturating_add(other.distinct);
    }

    /// Subtracts others, which are among these; stops at zero.
    pub fn subtract(&mut self, other: Self) {
        self.rows = self.rows.saturating_sub(other.rows);
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.packets = self.packets.saturating_sub(other.packets);
        self.flows = self.flows.saturating_sub(other.flows);
        self.distinct = self.distinct.saturating_sub(other.distinct);
    }

    const fn amount(&self, order: Order) -> u64 {
        match order {
            Order::Bytes => self.bytes,
            Order::Packets => self.packets,
            Order::Flows => self.flows,
            Order::Distinct => self.distinct,
            Order::Keys => 0,
        }
    }
}

impl<'b> Ranking<'b> {
    pub(crate) fn new(order: Order, most: usize, memory: Taken<'b>) -> Self {
        Self { order, most, first: BinaryHeap::new(), memory, rest: Sums::default(), groups: 0 }
    }

    /// Takes a group that has not come yet.
    pub(crate) fn take(&mut self, layout: &Layout, words: &[u64], sums: Sums) -> Result<(), Exceeded> {
        self.groups += 1;
        let amount = sums.amount(self.order);
        let is_full = self.first.len() >= self.most;
        if is_full && self.first.peek().is_none_or(|last| amount < last.amount) {
            self.rest.add(sums);
            return Ok(());
        }
        if !is_full {
            self.memory.grow(size_of::<Ranked>() + layout.words * size_of::<Value>() * 2)?;
        }
        self.first.push(Ranked { amount, group: Group { keys: layout.values(words), sums } });
        if is_full && let Some(last) = self.first.pop() {
            self.rest.add(last.group.sums);
        }
        Ok(())
    }

    /// The first groups, in their order.
    pub(crate) fn into_groups(self) -> Vec<Group> {
        self.first.into_sorted_vec().into_iter().map(|ranked| ranked.group).collect()
    }
}

/// The greatest one is last in the answer. Groups with the same amount are in the order of their keys, so that an answer does
/// not depend on the order in which threads found them.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.amount.cmp(&self.amount).then_with(|| keys(self).cmp(&keys(other)))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

fn keys(ranked: &Ranked) -> Vec<(bool, u128, &str)> {
    ranked.group.keys.iter().map(rank).collect()
}

fn rank(value: &Value) -> (bool, u128, &str) {
    let text = if let Value::AsPath(Some(path)) = value { path } else { "" };
    let (is_v6, number) = match value {
        Value::Number(number) => (false, (*number).into()),
        Value::Country(country) => (false, country.map_or(0, flow::Country::number).into()),
        Value::Time(time) => (false, time.nanoseconds().into()),
        Value::Mac(octets) => (false, octets.iter().fold(0, |number, octet| number << 8 | u128::from(*octet))),
        Value::Address(IpAddr::V4(address)) => (false, address.to_bits().into()),
        Value::Address(IpAddr::V6(address)) => (true, address.to_bits()),
        Value::AsPath(_) => (false, 0),
    };
    (is_v6, number, text)
}

#[cfg(test)]
mod tests {
    use columns::Id;

    use super::super::budget::Budget;
    use super::super::key::Key;
    use super::*;

    fn ranked(order: Order, most: usize, groups: &[(u64, u64)]) -> (Vec<(u64, u64)>, Sums) {
        let budget = Budget::new(usize::MAX);
        let layout = Layout::new(&[Key::Column(Id::DstPort)], &[], false);
        let mut ranking = Ranking::new(order, most, budget.take(0).unwrap());
        for (port, bytes) in groups {
            ranking.take(&layout, &[*port], Sums::new([1, *bytes, 0, 0], 0)).unwrap();
        }
        assert_eq!(ranking.groups, groups.len() as u64);
        let rest = ranking.rest;
        let port = |value: &Value| if let Value::Number(port) = value { *port } else { panic!("no port") };
        let first = ranking.into_groups().into_iter().map(|group| (port(&group.keys[0]), group.sums.bytes));
        (first.collect(), rest)
    }

    const GROUPS: [(u64, u64); 5] = [(80, 10), (53, 30), (443, 30), (22, 5), (25, 20)];

    #[test]
    fn the_largest_groups_come_first_and_the_rest_is_exact() {
        let (first, rest) = ranked(Order::Bytes, 3, &GROUPS);
        assert_eq!(first, [(53, 30), (443, 30), (25, 20)]);
        assert_eq!((rest.rows, rest.bytes), (2, 15));
        let (first, rest) = ranked(Order::Bytes, 0, &GROUPS);
        assert_eq!((first, rest.bytes), (Vec::new(), 95));
    }

    #[test]
    fn equal_groups_are_in_the_order_of_their_keys_whichever_comes_first() {
        let mut groups = GROUPS;
        groups.reverse();
        for most in 0..=5 {
            assert_eq!(ranked(Order::Bytes, most, &groups), ranked(Order::Bytes, most, &GROUPS));
        }
        assert_eq!(ranked(Order::Bytes, 1, &groups).0, [(53, 30)]);
    }

    #[test]
    fn groups_are_in_the_order_of_their_keys_if_that_is_asked_for() {
        let (first, rest) = ranked(Order::Keys, 2, &GROUPS);
        assert_eq!(first, [(22, 5), (25, 20)]);
        assert_eq!(rest.bytes, 70);
    }
}
