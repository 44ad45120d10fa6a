//! Where flows go, and how.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::record_batch::Compression;
use crate::sasl::Login;

/// How to reach Kafka, and what to send.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Some brokers of the cluster, each `host:port`.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// How a flow is written.
    pub format: Format,
    /// What batches are compressed with.
    pub compression: Compression,
    /// Who the collector is; `None` if brokers do not ask.
    pub login: Option<Login>,
    /// How connections are encrypted; `None` if they are not.
    pub tls: Option<Arc<ClientConfig>>,
}

/// How a flow is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A protobuf message, with its length before it: as goflow2 writes it, and as ClickHouse reads `Protobuf`.
    #[default]
    Delimited,
    /// A protobuf message alone: as most libraries read it, and ClickHouse `ProtobufSingle`.
    Single,
    /// An object of JSON.
    Json,
}
