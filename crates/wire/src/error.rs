//! What can be wrong with a datagram. An error never stops anything: it costs what it names, the rest is decoded.

use std::fmt;

/// What was wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// Octets from the start of the UDP payload.
    pub offset: usize,
    /// What was wrong; the label of a metric.
    pub kind: ErrorKind,
}

/// What was wrong with a piece of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The datagram is no export protocol that is known.
    UnknownVersion,
    /// The datagram ends before its header does.
    TruncatedHeader,
    /// The header announces more records than the datagram holds; those that are there were decoded.
    TruncatedRecords,
    /// A set says that it is shorter than its own header.
    SetTooShort,
    /// A set says that it is longer than what is left of the message.
    SetTooLong,
    /// The message says that it is shorter than its own header.
    MessageTooShort,
    /// The message says that it is longer than the datagram.
    MessageTooLong,
    /// A template set ends in the middle of a template.
    TruncatedTemplate,
    /// A template has an id below 256, or no field at all, or fields that sum to nothing or to too much.
    BadTemplate,
    /// The exporter has announced more templates than are kept for one exporter.
    TooManyTemplates,
    /// A variable-length field reaches beyond its set.
    TruncatedField,
    /// An sFlow sample or record says that it is longer than what is left of the datagram.
    TruncatedSample,
    /// An NetFlow v8 aggregation scheme, or an sFlow address or format, that does not exist.
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
