//! What the records of MaxMind databases have for us. Each publisher has its own names:
//!
//! | database | AS number | AS name | country |
//! | --- | --- | --- | --- |
//! | GeoLite2-ASN, DB-IP ASN Lite | `autonomous_system_number` | `autonomous_system_organization` | |
//! | GeoLite2-Country and -City, DB-IP | | | `country`.`iso_code` |
//! | IPinfo Lite | `asn` (`AS15169`) | `as_name` | `country_code` |
//! | IPinfo Country ASN | `asn` | `as_name` | `country` |
//! | ip-location-db | `autonomous_system_number` | `autonomous_system_organization` | `country_code` |
//!
//! `registered_country` is not used: it is where the holder is registered, not where the network is.

use std::fmt;

use flow::Country;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::text::as_number;

/// A record.
#[derive(Debug, Default)]
pub(super) struct Record<'o> {
    pub(super) asn: Option<u32>,
    pub(super) name: Option<&'o str>,
    pub(super) country: Option<Country>,
    /// Octets and values that were read.
    pub(super) work: u64,
}

impl<'o> Deserialize<'o> for Record<'o> {
    fn deserialize<D: Deserializer<'o>>(deserializer: D) -> Result<Self, D::Error> {
        let mut work = 0;
        let value = Reading { work: &mut work, levels_left: LEVELS }.deserialize(deserializer)?;
        let Fields { asn, name, country, .. } = if let Value::Map(fields) = value { fields } else { Fields::default() };
        Ok(Self { asn, name, country, work })
    }
}

/// How deep values are nested in a record. Real ones have 3 levels.
const LEVELS: u32 = 16;

/// A value of which all that is not needed is gone.
enum Value<'o> {
    Number(u64),
    Text(&'o str),
    Map(Fields<'o>),
    Other,
}

/// What a map may have.
#[derive(Default)]
struct Fields<'o> {
    asn: Option<u32>,
    name: Option<&'o str>,
    country: Option<Country>,
    iso_code: Option<Country>,
}

impl<'o> Fields<'o> {
    fn set(&mut self, key: &str, value: &Value<'o>) {
        match (key, value) {
            ("autonomous_system_number" | "asn", Value::Number(asn)) => self.asn = u32::try_from(*asn).ok(),
            ("autonomous_system_number" | "asn", Value::Text(asn)) => {
                self.asn = as_number(asn.as_bytes()).filter(|(_, rest)| rest.is_empty()).map(|(asn, _)| asn);
            }
            ("autonomous_system_organization" | "as_name", Value::Text(name)) => self.name = Some(name),
            ("iso_code", Value::Text(code)) => self.iso_code = Country::new(code),
            // IPinfo Lite has the code beside a country in words.
            ("country_code" | "country", Value::Text(code)) => self.country = Country::new(code).or(self.country),
            ("country", Value::Map(Fields { iso_code, .. })) => self.country = self.country.or(*iso_code),
            _ => {}
        }
    }
}

/// Reads a value, and counts what that takes.
struct Reading<'w> {
    work: &'w mut u64,
    levels_left: u32,
}

impl Reading<'_> {
    fn inner<E: Error>(&mut self) -> Result<Reading<'_>, E> {
        let levels_left = self.levels_left.checked_sub(1).ok_or_else(|| E::custom("a record is nested too deep"))?;
        Ok(Reading { work: self.work, levels_left })
    }
}

impl<'o> DeserializeSeed<'o> for Reading<'_> {
    type Value = Value<'o>;

    fn deserialize<D: Deserializer<'o>>(self, deserializer: D) -> Result<Value<'o>, D::Error> {
        *self.work += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'o> Visitor<'o> for Reading<'_> {
    type Value = Value<'o>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a MaxMind database")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'o>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'o>, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'o>, E> {
        Ok(Value::Number(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value<'o>, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'o>, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'o>, E> {
        *self.work += text.len() as u64;
        Ok(Value::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'o str) -> Result<Value<'o>, E> {
        *self.work += text.len() as u64;
        Ok(Value::Text(text))
    }

    fn visit_bytes<E>(self, octets: &[u8]) -> Result<Value<'o>, E> {
        *self.work += octets.len() as u64;
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'o>>(mut self, mut values: A) -> Result<Value<'o>, A::Error> {
        while values.next_element_seed(self.inner()?)?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'o>>(mut self, mut values: A) -> Result<Value<'o>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = values.next_key_seed(self.inner()?)? {
            let value = values.next_value_seed(self.inner()?)?;
            if let Value::Text(key) = key {
                fields.set(key, &value);
            }
        }
        Ok(Value::Map(fields))
    }
}
