//! Which flow a message is: what a consumer needs to take each flow once.

use flow::{FlushNumber, WriterId};

/// The identity of a flow: it is the same when the flow is sent again. In a partition, those of a writer only grow, but for
/// flows that are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The collector.
    pub writer: WriterId,
    /// The flush in which the flow was counted.
    pub flush: FlushNumber,
    /// Its place in the flush, from 0.
    pub index: u64,
}
