//! The fields that flows are counted by, one declared row each, and the names of their counters.
//!
//! A name is what the REST interface shows: `all`, `proto:6`, `srcas:34868`, `srcip:2001:db8::1`. Protocols and ports are also
//! read by their own names (`proto:tcp`, `dstport:https`), and always shown as numbers. To add a field, add a
//! variant of [`Field`], its row in `ROWS` and its case in `FlowKey::value` (`tally/booking.rs`; an address needs its room
//! there). Its number is written in stored blocks, so rows are only ever appended.

mod name;
mod set;

use std::net::IpAddr;

use flow::{Country, FlowRecord, canonical};
use names::Names;

pub use name::{Name, NameError};
pub use set::FieldSet;

/// What flows are counted by within a prefix and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Everything.
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
    /// SNMP index of the input interface.
    InputInterface,
    /// SNMP index of the output interface.
    OutputInterface,
    /// Country of the source.
    SourceCountry,
    /// Country of the destination.
    DestinationCountry,
    /// The 5 minutes of `all`, by the number of their first minute. No flow is counted by it: a roll-up makes it of minutes
    /// ([`five_minutes`](crate::five_minutes)). It has the last number, so that fields to count follow each other.
    FiveMinutes = 15,
}

/// Everything about one field.
struct FieldRow {
    /// The field. Its position in [`ROWS`] is its number.
    field: Field,
    /// Its name in the REST interface.
    name: &'static str,
    /// A description of its values, for documents.
    meaning: &'static str,
    /// The largest value; `None` if values are addresses.
    largest_number: Option<u32>,
    /// Reads the value from a flow.
    value_of: fn(&FlowRecord) -> Value,
    /// The field that has this value in the reverse direction of the flow.
    reverse: Field,
    /// Whether it is counted by default.
    by_default: bool,
    /// The names of its values, if they have names.
    names: Option<fn() -> &'static Names>,
}

/// One row a field, in the order of their numbers.
const ROWS: &[FieldRow; 12] = &[
    FieldRow {
        field: Field::All,
        name: "all",
        meaning: "everything",
        largest_number: Some(0),
        value_of: |_| Value::Number(0),
        reverse: Field::All,
        by_default: true,
        names: None,
    },
    FieldRow {
        field: Field::Protocol,
        name: "proto",
        meaning: "IP protocol",
        largest_number: Some(u8::MAX as u32),
        value_of: |flow| Value::Number(flow.protocol.into()),
        reverse: Field::Protocol,
        by_default: true,
        names: Some(names::protocols),
    },
    FieldRow {
        field: Field::SourceAddress,
        name: "srcip",
        meaning: "source address",
        largest_number: None,
        value_of: |flow| Value::Address(flow.source),
        reverse: Field::DestinationAddress,
        by_default: true,
        names: None,
    },
    FieldRow {
        field: Field::SourcePort,
        name: "srcport",
        meaning: "source port",
        largest_number: Some(u16::MAX as u32),
        value_of: |flow| Value::Number(flow.ports().0.into()),
        reverse: Field::DestinationPort,
        by_default: true,
        names: Some(names::ports),
    },
    FieldRow {
        field: Field::SourceAs,
        name: "srcas",
        meaning: "AS of the source",
        largest_number: Some(u32::MAX),
        value_of: |flow| Value::Number(flow.source_as),
        reverse: Field::DestinationAs,
        by_default: true,
        names: None,
    },
    FieldRow {
        field: Field::DestinationAddress,
        name: "dstip",
        meaning: "destination address",
        largest_number: None,
        value_of: |flow| Value::Address(flow.destination),
        reverse: Field::SourceAddress,
        by_default: true,
        names: None,
    },
    FieldRow {
        field: Field::DestinationPort,
        name: "dstport",
        meaning: "destination port",
        largest_number: Some(u16::MAX as u32),
        value_of: |flow| Value::Number(flow.ports().1.into()),
        reverse: Field::SourcePort,
        by_default: true,
        names: Some(names::ports),
    },
    FieldRow {
        field: Field::DestinationAs,
        name: "dstas",
        meaning: "AS of the destination",
        largest_number: Some(u32::MAX),
        value_of: |flow| Value::Number(flow.destination_as),
        reverse: Field::SourceAs,
        by_default: true,
        names: None,
    },
    FieldRow {
        field: Field::InputInterface,
        name: "inif",
        meaning: "SNMP index of the input interface",
        largest_number: Some(u32::MAX),
        value_of: |flow| Value::Number(flow.input_interface),
        reverse: Field::OutputInterface,
        by_default: false,
        names: None,
    },
    FieldRow {
        field: Field::OutputInterface,
        name: "outif",
        meaning: "SNMP index of the output interface",
        largest_number: Some(u32::MAX),
        value_of: |flow| Value::Number(flow.output_interface),
        reverse: Field::InputInterface,
        by_default: false,
        names: None,
    },
    FieldRow {
        field: Field::SourceCountry,
        name: "srccountry",
        meaning: "country of the source",
        largest_number: Some(u16::MAX as u32),
        value_of: |flow| Value::Number(flow.source_country.into()),
        reverse: Field::DestinationCountry,
        by_default: false,
        names: None,
    },
    FieldRow {
        field: Field::DestinationCountry,
        name: "dstcountry",
        meaning: "country of the destination",
        largest_number: Some(u16::MAX as u32),
        value_of: |flow| Value::Number(flow.destination_country.into()),
        reverse: Field::SourceCountry,
        by_default: false,
        names: None,
    },
];

/// The row of [`Field::FiveMinutes`].
const FIVE_MINUTES: FieldRow = FieldRow {
    field: Field::FiveMinutes,
    name: "5min",
    meaning: "the 5 minutes of all",
    largest_number: Some(u32::MAX),
    value_of: |_| Value::Number(0),
    reverse: Field::FiveMinutes,
    by_default: false,
    names: None,
};

/// One value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// A protocol, port, AS or interface number; 0 for [`Field::All`].
    Number(u32),
    /// An address.
    Address(IpAddr),
}

/// The names of fields, with commas between them.
pub(crate) fn names_of(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
}

impl Field {
    /// All fields that flows are counted by, in the order of their numbers; `field as usize` is the number.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub const ALL: [Self; ROWS.len()] = {
        let mut fields = [Self::All; ROWS.len()];
        let mut number = 0;
        while number < ROWS.len() {
            fields[number] = ROWS[number].field;
            number += 1;
        }
        fields
    };

    /// All fields of stored tables, in the order of their numbers.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub const STORED: [Self; ROWS.len() + 1] = {
        let mut fields = [Self::FiveMinutes; ROWS.len() + 1];
        let mut number = 0;
        while number < ROWS.len() {
            fields[number] = Self::ALL[number];
            number += 1;
        }
        fields
    };

    #[expect(clippy::indexing_slicing, reason = "every field has its row")]
    const fn row(self) -> &'static FieldRow {
        if matches!(self, Self::FiveMinutes) { &FIVE_MINUTES } else { &ROWS[self as usize] }
    }

    /// Its position in [`STORED`](Self::STORED).
    pub(crate) const fn position(self) -> usize {
        if matches!(self, Self::FiveMinutes) { ROWS.len() } else { self as usize }
    }

    /// The name of the field in the REST interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// A description of its values, for documents.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// The largest value of this field; `None` for the address fields.
    #[must_use]
    pub const fn largest_number(self) -> Option<u32> {
        self.row().largest_number
    }

    /// Whether its values are countries: numbers of letters, or 0 if the country is unknown.
    #[must_use]
    pub const fn is_country(self) -> bool {
        matches!(self, Self::SourceCountry | Self::DestinationCountry)
    }

    /// Whether its values are addresses.
    #[must_use]
    pub const fn is_address(self) -> bool {
        self.largest_number().is_none()
    }

    /// The value that a flow has for this field.
    #[must_use]
    pub fn value_of(self, flow: &FlowRecord) -> Value {
        (self.row().value_of)(flow)
    }

    /// The value of a numeric field in a flow; 0 for the address fields.
    #[must_use]
    pub fn number_of(self, flow: &FlowRecord) -> u32 {
        match self.value_of(flow) {
            Value::Number(number) => number,
            Value::Address(_) => 0,
        }
    }

    /// The field that has the same value in a flow's reverse direction: `dstip` for `srcip`.
    #[must_use]
    pub const fn reverse(self) -> Self {
        self.row().reverse
    }

    /// The names of its values, if they have names.
    #[must_use]
    pub fn names(self) -> Option<&'static Names> {
        self.row().names.map(|names| names())
    }

    /// Reads a value: an address, a number, or a name.
    ///
    /// # Errors
    /// What is wrong with the text, and what is expected.
    fn read(self, text: &str) -> Result<Value, String> {
        let field = self.name();
        let Some(largest) = self.largest_number() else {
            let address =
                text.parse().map_err(|_| format!("write {field} with an address, such as {field}:192.0.2.1"))?;
            return Ok(Value::Address(canonical(address)));
        };
        if self.is_country() {
            let known = Country::new(text).map(Country::number).or_else(|| (text == "0").then_some(0));
            let number =
                known.ok_or_else(|| format!("write {field} with two letters, such as {field}:CH, or with 0"))?;
            return Ok(Value::Number(number.into()));
        }
        // The parser accepts `+6`, which is not a valid name.
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { text.parse().ok() } else { self.names().and_then(|names| names.number(text)) };
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number <= largest) {
            return Ok(Value::Number(number));
        }
        let Some(names) = self.names() else {
            return Err(format!("write {field} with a number from 0 to {largest}"));
        };
        Err(match names.nearest(text).filter(|_| !is_number) {
            Some(nearest) => format!("did you mean {field}:{nearest}?"),
            None => format!("write {field} with a number from 0 to {largest}, or with a name of docs/filter.md"),
        })
    }

    /// Whether it is counted by default.
    #[must_use]
    pub const fn is_counted_by_default(self) -> bool {
        self.row().by_default
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
        for (index, field) in Field::STORED.into_iter().enumerate() {
            assert_eq!((field.position(), field.row().field), (index, field));
        }
    }

    #[test]
    fn the_reverse_of_a_flow_has_each_value_under_the_reverse_field() {
        let flow = FlowRecord {
            source: "192.0.2.1".parse().unwrap(),
            destination: "2001:db8::1".parse().unwrap(),
            protocol: 6,
            source_port: 1,
            destination_port: 2,
            source_as: 3,
            destination_as: 4,
            input_interface: 5,
            output_interface: 6,
            source_country: 7,
            destination_country: 8,
            ..FlowRecord::empty(flow::Timestamp::EPOCH)
        };
        for field in Field::ALL {
            assert_eq!(field.reverse().value_of(&flow.reversed()), field.value_of(&flow), "{}", field.name());
            assert_eq!(field.reverse().reverse(), field);
            assert_eq!(field.is_address(), matches!(field.value_of(&flow), Value::Address(_)));
        }
    }
}
