//! Filters for flows, in the words that operators know from tcpdump and nfdump.
//!
//! ```text
//! filter     = [ or ]
//! or         = and { ( "or" | "||" ) and }
//! and        = not { ( "and" | "&&" ) not }
//! not        = { "not" | "!" } ( "(" or ")" | test )
//! test       = [ "src" | "dst" ] ( "host" address | "net" prefix | "port" number | "as" number )
//!            | "proto" ( "tcp" | "udp" | "icmp" | "icmp6" | number ) | "tcp" | "udp" | "icmp" | "icmp6"
//!            | ( "inif" | "outif" ) number
//!            | ( "bytes" | "packets" ) ( ">" | "<" | ">=" | "<=" | "=" ) number
//! ```
//!
//! Without `src` or `dst` either end will do. Counters are those that the record carries, both directions of a biflow
//! together, not multiplied by its sampling rate. Interfaces are SNMP indices. An empty filter matches every flow.

mod parser;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use flow::{FlowRecord, Prefix};

/// The longest filter, in octets.
pub const LONGEST_BYTES: usize = 1024;
/// How deep parentheses and negations may be nested.
pub const DEEPEST: usize = 32;

/// A condition for flows; the default is none. Its text form reads as the same filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Option<Expression>);

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct FilterError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What was expected there.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Test(Test),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Host(End, IpAddr),
    Net(End, Prefix),
    Port(End, u16),
    As(End, u32),
    Protocol(u8),
    InputInterface(u32),
    OutputInterface(u32),
    Bytes(Comparison, u64),
    Packets(Comparison, u64),
}

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Either,
    Source,
    Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    More,
    Less,
    AtLeast,
    AtMost,
    Equal,
}

/// Protocols that have a name here, by their IANA numbers.
const PROTOCOLS: [(&str, u8); 4] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmp6", 58)];

impl Filter {
    /// Whether a flow matches.
    #[must_use]
    pub fn passes(&self, flow: &FlowRecord) -> bool {
        self.0.as_ref().is_none_or(|expression| expression.holds(flow))
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parser::parse(text).map(Self)
    }
}

impl Expression {
    fn holds(&self, flow: &FlowRecord) -> bool {
        match self {
            Self::Test(test) => test.holds(flow),
            Self::Not(inner) => !inner.holds(flow),
            Self::All(parts) => parts.iter().all(|part| part.holds(flow)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(flow)),
        }
    }
}

impl Test {
    fn holds(&self, flow: &FlowRecord) -> bool {
        match self {
            Self::Host(end, host) => end.any(flow.source, flow.destination, |address| address == *host),
            Self::Net(end, net) => end.any(flow.source, flow.destination, |address| net.contains(address)),
            Self::Port(end, port) => {
                let (source, destination) = flow.ports();
                end.any(source, destination, |it| it == *port)
            }
            Self::As(end, number) => end.any(flow.source_as, flow.destination_as, |it| it == *number),
            Self::Protocol(number) => flow.protocol == *number,
            Self::InputInterface(number) => flow.input_interface == *number,
            Self::OutputInterface(number) => flow.output_interface == *number,
            Self::Bytes(comparison, limit) => {
                comparison.holds(flow.forward.bytes.saturating_add(flow.reverse.bytes), *limit)
            }
            Self::Packets(comparison, limit) => {
                comparison.holds(flow.forward.packets.saturating_add(flow.reverse.packets), *limit)
            }
        }
    }
}

impl End {
    fn any<T>(self, source: T, destination: T, fits: impl Fn(T) -> bool) -> bool {
        match self {
            Self::Either => fits(source) || fits(destination),
            Self::Source => fits(source),
            Self::Destination => fits(destination),
        }
    }
}

impl Comparison {
    const ALL: [(&str, Self); 5] =
        [(">", Self::More), ("<", Self::Less), (">=", Self::AtLeast), ("<=", Self::AtMost), ("=", Self::Equal)];

    fn holds(self, number: u64, limit: u64) -> bool {
        match self {
            Self::More => number > limit,
            Self::Less => number < limit,
            Self::AtLeast => number >= limit,
            Self::AtMost => number <= limit,
            Self::Equal => number == limit,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |expression| write!(f, "{expression}"))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(test) => write!(f, "{test}"),
            Self::Not(inner) => match inner.as_ref() {
                Self::Test(_) | Self::Not(_) => write!(f, "not {inner}"),
                Self::All(_) | Self::Any(_) => write!(f, "not ({inner})"),
            },
            Self::All(parts) => joined(parts, " and ", |part| matches!(part, Self::All(_) | Self::Any(_)), f),
            Self::Any(parts) => joined(parts, " or ", |part| matches!(part, Self::Any(_)), f),
        }
    }
}

/// Parts with a word between them, in parentheses where the text would read as another filter.
fn joined(
    parts: &[Expression],
    word: &str,
    apart: impl Fn(&Expression) -> bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        f.write_str(if index > 0 { word } else { "" })?;
        if apart(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(end, host) => write!(f, "{end}host {host}"),
            Self::Net(end, net) => write!(f, "{end}net {net}"),
            Self::Port(end, port) => write!(f, "{end}port {port}"),
            Self::As(end, number) => write!(f, "{end}as {number}"),
            Self::Protocol(number) => match PROTOCOLS.iter().find(|(_, known)| known == number) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "proto {number}"),
            },
            Self::InputInterface(number) => write!(f, "inif {number}"),
            Self::OutputInterface(number) => write!(f, "outif {number}"),
            Self::Bytes(comparison, limit) => write!(f, "bytes {comparison} {limit}"),
            Self::Packets(comparison, limit) => write!(f, "packets {comparison} {limit}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Either => "",
            Self::Source => "src ",
            Self::Destination => "dst ",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Self::ALL.iter().find_map(|(sign, comparison)| (comparison == self).then_some(*sign));
        f.write_str(sign.unwrap_or_default())
    }
}
