//! The names of counters: a field with one of its values, read and shown.

use std::fmt;
use std::str::FromStr;

use flow::Country;

use super::{Field, Value, names_of};

/// The name of a counter: a field and one of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The field.
    pub field: Field,
    /// The value; its kind is the one of the field.
    pub value: Value,
}

/// An invalid name of a counter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a name: {problem}")]
pub struct NameError {
    /// The text.
    pub text: String,
    /// What is wrong with it, and what is expected.
    pub problem: String,
}

impl Name {
    /// The counter of everything.
    pub const ALL: Self = Self { field: Field::All, value: Value::Number(0) };

    /// What its value is called, such as `https` for `dstport:443`, `Switzerland` for `srccountry:CH`.
    #[must_use]
    pub fn value_name(&self) -> Option<&'static str> {
        match self.value {
            Value::Number(number) if self.field.is_country() => names::country(country(self.field, number)?.as_str()),
            Value::Number(number) => self.field.names()?.name(number.into()),
            Value::Address(_) => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field, self.value) {
            (Field::All, _) => f.write_str("all"),
            (field, Value::Number(number)) => match country(field, number) {
                Some(country) => write!(f, "{}:{country}", field.name()),
                None => write!(f, "{}:{number}", field.name()),
            },
            (field, Value::Address(address)) => write!(f, "{}:{address}", field.name()),
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "all" {
            return Ok(Self::ALL);
        }
        let error = |problem: String| NameError { text: text.to_owned(), problem };
        let Some((name, value)) = text.split_once(':') else { return Err(error(expected())) };
        let Some(field) = Field::ALL.into_iter().skip(1).find(|field| field.name() == name) else {
            let nearest = names::nearest(name, Field::ALL.into_iter().skip(1).map(Field::name));
            return Err(error(nearest.map_or_else(expected, |nearest| format!("did you mean {nearest}:{value}?"))));
        };
        Ok(Self { field, value: field.read(value).map_err(error)? })
    }
}

/// The country that a value of a field is.
fn country(field: Field, number: u32) -> Option<Country> {
    Country::of_number(u16::try_from(number).ok().filter(|_| field.is_country())?)
}

/// What all names look like.
fn expected() -> String {
    let fields = names_of(Field::ALL.get(1..).unwrap_or_default());
    format!("write all, or one of {fields} with a value, such as proto:6, dstport:https or srcip:192.0.2.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_name_lists_all_fields() {
        let message = "mac:1".parse::<Name>().unwrap_err().to_string();
        let expected = "one of proto, srcip, srcport, srcas, dstip, dstport, dstas, inif, outif, srccountry, dstcountry with a value";
        assert!(message.contains(expected), "{message}");
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
            "inif:4294967295",
            "outif:0",
            "srccountry:CH",
            "dstcountry:0",
        ] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
        }
        assert_eq!("srcip:2001:DB8:0:0::1".parse::<Name>().unwrap().to_string(), "srcip:2001:db8::1");
        assert_eq!("dstip:::ffff:192.0.2.1".parse::<Name>().unwrap().to_string(), "dstip:192.0.2.1");
    }

    #[test]
    fn protocols_and_ports_are_read_by_every_name_and_shown_as_numbers() {
        for (field, names) in [
            (Field::Protocol, names::protocols()),
            (Field::SourcePort, names::ports()),
            (Field::DestinationPort, names::ports()),
        ] {
            for (name, number) in names.all() {
                let read: Name = format!("{}:{name}", field.name()).parse().unwrap();
                assert_eq!(read.to_string(), format!("{}:{number}", field.name()));
                let shown = read.value_name().unwrap();
                assert_eq!(format!("{}:{shown}", field.name()).parse(), Ok(read), "{name}");
            }
        }
        assert_eq!("proto:TCP".parse::<Name>(), "proto:6".parse());
        let unnamed = ["all", "srcip:192.0.2.1", "srcas:443", "inif:6", "dstport:65535", "proto:255"];
        assert_eq!(unnamed.map(|text| text.parse::<Name>().unwrap().value_name()), [None; 6]);
    }

    #[test]
    fn countries_are_read_in_any_case_and_have_names() {
        for (text, shown, name) in [
            ("srccountry:ch", "srccountry:CH", Some("Switzerland")),
            ("dstcountry:ZZ", "dstcountry:ZZ", None),
            ("dstcountry:0", "dstcountry:0", None),
        ] {
            let read: Name = text.parse().unwrap();
            assert_eq!((read.to_string().as_str(), read.value_name()), (shown, name));
        }
    }

    #[test]
    fn an_error_proposes_what_may_have_been_meant() {
        for (text, problem) in [
            ("dstport:htps", "did you mean dstport:https?"),
            ("proto:tpc", "did you mean proto:tcp?"),
            ("dstprt:443", "did you mean dstport:443?"),
            ("proto:256", "write proto with a number from 0 to 255, or with a name of docs/filter.md"),
            ("srcas:google", "write srcas with a number from 0 to 4294967295"),
            ("srccountry:CHE", "write srccountry with two letters, such as srccountry:CH, or with 0"),
            ("dstcountry:17224", "write dstcountry with two letters, such as dstcountry:CH, or with 0"),
            ("srcip:10.0.0", "write srcip with an address, such as srcip:192.0.2.1"),
        ] {
            assert_eq!(text.parse::<Name>().unwrap_err().problem, problem, "{text}");
        }
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
            "proto:tcp6",
            "srcip:localhost",
            "srcas:tcp",
            "dstport:other",
            "dstport: https",
            "srcip:10.0.0",
            "srcport:65536",
            "srcas:-1",
            "mac:1",
        ] {
            let error = text.parse::<Name>().unwrap_err();
            assert_eq!(error.text, text);
            assert!(error.to_string().starts_with(&format!("'{text}' is not a name: ")), "{error}");
        }
    }
}
