//! The monitored prefixes of a sender, and the number under which a tally counts each of them.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Prefix;

use super::open_minutes::Chain;
use crate::prefix_table::PrefixTable;

/// The number of a (sender, prefix). Numbers are dense, from 0, because tallies use them as indices. The number of a
/// removed prefix may be reused at once: a tally separates the counts of different [`Monitored`], even with the same
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// The monitored prefixes of one sender. Created at each change of its registration, and shared by all shards.
#[derive(Clone, Debug)]
pub struct Monitored {
    sender: IpAddr,
    prefixes: Vec<(Prefix, GroupId)>,
    /// For each prefix, the chain of prefixes around it.
    pub(super) chains: Vec<(GroupId, Arc<Chain>)>,
    pub(super) table: PrefixTable,
}

impl Monitored {
    /// The sender and its monitored prefixes.
    #[must_use]
    pub fn new(sender: IpAddr, prefixes: &[(Prefix, GroupId)]) -> Self {
        let bare: Vec<Prefix> = prefixes.iter().map(|(prefix, _)| *prefix).collect();
        let table = PrefixTable::new(&bare);
        let chain = |(index, (_, id)): (u32, &(Prefix, GroupId))| {
            let mut around = Vec::new();
            table.walk(index, &mut |index| around.extend(bare.get(index as usize)));
            (*id, Arc::new(Chain { sender, prefixes: around.into() }))
        };
        let chains = (0..).zip(prefixes).map(chain).collect();
        Self { sender, prefixes: prefixes.to_vec(), chains, table }
    }

    /// The sender.
    #[must_use]
    pub fn sender(&self) -> IpAddr {
        self.sender
    }

    /// The monitored prefixes, in the given order.
    #[must_use]
    pub fn prefixes(&self) -> &[(Prefix, GroupId)] {
        &self.prefixes
    }

    /// The table for look-ups.
    #[must_use]
    pub fn table(&self) -> &PrefixTable {
        &self.table
    }
}
