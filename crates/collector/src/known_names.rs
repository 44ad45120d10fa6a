//! What routers are called: the configured names, and those that their SNMP agents and DNS have given. Nothing of it is kept over a
//! restart: both are asked again within seconds, and no counter of the past needs a name.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use flow::SenderName;
use view::{NameSource, RouterName};

use crate::lock::locked;

/// A handle to the names. Its copies are handles to the same. Those who set names bound how many there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownNames(Arc<Mutex<HashMap<IpAddr, Names>>>);

type Names = BTreeMap<NameSource, SenderName>;

impl KnownNames {
    /// Replaces the name that a source has given a router, or removes it.
    pub(crate) fn set(&self, router: IpAddr, source: NameSource, name: Option<SenderName>) {
        let mut known = locked(&self.0);
        match name {
            Some(name) => {
                known.entry(router).or_default().insert(source, name);
            }
            None => forget(&mut known, router, source),
        }
    }

    /// Replaces all names of a source.
    pub(crate) fn replace(&self, source: NameSource, names: &HashMap<IpAddr, SenderName>) {
        self.retain(source, |router| names.contains_key(router));
        let mut known = locked(&self.0);
        for (router, name) in names {
            known.entry(*router).or_default().insert(source, name.clone());
        }
    }

    /// Removes the names of a source that are of other routers.
    pub(crate) fn retain(&self, source: NameSource, is_kept: impl Fn(&IpAddr) -> bool) {
        locked(&self.0).retain(|router, names| {
            if !is_kept(router) {
                names.remove(&source);
            }
            !names.is_empty()
        });
    }

    /// The names of a router.
    pub(crate) fn of(&self, router: IpAddr) -> Vec<RouterName> {
        let known = locked(&self.0);
        let names = known.get(&router).into_iter().flatten();
        names.map(|(source, name)| RouterName { name: name.to_string(), source: *source }).collect()
    }
}

fn forget(known: &mut HashMap<IpAddr, Names>, router: IpAddr, source: NameSource) {
    if let Some(names) = known.get_mut(&router) {
        names.remove(&source);
        if names.is_empty() {
            known.remove(&router);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_source_are_replaced_and_nothing_remains_of_the_last() {
        let [one, other] = [1, 2].map(|host| IpAddr::from([192, 0, 2, host]));
        let (known, name) = (KnownNames::default(), |name: &str| name.parse::<SenderName>().unwrap());
        known.set(one, NameSource::Dns, Some(name("lo0.edge")));
        known.replace(NameSource::Configured, &[(one, name("edge")), (other, name("core"))].into());
        let sources = |router| known.of(router).into_iter().map(|name| name.source).collect::<Vec<_>>();
        assert_eq!(sources(one), [NameSource::Configured, NameSource::Dns]);
        known.replace(NameSource::Configured, &[(one, name("edge"))].into());
        assert_eq!((sources(one).len(), sources(other).len()), (2, 0));
        known.set(one, NameSource::Dns, None);
        known.retain(NameSource::Configured, |_| false);
        assert!(locked(&known.0).is_empty());
    }
}
