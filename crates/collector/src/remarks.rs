//! Notices when the counters of a sender begin to mean something else: compares the terms by which it is counted with those
//! by which it was counted last, also by an earlier run, and writes down what differs.
//!
//! These change what counters mean:
//! - The own networks, as a set of addresses: the monitored prefixes of the sender without default routes, or those that are
//!   stated. They decide between `in` and `in:local`, `out` and `out:local` for every prefix of the same address family. A
//!   prefix inside another one changes nothing, one around another does.
//! - A setting of the sender, and `netflow.calculateSamples`.
//!
//! The limit of clocks does not, nor do the fields that are counted: answers mark a field that was not counted all the time.
//! What is counted for the first time has no other meaning before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use flow::{Prefix, Timestamp};
use pipeline::{Rules, Snapshot};
use storage::remarks::OWN_NETWORKS;
use storage::{LastTerms, Remark, Remarks, Store, StoreError};

use crate::terms::{StatedTerms, decode, encode};

/// The kind of remarks about the multiplication of sampled flows.
const CALCULATE_SAMPLES: &str = "calculateSamples";
/// How many own networks a remark lists.
const LISTED: usize = 10;

/// The terms of all senders, as they are stored.
pub(crate) struct NotedTerms {
    last: LastTerms,
    noted: Option<(Arc<Snapshot>, bool)>,
    /// What a store on the network does not have yet.
    unsent: Remarks,
    is_remote: bool,
    is_failing: bool,
}

impl NotedTerms {
    /// Those of an earlier run. A store on the network gets the remarks that this collector made so far: an earlier run may not
    /// have reached it.
    pub(crate) async fn new(last: LastTerms, is_remote: bool) -> Result<Self, StoreError> {
        let unsent = if is_remote { last.remarks().await? } else { Remarks::new() };
        Ok(Self { last, noted: None, unsent, is_remote, is_failing: false })
    }

    /// Remarks what differs from the terms of before, and replaces them. After a failure the next call does it.
    pub(crate) async fn note(&mut self, admitted: Arc<Snapshot>, rules: Rules) {
        let now = (admitted, rules.scale_samples);
        let noted = self.noted.as_ref();
        if noted.is_some_and(|noted| Arc::ptr_eq(&noted.0, &now.0) && noted.1 == now.1) {
            return;
        }
        let is_noted = |(sender, registration): &(&_, &Arc<_>)| {
            let former = noted.filter(|noted| noted.1 == now.1).and_then(|noted| noted.0.get(*sender));
            former.is_some_and(|former| Arc::ptr_eq(former, registration))
        };
        let changed = now.0.iter().filter(|sender| !is_noted(sender));
        let terms = changed.map(|(sender, registration)| (*sender, encode(Some(registration), &rules))).collect();
        let time = Timestamp::from_milliseconds(Timestamp::from(SystemTime::now()).milliseconds());
        let differences = move |former: &[u8], new: &[u8]| match (decode(former, rules), decode(new, rules)) {
            (Some(former), Some(new)) => differences(&former, &new, time),
            _ => Vec::new(),
        };
        match self.last.replace(terms, differences).await {
            Ok(remarks) => {
                self.noted = Some(now);
                self.is_failing = false;
                if !remarks.is_empty() {
                    tracing::info!(
                        senders = remarks.len(),
                        "the meaning of counters has changed: answers have a remark"
                    );
                }
                if self.is_remote {
                    remarks
                        .into_iter()
                        .for_each(|(sender, remarks)| self.unsent.entry(sender).or_default().extend(remarks));
                }
            }
            Err(error) => self.report(&error),
        }
    }

    /// Passes remarks on to a store on the network. After a failure the next call does it.
    pub(crate) async fn send(&mut self, store: &dyn Store) {
        if self.unsent.is_empty() {
            return;
        }
        match store.put_remarks(&self.unsent).await {
            Ok(()) => self.unsent.clear(),
            Err(error) => self.report(&error),
        }
    }

    fn report(&mut self, error: &StoreError) {
        if !self.is_failing {
            tracing::warn!(%error, "cannot store the remark that the meaning of counters has changed, retrying");
            self.is_failing = true;
        }
    }
}

/// What the terms of a sender change in the meaning of its counters.
fn differences(former: &StatedTerms, new: &StatedTerms, time: Timestamp) -> Vec<Remark> {
    let changed = |kind: &str, was: String, is: String| Remark { time, kind: kind.to_owned(), was, is };
    let families = [Prefix::is_ipv4, Prefix::is_ipv6];
    let own_networks = families.into_iter().filter_map(|family| other_own_networks(former, new, family));
    let mut remarks: Vec<Remark> = own_networks.map(|(was, is)| changed(OWN_NETWORKS, was, is)).collect();
    let settings = former.settings.all().into_iter().zip(new.settings.all()).filter(|(was, is)| was != is);
    remarks.extend(settings.map(|(was, is)| changed(is.name(), was.value(), is.value())));
    let [was, is] = [former, new].map(|terms| terms.rules.scale_samples);
    if was != is {
        remarks.push(changed(CALCULATE_SAMPLES, was.to_string(), is.to_string()));
    }
    remarks
}

/// The own networks of a family that are none any more, and those that were none before, if prefixes that were monitored
/// and still are have counters that these concern.
fn other_own_networks(
    former: &StatedTerms,
    new: &StatedTerms,
    is_of_family: fn(&Prefix) -> bool,
) -> Option<(String, String)> {
    let [was, is] = [former, new].map(|terms| own_networks(terms, is_of_family));
    if Prefix::aggregated(&was) == Prefix::aggregated(&is) {
        return None;
    }
    let monitored: BTreeSet<&Prefix> = former.prefixes.iter().collect();
    let mut stayed = new.prefixes.iter().filter(|prefix| is_of_family(prefix) && monitored.contains(prefix));
    // A prefix outside of all of them has no local traffic, before and after.
    stayed.find(|prefix| [&was, &is].iter().any(|own| overlap(own, prefix)))?;
    let only = |of: &[Prefix], other: &[Prefix]| {
        let other: BTreeSet<&Prefix> = other.iter().collect();
        list(of.iter().filter(|prefix| !other.contains(prefix)))
    };
    Some((only(&was, &is), only(&is, &was)))
}

/// The outermost ones, sorted.
fn own_networks(terms: &StatedTerms, is_of_family: fn(&Prefix) -> bool) -> Vec<Prefix> {
    let mut own: Vec<Prefix> = match terms.own.prefixes() {
        Some(stated) => stated.to_vec(),
        None => terms.prefixes.iter().filter(|prefix| !prefix.is_default_route()).copied().collect(),
    };
    own.retain(is_of_family);
    // Each comes after the prefixes around it.
    own.sort_unstable();
    let mut outermost: Vec<Prefix> = Vec::new();
    for prefix in own {
        if outermost.last().is_none_or(|last| !last.contains(prefix.address())) {
            outermost.push(prefix);
        }
    }
    outermost
}

/// Whether a prefix has an address in common with one of these, which are sorted and have none in common.
fn overlap(networks: &[Prefix], prefix: &Prefix) -> bool {
    let (before, after) = networks.split_at(networks.partition_point(|network| network <= prefix));
    before.last().is_some_and(|network| network.contains(prefix.address()))
        || after.first().is_some_and(|network| prefix.contains(network.address()))
}

fn list<'p>(prefixes: impl Iterator<Item = &'p Prefix>) -> String {
    let mut listed: Vec<String> = prefixes.map(Prefix::to_string).collect();
    let more = listed.len().saturating_sub(LISTED);
    if more > 0 {
        listed.truncate(LISTED);
        listed.push(format!("and {more} more"));
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use accounting::tally::{OwnNetworks, TallySettings};
    use flow::SenderSettings;

    use super::*;

    fn prefixes(texts: &str) -> Vec<Prefix> {
        texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
    }

    fn terms(monitored: &str, own: Option<&str>, settings: &str) -> StatedTerms {
        let session = wire::SessionLimits::default();
        let clock_limit = std::time::Duration::from_secs(600);
        StatedTerms {
            prefixes: prefixes(monitored),
            own: own.map_or_else(OwnNetworks::default, |own| OwnNetworks::stated(&prefixes(own))),
            settings: settings.parse::<SenderSettings>().unwrap(),
            rules: Rules { scale_samples: true, clock_limit, session, tally: TallySettings::default() },
        }
    }

    /// Kind, what it was and what it is, of each remark.
    fn remarked(former: &StatedTerms, new: &StatedTerms) -> Vec<[String; 3]> {
        let remarks = differences(former, new, Timestamp::EPOCH);
        remarks.into_iter().map(|Remark { kind, was, is, .. }| [kind, was, is]).collect()
    }

    fn own(former: (&str, Option<&str>), new: (&str, Option<&str>)) -> Vec<[String; 3]> {
        remarked(&terms(former.0, former.1, ""), &terms(new.0, new.1, ""))
    }

    fn change(was: &str, is: &str) -> [String; 3] {
        [OWN_NETWORKS, was, is].map(str::to_owned)
    }

    #[test]
    fn a_prefix_around_another_or_beside_it_changes_what_is_local_and_one_inside_does_not() {
        let customer = "10.1.0.0/16";
        for (added, expected) in [
            ("10.0.0.0/8", vec![change(customer, "10.0.0.0/8")]),
            ("10.2.0.0/16", vec![change("", "10.2.0.0/16")]),
            ("10.1.2.0/24", vec![]),
            ("0.0.0.0/0", vec![]),
            ("2001:db8::/32", vec![]),
            ("10.1.0.0/17 10.1.128.0/17", vec![]),
        ] {
            let all = format!("{customer} {added}");
            assert_eq!(own((customer, None), (&all, None)), expected, "{added}");
            let back = expected.into_iter().map(|[kind, was, is]| [kind, is, was]).collect::<Vec<_>>();
            assert_eq!(own((&all, None), (customer, None)), back, "{added}");
        }
    }

    #[test]
    fn prefixes_that_are_new_or_gone_have_no_other_meaning_before() {
        for (former, new) in
            [("", "10.0.0.0/8"), ("10.0.0.0/8", ""), ("10.0.0.0/8", "11.0.0.0/8"), ("", "2001:db8::/32")]
        {
            assert_eq!(own((former, None), (new, None)), Vec::<[String; 3]>::new(), "{former} {new}");
        }
        // Two halves are the whole.
        let halves = "10.0.0.0/9 10.128.0.0/9 10.1.0.0/16";
        assert_eq!(own((halves, None), ("10.0.0.0/8 10.1.0.0/16", None)), Vec::<[String; 3]>::new());
    }

    #[test]
    fn stated_own_networks_are_compared_with_those_that_were_in_force() {
        let both = "10.1.0.0/16 2001:db8::/32";
        assert_eq!(own((both, None), (both, Some(both))), Vec::<[String; 3]>::new());
        assert_eq!(
            own((both, None), (both, Some("10.0.0.0/8"))),
            [change("10.1.0.0/16", "10.0.0.0/8"), change("2001:db8::/32", "")]
        );
        // What is monitored does not matter then.
        let stated = Some("10.0.0.0/8");
        assert_eq!(own(("10.1.0.0/16", stated), ("10.1.0.0/16 10.0.0.0/7", stated)), Vec::<[String; 3]>::new());
        // Nothing is ever local for a prefix outside of them.
        let [less, more] = [Some("10.0.0.0/8"), Some("10.0.0.0/8 172.16.0.0/12")];
        assert_eq!(own(("192.0.2.0/24", less), ("192.0.2.0/24", more)), Vec::<[String; 3]>::new());
        assert_eq!(own(("0.0.0.0/0", less), ("0.0.0.0/0", more)), [change("", "172.16.0.0/12")]);
    }

    #[test]
    fn settings_of_a_sender_and_the_multiplication_change_the_meaning_and_the_limit_of_clocks_does_not() {
        let former = terms("10.0.0.0/8", None, "samplingRate=10 flowDirection=ingress");
        let mut new = terms("10.0.0.0/8", None, "flowDirection=ingress natAddresses=inside");
        new.rules.clock_limit *= 2;
        let expected = [["samplingRate", "10", "announced"], ["natAddresses", "reported", "inside"]];
        assert_eq!(remarked(&former, &new), expected.map(|change| change.map(str::to_owned)));
        new.rules.scale_samples = false;
        assert_eq!(remarked(&former, &new)[2], [CALCULATE_SAMPLES, "true", "false"]);
    }

    #[test]
    fn a_remark_lists_ten_networks() {
        let many = (0..12).map(|third| format!("10.0.{third}.0/24")).collect::<Vec<_>>();
        let monitored = format!("192.0.2.0/24 {}", many.join(" "));
        let expected = format!("{}, and 2 more", many[..10].join(", "));
        assert_eq!(own(("192.0.2.0/24", None), (&monitored, None)), [change("", &expected)]);
    }
}
