//! Strict reading of JSON bodies: order is kept, duplicate keys are refused, and every error names the path
//! (`prefixes[1].prefixLen`) and what is expected there. The routes interpret the values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::Error;

/// A JSON value whose objects keep their order and have no duplicate keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The path of a value in a document; shows as `prefixes[1].prefixLen`.
#[derive(Clone, Copy)]
pub(crate) enum JsonPath<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Json {
    /// Reads a whole body; the error for an empty one shows `example`.
    pub(crate) fn read(body: &[u8], example: &str) -> Result<Self, Error> {
        if body.is_empty() {
            return Err(Error::BadRequest(format!("the body is empty: send {example}")));
        }
        serde_json::from_slice(body).map_err(|error| Error::BadRequest(format!("invalid JSON: {error}")))
    }

    pub(crate) fn object(&self, place: JsonPath<'_>, what: &str) -> Result<&[(String, Self)], Error> {
        match self {
            Self::Object(members) => Ok(members),
            other => Err(place.problem(format_args!("must be {what}, not {other}"))),
        }
    }

    pub(crate) fn list(&self, place: JsonPath<'_>, what: &str) -> Result<&[Self], Error> {
        match self {
            Self::List(items) => Ok(items),
            other => Err(place.problem(format_args!("must be {what}, not {other}"))),
        }
    }

    pub(crate) fn text(&self, place: JsonPath<'_>, what: &str) -> Result<&str, Error> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(place.problem(format_args!("must be {what}, not {other}"))),
        }
    }

    /// A number that is whole and not negative.
    pub(crate) fn whole_number(&self, place: JsonPath<'_>, what: &str) -> Result<u64, Error> {
        let number = if let Self::Number(number) = self { number.as_u64() } else { None };
        number.ok_or_else(|| place.problem(format_args!("must be {what}, not {self}")))
    }
}

/// The values of an object that has exactly these keys, in the order of `keys`.
pub(crate) fn members<'a, const N: usize>(
    object: &'a [(String, Json)],
    place: JsonPath<'_>,
    keys: [&str; N],
) -> Result<[&'a Json; N], Error> {
    if let Some((key, _)) = object.iter().find(|(key, _)| !keys.contains(&key.as_str())) {
        return Err(unknown_key(place, key, &keys));
    }
    let mut values = [&Json::Null; N];
    for (value, key) in values.iter_mut().zip(keys) {
        *value = object
            .iter()
            .find_map(|(k, v)| (k == key).then_some(v))
            .ok_or_else(|| JsonPath::Key(&place, key).problem("is missing"))?;
    }
    Ok(values)
}

/// An error for a key that is not one of `keys`; names the nearest of them.
pub(crate) fn unknown_key(place: JsonPath<'_>, key: &str, keys: &[&str]) -> Error {
    let place = JsonPath::Key(&place, key);
    match nearest(key, keys.iter().copied()) {
        Some(nearest) => place.problem(format_args!("unknown key; did you mean {nearest}?")),
        None => place.problem(format_args!("unknown key; the keys are {}", keys.join(", "))),
    }
}

/// The word that a typing error may have been meant for.
pub(crate) fn nearest<T: AsRef<str>>(typed: &str, words: impl Iterator<Item = T>) -> Option<T> {
    let typed: String = typed.chars().take(QUOTED_CHARACTERS).collect::<String>().to_lowercase();
    let distances = words.map(|word| (strsim::osa_distance(&typed, &word.as_ref().to_lowercase()), word));
    let nearest = distances.min_by_key(|(distance, _)| *distance);
    nearest.filter(|(distance, word)| *distance <= word.as_ref().len().div_ceil(2)).map(|(_, word)| word)
}

/// How much of a text an error quotes.
const QUOTED_CHARACTERS: usize = 80;
/// The length of an error at most.
const PROBLEM_CHARACTERS: usize = 600;

impl JsonPath<'_> {
    /// An error at this path.
    pub(crate) fn problem(self, message: impl fmt::Display) -> Error {
        let mut text = format!("{self}: {message}");
        if let Some((end, _)) = text.char_indices().nth(PROBLEM_CHARACTERS) {
            text.truncate(end);
            text.push_str("...");
        }
        Error::BadRequest(text)
    }
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Root => f.write_str("body"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            // A key that is not a plain word is quoted, as in `["172.16.1.0/24"].minutes`.
            Self::Key(parent, key) => {
                let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                match (parent, plain) {
                    (Self::Root, true) => f.write_str(key),
                    (Self::Root, false) => write!(f, "[{}]", Quoted(key)),
                    (parent, true) => write!(f, "{parent}.{key}"),
                    (parent, false) => write!(f, "{parent}[{}]", Quoted(key)),
                }
            }
        }
    }
}

/// Text in quotes, truncated when it is long.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED_CHARACTERS) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", self.0.get(..end).unwrap_or_default()),
        }
    }
}

/// As an error quotes it: scalars as they are, lists and objects by their kind.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => Quoted(text).fmt(f),
            Self::List(_) => f.write_str("a list"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        serde_json::Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        let mut keys = std::collections::HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("duplicate key {}", Quoted(&key))));
            }
            members.push((key, value));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<impl fmt::Debug, Error>) -> String {
        match result.unwrap_err() {
            Error::BadRequest(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn objects_keep_their_order_and_refuse_duplicate_keys() {
        let json = Json::read(br#"{"b":1,"a":[null,true,-1,0.5,"x",{}]}"#, "{}").unwrap();
        let object = json.object(JsonPath::Root, "an object").unwrap();
        assert_eq!(object.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(object[1].1.list(JsonPath::Root, "a list").unwrap().len(), 6);
        let twice = message(Json::read(br#"{"a":1,"a":1}"#, "{}"));
        assert!(twice.contains(r#"duplicate key "a" at line 1"#), "{twice}");
    }

    #[test]
    fn broken_json_is_refused_with_its_position() {
        assert_eq!(message(Json::read(b"", "[]")), "the body is empty: send []");
        for broken in ["{", "[1,]", "{\"a\":}", "nul", "1 2", "\u{0}", "\"\\ud800\"", "{'a':1}"] {
            let message = message(Json::read(broken.as_bytes(), "[]"));
            assert!(message.contains("line 1"), "{broken}: {message}");
        }
        assert!(Json::read(&[b'['; 100_000], "[]").is_err(), "deep nesting must not overflow the stack");
        assert!(Json::read(b"\"\xff\"", "[]").is_err());
    }

    #[test]
    fn errors_name_the_path_and_what_is_expected_there() {
        let (prefixes, minutes) =
            (JsonPath::Key(&JsonPath::Root, "prefixes"), JsonPath::Key(&JsonPath::Root, "10.0.0.0/8"));
        let length = Json::Number(serde_json::Number::from(-1));
        let at = JsonPath::Index(&prefixes, 1);
        let refused = length.whole_number(JsonPath::Key(&at, "prefixLen"), "a whole number");
        assert_eq!(message(refused), "prefixes[1].prefixLen: must be a whole number, not -1");
        let refused = Json::Null.list(JsonPath::Key(&minutes, "minutes"), "a list of dates");
        assert_eq!(message(refused), "[\"10.0.0.0/8\"].minutes: must be a list of dates, not null");
        let list = Json::List(vec![]);
        assert_eq!(message(list.object(JsonPath::Root, "an object")), "body: must be an object, not a list");
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let keys = ["prefix", "prefixLen"];
        let refuse = |key| message(Err::<(), _>(unknown_key(JsonPath::Root, key, &keys)));
        assert_eq!(refuse("prefixLne"), "prefixLne: unknown key; did you mean prefixLen?");
        assert_eq!(refuse("PREFIX"), "PREFIX: unknown key; did you mean prefix?");
        assert_eq!(refuse("netmask"), "netmask: unknown key; the keys are prefix, prefixLen");
        let long = "x".repeat(1 << 20);
        assert!(refuse(&long).len() <= PROBLEM_CHARACTERS + 3);
    }
}
