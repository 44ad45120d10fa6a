//! The eight fields that flows are counted by, and the names of their counters.
//!
//! A name is what the REST interface shows: `all`, `proto:6`, `srcas:34868`, `srcip:2001:db8::1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use flow::{FlowRecord, canonical};

/// What flows are told apart by within a prefix and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Everything, not told apart.
    All,
    /// IP protocol number.
    Protocol,
    /// Source address.
    SourceAddress,
    /// Source transport port.
    SourcePort,
    /// AS number of the source.
    SourceAs,
    /// Destination address.
    DestinationAddress,
    /// Destination transport port.
    DestinationPort,
    /// AS number of the destination.
    DestinationAs,
}

/// One value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// A protocol, port or AS number; 0 for [`Field::All`].
    Number(u32),
    /// An address.
    Address(IpAddr),
}

/// The name of a counter: a field and one of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The field.
    pub field: Field,
    /// The value; its kind is the one of the field.
    pub value: Value,
}

/// A text that names no counter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a name: write all, or one of proto, srcip, srcport, srcas, dstip, dstport, dstas with a value, such as proto:6 or srcip:192.0.2.1"
)]
pub struct NameError(pub String);

impl Field {
    /// All fields, in the order of their declaration; `field as usize` indexes it.
    pub const ALL: [Self; 8] = [
        Self::All,
        Self::Protocol,
        Self::SourceAddress,
        Self::SourcePort,
        Self::SourceAs,
        Self::DestinationAddress,
        Self::DestinationPort,
        Self::DestinationAs,
    ];

    /// The name of the field in the REST interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Protocol => "proto",
            Self::SourceAddress => "srcip",
            Self::SourcePort => "srcport",
            Self::SourceAs => "srcas",
            Self::DestinationAddress => "dstip",
            Self::DestinationPort => "dstport",
            Self::DestinationAs => "dstas",
        }
    }

    /// The largest number that is a value of this field; `None` for the address fields.
    #[must_use]
    pub const fn largest_number(self) -> Option<u32> {
        match self {
            Self::All => Some(0),
            Self::Protocol => Some(u8::MAX as u32),
            Self::SourcePort | Self::DestinationPort => Some(u16::MAX as u32),
            Self::SourceAs | Self::DestinationAs => Some(u32::MAX),
            Self::SourceAddress | Self::DestinationAddress => None,
        }
    }

    /// Whether its values are addresses.
    #[must_use]
    pub const fn is_address(self) -> bool {
        self.largest_number().is_none()
    }

    /// The value that a flow has for this field.
    #[must_use]
    pub fn value_of(self, flow: &FlowRecord) -> Value {
        match self {
            Self::All => Value::Number(0),
            Self::Protocol => Value::Number(flow.protocol.into()),
            Self::SourceAddress => Value::Address(flow.source),
            Self::SourcePort => Value::Number(flow.source_port.into()),
            Self::SourceAs => Value::Number(flow.source_as),
            Self::DestinationAddress => Value::Address(flow.destination),
            Self::DestinationPort => Value::Number(flow.destination_port.into()),
            Self::DestinationAs => Value::Number(flow.destination_as),
        }
    }
}

impl Name {
    /// The counter of everything.
    pub const ALL: Self = Self { field: Field::All, value: Value::Number(0) };
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field, self.value) {
            (Field::All, _) => f.write_str("all"),
            (field, Value::Number(number)) => write!(f, "{}:{number}", field.name()),
            (field, Value::Address(address)) => write!(f, "{}:{address}", field.name()),
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError(text.to_owned());
        if text == "all" {
            return Ok(Self::ALL);
        }
        let (field, value) = text.split_once(':').ok_or_else(error)?;
        let field = Field::ALL.into_iter().skip(1).find(|f| f.name() == field).ok_or_else(error)?;
        let value = match field.largest_number() {
            None => Value::Address(canonical(value.parse().map_err(|_| error())?)),
            Some(largest) => {
                // `+6` is a number to the parser, not a name to us.
                if !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(error());
                }
                Value::Number(value.parse().ok().filter(|number| *number <= largest).ok_or_else(error)?)
            }
        };
        Ok(Self { field, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_all_is_in_the_order_of_declaration() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
        }
    }

    #[test]
    fn names_read_as_they_show() {
        for text in [
            "all",
            "proto:6",
            "srcip:192.0.2.1",
            "srcip:2001:db8::1",
            "srcport:65535",
            "srcas:4294967295",
            "dstip:::",
            "dstport:0",
            "dstas:34868",
        ] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
        }
        assert_eq!("srcip:2001:DB8:0:0::1".parse::<Name>().unwrap().to_string(), "srcip:2001:db8::1");
        assert_eq!("dstip:::ffff:192.0.2.1".parse::<Name>().unwrap().to_string(), "dstip:192.0.2.1");
    }

    #[test]
    fn other_texts_are_refused_with_the_text() {
        for text in [
            "",
            "All",
            "all:0",
            "proto",
            "proto:",
            "proto:256",
            "proto:+6",
            "proto:tcp",
            "srcip:10.0.0",
            "srcport:65536",
            "srcas:-1",
            "mac:1",
        ] {
            assert_eq!(text.parse::<Name>(), Err(NameError(text.to_owned())));
        }
    }
}
