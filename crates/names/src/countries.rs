//! The names of countries.

use std::collections::HashMap;
use std::sync::LazyLock;

const COUNTRIES: &str = include_str!("countries.txt");

/// The English name of the country with these two capital letters.
#[must_use]
pub fn country(letters: &str) -> Option<&'static str> {
    static NAMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| lines().collect());
    NAMES.get(letters).copied()
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    COUNTRIES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_one_name() {
        for (letters, name) in lines() {
            assert!(letters.len() == 2 && letters.bytes().all(|letter| letter.is_ascii_uppercase()), "{letters}");
            assert_eq!((country(letters), name.trim()), (Some(name), name));
        }
        // 249 of ISO 3166-1, and three others.
        assert_eq!(lines().count(), 252);
        assert_eq!((country("CH"), country("ch"), country("ZZ")), (Some("Switzerland"), None, None));
    }
}
