//! What keeps flows from Kafka, and what to do.

use std::io;
use std::sync::Arc;

use thiserror::Error;

/// Why flows cannot be sent.
#[derive(Debug, Error)]
pub enum Error {
    /// A broker cannot be reached, or the connection to it ended.
    #[error("{broker}: {source}")]
    Io {
        /// Its `host:port`.
        broker: String,
        /// Why.
        source: io::Error,
    },
    /// What answers does not speak Kafka's protocol, or an older one.
    #[error(
        "{broker} sends what is no answer of Kafka: {what}; does it need TLS (kafka.tls), or is it older than 2.1?"
    )]
    Nonsense {
        /// Its `host:port`.
        broker: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The broker does not accept who we are.
    #[error("{broker} refuses user '{user}' by {mechanism}: {why}")]
    Refused {
        /// Its `host:port`.
        broker: String,
        /// The user.
        user: String,
        /// The SASL mechanism.
        mechanism: &'static str,
        /// What it says.
        why: String,
    },
    /// A broker answered with an error.
    #[error("topic '{topic}': {}", advice(*code))]
    Broker {
        /// The topic.
        topic: String,
        /// The code.
        code: i16,
    },
    /// The leader of several partitions cannot be reached.
    #[error(transparent)]
    Leader(Arc<Error>),
    /// A partition has no leader.
    #[error("topic '{topic}': partition {partition} has no leader; are its brokers running?")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: usize,
    },
    /// Records could not be compressed.
    #[error("cannot compress records: {0}")]
    Compression(io::Error),
}

/// Codes of errors (<https://kafka.apache.org/protocol#protocol_error_codes>).
pub(crate) mod code {
    pub(crate) const UNKNOWN_TOPIC: i16 = 3;
    pub(crate) const LEADER_NOT_AVAILABLE: i16 = 5;
    pub(crate) const NOT_LEADER: i16 = 6;
    pub(crate) const REQUEST_TIMED_OUT: i16 = 7;
    pub(crate) const MESSAGE_TOO_LARGE: i16 = 10;
    pub(crate) const NETWORK: i16 = 13;
    pub(crate) const INVALID_TOPIC: i16 = 17;
    pub(crate) const RECORD_LIST_TOO_LARGE: i16 = 18;
    pub(crate) const NOT_ENOUGH_REPLICAS: i16 = 19;
    pub(crate) const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
    pub(crate) const TOPIC_AUTHORIZATION: i16 = 29;
    pub(crate) const INVALID_TIMESTAMP: i16 = 32;
    pub(crate) const UNSUPPORTED_MECHANISM: i16 = 33;
    pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
    pub(crate) const DISK: i16 = 56;
    pub(crate) const SASL_FAILED: i16 = 58;
    pub(crate) const UNKNOWN_LEADER_EPOCH: i16 = 75;
    pub(crate) const UNSUPPORTED_COMPRESSION: i16 = 76;
    pub(crate) const INVALID_RECORD: i16 = 87;
}

fn advice(number: i16) -> String {
    let text = match number {
        code::UNKNOWN_TOPIC => "does not exist: create it (kafka-topics.sh --create), or set kafka.topic",
        code::LEADER_NOT_AVAILABLE | code::NOT_LEADER | code::UNKNOWN_LEADER_EPOCH | code::NETWORK => {
            "its leader is changing"
        }
        code::REQUEST_TIMED_OUT => "not all replicas in sync have acknowledged the records in time",
        code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE => {
            "refuses a batch as too large: raise its max.message.bytes"
        }
        code::INVALID_TOPIC => "is no valid name (kafka.topic)",
        code::NOT_ENOUGH_REPLICAS | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            "fewer replicas are in sync than its min.insync.replicas"
        }
        code::TOPIC_AUTHORIZATION => "may not be written: allow WRITE and DESCRIBE for the user (kafka-acls.sh)",
        code::INVALID_TIMESTAMP => "refuses times of receipt: set its message.timestamp.type to LogAppendTime",
        code::UNSUPPORTED_VERSION => {
            "the broker does not speak this version of the protocol; Kafka 2.1 or later is needed"
        }
        code::DISK => "a broker has an error of its disk",
        code::UNSUPPORTED_COMPRESSION => "does not take this compression (kafka.compression)",
        code::INVALID_RECORD => "a broker refuses a record",
        number => return format!("a broker answers with error {number}"),
    };
    text.to_owned()
}

impl Error {
    /// Whether smaller batches may be taken.
    pub(crate) const fn is_of_size(&self) -> bool {
        matches!(self, Self::Broker { code: code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE, .. })
    }
}
