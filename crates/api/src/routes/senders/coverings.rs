//! Warnings about prefixes of a sender that cover others.
//!
//! Where its prefixes are the own networks, traffic between the inner one and the rest of the outer one is local, so an aggregate
//! that is added moves traffic of the customers in it from `in` and `out` to `in:local` and `out:local`. A default route has both
//! ends of every flow.

use std::collections::BTreeSet;
use std::net::IpAddr;

use flow::Prefix;

use crate::Api;
use crate::error::Error;

/// How many are described.
const LISTED: usize = 5;

/// A warning for each pair of which one is new, unless it is stated which networks are own ones, and for new default routes.
pub(super) async fn warnings(api: &Api, sender: IpAddr, added: &[Prefix]) -> Result<Vec<String>, Error> {
    let mut warnings: Vec<String> = added.iter().filter(|prefix| prefix.is_default_route()).map(both_ways).collect();
    if warnings.len() == added.len() {
        return Ok(warnings);
    }
    let in_force = api.in_force().await?;
    let prefixes = in_force.senders.iter().find(|listed| listed.address == sender).map(|listed| &listed.prefixes);
    if let (None, Some(prefixes)) = (in_force.own, prefixes) {
        warnings.extend(of_pairs(prefixes, added));
    }
    Ok(warnings)
}

fn both_ways(default_route: &Prefix) -> String {
    let family = if default_route.is_ipv4() { "IPv4" } else { "IPv6" };
    format!(
        "{default_route} has both ends of every {family} flow, so that each counts as in and as out; add the prefixes of your own \
         networks to see directions"
    )
}

fn of_pairs(prefixes: &[Prefix], added: &[Prefix]) -> Vec<String> {
    // A default route makes no flow local.
    let own: BTreeSet<&Prefix> = prefixes.iter().filter(|prefix| !prefix.is_default_route()).collect();
    let added: BTreeSet<&Prefix> = added.iter().collect();
    let mut described = Vec::new();
    let mut pairs = 0_usize;
    // In this order, what covers a prefix is before it, and everything between the two is covered too.
    let mut around: Vec<&Prefix> = Vec::new();
    for inner in own {
        while around.pop_if(|last| !covers(last, inner)).is_some() {}
        for outer in around.iter().filter(|outer| added.contains(*outer) || added.contains(inner)) {
            pairs += 1;
            if pairs <= LISTED {
                described.push(warning(outer, inner));
            }
        }
        around.push(inner);
    }
    if pairs > LISTED {
        described.push(format!("the same holds for {} more pairs of prefixes of this sender", pairs - LISTED));
    }
    described
}

fn covers(outer: &Prefix, inner: &Prefix) -> bool {
    outer.length() < inner.length() && outer.contains(inner.address())
}

fn warning(outer: &Prefix, inner: &Prefix) -> String {
    format!(
        "{outer} covers {inner}: traffic between {inner} and the rest of {outer} is local, and counts as in:local and out:local \
         instead of in and out; networks.own in the configuration states what is local otherwise"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prefixes: &[&str], added: &[&str]) -> Vec<String> {
        let [prefixes, added] =
            [prefixes, added].map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Prefix>>());
        of_pairs(&prefixes, &added)
    }

    #[test]
    fn a_new_prefix_that_covers_another_or_is_covered_is_warned_of() {
        let both = ["192.0.2.0/24", "192.0.2.0/25"];
        for added in [&["192.0.2.0/24"], &["192.0.2.0/25"]] {
            let warnings = of(&both, added);
            assert_eq!(warnings.len(), 1);
            assert!(
                warnings[0].starts_with("192.0.2.0/24 covers 192.0.2.0/25: traffic between 192.0.2.0/25 and the rest")
            );
        }
        assert_eq!(of(&both, &[]), [""; 0]);
        assert_eq!(of(&["192.0.2.0/25", "192.0.2.128/25", "2001:db8::/32"], &["192.0.2.128/25"]), [""; 0]);
    }

    #[test]
    fn default_routes_make_nothing_local_and_many_pairs_are_counted() {
        assert_eq!(of(&["0.0.0.0/0", "192.0.2.0/24", "::/0", "2001:db8::/32"], &["0.0.0.0/0", "::/0"]), [""; 0]);
        let customers: Vec<String> = (0..20).map(|number| format!("10.0.{number}.0/24")).collect();
        let prefixes: Vec<&str> = ["10.0.0.0/8"].into_iter().chain(customers.iter().map(String::as_str)).collect();
        let warnings = of(&prefixes, &["10.0.0.0/8"]);
        assert_eq!(warnings.len(), LISTED + 1);
        assert_eq!(warnings[LISTED], "the same holds for 15 more pairs of prefixes of this sender");
    }
}
