//! The monitored prefixes of a sender, and the number under which a tally counts each of them.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Prefix;

use super::open_minutes::Chain;
use crate::direction::{Ends, attribute};
use crate::prefix_table::{NONE, PrefixTable};
use crate::table::ValueKey;

/// The networks of the operator. A flow between two of their addresses is local.
#[derive(Clone, Debug, Default)]
pub struct OwnNetworks(Option<Arc<Stated>>);

#[derive(Debug)]
struct Stated {
    prefixes: Box<[Prefix]>,
    table: PrefixTable,
}

impl OwnNetworks {
    /// These, instead of the monitored prefixes of each sender.
    #[must_use]
    pub fn stated(prefixes: &[Prefix]) -> Self {
        Self(Some(Arc::new(Stated { prefixes: prefixes.into(), table: PrefixTable::new(prefixes) })))
    }

    /// `None` if they are the monitored prefixes of each sender, without default routes.
    #[must_use]
    pub fn prefixes(&self) -> Option<&[Prefix]> {
        Some(&self.0.as_ref()?.prefixes)
    }
}

impl PartialEq for OwnNetworks {
    fn eq(&self, other: &Self) -> bool {
        let is_same = self.0.as_ref().zip(other.0.as_ref()).is_some_and(|(one, other)| Arc::ptr_eq(one, other));
        is_same || self.prefixes() == other.prefixes()
    }
}

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
    table: PrefixTable,
    own: OwnNetworks,
    has_default_route: bool,
}

impl Monitored {
    /// The sender and its monitored prefixes, which are the own networks.
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
        let has_default_route = bare.iter().any(Prefix::is_default_route);
        Self { sender, prefixes: prefixes.to_vec(), chains, table, own: OwnNetworks::default(), has_default_route }
    }

    /// The same, with these own networks.
    #[must_use]
    pub fn with_own(self, own: OwnNetworks) -> Self {
        Self { own, ..self }
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

    /// The networks that it was created with.
    #[must_use]
    pub fn own(&self) -> &OwnNetworks {
        &self.own
    }

    /// The prefixes around the ends of a flow, with its directions.
    #[inline]
    pub(crate) fn ends(&self, source: ValueKey, destination: ValueKey) -> Ends {
        self.ends_in(|table| (table.innermost(source), table.innermost(destination)))
    }

    /// The same for IPv4 addresses.
    #[inline]
    pub(super) fn ipv4_ends(&self, source: u32, destination: u32) -> Ends {
        self.ends_in(|table| (table.innermost_ipv4(source), table.innermost_ipv4(destination)))
    }

    fn is_default_route(&self, index: u32) -> bool {
        self.prefixes.get(index as usize).is_some_and(|(prefix, _)| prefix.is_default_route())
    }

    #[inline(always)]
    fn ends_in(&self, look_up: impl Fn(&PrefixTable) -> (u32, u32)) -> Ends {
        let (source, destination) = look_up(&self.table);
        attribute(source, destination, |are_monitored| match &self.own.0 {
            None => {
                are_monitored
                    && !(self.has_default_route && [source, destination].iter().any(|end| self.is_default_route(*end)))
            }
            Some(own) => {
                let (source, destination) = look_up(&own.table);
                source != NONE && destination != NONE
            }
        })
    }
}
