//! Values of columns and keys as JSON has them.

use std::borrow::Cow;
use std::fmt;

use accounting::zone::Zone;
use archive::scan::Key;
use flow::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A value: a number; an address, a network, a MAC address or a time as text; or null for one that a record does not carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = FlowValue)]
pub enum Value {
    /// The record has none: an address is 0.0.0.0, a MAC address or a time is 0. Numbers that are missing are 0.
    None,
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// The name by which schemas refer to it: they take any type that is called `Value` for one of any JSON.
pub(crate) type FlowValue = Value;

/// Values by the name of their column or key, in their order: an object in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(pub Vec<(Cow<'static, str>, Value)>);

impl Value {
    /// The value of a column.
    pub(crate) fn new(value: columns::Value, zone: &Zone) -> Self {
        match value {
            columns::Value::Number(number) => Self::Number(number),
            columns::Value::Time(Timestamp::EPOCH)
            | columns::Value::Mac([0, 0, 0, 0, 0, 0])
            | columns::Value::Country(None)
            | columns::Value::AsPath(None) => Self::None,
            columns::Value::AsPath(Some(path)) => Self::Text(path.to_string()),
            columns::Value::Country(Some(country)) => Self::Text(country.to_string()),
            columns::Value::Time(time) => Self::Text(zone.display_time(time)),
            columns::Value::Mac([a, b, c, d, e, f]) => {
                Self::Text(format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
            }
            columns::Value::Address(address) if address.is_ipv4() && address.is_unspecified() => Self::None,
            columns::Value::Address(address) => Self::Text(address.to_string()),
        }
    }

    /// The value of a key, such as a network.
    pub(crate) fn of_key(key: Key, value: columns::Value, zone: &Zone) -> Self {
        match (key, &value) {
            (Key::Prefix(_, v4, v6), columns::Value::Address(address)) => {
                Self::Text(format!("{address}/{}", if address.is_ipv4() { v4 } else { v6 }))
            }
            _ => Self::new(value, zone),
        }
    }
}

impl Record {
    /// The values of the keys of a group.
    pub(crate) fn of_group(keys: &[Key], values: &[columns::Value], zone: &Zone) -> Self {
        let value = |(key, value): (&Key, &columns::Value)| {
            (Cow::Owned(key.to_string()), Value::of_key(*key, value.clone(), zone))
        };
        Self(keys.iter().zip(values).map(value).collect())
    }

    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(value))
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            record.0.push((Cow::Owned(name), value));
        }
        Ok(record)
    }
}
