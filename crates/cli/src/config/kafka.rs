//! The settings of the stream of flows to Kafka.

use kafka::{Compression, Format, Mechanism};

use super::Access;

/// Where flows are sent, a reader of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kafka {
    /// `brokers`: some of them, each `host` or `host:port`; empty for no stream.
    pub(crate) brokers: Vec<String>,
    /// `topic`: where flows go.
    pub(crate) topic: String,
    /// `format`: how a flow is written.
    pub(crate) format: Format,
    /// `compression`: of batches.
    pub(crate) compression: Compression,
    /// `mechanism`: how the password is shown.
    pub(crate) mechanism: Mechanism,
    /// `user` and so on
    pub(crate) access: Access,
}

impl Kafka {
    /// The name of the reader of the log.
    pub(crate) const READER: &str = "kafka";

    /// Whether flows are sent.
    pub(crate) const fn is_on(&self) -> bool {
        !self.brokers.is_empty()
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: "flow-messages".to_owned(),
            format: Format::default(),
            compression: Compression::default(),
            mechanism: Mechanism::default(),
            access: Access::default(),
        }
    }
}
