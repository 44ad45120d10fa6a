//! What an interface is called, and who says so.

use serde::{Deserialize, Serialize};

/// Longer texts are cut, in octets.
const LONGEST: usize = 255;

/// Who says what an interface is called. Of several, the first counts, for each detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The router, in options data.
    Options,
    /// The operator, in the configuration.
    Configured,
    /// The SNMP agent of the router.
    Snmp,
}

impl Source {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Options, Self::Configured, Self::Snmp];

    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::Configured => "configured",
            Self::Snmp => "snmp",
        }
    }
}

/// What an interface is called. Texts are as a router sent them, and must be escaped where they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// A short name, such as `ge-0/0/1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for, or a longer name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its speed in bits a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<u64>,
}

impl Details {
    /// Without empty texts, blanks around them, and what is too long; a speed of zero is unknown.
    #[must_use]
    pub fn tidy(self) -> Self {
        let tidy = |text: Option<String>| {
            let text = text?;
            let text = text.trim_matches(|character: char| character.is_whitespace() || character == '\0');
            let mut end = text.len().min(LONGEST);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).map(str::trim_end).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (name, description) = (tidy(self.name), tidy(self.description));
        // Many routers have one text for both.
        let description = description.filter(|description| Some(description) != name.as_ref());
        Self { name, description, speed: self.speed.filter(|speed| *speed > 0) }
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.name.is_none() && self.description.is_none() && self.speed.is_none()
    }

    /// Takes what is missing here from others.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            name: self.name.as_ref().or(other.name.as_ref()).cloned(),
            description: self.description.as_ref().or(other.description.as_ref()).cloned(),
            speed: self.speed.or(other.speed),
        }
    }

    /// Whether they say nothing else about any detail that both have.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        same(&self.name, &other.name) && same(&self.description, &other.description) && same(&self.speed, &other.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_trimmed() {
        let details =
            Details { name: Some(format!(" {}\0", "ü".repeat(200))), description: Some(" \0".into()), speed: Some(0) };
        let tidy = details.tidy();
        assert_eq!(tidy.name.map(|name| name.len()), Some(254));
        assert_eq!((tidy.description, tidy.speed), (None, None));
        // What is cut is tidy, too.
        let cut = Details { name: Some(format!("{} {}", "a".repeat(254), "b")), ..Details::default() }.tidy();
        assert_eq!((cut.name.as_ref().map(String::len), cut.clone().tidy()), (Some(254), cut));
        let twice = Details { name: Some("eth0".into()), description: Some("eth0".into()), speed: None };
        assert_eq!(twice.tidy().description, None);
    }
}
