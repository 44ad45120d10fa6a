//! What arrived from each sender, and when a collector ran: blocks of a reserved prefix, which no flow can match. They are
//! made with the blocks of a flush and stored in the same step, so they are as exact as its counters, and are rolled up,
//! copied and deleted like these.
//!
//! | sender | direction | bytes | packets | flows |
//! | --- | --- | --- | --- | --- |
//! | a sender | in: arrived | octets of export datagrams | datagrams | records |
//! | a sender | out: lost | 0 | datagrams | records |
//! | `::` | in | 0 | 0 | 1 for a minute in which the collector ran |
//! | `::` | out | 0 | 0 | 1 for a minute of captures, which an import counted |
//!
//! Packets or flows are those of streams whose sequence numbers count datagrams or records. A minute is that of the
//! receive time.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use flow::{Counters, FlushNumber, Prefix, WriterId};

use crate::about_all::AboutAll;
use crate::block::{Block, BlockKey, Tables};
use crate::direction::Direction;
use crate::field::{FieldSet, Name};
use crate::period::{Interval, Minute, Period};

/// The prefix of presence. The unspecified address is in no packet, and is refused as a monitored prefix.
pub const PREFIX: Prefix = Prefix::UNSPECIFIED;

/// The sender under which the minutes of a collector are.
pub const COLLECTOR: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Who counted in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountedBy {
    /// A collector that ran then.
    #[default]
    Collector,
    /// An import of captures of that time. No collector may have run on the store yet.
    Import,
}

/// What arrived from a sender in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The sender.
    pub sender: IpAddr,
    /// The minute, by receive time.
    pub minute: Minute,
    /// The octets of its datagrams, and what arrived by its sequence numbers.
    pub arrived: Counters,
    /// What was lost before this, by its sequence numbers.
    pub lost: Counters,
}

/// Whether a block has the minutes in which a collector ran.
pub(crate) fn is_of_collector(key: &BlockKey) -> bool {
    key.prefix == PREFIX && key.sender == COLLECTOR
}

/// The blocks of a flush: one for each sender and minute, and one for each minute that was counted.
#[must_use]
pub fn blocks(
    arrived: &[Arrived],
    (counted, by): (&BTreeSet<Minute>, CountedBy),
    writer: WriterId,
    number: FlushNumber,
) -> Vec<Block> {
    let direction = if by == CountedBy::Collector { Direction::In } else { Direction::Out };
    let block = |sender, minute, counted: &[(Direction, Counters)]| {
        let mut tables = Tables::new();
        for (direction, counters) in counted.iter().filter(|(_, counters)| !counters.is_zero()) {
            tables.add(*direction, Name::ALL, *counters);
            tables.note(*direction, AboutAll { complete: FieldSet::LEAST, ..AboutAll::NOTHING });
        }
        let interval = Interval { period: Period::Minute, start: minute };
        tables.blocks(interval, sender, PREFIX, writer, number.into())
    };
    let of_collector = counted.iter().flat_map(|minute| {
        let one = Counters { bytes: 0, packets: 0, flows: 1 };
        block(COLLECTOR, *minute, &[(direction, one)])
    });
    let of_senders = arrived.iter().flat_map(|Arrived { sender, minute, arrived, lost }| {
        block(*sender, *minute, &[(Direction::In, *arrived), (Direction::Out, *lost)])
    });
    of_collector.chain(of_senders).collect()
}
