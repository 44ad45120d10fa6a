//! The sequence numbers of sFlow: an agent numbers its datagrams, and each of its data sources numbers samples.
//! [`crate::sequence`] follows them.

use std::net::IpAddr;

use crate::cursor::Cursor;

/// A sequence number of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceNumber {
    /// The address of the agent as the header has it: several may send from one address, and one from several.
    pub agent: IpAddr,
    /// The part of the agent that has its own numbers; 0 before version 5.
    pub sub_agent: u32,
    /// What is numbered.
    pub of: Numbered,
    /// The number: each is one more than the one before.
    pub number: u32,
    /// Milliseconds since the agent started, when it sent the datagram.
    pub uptime: u32,
}

/// What a sequence number numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Numbered {
    /// The datagrams of a sub-agent.
    Datagrams,
    /// The flow samples of a source.
    FlowSamples(DataSource),
    /// The counter samples of a source.
    CounterSamples(DataSource),
    /// The notifications of dropped packets of a source.
    Drops(DataSource),
}

/// A source of samples (SFLOW-MIB, `SFlowDataSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataSource {
    /// 0 interface, 1 VLAN, 2 physical entity, 3 logical entity.
    pub kind: u32,
    /// Index among those of its kind.
    pub index: u32,
}

impl DataSource {
    /// Eight bits of kind, 24 bits of index.
    pub(crate) fn compact(octets: &mut Cursor<'_>) -> Option<Self> {
        octets.u32().map(|word| Self { kind: word >> 24, index: word & 0x00ff_ffff })
    }

    /// A word of each.
    pub(crate) fn expanded(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Self { kind: octets.u32()?, index: octets.u32()? })
    }
}
