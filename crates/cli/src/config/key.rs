//! What a key is, how it is found by its name or by its variable of the environment, and the nearest name to a wrong
//! one. The keys themselves are in [`super::reference`].

use super::Config;
use super::value_kind::ValueKind;

/// One setting: all that there is to know of it, whoever asks.
pub(crate) struct Key {
    /// Section and key, or the key alone when it stands above all sections.
    pub(crate) name: &'static str,
    /// Where its value stands in the configuration, and which values fit there.
    pub(crate) value: fn(&mut Config) -> ValueKind<'_>,
    /// Whether a running collector takes a new value when it is told to read its configuration again.
    pub(crate) is_live: bool,
    /// What it does, for who reads the reference. What fits, the default and the variable are told beside it.
    pub(crate) text: &'static str,
}

impl Key {
    /// The section that it stands in.
    pub(crate) fn section(&self) -> Option<&'static str> {
        section(self.name)
    }

    /// Its name within its section.
    pub(crate) fn last(&self) -> &'static str {
        last(self.name)
    }

    /// The variable of the environment that sets it: `NETFLOW__`, then section and key in capitals with two underscores
    /// between them and one between words. `netflow.calculateSamples` is `NETFLOW__NETFLOW__CALCULATE_SAMPLES`.
    pub(crate) fn variable(&self) -> String {
        let mut name = ENVIRONMENT_PREFIX.to_owned();
        for letter in self.name.chars() {
            match letter {
                '.' => name.push_str("__"),
                letter if letter.is_ascii_uppercase() => name.extend(['_', letter]),
                letter => name.push(letter.to_ascii_uppercase()),
            }
        }
        name
    }

    /// What a file would say to set it to its default.
    pub(crate) fn default(&self) -> Option<String> {
        self.literal(&Config::default())
    }

    /// Whether two configurations say different things.
    pub(crate) fn differs(&self, one: &Config, other: &Config) -> bool {
        match ((self.value)(&mut one.clone()), (self.value)(&mut other.clone())) {
            (ValueKind::Secret(one), ValueKind::Secret(other)) => one != other,
            (one, other) => one.literal() != other.literal(),
        }
    }

    /// What a file would say to set it to what it is; `None` when that is a secret.
    pub(crate) fn literal(&self, config: &Config) -> Option<String> {
        (self.value)(&mut config.clone()).literal()
    }
}

pub(super) fn section(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(section, _)| section)
}

pub(super) fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}

/// What a variable of the environment starts with to be taken for a setting.
pub(super) const ENVIRONMENT_PREFIX: &str = "NETFLOW__";
