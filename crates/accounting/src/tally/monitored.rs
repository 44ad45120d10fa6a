//! What is monitored for a sender: its prefixes, and the number under which a tally counts each of them.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Prefix;

use super::open_minutes::Chain;
use crate::prefix_table::PrefixTable;

/// The number of a (sender, prefix). Small and dense: the first one is 0, the next 1, and so on, because tallies use it as
/// an index. The number of a prefix that is no longer monitored may be used for another one at once: a tally keeps the
/// counts of different [`Monitored`] apart, even those with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// What is monitored for one sender. Made once for each change of its registration, shared by all shards.
#[derive(Clone, Debug)]
pub struct Monitored {
    sender: IpAddr,
    prefixes: Vec<(Prefix, GroupId)>,
    /// For each prefix, with what is around it.
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

    /// The monitored prefixes, as they were given.
    #[must_use]
    pub fn prefixes(&self) -> &[(Prefix, GroupId)] {
        &self.prefixes
    }

    /// Where an address is looked up.
    #[must_use]
    pub fn table(&self) -> &PrefixTable {
        &self.table
    }
}
