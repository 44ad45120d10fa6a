//! Reads a filter. Every error gives the column, what was expected, and what was found.

use std::str::FromStr;

use super::token::{Token, tokens};
use super::{Comparison, DEEPEST, End, Expression, FilterError, LONGEST_BYTES, PROTOCOLS, Test};

const TESTS: &str = "host, net, port, as, proto, inif, outif, bytes, packets, tcp, udp, icmp, icmp6, not or (";

/// The expression of a text; `None` when it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Expression>, FilterError> {
    if text.len() > LONGEST_BYTES {
        let message = format!("the filter is longer than {LONGEST_BYTES} octets: shorten it");
        return Err(FilterError { column: LONGEST_BYTES + 1, message });
    }
    let (tokens, end) = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, end };
    if tokens.is_empty() {
        return Ok(None);
    }
    let expression = parser.any(0)?;
    match parser.tokens {
        [] => Ok(Some(expression)),
        _ => Err(parser.expected("and, or, or the end")),
    }
}

struct Parser<'t> {
    /// What is not read yet.
    tokens: &'t [Token<'t>],
    /// The column after the text.
    end: usize,
}

impl<'t> Parser<'t> {
    fn any(&mut self, depth: usize) -> Result<Expression, FilterError> {
        self.joined(["or", "||"], Expression::Any, |parser| parser.all(depth))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, FilterError> {
        self.joined(["and", "&&"], Expression::All, |parser| parser.not(depth))
    }

    /// Parts with one of these words between them; a single part is returned as it is.
    fn joined(
        &mut self,
        words: [&str; 2],
        join: impl FnOnce(Vec<Expression>) -> Expression,
        mut part: impl FnMut(&mut Self) -> Result<Expression, FilterError>,
    ) -> Result<Expression, FilterError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.take(&words).is_some() {
            parts.push(part(self)?);
        }
        Ok(if let [_] = *parts { parts.remove(0) } else { join(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Expression, FilterError> {
        if depth > DEEPEST {
            return Err(self.complaint(format!("nested deeper than {DEEPEST}: write it flatter")));
        }
        if self.take(&["not", "!"]).is_some() {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take(&["("]).is_some() {
            let inner = self.any(depth + 1)?;
            return match self.take(&[")"]) {
                Some(_) => Ok(inner),
                None => Err(self.expected("and, or, or )")),
            };
        }
        self.test().map(Expression::Test)
    }

    fn test(&mut self) -> Result<Test, FilterError> {
        let end = match self.take(&["src", "dst"]) {
            Some("src") => End::Source,
            Some(_) => End::Destination,
            None => End::Either,
        };
        match self.take(&["host", "net", "port", "as"]) {
            Some("host") => {
                let host = self.value("an address such as 192.0.2.1 or 2001:db8::1")?;
                return Ok(Test::Host(end, flow::canonical(host)));
            }
            Some("net") => return self.net().map(|net| Test::Net(end, net)),
            Some("port") => return self.value("a port, 0 to 65535").map(|port| Test::Port(end, port)),
            Some(_) => return self.value("an AS number, 0 to 4294967295").map(|number| Test::As(end, number)),
            None if end != End::Either => return Err(self.expected("host, net, port or as")),
            None => {}
        }
        const INTERFACE: &str = "an interface, 0 to 4294967295";
        match self.take(&["proto", "inif", "outif", "bytes", "packets"]) {
            Some("proto") => self.protocol(),
            Some("inif") => self.value(INTERFACE).map(Test::InputInterface),
            Some("outif") => self.value(INTERFACE).map(Test::OutputInterface),
            Some("bytes") => Ok(Test::Bytes(self.comparison()?, self.value("a number of bytes")?)),
            Some(_) => Ok(Test::Packets(self.comparison()?, self.value("a number of packets")?)),
            None => self.named_protocol().map(Test::Protocol).ok_or_else(|| self.expected(TESTS)),
        }
    }

    fn protocol(&mut self) -> Result<Test, FilterError> {
        if let Some(number) = self.named_protocol() {
            return Ok(Test::Protocol(number));
        }
        self.value("tcp, udp, icmp, icmp6 or a number from 0 to 255").map(Test::Protocol)
    }

    fn named_protocol(&mut self) -> Option<u8> {
        let name = self.take(&PROTOCOLS.map(|(name, _)| name))?;
        PROTOCOLS.iter().find_map(|(known, number)| known.eq_ignore_ascii_case(name).then_some(*number))
    }

    fn comparison(&mut self) -> Result<Comparison, FilterError> {
        if self.take(&["=="]).is_some() {
            return Ok(Comparison::Equal);
        }
        let sign = self.take(&Comparison::ALL.map(|(sign, _)| sign));
        let found =
            Comparison::ALL.iter().find_map(|(known, comparison)| (Some(*known) == sign).then_some(*comparison));
        found.ok_or_else(|| self.expected(">, <, >=, <= or ="))
    }

    /// The error of a prefix explains more than that of other values.
    fn net(&mut self) -> Result<flow::Prefix, FilterError> {
        let [first, rest @ ..] = self.tokens else { return Err(self.expected("a prefix such as 10.0.0.0/8")) };
        let prefix = first.text.parse().map_err(|error: flow::PrefixError| self.complaint(error.to_string()))?;
        self.tokens = rest;
        Ok(prefix)
    }

    fn value<T: FromStr>(&mut self, what: &str) -> Result<T, FilterError> {
        let value = self.tokens.split_first().and_then(|(first, rest)| Some((first.text.parse().ok()?, rest)));
        let (value, rest) = value.ok_or_else(|| self.expected(what))?;
        self.tokens = rest;
        Ok(value)
    }

    /// Reads the next token if it is one of these, in upper or lower case, and returns the matching one.
    fn take<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        let (first, rest) = self.tokens.split_first()?;
        let found = words.iter().find(|word| word.eq_ignore_ascii_case(first.text))?;
        self.tokens = rest;
        Some(found)
    }

    fn expected(&self, what: &str) -> FilterError {
        match self.tokens.first() {
            Some(first) => self.complaint(format!("expected {what}, not {:?}", first.text)),
            None => self.complaint(format!("expected {what}, but the filter ends")),
        }
    }

    fn complaint(&self, message: String) -> FilterError {
        FilterError { column: self.tokens.first().map_or(self.end, |first| first.column), message }
    }
}
