//! An interface as the operator writes it: router, index, name, and if known the speed and a description.

use std::fmt;
use std::net::{AddrParseError, IpAddr};
use std::num::ParseIntError;
use std::str::FromStr;

use crate::details::Details;

/// An interface of the configuration: `192.0.2.1 5 ge-0/0/1 10G to the exchange`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The router, by the source address of its datagrams.
    pub router: IpAddr,
    /// The SNMP index.
    pub index: u32,
    /// What it is called.
    pub details: Details,
}

/// A speed in bits a second: `10G`, `100M`, `64k`, or a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(pub u64);

/// What is wrong with one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    /// Not enough words.
    #[error("{0} is missing: an interface is <router> <index> <name> [<speed>|-] [<description>]")]
    Missing(&'static str),
    /// The first word.
    #[error("'{0}' is not the address of a router: {1}")]
    Router(String, AddrParseError),
    /// The second word.
    #[error("'{0}' is not the SNMP index of an interface: {1}")]
    Index(String, ParseIntError),
    /// The fourth word.
    #[error(
        "'{0}' is not a speed: a whole number of bits a second with k, M, G or T, such as 10G, or - if it is unknown"
    )]
    Speed(String),
}

const UNITS: [(char, u64); 4] = [('T', 1_000_000_000_000), ('G', 1_000_000_000), ('M', 1_000_000), ('k', 1_000)];

impl FromStr for Speed {
    type Err = KnownError;

    fn from_str(text: &str) -> Result<Self, KnownError> {
        let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor)));
        let (number, factor) = unit.unwrap_or((text, 1));
        let speed = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        speed.filter(|speed| *speed > 0).map(Self).ok_or_else(|| KnownError::Speed(text.to_owned()))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Known {
    type Err = KnownError;

    fn from_str(text: &str) -> Result<Self, KnownError> {
        let mut rest = text;
        let mut word = || {
            let trimmed = rest.trim_start();
            let (word, after) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
            rest = after;
            Some(word).filter(|word| !word.is_empty())
        };
        let router = word().ok_or(KnownError::Missing("the router"))?;
        let router = router.parse().map_err(|error| KnownError::Router(router.to_owned(), error))?;
        let index = word().ok_or(KnownError::Missing("the index"))?;
        let index = index.parse().map_err(|error| KnownError::Index(index.to_owned(), error))?;
        let name = word().ok_or(KnownError::Missing("the name"))?.to_owned();
        let speed = match word() {
            None | Some("-") => None,
            Some(speed) => Some(speed.parse::<Speed>()?.0),
        };
        let details = Details { name: Some(name), description: Some(rest.to_owned()), speed }.tidy();
        Ok(Self { router: flow::canonical(router), index, details })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { name, description, speed } = &self.details;
        write!(f, "{} {} {}", self.router, self.index, name.as_deref().unwrap_or_default())?;
        match (speed, description) {
            (Some(speed), _) => write!(f, " {}", Speed(*speed))?,
            (None, Some(_)) => f.write_str(" -")?,
            (None, None) => {}
        }
        description.as_ref().map_or(Ok(()), |description| write!(f, " {description}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_written_as_it_is_read() {
        for text in [
            "192.0.2.1 5 ge-0/0/1",
            "192.0.2.1 5 ge-0/0/1 10G to the exchange",
            "2001:db8::1 4294967295 eth0 - uplink",
            "192.0.2.1 0 lo 64k",
            "192.0.2.1 0 lo 1500",
        ] {
            assert_eq!(text.parse::<Known>().unwrap().to_string(), text);
        }
        let known: Known = "  ::ffff:192.0.2.1\t7  xe-0  100M   two  words ".parse().unwrap();
        assert_eq!(known.to_string(), "192.0.2.1 7 xe-0 100M two  words");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, problem) in [
            ("", "the router is missing"),
            ("192.0.2.1", "the index is missing"),
            ("192.0.2.1 5", "the name is missing"),
            ("router 5 a", "'router' is not the address"),
            ("192.0.2.1 -1 a", "'-1' is not the SNMP index"),
            ("192.0.2.1 5 a 10X", "'10X' is not a speed"),
            ("192.0.2.1 5 a 0", "'0' is not a speed"),
            ("192.0.2.1 5 a 18446744073709551615k", "is not a speed"),
        ] {
            let error = text.parse::<Known>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
