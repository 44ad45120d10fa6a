//! Reads a filter. Every error gives the column, what was expected, what was found, and what may have been meant.

use columns::Id;
use flow::{Network, Networks, Tag};
use names::{Names, nearest};

use crate::as_paths::{AsPaths, sequence};
use crate::error::FilterError;
use crate::expression::{Comparison, Expression, Test};
use crate::quantity::{Form, Quantity};
use crate::ranges::{AddressRange, AddressSet, Ranges};
use crate::token::{Token, tokens};
use crate::value::{self, Value};
use crate::words::{CONDITIONS, LONGEST_PHRASE, PROTOCOLS, Subject, names_of, phrases};
use crate::{DEEPEST, LONGEST_BYTES};

/// The words that may follow the name of a protocol without `and`, as in tcpdump: `tcp port 80`.
const AFTER_PROTOCOL: [&str; 6] = ["src", "dst", "host", "net", "port", "portrange"];

const BEGINNINGS: &str = "a test (such as src host 192.0.2.1, net 10.0.0.0/8, port 443, tcp, bytes > 1k), not, or (";

/// The expression of a text; `None` when it is empty. Words that select some of these networks mean their addresses.
pub(crate) fn parse(text: &str, networks: &Networks) -> Result<Option<Expression>, FilterError> {
    if text.len() > LONGEST_BYTES {
        let message = format!("the filter is longer than {LONGEST_BYTES} octets: shorten it");
        // Where the text is cut.
        let column = text.char_indices().take_while(|(index, _)| *index < LONGEST_BYTES).count() + 1;
        return Err(FilterError { column, message });
    }
    let (tokens, end) = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, end, networks };
    if tokens.is_empty() {
        return Ok(None);
    }
    let expression = parser.any(0)?;
    match parser.tokens {
        [] => Ok(Some(expression)),
        [next, ..] if value_begins(next.text) => {
            Err(parser.expected("and, or, or the end (several values are a list, such as port in [80, 443])"))
        }
        _ => Err(parser.expected("and, or, or the end")),
    }
}

/// Whether a token can only be a value.
fn value_begins(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// All addresses of IPv4; one that is missing is 0.0.0.0.
const IPV4: AddressRange = AddressRange::V4(1, u32::MAX);
/// All addresses of IPv6.
const IPV6: AddressRange = AddressRange::V6(0, u128::MAX);

/// Whether an end of a flow is of this family.
fn an_end_in(family: AddressRange) -> Expression {
    let of = |id| Expression::Test(Test::Address(id, AddressSet::new(vec![family])));
    Expression::Any(vec![of(Id::SrcIp), of(Id::DstIp)])
}

struct Parser<'t> {
    /// What is not read yet.
    tokens: &'t [Token<'t>],
    /// The column after the text.
    end: usize,
    networks: &'t Networks,
}

/// How a subject is compared with what follows.
#[derive(Clone, Copy)]
enum Sign {
    Is(Comparison),
    Differs,
}

const SIGNS: [(&str, Sign); 14] = [
    ("=", Sign::Is(Comparison::Equal)),
    ("==", Sign::Is(Comparison::Equal)),
    ("eq", Sign::Is(Comparison::Equal)),
    ("!=", Sign::Differs),
    ("ne", Sign::Differs),
    (">", Sign::Is(Comparison::More)),
    ("gt", Sign::Is(Comparison::More)),
    ("<", Sign::Is(Comparison::Less)),
    ("lt", Sign::Is(Comparison::Less)),
    (">=", Sign::Is(Comparison::AtLeast)),
    ("ge", Sign::Is(Comparison::AtLeast)),
    ("<=", Sign::Is(Comparison::AtMost)),
    ("le", Sign::Is(Comparison::AtMost)),
    ("is", Sign::Is(Comparison::Equal)),
];

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
        while self.take(&words) {
            parts.push(part(self)?);
        }
        Ok(if let [_] = *parts { parts.remove(0) } else { join(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Expression, FilterError> {
        if depth > DEEPEST {
            return Err(self.complaint(format!("nested deeper than {DEEPEST}: write it flatter")));
        }
        if self.take(&["not", "!"]) {
            let is_grouped = self.next_is("(");
            return Ok(match self.not(depth + 1)? {
                // As in nfdump: `flags S and not flags AFRPU` has none of these.
                Expression::Test(Test::AllBits(quantity, bits)) if !is_grouped => {
                    Expression::Test(Test::NoBits(quantity, bits))
                }
                inner => Expression::Not(Box::new(inner)),
            });
        }
        if self.take(&["("]) {
            let inner = self.any(depth + 1)?;
            return if self.take(&[")"]) { Ok(inner) } else { Err(self.expected("and, or, or )")) };
        }
        self.test()
    }

    fn test(&mut self) -> Result<Expression, FilterError> {
        if let Some(condition) = self.condition() {
            return Ok(condition);
        }
        if let Some(version) = self.version_before_proto() {
            return Ok(Expression::All(vec![version, self.comparison()?]));
        }
        if let Some(protocol) = self.protocol() {
            let qualified = AFTER_PROTOCOL.iter().any(|word| self.next_is(word));
            return Ok(if qualified { Expression::All(vec![protocol, self.comparison()?]) } else { protocol });
        }
        self.comparison()
    }

    fn condition(&mut self) -> Option<Expression> {
        let [(every, _), (ipv4, _), (ipv6, _), _] = CONDITIONS;
        if self.take(every) {
            return Some(Expression::All(Vec::new()));
        }
        if self.take(ipv4) {
            Some(an_end_in(IPV4))
        } else if self.take(ipv6) {
            Some(an_end_in(IPV6))
        } else {
            None
        }
    }

    /// As in tcpdump: `ip proto 6`. Elsewhere `ip` is an address.
    fn version_before_proto(&mut self) -> Option<Expression> {
        let [version, proto, ..] = self.tokens else { return None };
        let family = match version.text.to_ascii_lowercase().as_str() {
            "ip" => IPV4,
            "ip6" => IPV6,
            _ => return None,
        };
        proto.text.eq_ignore_ascii_case("proto").then(|| {
            self.skip(1);
            an_end_in(family)
        })
    }

    fn protocol(&mut self) -> Option<Expression> {
        let number =
            PROTOCOLS.iter().find(|name| self.next_is(name)).and_then(|name| names::protocols().number(name))?;
        self.skip(1);
        Some(Expression::Test(Test::Number(Quantity::Column(Id::Proto), Comparison::Equal.numbers(number, number))))
    }

    /// A word with a sign and a value, a list, or another word.
    fn comparison(&mut self) -> Result<Expression, FilterError> {
        let Some((subject, words)) = self.subject() else { return Err(self.no_subject()) };
        self.skip(words);
        let place = self.tokens;
        let sign = SIGNS.iter().find(|(text, _)| self.next_is(text)).map(|(_, sign)| *sign);
        if sign.is_some() {
            self.skip(1);
        } else if self.take(&["in"]) {
            if subject.quantity().form() == Form::AsPath {
                return self.list_of_paths(subject);
            }
            return self.list(subject);
        }
        let comparison = match sign {
            Some(Sign::Is(comparison)) => comparison,
            Some(Sign::Differs) | None => Comparison::Equal,
        };
        let is_ordered = comparison != Comparison::Equal;
        let form = subject.quantity().form();
        if is_ordered && matches!(form, Form::Address | Form::Mac | Form::Country | Form::AsPath) {
            self.tokens = place;
            return Err(self.complaint("addresses, countries and paths have no order: use =, !=, or in [ ]".to_owned()));
        }
        if form == Form::AsPath {
            let path = as_path(subject, vec![self.sequence(subject)?], sign.is_some());
            return Ok(if let Some(Sign::Differs) = sign { Expression::Not(Box::new(path)) } else { path });
        }
        let read = self.tokens.first().map(|token| value::read(subject.quantity(), token.text));
        let test = match read {
            Some(Ok(value)) => self.with_value(subject, sign, comparison, value)?,
            _ => match self.subject() {
                Some((other, words)) => self.with_subject(subject, comparison, other, words)?,
                None if let Some(ranges) = self.network(subject.quantity()) => {
                    self.skip(1);
                    any(addresses(subject, &AddressSet::new(ranges)))
                }
                None => return Err(self.no_value(subject.quantity(), read.and_then(Result::err).flatten())),
            },
        };
        Ok(if let Some(Sign::Differs) = sign { Expression::Not(Box::new(test)) } else { test })
    }

    fn with_value(
        &mut self,
        subject: Subject,
        sign: Option<Sign>,
        comparison: Comparison,
        value: Value,
    ) -> Result<Expression, FilterError> {
        let tests: Vec<_> = match value {
            Value::Numbers(0, 0) if sign.is_none() && subject.quantity().form() == Form::Flags => {
                return Err(self.complaint("0 is no flag: use flags = 0 for no flags at all".to_owned()));
            }
            Value::Numbers(bits, last)
                if sign.is_none() && subject.quantity().form() == Form::Flags && bits == last =>
            {
                subject.quantities().map(|quantity| Test::AllBits(quantity, bits)).collect()
            }
            Value::Numbers(first, last) => {
                let is_range = first != last;
                if is_range && comparison != Comparison::Equal {
                    return Err(self.complaint("a range has no order: compare with a single value".to_owned()));
                }
                let numbers = if is_range {
                    Ranges::new(vec![(first, last)])
                } else {
                    comparison.numbers(first, subject.quantity().largest())
                };
                subject.quantities().map(|quantity| Test::Number(quantity, numbers.clone())).collect()
            }
            Value::Addresses(range) => addresses(subject, &AddressSet::new(vec![range])),
        };
        self.skip(1);
        Ok(any(tests))
    }

    fn with_subject(
        &mut self,
        left: Subject,
        comparison: Comparison,
        right: Subject,
        words: usize,
    ) -> Result<Expression, FilterError> {
        let comparable = |form| match form {
            Form::Flags | Form::Milliseconds => Form::Number,
            form => form,
        };
        let forms = [left, right].map(|subject| comparable(subject.quantity().form()));
        if forms[0] != forms[1] {
            let names = [left, right].map(|subject| subject.quantity().name());
            return Err(self.complaint(format!("{} and {} cannot be compared", names[0], names[1])));
        }
        let tests = left.quantities().flat_map(|left| right.quantities().map(move |right| (left, right)));
        let tests = tests.map(|(left, right)| match (left, right) {
            (Quantity::Column(left), Quantity::Column(right)) if forms[0] == Form::Address => {
                Test::SameAddress(left, right)
            }
            _ => Test::Order(left, comparison, right),
        });
        let tests = tests.collect();
        self.skip(words);
        Ok(any(tests))
    }

    /// Values in brackets, with commas between them or without.
    fn list(&mut self, subject: Subject) -> Result<Expression, FilterError> {
        if !self.take(&["["]) {
            return Err(self.expected("[ and a list of values"));
        }
        let (mut numbers, mut addresses_of) = (Vec::new(), Vec::new());
        while !self.take(&["]"]) {
            match self.tokens.first().map(|token| value::read(subject.quantity(), token.text)) {
                Some(Ok(Value::Numbers(first, last))) => numbers.push((first, last)),
                Some(Ok(Value::Addresses(range))) => addresses_of.push(range),
                read => match self.network(subject.quantity()) {
                    Some(ranges) => addresses_of.extend(ranges),
                    None => return Err(self.no_value(subject.quantity(), read.and_then(Result::err).flatten())),
                },
            }
            self.skip(1);
            self.take(&[","]);
        }
        if subject.quantity().form() == Form::Address {
            return Ok(any(addresses(subject, &AddressSet::new(addresses_of))));
        }
        let numbers = Ranges::new(numbers);
        Ok(any(subject.quantities().map(|quantity| Test::Number(quantity, numbers.clone())).collect()))
    }

    /// Sequences of ASes in brackets: a path has one of them.
    fn list_of_paths(&mut self, subject: Subject) -> Result<Expression, FilterError> {
        if !self.take(&["["]) {
            return Err(self.expected("[ and a list of values"));
        }
        let mut sequences = Vec::new();
        while !self.take(&["]"]) {
            sequences.push(self.sequence(subject)?);
            self.take(&[","]);
        }
        Ok(as_path(subject, sequences, false))
    }

    fn sequence(&mut self, subject: Subject) -> Result<Vec<u32>, FilterError> {
        let read = self.tokens.first().and_then(|token| sequence(token.text));
        let sequence = read.ok_or_else(|| self.no_value(subject.quantity(), None))?;
        self.skip(1);
        Ok(sequence)
    }

    /// The addresses of the networks that the next word selects, where addresses are compared.
    fn network(&self, quantity: Quantity) -> Option<Vec<AddressRange>> {
        let word = self.tokens.first().filter(|_| quantity.form() == Form::Address)?.text;
        let ranges: Vec<_> = self.networks.called(word).map(|prefix| AddressRange::of_prefix(&prefix)).collect();
        (!ranges.is_empty()).then_some(ranges)
    }

    /// The meaning of the longest phrase that comes next, and the number of its words.
    fn subject(&self) -> Option<(Subject, usize)> {
        let next = self.tokens.get(..LONGEST_PHRASE).unwrap_or(self.tokens);
        let found = phrases().filter_map(|(phrase, subject)| {
            let mut words = 0;
            let fits = phrase.split(' ').all(|word| {
                words += 1;
                next.get(words - 1).is_some_and(|token| token.text.eq_ignore_ascii_case(word))
            });
            fits.then_some((subject, words))
        });
        found.max_by_key(|(_, words)| *words)
    }

    fn no_subject(&self) -> FilterError {
        let Some(next) = self.tokens.first() else { return self.expected(BEGINNINGS) };
        if value_begins(next.text) {
            return self.expected("a word such as host, net or port before the value");
        }
        for (word, names) in [("port", names::ports()), ("proto", names::protocols())] {
            if names.number(next.text).is_some() {
                return self.expected_or(BEGINNINGS, Some(&format!("{word} {}", next.text)));
            }
        }
        let words = phrases().flat_map(|(phrase, _)| phrase.split(' ').next());
        let conditions = CONDITIONS.iter().flat_map(|(names, _)| names.iter().copied());
        self.expected_or(BEGINNINGS, nearest(next.text, words.chain(conditions).chain(["not"])))
    }

    fn no_value(&self, quantity: Quantity, reason: Option<String>) -> FilterError {
        if let Some(reason) = reason {
            return self.complaint(reason);
        }
        let is_address = quantity.form() == Form::Address;
        let networks = self.networks.all().iter().filter(|_| is_address);
        let networks: Vec<&str> = networks.flat_map(Network::words).map(Tag::as_str).collect();
        let mut expected = value::expected(quantity);
        if !networks.is_empty() {
            expected += ", or a word of a network";
        }
        let meant = self.tokens.first().and_then(|next| {
            let names = names_of(quantity).into_iter().flat_map(Names::all).map(|(name, _)| *name);
            nearest(next.text, networks.iter().copied().chain(names).chain(phrases().map(|(phrase, _)| phrase)))
        });
        self.expected_or(&expected, meant)
    }

    /// Reads the next token if it is one of these, in upper or lower case.
    fn take(&mut self, words: &[&str]) -> bool {
        let is_next = words.iter().any(|word| self.next_is(word));
        if is_next {
            self.skip(1);
        }
        is_next
    }

    fn next_is(&self, word: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.text.eq_ignore_ascii_case(word))
    }

    fn skip(&mut self, tokens: usize) {
        self.tokens = self.tokens.get(tokens..).unwrap_or_default();
    }

    fn expected(&self, what: &str) -> FilterError {
        self.expected_or(what, None)
    }

    fn expected_or(&self, what: &str, meant: Option<&str>) -> FilterError {
        /// Of a longer word, the beginning is shown.
        const SHOWN: usize = 40;
        let meant = meant.map_or(String::new(), |word| format!(": did you mean {word}?"));
        match self.tokens.first() {
            Some(first) => {
                let mut shown: String = first.text.chars().take(SHOWN).collect();
                shown.push_str(if shown.len() < first.text.len() { "..." } else { "" });
                self.complaint(format!("expected {what}, not {shown:?}{meant}"))
            }
            None => self.complaint(format!("expected {what}, but the filter ends")),
        }
    }

    fn complaint(&self, message: String) -> FilterError {
        FilterError { column: self.tokens.first().map_or(self.end, |first| first.column), message }
    }
}

fn addresses(subject: Subject, set: &AddressSet) -> Vec<Test> {
    let ids = subject.quantities().filter_map(|quantity| match quantity {
        Quantity::Column(id) => Some(id),
        _ => None,
    });
    ids.map(|id| Test::Address(id, set.clone())).collect()
}

fn as_path(subject: Subject, sequences: Vec<Vec<u32>>, is_whole: bool) -> Expression {
    let ids = subject.quantities().filter_map(|quantity| match quantity {
        Quantity::Column(id) => Some(id),
        _ => None,
    });
    let paths = AsPaths::new(sequences, is_whole);
    any(ids.map(|id| Test::AsPath(id, paths.clone())).collect())
}

/// Whether any of the tests holds.
fn any(tests: Vec<Test>) -> Expression {
    let mut tests: Vec<_> = tests.into_iter().map(Expression::Test).collect();
    if let [_] = *tests { tests.remove(0) } else { Expression::Any(tests) }
}
