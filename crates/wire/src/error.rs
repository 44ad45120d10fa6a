//! Errors in datagrams. An error affects only the piece that it names; the rest is decoded.

use std::fmt;

/// An error and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// Octets from the start of the UDP payload.
    pub offset: usize,
    /// The kind of error; the label of a metric.
    pub kind: ErrorKind,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The datagram has no known version.
    UnknownVersion,
    /// The datagram ends within its header.
    TruncatedHeader,
    /// The datagram has fewer records than its header announces; those were decoded.
    TruncatedRecords,
    /// The length of a set is less than that of its header.
    SetTooShort,
    /// The length of a set exceeds the rest of the message.
    SetTooLong,
    /// The length of the message is less than that of its header.
    MessageTooShort,
    /// The length of the message exceeds the datagram.
    MessageTooLong,
    /// A template set ends within a template.
    TruncatedTemplate,
    /// A template has an id below 256, no field, or a record that is too long.
    BadTemplate,
    /// A template of a connection has the id of another one that was not withdrawn. It replaces that.
    RedefinedTemplate,
    /// A withdrawal of a template that there is not.
    UnknownWithdrawal,
    /// The exporter has announced more templates than are stored for one exporter.
    TooManyTemplates,
    /// A variable-length field exceeds its set.
    TruncatedField,
    /// The length of an sFlow sample or record exceeds the rest of the datagram.
    TruncatedSample,
    /// A NetFlow v8 aggregation scheme, sFlow address type or sFlow format that does not exist.
    UnknownFormat,
}

impl ErrorKind {
    /// Metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownVersion => "unknown_version",
            Self::TruncatedHeader => "truncated_header",
            Self::TruncatedRecords => "truncated_records",
            Self::SetTooShort => "set_too_short",
            Self::SetTooLong => "set_too_long",
            Self::MessageTooShort => "message_too_short",
            Self::MessageTooLong => "message_too_long",
            Self::TruncatedTemplate => "truncated_template",
            Self::BadTemplate => "bad_template",
            Self::RedefinedTemplate => "redefined_template",
            Self::UnknownWithdrawal => "unknown_withdrawal",
            Self::TooManyTemplates => "too_many_templates",
            Self::TruncatedField => "truncated_field",
            Self::TruncatedSample => "truncated_sample",
            Self::UnknownFormat => "unknown_format",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.kind.name(), self.offset)
    }
}

impl std::error::Error for DecodeError {}
