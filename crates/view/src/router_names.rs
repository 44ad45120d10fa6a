//! What a router is called, and the source of each name.

use serde::Serialize;
use utoipa::ToSchema;

/// Who gave a router its name. Of several, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NameSource {
    /// The operator, in the configuration or by a request.
    Configured,
    /// Its SNMP agent (sysName).
    Snmp,
    /// The router, at the start of its BMP session (sysName).
    Bmp,
    /// DNS, by its address (PTR).
    Dns,
}

/// A name of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RouterName {
    /// Letters, digits, `-`, `_` and `.`, at most 253.
    pub name: String,
    /// Who gave it.
    pub source: NameSource,
}

/// What a router is called; without a name, nothing is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouterNames {
    /// Its name: the configured one, else its sysName by SNMP, its sysName by BMP, or its name in DNS. Letters, digits, `-`, `_` and
    /// `.`, at most 253. Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    name: Option<String>,
    /// Who gave the name; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    name_source: Option<NameSource>,
    /// Its names by the other sources, if they differ; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    other_names: Vec<RouterName>,
}

impl RouterNames {
    /// The names of a router in any order, at most one of each source.
    #[must_use]
    pub fn new(mut names: Vec<RouterName>) -> Self {
        names.sort_unstable_by_key(|name| name.source);
        let mut names = names.into_iter();
        let Some(RouterName { name, source }) = names.next() else { return Self::default() };
        let mut other_names: Vec<RouterName> = Vec::new();
        for other in names {
            if other.name != name && other_names.iter().all(|known| known.name != other.name) {
                other_names.push(other);
            }
        }
        Self { name: Some(name), name_source: Some(source), other_names }
    }

    /// The same with another configured name, or with none.
    #[must_use]
    pub fn configured(self, configured: Option<String>) -> Self {
        let first = self.name.zip(self.name_source).map(|(name, source)| RouterName { name, source });
        let all = first.into_iter().chain(self.other_names);
        let others = all.filter(|name| name.source != NameSource::Configured);
        let configured = configured.map(|name| RouterName { name, source: NameSource::Configured });
        Self::new(configured.into_iter().chain(others).collect())
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, source: NameSource) -> RouterName {
        RouterName { name: name.to_owned(), source }
    }

    #[test]
    fn the_first_source_counts_and_equal_names_are_shown_once() {
        let names = RouterNames::new(vec![
            name("lo0.edge.example.net", NameSource::Dns),
            name("edge", NameSource::Bmp),
            name("edge", NameSource::Snmp),
        ]);
        assert_eq!((names.name(), names.name_source), (Some("edge"), Some(NameSource::Snmp)));
        assert_eq!(names.other_names, [name("lo0.edge.example.net", NameSource::Dns)]);
        let configured = names.clone().configured(Some("fra-1".into()));
        assert_eq!((configured.name(), configured.other_names.len()), (Some("fra-1"), 2));
        assert_eq!(configured.configured(None), names);
        assert_eq!(RouterNames::default().configured(None), RouterNames::default());
    }
}
