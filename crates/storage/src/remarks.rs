//! Remarks: at what time the counters of a sender began to mean something else, because the operator changed what is
//! local or how the sender is counted. Answers that include such a time show it. Collectors write remarks
//! ([`LastTerms`](crate::LastTerms)); a store keeps them, also for a sender that was removed, as it keeps the counters.
//!
//! A remark shows as one line of its parts, separated by tabs, which none of them contains.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use flow::{Prefix, Timestamp};

use crate::StoreError;

/// How many remarks about a sender are kept: the newest.
pub const REMARKS_KEPT: usize = 256;

/// The kind of remarks about own networks. All other kinds are names of settings.
pub const OWN_NETWORKS: &str = "ownNetworks";

/// What changed, and when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// When a collector began to count in the new way, in whole milliseconds.
    pub time: Timestamp,
    /// [`OWN_NETWORKS`], or the name of a setting, such as `samplingRate`.
    pub kind: String,
    /// The value before. Of own networks, those of one address family that are not own networks any more.
    pub was: String,
    /// The value since. Of own networks, those of the same family that were none before.
    pub is: String,
}

/// Remarks by sender, the oldest first.
pub type Remarks = BTreeMap<IpAddr, Vec<Remark>>;

/// What is kept of these remarks about one sender, the oldest first. Several collectors of a store write the same change,
/// each when it notices: the first one stays.
pub(crate) fn settled(mut remarks: Vec<Remark>) -> Vec<Remark> {
    remarks.sort_unstable();
    let mut settled: Vec<Remark> = Vec::with_capacity(remarks.len());
    for remark in remarks {
        if !is_repeated(&settled, &remark) {
            settled.push(remark);
        }
    }
    settled.split_off(settled.len().saturating_sub(REMARKS_KEPT))
}

/// Whether the same change is among those before, and nothing of it was taken back since.
fn is_repeated(before: &[Remark], remark: &Remark) -> bool {
    let of_kind = before.iter().rev().filter(|former| former.kind == remark.kind);
    let is_same = |former: &Remark| former.was == remark.was && former.is == remark.is;
    let mut decisive =
        of_kind.filter(|former| is_same(former) || meet(&former.was, &remark.is) || meet(&former.is, &remark.was));
    decisive.next().is_some_and(is_same)
}

/// The networks of a value, or the value itself.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(", ").filter(|part| !part.is_empty())
}

/// Whether two values have a part in common. Networks have if one is within the other, because what was added as a whole
/// may be removed in halves; and the rest of a long list may have any.
fn meet(one: &str, other: &str) -> bool {
    let meet = |one: &str, other: &str| match (one.parse::<Prefix>(), other.parse::<Prefix>()) {
        (Ok(one), Ok(other)) => one.contains(other.address()) || other.contains(one.address()),
        (Err(_), Err(_)) => one == other,
        _ => true,
    };
    parts(one).any(|one| parts(other).any(|other| meet(one, other)))
}

/// Whether own networks are of IPv6.
fn is_ipv6(was: &str, is: &str) -> bool {
    was.contains(':') || is.contains(':')
}

impl Remark {
    /// Whether it is about counters of this prefix: own networks are about prefixes of the same family, settings about all.
    #[must_use]
    pub fn concerns(&self, prefix: Prefix) -> bool {
        self.kind != OWN_NETWORKS || is_ipv6(&self.was, &self.is) == prefix.is_ipv6()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, kind, was, is } = self;
        write!(f, "{}\t{kind}\t{was}\t{is}", time.milliseconds())
    }
}

impl FromStr for Remark {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let parse = || {
            let mut parts = text.split('\t').map(str::to_owned);
            let time = Timestamp::from_milliseconds(parts.next()?.parse().ok()?);
            let remark = Self { time, kind: parts.next()?, was: parts.next()?, is: parts.next()? };
            parts.next().is_none().then_some(remark)
        };
        parse().ok_or_else(|| StoreError::Corrupt(format!("'{text}' is no remark").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(seconds: u64, kind: &str, was: &str, is: &str) -> Remark {
        Remark { time: Timestamp::from_seconds(seconds), kind: kind.into(), was: was.into(), is: is.into() }
    }

    #[test]
    fn a_remark_is_read_back_from_its_line() {
        for remark in
            [remark(7, OWN_NETWORKS, "", "10.0.0.0/8, 11.0.0.0/8"), remark(1, "samplingRate", "announced", "9")]
        {
            assert_eq!(remark.to_string().parse::<Remark>().unwrap(), remark);
        }
        for text in ["", "7", "7\ta\tb", "x\ta\tb\tc", "7\ta\tb\tc\td"] {
            assert!(matches!(text.parse::<Remark>(), Err(StoreError::Corrupt(_))), "{text}");
        }
    }

    #[test]
    fn a_change_that_several_collectors_noticed_is_one_remark_until_it_is_taken_back() {
        let there = |seconds| remark(seconds, "samplingRate", "1", "9");
        let back = |seconds| remark(seconds, "samplingRate", "9", "1");
        let (ipv4, ipv6) = (remark(5, OWN_NETWORKS, "", "10.0.0.0/8"), remark(5, OWN_NETWORKS, "", "2001:db8::/32"));
        let again = [back(8), there(4), ipv6.clone(), remark(6, OWN_NETWORKS, "", "10.0.0.0/8"), there(3), back(7)];
        let all = again.into_iter().chain([ipv4.clone(), there(9)]).collect();
        assert_eq!(settled(all), [there(3), ipv4, ipv6, back(7), there(9)]);
        // The second collector notices the first change in the second of another one.
        let [aggregate, other] = [("10.1.0.0/16", "10.0.0.0/8"), ("", "172.16.0.0/12")];
        let own = |seconds, (was, is)| remark(seconds, OWN_NETWORKS, was, is);
        let back = |seconds| remark(seconds, OWN_NETWORKS, "172.16.0.0/12, 192.0.2.0/24", "");
        let first = [own(1, aggregate), own(2, other), own(2, aggregate), own(3, other)];
        let again = [back(4), back(5), own(6, other), own(7, other)];
        let expected = [own(1, aggregate), own(2, other), back(4), own(6, other)];
        assert_eq!(settled([first, again].concat()), expected);
    }

    #[test]
    fn a_network_that_was_removed_in_parts_or_within_another_is_remarked_when_it_is_added_again() {
        let own = |seconds, was, is| remark(seconds, OWN_NETWORKS, was, is);
        for (removed, added) in [
            // Split before, which changes nothing by itself.
            ("10.0.0.0/9, 10.128.0.0/9", "10.0.0.0/8"),
            ("10.128.0.0/9", "10.0.0.0/8"),
            ("0.0.0.0/1", "10.0.0.0/8"),
            ("2001:db8::/33", "2001:db8::/32"),
            ("172.16.0.0/12, and 20 more", "10.0.0.0/8"),
        ] {
            let all = vec![own(1, "", added), own(2, removed, ""), own(3, "", added)];
            assert_eq!(settled(all.clone()), all, "{removed}");
        }
        // One beside it takes nothing of it back.
        let beside = [own(1, "", "10.0.0.0/8"), own(2, "11.0.0.0/8", ""), own(3, "", "10.0.0.0/8")];
        assert_eq!(settled(beside.to_vec()), beside[..2]);
    }

    #[test]
    fn the_newest_remarks_are_kept() {
        let many = (0..300).map(|second| remark(second, "samplingRate", &second.to_string(), ""));
        let kept = settled(many.collect());
        assert_eq!((kept.len(), kept[0].time.seconds()), (REMARKS_KEPT, 300 - REMARKS_KEPT as u64));
    }
}
