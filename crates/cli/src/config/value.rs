//! Values from a file or an environment variable, and their conversion. A variable is text: numbers and booleans are parsed
//! from it, and items of a list are separated by commas.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use flow::{Prefix, PrefixError};
use interfaces::{Known, KnownError};
use origin::{Order, Source};

use super::unit;
use super::value_kind::Words;

/// A value and its span: byte positions in the file or variable.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(super) content: Content,
    pub(super) span: Range<usize>,
}

/// The content of a value.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(String),
    /// `None` beyond 64 bits.
    Number(Option<i64>),
    Boolean(bool),
    List(Vec<Value>),
    Table(Vec<Member>),
    /// An environment variable.
    Variable(String),
    /// A type that no key has: a fraction, a date.
    Other(&'static str),
}

/// A key of a table, and its value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Of the name.
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// Why a value is not allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

/// Alternatives: `"a" or "b"`.
pub(super) fn alternatives(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

impl Value {
    pub(super) fn misfit(&self, message: impl Into<String>) -> Misfit {
        Misfit { span: self.span.clone(), message: message.into() }
    }

    /// Does not show the value: it may be a misplaced secret.
    fn wrong_type(&self, needed: &str) -> Misfit {
        let given = match &self.content {
            Content::Text(_) | Content::Variable(_) => "text",
            Content::Number(_) => "a number",
            Content::Boolean(_) => "true or false",
            Content::List(_) => "a list",
            Content::Table(_) => "a table",
            Content::Other(name) => name,
        };
        self.misfit(format!("is {given}; it must be {needed}"))
    }

    /// The text of an environment variable.
    pub(super) fn variable(&self) -> Option<&str> {
        if let Content::Variable(text) = &self.content { Some(text) } else { None }
    }

    /// Any text.
    pub(super) fn text(&self) -> Result<&str, Misfit> {
        match &self.content {
            Content::Text(text) | Content::Variable(text) => Ok(text),
            _ => Err(self.wrong_type("text in quotes")),
        }
    }

    /// Text that is not empty.
    pub(super) fn filled_text(&self) -> Result<&str, Misfit> {
        match self.text()? {
            "" => Err(self.misfit("is empty")),
            text => Ok(text),
        }
    }

    /// A host, with or without a port. It becomes a part of addresses and messages as it is.
    pub(super) fn host(&self) -> Result<String, Misfit> {
        let text = self.filled_text()?;
        if text.contains(|it: char| "/@?#".contains(it) || it.is_whitespace()) {
            return Err(
                self.misfit(format!("is {text:?}; it must be <host> or <host>:<port>, without http:// and users"))
            );
        }
        Ok(text.to_owned())
    }

    /// Any text; `None` when it is empty.
    pub(super) fn text_or_none(&self) -> Result<Option<String>, Misfit> {
        let text = self.text()?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// One of several names.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Misfit> {
        let text = self.text()?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.misfit(format!("is \"{text}\"; it must be {}", alternatives(&names)))
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, Misfit> {
        match &self.content {
            Content::Boolean(value) => Ok(*value),
            Content::Variable(text) if text == "true" => Ok(true),
            Content::Variable(text) if text == "false" => Ok(false),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// A prefix.
    pub(super) fn prefix(&self) -> Result<Prefix, Misfit> {
        self.text()?.trim().parse().map_err(|error: PrefixError| self.misfit(format!("is no prefix: {error}")))
    }

    /// A range of addresses of routers, which is not too wide.
    pub(super) fn range(&self) -> Result<Prefix, Misfit> {
        let range = self.prefix()?;
        let least = if range.address().is_ipv4() { 8 } else { 32 };
        match range.length() >= least {
            true => Ok(range),
            false => Err(self.misfit(format!(
                "has {range}, which is too wide for the addresses of your routers: use ranges of at least /{least}"
            ))),
        }
    }

    /// An interface of a router.
    pub(super) fn interface(&self) -> Result<Known, Misfit> {
        self.text()?.parse().map_err(|error: KnownError| self.misfit(format!("is no interface: {error}")))
    }

    /// A whole number within a range.
    pub(super) fn whole_number(&self, range: RangeInclusive<usize>) -> Result<usize, Misfit> {
        let number = match &self.content {
            Content::Number(number) => *number,
            Content::Variable(text) => Some(text.trim().parse().map_err(|_| self.wrong_type("a whole number"))?),
            _ => return Err(self.wrong_type("a whole number")),
        };
        number
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.misfit(format!("is out of range: {} to {}", range.start(), range.end())))
    }

    /// A duration within a range.
    pub(super) fn duration(&self, range: &RangeInclusive<Duration>) -> Result<Duration, Misfit> {
        self.measure(unit::parse_duration, unit::show_duration, unit::DURATION_FORM, range)
    }

    /// A duration within a range, or the word for none.
    pub(super) fn duration_or(&self, none: &str, range: &RangeInclusive<Duration>) -> Result<Option<Duration>, Misfit> {
        match &self.content {
            Content::Text(text) | Content::Variable(text) if text == none => Ok(None),
            _ => self
                .duration(range)
                .map(Some)
                .map_err(|misfit| Misfit { message: format!("{}; or \"{none}\"", misfit.message), ..misfit }),
        }
    }

    /// A size in bytes within a range.
    pub(super) fn size(&self, range: &RangeInclusive<usize>) -> Result<usize, Misfit> {
        self.measure(unit::parse_size, unit::show_size, unit::SIZE_FORM, range)
    }

    fn measure<T: PartialOrd + Copy>(
        &self,
        parse: fn(&str) -> Option<T>,
        show: fn(T) -> String,
        form: &str,
        range: &RangeInclusive<T>,
    ) -> Result<T, Misfit> {
        let text = match &self.content {
            Content::Text(text) | Content::Variable(text) => text,
            _ => return Err(self.wrong_type(form)),
        };
        let value = parse(text).ok_or_else(|| self.misfit(format!("is \"{text}\"; it must be {form}")))?;
        if range.contains(&value) {
            return Ok(value);
        }
        let (least, most) = (show(*range.start()), show(*range.end()));
        Err(self.misfit(format!("is out of range: {least} to {most}")))
    }

    /// An address with a port.
    pub(super) fn address(&self) -> Result<SocketAddr, Misfit> {
        let text = self.text()?;
        text.trim().parse().map_err(|_| {
            let form = "it must be <address>:<port>";
            // The most common mistakes: a missing port, and missing brackets, with a port or without.
            let unbracketed = text.trim().rsplit_once(':').and_then(|(address, port)| {
                let is_port = port.len() > 2 && port.parse::<u16>().is_ok();
                Some((address.parse::<Ipv6Addr>().ok()?, port)).filter(|_| is_port)
            });
            self.misfit(match (unbracketed, text.trim().parse::<IpAddr>()) {
                (Some((address, port)), _) => format!("is \"{text}\"; {form}, such as \"[{address}]:{port}\""),
                (_, Ok(IpAddr::V4(address))) => format!("is \"{text}\"; {form}, such as \"{address}:2055\""),
                (_, Ok(IpAddr::V6(address))) => format!("is \"{text}\"; {form}, such as \"[{address}]:2055\""),
                (_, Err(_)) => format!("is \"{text}\"; {form}, such as \"0.0.0.0:2055\" or \"[::]:2055\""),
            })
        })
    }

    /// Paths, up to a number of them.
    pub(super) fn paths(&self, most: usize) -> Result<Vec<PathBuf>, Misfit> {
        let paths = self.list(|path| Ok(PathBuf::from(path.trimmed().filled_text()?)))?;
        if paths.len() > most {
            return Err(self.misfit(format!("has {} files; it must have at most {most}", paths.len())));
        }
        Ok(paths)
    }

    /// Sources of AS numbers, each once.
    pub(super) fn order(&self) -> Result<Order, Misfit> {
        let order = self.list(|item| item.trimmed().one_of(Source::WORDS))?;
        if order.is_empty() {
            return Err(
                self.misfit(format!("is empty; it must have some of {}", Source::ALL.map(Source::name).join(", ")))
            );
        }
        Order::new(&order).map_err(|error| self.misfit(format!("cannot be used: {error}")))
    }

    /// The same without spaces around the text of a variable.
    fn trimmed(&self) -> Self {
        match &self.content {
            Content::Variable(text) => Self { content: Content::Variable(text.trim().to_owned()), ..self.clone() },
            _ => self.clone(),
        }
    }

    /// A table.
    pub(super) fn table(&self) -> Result<&[Member], Misfit> {
        match &self.content {
            Content::Table(members) => Ok(members),
            _ => Err(self.wrong_type("a table")),
        }
    }

    /// Text, a number, or a list of these, as a text with commas.
    pub(super) fn words(&self) -> Result<String, Misfit> {
        match &self.content {
            Content::Number(Some(number)) => Ok(number.to_string()),
            Content::List(items) => Ok(items.iter().map(Self::words).collect::<Result<Vec<_>, _>>()?.join(",")),
            _ => self.text().map(str::to_owned).map_err(|_| self.wrong_type("text in quotes, a number, or a list")),
        }
    }

    /// A part of an environment variable.
    pub(super) fn part(&self, text: &str) -> Self {
        Self { content: Content::Variable(text.to_owned()), span: self.span.clone() }
    }

    /// A list, each item read on its own.
    pub(super) fn list<T>(&self, read: impl Fn(&Value) -> Result<T, Misfit>) -> Result<Vec<T>, Misfit> {
        match &self.content {
            Content::List(items) => items.iter().map(read).collect(),
            Content::Variable(text) if text.trim().is_empty() => Ok(Vec::new()),
            Content::Variable(text) => text.split(',').map(|text| read(&self.part(text))).collect(),
            _ => Err(self.wrong_type("a list in brackets")),
        }
    }
}
