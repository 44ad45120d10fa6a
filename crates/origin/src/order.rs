//! The order in which sources are believed.

use std::fmt;
use std::str::FromStr;

/// What may know the AS number of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The operator's [networks](crate::Networks).
    Networks,
    /// The exporter, which sends it with the flow.
    Exporter,
    /// The routes of the exporter by BMP, then those of other routers.
    Bmp,
    /// [Files](crate::Table).
    Files,
}

impl Source {
    /// All sources, the most trusted first.
    pub const ALL: [Self; 4] = [Self::Networks, Self::Exporter, Self::Bmp, Self::Files];

    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Exporter => "exporter",
            Self::Bmp => "bmp",
            Self::Files => "files",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Source {
    type Err = OrderError;

    fn from_str(word: &str) -> Result<Self, OrderError> {
        let found = Self::ALL.into_iter().find(|source| source.name() == word);
        found.ok_or_else(|| OrderError::Unknown(word.to_owned()))
    }
}

/// The order in which sources are asked for an AS number: the first that has one counts. A source that is left out is not
/// asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order([Option<Source>; Source::ALL.len()]);

/// Why sources are no order. Shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A word is no source.
    #[error("'{0}' is no source of AS numbers: write networks, exporter, bmp or files")]
    Unknown(String),
    /// A source is named twice.
    #[error("'{0}' is named twice: name each source once")]
    Twice(Source),
}

impl Default for Order {
    /// All sources, the operator's networks first, files last.
    fn default() -> Self {
        Self(Source::ALL.map(Some))
    }
}

impl Order {
    /// These sources, the most trusted first.
    ///
    /// # Errors
    ///
    /// If a source is named twice.
    pub fn new(sources: &[Source]) -> Result<Self, OrderError> {
        let mut order = Self([None; Source::ALL.len()]);
        let mut places = order.0.iter_mut();
        for (number, source) in sources.iter().enumerate() {
            if sources.iter().take(number).any(|other| other == source) {
                return Err(OrderError::Twice(*source));
            }
            if let Some(place) = places.next() {
                *place = Some(*source);
            }
        }
        Ok(order)
    }

    /// The sources, the most trusted first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Source> {
        self.0.iter().copied().map_while(|source| source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_each_source_at_most_once() {
        assert_eq!(Order::new(&Source::ALL), Ok(Order::default()));
        let some = [Source::Files, Source::Exporter];
        assert!(Order::new(&some).unwrap().iter().eq(some));
        assert_eq!(Order::new(&[]).unwrap().iter().count(), 0);
        let twice = [Source::Bmp, Source::Files, Source::Bmp];
        assert_eq!(Order::new(&twice), Err(OrderError::Twice(Source::Bmp)));
    }

    #[test]
    fn words_are_sources() {
        for source in Source::ALL {
            assert_eq!(source.name().parse(), Ok(source));
        }
        let error = "file".parse::<Source>().unwrap_err().to_string();
        assert_eq!(error, "'file' is no source of AS numbers: write networks, exporter, bmp or files");
    }
}
