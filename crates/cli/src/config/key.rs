//! What a key is, how it is found by its name or by its variable of the environment, and the nearest name to a wrong
//! one. The keys themselves are in [`super::reference`].

use strsim::damerau_levenshtein;

use super::Config;
use super::place::Place;
use super::reference::KEYS;

/// One setting: all that there is to know of it, whoever asks.
pub(crate) struct Key {
    /// Section and key, or the key alone when it stands above all sections.
    pub(crate) name: &'static str,
    /// Where its value stands in the configuration, and which values fit there.
    pub(crate) place: fn(&mut Config) -> Place<'_>,
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
        match ((self.place)(&mut one.clone()), (self.place)(&mut other.clone())) {
            (Place::Secret(one), Place::Secret(other)) => one != other,
            (one, other) => one.literal() != other.literal(),
        }
    }

    /// What a file would say to set it to what it is; `None` when that is a secret.
    pub(crate) fn literal(&self, config: &Config) -> Option<String> {
        (self.place)(&mut config.clone()).literal()
    }
}

/// The key of this name.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == path)
}

/// The key that this variable of the environment sets.
pub(super) fn find_variable(variable: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.variable() == variable)
}

/// Whether there are keys below this name.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.section() == Some(path))
}

fn section(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(section, _)| section)
}

fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}

/// What a variable of the environment starts with to be taken for a setting.
pub(super) const ENVIRONMENT_PREFIX: &str = "NETFLOW__";

/// What to say after "unknown key": the nearest one, or all that stand beside it.
pub(super) fn suggestion(path: &str) -> String {
    let wanted = path.to_lowercase();
    let distance = |name: &str| {
        let name = name.to_lowercase();
        // A key in the wrong section is as near as one wrong letter.
        damerau_levenshtein(&name, &wanted).min(damerau_levenshtein(last(&name), last(&wanted)) + 1)
    };
    let nearest = KEYS.iter().map(|key| (distance(key.name), key.name)).min();
    if let Some((_, name)) = nearest.filter(|(distance, _)| *distance <= 1 + last(path).len() / 3) {
        return format!("; did you mean '{name}'?");
    }
    let beside = section(path).filter(|section| is_section(section));
    let names: Vec<&str> = KEYS.iter().filter(|key| key.section() == beside).map(Key::last).collect();
    match beside {
        Some(section) => format!("; the keys of [{section}] are {}", names.join(", ")),
        None => {
            let mut sections: Vec<String> =
                KEYS.iter().filter_map(Key::section).map(|name| format!("[{name}]")).collect();
            sections.dedup();
            format!("; there are {}, and the sections {}", names.join(", "), sections.join(", "))
        }
    }
}

/// What to say after "unknown variable".
pub(super) fn variable_suggestion(variable: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(Key::variable)
        .map(|name| (damerau_levenshtein(&name, variable), name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + (variable.len() - ENVIRONMENT_PREFIX.len()) / 3);
    match nearest {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => format!("; a key such as http.listen is {ENVIRONMENT_PREFIX}HTTP__LISTEN"),
    }
}
