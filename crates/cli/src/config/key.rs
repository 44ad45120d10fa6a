//! What a configuration key is. The keys themselves are in [`super::reference`].

use super::Config;
use super::value_kind::ValueKind;

/// One setting and its documentation.
pub(crate) struct Key {
    /// Section and key; the key alone at the top level.
    pub(crate) name: &'static str,
    /// Its value in the configuration, and which values are allowed.
    pub(crate) value: fn(&mut Config) -> ValueKind<'_>,
    /// Whether it takes effect at a reload.
    pub(crate) is_live: bool,
    /// What it does, for the reference; allowed values, default and variable are added.
    pub(crate) text: &'static str,
}

impl Key {
    /// Its section; `None` at the top level.
    pub(crate) fn section(&self) -> Option<&'static str> {
        section(self.name)
    }

    /// Its name within its section.
    pub(crate) fn last(&self) -> &'static str {
        last(self.name)
    }

    /// The environment variable that sets it: `NETFLOW__`, then section and key in capitals with two underscores
    /// between them and one between words. `netflow.calculateSamples` is `NETFLOW__NETFLOW__CALCULATE_SAMPLES`.
    pub(crate) fn variable(&self) -> String {
        variable(self.name)
    }

    /// Its default, as written in a file.
    pub(crate) fn default(&self) -> Option<String> {
        self.literal(&Config::default())
    }

    /// Whether its value differs between two configurations.
    pub(crate) fn differs(&self, one: &Config, other: &Config) -> bool {
        match ((self.value)(&mut one.clone()), (self.value)(&mut other.clone())) {
            (ValueKind::Secret(one), ValueKind::Secret(other)) => one != other,
            (one, other) => one.literal() != other.literal(),
        }
    }

    /// Its value, as written in a file; `None` for a secret.
    pub(crate) fn literal(&self, config: &Config) -> Option<String> {
        (self.value)(&mut config.clone()).literal()
    }
}

/// The environment variable of a key with this name.
pub(super) fn variable(key: &str) -> String {
    let mut name = ENVIRONMENT_PREFIX.to_owned();
    for letter in key.chars() {
        match letter {
            '.' => name.push_str("__"),
            letter if letter.is_ascii_uppercase() => name.extend(['_', letter]),
            letter => name.push(letter.to_ascii_uppercase()),
        }
    }
    name
}

pub(super) fn section(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(section, _)| section)
}

pub(super) fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}

/// The prefix of environment variables that are settings.
pub(super) const ENVIRONMENT_PREFIX: &str = "NETFLOW__";
