//! The TCP connections over which exporters send IPFIX messages, plain or with TLS.

use std::net::{IpAddr, SocketAddr};

use flow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::json;

/// The listener for export connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportConnections {
    /// The addresses that it listens on.
    pub listening: Vec<ListeningAddress>,
    /// How many export connections are open.
    pub open: u64,
    /// How many can be open at a time.
    pub limit: u64,
    /// How many of one sender can be open at a time.
    pub limit_per_sender: u64,
    /// The connections that were refused, the last of each address, the most recent first, at most 64.
    pub refused: Vec<RefusedExportConnection>,
    /// What was counted since the start; shown as counters.
    #[serde(skip)]
    #[schema(ignore)]
    pub counts: ExportConnectionCounts,
}

/// An address at which export connections are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListeningAddress {
    /// The address.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Whether TLS is required there.
    pub tls: bool,
}

/// What export connections did since the start, of all senders together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportConnectionCounts {
    /// Those that were accepted, those with TLS after their handshake.
    pub accepted: u64,
    /// Those that were refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Those that have ended, by reason.
    pub ended: Vec<(&'static str, u64)>,
    /// Messages.
    pub messages: u64,
    /// Their size.
    pub bytes: u64,
}

/// An open export connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportConnection {
    /// The port of the exporter.
    pub port: u16,
    /// The address of the collector that it was accepted at.
    #[schema(value_type = String)]
    pub listening: SocketAddr,
    /// How it is encrypted; null without TLS, and until the handshake is complete.
    pub tls: Option<TlsOfConnection>,
    /// When it was accepted, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// When its last message was received, RFC 3339; null before the first one.
    #[serde(serialize_with = "json::optional_text")]
    #[schema(value_type = Option<String>)]
    pub last: Option<Timestamp>,
    /// Its messages.
    pub messages: u64,
    /// Their size.
    pub bytes: u64,
}

/// How an export connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsOfConnection {
    /// The version of TLS: `1.2` or `1.3`.
    pub version: &'static str,
    /// The name in the certificate of the exporter by which it was verified; null if none was demanded.
    pub certificate_name: Option<String>,
}

/// How the last export connection of an exporter ended that is over, or failed in its TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EndedExportConnection {
    /// The connection, as it was at its end.
    #[serde(flatten)]
    pub connection: ExportConnection,
    /// When it ended, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// `closed` by the exporter; `closed_inside_message`, the same before a message was whole; `malformed`, a length or version
    /// that cannot be; `incomplete`, a message that was not whole in time; `lost`, the connection; `unregistered`, the sender;
    /// `not_listening`, the address; `stopped`, the collector; `kept` for the next run of the collector. With TLS, also
    /// `closed_without_notice`, `no_certificate`, `unknown_authority`, `expired_certificate`, `wrong_name`, `bad_certificate`,
    /// `not_tls`, `handshake_incomplete` and `tls_error`.
    pub kind: &'static str,
    /// Why, in words.
    pub reason: String,
}

/// An export connection that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedExportConnection {
    /// Where it came from.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Why: `unregistered`, `too_many_of_sender`, `too_many`, `too_often`, or `same_port` (an open connection has the same port);
    /// or why its TLS handshake failed, as in [`EndedExportConnection::kind`].
    pub reason: &'static str,
    /// How many of this address were refused since it was first noticed; a lower bound.
    pub count: u64,
    /// When, RFC 3339.
    #[serde(serialize_with = "json::text")]
    #[schema(value_type = String)]
    pub last: Timestamp,
}
