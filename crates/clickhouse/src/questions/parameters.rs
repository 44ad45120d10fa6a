//! Values that are bound to a statement.

use std::fmt::Display;

use archive::scan::ScanError;

use crate::client::is_plain;

/// The longest parameters of a request, in octets of its URL, which has at most 64 KiB.
const LONGEST: usize = 60_000;
/// How many parameters before it a new one is compared with: filters mean both ends of a flow by most of their words.
const COMPARED: usize = 4;
/// The octets of `&param_=`.
const AROUND: usize = 8;

/// The values of a statement, by their names.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<Parameter>);

#[derive(Debug)]
struct Parameter {
    name: String,
    kind: &'static str,
    value: String,
}

impl Parameters {
    /// Adds a value of a type of ClickHouse; what it is in the statement.
    pub(super) fn bind(&mut self, kind: &'static str, value: impl Display) -> String {
        let value = value.to_string();
        let same = self.0.iter().rev().take(COMPARED).find(|known| known.kind == kind && known.value == value);
        let name = same.map_or_else(|| format!("p{}", self.0.len()), |known| known.name.clone());
        let text = format!("{{{name}:{kind}}}");
        if same.is_none() {
            self.0.push(Parameter { name, kind, value });
        }
        text
    }

    /// Adds the values of an array.
    pub(super) fn bind_all(&mut self, kind: &'static str, values: impl IntoIterator<Item = String>) -> String {
        let values: Vec<_> = values.into_iter().collect();
        self.bind(kind, format_args!("[{}]", values.join(",")))
    }

    /// The names with their values.
    ///
    /// # Errors
    /// If they do not fit into a request.
    pub(super) fn all(&self) -> Result<Vec<(&str, &str)>, ScanError> {
        let octets = |text: &str| text.bytes().map(|octet| if is_plain(octet) { 1 } else { 3 }).sum::<usize>();
        let all: usize = self.0.iter().map(|known| AROUND + known.name.len() + octets(&known.value)).sum();
        if all > LONGEST {
            let message = "the filter, or a series of so long keys, does not fit into a request to ClickHouse: shorten its lists, \
                           or ask for fewer groups";
            return Err(ScanError::Invalid(message.to_owned()));
        }
        Ok(self.0.iter().map(|known| (known.name.as_str(), known.value.as_str())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_bound_once_unless_their_types_differ() {
        let mut parameters = Parameters::default();
        assert_eq!(parameters.bind("UInt64", 53), "{p0:UInt64}");
        assert_eq!(parameters.bind("Int64", 53), "{p1:Int64}");
        assert_eq!(parameters.bind("UInt64", 53), "{p0:UInt64}");
        assert_eq!(parameters.bind_all("Array(UInt64)", ["1".to_owned(), "2".to_owned()]), "{p2:Array(UInt64)}");
        assert_eq!(parameters.all().unwrap(), [("p0", "53"), ("p1", "53"), ("p2", "[1,2]")]);
    }

    #[test]
    fn values_that_do_not_fit_into_a_request_are_refused() {
        let mut parameters = Parameters::default();
        parameters.bind("String", "x".repeat(LONGEST));
        assert!(matches!(parameters.all(), Err(ScanError::Invalid(message)) if message.contains("shorten")));
    }
}
