//! Compares the stored counters with the oracle: every minute flow by flow, and every coarser period with its minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use accounting::block::TableSet;
use accounting::direction::Direction;
use accounting::field::{Field, Value};
use accounting::five_minutes;
use accounting::period::{Interval, Minute, Period};
use flow::{Counters, Prefix};
use storage::{Answers, Question, Store};

use crate::exporter::{OCTETS, number};
use crate::oracle::{Counted, Expected, Place};

/// How often each flow is counted, and where.
pub(crate) type ByFlow = BTreeMap<Place, Counted>;

/// Compares all stored counters of a sender and prefix in these minutes with the expected ones. Returns the counts.
pub(crate) async fn audit(
    store: &dyn Store,
    (sender, prefix): (IpAddr, Prefix),
    minutes: &BTreeSet<Minute>,
    expected: &BTreeMap<Place, Expected>,
) -> ByFlow {
    let counted = counted(store, (sender, prefix), minutes, Period::Minute).await;
    for place in counted.keys().chain(expected.keys()) {
        let count = counted.get(place).copied().unwrap_or_default();
        let expected = expected.get(place).copied().unwrap_or_default();
        let is_right = (expected.least.flows..=expected.most.flows).contains(&count.flows)
            && (expected.least.packets..=expected.most.packets).contains(&count.packets);
        assert!(is_right, "{sender} {prefix}: {count:?} in {place:?}, not {expected:?}");
    }
    for period in [Period::Hour, Period::Day, Period::Month, Period::Year] {
        let mut summed = ByFlow::new();
        let coarser = |place: &Place| Place { minute: Interval::containing(period, place.minute).start, ..*place };
        for (place, count) in &counted {
            let sum = summed.entry(coarser(place)).or_default();
            (sum.flows, sum.packets) = (sum.flows + count.flows, sum.packets + count.packets);
        }
        let mut coarse = self::counted(store, (sender, prefix), minutes, period).await;
        for (place, _) in expected.iter().filter(|(_, expected)| expected.may_be_partial) {
            coarse.remove(&coarser(place));
            summed.remove(&coarser(place));
        }
        assert_eq!(coarse, summed, "{sender} {prefix}: {} and its minutes", period.name());
    }
    counted
}

/// How often each flow is counted in the intervals of a period that contain these minutes.
pub(crate) async fn counted(
    store: &dyn Store,
    (sender, prefix): (IpAddr, Prefix),
    minutes: &BTreeSet<Minute>,
    period: Period,
) -> ByFlow {
    let intervals: BTreeSet<_> = minutes.iter().map(|minute| Interval::containing(period, *minute)).collect();
    // A month has the 5 minutes of its open days only.
    let tables = if period <= Period::Day { TableSet::ALL } else { TableSet::COUNTED };
    let ask = |interval| Question { range: Interval::into(interval), sender, prefix, tables };
    let answers = Answers::to(intervals.iter().copied().map(ask).collect()).all(store).await.unwrap();
    let mut counted = ByFlow::new();
    for (interval, answer) in intervals.iter().zip(answers) {
        assert_eq!(answer.damaged, []);
        let mut sums: BTreeMap<&str, Counters> = BTreeMap::new();
        for (_, name, counters) in answer.tables.rows() {
            sums.entry(name.field.name()).or_default().add(counters);
        }
        let all = sums.get(Field::All.name()).copied().unwrap_or_default();
        assert!(sums.values().all(|sum| *sum == all), "{sender} {interval:?}: fields do not add up: {sums:?}");
        if five_minutes::kept_by(period) {
            assert!(
                five_minutes::by_first_minute(&answer.tables).is_some(),
                "{sender} {interval:?}: {:?}",
                answer.tables
            );
        }
        for (direction, name, counters) in answer.tables.rows_of(Field::SourceAddress) {
            let Value::Address(address) = name.value else { panic!("{name:?}") };
            let is_in = matches!(direction, Direction::In | Direction::InLocal);
            let flow = number(address).filter(|_| is_in);
            let flow = flow.unwrap_or_else(|| panic!("{sender}: {address} {direction:?} was never sent"));
            let place = Place { minute: interval.start, flow, is_local: direction == Direction::InLocal };
            assert_eq!(counters.bytes, counters.packets * u64::from(OCTETS));
            let Counters { flows, packets, .. } = counters;
            counted.insert(place, Counted { flows, packets });
        }
    }
    counted
}
