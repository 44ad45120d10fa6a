//! The mean bit rates of each sender between the last two cuts, from the sealed tallies: counting threads do nothing for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use accounting::direction::Direction;
use accounting::tally::Tally;
use view::BitRates;

/// How much longer than between the last two cuts there may be none, before their rates are of no present time any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rates between the last two cuts.
#[derive(Debug, Default)]
pub(crate) struct LastRates {
    at: Option<Instant>,
    over: Duration,
    of_senders: HashMap<IpAddr, BitRates>,
}

impl LastRates {
    /// Takes the tallies of a cut. Those of the first one only show when counting had begun.
    pub(crate) fn note(&mut self, sealed: &[Tally], now: Instant) {
        let Some(before) = self.at.replace(now) else { return };
        self.over = now.saturating_duration_since(before);
        self.of_senders.clear();
        for (sender, direction, counters) in sealed.iter().flat_map(Tally::by_sender) {
            let rates = self.of_senders.entry(sender).or_default();
            let rate = match direction {
                Direction::In => &mut rates.incoming,
                Direction::Out => &mut rates.outgoing,
                Direction::InLocal => &mut rates.local,
                // It is the same traffic, where it leaves.
                Direction::OutLocal => continue,
            };
            *rate += bits_per_second(counters.bytes, self.over);
        }
    }

    /// The rates of a sender; `None` if they are not known at present.
    pub(crate) fn of(&self, sender: IpAddr, now: Instant) -> Option<BitRates> {
        let age = now.saturating_duration_since(self.at?);
        let is_known = !self.over.is_zero() && age <= self.over.saturating_mul(2).saturating_add(PATIENCE);
        is_known.then(|| self.of_senders.get(&sender).copied().unwrap_or_default())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn bits_per_second(octets: u64, over: Duration) -> f64 {
    let seconds = over.as_secs_f64();
    if seconds > 0.0 { octets as f64 * 8.0 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use accounting::period::Minute;
    use accounting::tally::{FlowTime, GroupId, Monitored, TallySettings};
    use flow::{Counters, FlowRecord, Timestamp};

    use super::*;

    #[test]
    fn rates_are_of_the_last_cut_and_end_when_there_are_no_more() {
        let sender = IpAddr::from([192, 0, 2, 1]);
        let prefixes = ["10.0.0.0/8", "10.1.0.0/16"].map(|prefix| prefix.parse().unwrap());
        let prefixes: Vec<_> = prefixes.into_iter().zip((0..).map(GroupId)).collect();
        let monitored = Monitored::new(sender, &prefixes);
        let mut tally = Tally::new(TallySettings::default());
        for (source, destination, bytes) in
            [("203.0.113.1", "10.1.0.1", 1000), ("10.2.0.1", "203.0.113.1", 200), ("10.2.0.1", "10.1.0.1", 30)]
        {
            let flow = FlowRecord {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                forward: Counters { bytes, packets: 1, flows: 1 },
                ..FlowRecord::empty(Timestamp::EPOCH)
            };
            tally.book(&monitored, &flow, FlowTime::at(Minute::new(5)), true);
        }
        tally.merge_pending();
        let (mut rates, start) = (LastRates::default(), Instant::now());
        assert_eq!(rates.of(sender, start), None);
        rates.note(&[], start);
        assert_eq!(rates.of(sender, start), None, "nothing is known before the first interval");
        let cut = start + Duration::from_secs(10);
        rates.note(&[tally], cut);
        let expected = BitRates { incoming: 800.0, outgoing: 160.0, local: 24.0 };
        assert_eq!(rates.of(sender, cut), Some(expected));
        assert_eq!(rates.of(IpAddr::from([192, 0, 2, 2]), cut), Some(BitRates::default()));
        assert_eq!(rates.of(sender, cut + Duration::from_secs(31)), None, "no flush: the rates are old");
        rates.note(&[], cut + Duration::from_secs(10));
        assert_eq!(rates.of(sender, cut + Duration::from_secs(10)), Some(BitRates::default()));
    }
}
